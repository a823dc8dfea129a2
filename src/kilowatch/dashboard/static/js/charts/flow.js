// Energy flow: bands from the supply to where it goes, and a table that says the same.
import { submitting } from "../insight/finder.js";
import { fullWithUnit, share, tells, withUnit } from "../numbers.js";
import { t } from "../words.js";
import { element, fetched, start, tile } from "./fetching.js";
import { tied, whyButton } from "../why.js";
import { svg } from "./plot.js";
import { layout } from "./sankey.js";

const host = document.getElementById("flow");
const reserved = parseFloat(getComputedStyle(host).minHeight) || 0;
let data = null;

const nameOf = (node) => (node.kind === "others" ? t("drawn.others", { n: node.members }) : node.name || t(`drawn_flow.${node.kind}`));
const days = () => host.dataset.days;
function address(node) {
  if (node.point) return `/breakdown/${node.point}?${days()}`;
  if (node.kind === "site") return `/flow?${new URLSearchParams({ ...Object.fromEntries(new URLSearchParams(host.dataset.flow.split("?")[1])), place: node.key })}`;
  return "";
}

function about(node) {
  const of = data.supplied + data.produced;
  const parts = [withUnit(node.amount, data.unit)];
  if (of > 0 && node.kind !== "supply" && node.amount < of * 0.9995) parts.push(t("drawn.of_all", { share: share(node.amount / of) }));
  if (node.complete !== null && node.complete < 0.9995) parts.push(t("drawn.known", { share: share(node.complete) }));
  return parts.join(" · ");
}

function picture() {
  const wide = host.clientWidth;
  if (!wide) return;
  const narrow = wide < 560;
  const labels = narrow ? 112 : 210;
  const deepest = Math.max(1, ...data.nodes.map((node) => node.depth));
  const width = Math.max(wide, labels + 12 + deepest * 100);
  const laid = layout(data, width, labels, reserved);
  const drawn = svg("svg", { width, height: laid.height, viewBox: `0 0 ${width} ${laid.height}`, role: "group", "aria-label": t("drawn.flow_label", { place: host.dataset.place }) });
  const lines = svg("defs");
  const hatched = svg("pattern", { id: "flow-hatch", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { width: 8, height: 8, class: "ground" }), svg("line", { x1: 0, y1: 0, x2: 0, y2: 8, class: "stroke" }));
  lines.append(hatched);
  drawn.append(lines);
  for (const link of laid.links) {
    const x0 = link.source.x + laid.bar;
    const x1 = link.target.x;
    const middle = (x0 + x1) / 2;
    const kind = ["unmetered", "unknown", "excess", "export"].includes(link.target.kind) ? link.target.kind : ["excess", "production"].includes(link.source.kind) ? link.source.kind : "plain";
    const path = svg("path", { class: `flow-link ${kind}`, d: `M${x0} ${link.y0.toFixed(1)}C${middle} ${link.y0.toFixed(1)} ${middle} ${link.y1.toFixed(1)} ${x1} ${link.y1.toFixed(1)}`, "stroke-width": link.thick.toFixed(1) });
    const title = svg("title");
    title.textContent = `${nameOf(link.source)} → ${nameOf(link.target)}: ${withUnit(link.amount, data.unit)}`;
    path.append(title);
    drawn.append(path);
  }
  for (const node of laid.nodes) {
    const href = address(node);
    const group = svg(href ? "a" : "g", { class: `flow-node ${node.kind}`, href: href || null });
    const title = svg("title");
    title.textContent = `${nameOf(node)}: ${fullWithUnit(node.amount, data.unit)}`;
    const text = svg("text", { x: node.x + laid.bar + 6, y: node.y + node.height / 2 });
    const name = svg("tspan", { class: "name" });
    const room = node.depth === laid.deepest ? labels - 10 : Math.max(80, (width - labels) / laid.deepest - 24);
    const letters = Math.max(8, Math.floor(room / 7));
    const whole = nameOf(node);
    name.textContent = whole.length > letters ? `${whole.slice(0, letters - 1)}…` : whole;
    const value = svg("tspan", { class: "value", x: node.x + laid.bar + 6, dy: "1.25em" });
    value.textContent = about(node).split(" · ").slice(0, narrow ? 1 : 2).join(" · ");
    if (node.height >= 30) { text.setAttribute("dy", "-0.2em"); text.append(name, value); }
    else { value.removeAttribute("x"); value.removeAttribute("dy"); value.setAttribute("dx", "6"); value.textContent = withUnit(node.amount, data.unit); text.setAttribute("dy", "0.35em"); text.append(name, value); }
    group.append(title, svg("rect", { x: node.x, y: node.y, width: laid.bar, height: node.height, rx: 2 }), text);
    drawn.append(group);
  }
  host.style.minHeight = `${Math.max(laid.height, reserved)}px`; // a small one leaves its place as it was
  host.replaceChildren(drawn);
  host.dataset.drawn = String(Number(host.dataset.drawn ?? 0) + 1);
}

