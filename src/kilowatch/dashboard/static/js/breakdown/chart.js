// The graph: one panel for each parameter over one time axis, so that no axis has two units.
import { axisText, scaleFor, short } from "../numbers.js";
import { t } from "../words.js";
import { colourOfBand, fillOf } from "./bands.js";
import { what } from "./compare.js";
import { layRows, overlaySeries } from "./overlays.js";
import { MARKS, alpha, band, bars, css, gapMarks, hatch } from "./marks.js";
import { gaps, rowsOf, thin } from "./rows.js";

export const EDITED = 2;
export const ESTIMATED = 3;
export const QUESTIONABLE = 4;
const MARKED = { [QUESTIONABLE]: 3, [ESTIMATED]: 4, [EDITED]: 5 }; // quality to style of a bar
const FLOATING = new Set(["V", "°C", "°F", "Hz", "Pa", "", "ppm"]);

function colours(utility) {
  return {
    hue: css(`--${utility}`) || css("--other"),
    phases: [css("--phase-1"), css("--phase-2"), css("--phase-3")],
    text: css("--text"), muted: css("--muted"), line: css("--line"), strong: css("--line-strong"),
    surface: css("--surface"), gap: css("--gap"), late: css("--late"),
    family: css("--font"), font: `12px ${css("--font")}`,
  };
}

/** Group the channels of an answer into panels, each with its rows. */
export function panelsOf(answer) {
  const other = answer.compare?.channels ?? [];
  const own = answer.parameters_shown.map((parameter) => {
    const channels = answer.channels.filter((channel) => channel.parameter === parameter.name)
      .map((channel) => ({ ...channel, rows: rowsOf(channel) }));
    const names = new Map(channels.map((channel) => [channel.channel, channel]));
    const total = answer.total ? { ...answer.total, rows: rowsOf(answer.total) } : null;
    if (total) names.set(total.channel, total);
    // What it is compared with lies beside its own channel, moved to this period's days.
    const against = other.filter((channel) => names.has(channel.beside))
      .map((channel) => ({ ...channel, phase: names.get(channel.beside).phase,
        rows: rowsOf(channel).filter((row) => row.start >= 0).sort((a, b) => a.start - b.start) }));
    return { ...parameter, channels, against, total };
  });
  const total = answer.compare?.total;
  const apart = (answer.compare?.parameters_shown ?? []).map((parameter) => ({
    ...parameter, title: `${answer.compare.point.name}: ${parameter.title}`, other: answer.compare.point, against: [],
    channels: other.filter((channel) => !channel.beside && channel.parameter === parameter.name)
      .map((channel) => ({ ...channel, rows: rowsOf(channel).filter((row) => row.start >= 0) })),
    ...(total ? { total: { ...total, rows: rowsOf(total).filter((row) => row.start >= 0) } } : {}),
  }));
  return [...own, ...apart];
}

/** What a row of the other side amounts to, drawn or told: with what was used across a gap. */
export const whole = (panel, row) => (row.value === null && !(panel.inlineUnallocated && row.unallocated) ? null
  : (row.value ?? 0) + (panel.inlineUnallocated ? row.unallocated : 0));

function stackedTop(panel) {
  const tops = new Map();
  const beside = panel.against.flatMap((channel) => channel.rows.map((row) => whole(panel, row) ?? 0));
  for (const channel of panel.channels) {
    for (const row of channel.rows) {
      const top = Math.max(0, row.value ?? 0) + (panel.inlineUnallocated ? row.unallocated : 0);
      tops.set(row.start, (tops.get(row.start) ?? 0) + top);
    }
  }
  let top = 0;
  for (const value of [...tops.values(), ...beside]) top = Math.max(top, value);
  return top;
}

/** One axis for several stacks: from nothing, or from where the lowest rest below zero ends. */
function niceAxis(panels, highest, factor) {
  const max = niceTop(highest * factor);
  const interval = max / 4;
  const least = Math.min(0, ...panels.flatMap((panel) => panel.channels.flatMap((channel) => channel.rows.map((row) => row.value ?? 0)))) * factor;
  // A few watt-hours below nothing are thinner than the axis: the words below say how many there are.
  return { max, interval, min: least > -interval / 16 ? 0 : Math.floor(least / interval) * interval };
}

