// A total as a stack: the bands' colours, where a click leads, and what is to be said of them.
import { count, share } from "../numbers.js";
import { t } from "../words.js";
import { css, hatch } from "./marks.js";

const part = (hex, at) => Number.parseInt(hex.slice(at, at + 2), 16);

/** Mix two colours: `share` of the second. */
function mixed(one, other, portion) {
  const found = [1, 3, 5].map((at) => Math.round(part(one, at) * (1 - portion) + part(other, at) * portion));
  return `#${found.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

// Neighbours differ in lightness by far, so that they are told apart without their hue.
const STEPS = [0, 0.55, 0.25, 0.75, 0.12, 0.65, 0.4, 0.82, 0.5];

/** The fill of a band: steps of the utility's own hue; the rest is hatched. */
export function fillOf(channel, index, hue) {
  if (channel.band === "remainder") return hatch(css("--muted"), mixed(hue, css("--surface"), 0.88));
  return mixed(hue, css("--surface"), STEPS[index % STEPS.length]);
}

/** A plain colour for the same, for legends. */
export const colourOfBand = (channel, index, hue) => (channel.band === "remainder" ? css("--muted") : mixed(hue, css("--surface"), STEPS[index % STEPS.length]));

/** The band at a height within a bucket, or null. */
export function bandAt(panel, rowAt, ms, value, factor) {
  let ground = 0;
  for (const channel of panel.channels) {
    const row = rowAt(channel.rows, ms);
    const height = row ? Math.max(0, (row.value ?? 0) + (panel.inlineUnallocated ? row.unallocated : 0)) * factor : 0;
    if (height && value >= ground && value < ground + height) return channel;
    ground += height;
  }
  return null;
}

/** Sentences under the graph: what is in no band, and sums that can't be right. */
export function notes(host, answer) {
  const { negative, too_coarse: coarse, buckets } = answer.notes;
  const said = [t("bands.stacked")];
  if (negative) said.push(t("bands.negative", { n: count(negative), all: count(buckets) }));
  if (coarse.length) said.push(t("bands.too_coarse", { names: coarse.join(", ") }));
  if (answer.notes.demand_too_long) said.push(t("bands.demand_too_long"));
  if (answer.status.late_points) said.push(t("bands.late", { n: count(answer.status.late_points) }));
  host.textContent = said.join(" ");
  host.hidden = false;
}

/** Names in the list of figures lead where the bands lead, with their colours and shares. */
export function link(host, answer, which = "table:not(.of-other)") {
  const hue = css(`--${answer.point.utility}`) || css("--other");
  const whole = answer.summary[0]?.total;
  const lines = host.querySelectorAll(`${which} tbody tr`);
  answer.statistics.forEach((entry, i) => {
    const name = lines[i]?.querySelector("th");
    if (!name) return;
    const channel = answer.channels[i];
    const key = document.createElement("i");
    key.className = "band-key";
    key.setAttribute("aria-hidden", "true");
    key.style.background = channel ? colourOfBand(channel, i, hue) : "transparent";
    key.classList.toggle("rest", channel?.band === "remainder");
    const text = entry.href ? document.createElement("a") : document.createElement("span");
    if (entry.href) text.href = entry.href + location.search;
    const label = name.firstElementChild; // the button beside it stays where it is
    text.textContent = label.textContent;
    label.replaceChildren(key, text);
    if (channel && whole && entry.total !== null) {
      const portion = document.createElement("span");
      portion.className = "at";
      portion.textContent = t("drawn.of_all", { share: share(entry.total / whole) });
      lines[i].querySelector("td").append(portion);
    }
  });
}
