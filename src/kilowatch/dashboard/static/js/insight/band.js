// What was used over what was expected: one panel, hours over their whole width, events as marks.
import { axisText, scaleFor } from "../numbers.js";
import { t } from "../words.js";
import { alpha, css, gapMarks } from "../breakdown/marks.js";

const HOUR = 3_600_000;

export function look(utility) {
  return {
    hue: css(`--${utility}`) || css("--other"),
    waste: css("--waste"), anomaly: css("--anomaly"),
    text: css("--text"), muted: css("--muted"), line: css("--line"), strong: css("--line-strong"),
    gap: css("--gap"), surface: css("--surface"), family: css("--font"),
  };
}

const hourly = (start) => start.map((at) => at + HOUR);

/** Runs of spans that follow each other: [[first, last], ...] as indices, last included. */
function runs(start, end, known) {
  const found = [];
  for (let i = 0; i < start.length; i += 1) {
    if (!known(i)) continue;
    const last = found.at(-1);
    if (last && last[1] === i - 1 && start[i] === end[i - 1]) last[1] = i;
    else found.push([i, i]);
  }
  return found;
}

/** A polygon between two lines of steps, clipped to the plot; spans are hours where no ends are given. */
export function ribbon(start, low, high, style, index, z, end = hourly(start)) {
  const known = (i) => low[i] !== null && high[i] !== null && low[i] !== undefined;
  const parts = runs(start, end, known);
  return {
    type: "custom", xAxisIndex: index, yAxisIndex: index, silent: true, animation: false, z, clip: true,
    encode: { x: [0, 1], y: [2, 3] },
    data: parts.map(([a, b]) => [start[a], end[b], Math.min(...low.slice(a, b + 1)), Math.max(...high.slice(a, b + 1))]),
    renderItem(params, api) {
      const [a, b] = parts[params.dataIndex];
      const above = [];
      const below = [];
      for (let i = a; i <= b; i += 1) {
        above.push(api.coord([start[i], high[i]]), api.coord([end[i], high[i]]));
        below.push(api.coord([start[i], low[i]]), api.coord([end[i], low[i]]));
      }
      return { type: "polygon", shape: { points: [...above, ...below.reverse()] }, style, silent: true };
    },
  };
}

/** A line of steps; spans that are not known interrupt it. */
export function steps(start, value, style, index, z, end = hourly(start)) {
  const data = [];
  for (const [a, b] of runs(start, end, (i) => value[i] !== null && value[i] !== undefined)) {
    for (let i = a; i <= b; i += 1) data.push([start[i], value[i]]);
    data.push([end[b], value[b]], [end[b], null]);
  }
  return {
    type: "line", xAxisIndex: index, yAxisIndex: index, step: "end", animation: false, symbol: "none", silent: true,
    connectNulls: false, lineStyle: style, emphasis: { disabled: true }, data, z,
  };
}

/** The unit that fits a chart's largest value: gas never in litres. */
export const scaleOf = (data, top) => scaleFor(data.unit, data.utility === "gas" ? Math.max(1, top) : top);

const scaled = (values, factor) => values.map((value) => (value === null ? null : value * factor));

/** From when to when an event is seen: its wasted hours where they are known, else all of its time. */
export const spansOf = (mark) => mark.spans ?? [[mark.from, mark.to]];

/** Whether an event is seen in a stretch of time: not in the quiet hours between its own. */
export const touches = (mark, from, to) => spansOf(mark).some(([begin, end]) => begin < to && end > from);

/** What is counted as waste: in each hour so much of what was used, from the top of it down. */
function counted(data, factor, colours, index) {
  const used = new Map(data.actual.start.map((at, i) => [at, data.actual.value[i]]));
  const { start, value } = data.counted;
  const high = start.map((at) => used.get(at) ?? null);
  const low = high.map((top, i) => (top === null ? null : (top - value[i]) * factor));
  return ribbon(start, low, scaled(high, factor), { fill: alpha(colours.waste, 0.4) }, index, 3);
}

/** Where nothing is known that could be: hatched over the whole height, never a line at zero. */
export function missing(data, colours, index) {
  const gaps = data.actual?.missing ?? [];
  return {
    type: "custom", xAxisIndex: index, yAxisIndex: index, silent: true, animation: false, z: 1, encode: { x: [1, 2], y: 3 },
    renderItem: gapMarks(gaps.map(() => t("chart.gap")), { ...colours, font: `12px ${colours.family}` }),
    data: gaps.map(([from, to]) => [(from + to) / 2, from, to, null]),
  };
}

/** What was estimated, set by a person or is questionable is dotted: the ground shows through. */
function dots(data, factor, colours, index) {
  const doubted = new Set(data.actual?.doubt ?? []);
  const { start, value } = data.actual ?? { start: [], value: [] };
  const held = start.map((at, i) => (doubted.has(at) && value[i] !== null ? value[i] * factor : null));
  return steps(start, held, { width: 2.5, color: colours.surface, type: [2, 3] }, index, 6);
}

