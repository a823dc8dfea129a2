// What stands behind each of Breakdown's figures: its definition, data points, days, quality, price.
import { count, withUnit } from "../numbers.js";
import { t } from "../words.js";
import { tied, whyButton as button } from "../why.js";
import { changeText, what } from "./compare.js";

const OF_DEMAND = new Set(["peak", "load_factor", "baseload"]);

/** What is known of a figure, in the shape of dashboard/behind.py. */
function facts(answer, time, key, entry, complete) {
  const { window, worth } = answer;
  const grain = window.grains.find((one) => one.word === window.grain)?.text ?? window.grain;
  const minutes = Math.round((answer.demand?.period_s ?? 900) / 60);
  const priced = worth.shown !== "energy" && entry?.measure === "amount";
  return {
    means: t(`why_of.${key}`, { minutes }),
    points: entry?.points ?? answer.sources,
    parts: entry?.parts,
    days: `${time.stamp(window.from_ms)} – ${time.stamp(Math.min(window.to_ms, window.now_ms))}, ${answer.point.zone}`,
    intervals: OF_DEMAND.has(key) ? t("why.demand_periods", { minutes })
      : t("why.buckets", { n: count(Math.max(0, ...answer.channels.map((channel) => channel.start_ms.length))), grain }),
    complete,
    shares: entry ? { ...(entry.derived ? { derived: 1 } : {}), ...entry.shares } : null,
    across: entry?.unallocated ? { value: entry.unallocated, unit: entry.unit } : null,
    price: priced ? worth.basis.map((one) => one.text) : [],
    priced: priced ? worth.share : null,
    notes: entry?.change && answer.compare ? [[t("why.change"), t("why.change_against", {
      change: changeText(entry.change, entry.unit), value: withUnit(entry.change.value, entry.unit), what: what(answer.compare),
    })]] : [],
  };
}

/** Put the button of a figure behind its label. */
export function ask(node, answer, time, key, title, entry, complete) {
  tied(node, button(title, facts(answer, time, key, entry, complete ?? entry?.complete ?? 0)));
}
