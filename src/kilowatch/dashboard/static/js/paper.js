// What is loaded when it comes into sight is loaded for paper too: printing waits for no promise.
// The one place for a request that the page stands still for: the browser asks, and then prints.

/** The answer of an address, now; null where it is none. */
export function atOnce(address) {
  const request = new XMLHttpRequest();
  request.open("GET", address, false);
  try { request.send(); } catch { return null; }
  return request.status === 200 ? request.responseText : null;
}

/** Fetch what htmx fetches when it comes into sight, and hand each new part on. */
export function partsAtOnce(take) {
  for (const part of document.querySelectorAll("[hx-trigger='intersect once'][hx-get]")) {
    const text = atOnce(part.getAttribute("hx-get"));
    if (!text) continue;
    const frame = document.createElement("template");
    frame.innerHTML = text;
    const inside = [...frame.content.children];
    part.replaceWith(frame.content);
    for (const one of inside) { window.htmx?.process(one); take(one); }
  }
}
