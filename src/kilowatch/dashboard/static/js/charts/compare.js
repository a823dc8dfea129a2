// Compare: bars or lines side by side, a table of the same, and the ranking.
import { submitting } from "../insight/finder.js";
import { alike, changed, count, fullWithUnit, money, scaleFor, share, shareAlike, short, tells, withUnit } from "../numbers.js";
import { dateText } from "../sitetime.js";
import { tied, whyButton } from "../why.js";
import { asRead } from "../units.js";
import { t } from "../words.js";
import { element, fetched, start } from "./fetching.js";
import { plot, svg } from "./plot.js";

const host = document.getElementById("compare");
const shown = { day: { day: "numeric", month: "short" }, month: { month: "short", year: "numeric" } };
const SUFFIX = { m2: "m²", m3: "m³" };
let data = null;
let draw = null;

const over = (unit) => (unit ? `/${SUFFIX[unit] ?? (unit.includes("·") ? `(${unit})` : unit)}` : "");
/** The class of an item's colour: that of its chip, whatever its rank. */
const colourOf = (item) => [...document.querySelector(`[data-item="${item.key}"]`).classList].find((name) => name.startsWith("item-") && name !== "item-mark");
const perText = (item, value, write = (one) => withUnit(one, data.unit)) => (value === null ? "–" : `${write(value)}${over(item.per_unit)}`);
/** Production is paid for: its money is none that it costs. */
const moneyWord = () => (data.utility === "production" ? "tile.earned" : "drawn.money");
const fully = (value) => fullWithUnit(value, data.unit);
/** A difference of two levels with its sign: not the share of one of them, as 20 °C is no double of 10. */
const apart = (value, write) => `${write(Math.abs(value)) === write(0) ? "±" : value > 0 ? "+" : "−"}${write(Math.abs(value))}`;
/** What an item changed by; as an amount that of each degree day or unit, where that is what is compared. */
const changeOf = (item) => (item.own_by && item.other_by
  ? changed(item.change, item.own_compared / item.own_by - item.other_compared / item.other_by, data.unit, shareAlike) + (tells(item.change) ? "" : over(item.per_unit))
  : changed(item.change, item.own_compared - item.other_compared, data.unit, shareAlike));
/** One side of a change, with what it was divided by. */
const sideOf = (item, value, by) => `${withUnit(value, data.unit)}${by === null ? "" : ` / ${withUnit(by, item.per_unit)}`}`;

function bucketText(i, long = false) {
  const [first, last] = [data.first[i], data.last[i]];
  if (data.grain === "month") return dateText(first, shown.month);
  if (data.grain === "week") return long ? `${dateText(first, shown.day)} – ${dateText(last, shown.day)}` : dateText(first, shown.day);
  return dateText(first, long ? { weekday: "short", day: "numeric", month: "short", year: "numeric" } : shown.day);
}

function scale(view) {
  const values = data.items.flatMap((item) => item.value).filter((value) => value !== null);
  // A line of means begins where they begin; a bar, and what is counted, at nothing.
  const from = data.level && view === "lines" && values.length ? [] : [0];
  const high = Math.max(...from, ...values);
  const least = Math.min(...from, ...values);
  const low = least === high && high ? least - Math.abs(least) / 10 : least;
  return { ...scaleFor(data.unit, Math.max(Math.abs(high), Math.abs(low))), high, low };
}

function picture(view) {
  const { factor, unit, high, low } = scale(view);
  const area = data.per === "area";
  const n = data.first.length;
  const items = data.items.filter((item) => item.value.some((value) => value !== null));
  const width = 1 / Math.max(1, items.length);
  const wide = 0.84;
  const columns = (k) => ({ start: data.first.map((_, i) => i + (1 - wide) / 2 + k * width * wide), end: data.first.map((_, i) => i + (1 - wide) / 2 + (k + 1) * width * wide) });
  const whole = { start: data.first.map((_, i) => i), end: data.first.map((_, i) => i + 1) };
  const scaled = (item) => item.value.map((value) => (value === null ? null : value * factor));
  document.getElementById("compare-unit").textContent = `${unit}${area ? "/m²" : ""}`;
  return {
    label: t("drawn.compare_label", { names: items.map((item) => item.name).join(", ") }),
    height: 340, unit: "", low: low * factor, high: (high || 1) * factor,
    x: { from: 0, to: n, ticks: data.first.map((_, i) => ({ at: i + 0.5, text: bucketText(i) })) },
    bars: view === "bars" ? items.map((item, k) => ({ class: colourOf(item), ...columns(k), value: scaled(item), partial: item.complete_of.map((known) => known < 0.9) })) : [],
    lines: view === "lines" ? items.map((item) => ({ class: `item ${colourOf(item)}`, ...whole, value: scaled(item) })) : [],
    tell: (at) => {
      const i = Math.floor(at);
      if (i < 0 || i >= n) return null;
      return { title: bucketText(i, true), lines: items.map((item) => {
        const value = item.value[i];
        const known = item.complete_of[i] < 0.9995 && value !== null ? ` (${t("drawn.known", { share: share(item.complete_of[i]) })})` : "";
        return [item.name, value === null ? t("drawn.missing") : `${withUnit(value, data.unit)}${area ? "/m²" : ""}${known}`];
      }) };
    },
  };
}

