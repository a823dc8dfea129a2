// Heat map: a column for each day, midnight on top; on a phone a row for each day.
import { hatch, css } from "../breakdown/marks.js";
import { submitting } from "../insight/finder.js";
import { count, share, withUnit } from "../numbers.js";
import { SiteTime } from "../sitetime.js";
import { t } from "../words.js";
import { colours, place } from "./colours.js";
import { element, fetched, start, tile } from "./fetching.js";
import { table } from "./heat_table.js";

const MIN = 60_000;
const DAY_MIN = 1440;
const narrow = matchMedia("(max-width: 640px)");
const host = document.getElementById("heat");
const canvas = host.querySelector("canvas");
const keys = document.getElementById("heat-keys");
const cursor = document.getElementById("heat-cursor");
const told = document.getElementById("heat-told");
const tip = element("div", "hover");
tip.hidden = true;
tip.setAttribute("aria-hidden", "true");
host.parentElement.append(tip);

let data = null;
let time = null;
let at = { day: 0, cell: 0 };
let map = null;

/** The cells of a day in order of time: [{top, bottom, start, end, value, again}]. */
function cellsOf(answer, index) {
  const turn = answer.turns[index];
  if (turn) {
    return turn.values.map((value, i) => ({ value, top: turn.top[i], bottom: turn.bottom[i],
      start: turn.start_ms[i], end: turn.end_ms[i], again: turn.again[i] }));
  }
  const bin = answer.channel.bin_s / 60;
  const first = answer.days.start_ms[index];
  return (answer.days.values[index] ?? []).map((value, i) => ({ value, top: i * bin, bottom: (i + 1) * bin,
    start: first + i * bin * MIN, end: first + (i + 1) * bin * MIN, again: false }));
}

/** Where things are: days along one side, the time of day along the other. */
function layout(width) {
  const days = data ? data.days.day.length : Number(host.dataset.days);
  if (narrow.matches) {
    const size = days > 120 ? 4 : days > 40 ? 8 : 14;
    const left = 56;
    return { turned: true, days, left, top: 24, wide: width - left - 2, high: days * size, width, height: 24 + days * size + 8 };
  }
  return { turned: false, days, left: 48, top: 8, wide: width - 56, high: 432, width, height: 496 };
}

function box(index, from, to) {
  const along = (share_, start_, size) => Math.round(start_ + share_ * size);
  const { left, top, wide, high, days } = map;
  const [x0, x1, y0, y1] = map.turned
    ? [along(from / DAY_MIN, left, wide), along(to / DAY_MIN, left, wide), along(index / days, top, high), along((index + 1) / days, top, high)]
    : [along(index / days, left, wide), along((index + 1) / days, left, wide), along(from / DAY_MIN, top, high), along(to / DAY_MIN, top, high)];
  return [x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0)];
}

