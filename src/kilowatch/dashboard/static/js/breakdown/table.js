// The graph as a table: every bucket with its full value, holes said aloud, sums at the foot.
import { touches } from "../insight/band.js";
import { column, count, fullWithUnit, scaleFor, share } from "../numbers.js";
import { t } from "../words.js";
import { changeText, what } from "./compare.js";
import { layRows, overAt } from "./overlays.js";
import { gaps } from "./rows.js";

const AT_ONCE = 1_000; // rows that a browser lays out without anyone waiting

function cell(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function row(cells) {
  const node = document.createElement("tr");
  node.append(...cells);
  return node;
}

function columnsOf(panels, compare) {
  return panels.flatMap((panel) => [...panel.channels, ...(panel.total && !panel.other ? [panel.total] : [])].flatMap((channel) => {
    const name = channel.band ? (panel.other ? `${panel.other.name}: ${channel.title}` : channel.title) : channel.phase && channel.phase_title ? `${panel.title} ${channel.phase_title}` : panel.title;
    const largest = Math.max(0, ...channel.rows.map((item) => Math.abs(item.value ?? 0)));
    const scale = scaleFor(panel.unit, largest);
    const format = column(largest, scale.factor);
    const base = { panel, channel, scale, format, by: new Map(channel.rows.map((item) => [item.start, item])) };
    const unit = scale.unit ? ` [${scale.unit}]` : "";
    if (panel.measure === "amount") {
      const across = channel.rows.some((item) => item.unallocated);
      return [{ ...base, key: "value", title: `${name}${unit}` }, ...besides(base, compare, unit),
        ...(across ? [{ ...base, key: "unallocated", title: `${t("table.across_gap")}${unit}` }] : [])];
    }
    return [{ ...base, key: "value", title: `${name}, ${t("table.mean")}${unit}` }, ...besides(base, compare, unit),
      { ...base, key: "low", title: `${t("table.min")}${unit}` }, { ...base, key: "high", title: `${t("table.max")}${unit}` }];
  }));
}

/** The other side of a comparison, and the change, beside a channel's own column. */
function besides(base, compare, unit) {
  const other = base.panel.against.find((channel) => channel.beside === base.channel.channel);
  if (!other) return [];
  const by = new Map(other.rows.map((item) => [item.start, item]));
  const both = new Map([...base.by].filter(([start, item]) => by.has(start) && item.value !== null && by.get(start).value !== null)
    .map(([start, item]) => {
      const then = by.get(start).value;
      return [start, { value: then ? (item.value - then) / Math.abs(then) : null, difference: item.value - then }];
    }));
  return [{ ...base, by, key: "value", beside: true, title: `${what(compare)}${unit}` },
    { ...base, by: both, key: "value", beside: true, change: true, format: share, title: t("compare.column_change") }];
}

function footBeside(item, entry) {
  const change = entry?.change;
  if (!change) return cell("td", "–", { class: "num" });
  if (item.change) return cell("td", changeText(change, entry.unit), { class: "num", "data-value": change.share ?? "" });
  return cell("td", item.format(change.value), { class: "num", "data-value": change.value, title: fullWithUnit(change.value, entry.unit) });
}

function foot(columns, answer, notes, more) {
  const cells = [cell("th", t("table.total"), { scope: "row" })];
  for (const item of columns) {
    const figures = (item.panel.other ? answer.compare : answer).statistics.find((entry) => entry.channel === item.channel.channel
      && entry.measure === item.panel.measure);
    if (item.beside) { cells.push(footBeside(item, figures)); continue; }
    let value = null;
    if (item.panel.measure === "amount") {
      value = item.key === "unallocated" ? figures?.unallocated : figures?.total === null || !figures ? null : figures.total - figures.unallocated;
    } else value = { value: figures?.mean, low: figures?.low, high: figures?.high }[item.key] ?? null;
    cells.push(cell("td", value === null || value === undefined ? "–" : item.format(value),
      { class: "num", "data-value": value ?? "", title: fullWithUnit(value, item.panel.unit) }));
  }
  cells.push(cell("td", ""), ...(notes ? [cell("td", "")] : []), ...Array.from({ length: more }, () => cell("td", "")));
  return row(cells);
}

function note(item) {
  if (item.quality === 4) return t("quality.questionable");
  if (item.quality === 1) return t("quality.derived");
  if (item.quality === 3) return t("quality.estimated");
  if (item.quality === 2) return t("quality.edited");
  return "";
}

/** Draw the table into `host`. Redrawing with the same shape keeps the scroll position. */
export function draw(host, answer, panels, time, over = null, all = false) {
  const columns = columnsOf(panels, answer.compare);
  const laid = over ? panels.filter((panel) => { layRows(panel, over.overlays, over.on, answer.window.now_ms); return panel.over.expected.length + panel.over.forecast.length; })
    .map((panel) => ({ panel, column: columns.find((item) => item.panel === panel && !item.beside && (!panel.total || item.channel === panel.total)) })).filter(({ column: own }) => own) : [];
  const marks = over?.marks ?? [];
  const starts = [...new Set(columns.flatMap((item) => [...item.by.keys()]))].sort((a, b) => a - b);
  const table = document.createElement("table");
  table.className = "figures-table";
  const caption = cell("caption", t("table.caption", { name: answer.point.name }), { class: "sr" });
  // A row is of this period where its own side has one; a hole has only the other side.
  const own = columns.filter((item) => !item.beside);
  // How much is known of a bucket is what is known of its total, where there is one.
  const mine = [...own.filter((item) => item.channel === item.panel.total), ...own.filter((item) => item.channel !== item.panel.total)];
  const blank = { value: null, count: 0, covered: 0, unallocated: 0, quality: 0 };
  const merged = starts.map((start) => mine.map((item) => item.by.get(start)).find(Boolean)
    ?? { ...blank, ...(({ start: at, end }) => ({ start: at, end }))(columns.find((item) => item.by.has(start)).by.get(start)) });
  const notes = merged.some(note);
  const head = document.createElement("thead");
  // The year stands once at the head, where it is one: in every row it would take a column's room.
  const { first, last } = answer.window;
  const year = first.slice(0, 4) === last.slice(0, 4) ? first.slice(0, 4) : "";
  head.append(row([cell("th", t(year ? "table.time_in" : "table.time", { zone: answer.point.zone, year }), { scope: "col" }),
    ...columns.map((item) => cell("th", item.title, { scope: "col", class: "num" })),
    cell("th", t("table.known"), { scope: "col", class: "num" }),
    ...(notes ? [cell("th", t("table.note"), { scope: "col" })] : []),
    ...laid.map(({ panel, column: own }) => cell("th", `${laid.length > 1 ? `${panel.title}, ` : ""}${t("table.expected")}${own.scale.unit ? ` [${own.scale.unit}]` : ""}`, { scope: "col", class: "num" })),
    ...(marks.length ? [cell("th", t("table.marks"), { scope: "col" })] : [])]));
  const body = document.createElement("tbody");
  const extent = answer.extent;
  const holes = merged.length && extent ? gaps(merged, merged[0].start, merged.at(-1).end) : [];
  let hole = 0;
  for (const item of all ? merged : merged.slice(0, AT_ONCE)) {
    while (hole < holes.length && holes[hole].from < item.start) {
      const gap = holes[hole];
      const text = t("table.hole", { until: time.stamp(gap.to) });
      body.append(row([cell("th", time.stamp(gap.from), { scope: "row" }),
        cell("td", text, { colspan: columns.length + (notes ? 2 : 1) + laid.length + (marks.length ? 1 : 0), class: "hole" })]));
      hole += 1;
    }
    const line = row([cell("th", time.begin(item.start, item.end - item.start, !year), { scope: "row" }),
      ...columns.map((column_) => {
        const own = column_.by.get(item.start);
        const value = own ? own[column_.key] : null;
        const known = value !== null && value !== undefined;
        if (column_.change) {
          return cell("td", known ? changeText({ of: "", share: value, difference: own.difference }, column_.panel.unit) : "–",
            { class: "num", "data-value": known ? value : "", "data-key": "change" });
        }
        return cell("td", known ? column_.format(value) : "–", { class: "num",
          "data-value": known ? value : "", "data-channel": column_.channel.channel, "data-key": column_.beside ? "beside" : column_.key,
          title: known ? fullWithUnit(value, column_.panel.unit) : t("table.unknown") });
      }),
      cell("td", share(item.covered), { class: "num muted" }), ...(notes ? [cell("td", note(item), { class: "muted" })] : []),
      ...laid.map(({ panel, column: own }) => { const value = overAt(panel, item.start); return cell("td", value === null ? "–" : own.format(value), { class: "num muted", "data-key": "expected" }); }),
      ...(marks.length ? [cell("td", marks.filter((one) => touches(one, item.start, item.end)).map((one) => one.title).join("; "), { "data-key": "marks" })] : [])]);
    line.dataset.start = item.start;
    body.append(line);
  }
  const footer = document.createElement("tfoot");
  if (starts.length) footer.append(foot(columns, answer, notes, laid.length + (marks.length ? 1 : 0)));
  table.append(caption, head, body, footer);
  const scroll = host.scrollTop;
  host.replaceChildren(table);
  host.scrollTop = scroll;
  if (!all && merged.length > AT_ONCE) {
    const more = cell("button", t("table.more", { n: count(merged.length) }), { type: "button", class: "button" });
    more.addEventListener("click", () => draw(host, answer, panels, time, over, true));
    host.append(more);
  }
  if (!starts.length) host.append(cell("p", t("table.empty"), { class: "muted" }));
}
