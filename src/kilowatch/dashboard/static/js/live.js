// One stream of server-sent events for the whole page; closed while nobody looks at it.
let source = null;
let wanted = false;
const listeners = new Map();

function deliver(kind, message) {
  const detail = JSON.parse(message.data);
  for (const listener of listeners.get(kind) ?? []) listener(detail);
}

function open() {
  if (source || document.hidden || !wanted) return;
  const address = new URL("/live", location.href);
  const point = document.body.dataset.point;
  if (point) address.searchParams.set("point", point);
  if (document.body.dataset.site) address.searchParams.set("site", document.body.dataset.site);
  if (document.body.dataset.requests !== undefined) address.searchParams.set("requests", "1");
  source = new EventSource(address);
  for (const kind of ["hello", "values", "request", "alerts", "comments"]) {
    source.addEventListener(kind, (message) => deliver(kind, message));
  }
  source.addEventListener("open", () => { document.documentElement.dataset.live = "on"; });
  source.addEventListener("error", () => {
    document.documentElement.dataset.live = "off";
    // The browser reconnects by itself, except after an answer that is not a stream.
    if (source?.readyState === EventSource.CLOSED) { close(); setTimeout(open, 5000); }
  });
}

function close() {
  source?.close();
  source = null;
  document.documentElement.dataset.live = "off";
}

/** Call `listener` with each message of a kind: "hello", "values", "request", "alerts" or "comments". */
export function listen(kind, listener) {
  if (!listeners.has(kind)) listeners.set(kind, []);
  listeners.get(kind).push(listener);
}

/** Open the stream once every listener of the page is in place. */
export function start() {
  wanted = true;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}
