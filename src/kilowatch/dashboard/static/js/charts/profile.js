// Load profile: a small plot for each kind of day, the duration curve, figures and peak days.
import { submitting } from "../insight/finder.js";
import { changed, count, fullWithUnit, scaleFor, share, short, withUnit } from "../numbers.js";
import { SiteTime, dateText } from "../sitetime.js";
import { asRead } from "../units.js";
import { t } from "../words.js";
import { element, fetched, start, tile } from "./fetching.js";
import { indexAt, plot } from "./plot.js";

const host = document.getElementById("profile");
const RANKS = [10, 25, 50, 75, 90];
const clock = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
const long = { weekday: "short", day: "numeric", month: "short", year: "numeric" };
let data = null;
let time = null;

const read = (value) => (value === null ? null : asRead(value, data.unit).value);
const kindOf = (period, kind) => period?.kinds.find((one) => one.kind === kind);

/** One scale for all plots, so that a Sunday can be held against a Monday. */
function scale() {
  const values = data.periods.flatMap((period) => period.kinds.flatMap((one) => [...one.spread[4], ...one.spread[0]])).filter((v) => v !== null).map(read);
  const high = Math.max(0, ...values);
  const low = data.amount_unit ? Math.min(0, ...values) : Math.min(...values, high);
  return { ...scaleFor(asRead(0, data.unit).unit, Math.max(high, -low)), low, high };
}

function columns() {
  const bin = data.bin_s / 60;
  const begin = Array.from({ length: 1440 / bin }, (_, i) => i * bin);
  return { start: begin, end: begin.map((at) => at + bin) };
}

function typical() {
  const into = document.getElementById("typical");
  const { factor, unit, low, high } = scale();
  const scaled = (row) => row.map((value) => (value === null ? null : read(value) * factor));
  const [own, other] = data.periods;
  const kinds = ["weekday", "saturday", "sunday", "holiday"].filter((kind) => kindOf(own, kind) || kindOf(other, kind));
  into.replaceChildren();
  for (const kind of kinds) {
    const mine = kindOf(own, kind);
    const theirs = kindOf(other, kind);
    const box = element("li");
    const title = element("h3", "", t(`drawn_kind.${kind}`));
    const days = element("span", "muted small", t("drawn.days", { n: count(mine?.days ?? 0) }));
    const head = element("header", "row");
    head.append(title, days);
    const area = element("div", "");
    box.append(head, area);
    into.append(box);
    const { start: from, end: to } = columns();
    plot(area, () => ({
      label: t("drawn.typical_label", { kind: t(`drawn_kind.${kind}`), name: data.point.name }),
      height: 220, unit, low: low * factor, high: high * factor,
      x: { from: 0, to: 1440, ticks: [0, 3, 6, 9, 12, 15, 18, 21, 24].map((hour) => ({ at: hour * 60, text: clock(hour * 60) })) },
      bands: mine ? [{ class: "wide", start: from, end: to, low: scaled(mine.spread[0]), high: scaled(mine.spread[4]) },
        { class: "near", start: from, end: to, low: scaled(mine.spread[1]), high: scaled(mine.spread[3]) }] : [],
      lines: [...(theirs ? [{ class: "other", start: from, end: to, value: scaled(theirs.spread[2]) }] : []),
        ...(mine ? [{ class: "own", start: from, end: to, value: scaled(mine.spread[2]) }] : [])],
      tell: (at) => {
        const i = indexAt(from, to, at);
        if (i < 0) return null;
        const text = (value) => (value === null ? t("drawn.missing") : withUnit(value, data.unit));
        const rows = mine ? [[t("drawn.median"), text(mine.spread[2][i])],
          [t("drawn.half"), `${text(mine.spread[1][i])} – ${text(mine.spread[3][i])}`],
          [t("drawn.most"), `${text(mine.spread[0][i])} – ${text(mine.spread[4][i])}`]] : [];
        if (theirs) rows.push([other.name, text(theirs.spread[2][i])]);
        return { title: `${clock(from[i])} – ${clock(to[i])}`, lines: rows };
      },
    }));
  }
  document.getElementById("other-key").hidden = !other;
  if (other) document.getElementById("other-name").textContent = other.name;
}