const part = (node, amount) => ({ name: nameOf(node), value: amount, unit: data.unit });

/** What a part of the flow adds up from: what goes in is what comes out, so the rest is a difference. */
function partsOf(node) {
  const byKey = new Map(data.nodes.map((one) => [one.key, one]));
  const into = (key) => data.links.filter((link) => link.target === key);
  const outOf = (key) => data.links.filter((link) => link.source === key);
  const sum = (links) => links.reduce((all, link) => all + link.amount, 0);
  if (["unmetered", "unknown"].includes(node.kind)) {
    const [{ source }] = into(node.key);
    return [part(byKey.get(source), sum(into(source))),
      ...outOf(source).filter((link) => link.target !== node.key).map((link) => part(byKey.get(link.target), -link.amount))];
  }
  if (node.kind === "excess") {
    const [{ target }] = outOf(node.key);
    return [...outOf(target).map((link) => part(byKey.get(link.target), link.amount)),
      ...into(target).filter((link) => link.source !== node.key).map((link) => part(byKey.get(link.source), -link.amount))];
  }
  const links = node.kind === "supply" || node.kind === "site" ? outOf(node.key) : into(node.key);
  const other = node.kind === "supply" || node.kind === "site" ? "target" : "source";
  const found = links.filter((link) => byKey.get(link[other]).kind !== "export").map((link) => part(byKey.get(link[other]), link.amount));
  return found.length > 1 ? found : [];
}

/** The data points that a part rests on: its own; of a supply those below, of a rest those around it. */
function pointsOf(node) {
  const found = [];
  const add = (key) => { const own = data.nodes.find((one) => one.key === key); if (own?.point && !found.includes(own.point)) found.push(own.point); return own; };
  const around = (key) => { add(key); for (const link of data.links) if (link.source === key) add(link.target); };
  add(node.key);
  if (["unmetered", "unknown"].includes(node.kind)) around(data.links.find((link) => link.target === node.key).source);
  if (node.kind === "export") add(data.links.find((link) => link.target === node.key).source);
  if (node.kind === "excess") around(data.links.find((link) => link.source === node.key).target);
  if (["supply", "site"].includes(node.kind)) {
    for (const link of data.links.filter((one) => one.source === node.key)) if (add(link.target)?.kind === "site") around(link.target);
  }
  return found.map((number) => data.sources.find((one) => one.id === number)).filter(Boolean);
}

const behindOf = (node) => ({
  means: t(`why_of.flow_${node.kind}`), points: pointsOf(node), parts: partsOf(node), days: data.days,
  intervals: data.intervals, complete: node.complete, shares: node.shares,
});
const behindSum = (key, parts) => ({ means: t(`why_of.flow_${key}`), parts, days: data.days, intervals: data.intervals });

