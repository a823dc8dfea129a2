// Breakdown: asks for what the URL names, draws it, and keeps it up to date without moving it.
import { listen } from "../live.js";
import { now } from "../freshness.js";
import { age, SiteTime } from "../sitetime.js";
import { seriesAsRead } from "../units.js";
import { t } from "../words.js";
import { Comments } from "./comments.js";
import { bandAt, link, notes } from "./bands.js";
import { Calendar } from "./calendar.js";
import { build, panelsOf } from "./chart.js";
import { Comparison } from "./compare.js";
import { Controls } from "./controls.js";
import { Hover } from "./hover.js";
import { besideOf, list, tiles } from "./figures.js";
import { label, name, narrow } from "./heading.js";
import { rowAt } from "./rows.js";
import { fullHeight, fullScreen } from "./full.js";
import * as states from "./state.js";
import * as overlay from "./overlays.js";
import { draw as drawTable } from "./table.js";
import { tell } from "./worth.js";

const root = document.getElementById("breakdown");
const point = root.dataset.point;
const series = root.dataset.pointSeries.split(",");
const level = "level" in root.dataset; // a site or a meter: its total is stacked
const source = root.dataset.source ?? `/data/series?point=${point}&`;
const host = document.getElementById("chart");
const message = document.getElementById("message");
const tableHost = document.getElementById("table");

let state = states.read();
let answer = null;
let time = null;
let chart = null;
let built = null;
let asking = null;
let overlays = null;
const eventList = document.getElementById("overlay-events");

const calendar = new Calendar(document.getElementById("calendar"), { source: root.dataset.days ?? `/data/days?point=${point}&`, choose: (day) => controls.day(day) });
const controls = new Controls(root, {
  change(changes) {
    state = { ...state, ...changes };
    states.write(state);
    load();
  },
});

// At the level of a site what lies beside the stack is of the utility that is chosen.
const asked = (name, own) => () => (level ? `${root.dataset[name]}${state.utility ? `utility=${state.utility}&` : ""}` : own);
const comparison = new Comparison(root, { source: asked("offers", `/data/points?point=${point}&`), choose: (compare) => controls.change({ compare }) });
const comments = new Comments(root, { point, source: asked("comments", `/data/comments?point=${point}&`), changed: () => { if (answer && root.dataset.frame === "graph") redraw(); } });
const overlaySource = asked("overlays", `/data/overlays?point=${point}&`);
const worthSaid = root.querySelector("[data-worth-said]");