function curve() {
  const [own, other] = data.periods;
  const all = data.periods.flatMap((period) => period.curve.demand).map(read);
  const [high, low] = [Math.max(0, ...all), Math.min(0, ...all)];
  const { factor, unit } = scaleFor(asRead(0, data.unit).unit, Math.max(high, -low));
  const most = Math.max(1, ...data.periods.map((period) => period.curve.hours.at(-1) ?? 0));
  const line = (period, name) => ({ class: name, start: [0, ...period.curve.hours.slice(0, -1)], end: period.curve.hours, value: period.curve.demand.map((value) => read(value) * factor) });
  const size = [1, 2, 3, 6, 12, 24, 48, 120, 240, 500, 1000, 2000].find((step) => most / step <= 9) ?? 2000;
  const ticks = Array.from({ length: Math.floor(most / size) + 1 }, (_, i) => ({ at: i * size, text: i ? `${count(i * size)} h` : "0" }));
  plot(document.getElementById("curve"), () => ({
    label: t("drawn.curve_label", { name: data.point.name }), height: 300, unit, low: data.amount_unit ? low * factor : Math.min(...all) * factor, high: high * factor,
    x: { from: 0, to: most, ticks },
    lines: [...(other ? [line(other, "other")] : []), line(own, "own")],
    tell: (at) => {
      const lines = data.periods.map((period) => {
        const i = period.curve.hours.findIndex((hour) => hour >= at);
        return [period.name, i < 0 ? "–" : withUnit(period.curve.demand[i], data.unit)];
      });
      return { title: t("drawn.at_least", { hours: count(at), share: share(at / most) }), lines };
    },
  }));
}

const rows = [["mean", "drawn.mean"], ["peak", "drawn.peak"], ["near_base", "drawn.near_base"], ["near_peak", "drawn.near_peak"], ["load_factor", "drawn.load_factor"], ["high_h", "drawn.high_h"], ["complete", "drawn.complete"]];
function figure(key, value) {
  if (value === null || value === undefined) return "–";
  if (key === "load_factor" || key === "complete") return share(value);
  return key === "high_h" ? t("drawn.hours", { n: short(value) }) : withUnit(value, data.unit);
}

/** What stands behind a figure, in the shape of dashboard/behind.py. */
function behindOf(key) {
  const { name, cells, known, figures, shares, known_since: since } = data.periods[0];
  const minutes = data.bin_s / 60;
  const hourly = ["near_base", "near_peak", "high_h"].includes(key);
  return {
    means: t(`why_of.${{ mean: "mean_demand", near_base: "near_base", near_peak: "near_peak" }[key] ?? key}`, { minutes }),
    points: data.sources,
    parts: key === "load_factor" ? [{ name: t("drawn.mean"), value: figures.mean, unit: data.unit }, { name: t("drawn.peak"), value: figures.peak, unit: data.unit }] : [],
    days: `${name}, ${data.point.zone.split("|").at(-1)}`,
    intervals: hourly ? t("why.hours") : t("drawn.periods_known", { n: count(cells), known: count(known), minutes }),
    complete: figures.complete,
    since,
    shares,
  };
}