function table() {
  const into = document.getElementById("compare-table");
  const { factor, unit } = scale();
  const area = data.per === "area" ? "/m²" : "";
  const node = element("table", "figures-table");
  const labels = element("tr");
  labels.append(element("th", "", t("drawn.period"), { scope: "col" }), ...data.items.map((item) => element("th", "num", `${item.name} [${unit}${area}]`, { scope: "col" })));
  const head = element("thead");
  head.append(labels);
  const body = element("tbody");
  data.first.forEach((_, i) => {
    const tr = element("tr");
    tr.append(element("th", "", bucketText(i, true), { scope: "row" }), ...data.items.map((item) => (item.value[i] === null
      ? element("td", "num hole", "–", { title: t("drawn.missing") })
      : element("td", "num", short(item.value[i] * factor), { title: `${fullWithUnit(item.value[i], data.unit)}${area}` }))));
    body.append(tr);
  });
  node.append(element("caption", "sr", t("drawn.compare_label", { names: data.items.map((item) => item.name).join(", ") })), head, body);
  into.replaceChildren(node);
}

function without(item) {
  const box = element("span", "muted small", t(`drawn_without.${item.without}`));
  if (item.set_href) box.append(" ", element("a", "", t("drawn.set_it"), { href: item.set_href }));
  return box;
}

/** What stands behind an item's figures: the facts of the server, and how each other one follows. */
function behindOf(item) {
  const each = (value, basis, part) => (basis.length ? `${value}: ${basis.join("; ")}. ${t("why.priced")}${part < 0.9995 ? ` ${t("why.partly_priced", { share: share(Math.min(part, 0.999)) })}` : ""}` : "");
  const divided = item.divided === null || item.by === null ? ""
    : `${perText(item, item.per)} = ${withUnit(item.divided, data.unit)} / ${withUnit(item.by, item.per_unit)} (${item.by_source})`;
  const compared = item.own_compared === null || !item.compared ? ""
    : t("why.change_of", { own: sideOf(item, item.own_compared, item.own_by), other: sideOf(item, item.other_compared, item.other_by), n: count(item.compared), days: data.other });
  return { ...item.behind, notes: [
    [t("drawn.per"), divided],
    [t(moneyWord()), item.money === null ? "" : each(money(item.money, item.currency), item.money_basis, item.money_share)],
    [t("drawn.carbon"), item.carbon_kg === null ? "" : each(withUnit(item.carbon_kg, "kg"), item.carbon_basis, item.carbon_share)],
    [t("drawn.change"), compared],
  ] };
}

/** A writer of differences: those of temperatures are in the reader's degrees, and moved by no zero. */
function differing(values) {
  if (data.unit !== "°C") return alike(values, data.unit);
  const { unit } = asRead(0, "°C");
  const size = unit === "°F" ? 1.8 : 1;
  const write = alike(values.map((value) => value && value * size), "");
  return (value) => `${write(value * size)} ${unit}`;
}

function levels(tr, item, cell, write) {
  for (const [word, value] of [["drawn.mean", item.total], ["drawn.lowest_level", item.low], ["drawn.highest_level", item.high]]) {
    const td = cell(word, write(value), fully(value));
    if (value !== null) td.dataset.value = value;
    tr.append(td);
  }
}