/** The hours of an event between what was expected and what was used. */
function excess(data, factor, colours, index) {
  const expected = new Map((data.band?.start ?? []).map((at, i) => [at, data.band.mid[i]]));
  const styles = { waste: { fill: alpha(colours.waste, 0.34) }, anomaly: { fill: alpha(colours.anomaly, 0.34) } };
  return (data.marks ?? []).filter((mark) => mark.fill).map((mark) => {
    const hours = data.actual.start.map((at, i) => [at, data.actual.value[i], expected.get(at)])
      .filter(([at, value, middle]) => touches(mark, at, at + HOUR) && value !== null && middle !== null && middle !== undefined && mark.fill * (value - middle) > 0);
    return ribbon(hours.map(([at]) => at), hours.map(([, value, middle]) => Math.min(value, middle) * factor),
      hours.map(([, value, middle]) => Math.max(value, middle) * factor), styles[mark.tone], index, 3);
  });
}

/** Events: pale over the plot, and a strong strip with a mark on the time axis. */
export function marks(data, colours, index, z = 1) {
  const list = data.marks ?? [];
  const about = list.some((mark) => mark.strong); // of one event: others are on the axis alone
  return {
    type: "custom", xAxisIndex: index, yAxisIndex: index, animation: false, z, silent: true,
    encode: { x: [0, 1], y: 2 }, data: list.map((mark) => [mark.from, mark.to, null]),
    renderItem(params, api) {
      const mark = list[params.dataIndex];
      const plot = params.coordSys;
      const left = Math.max(api.coord([mark.from, 0])[0], plot.x);
      const right = Math.min(api.coord([mark.to, 0])[0], plot.x + plot.width);
      if (right <= plot.x || left >= plot.x + plot.width) return null;
      const width = Math.max(2, right - left);
      const colour = colours[mark.tone];
      const parts = spansOf(mark).map(([from, to]) => [Math.max(api.coord([from, 0])[0], plot.x), Math.min(api.coord([to, 0])[0], plot.x + plot.width)])
        .filter(([begin, end]) => end > plot.x && begin < plot.x + plot.width)
        .map(([begin, end]) => ({ x: begin, width: Math.max(mark.spans ? 1 : 2, end - begin) }));
      const middle = Math.min(Math.max(left + width / 2, plot.x + 6), plot.x + plot.width - 6);
      const foot = plot.y + plot.height;
      const glyph = mark.tone === "comment"
        ? { type: "polygon", shape: { points: [[middle - 6, foot - 8], [middle + 6, foot - 8], [middle + 6, foot], [middle, foot], [middle - 3, foot + 4], [middle - 3, foot], [middle - 6, foot]] } }
        : mark.tone === "waste"
        ? { type: "polygon", shape: { points: [[middle, foot - 5], [middle + 5, foot], [middle, foot + 5], [middle - 5, foot]] } }
        : { type: "polygon", shape: { points: [[middle, foot - 6], [middle + 6, foot + 4], [middle - 6, foot + 4]] } };
      const children = [
        // Of a whole site's events the spans would lie over each other until nothing else is seen.
        ...(mark.plain || (about && !mark.strong) ? [] : parts.map((shape) => ({ type: "rect", shape: { ...shape, y: plot.y, height: plot.height }, style: { fill: alpha(colour, mark.strong ? 0.1 : 0.06) } }))),
        { type: "rect", shape: { x: left, y: foot - 1.5, width, height: 3 }, style: { fill: alpha(colour, mark.spans ? 0.35 : 1) } },
        ...(mark.spans ? parts.map((shape) => ({ type: "rect", shape: { ...shape, y: foot - 1.5, height: 3 }, style: { fill: colour } })) : []),
        { ...glyph, style: { fill: colour, stroke: colours.surface, lineWidth: 1.5 } },
      ];
      if (mark.strong && mark.title) {
        const room = plot.x + plot.width - left - 6 > mark.title.length * 7;
        children.push({ type: "text", x: room ? left + 6 : plot.x + plot.width - 4, y: plot.y + 4,
          style: { text: mark.title, fill: colour, font: `600 12px ${colours.family}`, align: room ? "left" : "right", verticalAlign: "top" } });
      }
      return { type: "group", children, silent: true };
    },
  };
}

const largest = (...lists) => lists.flat().reduce((most, value) => (value !== null && value > most ? value : most), 0);
const smallest = (...lists) => lists.flat().reduce((least, value) => (value !== null && value < least ? value : least), 0);

