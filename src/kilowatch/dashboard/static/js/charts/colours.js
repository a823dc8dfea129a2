// Colours of values: one hue from the page's ground to its strongest, or two hues around a neutral
// middle. Lightness alone tells the order, so that colour-blind people read it too.
import { css } from "../breakdown/marks.js";

const hex = (text) => [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
const linear = (v) => { const c = v / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const gamma = (v) => Math.round(255 * Math.min(1, Math.max(0, v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055)));

// OKLab (Ottosson, 2020): equal steps look equal.
function toLab(text) {
  const [r, g, b] = hex(text).map(linear);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

function toRgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const rgb = [4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s, -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s];
  return `rgb(${rgb.map(gamma).join(" ")})`;
}

const mix = (a, b, share) => a.map((value, i) => value + (b[i] - value) * share);

function ramp(stops) {
  const found = [];
  for (let i = 0; i < 256; i += 1) {
    const at = i / 255 * (stops.length - 1);
    const from = Math.min(Math.floor(at), stops.length - 2);
    found.push(toRgb(mix(stops[from], stops[from + 1], at - from)));
  }
  return found;
}

/** 256 colours from the first value to the last. */
export function colours(kind, utility) {
  const dark = document.documentElement.dataset.theme === "dark";
  const surface = toLab(css("--surface"));
  if (kind === "diverging") {
    const middle = toLab(dark ? "#2c333d" : "#eef0f2");
    const [cold, warm] = dark ? ["#7fb4ff", "#ffab6e"] : ["#123f8f", "#8f3403"];
    const [cool, mild] = dark ? ["#3d679f", "#9c5a2c"] : ["#6f9fe0", "#e2915a"];
    return ramp([toLab(cold), toLab(cool), middle, toLab(mild), toLab(warm)]);
  }
  const hue = toLab(css(`--${utility}`) || css("--other"));
  const end = toLab(dark ? "#ffffff" : "#05070d");
  // In the dark the strongest is the brightest; the weakest is near the ground, and still not it.
  return ramp([mix(surface, hue, dark ? 0.2 : 0.1), mix(surface, hue, 0.6), mix(hue, end, dark ? 0.2 : 0.05), mix(hue, end, dark ? 0.8 : 0.65)]);
}

/** The number of a value's colour; what lies beyond the scale has its end's. */
export function place(value, scale) {
  const share = (value - scale.low) / (scale.high - scale.low || 1);
  return Math.round(255 * Math.min(1, Math.max(0, share)));
}