/** How high what is laid over a panel reaches. */
function laidHeights(panel, answer, over) {
  if (!over) return [];
  layRows(panel, over.overlays, over.on, answer.window.now_ms);
  return [...panel.over.expected, ...panel.over.forecast].map((row) => Math.max(row.mid ?? 0, row.high ?? 0));
}

/** A round number that is no less than a value, of which a quarter is round too. */
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value / 4));
  return 4 * power * [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => 4 * power * step >= value * 0.9999);
}

function largestOf(panel) {
  if (panel.measure === "amount") return stackedTop(panel);
  let largest = 0;
  for (const channel of [...panel.channels, ...panel.against]) {
    for (const row of channel.rows) {
      largest = Math.max(largest, Math.abs(row.high ?? row.value ?? 0), Math.abs(row.low ?? row.value ?? 0));
    }
  }
  return largest;
}

function colourOf(panel, channel, look) {
  if (channel.band) return colourOfBand(channel, panel.channels.indexOf(channel), look.hue);
  if (panel.other) return css(`--${panel.other.utility}`) || css("--other");
  return channel.phase ? look.phases[channel.phase - 1] : look.hue;
}

/** The other side of a comparison: a dashed line over the whole width of each bucket. */
function againstSeries(panel, index, look, scale, pixelMs, joinMs) {
  return panel.against.map((channel) => {
    const rows = thin(channel.rows.map((row) => ({ ...row, value: whole(panel, row) })), pixelMs, panel.measure);
    const data = [];
    rows.forEach((row, i) => {
      if (row.value === null) return;
      data.push([row.start, row.value * scale.factor]);
      const next = rows[i + 1];
      if (!next || next.value === null || (next.start > row.end && next.start - row.start > joinMs)) {
        data.push([row.end, row.value * scale.factor], [row.end, null]);
      }
    });
    return {
      type: "line", id: `against-${index}-${channel.channel}`, xAxisIndex: index, yAxisIndex: index, step: "end", animation: false, silent: true,
      symbol: "none", connectNulls: false, data, z: 6, emphasis: { disabled: true },
      lineStyle: { width: 1.75, type: [6, 4], color: channel.phase ? colourOf(panel, channel, look) : look.text },
    };
  });
}

function gapSeries(panel, index, answer, look, scale, shown) {
  const { from_ms: from, to_ms: to, now_ms: now } = answer.window;
  const own = panel.other ? panel.channels[0]?.rows ?? [] : null;
  const extent = own ? own.length && { first_ms: own[0].start, last_ms: own.at(-1).end + answer.point.interval_s * 1000 } : answer.extent;
  if (!extent) return [];
  const late = answer.status.late;
  const begin = Math.max(from, extent.first_ms);
  const end = Math.min(to, late ? now : extent.last_ms - answer.point.interval_s * 1000);
  const merged = panel.channels.flatMap((channel) => channel.rows).sort((a, b) => a.start - b.start);
  // What lies no further apart than the packets do is joined by the line, and no gap.
  const joined = answer.status.join_ms - answer.point.interval_s * 1000;
  panel.gaps = end > begin ? gaps(merged, begin, end).filter((gap) => gap.to - gap.from > joined) : [];
  const texts = panel.gaps.map((gap) => (gap.unallocated
    ? t("chart.gap_used", { amount: `${short(gap.unallocated * scale.factor)} ${scale.unit}` })
    : t("chart.gap")));
  return [{
    type: "custom", xAxisIndex: index, yAxisIndex: index, silent: true, animation: false, z: 1,
    renderItem: gapMarks(texts, look), encode: { x: [1, 2], y: 3 },
    data: (shown ? panel.gaps : []).map((gap) => [(gap.from + gap.to) / 2, gap.from, gap.to, null]),
  }];
}