function facts() {
  const own = data.periods[0].figures;
  const box = document.getElementById("facts");
  const parts = rows.filter(([key]) => data.amount_unit || !["load_factor", "high_h"].includes(key)).map(([key, word]) => {
    const details = { peak: own.peak_ms === null ? "" : time.stamp(own.peak_ms), near_base: t("drawn.near_base_of"), near_peak: t("drawn.near_peak_of"), load_factor: t("drawn.load_factor_of"), high_h: t("drawn.high_h_of"), complete: own.complete < 0.9995 ? t("drawn.incomplete") : "" };
    return tile(t(word), figure(key, own[key]), details[key] ?? "", behindOf(key));
  });
  box.replaceChildren(...parts);
  const compared = document.getElementById("compared");
  compared.hidden = data.periods.length < 2;
  if (data.periods.length < 2) return;
  const [mine, other] = data.periods;
  const lines = rows.map(([key, word]) => {
    const tr = element("tr");
    const [a, b] = [mine.figures[key], other.figures[key]];
    const unit = key === "load_factor" || key === "complete" ? "" : key === "high_h" ? "h" : data.unit;
    const change = key === "complete" ? "" : differs(a, b, unit);
    tr.append(element("th", "", t(word), { scope: "row" }), element("td", "num", figure(key, a)), element("td", "num", figure(key, b)), element("td", "num", change));
    return tr;
  });
  for (const kind of ["weekday", "saturday", "sunday", "holiday"]) {
    const [a, b] = [kindOf(mine, kind)?.amount ?? null, kindOf(other, kind)?.amount ?? null];
    if (!data.amount_unit || (a === null && b === null)) continue;
    const tr = element("tr");
    tr.append(element("th", "", t("drawn.a_day", { kind: t(`drawn_kind.${kind}`) }), { scope: "row" }), element("td", "num", withUnit(a, data.amount_unit)), element("td", "num", withUnit(b, data.amount_unit)), element("td", "num", differs(a, b, data.amount_unit)));
    lines.push(tr);
  }
  document.getElementById("own-head").textContent = mine.name;
  document.getElementById("other-head").textContent = other.name;
  compared.querySelector("tbody").replaceChildren(...lines);
}
const differs = (a, b, unit) => (a === null || !b ? "–" : changed((a - b) / Math.abs(b), a - b, unit));

function peaks() {
  const body = document.querySelector("#peaks tbody");
  body.replaceChildren(...data.periods[0].peaks.map((peak, i) => {
    const tr = element("tr");
    const th = element("th", "", "", { scope: "row" });
    th.append(element("a", "", dateText(peak.day, long), { href: `/breakdown/${data.point.id}?period=day&date=${peak.day}` }));
    const to = peak.start_ms + data.bin_s * 1000;
    tr.append(element("td", "num muted", count(i + 1)), th, element("td", "", t(`drawn_kind.${peak.kind}`), { "data-label": t("drawn.kind") }),
      element("td", "", `${time.bareClock(peak.start_ms)} – ${time.bareClock(to)}`, { "data-label": t("drawn.time") }),
      element("td", "num", withUnit(peak.demand, data.unit), { "data-label": t("drawn.peak"), title: fullWithUnit(peak.demand, data.unit) }));
    return tr;
  }));
}

/** Every time of day of every kind of day, with its spread. */
function table() {
  const into = document.getElementById("profile-table");
  const { factor, unit } = scale();
  const node = element("table", "figures-table");
  const head = element("thead");
  const labels = element("tr");
  const many = data.periods.length > 1;
  const heads = [...(many ? [t("drawn.period")] : []), t("drawn.kind"), t("drawn.time"), ...RANKS.map((rank) => `${rank} % [${unit}]`)];
  heads.forEach((text, i) => labels.append(element("th", i >= heads.length - 5 ? "num" : "", text, { scope: "col" })));
  head.append(labels);
  const body = element("tbody");
  const { start: from } = columns();
  for (const period of data.periods) {
    for (const one of period.kinds) {
      from.forEach((minute, i) => {
        const tr = element("tr");
        if (many) tr.append(element("td", "", period.name));
        tr.append(element("td", "", t(`drawn_kind.${one.kind}`)), element("th", "", clock(minute), { scope: "row" }),
          ...one.spread.map((row) => element("td", "num", row[i] === null ? "–" : short(read(row[i]) * factor))));
        body.append(tr);
      });
    }
  }
  node.append(element("caption", "sr", t("drawn.typical")), head, body);
  into.replaceChildren(node);
}

async function load() {
  const answer = await fetched(host.dataset.profile);
  if (!answer) return;
  data = answer;
  time = new SiteTime(answer.offsets);
  const some = data.periods[0]?.peaks.length > 0;
  document.getElementById("profile-none").hidden = some;
  for (const part of document.querySelectorAll("[data-known]")) part.hidden = !some;
  host.removeAttribute("aria-busy");
  if (some) { facts(); typical(); curve(); peaks(); }
  host.dataset.ready = "yes";
}

for (const input of document.querySelectorAll("input[data-view=profile]")) {
  input.addEventListener("change", () => {
    const asTable = input.value === "table";
    document.getElementById("typical").hidden = asTable;
    document.getElementById("profile-table").hidden = !asTable;
    if (asTable && data) table();
  });
}
submitting();
start(load);
