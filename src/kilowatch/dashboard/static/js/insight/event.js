// An event's evidence: its hours within their neighbourhood, and its day beside normal days.
import { SiteTime } from "../sitetime.js";
import { t } from "../words.js";
import { Card, table } from "./card.js";
import * as quantity from "./quantity.js";
import { switches } from "./views.js";

const HOUR = 3_600_000;
const host = document.getElementById("event");
const failed = document.getElementById("event-failed");
const clock = (at) => `${String(at / HOUR).padStart(2, "0")}:00`;

function showNear(data) {
  const time = new SiteTime(data.offsets);
  const name = (at) => time.bucket(at, HOUR);
  const title = document.getElementById("near-title").textContent;
  for (const one of document.querySelectorAll("[data-when]")) one.hidden = (one.dataset.when === "need") !== Boolean(data.need);
  const card = new Card(document.getElementById("near"), data, time, { height: 340 });
  switches("near", card, (into) => table(into, data, name, title));
}

function showDay(data) {
  const box = document.getElementById("day-card");
  if (!box) return;
  for (const choice of box.querySelectorAll(".segments")) choice.hidden = !data;
  if (!data) {
    const text = document.getElementById("day-text");
    text.textContent = text.dataset.none;
    return;
  }
  document.getElementById("day-text").textContent = data.title;
  const title = document.getElementById("day-title").textContent;
  data.ticks = Array.from({ length: 9 }, (_, i) => ({ at: i * 3 * HOUR, text: clock(i * 3 * HOUR), strong: false }));
  const name = (at) => `${clock(at)} – ${clock(at + HOUR)}`;
  legend(data);
  const settings = { height: 260, name, expected: t("insight.normal") };
  const card = new Card(document.getElementById("day"), data, null, settings);
  switches("day", card, (into) => table(into, data, name, title));
}

/** Which line is which day, below the plot: words on the lines would lie over the axis at night. */
function legend(data) {
  const entries = [["actual", data.today], ["usual", data.usual], ["band", t("insight.four_of_five")]];
  document.getElementById("day-legend").replaceChildren(...entries.map(([key, text]) => {
    const item = document.createElement("li"), mark = document.createElement("i");
    mark.className = `key ${key}`;
    mark.setAttribute("aria-hidden", "true");
    item.append(mark, text);
    return item;
  }));
}

function showQuantity(data) {
  if (!data) return;
  const time = new SiteTime(data.offsets);
  const title = document.getElementById("quantity-title").textContent;
  const card = quantity.show(data, time, document.getElementById("quantity"), document.getElementById("quantity-legend"));
  switches("quantity", card, (into) => quantity.table(into, data, time, title));
}

async function load() {
  failed.hidden = true;
  try {
    const reply = await fetch(host.dataset.event);
    if (!reply.ok) throw new Error(String(reply.status));
    const answer = await reply.json();
    showQuantity(answer.quantity);
    showNear(answer.near);
    showDay(answer.day);
    host.dataset.ready = "yes";
  } catch {
    failed.hidden = false;
  }
}
failed.querySelector("button").addEventListener("click", load);
load();