function ranking() {
  const body = document.querySelector("#ranking tbody");
  const normal = data.per !== "total";
  const size = (item) => (normal ? item.per : item.total) ?? 0;
  const most = Math.max(1e-12, ...data.items.map(size));
  const column = (read, unit = data.unit) => alike(data.items.map(read), unit);
  const amounts = data.level ? alike(data.items.flatMap((item) => [item.total, item.low, item.high]), data.unit) : column((item) => item.total);
  const differences = differing(data.items.map((item) => item.difference));
  const carbon = column((item) => item.carbon_kg, "kg");
  const pers = new Map(data.items.map((item) => [item.per_unit, alike(data.items.filter((one) => one.per_unit === item.per_unit).map((one) => one.per), data.unit)]));
  const coins = new Map(data.items.filter((item) => item.currency).map(({ currency }) => [currency, alike(data.items.filter((one) => one.currency === currency).map((one) => one.money), currency)]));
  body.replaceChildren(...data.items.map((item) => {
    const tr = element("tr");
    const th = element("th", "", "", { scope: "row" });
    th.append(element("i", `item-mark ${colourOf(item)}`, "", { "aria-hidden": "true" }), " ", element("a", "", item.name, { href: item.href }));
    tied(th, whyButton(item.name, item.facts = behindOf(item)));
    const bar = element("td", "bar-cell");
    bar.append(svg("svg", { class: `rank ${colourOf(item)}`, height: 12, width: "100%", "aria-hidden": "true" }, svg("rect", { width: `${Math.max(0, 100 * size(item) / most).toFixed(1)}%`, height: 12, rx: 2 })));
    tr.append(th, bar);
    const cell = (word, text, title = "") => element("td", "num", text, { "data-label": t(word), ...(title ? { title } : {}) });
    tr.dataset.key = item.key;
    if (data.level) levels(tr, item, cell, amounts);
    else {
      if (normal) {
        const td = cell("drawn.per", item.per === null ? "" : perText(item, item.per, pers.get(item.per_unit)), item.per === null ? "" : perText(item, item.per, fully));
        if (item.per === null) td.append(without(item));
        tr.append(td);
      }
      const total = cell("drawn.total", amounts(item.total), fully(item.total));
      if (item.total !== null) total.dataset.value = item.total;
      const partly = (part) => (part < 0.9995 ? ` (${t("drawn.priced", { share: share(part) })})` : "");
      const peak = cell("drawn.peak", "…");
      peak.dataset.peak = "";
      peak.append(element("br"), element("span", "muted small", "\u00a0")); // the place of its time
      tr.append(total, peak,
        cell(moneyWord(), item.money === null ? "–" : `${coins.get(item.currency)(item.money)}${partly(item.money_share)}`),
        cell("drawn.carbon", item.carbon_kg === null ? "–" : `${carbon(item.carbon_kg)}${partly(item.carbon_share)}`));
    }
    tr.append(cell("drawn.complete", shareAlike(item.complete)));
    if (data.other) {
      const change = data.level ? item.difference : item.change;
      const td = cell("drawn.change", change === null ? "–" : data.level ? apart(change, differences) : changeOf(item));
      if (!data.level && change !== null) td.className = `num ${change > 0.005 ? "over" : change < -0.005 ? "under" : ""}`;
      td.append(element("br"), element("span", "muted small", change === null ? t("drawn.no_days") : [t("drawn.compared_days", { n: count(item.compared) }), data.level || tells(change) ? "" : t("drawn.from_nothing")].filter(Boolean).join(", ")));
      tr.append(td);
    }
    return tr;
  }));
}

/** Peaks rest on quarter-hours, everything else on days: they come after it, into their places. */
async function peaks() {
  const table = document.getElementById("ranking");
  if (!table.dataset.peaks) return;
  const reply = await fetch(table.dataset.peaks).catch(() => null);
  const found = reply?.ok ? await reply.json() : {};
  const write = new Map(Object.values(found).map(({ unit }) => [unit, alike(Object.values(found).filter((one) => one.unit === unit).map((one) => one.peak), unit)]));
  for (const tr of table.querySelectorAll("tbody tr")) {
    const cell = tr.querySelector("[data-peak]");
    const one = found[tr.dataset.key];
    if (!one || one.peak === null) {
      cell.replaceChildren("–");
      cell.title = t(`drawn_peak.${one ? one.why : "failed"}`);
      continue;
    }
    cell.replaceChildren(write.get(one.unit)(one.peak));
    cell.title = `${fullWithUnit(one.peak, one.unit)}. ${t("drawn.peak_of_title", { minutes: one.minutes })}`;
    const item = data.items.find(({ key }) => key === tr.dataset.key);
    // What it rests on is said where that is less than what the row says is known.
    const rests = one.complete < item.complete - 0.005 ? t("drawn.peak_of_known", { share: share(Math.min(one.complete, 0.999)) }) : "";
    const when = [`${dateText(one.day, shown.day)}, ${one.clock}`, rests].filter(Boolean);
    cell.append(element("br"), element("span", "muted small", when.join(", ")));
    item.facts.notes.push([t("drawn.peak"), `${fullWithUnit(one.peak, one.unit)}, ${when.join(", ")}. ${t("drawn.peak_of_title", { minutes: one.minutes })}`]);
  }
  table.dataset.peaked = "yes";
}

function notes() {
  const parts = [];
  const missing = data.items.filter((item) => item.without === "area").map((item) => item.name);
  if (missing.length) parts.push(t("drawn.not_drawn", { names: missing.join(", ") }));
  if (["heating", "cooling", "production"].includes(data.per)) parts.push(t("drawn.as_amounts"));
  document.getElementById("compare-notes").textContent = parts.join(" ");
}

function view() {
  const chosen = document.querySelector("input[data-view=compare]:checked").value;
  const into = document.getElementById("compare-table");
  host.hidden = chosen === "table";
  into.hidden = chosen !== "table";
  if (!data) return;
  if (chosen === "table") table();
  else if (!draw) draw = plot(host, () => picture(document.querySelector("input[data-view=compare]:checked").value));
  else draw();
}

async function load() {
  const answer = await fetched(host.dataset.compare);
  if (!answer) return;
  data = answer;
  ranking();
  notes();
  view();
  host.removeAttribute("aria-busy");
  host.dataset.ready = "yes";
  await peaks();
}

const names = ["bars", "lines", "table"];
const wanted = location.hash.slice(1);
for (const input of document.querySelectorAll("input[data-view=compare]")) {
  input.checked = names.includes(wanted) ? input.value === wanted : input.checked;
  input.addEventListener("change", () => { history.replaceState(null, "", `${location.pathname}${location.search}#${input.value}`); view(); });
}
submitting();
start(load);
