// Sentinel: the circuits' charts, fetched together as they come near, drawn when they come into sight.
import { SiteTime } from "../sitetime.js";
import { atOnce } from "../paper.js";
import { scaleOf } from "./band.js";
import { Card, table } from "./card.js";
import { submitting } from "./finder.js";

const host = document.getElementById("multiples");
const failed = document.getElementById("circuits-failed");
submitting();

const HOUR = 3_600_000;

function show(item, data) {
  const plot = item.querySelector(".plot");
  const time = new SiteTime(data.offsets);
  item.querySelector("[data-none]").hidden = data.actual.start.length > 0;
  const most = Math.max(0, ...data.actual.value.map((value) => value ?? 0), ...(data.band?.high ?? []).map((value) => value ?? 0));
  item.querySelector("[data-unit-text]").textContent = scaleOf(data, most).unit;
  const seen = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) draw();
  }, { rootMargin: "200px" });
  const draw = () => {
    seen.disconnect();
    if (undrawn.delete(item)) new Card(plot, data, time, { height: 148, small: true });
  };
  undrawn.set(item, draw);
  seen.observe(plot);
  const details = item.querySelector("details");
  const opened = () => {
    const into = details.querySelector(".scroll");
    if (details.open && !into.firstChild) table(into, data, (at) => time.bucket(at, HOUR), data.name);
  };
  details.addEventListener("toggle", opened);
  opened();
  plot.addEventListener("click", (event) => {
    const card = echarts.getInstanceByDom(plot);
    const at = card.convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
    const hit = data.marks.find((mark) => at >= mark.from - 3 * HOUR && at < mark.to + 3 * HOUR);
    if (hit) location.assign(hit.href);
  });
}

const undrawn = new Map(); // charts that have their data, and were not in sight yet
const asked = new Set();
const missed = new Set();
let underWay = 0;

const addressOf = (items) => `/data/circuits?points=${items.map((item) => item.dataset.circuit).join(",")}&${host.dataset.query}`;

function showAll(items, answer) {
  for (const data of answer.circuits) {
    const item = items.find((one) => one.dataset.circuit === String(data.id));
    if (item && !asked.has(data.id)) { asked.add(data.id); show(item, { ...data, now_ms: answer.now_ms }); }
  }
}

async function load(items) {
  failed.hidden = true;
  underWay += 1;
  host.setAttribute("aria-busy", "true");
  try {
    const reply = await fetch(addressOf(items));
    if (!reply.ok) throw new Error(String(reply.status));
    showAll(items, await reply.json());
    host.dataset.ready = "yes";
  } catch {
    for (const item of items) missed.add(item);
    failed.hidden = false;
  } finally {
    underWay -= 1;
    if (!underWay) host.removeAttribute("aria-busy");
  }
}

if (host) {
  host.setAttribute("aria-busy", "true");
  failed.querySelector("button").addEventListener("click", () => {
    const again = [...missed];
    missed.clear();
    load(again);
  });
  // Twelve circuits are half of what this page would load first, and the first screen shows none.
  const near = new IntersectionObserver((entries) => {
    const items = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
    for (const item of items) near.unobserve(item);
    if (items.length) load(items);
    else if (!underWay) { host.removeAttribute("aria-busy"); host.dataset.ready = "yes"; }
  }, { rootMargin: "400px" });
  for (const item of host.querySelectorAll("[data-circuit]")) near.observe(item);
  // Paper shows all of them, and waits for nothing that comes later.
  addEventListener("beforeprint", () => {
    const rest = [...host.querySelectorAll("[data-circuit]")].filter((item) => !asked.has(Number(item.dataset.circuit)));
    const text = rest.length ? atOnce(addressOf(rest)) : null;
    if (text) showAll(rest, JSON.parse(text));
    for (const draw of [...undrawn.values()]) draw();
  });
}
