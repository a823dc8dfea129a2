// What the graph says about the bucket under the pointer. Our own element, not the library's: that
// one needs inline styles, which the page's policy forbids.
import { touches } from "../insight/band.js";
import { fullWithUnit, share, short } from "../numbers.js";
import { t } from "../words.js";
import { EDITED, ESTIMATED, QUESTIONABLE, whole } from "./chart.js";
import { MARKS } from "./marks.js";
import { what } from "./compare.js";
import { told } from "./overlays.js";
import { rowAt } from "./rows.js";

function element(tag, className, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

function line(name, value, detail = "", phase = 0) {
  const node = element("div", "line");
  const label = element("span", "name", name);
  if (phase) label.prepend(element("i", `phase-${phase}`, MARKS[phase - 1]), " ");
  node.append(label, element("strong", "", value), element("span", "detail", detail));
  return node;
}

/** The lines of a panel: each channel's value, or that nothing is known. */
function panelLines(panel, scale, ms) {
  const hits = panel.channels.map((channel) => [channel, rowAt(channel.rows, ms)])
    .filter(([, row]) => row && row.value !== null);
  if (!hits.length) {
    const gap = panel.gaps?.find((item) => ms >= item.from && ms < item.to);
    if (!gap) return [];
    const used = gap.unallocated
      ? t("chart.gap_used", { amount: fullWithUnit(gap.unallocated, panel.unit) }) : t("chart.gap");
    return [line(panel.title, "", used)];
  }
  const together = panel.total && hits.length > 1 ? rowAt(panel.total.rows, ms) : null;
  const first = together && together.value !== null ? [line(panel.other ? `${panel.other.name}: ${panel.total.title}` : panel.total.title, `${short(together.value * scale.factor)} ${scale.unit}`.trim())] : [];
  return [...first, ...hits.flatMap(([channel, row]) => {
    const apart = channel.phase && channel.phase_title;
    const name = channel.band ? (panel.other ? `${panel.other.name}: ${channel.title}` : channel.title) : apart ? `${panel.title} ${channel.phase_title}` : panel.title;
    const range = panel.measure === "mean" && row.low !== null && row.high > row.low
      ? `${short(row.low * scale.factor)} – ${short(row.high * scale.factor)}` : "";
    const found = [line(name, `${short(row.value * scale.factor)} ${scale.unit}`.trim(), range, apart ? channel.phase : 0)];
    const notes = [];
    if (row.covered < 0.98) notes.push(t("chart.partly", { share: share(row.covered) }));
    if (panel.inlineUnallocated && row.unallocated) {
      notes.push(t("chart.plus_gap", { amount: fullWithUnit(row.unallocated, panel.unit) }));
    }
    if (row.quality === QUESTIONABLE) notes.push(t("chart.questionable"));
    if (row.quality === ESTIMATED) notes.push(t("chart.estimated"));
    if (row.quality === EDITED) notes.push(t("chart.edited"));
    return [...found, ...notes.map((text) => element("div", "note", text))];
  })];
}

/** What the other side of a comparison was at an instant. */
function againstLines(panel, scale, ms, compare) {
  return panel.against.flatMap((channel) => {
    const row = rowAt(channel.rows, ms);
    const value = row && whole(panel, row);
    return value === null || !compare ? [] : [line(what(compare), `${short(value * scale.factor)} ${scale.unit}`.trim(), "", channel.phase)];
  });
}

export class Hover {
  /** @param host the graph; the element is laid over it */
  constructor(host) {
    this.host = host;
    this.node = element("div", "hover");
    this.node.hidden = true;
    this.node.setAttribute("aria-hidden", "true"); // the table says the same to those who listen
    host.parentElement.append(this.node);
  }

  hide() { this.node.hidden = true; }

  /** Say what is known of an instant, beside the pointer. */
  show({ panels, scales }, time, ms, x, y, events = [], compare = null) {
    const row = panels.flatMap((panel) => panel.channels).map((channel) => rowAt(channel.rows, ms)).find(Boolean);
    const lines = panels.flatMap((panel, i) => [...panelLines(panel, scales[i], ms), ...againstLines(panel, scales[i], ms, compare),
      ...told(panel, ms, panel.unit).map(([name, value]) => line(name, value))]);
    for (const one of events) if (touches(one, ms, ms + 1)) lines.push(element("div", `note ${one.tone}`, one.title));
    if (!lines.length) { this.hide(); return; }
    const title = row ? time.bucket(row.start, row.end - row.start) : time.stamp(ms);
    this.node.replaceChildren(element("div", "title-line", title), ...lines);
    this.node.hidden = false;
    const left = this.host.offsetLeft + x;
    const wide = this.node.offsetWidth;
    const beside = left + 16 + wide > this.host.parentElement.clientWidth ? left - 16 - wide : left + 16;
    this.node.style.left = `${Math.max(4, beside)}px`;
    this.node.style.top = `${this.host.offsetTop + Math.max(0, y - this.node.offsetHeight - 8)}px`;
  }
}
