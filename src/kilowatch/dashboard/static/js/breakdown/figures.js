// The figures above and below the graph: three digits in tiles, everything in the list.
import { fullWithUnit, scaleFor, share, short, withUnit } from "../numbers.js";
import { SiteTime } from "../sitetime.js";
import { locale, t } from "../words.js";
import { against, changeText, was, what } from "./compare.js";
import { ask } from "./why.js";

const COMPLETE = 0.9995;

function element(tag, className, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

function tile(label, value, unit, detail, className = "", change = "") {
  const node = element("div", `tile ${className}`.trim());
  const scale = scaleFor(unit, value ?? 0);
  const known = value !== null && value !== undefined;
  const coin = known && /^[A-Z]{3}$/.test(unit);
  const figure = element("dd", "figure", coin ? withUnit(value, unit) : known ? short(value * scale.factor) : "–");
  if (known && scale.unit && !coin) figure.append(element("span", "unit", ` ${scale.unit}`));
  figure.title = fullWithUnit(value, unit);
  node.append(element("dt", "", label), figure);
  if (change) node.append(element("dd", "detail change", change));
  if (detail) node.append(element("dd", "detail", detail));
  return node;
}

/** When, seen from the period shown: a clock within a day, a day and a clock otherwise. */
const when = (answer, time, ms) => (answer.window.period === "day" ? time.clock(ms) : `${time.day(ms)}, ${time.bareClock(ms)}`);

/** When the bucket with the lowest or highest value was: a day, where buckets are days or longer. */
const whenOf = (answer, time, ms) => (/day|week|month|year/.test(answer.window.grain) ? time.day(ms).replaceAll(" ", "\u00a0") : when(answer, time, ms));

/** The tiles: what somebody wants to know in five seconds. */
export function tiles(host, answer, time) {
  const found = [];
  const asked = (node, key, entry, complete) => {
    const title = node.querySelector("dt");
    ask(title, answer, time, key, title.textContent, entry, complete);
  };
  const energy = answer.summary.find((entry) => entry.measure === "amount");
  const level = answer.summary.find((entry) => entry.measure === "mean");
  if (energy) {
    const missing = energy.complete < COMPLETE;
    const late = answer.extent && answer.extent.first_ms > answer.window.from_ms + 86_400_000;
    const detail = energy.total === null ? "" : late
      ? t("tile.since", { day: time.day(answer.extent.first_ms) }) : energy.unallocated
      ? t("tile.of_which_gap", { amount: withUnit(energy.unallocated, energy.unit) })
      : energy.derived ? t("tile.derived") : missing ? t("tile.incomplete") : t("tile.counted");
    const name = answer.worth.shown === "energy" || !answer.worth.available ? "tile.total" : answer.worth.shown === "money" ? (answer.point.utility === "production" ? "tile.earned" : "tile.cost") : "tile.carbon";
    const node = tile(t(name), energy.total, energy.unit, detail, "first", against(energy, answer.compare));
    asked(node, "total", energy);
    found.push(node);
  }
  const demand = answer.demand;
  if (demand) {
    const output = answer.point.utility === "production";
    const node = tile(t(output ? "tile.peak_output" : "tile.peak"), demand.peak, demand.unit, [when(answer, time, demand.peak_ms),
      demand.complete < COMPLETE ? t("compare.known", { share: share(Math.min(demand.complete, 0.999)) }) : ""].filter(Boolean).join(", "), "", against(demand, answer.compare));
    node.querySelector("dt").title = t("tile.peak_title", { minutes: Math.round(demand.period_s / 60) });
    asked(node, "peak", energy, demand.complete);
    found.push(node);
  }
  if (level) {
    const label = energy ? t("tile.mean_of", { name: level.parameter_title.toLowerCase() }) : t("tile.mean");
    const range = level.low === null ? "" : t("tile.range", {
      low: withUnit(level.low, level.unit), high: withUnit(level.high, level.unit) });
    const node = tile(label, level.mean, level.unit, range, "", against(level, answer.compare));
    asked(node, "mean", level);
    found.push(node);
  }
  if (demand?.load_factor != null) {
    const node = tile(t("tile.load_factor"), null, "", !demand.baseload ? t("tile.load_factor_detail")
      : t("tile.baseload", { value: withUnit(demand.baseload, demand.unit) }));
    node.querySelector(".figure").textContent = share(demand.load_factor);
    node.querySelector(".figure").title = t("tile.load_factor_title");
    asked(node, "load_factor", energy, demand.complete);
    found.push(node);
  }
  const any = energy ?? level;
  if (any) {
    const node = tile(t("tile.complete"), null, "", "", "complete");
    const full = any.complete >= COMPLETE;
    const figure = node.querySelector(".figure");
    figure.textContent = share(full ? 1 : Math.min(any.complete, 0.999));
    const meter = document.createElement("meter");
    meter.min = 0; meter.max = 1; meter.value = any.complete;
    meter.setAttribute("aria-label", t("tile.complete"));
    const bar = element("dd", "bar-of");
    bar.append(meter);
    node.append(bar);
    asked(node, "complete", any);
    found.push(node);
  }
  host.replaceChildren(...found);
}

/** "−8.9 %", and how much of the other side is known where that is not all of it. */
const changed = ({ change, unit }) => [changeText(change, unit),
  change && change.complete < COMPLETE ? t("compare.known", { share: share(Math.min(change.complete, 0.999)) }) : ""].filter(Boolean).join(", ");

/** The site that is compared with, as an answer of its own: its bands, prices, name and clock. */
export const besideOf = ({ compare, ...answer }) => ({
  ...answer, point: compare.point, channels: compare.channels.filter((channel) => channel.band), statistics: compare.bands,
  summary: compare.bands.slice(-1), sources: compare.bands.at(-1).points, worth: compare.worth, demand: compare.demand,
});

/** The list below the graph: every figure of every channel shown, and of the site beside it. */
export function list(host, answer, time) {
  const { compare } = answer;
  const table = tableOf(answer, time);
  // What the changes are against is said once, not in every cell.
  const beside = compare && answer.statistics.some((entry) => entry.change);
  const said = beside ? [element("p", "muted small beside", t("figures.beside", { what: what(compare) }))] : [];
  const other = [];
  if (compare?.bands) {
    const title = element("h3", "other-title");
    const link = element("a", "", compare.point.name);
    link.href = `/breakdown/site/${answer.state.compare.slice(1)}?${new URLSearchParams({ period: answer.state.period, date: answer.state.date, until: answer.state.until })}`;
    title.append(link);
    const their = tableOf(besideOf(answer), time);
    their.classList.add("of-other");
    other.push(title, their);
  }
  host.replaceChildren(...said, table, ...more(answer, time), ...other);
}

function tableOf(answer, time) {
  const table = element("table", "statistics piled");
  const head = element("thead", "");
  const titles = element("tr", "");
  const keys = ["parameter", "total", "mean", "min", "max", "known"];
  for (const key of keys) {
    const th = element("th", key === "parameter" ? "" : "num", t(`figures.${key}`));
    th.scope = "col";
    titles.append(th);
  }
  head.append(titles);
  const body = element("tbody", "");
  for (const entry of answer.statistics) {
    const line = element("tr", "");
    const name = element("th", "", entry.phase_title ? `${entry.parameter_title} ${entry.phase_title}` : entry.parameter_title);
    name.scope = "row";
    const band = answer.channels.find((one) => one.channel === entry.channel)?.band;
    const key = { child: "band", others: "others", remainder: "unmetered" }[band] ?? (entry.measure === "amount" ? "total" : "mean");
    ask(name, answer, time, key, name.textContent, entry);
    if (entry.derived) name.append(element("span", "badge", t("quality.derived")));
    if (entry.questionable) name.append(element("span", "badge late", t("figures.questionable", { n: entry.questionable })));
    for (const quality of ["estimated", "edited"]) {
      const part = entry.shares[quality];
      if (part > 0) name.append(element("span", "badge", `${share(part)} ${t(`quality.${quality}`)}`));
    }
    line.append(name);
    const add = (value, unit, at, ...extras) => {
      const td = element("td", "num", withUnit(value, unit));
      td.dataset.label = t(`figures.${keys[line.children.length]}`);
      td.title = fullWithUnit(value, unit);
      if (value !== null && value !== undefined) td.dataset.value = value;
      if (at != null) td.append(element("span", "at", whenOf(answer, time, at)));
      for (const extra of extras) if (extra) td.append(element("span", "at", extra));
      line.append(td);
    };
    const gap = entry.unallocated ? t("figures.across", { amount: withUnit(entry.unallocated, entry.unit) }) : "";
    add(entry.measure === "amount" ? entry.total : null, entry.unit, null,
      entry.measure === "amount" && entry.complete < COMPLETE ? gap || t("figures.incomplete") : gap,
      ...(entry.measure === "amount" ? [changed(entry), was(entry, answer.compare)] : []));
    add(entry.mean, entry.measure === "amount" ? entry.rate_unit : entry.unit, null,
      ...(entry.measure === "mean" ? [changed(entry), was(entry, answer.compare)] : []));
    add(entry.low, entry.unit, entry.low_ms);
    add(entry.high, entry.unit, entry.high_ms);
    const known = element("td", "num", share(entry.complete >= COMPLETE ? 1 : Math.min(entry.complete, 0.999)));
    known.dataset.label = t("figures.known");
    line.append(known);
    body.append(line);
  }
  table.append(head, body);
  return table;
}

/** What peak demand brings along: each figure with its time, its definition, and what it rests on. */
function more(answer, time) {
  const { demand, compare } = answer;
  if (!demand) return [];
  const other = compare?.demand;
  const there = compare && new SiteTime(compare.window.offsets);
  const clockOf = (ms) => (compare.window.first === compare.window.last ? there.clock(ms) : `${there.day(ms)}, ${there.bareClock(ms)}`);
  const then = (text) => t(compare.kind === "point" ? "compare.was_point" : "compare.was", { value: text });
  const beside = {
    peak: (one) => then(`${withUnit(one.peak, one.unit)}, ${clockOf(one.peak_ms)}`),
    high: (one) => one.high !== null && then(`${withUnit(one.high, "W")}, ${clockOf(one.high_ms)}`),
    load_factor: (one) => one.load_factor !== null && then(share(one.load_factor)),
    baseload: (one) => one.baseload !== null && then(withUnit(one.baseload, one.unit)),
    power_factor: (one) => one.power_factor && then(factor(one.power_factor.value)),
  };
  const rests = (complete) => (complete < COMPLETE ? t("figures.rests_on", { share: share(Math.min(complete, 0.999)) }) : "");
  const minutes = Math.round(demand.period_s / 60);
  const output = answer.point.utility === "production";
  const peak = t(output ? "tile.peak_output" : "tile.peak");
  const entries = [
    ["peak", `${peak} (${t("figures.minutes", { n: minutes })})`, withUnit(demand.peak, demand.unit), fullWithUnit(demand.peak, demand.unit), when(answer, time, demand.peak_ms), demand.complete],
    demand.high !== null && ["high", t("figures.high"), withUnit(demand.high, "W"), fullWithUnit(demand.high, "W"), when(answer, time, demand.high_ms), demand.complete],
    demand.load_factor !== null && ["load_factor", t("tile.load_factor"), share(demand.load_factor), String(demand.load_factor), t("tile.load_factor_detail"), demand.complete],
    demand.baseload !== null && !output && ["baseload", t("figures.baseload"), withUnit(demand.baseload, demand.unit), fullWithUnit(demand.baseload, demand.unit), t("figures.baseload_detail"), demand.complete],
    demand.power_factor && ["power_factor", t("figures.power_factor"), factor(demand.power_factor.value), String(demand.power_factor.value),
      t(`figures.${demand.power_factor.nature ?? "nature_unknown"}`), demand.power_factor.complete],
  ].filter(Boolean);
  const listed = element("dl", "more-figures");
  for (const [key, title, text, full, detail, complete] of entries) {
    const node = element("div", "");
    node.dataset.figure = key;
    const value = element("dd", "", text);
    value.title = full;
    const name = element("dt", "", title);
    ask(name, answer, time, key, title, null, complete);
    node.append(name, value);
    for (const extra of [detail, complete === demand.complete ? "" : rests(complete), other && beside[key](other)]) if (extra) node.append(element("dd", "at", extra));
    listed.append(node);
  }
  const whole = rests(demand.complete);
  return whole ? [listed, element("p", "muted small", `${t("figures.demand_rests")} ${whole}.`)] : [listed];
}

const factor = (value) => new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 3 }).format(value);