function barSeries(panel, index, look, scale, pixelMs) {
  const ground = new Map();
  const series = [];
  for (const channel of panel.channels) {
    const colour = colourOf(panel, channel, look);
    const styles = [
      { fill: channel.band ? fillOf(channel, panel.channels.indexOf(channel), look.hue) : colour },
      { fill: hatch(colour, alpha(colour, 0.35)) }, // the bucket is not wholly known
      { fill: hatch(colour) }, // used across a gap, time unknown
      { fill: alpha(colour, 0.5), stroke: look.late, lineWidth: 2, lineDash: [3, 3] }, // to be looked at
      { fill: alpha(colour, 0.35), stroke: colour, lineWidth: 1, lineDash: [1, 2] }, // estimated: dotted
      { fill: alpha(colour, 0.6), stroke: colour, lineWidth: 1 }, // a person set it
      { fill: hatch(look.late, alpha(look.late, 0.2)), stroke: look.late, lineWidth: 1 }, // below zero: a sum is wrong
    ];
    const data = [];
    for (const row of thin(channel.rows, pixelMs, "amount")) {
      const base = ground.get(row.start) ?? 0;
      let top = base;
      const middle = (row.start + row.end) / 2;
      if (row.value !== null && row.value < 0 && channel.band) {
        data.push([middle, row.start, row.end, row.value * scale.factor, 0, 6]);
      } else if (row.value !== null && row.value !== 0) {
        top = base + row.value * scale.factor;
        const style = MARKED[row.quality] ?? (row.covered < 0.98 ? 1 : 0);
        data.push([middle, row.start, row.end, base, top, style]);
      }
      if (panel.inlineUnallocated && row.unallocated) {
        data.push([middle, row.start, row.end, top, top + row.unallocated * scale.factor, 2]);
        top += row.unallocated * scale.factor;
      }
      ground.set(row.start, top);
    }
    series.push({
      type: "custom", name: channel.title, xAxisIndex: index, yAxisIndex: index, animation: false,
      renderItem: bars(styles), encode: { x: 0, y: [3, 4] }, data, z: 2,
    });
  }
  return series;
}

const DOT = 3;

function lineSeries(panel, index, look, scale, pixelMs, now, joinMs) {
  const series = [];
  for (const channel of panel.channels) {
    const colour = colourOf(panel, channel, look);
    // Of the interval that is running only what has been measured is drawn.
    const rows = thin(channel.rows, pixelMs, "mean")
      .map((row) => (row.start < now && row.end > now ? { ...row, end: now } : row));
    // Three wide bands over each other hide what they should show: apart, only fine ones are drawn.
    const crowded = panel.channels.length > 1 && rows.length > 0 && rows[0].end - rows[0].start > 2 * 3_600_000;
    const banded = crowded ? [] : rows.filter((row) => row.low !== null && row.high !== null && row.high > row.low);
    series.push({
      type: "custom", xAxisIndex: index, yAxisIndex: index, silent: true, animation: false, z: 2,
      renderItem: band(alpha(colour, panel.channels.length > 1 ? 0.12 : 0.2)), encode: { x: [1, 2], y: [3, 4] },
      data: banded.map((row) => [(row.start + row.end) / 2, row.start, row.end,
        row.low * scale.factor, row.high * scale.factor]),
    });
    const data = [], dots = [];
    let begun = null;
    rows.forEach((row, i) => {
      if (row.value === null) return;
      begun ??= row.start;
      data.push([row.start, row.value * scale.factor]);
      const next = rows[i + 1];
      const apart = next && next.start > row.end && next.start - row.start > joinMs;
      if (!next || apart || next.value === null) {
        data.push([row.end, row.value * scale.factor], [row.end, null]);
        // A line shorter than a dot is not seen: the first graph of a new meter looked empty.
        if (row.end - begun < 2 * DOT * pixelMs) dots.push([(begun + row.end) / 2, row.value * scale.factor]);
        begun = null;
      }
    });
    series.push({
      type: "custom", xAxisIndex: index, yAxisIndex: index, silent: true, animation: false, z: 4,
      id: `dots-${index}-${channel.channel}`, encode: { x: 0, y: 1 }, data: dots,
      renderItem(_, api) {
        const [cx, cy] = api.coord([api.value(0), api.value(1)]);
        return { type: "circle", shape: { cx, cy, r: DOT }, style: { fill: colour } };
      },
    });
    series.push({
      type: "line", name: channel.title, xAxisIndex: index, yAxisIndex: index, step: "end", animation: false,
      symbol: "none", connectNulls: false, lineStyle: { width: 1.75, color: colour }, itemStyle: { color: colour },
      emphasis: { disabled: true }, data, z: 3,
    });
    // What was estimated, set by a person or is questionable is dotted: the ground shows through.
    const dotted = rows.filter((row) => row.quality in MARKED && row.value !== null)
      .flatMap((row) => [[row.start, row.value * scale.factor], [row.end, row.value * scale.factor], [row.end, null]]);
    if (dotted.length) {
      series.push({
        type: "line", xAxisIndex: index, yAxisIndex: index, animation: false, silent: true, symbol: "none",
        connectNulls: false, lineStyle: { width: 2.5, color: look.surface, type: [2, 3] }, data: dotted, z: 4,
      });
    }
  }
  return series;
}

