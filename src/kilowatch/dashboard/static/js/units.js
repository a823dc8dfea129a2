// How the reader wants temperatures and energy, from the account; everything is stored in °C and Wh.
const { temperature = "", energy = "" } = document.documentElement.dataset;

export const inKwh = energy === "kWh";
const fahrenheit = temperature === "F";

const degrees = (value) => (value === null || value === undefined ? value : value * 1.8 + 32);

/** A value and its unit as the reader has it; a temperature, never a difference of two. */
export function asRead(value, unit) {
  return fahrenheit && unit === "°C" ? { value: degrees(value), unit: "°F" } : { value, unit };
}

const LEVELS = ["mean", "low", "high", "value", "peak", "baseload"];

function convert(entry) {
  if (entry?.unit !== "°C") return;
  entry.unit = "°F";
  for (const key of LEVELS) {
    if (Array.isArray(entry[key])) entry[key] = entry[key].map(degrees);
    else if (typeof entry[key] === "number") entry[key] = degrees(entry[key]);
  }
}

/** Convert an answer of /data/series in place, before anything draws it. */
export function seriesAsRead(answer) {
  if (!fahrenheit) return answer;
  const other = answer.compare ?? {};
  for (const part of [answer.parameters, answer.parameters_shown, answer.channels, answer.statistics, answer.summary,
    other.parameters_shown, other.channels, other.statistics, other.summary]) part?.forEach(convert);
  for (const { change, unit } of [...answer.statistics, ...answer.summary]) {
    if (change && unit === "°F") Object.assign(change, { value: degrees(change.value), difference: change.difference * 1.8 });
  }
  convert(answer.demand);
  return answer;
}

/** Convert the cards of /data/today in place. */
export function cardsAsRead(points) {
  if (!fahrenheit) return points;
  for (const card of Object.values(points)) {
    if (card.unit === "°C") card.bars = card.bars.map(([start, end, value]) => [start, end, degrees(value)]);
    convert(card);
  }
  return points;
}
