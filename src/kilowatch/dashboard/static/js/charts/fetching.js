// An answer of the server, or a sentence and a button that asks again.
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

/** A figure as the tiles above a chart show it. */
export function tile(title, value, detail = "") {
  const box = element("div", "tile");
  const dd = element("dd", "figure", value);
  box.append(element("dt", "", title), dd, element("dd", "detail", detail));
  return box;
}
