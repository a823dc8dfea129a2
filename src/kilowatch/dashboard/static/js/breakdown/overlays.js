// What insights lay over the graph: what was expected, the forecast after now, events as marks.
import { fullWithUnit } from "../numbers.js";
import { marks, ribbon, steps } from "../insight/band.js";
import { t } from "../words.js";
import { alpha, css } from "./marks.js";

export const KINDS = ["expected", "forecast", "anomaly", "waste", "gap", "comment"];
const HOUR = 3_600_000;

/** Which overlays are switched on: all, until somebody says otherwise. */
export const chosen = (over) => new Set(!over ? KINDS : over === "none" ? [] : over.split(","));

/** Fetch what lies over a stretch; null where nothing can. */
export async function fetchOverlays(source, { from_ms: from, to_ms: to }, signal) {
  const reply = await fetch(`${source}from=${from}&to=${to}`, { signal });
  return reply.ok ? reply.json() : null;
}

/** The rows of an overlay in the panel's own measure: {start, end, low, q25, mid, q75, high}. */
function rowsOf(part, panel) {
  if (!part) return [];
  const rows = part.start.map((start, i) => ({
    start, end: part.end[i], low: part.low[i], q25: part.q25[i], mid: part.mid[i], q75: part.q75[i], high: part.high[i],
  }));
  const own = (panel.total ?? panel.channels[0])?.rows ?? [];
  const bucket = own.length ? own[0].end - own[0].start : HOUR;
  const wide = rows.length ? rows[0].end - rows[0].start : HOUR;
  if (bucket <= Math.max(wide, HOUR) && wide <= HOUR) {
    // Finer buckets than hours: an hour's rate holds in each of them.
    const factor = panel.measure === "amount" ? bucket / HOUR : 1;
    return rows.map((row) => Object.fromEntries(Object.entries(row)
      .map(([key, value]) => [key, key === "start" || key === "end" || value === null ? value : value * factor])));
  }
  return summed(rows, own, panel.measure === "amount");
}

/** What whole days to come take, where the graph has days: they have no bucket to be added up to. */
function daysAhead(part, panel) {
  const own = (panel.total ?? panel.channels[0])?.rows ?? [];
  const bucket = own.length ? (own[0].end - own[0].start) / HOUR : 0;
  if (!part || bucket < 22.5 || bucket > 25.5) return null;
  const amount = panel.measure === "amount";
  return part.start.map((start, i) => ({ start, end: part.end[i], low: null, q25: null, q75: null, high: null,
    mid: amount && part.mid[i] !== null ? part.mid[i] * (part.end[i] - start) / HOUR : part.mid[i] }));
}

/** The middles of hours or days added up to the buckets of the graph; bands can't be added up. */
function summed(rows, buckets, amount) {
  const found = [];
  let at = 0;
  for (const bucket of buckets) {
    while (at < rows.length && rows[at].start < bucket.start) at += 1;
    let sum = 0;
    let covered = 0;
    for (let i = at; i < rows.length && rows[i].end <= bucket.end; i += 1) {
      if (rows[i].mid === null) continue;
      sum += rows[i].mid * (rows[i].end - rows[i].start);
      covered += rows[i].end - rows[i].start;
    }
    const length = bucket.end - bucket.start;
    if (covered < 0.9 * length) continue;
    const mean = sum / covered;
    found.push({ start: bucket.start, end: bucket.end, low: null, q25: null, mid: amount ? mean * (length / HOUR) : mean, q75: null, high: null });
  }
  return found;
}

const column = (rows, key, factor) => rows.map((row) => (row[key] === null ? null : row[key] * factor));

/** Whether a panel shows the whole of what was expected: not one phase of it. */
export const fits = (panel, overlays) => ["W", "Wh", "m3", "m3/h", "°C", "°F"].includes(panel.unit) && overlays.parameters.includes(panel.name)
  && (panel.channels.length === 1 ? !panel.channels[0].phase : panel.measure === "amount");