/** The frame of one panel: axes, ticks, the unit; without a series. y: {min, max} of its axis. */
export function frame(data, time, width, small, colours, scale, y) {
  const left = small ? 40 : 52;
  const right = small ? 4 : 12;
  const plotWidth = Math.max(80, width - left - right);
  const ticks = data.ticks ?? time.ticks(data.from_ms, data.to_ms, plotWidth * (small ? 0.8 : 1));
  const named = new Map(ticks.map((tick) => [tick.at, tick]));
  // The last label is left out only where it would be cut off at the edge.
  const last = ticks.at(-1);
  const behind = last ? ((data.to_ms - last.at) / (data.to_ms - data.from_ms)) * plotWidth + right : 0;
  return {
    animation: false, textStyle: { fontFamily: colours.family }, tooltip: { show: false },
    grid: { left, right, top: small ? 10 : 24, bottom: small ? 24 : 28 },
    xAxis: {
      type: "value", min: data.from_ms, max: data.to_ms,
      axisLine: { show: true, onZero: false, lineStyle: { color: colours.strong } },
      axisTick: { show: true, length: 4, customValues: ticks.map((tick) => tick.at), lineStyle: { color: colours.strong } },
      axisLabel: {
        color: colours.muted, fontFamily: colours.family, fontSize: small ? 11 : 12, hideOverlap: true, showMaxLabel: behind > 4 * (last?.text.length ?? 0),
        customValues: ticks.map((tick) => tick.at),
        formatter: (at) => { const tick = named.get(at); return tick ? (tick.strong ? `{b|${tick.text}}` : tick.text) : ""; },
        rich: { b: { color: colours.text, fontWeight: 600, fontFamily: colours.family, fontSize: small ? 11 : 12 } },
      },
      splitLine: { show: false },
      axisPointer: { show: true, type: "line", snap: false, label: { show: false }, lineStyle: { color: colours.strong, type: "solid" } },
    },
    yAxis: {
      type: "value", splitNumber: small ? 2 : 4, ...y,
      axisLine: { show: false }, axisTick: { show: false },
      axisLabel: { color: colours.muted, fontFamily: colours.family, fontSize: small ? 11 : 12, showMaxLabel: small, formatter: axisText },
      splitLine: { lineStyle: { color: colours.line } }, axisPointer: { show: false },
    },
    axisPointer: { triggerOn: "mousemove|click" },
    graphic: [{ type: "text", left: small ? 4 : 8, top: 2, silent: true,
      style: { text: small ? "" : scale.unit, fill: colours.muted, font: `12px ${colours.family}` } }],
  };
}

/** Mark the present moment on the last of some series. */
export function markNow(series, data, colours) {
  if (data.now_ms <= data.from_ms || data.now_ms >= data.to_ms) return;
  series.at(-1).markLine = { silent: true, symbol: "none", animation: false, label: { show: false },
    data: [{ xAxis: data.now_ms, lineStyle: { color: colours.strong, width: 1, type: "solid" } }] };
}

/**
 * Build an option for one panel.
 * @param data {unit, utility, from_ms, to_ms, now_ms, actual, band, forecast, normal, marks}; columns of hours
 * @returns {option, scale, plot}
 */
export function build(data, time, width, { height = 320, small = false, floor = 0 } = {}) {
  const colours = look(data.utility);
  const actual = data.actual ?? { start: [], value: [] };
  const top = largest(actual.value, data.band?.high ?? [], data.forecast?.high ?? [], data.need?.value ?? [], data.normal?.high ?? [], data.other?.value ?? []);
  const least = Math.min(floor, smallest(actual.value, data.band?.low ?? []));
  const scale = scaleOf(data, Math.max(top, -least));
  const f = scale.factor;
  const series = [missing(data, colours, 0), marks(data, colours, 0)];
  for (const band of [data.band, data.normal]) {
    if (!band) continue;
    series.push(ribbon(band.start, scaled(band.low, f), scaled(band.high, f), { fill: alpha(colours.hue, 0.15) }, 0, 2));
    if (band.q25) series.push(ribbon(band.start, scaled(band.q25, f), scaled(band.q75, f), { fill: alpha(colours.hue, 0.18) }, 0, 2));
    series.push(steps(band.start, scaled(band.mid, f), { width: 1, color: alpha(colours.hue, 0.75) }, 0, 3));
  }
  if (data.forecast) {
    const { start, low, q25, mid, q75, high } = data.forecast;
    series.push(ribbon(start, scaled(low, f), scaled(high, f), { fill: alpha(colours.hue, 0.13) }, 0, 2));
    series.push(ribbon(start, scaled(q25, f), scaled(q75, f), { fill: alpha(colours.hue, 0.15) }, 0, 2));
    series.push(steps(start, scaled(mid, f), { width: 1.75, color: colours.hue, type: [5, 4] }, 0, 3));
  }
  if (data.need) {
    series.push(counted(data, f, colours, 0));
    series.push(steps(data.need.start, scaled(data.need.value, f), { width: 1.5, color: colours.text }, 0, 5));
  } else series.push(...excess(data, f, colours, 0));
  series.push(steps(actual.start, scaled(actual.value, f), { width: small ? 1.25 : 1.75, color: colours.hue }, 0, 4));
  if (data.actual?.doubt?.length) series.push(dots(data, f, colours, 0));
  markNow(series, data, colours);
  const y = { min: least < 0 ? undefined : 0, max: small || !top ? undefined : top * f * 1.12 };
  const option = { ...frame(data, time, width, small, colours, scale, y), series };
  return { option, scale, height };
}
