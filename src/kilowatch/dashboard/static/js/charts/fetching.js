// An answer of the server, or a sentence and a button that asks again.
import { tied, whyButton } from "../why.js";

export async function fetched(address) {
  const failed = document.getElementById("chart-failed");
  failed.hidden = true;
  try {
    const reply = await fetch(address);
    if (reply.status === 401) { location.assign("/login"); return null; }
    if (!reply.ok) throw new Error(String(reply.status));
    return await reply.json();
  } catch {
    failed.hidden = false;
    for (const busy of document.querySelectorAll("main [aria-busy]")) busy.removeAttribute("aria-busy");
    return null;
  }
}

/** Call `load` now and whenever a person tries again. */
export function start(load) {
  document.querySelector("#chart-failed button").addEventListener("click", load);
  load();
}

export function element(tag, className = "", text = "", attributes = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** A figure as the tiles above a chart show it, with what stands behind it (dashboard/behind.py). */
export function tile(title, value, detail = "", facts = null) {
  const box = element("div", "tile");
  const dt = element("dt", "", title);
  if (facts) tied(dt, whyButton(title, facts));
  box.append(dt, element("dd", "figure", value), element("dd", "detail", detail));
  return box;
}
