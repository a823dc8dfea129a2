// A chart with its data: drawn when it is seen, told beside the pointer, and shown as a table.
import { short } from "../numbers.js";
import { t } from "../words.js";
import { build, scaleOf, touches } from "./band.js";

const HOUR = 3_600_000;

export function element(tag, className, text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
}

/** The rows of a chart, hour by hour: {at, actual, low, mid, high, need, counted}. */
export function rowsOf(data) {
  const found = new Map();
  const row = (at) => {
    if (!found.has(at)) found.set(at, { at, actual: null, low: null, mid: null, high: null, need: null, counted: null, doubt: "" });
    return found.get(at);
  };
  data.actual?.start.forEach((at, i) => { row(at).actual = data.actual.value[i]; });
  for (const band of [data.band, data.normal, data.forecast]) {
    band?.start.forEach((at, i) => Object.assign(row(at), { low: band.low[i], mid: band.mid[i], high: band.high[i] }));
  }
  data.actual?.doubt?.forEach((at, i) => { row(at).doubt = data.actual.why[i]; });
  for (const name of ["need", "counted"]) data[name]?.start.forEach((at, i) => { row(at)[name] = data[name].value[i]; });
  return [...found.values()].sort((a, b) => a.at - b.at);
}

function line(name, value) {
  const node = element("div", "line");
  node.append(element("span", "name", name), element("strong", "", value));
  return node;
}

/** Draw figures as a table: titles of the columns, and rows of a name and its figures as text. */
export function figuresTable(host, title, titles, rows) {
  const node = element("table", "figures-table");
  const head = element("thead");
  const labels = element("tr");
  for (const [i, text] of titles.entries()) {
    const th = element("th", i ? "num" : "", text);
    th.scope = "col";
    labels.append(th);
  }
  head.append(labels);
  const body = element("tbody");
  for (const [name, ...cells] of rows) {
    const tr = element("tr");
    const th = element("th", "", name);
    th.scope = "row";
    tr.append(th, ...cells.map((text) => element("td", "num", text)));
    body.append(tr);
  }
  node.append(element("caption", "sr", title), head, body);
  host.replaceChildren(node);
}

/** Draw the rows as a table, for those who listen or want to copy. */
export function table(host, data, name, title) {
  const rows = rowsOf(data);
  const top = Math.max(0, ...rows.map((row) => Math.max(row.actual ?? 0, row.high ?? 0)));
  const scale = scaleOf(data, top);
  const cell = (value) => (value === null || value === undefined ? "–" : short(value * scale.factor));
  const used = (row) => cell(row.actual) + (row.doubt ? ` (${t(`quality.${row.doubt}`)})` : "");
  const names = data.need ? ["actual", "need", "counted"] : ["actual", "expected", "range"];
  const titles = names.map((one) => `${t(`insight.${one}`)} [${scale.unit}]`);
  if (data.need) {
    figuresTable(host, title, [t("insight.hour"), ...titles], rows.map((row) => [name(row.at), used(row), cell(row.need), cell(row.counted)]));
    return;
  }
  figuresTable(host, title, [t("insight.hour"), ...titles], rows.map((row) => [name(row.at), used(row),
    cell(row.mid), row.low === null ? "–" : `${cell(row.low)} – ${cell(row.high)}`]));
}

/** What is told of a row beside the pointer: lines of a name and a value. */
function told(row, scale, settings) {
  const text = (value) => `${short(value * scale.factor)} ${scale.unit}`.trim();
  const lines = [];
  if (row.actual !== null) lines.push([t("insight.actual"), text(row.actual)]);
  if (row.doubt) lines.push([t(`chart.${row.doubt}`), ""]);
  if (row.need !== null) lines.push([t("insight.need"), text(row.need)]);
  if (row.counted !== null) lines.push([t("insight.counted"), text(row.counted)]);
  if (row.mid !== null) lines.push([settings.expected ?? t("insight.expected"), text(row.mid)]);
  if (row.low !== null) lines.push([t("insight.range"), `${short(row.low * scale.factor)} – ${text(row.high)}`]);
  return lines;
}

export class Card {
  /**
   * @param host where the chart is drawn
   * @param data as band.js wants it, or as `settings.build` does
   * @param time the site's local time, or null where hours have names of their own
   * @param settings height, small, name (of an hour); build, rows and told where it is no band
   */
  constructor(host, data, time, settings = {}) {
    this.host = host;
    this.data = data;
    this.time = time;
    this.settings = settings;
    this.name = settings.name ?? ((at) => time.bucket(at, this.step));
    this.step = data.step_ms ?? HOUR;
    this.rows = new Map((settings.rows ?? rowsOf)(data).map((row) => [row.at, row]));
    this.tip = element("div", "hover");
    this.tip.hidden = true;
    this.tip.setAttribute("aria-hidden", "true");
    host.parentElement.append(this.tip);
    document.addEventListener("kw:theme", () => this.draw());
    let planned = null;
    new ResizeObserver(() => {
      clearTimeout(planned);
      planned = setTimeout(() => { if (host.clientWidth !== this.chart?.getWidth()) this.draw(); }, 60);
    }).observe(host);
    this.draw();
  }

  draw() {
    const width = this.host.clientWidth;
    if (!width) return;
    this.built = (this.settings.build ?? build)(this.data, this.time, width, this.settings);
    if (!this.chart) {
      this.chart = echarts.init(this.host, null, { renderer: "canvas" });
      this.chart.getZr().on("mousemove", (event) => this.tell(event));
      this.chart.getZr().on("globalout", () => { this.tip.hidden = true; });
    }
    this.chart.resize();
    this.chart.setOption(this.built.option, { notMerge: true });
    this.host.dataset.drawn = String(Number(this.host.dataset.drawn ?? 0) + 1);
  }

  tell(event) {
    const { offsetX: x, offsetY: y } = event;
    if (!this.chart.containPixel({ gridIndex: 0 }, [x, y])) { this.tip.hidden = true; return; }
    const at = this.chart.convertFromPixel({ xAxisIndex: 0 }, x);
    const first = this.data.from_ms;
    const row = this.rows.get(first + Math.floor((at - first) / this.step) * this.step);
    if (!row) { this.tip.hidden = true; return; }
    const { scale } = this.built;
    const lines = [element("div", "title-line", this.name(row.at)),
      ...(this.settings.told ?? told)(row, scale, this.settings).map(([name, value]) => line(name, value))];
    const mark = (this.data.marks ?? []).find((one) => touches(one, row.at, row.at + 1));
    if (mark) lines.push(element("div", `note ${mark.tone}`, mark.title));
    this.tip.replaceChildren(...lines);
    this.tip.hidden = false;
    const left = this.host.offsetLeft + x;
    const wide = this.tip.offsetWidth;
    const beside = left + 16 + wide > this.host.parentElement.clientWidth ? left - 16 - wide : left + 16;
    this.tip.style.left = `${Math.max(4, beside)}px`;
    this.tip.style.top = `${this.host.offsetTop + Math.max(0, y - this.tip.offsetHeight - 8)}px`;
  }
}
