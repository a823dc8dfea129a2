// The first hour: steps are ticked off as packets come.
import { listen } from "./live.js";
import "./requests.js";

const ticks = document.getElementById("ticks");
const series = Number(document.getElementById("requests").dataset.pointSeries);
let planned = null;

function refresh() {
  planned ??= setTimeout(() => { planned = null; ticks.dispatchEvent(new CustomEvent("kw:refresh")); }, 300);
}

listen("request", refresh);
listen("values", ({ values }) => { if (series in values) refresh(); });

const said = document.getElementById("said");
let before = ticks.querySelector("[data-said]").dataset.said;
document.addEventListener("htmx:afterSwap", () => {
  const text = ticks.querySelector("[data-said]").dataset.said;
  if (text !== before) said.textContent = text;
  before = text;
});
