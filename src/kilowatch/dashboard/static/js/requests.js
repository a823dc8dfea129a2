// Requests as they arrive, refused ones too, with what to change; in whatever card asks for it.
import { listen } from "./live.js";
import { locale, t } from "./words.js";

const SHOWN = 50;
const card = document.getElementById("requests");
const list = card.querySelector("[data-list]");
const none = card.querySelector("[data-none]");
const waiting = none.textContent;
const line = document.getElementById("request-line");
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: card.dataset.zone });
let everything = card.dataset.everything !== undefined;
let serial = 0;
let fetched = new Map(); // requests that the fetched list has, whose live event may still come
let loads = 0;
let came = null; // requests that arrive while the list is fetched: it may be of before them

/** Tell whether a request is one that this page shows. */
export function concerns(request) {
  if (everything) return true;
  return request.series === Number(card.dataset.pointSeries)
    || (request.series === null && (request.stream_id === null || request.stream_id === card.dataset.stream));
}

function put(node, text) {
  node.textContent = text;
  node.hidden = !text;
}

function draw(request) {
  const item = line.content.firstElementChild.cloneNode(true);
  const badge = item.querySelector("[data-status]");
  badge.textContent = request.status;
  badge.classList.add(request.status >= 400 ? "bad" : request.outcome === "accepted" || request.outcome === "latest" ? "good" : "late");
  item.querySelector("[data-outcome]").textContent = t(`requests.${request.outcome}`);
  const time = item.querySelector("[data-time]");
  time.dateTime = new Date(request.at_ms).toISOString();
  time.textContent = clock.format(request.at_ms);
  item.querySelector("[data-from]").textContent = [
    request.stream_id && (everything || request.series !== Number(card.dataset.pointSeries)) ? request.stream_id : "",
    request.username ? t("requests.by", { name: request.username }) : t("requests.nobody"), request.remote,
    request.secure ? "https" : "http",
  ].filter(Boolean).join(" · ");
  put(item.querySelector("[data-detail]"), request.detail || "");
  // "… This would be accepted: curl -u …": words stay words, the command becomes a block to copy.
  const remedy = request.remedy || "";
  const at = remedy.search(/curl -/);
  put(item.querySelector("[data-remedy]"), (at < 0 ? remedy : remedy.slice(0, at)).trim());
  if (at >= 0) {
    const block = item.querySelector("[data-code]");
    const pre = block.querySelector("pre");
    serial += 1;
    pre.id = `request-code-${serial}`;
    pre.textContent = remedy.slice(at);
    block.querySelector("button").dataset.copy = pre.id;
    block.hidden = false;
  }
  return item;
}

function isThere(request) {
  const same = JSON.stringify(request), left = fetched.get(same) ?? 0;
  if (left) fetched.set(same, left - 1);
  return left > 0;
}

function add(request) {
  if (!concerns(request)) return;
  came?.push(request);
  if (isThere(request)) return;
  const item = draw(request);
  item.classList.add("arrived");
  // What is being read stays where it is: below the top, the list keeps its place.
  const before = list.scrollHeight, box = list.parentElement;
  list.prepend(item);
  if (box.scrollTop > 0) box.scrollTop += list.scrollHeight - before;
  while (list.children.length > SHOWN) list.lastElementChild.remove();
  none.hidden = true;
}

async function load() {
  const mine = ++loads; // an answer to an earlier question is none to this one
  came = [];
  const reply = await fetch(`/data/requests?point=${card.dataset.point}${everything ? "&all=1" : ""}`).catch(() => null);
  const requests = reply?.ok ? (await reply.json()).requests : null;
  if (mine !== loads) return;
  const since = came;
  came = null;
  none.textContent = requests ? waiting : t("requests.not_loaded");
  if (!requests) { none.hidden = list.children.length > 0; return; }
  fetched = new Map();
  for (const same of requests.map((one) => JSON.stringify(one))) fetched.set(same, (fetched.get(same) ?? 0) + 1);
  list.replaceChildren(...requests.map(draw));
  none.hidden = requests.length > 0;
  for (const request of since) add(request);
}

for (const input of card.querySelectorAll("input[name=which]")) {
  input.addEventListener("change", () => {
    everything = input.value === "all";
    const address = new URL(location.href);
    if (everything) address.searchParams.set("requests", "all"); else address.searchParams.delete("requests");
    history.replaceState(history.state, "", address);
    load();
  });
}

function shown(on) {
  card.querySelector("[data-live-dot]").className = `dot ${on ? "fresh" : "late"}`;
  card.querySelector("[data-live-text]").textContent = t(on ? "requests.live" : "requests.offline");
}
new MutationObserver(() => shown(document.documentElement.dataset.live === "on"))
  .observe(document.documentElement, { attributeFilter: ["data-live"] });

listen("request", add);
listen("hello", load);
load();
