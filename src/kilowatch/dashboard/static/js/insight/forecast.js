// Forecast: the last days with what had been expected of them, and the next 48 hours.
import { SiteTime } from "../sitetime.js";
import { t } from "../words.js";
import { Card, table } from "./card.js";
import { submitting } from "./finder.js";
import { switches } from "./views.js";

const HOUR = 3_600_000;
const host = document.getElementById("forecast");
const failed = document.getElementById("forecast-failed");

async function load() {
  failed.hidden = true;
  try {
    const reply = await fetch(host.dataset.forecast);
    if (!reply.ok) throw new Error(String(reply.status));
    const { chart } = await reply.json();
    if (chart) {
      const time = new SiteTime(chart.offsets);
      const card = new Card(document.getElementById("ahead"), chart, time, { height: 340, expected: t("insight.expected") });
      switches("ahead", card, (into) => table(into, chart, (at) => time.bucket(at, HOUR), document.getElementById("ahead-title").textContent));
    }
    host.dataset.ready = "yes";
  } catch {
    failed.hidden = false;
  }
}
submitting();
if (host) {
  failed.querySelector("button").addEventListener("click", load);
  load();
}
