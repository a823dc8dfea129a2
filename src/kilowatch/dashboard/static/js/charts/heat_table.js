// The heat map as a table: a row for each day, which opens it, and a column for each time of day.
import { count, fullWithUnit, scaleFor, short } from "../numbers.js";
import { asRead } from "../units.js";
import { t } from "../words.js";
import { element } from "./fetching.js";

const AT_ONCE = 62; // days that a browser lays out without anyone waiting
const DAY = 86_400_000;

export function table(host, data, time, cellsOf, address, all = false) {
  const bin = data.channel.bin_s / 60;
  const { unit } = data.channel;
  const scale = scaleFor(asRead(0, unit).unit, Math.max(Math.abs(data.scale?.highest ?? 0), Math.abs(data.scale?.lowest ?? 0)));
  const text = (value) => short(asRead(value, unit).value * scale.factor);
  const node = element("table", "figures-table heat-table");
  node.append(element("caption", "sr", t("drawn.table", { name: data.channel.title, unit: scale.unit })));
  const labels = element("tr");
  labels.append(element("th", "", `${t("drawn.day")}${scale.unit ? ` [${scale.unit}]` : ""}`, { scope: "col" }), element("th", "", t("drawn.kind"), { scope: "col" }));
  for (let minute = 0; minute < 1440; minute += bin) {
    labels.append(element("th", "num", `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`, { scope: "col" }));
  }
  const head = element("thead");
  head.append(labels);
  const body = element("tbody");
  const days = data.days.day.map((_, i) => i).filter((i) => data.days.start_ms[i] < data.window.until_ms);
  const newest = days.toReversed();
  for (const i of all ? newest : newest.slice(0, AT_ONCE)) {
    const row = element("tr");
    const th = element("th", "", "", { scope: "row" });
    th.append(element("a", "", time.day(data.days.start_ms[i], true), { href: address(i) }));
    const mark = data.marks[i];
    row.append(th, element("td", "muted", mark === "weekend" ? t("drawn.weekend") : mark ?? ""));
    const columns = new Map();
    for (const cell of cellsOf(data, i)) {
      const column = Math.floor((((time.local(cell.start) % DAY) + DAY) % DAY) / 60_000 / bin);
      columns.set(column, [...(columns.get(column) ?? []), cell]);
    }
    for (let column = 0; column < 1440 / bin; column += 1) {
      const cells = columns.get(column) ?? [];
      const known = cells.filter((cell) => cell.value !== null);
      const missing = cells.length === 0 ? t("drawn.no_hour") : t("drawn.missing");
      row.append(known.length
        ? element("td", "num", cells.map((cell) => (cell.value === null ? "–" : text(cell.value))).join(" / "),
          { title: cells.map((cell) => (cell.value === null ? t("drawn.missing") : fullWithUnit(cell.value, unit))).join(" / ") })
        : element("td", "num none", "–", { title: missing }));
    }
    body.append(row);
  }
  node.append(head, body);
  host.replaceChildren(node);
  if (!all && newest.length > AT_ONCE) {
    const more = element("button", "button", t("drawn.all_days", { n: count(newest.length) }), { type: "button" });
    more.addEventListener("click", () => table(host, data, time, cellsOf, address, true));
    host.append(more);
  }
}