function draw() {
  const width = host.clientWidth;
  if (!width) return;
  map = layout(width);
  host.style.height = `${map.height}px`;
  host.style.minHeight = `${map.height}px`;
  if (!data) return;
  const ratio = Math.min(3, devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(map.height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${map.height}px`;
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, map.height);
  const missing = pen.createPattern(hatch(css("--gap"), css("--surface")).image, "repeat");
  missing.setTransform(new DOMMatrix().scale(1 / ratio));
  const line = data.scale ? colours(data.scale.kind, data.point.utility) : [];
  const { begin_ms: begin, until_ms: until } = data.window;
  for (let i = 0; i < map.days; i += 1) {
    for (const cell of cellsOf(data, i)) {
      if (cell.value === null && (cell.end <= begin || cell.end > until)) continue;
      pen.fillStyle = cell.value === null ? missing : line[place(cell.value, data.scale)];
      pen.fillRect(...box(i, cell.top, cell.bottom));
    }
    for (const [from, to] of data.turns[i]?.skipped ?? []) {
      pen.fillStyle = missing;
      pen.fillRect(...box(i, from, to));
    }
  }
  axes(pen);
  host.dataset.drawn = String(Number(host.dataset.drawn ?? 0) + 1);
  point();
}

/** Hours on one side, months on the other, weekends and closed days as a strip between. */
function axes(pen) {
  const font = css("--font");
  pen.font = `12px ${font}`;
  pen.fillStyle = css("--muted");
  const step = map.turned ? 4 : 3;
  for (let hour = 0; hour <= 24; hour += step) {
    const text = `${String(hour).padStart(2, "0")}:00`;
    if (map.turned) {
      pen.textAlign = hour === 0 ? "left" : hour === 24 ? "right" : "center";
      pen.textBaseline = "alphabetic";
      if (hour % 8 === 0) pen.fillText(text, map.left + map.wide * hour / 24, map.top - 8);
    } else {
      pen.textAlign = "right";
      pen.textBaseline = hour === 0 ? "top" : hour === 24 ? "bottom" : "middle";
      pen.fillText(text, map.left - 6, map.top + map.high * hour / 24);
    }
  }
  for (const [index, mark] of Object.entries(data.marks)) {
    const [x, y, w, h] = box(Number(index), 0, DAY_MIN);
    const closed = mark !== "weekend";
    pen.fillStyle = closed ? css("--ink") : css("--line-strong");
    if (map.turned) pen.fillRect(map.left - (closed ? 8 : 6), y, closed ? 6 : 3, h);
    else pen.fillRect(x, map.top + map.high + 2, w, closed ? 8 : 4);
  }
  pen.strokeStyle = css("--text");
  pen.fillStyle = css("--muted");
  let last = -100;
  const dense = data.days.day.length > 70;
  data.days.day.forEach((day, i) => {
    const first = day.endsWith("-01");
    if (dense ? !first && i !== 0 : (i % (map.turned ? 2 : 3)) !== 0) return;
    const [x, y] = box(i, 0, DAY_MIN);
    const text = dense ? time.month(data.days.start_ms[i], first && day.slice(5, 7) === "01" || i === 0) : time.short(data.days.start_ms[i]);
    const where = map.turned ? y : x;
    if (where - last < (map.turned ? 14 : 46) || (!map.turned && x > map.left + map.wide - 40)) return;
    last = where;
    if (map.turned) {
      pen.textAlign = "right";
      pen.textBaseline = "top";
      pen.fillText(dense ? time.month(data.days.start_ms[i], false) : text, map.left - 12, y);
    } else {
      pen.textAlign = "left";
      pen.textBaseline = "top";
      pen.fillText(text, x + 3, map.top + map.high + 24);
      pen.fillStyle = css("--line-strong");
      pen.fillRect(x, map.top + map.high + 12, 1, 22);
      pen.fillStyle = css("--muted");
    }
  });
  for (const index of Object.keys(data.turns)) {
    const [x, y, w, h] = box(Number(index), 0, DAY_MIN);
    pen.fillStyle = css("--text");
    pen.beginPath();
    if (map.turned) { pen.moveTo(map.left - 1, y + h / 2); pen.lineTo(map.left - 8, y + h / 2 - 4); pen.lineTo(map.left - 8, y + h / 2 + 4); }
    else { pen.moveTo(x + w / 2, map.top - 1); pen.lineTo(x + w / 2 - 4, 1); pen.lineTo(x + w / 2 + 4, 1); }
    pen.fill();
  }
}

const clockOf = (minutes) => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(Math.round(minutes % 60)).padStart(2, "0")}`;

/** What is told of a cell, line by line. */
function lines(index, cell, skip) {
  const day = time.day(data.days.start_ms[index], true);
  const mark = data.marks[index];
  const named = mark && mark !== "weekend" ? `${day} · ${mark}` : day;
  if (skip) return [named, t("drawn.skipped", { from: clockOf(skip[0]), to: clockOf(skip[1]) })];
  const span = `${time.clock(cell.start)} – ${time.clock(cell.end)}${cell.again ? ` (${t("drawn.again")})` : ""}`;
  const { unit, amount_unit: amount } = data.channel;
  if (cell.value === null) {
    const why = cell.end <= data.window.begin_ms ? "drawn.before" : cell.end > data.window.until_ms ? "drawn.after" : "drawn.missing";
    return [named, span, t(why)];
  }
  const energy = amount ? ` · ${withUnit(cell.value * (cell.end - cell.start) / 3_600_000, amount)}` : "";
  return [named, span, `${withUnit(cell.value, unit)}${energy}`];
}

function show(index, cell, skip, x, y) {
  const [title, ...rest] = lines(index, cell, skip);
  tip.replaceChildren(element("div", "title-line", title), ...rest.map((text, i) => element("div", i === rest.length - 1 ? "" : "muted", text)));
  tip.hidden = false;
  const left = host.offsetLeft + x;
  const beside = left + 16 + tip.offsetWidth > host.parentElement.clientWidth ? left - 16 - tip.offsetWidth : left + 16;
  tip.style.left = `${Math.max(4, beside)}px`;
  tip.style.top = `${host.offsetTop + Math.max(0, y - tip.offsetHeight - 8)}px`;
}

/** The day and the cell under a point, or null. */
function hit(x, y) {
  const [along, down] = map.turned ? [(y - map.top) / map.high, (x - map.left) / map.wide] : [(x - map.left) / map.wide, (y - map.top) / map.high];
  if (along < 0 || along >= 1 || down < 0 || down >= 1) return null;
  const index = Math.floor(along * map.days);
  const minute = down * DAY_MIN;
  const skip = data.turns[index]?.skipped.find(([from, to]) => minute >= from && minute < to);
  const cells = cellsOf(data, index);
  const number = cells.findIndex((cell) => minute >= cell.top && minute < cell.bottom);
  return skip ? { index, skip } : number < 0 ? null : { index, number, cell: cells[number] };
}

/** Put the frame around the cell that the keyboard is on. */
function point() {
  const shown = document.activeElement === keys;
  cursor.hidden = !shown;
  if (!shown || !map) return;
  const cell = cellsOf(data, at.day)[at.cell];
  if (!cell) { cursor.hidden = true; return; }
  const [x, y, w, h] = box(at.day, cell.top, cell.bottom);
  Object.assign(cursor.style, { left: `${x - 3}px`, top: `${y - 3}px`, width: `${w + 6}px`, height: `${h + 6}px` });
  told.textContent = lines(at.day, cell).join(", ");
  show(at.day, cell, null, x + w, y);
}

function move(event) {
  if (!data) return;
  const cells = cellsOf(data, at.day).length;
  const [day, cell] = map.turned ? [["ArrowUp", "ArrowDown"], ["ArrowLeft", "ArrowRight"]] : [["ArrowLeft", "ArrowRight"], ["ArrowUp", "ArrowDown"]];
  const steps = { [day[0]]: [-1, 0], [day[1]]: [1, 0], [cell[0]]: [0, -1], [cell[1]]: [0, 1], PageUp: [-7, 0], PageDown: [7, 0], Home: [-map.days, 0], End: [map.days, 0] };
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(at.day); return; }
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  const minute = cellsOf(data, at.day)[at.cell]?.top ?? 0;
  at.day = Math.min(map.days - 1, Math.max(0, at.day + step[0]));
  if (step[1]) at.cell = Math.min(cells - 1, Math.max(0, at.cell + step[1]));
  else {
    const there = cellsOf(data, at.day).findIndex((one) => one.bottom > minute);
    at.cell = Math.max(0, there);
  }
  point();
}

const address = (index) => {
  const { parameter, apart } = data.channel;
  return `/breakdown/${data.point.id}?period=day&date=${data.days.day[index]}&show=${parameter}${apart ? "&phases=apart" : ""}`;
};
function open(index) { location.assign(address(index)); }

function legend() {
  const into = document.getElementById("heat-legend");
  into.replaceChildren();
  const entry = (className, text) => { const node = element("span", "entry"); node.append(element("i", className, "", { "aria-hidden": "true" }), element("span", "", text)); return node; };
  const { scale } = data;
  if (scale) {
    const { unit } = data.channel;
    const ramp = element("span", "ramp");
    const strip = element("canvas", "", "", { width: 256, height: 12, role: "img", "aria-label": t("drawn.scale", { from: withUnit(scale.low, unit), to: withUnit(scale.high, unit) }) });
    const pen = strip.getContext("2d");
    colours(scale.kind, data.point.utility).forEach((colour, i) => { pen.fillStyle = colour; pen.fillRect(i, 0, 1, 12); });
    const ends = element("span", "ends");
    const clipped = scale.highest > scale.high * (scale.high > 0 ? 1.0001 : 1);
    const values = scale.middle === null ? [scale.low, scale.high] : [scale.low, scale.middle, scale.high];
    values.forEach((value, i) => ends.append(element("span", "", `${clipped && i === values.length - 1 ? "≥ " : ""}${withUnit(value, unit)}`)));
    ramp.append(strip, ends);
    into.append(ramp);
    if (clipped) into.append(element("span", "entry", t("drawn.clipped", { high: withUnit(scale.high, unit), highest: withUnit(scale.highest, unit) })));
    if (scale.kind === "range") into.append(element("span", "entry", t("drawn.not_zero", { low: withUnit(scale.low, unit) })));
  }
  into.append(entry("", t("drawn.missing_key")), entry("weekend", t("drawn.weekend")), entry("closed", t("drawn.closed")));
  const changes = Object.entries(data.turns).map(([index, turn]) => {
    const day = time.day(data.days.start_ms[index], true);
    if (turn.skipped.length) return t("drawn.spring", { day, from: clockOf(turn.skipped[0][0]), to: clockOf(turn.skipped[0][1]) });
    return t(map.turned ? "drawn.autumn_turned" : "drawn.autumn", { day });
  });
  document.getElementById("heat-notes").textContent = changes.join(" ");
}

/** What stands behind a figure, in the shape of dashboard/behind.py. */
function behindOf(key) {
  const { facts: own, channel, window } = data;
  const cells = key === "total" || key === "mean" ? "" : t("drawn.cells_known", { n: count(own.cells), known: count(own.known), minutes: channel.bin_s / 60 });
  const amount = channel.amount_unit;
  return {
    means: t(`why_of.${{ high: "high_cell", low: "low_cell" }[key] ?? key}`, { minutes: channel.bin_s / 60 }),
    points: data.sources,
    days: `${window.name}, ${data.point.zone.split("|").at(-1)}`,
    intervals: [channel.title, cells].filter(Boolean).join(", "),
    complete: own.complete,
    since: own.known_since,
    shares: own.shares,
    across: key === "total" && own.unallocated ? { value: own.unallocated, unit: amount } : null,
  };
}

function facts() {
  const { facts: own, channel } = data;
  const stamp = (ms) => (ms === null ? "" : time.stamp(ms));
  const tiles = [];
  if (channel.amount_unit) tiles.push(tile(t("drawn.total"), withUnit(own.total, channel.amount_unit), own.unallocated ? t("drawn.across", { amount: withUnit(own.unallocated, channel.amount_unit) }) : "", behindOf("total")));
  tiles.push(tile(t("drawn.mean"), withUnit(own.mean, channel.unit), "", behindOf("mean")),
    tile(t("drawn.highest"), withUnit(own.high, channel.unit), stamp(own.high_ms), behindOf("high")),
    tile(t("drawn.lowest"), withUnit(own.low, channel.unit), stamp(own.low_ms), behindOf("low")),
    tile(t("drawn.complete"), share(own.complete), own.complete < 0.9995 ? t("drawn.incomplete") : "", behindOf("complete")));
  document.getElementById("facts").replaceChildren(...tiles);
}

async function load() {
  draw();
  const answer = await fetched(host.dataset.heat);
  if (!answer) return;
  data = answer;
  time = new SiteTime(answer.window.offsets);
  const last = data.days.start_ms.findLastIndex((ms) => ms < data.window.until_ms);
  at = { day: Math.max(0, last), cell: Math.floor(cellsOf(data, Math.max(0, last)).length / 2) };
  facts();
  draw();
  legend();
  host.removeAttribute("aria-busy");
  host.dataset.ready = "yes";
}

keys.addEventListener("mousemove", (event) => {
  if (!data) return;
  const found = hit(event.offsetX, event.offsetY);
  if (!found) { tip.hidden = true; return; }
  show(found.index, found.cell, found.skip, event.offsetX, event.offsetY);
});
keys.addEventListener("mouseleave", () => { tip.hidden = true; });
keys.addEventListener("click", (event) => { const found = data && hit(event.offsetX, event.offsetY); if (found) open(found.index); });
keys.addEventListener("keydown", move);
keys.addEventListener("focus", () => { if (data && keys.matches(":focus-visible")) point(); });
keys.addEventListener("blur", () => { cursor.hidden = true; tip.hidden = true; });
for (const input of document.querySelectorAll("input[data-view=heat]")) {
  input.addEventListener("change", () => {
    const asTable = input.value === "table";
    const into = document.getElementById("heat-table");
    host.hidden = asTable;
    into.hidden = !asTable;
    document.getElementById("heat-legend").hidden = asTable;
    if (asTable && data) table(into, data, time, cellsOf, address);
    else draw();
  });
}
document.addEventListener("kw:theme", () => { if (data) { draw(); legend(); } });
narrow.addEventListener("change", () => { if (data) { draw(); legend(); } });
let planned = null;
new ResizeObserver(() => {
  clearTimeout(planned);
  planned = setTimeout(() => { if (map && host.clientWidth && host.clientWidth !== map.width) draw(); }, 60);
}).observe(host);
submitting();
start(load);
