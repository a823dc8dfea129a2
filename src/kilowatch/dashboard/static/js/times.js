// Instants about people and their doings: on the reader's own clock, with UTC to hover over.
import { locale } from "./words.js";

const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

export function tell(root = document) {
  for (const node of root.querySelectorAll("time[data-ms]")) {
    node.title = node.textContent.trim();
    node.textContent = format.format(Number(node.dataset.ms));
  }
}
tell();