function facts() {
  const all = (kind) => data.nodes.filter((node) => node.kind === kind);
  const parts = (kind) => all(kind).map((node) => {
    const from = data.links.find((link) => link.target === node.key)?.source;
    const main = data.nodes.find((one) => one.key === from);
    return part(node.name || !main ? node : main, node.amount);
  });
  const one = (kind, key) => (all(kind).length === 1 ? behindOf(all(kind)[0]) : behindSum(key, parts(kind)));
  const tiles = [tile(t("drawn_flow.supply"), withUnit(data.supplied, data.unit), data.complete < 0.9995 ? t("drawn.known", { share: share(data.complete) }) : "", behindOf(all("supply")[0]))];
  if (data.produced) tiles.push(tile(t("drawn_flow.production"), withUnit(data.produced, data.unit), "", one("production", "produced")));
  if (data.exported) tiles.push(tile(t("drawn_flow.export"), withUnit(data.exported, data.unit), "", one("export", "exported")));
  if (data.produced || data.exported) {
    const sums = [["supply", data.supplied], ["production", data.produced], ["export", -data.exported]];
    tiles.push(tile(t("drawn.used"), withUnit(data.used, data.unit), t("drawn.used_of"), behindSum("used",
      sums.map(([kind, value]) => ({ name: t(`drawn_flow.${kind}`), value, unit: data.unit })))));
  }
  tiles.push(tile(t("drawn_flow.unmetered"), withUnit(data.unmetered, data.unit), data.used > 0 ? t("drawn.of_all", { share: share(data.unmetered / data.used) }) : "", one("unmetered", "unmetered")));
  document.getElementById("facts").replaceChildren(...tiles);
}

function findings() {
  const into = document.getElementById("flow-findings");
  into.replaceChildren(...data.surplus.map((one) => {
    const box = element("div", "notice late");
    const p = element("p");
    const part = one.own > 0 ? one.below / one.own - 1 : null;
    const more = tells(part) ? ` (${share(part)})` : "";
    p.append(element("span", "", t("drawn.surplus", { name: one.name, below: withUnit(one.below, data.unit), own: withUnit(one.own, data.unit), more })), " ",
      element("a", "", t("drawn.surplus_next"), { href: `/quality/${one.point}` }));
    box.append(p);
    return box;
  }));
  if (data.missing.length) {
    const box = element("div", "notice");
    box.append(element("p", "", t("drawn.too_long", { names: data.missing.slice(0, 5).join(", "), n: data.missing.length })));
    into.append(box);
  }
}

function table() {
  const body = document.querySelector("#flow-rows tbody");
  const of = data.supplied + data.produced;
  const sources = new Map();
  for (const link of data.links) sources.set(link.target, [...(sources.get(link.target) ?? []), link.source]);
  const byKey = new Map(data.nodes.map((node) => [node.key, node]));
  body.replaceChildren(...data.nodes.map((node) => {
    const tr = element("tr");
    const th = element("th", "", "", { scope: "row" });
    const inner = element("span", `deep deep-${Math.min(6, Math.max(0, node.depth))}`);
    const href = address(node);
    inner.append(href ? element("a", "", nameOf(node), { href }) : element("span", node.kind === "point" ? "" : "muted", nameOf(node)));
    th.append(inner);
    tied(th, whyButton(nameOf(node), behindOf(node)));
    const from = (sources.get(node.key) ?? []).map((key) => nameOf(byKey.get(key))).join(", ");
    tr.append(th, element("td", "muted", t(`drawn_part.${node.kind}`), { "data-label": t("drawn.kind_of_part") }),
      element("td", "muted", from, { "data-label": t("drawn.from") }),
      element("td", "num", withUnit(node.amount, data.unit), { title: fullWithUnit(node.amount, data.unit), "data-label": t("drawn.amount"), "data-value": node.amount }),
      element("td", "num", of > 0 ? share(node.amount / of) : "–", { "data-label": t("drawn.share") }),
      element("td", "num", node.complete === null ? "–" : share(node.complete), { "data-label": t("drawn.complete") }));
    return tr;
  }));
}

async function load() {
  const answer = await fetched(host.dataset.flow);
  if (!answer) return;
  data = answer;
  const some = data.links.length > 0;
  document.getElementById("flow-none").hidden = some;
  for (const part of document.querySelectorAll("[data-known]")) part.hidden = !some;
  if (some) { facts(); findings(); table(); picture(); }
  host.removeAttribute("aria-busy");
  host.dataset.ready = "yes";
}

for (const input of document.querySelectorAll("input[data-view=flow]")) {
  input.addEventListener("change", () => {
    const asTable = input.value === "table";
    document.getElementById("flow-scroll").hidden = asTable;
    document.getElementById("flow-table").hidden = !asTable;
    if (!asTable && data) picture();
  });
}
let planned = null;
let width = host.clientWidth;
new ResizeObserver(() => {
  if (host.clientWidth === width) return;
  width = host.clientWidth;
  clearTimeout(planned);
  planned = setTimeout(() => { if (data && data.links.length) picture(); }, 60);
}).observe(host);
submitting();
start(load);
