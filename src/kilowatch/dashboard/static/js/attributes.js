// Attributes: requests as they arrive, and the panels fetched again when a packet came.
import { listen } from "./live.js";
import { now } from "./freshness.js";
import { count } from "./numbers.js";
import { concerns } from "./requests.js";
import { age } from "./sitetime.js";
import { t } from "./words.js";

const panels = document.getElementById("panels");
const series = Number(document.getElementById("requests").dataset.pointSeries);

let planned = null;
function refreshPanels() {
  // Not under a reader's hands: an open packet or a selected text waits.
  planned ??= setTimeout(() => {
    planned = null;
    const open = panels.querySelector("details[open]");
    const selected = String(getSelection()) && panels.contains(getSelection().anchorNode);
    const filled = panels.querySelector("input[type=checkbox]:checked, input.input:not(:placeholder-shown)");
    if (open || selected || filled || panels.contains(document.activeElement)) { setTimeout(refreshPanels, 3000); return; }
    panels.dispatchEvent(new CustomEvent("kw:refresh"));
  }, 900);
}

function ages(root = document) {
  for (const node of root.querySelectorAll("[data-ago]")) {
    node.textContent = t("requests.ago", { age: age(now() - Number(node.dataset.ago)) });
  }
  for (const node of root.querySelectorAll("data[data-whole]")) node.textContent = count(Number(node.value));
}
ages();
setInterval(ages, 1000);
document.addEventListener("htmx:afterSwap", (event) => ages(event.target));

listen("request", (request) => { if (concerns(request)) refreshPanels(); });
listen("values", ({ values }) => { if (series in values) refreshPanels(); });