/** Lay the rows of what is switched on beside a panel's own: drawn, told and in the table. */
export function layRows(panel, overlays, on, now) {
  panel.over = { expected: [], forecast: [] };
  if (!overlays || panel.other || !fits(panel, overlays)) return;
  if (on.has("expected")) panel.over.expected = rowsOf(overlays.expected, panel).filter((row) => row.start < now);
  if (on.has("forecast")) panel.over.forecast = (daysAhead(overlays.days_ahead, panel) ?? rowsOf(overlays.forecast, panel)).filter((row) => row.end > now);
}

/** What lies over a table's row: "12.3 kWh" expected or to come, or null. */
export const overAt = (panel, ms) => {
  const at = (rows) => rows.find((row) => ms >= row.start && ms < row.end);
  return at(panel.over.expected)?.mid ?? at(panel.over.forecast)?.mid ?? null;
};

/** The series of one panel. */
export function overlaySeries(panel, index, overlays, on, hue, factor, now, list) {
  const series = [];
  layRows(panel, overlays, on, now);
  if (overlays && fits(panel, overlays)) {
    const start = (rows) => rows.map((row) => row.start);
    const end = (rows) => rows.map((row) => row.end);
    if (on.has("expected")) {
      const rows = panel.over.expected;
      series.push(ribbon(start(rows), column(rows, "low", factor), column(rows, "high", factor), { fill: alpha(hue, 0.14) }, index, 1, end(rows)),
        ribbon(start(rows), column(rows, "q25", factor), column(rows, "q75", factor), { fill: alpha(hue, 0.16) }, index, 1, end(rows)),
        steps(start(rows), column(rows, "mid", factor), { width: 1.25, color: alpha(css("--text"), 0.6) }, index, 5, end(rows)));
    }
    if (on.has("forecast")) {
      const rows = panel.over.forecast;
      series.push(ribbon(start(rows), column(rows, "low", factor), column(rows, "high", factor), { fill: alpha(hue, 0.13) }, index, 1, end(rows)),
        ribbon(start(rows), column(rows, "q25", factor), column(rows, "q75", factor), { fill: alpha(hue, 0.15) }, index, 1, end(rows)),
        steps(start(rows), column(rows, "mid", factor), { width: 1.75, color: hue, type: [5, 4] }, index, 4, end(rows)));
    }
  }
  if (list.length) series.push(marks({ marks: list }, { waste: css("--waste"), anomaly: css("--anomaly"), comment: css("--muted"), surface: css("--surface"), family: css("--font") }, index, 6));
  return series;
}

/** The events whose kind is switched on. */
export const eventsOn = (overlays, on) => (overlays?.events ?? []).filter((event) => on.has(event.tone));

/** What is said of an instant, beside the pointer: [[name, value]]. */
export function told(panel, ms, unit) {
  const at = (rows) => rows.find((row) => ms >= row.start && ms < row.end);
  const text = (row) => fullWithUnit(Number(row.mid.toPrecision(3)), unit);
  const expected = at(panel.over?.expected ?? []);
  const coming = expected ? null : at(panel.over?.forecast ?? []);
  const found = [];
  if (expected && expected.mid !== null) found.push([t("overlay.expected"), text(expected)]);
  if (coming && coming.mid !== null) found.push([t("overlay.forecast"), text(coming)]);
  return found;
}

/** The events as a list with links, for those who see no marks. */
export function list(host, overlays, on, time) {
  const events = [...eventsOn(overlays, on)].sort((one, other) => one.from - other.from);
  if (!host) return;
  host.hidden = !events.length;
  host.replaceChildren(...events.map((event) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = event.href;
    link.className = event.tone;
    link.textContent = `${event.tone === "waste" ? "◆" : "▲"} ${event.title}`;
    const when = document.createElement("span");
    when.className = "muted";
    when.textContent = ` ${time.day(event.from, true)}, ${time.bareClock(event.from)}`;
    item.append(link, when);
    return item;
  }));
  if (overlays?.more_events && events.length) {
    const more = document.createElement("li");
    more.className = "muted";
    more.textContent = t("overlay.more", { n: overlays.more_events });
    host.append(more);
  }
}
