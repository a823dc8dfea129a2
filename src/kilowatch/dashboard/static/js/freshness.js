// Fresh, late, never, or history that nobody expects more of: decided again every second from when
// the last packet came and how long after that the next one is due, by the server's clock.
import { withUnit } from "./numbers.js";
import { age } from "./sitetime.js";
import { t } from "./words.js";

const served = Number(document.body.dataset.now || Date.now());
const ahead = served - Date.now();

/** The server's clock [ms]. */
export const now = () => Date.now() + ahead;

function stateOf(node) {
  const at = Number(node.dataset.at || 0);
  if (!at) return "never";
  if (node.dataset.lateAfter === "") return "history";
  return now() - at > Number(node.dataset.lateAfter) ? "late" : "fresh";
}

function show(node) {
  const state = stateOf(node);
  const at = Number(node.dataset.at || 0);
  const dot = node.querySelector(".dot");
  const text = node.querySelector("[data-state-text]");
  if (dot && dot.dataset.state !== state) {
    dot.dataset.state = state;
    dot.classList.remove("fresh", "late", "never", "history");
    dot.classList.add(state);
  }
  if (text) {
    let words = t(`state.${state}`);
    if (text.dataset.stateText === "age" && at && state !== "history") {
      // What a packet is for is told where it lies far from when it came.
      const kind = node.dataset.for ? "age_for" : "age";
      words = t(`state.${state}_${kind}`, { age: age(now() - at), stamp: node.dataset.for });
    }
    if (text.textContent !== words) text.textContent = words;
  }
}

/** Redraw every mark of freshness on the page. */
export function refresh(root = document) {
  for (const node of root.querySelectorAll("[data-late-after]")) show(node);
}

/** Take in last values: {series: {at_ms, value, unit}}. */
export function take(values) {
  for (const [series, last] of Object.entries(values)) {
    for (const node of document.querySelectorAll(`[data-series="${CSS.escape(series)}"]`)) {
      // A newer packet came just now; who listens for silences may hear of it in half a second.
      const newer = last.at_ms > Number(node.dataset.stamp || 0);
      node.dataset.at = last.live && newer ? now() : last.came_ms;
      node.dataset.lateAfter = last.late_after_ms ?? "";
      node.dataset.stamp = last.at_ms;
      if ("for" in node.dataset) node.dataset.for = last.stamp;
      const value = node.querySelector(".last");
      if (value) value.textContent = withUnit(last.value, last.unit);
      show(node);
    }
  }
}

setInterval(refresh, 1000);
refresh();
