// What an electrical event is about: the voltages or currents of the phases, a power factor, a sum.
import { scaleFor, short } from "../numbers.js";
import { t } from "../words.js";
import { MARKS, alpha, css } from "../breakdown/marks.js";
import { frame, look, marks, markNow, missing, ribbon, steps } from "./band.js";
import { Card, figuresTable } from "./card.js";

const colourOf = (line) => css(line.phase ? `--phase-${line.phase}` : line.beside ? "--muted" : "--electricity");
const nameOf = (line) => (line.phase ? `${MARKS[line.phase - 1]} ${line.name}` : line.name);
const known = (values) => values.filter((value) => value !== null && value !== undefined);
const scaled = (values, factor) => values.map((value) => (value === null ? null : value * factor));

/** {at, values}: one for each interval of which any line knows something. */
function rowsOf(data) {
  const found = new Map();
  data.lines.forEach((line, i) => line.start.forEach((at, k) => {
    if (!found.has(at)) found.set(at, { at, values: data.lines.map(() => null) });
    found.get(at).values[i] = line.value[k];
  }));
  return [...found.values()].sort((a, b) => a.at - b.at);
}

/** Limits: dashed lines over the whole width with their words. */
function limits(data, factor, colours) {
  return data.limits.map(({ value, text }, i) => ({
    yAxis: value * factor, lineStyle: { color: colours.anomaly, width: 1.25, type: [5, 4] },
    label: { show: true, formatter: text, position: i || data.limits.length === 1 ? "insideEndTop" : "insideEndBottom",
      color: colours.text, fontFamily: colours.family, fontSize: 12, textBorderColor: colours.surface, textBorderWidth: 3 },
  }));
}

export function build(data, time, width, { height = 300 } = {}) {
  const colours = look(data.utility);
  const values = data.lines.flatMap((line) => known([...line.value, ...(line.high ?? []), ...(line.low ?? [])]));
  const all = [...values, ...data.limits.map((one) => one.value)];
  const top = all.reduce((most, value) => Math.max(most, value), 0);
  const least = all.reduce((low, value) => Math.min(low, value), top);
  const scale = scaleFor(data.unit, Math.max(top, -least));
  const f = scale.factor;
  // A voltage is never near zero: its limits fill the panel. Everything else is seen from zero.
  const room = (top - least) * 0.15;
  const y = data.near ? { min: (least - room) * f, max: (top + room) * f } : { min: least < 0 ? undefined : 0, max: top * f * 1.15 };
  const series = [missing(data, colours, 0), marks(data, colours, 0)];
  for (const line of data.lines) {
    const end = line.start.map((at) => at + data.step_ms);
    const colour = colourOf(line);
    if (line.low) series.push(ribbon(line.start, scaled(line.low, f), scaled(line.high, f), { fill: alpha(colour, 0.14) }, 0, 2, end));
    series.push(steps(line.start, scaled(line.value, f), { width: 1.5, color: colour, type: line.beside ? [5, 4] : "solid" }, 0, 4, end));
  }
  markNow(series, data, colours);
  if (data.limits.length && data.lines.length) {
    const last = series.at(-1);
    last.markLine = { silent: true, symbol: "none", animation: false, label: { show: false }, ...last.markLine,
      data: [...(last.markLine?.data ?? []), ...limits(data, f, colours)] };
  }
  const option = { ...frame(data, time, width, false, colours, scale, y), series };
  if (data.near) option.yAxis.axisLabel = { ...option.yAxis.axisLabel, showMinLabel: false, showMaxLabel: false };
  return { option, scale, height };
}

/** The chart, which lines are which, and the same as a table. */
export function show(data, time, host, legend) {
  legend.replaceChildren(...data.lines.map((line) => {
    const item = document.createElement("li");
    const key = document.createElement("i");
    key.className = `key ${line.phase ? `of-phase phase-${line.phase}` : line.beside ? "beside" : "actual"}`;
    key.setAttribute("aria-hidden", "true");
    item.append(key, nameOf(line));
    return item;
  }));
  const text = (value, scale) => (value === null ? "–" : `${short(value * scale.factor)} ${scale.unit}`.trim());
  const told = (row, scale) => row.values.map((value, i) => [nameOf(data.lines[i]), text(value, scale)]);
  return new Card(host, data, time, { height: 300, build, rows: rowsOf, told });
}

export function table(host, data, time, title) {
  const top = Math.max(0, ...data.lines.flatMap((line) => known(line.value).map(Math.abs)));
  const scale = scaleFor(data.unit, top);
  const unit = scale.unit ? ` [${scale.unit}]` : "";
  figuresTable(host, title, [t("insight.interval"), ...data.lines.map((line) => `${line.name}${unit}`)],
    rowsOf(data).map((row) => [time.bucket(row.at, data.step_ms), ...row.values.map((value) => (value === null ? "–" : short(value * scale.factor)))]));
}
