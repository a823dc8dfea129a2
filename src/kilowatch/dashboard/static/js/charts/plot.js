// A plot as SVG: bands and lines of steps, bars, an axis each way. It follows the theme by CSS alone,
// prints sharply, and is small: pages without a time line need no chart library.
import { axisText } from "../numbers.js";
import { element } from "./fetching.js";

const SPACE = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Round steps for an axis: 0, 20, 40 … at most `most` of them, the last at or above the top. */
export function steps(low, high, most = 5) {
  const span = high - low || 1;
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => span / one <= most + 1e-9);
  const found = [];
  for (let at = Math.floor(low / step + 1e-9) * step; at < high + step * (1 - 1e-9); at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/** The path of a line of steps; what is not known interrupts it. */
function stepPath(line, x, y) {
  let path = "";
  let open = null;
  line.value.forEach((value, i) => {
    if (!known(value)) { open = null; return; }
    const [a, b, at] = [x(line.start[i]), x(line.end[i]), y(value)].map((one) => one.toFixed(1));
    path += open === line.start[i] ? `V${at}H${b}` : `M${a} ${at}H${b}`;
    open = line.end[i];
  });
  return path;
}

/** The outline between two lines of steps, one part for each run of known ones. */
function bandPath(band, x, y) {
  let path = "";
  for (let i = 0; i < band.low.length; i += 1) {
    if (!known(band.low[i]) || !known(band.high[i])) continue;
    let last = i;
    while (last + 1 < band.low.length && known(band.low[last + 1]) && band.start[last + 1] === band.end[last]) last += 1;
    let above = "";
    let below = "";
    for (let k = i; k <= last; k += 1) {
      above += `${k === i ? "M" : "L"}${x(band.start[k]).toFixed(1)} ${y(band.high[k]).toFixed(1)}H${x(band.end[k]).toFixed(1)}`;
      const back = last - (k - i);
      below += `L${x(band.end[back]).toFixed(1)} ${y(band.low[back]).toFixed(1)}H${x(band.start[back]).toFixed(1)}`;
    }
    path += `${above}${below}Z`;
    i = last;
  }
  return path;
}

/**
 * Draw a plot into `host`, and again whenever its width changes.
 * @param spec () => {label, height, unit, factor, x: {from, to, ticks: [{at, text}]}, low, high,
 *   bands, lines, bars: [{class, …columns}], tell: (at) => {title, lines: [[name, value]]} | null,
 *   open: (at) => address | null}
 */
export function plot(host, spec) {
  host.classList.add("svg-plot");
  const tip = element("div", "hover");
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  const draw = () => {
    const width = host.clientWidth;
    if (!width) return;
    const own = spec(width);
    const [left, right, top, bottom] = [52, 8, 26, 24];
    const plotW = Math.max(60, width - left - right);
    const plotH = own.height - top - bottom;
    const ticks = steps(own.low, own.high, Math.max(2, Math.floor(plotH / 48)));
    const [y0, y1] = [ticks[0], ticks.at(-1)];
    const x = (at) => left + (at - own.x.from) / (own.x.to - own.x.from) * plotW;
    const y = (value) => top + (1 - (value - y0) / (y1 - y0 || 1)) * plotH;
    const picture = svg("svg", { width, height: own.height, viewBox: `0 0 ${width} ${own.height}`, role: "img", "aria-label": own.label });
    const text = (value, attributes) => { const node = svg("text", attributes); node.textContent = value; return node; };
    for (const at of ticks) {
      picture.append(svg("line", { class: at === 0 ? "axis" : "grid", x1: left, x2: left + plotW, y1: y(at), y2: y(at) }),
        text(axisText(at), { x: left - 6, y: y(at), class: "end middle" }));
    }
    picture.append(text(own.unit, { x: 0, y: 12 }));
    let free = -Infinity;
    for (const { at, text: name } of own.x.ticks) {
      const place = x(at);
      const half = name.length * 3.4;
      if (place - half < free || place + half > width + 12) continue;
      free = place + half + 8;
      picture.append(svg("line", { class: "tick", x1: place, x2: place, y1: top + plotH, y2: top + plotH + 4 }),
        text(name, { x: Math.min(Math.max(place, half), width - half), y: own.height - 6, class: "center" }));
    }
    for (const band of own.bands ?? []) picture.append(svg("path", { class: `band ${band.class}`, d: bandPath(band, x, y) }));
    for (const bar of own.bars ?? []) {
      const group = svg("g", { class: `bars ${bar.class}` });
      bar.value.forEach((value, i) => {
        if (!known(value)) return;
        const [a, b] = [x(bar.start[i]), x(bar.end[i])];
        const gap = b - a > 12 ? 1.5 : b - a > 4 ? 0.5 : 0;
        const [from, to] = [Math.min(y(value), y(0)), Math.max(y(value), y(0))];
        group.append(svg("rect", { x: (a + gap).toFixed(1), width: Math.max(0.5, b - a - 2 * gap).toFixed(1), y: from.toFixed(1), height: Math.max(0.5, to - from).toFixed(1), class: bar.partial?.[i] ? "partial" : null }));
      });
      picture.append(group);
    }
    for (const line of own.lines ?? []) picture.append(svg("path", { class: `line ${line.class}`, d: stepPath(line, x, y) }));
    const guide = svg("line", { class: "guide", y1: top, y2: top + plotH, visibility: "hidden" });
    picture.append(guide);
    const at = (event) => own.x.from + (event.offsetX - left) / plotW * (own.x.to - own.x.from);
    picture.addEventListener("mousemove", (event) => {
      const inside = event.offsetX >= left && event.offsetX <= left + plotW;
      const told = inside ? own.tell?.(at(event)) : null;
      tip.hidden = !told;
      guide.setAttribute("visibility", told ? "visible" : "hidden");
      if (!told) return;
      guide.setAttribute("x1", event.offsetX);
      guide.setAttribute("x2", event.offsetX);
      tip.replaceChildren(element("div", "title-line", told.title), ...told.lines.map(([name, value]) => {
        const row = element("div", "line");
        row.append(element("span", "name", name), element("strong", "", value));
        return row;
      }));
      const beside = event.offsetX + 16 + tip.offsetWidth > width ? event.offsetX - 16 - tip.offsetWidth : event.offsetX + 16;
      tip.style.left = `${Math.max(0, beside)}px`;
      tip.style.top = `${Math.max(0, event.offsetY - tip.offsetHeight - 8)}px`;
    });
    picture.addEventListener("mouseleave", () => { tip.hidden = true; guide.setAttribute("visibility", "hidden"); });
    if (own.open) picture.addEventListener("click", (event) => { const target = own.open(at(event)); if (target) location.assign(target); });
    host.replaceChildren(picture, tip);
    host.dataset.drawn = String(Number(host.dataset.drawn ?? 0) + 1);
  };
  let planned = null;
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth === width) return;
    width = host.clientWidth;
    clearTimeout(planned);
    planned = setTimeout(draw, 60);
  }).observe(host);
  draw();
  return draw;
}

/** The index of the span that holds an instant, or -1. */
export const indexAt = (start, end, at) => start.findIndex((from, i) => at >= from && at < end[i]);
