// Every text comes from the one catalogue that the server sends along with the page.
const catalogue = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

/** Return a text with its {placeholders} filled in; a missing key shows itself. */
export function t(key, values = {}) {
  const text = catalogue[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

export const locale = document.documentElement.dataset.locale || "en";