function markLines(answer, time, look) {
  const { from_ms: from, to_ms: to, now_ms: now } = answer.window;
  // Within a week the change of the clock explains the axis; over a year it explains nothing.
  const changes = to - from <= 8 * 86_400_000 ? time.changes(from, to) : [];
  const lines = changes.map(({ at, text }) => ({
    xAxis: at, lineStyle: { color: look.strong, type: "dashed", width: 1 },
    label: { show: true, formatter: text, position: "end", rotate: 0, color: look.muted,
      fontFamily: look.family, fontSize: 12, align: at - from > 0.6 * (to - from) ? "right" : "left",
      distance: 0, offset: [at - from > 0.6 * (to - from) ? -6 : 6, 24], padding: [2, 4],
      backgroundColor: look.surface },
  }));
  if (now > from && now < to) {
    lines.push({ xAxis: now, lineStyle: { color: look.strong, width: 1, type: "solid" },
      label: { show: false } });
  }
  return lines;
}

/** Build the whole option. Returns {option, panels, height}. */
export function build(answer, time, width, narrow, over = null, tall = null) {
  const look = colours(answer.point.utility);
  const panels = panelsOf(answer);
  const { from_ms: from, to_ms: to } = answer.window;
  const left = 52;
  const right = 16;
  const plotWidth = Math.max(100, width - left - right);
  const pixelMs = (to - from) / plotWidth;
  const spans = panels.flatMap((panel) => panel.channels.flatMap((channel) => channel.rows.map((row) => row.end - row.start)));
  const coarse = spans.length > 0 && spans[0] >= 22 * 3_600_000;
  // Two stacks side by side are read by their heights: one scale, and panels of one size.
  const both = answer.compare?.total && panels.every((panel) => panel.unit === panels[0].unit)
    ? Math.max(...panels.map(largestOf), ...laidHeights(panels[0], answer, over)) || null : null;
  const axis = both ? niceAxis(panels, both, scaleFor(panels[0].unit, both).factor) : {};
  const heights = panels.map((_, i) => (both ? (narrow ? 176 : 216) : panels.length === 1 ? (narrow ? 260 : 400) : i === 0 ? (narrow ? 200 : 248) : (narrow ? 140 : 168)));
  if (tall) heights.forEach((_, i) => { heights[i] = Math.max(120, Math.floor((tall - 36 - 32 - 48 * (panels.length - 1)) / panels.length)); });
  const ticks = time.ticks(from, to, plotWidth);
  const named = new Map(ticks.map((tick) => [tick.at, tick]));
  const lines = markLines(answer, time, look);
  let top = 36;
  const grid = [];
  const xAxis = [];
  const yAxis = [];
  const series = [];
  const scales = [];
  const legends = [];
  panels.forEach((panel, i) => {
    panel.inlineUnallocated = panel.measure === "amount" && coarse;
    const scale = scaleFor(panel.unit, both ?? largestOf(panel));
    scales.push(scale);
    grid.push({ left, right, top, height: heights[i] });
    const lastPanel = i === panels.length - 1;
    xAxis.push({
      gridIndex: i, type: "value", min: from, max: to, animation: false,
      axisLine: { show: true, onZero: false, lineStyle: { color: look.strong } },
      axisTick: { show: true, length: 4, customValues: ticks.map((tick) => tick.at), lineStyle: { color: look.strong } },
      axisLabel: {
        show: lastPanel, color: look.muted, fontFamily: look.family, fontSize: 12, hideOverlap: true,
        customValues: ticks.map((tick) => tick.at), showMinLabel: true, showMaxLabel: false,
        formatter: (at) => { const tick = named.get(at); return tick ? (tick.strong ? `{b|${tick.text}}` : tick.text) : ""; },
        rich: { b: { color: look.text, fontWeight: 600, fontFamily: look.family, fontSize: 12 } },
      },
      splitLine: { show: false },
      axisPointer: { show: true, type: "line", snap: false, label: { show: false }, lineStyle: { color: look.strong, type: "solid" } },
    });
    yAxis.push({
      gridIndex: i, type: "value", animation: false, splitNumber: heights[i] > 200 ? 5 : 3,
      scale: panel.measure === "mean" && FLOATING.has(panel.unit),
      min: panel.measure === "amount" && !panel.channels.some((channel) => channel.band === "remainder" && channel.rows.some((row) => row.value < 0)) ? 0 : undefined,
      ...axis,
      axisLine: { show: false }, axisTick: { show: false },
      axisLabel: { color: look.muted, fontFamily: look.family, fontSize: 12, formatter: axisText },
      splitLine: { lineStyle: { color: look.line } },
      axisPointer: { show: false },
    });
    legends.push({ panel, scale, top });
    series.push(...gapSeries(panel, i, answer, look, scale, !over || over.on.has("gap")));
    series.push(...(panel.measure === "amount"
      ? barSeries(panel, i, look, scale, pixelMs)
      : lineSeries(panel, i, look, scale, pixelMs, answer.window.now_ms, answer.status.join_ms)));
    const carrier = series.at(-1);
    if (lines.length && carrier) {
      carrier.markLine = { silent: true, symbol: "none", animation: false,
        data: lines.map((line) => (i === 0 ? line : { ...line, label: { show: false } })) };
    }
    if (panel.against.length) series.push(...againstSeries(panel, i, look, scale, pixelMs, answer.status.join_ms));
    if (over && !panel.other) series.push(...overlaySeries(panel, i, over.overlays, over.on, look.hue, scale.factor, answer.window.now_ms, over.marks));
    top += heights[i] + (lastPanel ? 32 : 48);
  });
  const graphic = legends.map(({ panel, scale, top: at }, i) => ({
    type: "text", left: 8, top: at - 28, silent: true,
    style: { text: legendText(panel, scale, answer.compare && (narrow ? t("compare.beside") : what(answer.compare)), !narrow || i === 0), fill: look.text, font: `600 13px ${look.family}`,
      rich: richPhases(look) },
  }));
  const option = {
    animation: false, grid, xAxis, yAxis, series, graphic,
    textStyle: { fontFamily: look.family },
    axisPointer: { link: [{ xAxisIndex: "all" }], triggerOn: "mousemove|click" },
    tooltip: { show: false },
  };
  return { option, panels, scales, height: top, coarse, plot: { left, width: plotWidth } };
}

function richPhases(look) {
  const rich = { u: { fill: look.muted, font: look.font }, t: { fill: look.text, font: `600 13px ${look.family}` } };
  look.phases.forEach((colour, i) => {
    rich[`m${i + 1}`] = { fill: colour, font: `700 14px ${look.family}` };
  });
  return rich;
}

// On a phone the first panel says what the marks are, for all of them.
function legendText(panel, scale, compare, marks) {
  const beside = marks && panel.against.length && compare ? `   {u|╌╌ ${compare}}` : "";
  const unit = scale.unit ? `  {u|${scale.unit}}` : "";
  const apart = panel.channels.filter((channel) => channel.phase);
  const phases = marks && apart.length && panel.channels.length > 0
    ? apart.map((channel) => `   {m${channel.phase}|${MARKS[channel.phase - 1]}} {u|${channel.phase_title}}`).join("")
    : "";
  return `{t|${panel.title}}${unit}${phases}${beside}`;
}
