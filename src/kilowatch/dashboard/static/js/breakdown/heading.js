// The days in the heading: they stand before the chart's library and the numbers are there.
import { dateText } from "../sitetime.js";

export const narrow = matchMedia("(max-width: 640px)");
const heading = document.querySelector("[data-period-label]");

/** A period in words: its days, as the reader's language writes them. */
export function label({ period, first, last }) {
  const long = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
  const middle = { day: "numeric", month: "short", year: "numeric" };
  if (period === "day" || first === last) return dateText(first, narrow.matches ? { ...middle, weekday: "short" } : long);
  if (period === "month") return dateText(first, { month: "long", year: "numeric" });
  if (period === "year") return first.slice(0, 4);
  return `${dateText(first, first.slice(0, 4) === last.slice(0, 4) ? { day: "numeric", month: "short" } : middle)} – ${dateText(last, middle)}`;
}

/** Write the days into the heading, unless they stand there: it is read out when it changes. */
export function name(days) {
  const text = label(days);
  if (heading.textContent !== text) heading.textContent = text;
}

if (heading.dataset.first) name(heading.dataset);
