// The cards of a site: today's total and its shape, hour by hour.
import { listen } from "./live.js";
import { failure } from "./parts.js";
import { fullWithUnit, scaleFor, short } from "./numbers.js";
import { cardsAsRead } from "./units.js";
import { t } from "./words.js";

const cards = [...document.querySelectorAll("[data-card]")];
let answer = {};

function draw(card, today) {
  const canvas = card.querySelector("canvas");
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width) return;
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  pen.fillStyle = style.getPropertyValue("--line");
  pen.fillRect(0, height - 1, width, 1);
  if (!today.bars.length) return;
  pen.fillStyle = style.getPropertyValue(`--${card.dataset.utility}`) || style.getPropertyValue("--other");
  const values = today.bars.map(([, , value]) => value);
  const top = Math.max(...values);
  const bottom = today.measure === "amount" ? 0 : Math.min(...values);
  const span = top - bottom || 1;
  const x = (ms) => ((ms - today.from_ms) / (today.to_ms - today.from_ms)) * width;
  for (const [start, end, value] of today.bars) {
    const left = Math.round(x(start)) + 1;
    const right = Math.round(x(end));
    if (today.measure === "amount") {
      const tall = Math.max(value > 0 ? 1 : 0, ((value - bottom) / span) * (height - 4));
      pen.fillRect(left, height - 1 - tall, right - left, tall);
    } else {
      pen.fillRect(left - 1, height - 4 - ((value - bottom) / span) * (height - 8), right - left + 1, 2);
    }
  }
}

function show() {
  for (const card of cards) {
    const today = answer[card.dataset.card];
    if (!today) continue;
    const scale = scaleFor(today.unit, today.value ?? 0);
    const figure = card.querySelector("[data-figure]");
    figure.textContent = today.value === null ? "–" : short(today.value * scale.factor);
    if (today.value !== null && scale.unit) {
      const unit = document.createElement("span");
      unit.className = "unit";
      unit.textContent = ` ${scale.unit}`;
      figure.append(unit);
    }
    figure.title = fullWithUnit(today.value, today.unit);
    card.querySelector("[data-caption]").textContent = today.value === null ? t("tile.no_today")
      : t(today.measure === "amount" ? "tile.today" : "tile.today_mean");
    draw(card, today);
  }
}

async function load() {
  if (!cards.length) return;
  const numbers = cards.map((card) => card.dataset.card).join(",");
  const reply = await fetch(`/data/today?points=${numbers}`).catch(() => null);
  document.querySelector("main .part-failed")?.remove();
  if (!reply?.ok) {
    for (const card of cards) card.querySelector("[data-caption]").textContent = t("tile.not_loaded");
    document.querySelector("main .points").before(failure(load));
    return;
  }
  answer = cardsAsRead((await reply.json()).points);
  show();
}

let planned = null;
listen("values", () => { planned ??= setTimeout(() => { planned = null; load(); }, 5000); });
document.addEventListener("kw:theme", show);
addEventListener("resize", show);
load();
