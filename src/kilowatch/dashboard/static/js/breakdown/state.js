// What is on the page is what is in the URL: period, date, granularity, parameters, phases, comparison, money, overlays, view.
const KEYS = ["period", "date", "until", "grain", "show", "phases", "utility", "compare", "worth", "over", "view"];

/** Read the state out of the address. */
export function read() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(KEYS.filter((key) => query.get(key)).map((key) => [key, query.get(key)]));
}

/** The query string of a state, in a steady order, so that equal views have equal links. */
export function query(state, keys = KEYS) {
  const found = new URLSearchParams();
  for (const key of keys) if (state[key]) found.set(key, state[key]);
  return found.toString();
}

/** Put a state into the address; `replace` when it only spells out what was already shown. */
export function write(state, { replace = false } = {}) {
  const text = query(state);
  const address = text ? `${location.pathname}?${text}` : location.pathname;
  if (address === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
}

/** What the data endpoint needs of a state. */
export const dataQuery = (state) => query(state, KEYS.filter((key) => key !== "view" && key !== "over"));
