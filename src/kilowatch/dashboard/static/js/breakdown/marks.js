// How a bucket, a band and a gap are drawn: whole widths, whole pixels, hatched where nothing is known.

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const patterns = new Map();
/** Diagonal lines as a repeating fill; `ground` fills what lies between them. */
export function hatch(colour, ground = null) {
  const key = `${colour}|${ground}`;
  if (!patterns.has(key)) {
    const size = 8;
    const canvas = document.createElement("canvas");
    const ratio = Math.min(3, Math.ceil(devicePixelRatio || 1));
    canvas.width = canvas.height = size * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    if (ground) { pen.fillStyle = ground; pen.fillRect(0, 0, size, size); }
    pen.strokeStyle = colour;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const shift of [-size, 0, size]) { pen.moveTo(shift - 1, size + 1); pen.lineTo(shift + size + 1, -1); }
    pen.stroke();
    patterns.set(key, { image: canvas, repeat: "repeat", scaleX: 1 / ratio, scaleY: 1 / ratio });
  }
  return patterns.get(key);
}

/** The same colour, paler. */
export function alpha(colour, share) {
  const value = Number.parseInt(colour.slice(1), 16);
  return `rgba(${(value >> 16) & 255}, ${(value >> 8) & 255}, ${value & 255}, ${share})`;
}

/** A rectangle clipped to the plot, on whole pixels; `space` is left free at its right. */
function box(params, api, x0, x1, y0, y1, space = 0) {
  const [left, top] = api.coord([x0, y1]);
  const [right, bottom] = api.coord([x1, y0]);
  const plot = params.coordSys;
  const l = Math.max(Math.round(left), plot.x);
  const r = Math.min(Math.round(right), plot.x + plot.width);
  const a = Math.max(Math.round(top), plot.y);
  const b = Math.min(Math.round(bottom), plot.y + plot.height);
  const width = r - l - space;
  return width > 0 && b > a ? { x: l, y: a, width, height: b - a } : null;
}

/** Bars from one height to another: data rows are [middle, start, end, from, to, style]. */
export function bars(styles) {
  return (params, api) => {
    const wide = api.size([api.value(2) - api.value(1), 0])[0];
    const space = wide > 24 ? 4 : wide > 5 ? 1 : 0;
    const shape = box(params, api, api.value(1), api.value(2), api.value(3), api.value(4), space);
    return shape && { type: "rect", shape, style: styles[api.value(5)] };
  };
}

/** The band from the smallest to the largest value: data rows are [middle, start, end, low, high]. */
export function band(colour) {
  return (params, api) => {
    const shape = box(params, api, api.value(1), api.value(2), api.value(3), api.value(4));
    return shape && { type: "rect", shape, style: { fill: colour }, silent: true };
  };
}

/** Gaps over the plot's whole height: data rows are [middle, from, to]; `texts` by row. */
export function gapMarks(texts, colours) {
  return (params, api) => {
    const plot = params.coordSys;
    const left = Math.max(Math.round(api.coord([api.value(1), 0])[0]), plot.x);
    const right = Math.min(Math.round(api.coord([api.value(2), 0])[0]), plot.x + plot.width);
    const width = Math.max(1, right - left);
    const text = texts[params.dataIndex] ?? "";
    const children = [{
      type: "rect", shape: { x: left, y: plot.y, width, height: plot.height },
      style: { fill: hatch(colours.gap) },
    }];
    if (text && width > text.length * 6.2 + 12) {
      const measured = text.length * 6.2 + 16;
      children.push({
        type: "rect",
        shape: { x: left + width / 2 - measured / 2, y: plot.y + 10, width: measured, height: 20, r: 4 },
        style: { fill: colours.surface },
      }, {
        type: "text", x: left + width / 2, y: plot.y + 20,
        style: { text, fill: colours.muted, font: colours.font, align: "center", verticalAlign: "middle" },
      });
    }
    return { type: "group", children, silent: true };
  };
}

/** Phases are told apart by their mark, too, not by colour alone. */
export const MARKS = ["●", "■", "▲"];
