// Numbers by locale, units chosen to fit: Wh to GWh, m³ to litres.
import { asRead, inKwh } from "./units.js";
import { locale } from "./words.js";

const PREFIXED = new Set(["Wh", "varh", "W", "var", "VA", "Pa"]);
const SIGNS = { m3: "m³", "m3/h": "m³/h", "W/m2": "W/m²", "kgCO2e/h": "kg CO₂e/h" };
const CURRENCY = /^[A-Z]{3}$/;

/** Choose a scale for values up to `largest`: {unit, factor}, shown = value * factor. */
export function scaleFor(unit, largest) {
  const size = Math.abs(largest ?? 0);
  if (unit === "Wh" && inKwh) return { unit: "kWh", factor: 1e-3 };
  if (PREFIXED.has(unit)) {
    if (size >= 1e9) return { unit: `G${unit}`, factor: 1e-9 };
    if (size >= 1e6) return { unit: `M${unit}`, factor: 1e-6 };
    if (size >= 1e3) return { unit: `k${unit}`, factor: 1e-3 };
    return { unit, factor: 1 };
  }
  if (unit === "kgCO2e") {
    if (size >= 1e3) return { unit: "t CO₂e", factor: 1e-3 };
    return size > 0 && size < 1 ? { unit: "g CO₂e", factor: 1e3 } : { unit: "kg CO₂e", factor: 1 };
  }
  if (unit === "kg" && size >= 1e3) return { unit: "t", factor: 1e-3 };
  if (unit === "m3" && size > 0 && size < 0.1) return { unit: "L", factor: 1e3 };
  if (unit === "m3/h" && size > 0 && size < 0.1) return { unit: "L/h", factor: 1e3 };
  return { unit: SIGNS[unit] ?? unit, factor: 1 };
}

const significant = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const full = new Intl.NumberFormat(locale, { maximumFractionDigits: 9 });
const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });

/** A minus as long as a plus, behind which no line breaks. */
const minus = (text) => text.replace("-", "\u2212");

/** Three significant digits, and never fewer than the whole part has. */
export function short(value) {
  return minus(Math.abs(value) >= 1000 ? whole.format(value) : significant.format(value));
}

const round = new Intl.NumberFormat(locale, { maximumSignificantDigits: 6 });
/** A value of an axis: it is round already, and in three digits 231.5 V and 232 V would be one. */
export const axisText = (value) => minus(round.format(value));

export const count = (value) => whole.format(value);
/** "98.3 %": with a space where the reader's language writes none, as the server does. */
export const share = (value) => percent.format(value).replace(/(\d)%$/, "$1\u00a0%");

const tenth = new Intl.NumberFormat(locale, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
/** The same with its tenth always, for shares that stand below each other. */
export const shareAlike = (value) => tenth.format(value).replace(/(\d)%$/, "$1\u00a0%");

/** From ten times on there was almost nothing to measure a change by: `tells` of model/changes.py. */
const ALMOST_NOTHING = 9;
export const tells = (part) => part !== null && Math.abs(part) < ALMOST_NOTHING;

/**
 * A change with its sign, "+8.2 %"; as an amount, "+4.3 kWh", where a share would say "+5,383 %".
 * `part` is null where there was nothing; `write` writes a share.
 */
export function changed(part, difference, unit, write = share) {
  const by = tells(part) ? part : difference;
  const value = tells(part) ? write(Math.abs(part)) : withUnit(Math.abs(difference), unit);
  const none = !by || (tells(part) && value === write(0));
  return `${none ? "±" : by > 0 ? "+" : "−"}${value}`;
}

/** A value with its unit in three digits: "61.3 kW"; in the unit of `like`, the largest beside it. */
export function withUnit(value, unit, like) {
  if (value === null || value === undefined) return "–";
  if (CURRENCY.test(unit)) return money(value, unit);
  const read = asRead(value, unit);
  const scale = scaleFor(read.unit, like ?? read.value);
  return `${short(read.value * scale.factor)} ${scale.unit}`.trim();
}

/** The whole value, for hovering and tables. */
export function fullWithUnit(value, unit) {
  if (value === null || value === undefined) return "–";
  const read = asRead(value, unit);
  const scale = scaleFor(read.unit, read.value);
  return minus(`${full.format(read.value * scale.factor)} ${scale.unit}`.trim());
}

/** Money in three digits, in the reader's own way of writing it: "€47.30". */
export function money(value, currency) {
  const size = Math.abs(value);
  const decimals = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2;
  const digits = { minimumFractionDigits: decimals === 1 ? 2 : decimals, maximumFractionDigits: decimals === 1 ? 2 : decimals };
  return minus(new Intl.NumberFormat(locale, { style: "currency", currency, ...digits }).format(value));
}

/**
 * A writer for values that stand below each other: one unit, and one number of decimals, so that the
 * eye compares them. Three digits of the largest, and one more where the smallest would else have one.
 */
export function alike(values, unit) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const sizes = known.map((value) => Math.abs(asRead(value, unit).value));
  const scale = CURRENCY.test(unit) ? { unit, factor: 1 } : scaleFor(asRead(0, unit).unit, Math.max(0, ...sizes));
  const top = Math.max(0, ...sizes) * scale.factor;
  const least = Math.min(top, ...sizes.filter((size) => size > 0).map((size) => size * scale.factor));
  let decimals = top > 0 ? Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(top)))) : 0;
  const finest = Math.min(3, decimals + 1);
  while (decimals < finest && least > 0 && least * 10 ** decimals < 9.5) decimals += 1;
  const coin = CURRENCY.test(unit);
  if (coin) decimals = least >= 100 || top === 0 ? 0 : 2;
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  const format = new Intl.NumberFormat(locale, coin ? { ...digits, style: "currency", currency: unit } : digits);
  return (value) => {
    if (value === null || value === undefined) return "–";
    const text = format.format(asRead(value, unit).value * scale.factor);
    return minus(coin || !scale.unit ? text : `${text} ${scale.unit}`);
  };
}

/** A formatter for a column: the same number of decimals in every row. */
export function column(largest, factor) {
  const size = Math.abs(largest * factor);
  const decimals = size >= 1000 ? 1 : size >= 100 ? 2 : size >= 1 ? 3 : 5;
  const format = new Intl.NumberFormat(locale, {
    minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  });
  return (value) => format.format(value * factor);
}