async function load({ quiet = false } = {}) {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  if (!quiet) root.setAttribute("aria-busy", "true");
  try {
    const reply = await fetch(`${source}${states.dataQuery(state)}`, {
      signal: mine.signal, headers: { accept: "application/json" },
    });
    if (reply.status === 401) { location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`); return; }
    const body = await reply.json();
    if (!reply.ok) {
      // A live update that fails leaves what is being read as it is; the next one will mend it.
      if (!quiet || !answer) say("bad", body.detail ?? t("failed.title"), body.remedy ?? "", { retry: true });
      // The store is opening, or busy: that passes by itself.
      if (reply.status === 503) setTimeout(() => { if (!asking) load({ quiet: true }); }, 2000);
      return;
    }
    if (answer && (body.window.from_ms !== answer.window.from_ms || body.window.to_ms !== answer.window.to_ms)) overlays = null;
    answer = seriesAsRead(body);
    show(quiet);
    await lay(mine.signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!quiet || !answer) say("bad", t("failed.title"), t("failed.next"), { retry: true });
  } finally {
    if (asking === mine) { asking = null; root.removeAttribute("aria-busy"); root.dataset.ready = "yes"; }
  }
}

/** Lay what insights say over the graph; without it the graph stands as it is. */
async function lay(signal) {
  if (!answer?.extent || answer.extent.packets < 2) return;
  comments.events = () => overlay.eventsOn(overlays, overlay.chosen(state.over));
  comments.load(answer, time);
  if (!eventList) { root.dataset.laid = "yes"; return; }
  const on = overlay.chosen(state.over);
  overlays = on.size ? await overlay.fetchOverlays(overlaySource(), answer.window, signal).catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  }) : null;
  overlay.list(eventList, overlays, on, time);
  redraw();
  root.dataset.laid = "yes";
}

/** Draw again what is on the page, with what lies over it now. */
function redraw() {
  if (root.dataset.frame !== "graph") return;
  if (state.view === "table") drawTable(tableHost, answer, panelsOf(answer), time, over());
  else if (!host.hidden) drawChart();
}

/** Everything that is marked on the time axis: events, and comments unless they are switched off. */
function marked() {
  const on = overlay.chosen(state.over);
  const events = overlay.eventsOn(overlays, on);
  return [...(level ? events.map((event) => ({ ...event, plain: true })) : events), ...(on.has("comment") ? comments.marks() : [])];
}

const over = () => ({ overlays, on: overlay.chosen(state.over), marks: marked() });

/** One sentence and one next step, in the place where the graph would be, or above it. */
function say(kind, title, next, { retry = false, link = null } = {}) {
  message.className = `notice ${kind}`;
  message.querySelector("strong").textContent = title;
  message.querySelector("span").textContent = next;
  message.querySelector("button").hidden = !retry;
  const anchor = message.querySelector("a");
  anchor.hidden = !link;
  if (link) { anchor.href = link.href; anchor.textContent = link.text; }
  message.hidden = false;
  delete message.dataset.reserved;
  if (!answer) frame("message");
}

function frame(kind) {
  root.dataset.frame = kind;
  host.hidden = kind !== "graph" || state.view === "table";
  tableHost.hidden = kind !== "graph" || state.view !== "table";
}

function show(quiet) {
  time = new SiteTime(answer.window.offsets);
  const spelled = { ...answer.state, over: state.over, view: state.view };
  if (!quiet && location.search) { state = spelled; states.write(state, { replace: true }); }
  const { window, extent } = answer;
  controls.show(answer, { ...spelled, view: state.view ?? "graph" });
  comparison.show(answer, time);
  if (level) { root.className = `breakdown ${answer.point.utility}`; notes(root.querySelector("[data-notes]"), answer); }
  if (worthSaid) tell(worthSaid, answer);
  calendar.show({
    first: window.first, last: window.last, today: window.today, fresh: quiet,
    begin: extent ? extent.first_day : window.today,
  });
  name(window);
  root.querySelector("[data-zone]").textContent = answer.point.zone;
  for (const node of root.querySelectorAll("#empty, #single")) node.hidden = true;
  message.hidden = true;
  delete message.dataset.reserved;
  if (!extent) { document.getElementById("empty").hidden = false; frame("empty"); figures(false); return; }
  if (extent.packets < 2) {
    const single = document.getElementById("single");
    single.querySelector("[data-when]").textContent = time.stamp(extent.last_ms);
    single.hidden = false;
    frame("single"); figures(false);
    return;
  }
  frame("graph");
  notices(window, extent);
  figures(true);
  if (state.view === "table") drawTable(tableHost, answer, panelsOf(answer), time, over());
  else drawChart();
}

function notices(window, extent) {
  const current = window.now_ms;
  if (!answer.channels.some((channel) => channel.start_ms.length)) {
    const before = window.to_ms <= extent.first_ms;
    say("", t(before ? "none.before" : window.from_ms > extent.last_ms ? "none.after" : "none.between"), "", {
      link: { href: `?period=${window.period === "custom" ? "day" : window.period}&date=${before ? extent.first_day : extent.last_day}`,
        text: t(before ? "none.go_first" : "none.go_last") },
    });
  } else if (window.to_ms > current && answer.status.late) {
    const { came_ms: came, lags } = answer.status;
    say("late", t("late.title", { age: age(current - came) }),
      t(lags ? "late.next_for" : "late.next", { when: time.stamp(came), stamp: time.stamp(extent.last_ms) }),
      { link: { href: `/attributes/${point}`, text: t("late.link") } });
  } else if (window.to_ms > current && answer.status.lags) {
    say("", t("late.lags_title", { age: age(current - answer.status.came_ms), stamp: time.stamp(extent.last_ms) }), t("late.lags_next"),
      { link: { href: `/attributes/${point}`, text: t("late.link") } });
  } else if (answer.status.recomputing !== null) {
    say("", t("recomputing.title"), t("recomputing.next"));
  }
}

function figures(on) {
  const strip = document.getElementById("tiles");
  const below = document.getElementById("statistics");
  strip.hidden = !on;
  below.hidden = !on;
  if (!on) return;
  tiles(strip, answer, time);
  list(below, answer, time);
  if (level) link(below, answer);
  if (answer.compare?.bands) link(below, besideOf(answer), "table.of-other");
}

function drawChart() {
  const width = host.clientWidth;
  if (!width) return;
  built = build(answer, time, width, narrow.matches, over(), fullHeight(host));
  host.style.height = `${built.height}px`;
  if (!chart) {
    chart = echarts.init(host, null, { renderer: "canvas" });
    chart.getZr().on("click", drill);
    chart.getZr().on("dblclick", (event) => {
      if (built && !built.coarse && inside(event)) comments.open({ at: chart.convertFromPixel({ xAxisIndex: 0 }, event.offsetX) });
    });
    const hover = new Hover(host);
    chart.getZr().on("mousemove", (event) => {
      const within = built && inside(event);
      chart.getZr().setCursorStyle(within && (built.coarse || level) ? "pointer" : "default");
      if (!within) { hover.hide(); return; }
      const at = chart.convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
      hover.show(built, time, at, event.offsetX, event.offsetY, marked(), answer.compare);
    });
    chart.getZr().on("globalout", () => hover.hide());
  }
  chart.resize();
  chart.setOption(built.option, { notMerge: true, lazyUpdate: false });
  host.setAttribute("aria-label", t("chart.label", {
    name: answer.point.name, period: label(answer.window),
    parameters: answer.parameters_shown.map((item) => item.title).join(", "),
  }));
  host.dataset.drawn = String(Number(host.dataset.drawn ?? 0) + 1);
}

const inside = (event) => built.panels.some((_, i) => chart.containPixel({ gridIndex: i }, [event.offsetX, event.offsetY]));

/** A click on an event's mark, at the foot of a panel, opens the event. */
function openEvent({ offsetX: x, offsetY: y }) {
  const index = built?.panels.findIndex((_, i) => chart.containPixel({ gridIndex: i }, [x, y - 10]) && !chart.containPixel({ gridIndex: i }, [x, y + 14])) ?? -1;
  if (index < 0) return false;
  const wide = chart.convertFromPixel({ xAxisIndex: 0 }, x + 8) - chart.convertFromPixel({ xAxisIndex: 0 }, x);
  const at = chart.convertFromPixel({ xAxisIndex: 0 }, x);
  const hit = marked().find((one) => at >= one.from - wide && at < one.to + wide);
  if (hit?.comment) comments.show(hit.comment);
  else if (hit) location.assign(hit.href);
  return Boolean(hit);
}

/** A click on a band leads to what is in it, for the same days. */
function openBand(event) {
  if (!built || !inside(event)) return;
  const index = built.panels.findIndex((_, i) => chart.containPixel({ gridIndex: i }, [event.offsetX, event.offsetY]));
  if (!built.panels[index].channels.some((channel) => channel.band)) return;
  const [at, value] = chart.convertFromPixel({ gridIndex: index }, [event.offsetX, event.offsetY]);
  const band = bandAt(built.panels[index], rowAt, at, value, built.scales[index].factor);
  if (band?.href) location.assign(band.href + location.search);
}

/** A click on a day, week or month opens it. */
function drill(event) {
  if (openEvent(event)) return;
  if (level) { openBand(event); return; }
  if (!built?.coarse || !inside(event)) return;
  const at = chart.convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
  const hit = answer.channels.flatMap((channel) => channel.start_ms.map((start, i) => [start, channel.duration_ms[i]]))
    .find(([start, duration]) => at >= start && at < start + duration);
  if (!hit) return;
  const [start, duration] = hit;
  const days = duration / 86_400_000;
  const period = days > 27 ? "month" : days > 2 ? "week" : "day";
  state = { ...state, period, date: time.iso(start), until: "", grain: "" };
  states.write(state);
  load();
}

// Live: the same window again, at most once a second, less often when it is heavy.
let due = 0;
let planned = null;
function update() {
  if (planned) return;
  const rows = answer ? Math.max(0, ...answer.channels.map((channel) => channel.start_ms.length)) : 0;
  const pause = rows > 3000 ? 10_000 : rows > 600 ? 3_000 : 400;
  planned = setTimeout(async () => {
    planned = null;
    due = Date.now() + pause;
    await load({ quiet: true });
    window.dispatchEvent(new CustomEvent("kw:updated"));
  }, Math.max(0, due - Date.now()));
}
listen("values", ({ values }) => {
  if (!series.some((one) => one in values)) return;
  if (!answer || !answer.extent || answer.extent.packets < 2 || now() < answer.window.to_ms + 3_600_000) update();
});
listen("hello", () => { if (answer && now() < answer.window.to_ms + 3_600_000) update(); });

fullScreen(root.querySelector(".graph"), () => { if (answer) setTimeout(redraw, 60); });
addEventListener("popstate", () => { state = states.read(); load(); });
message.querySelector("button").addEventListener("click", () => load());
document.addEventListener("kw:theme", () => { if (chart && root.dataset.frame === "graph" && !host.hidden) drawChart(); });
let resizing = null;
new ResizeObserver(() => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    if (answer && root.dataset.frame === "graph" && !host.hidden && host.clientWidth !== chart?.getWidth()) drawChart();
  }, 60);
}).observe(host);

load();
