// The other side of a comparison: which days it is, what changed, and the choice of a data point.
import { changed, share, withUnit } from "../numbers.js";
import { dateText } from "../sitetime.js";
import { t } from "../words.js";

const COMPLETE = 0.9995;
const HALF = 0.5; // a side of which less is known is nothing to measure a change by
const narrowDay = { weekday: "short", day: "numeric", month: "short" };

/** What it is compared with, in few words: "Sun 8 Nov", "27 Sep – 26 Oct", "Gas boiler". */
export function what(compare) {
  if (compare.kind === "point") return compare.point.name;
  const { first, last } = compare.window;
  if (first === last) return dateText(first, narrowDay);
  const day = { day: "numeric", month: "short" };
  const withYear = { ...day, year: "numeric" };
  return `${dateText(first, first.slice(0, 4) === last.slice(0, 4) ? day : withYear)} – ${dateText(last, withYear)}`;
}

/** A change as a share, or as a difference where a share means nothing: "+8.2%"; a dash beside too little. */
export function changeText(change, unit) {
  if (!change) return "";
  if (change.complete < HALF) return "–";
  return changed(change.of === "mean" && unit === "°C" ? null : change.share, change.difference, unit);
}

/** "+8.2% vs Sun 8 Nov", and how much of the other side is known. */
export function against(entry, compare) {
  if (!entry?.change || !compare) return "";
  if (entry.change.complete < HALF) return t("compare.too_little", { what: what(compare), share: share(entry.change.complete) });
  const text = t("compare.change", { change: changeText(entry.change, entry.unit), what: what(compare) });
  return entry.change.complete >= COMPLETE ? text : `${text}, ${t("compare.known", { share: share(Math.min(entry.change.complete, 0.999)) })}`;
}

/** The value of the other side: "436 kWh then". */
export const was = (entry, compare) => (entry?.change
  ? t(compare.kind === "point" ? "compare.was_point" : "compare.was", { value: withUnit(entry.change.value, entry.unit) }) : "");

/** One or two sentences that say which days lie beside which. */
export function sentence(answer, time) {
  const { compare } = answer;
  if (!compare) return "";
  const { aligned, shift_days: days, until_ms: until } = compare.window;
  const name = what(compare);
  if (!compare.channels.some((channel) => channel.start_ms.length)) return `${name}: ${t("compare.nothing")}`;
  const said = [];
  if (aligned === "weekdays") said.push(t(days === 7 ? "compare.week" : "compare.weekdays", { what: name, weeks: days / 7 }));
  else if (aligned === "same") said.push(t(compare.point.zone === answer.point.zone ? "compare.same" : "compare.own_clock", { what: name }));
  else said.push(t(`compare.${aligned}`, { what: name }));
  if (compare.total) said.push(t(compare.total.unit === answer.total.unit ? "compare.parts" : "compare.parts_unit"));
  else if (compare.parameters_shown.length) said.push(t("compare.apart"));
  else if (until && aligned !== "same") said.push(t("compare.running", { until: time.stamp(until) }));
  return said.join(" ");
}

/** The choice: period before, a year before, or a data point by its name. */
export class Comparison {
  constructor(root, { source, choose }) {
    this.host = root.querySelector("[data-compare]");
    this.select = this.host.querySelector("select");
    this.field = this.host.querySelector("[data-which]");
    this.input = this.field.querySelector("input");
    this.offers = this.host.querySelector("datalist");
    this.said = this.host.querySelector("[data-said]");
    this.source = source;
    this.choose = choose;
    this.known = new Map();
    this.word = "";
    this.instead = null; // what was compared with when somebody began to choose a data point
    this.select.addEventListener("change", (event) => {
      event.stopPropagation();
      const other = this.select.value === "point";
      this.field.hidden = !other;
      this.instead = other ? this.word : null;
      if (other) { this.input.value = ""; this.offer(); this.input.focus(); } else this.choose(this.select.value);
    });
    this.input.addEventListener("input", () => { if (!this.take()) this.offer(); });
    this.input.addEventListener("change", (event) => {
      event.stopPropagation();
      if (!this.take() && this.input.value.trim()) this.said.textContent = t("compare.unknown");
    });
  }

  /** Choose the data point or site whose name is written; false where it is none of those offered. */
  take() {
    const word = this.known.get(this.input.value);
    if (word && this.taken !== word) { this.taken = word; this.choose(word); }
    return Boolean(word);
  }

  async offer() {
    const text = this.input.value;
    const reply = await fetch(`${this.source()}q=${encodeURIComponent(text)}`).catch(() => null);
    if (!reply?.ok || text !== this.input.value) return;
    const { points } = await reply.json();
    for (const { id, label } of points) this.known.set(label, typeof id === "number" ? `p${id}` : id);
    this.offers.replaceChildren(...points.map(({ label }) => new Option(label, label)));
  }

  /** Show what the address says; new figures don't take the field from whoever is choosing. */
  show(answer, time) {
    const word = answer.state.compare;
    this.word = word;
    if (this.instead === word) return;
    this.instead = null;
    const other = /^[ps]\d/.test(word);
    this.select.value = other ? "point" : word;
    this.field.hidden = !other;
    this.taken = other ? word : null;
    if (other && answer.compare && document.activeElement !== this.input) this.input.value = answer.compare.point.name;
    this.said.textContent = sentence(answer, time);
  }
}
