// Data quality of a data point: the panels are fetched again while figures are computed, and as packets come.
import { listen } from "./live.js";
import { tell } from "./times.js";

const SETTLING_MS = 1500;
const PACKET_MS = 5000;
const panels = document.getElementById("panels");
const settling = () => panels.querySelector("[data-settling]") !== null;
let planned = null;

function busy() {
  // Not under a reader's hands: what is open, selected or focused stays as it is.
  const selected = String(getSelection()) && panels.contains(getSelection().anchorNode);
  return panels.querySelector("details[open]") || selected || panels.contains(document.activeElement);
}

function plan(wait) {
  planned ??= setTimeout(() => {
    planned = null;
    if (document.hidden || (busy() && !settling())) { plan(PACKET_MS); return; }
    panels.dispatchEvent(new CustomEvent("kw:refresh"));
  }, wait);
}

document.addEventListener("htmx:afterSwap", (event) => {
  tell(event.target);
  if (settling()) plan(SETTLING_MS);
});
listen("values", ({ values }) => { if (Number(panels.dataset.series) in values) plan(PACKET_MS); });
if (settling()) plan(SETTLING_MS);
