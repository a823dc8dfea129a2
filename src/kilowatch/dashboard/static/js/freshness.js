// Fresh, late or never: decided again every second from the last packet's time, by the server's clock.
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
  return now() - at > Number(node.dataset.lateAfter) ? "late" : "fresh";
}

function show(node) {
  const state = stateOf(node);
  const at = Number(node.dataset.at || 0);
  const dot = node.querySelector(".dot");
  const text = node.querySelector("[data-state-text]");
  if (dot && dot.dataset.state !== state) {
    dot.dataset.state = state;
    dot.classList.remove("fresh", "late", "never");
    dot.classList.add(state);
  }
  if (text) {
    const words = text.dataset.stateText === "age" && at
      ? t(`state.${state}_age`, { age: age(now() - at) })
      : t(`state.${state}`);
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
      node.dataset.at = last.at_ms;
      const value = node.querySelector(".last");
      if (value) value.textContent = withUnit(last.value, last.unit);
      show(node);
    }
  }
}

setInterval(refresh, 1000);
refresh();
