// What stands behind each of Breakdown's figures: its definition, data points, days, quality, price.
import { count, share, withUnit } from "../numbers.js";
import { t } from "../words.js";
import { button } from "../why.js";

const COMPLETE = 0.9995;

function qualities(entry) {
  const said = Object.entries(entry?.shares ?? {}).filter(([, part]) => part > 0).map(([key, part]) => `${share(part)} ${t(`quality.${key}`)}`);
  if (entry?.derived) said.unshift(t("quality.derived"));
  return said.join(", ") || t("why.all_valid");
}

function price(answer, entry) {
  const { worth } = answer;
  if (worth.shown === "energy" || !entry || !["amount"].includes(entry.measure)) return "";
  const basis = worth.basis.map((one) => one.text).join("; ");
  return basis ? `${basis}. ${t("why.priced")}` : "";
}

/** Everything that is known about a figure: {rows, links}. */
function behind(answer, time, key, entry, complete) {
  const { window } = answer;
  const grain = window.grains.find((one) => one.word === window.grain)?.text ?? window.grain;
  const sources = answer.sources ?? [answer.point];
  const rows = [
    [t("why.means"), t(`why_of.${key}`, { minutes: Math.round((answer.demand?.period_s ?? 900) / 60) })],
    [t("why.points"), sources.map((one) => (one.stream_id ? `${one.name} (${one.stream_id})` : one.name)).join(", ")],
    [t("why.days"), `${time.stamp(window.from_ms)} – ${time.stamp(Math.min(window.to_ms, window.now_ms))}, ${answer.point.zone}`],
    [t("why.intervals"), key === "peak" || key === "load_factor" || key === "baseload"
      ? t("why.demand_periods", { minutes: Math.round((answer.demand?.period_s ?? 900) / 60) })
      : t("why.buckets", { n: count(Math.max(0, ...answer.channels.map((channel) => channel.start_ms.length))), grain })],
    [t("why.known"), t("why.share_known", { share: share(complete >= COMPLETE ? 1 : Math.min(complete, 0.999)) })],
    [t("why.quality"), entry ? qualities(entry) : ""],
    [t("why.gaps"), entry?.unallocated ? t("why.in_gaps", { amount: withUnit(entry.unallocated, entry.unit) }) : ""],
    [t("why.price"), price(answer, entry)],
  ];
  const links = sources.slice(0, 5).filter((one) => one.stream_id).flatMap((one) => [
    { href: `/attributes/${one.id}`, text: t("why.packets", { name: one.name }) },
    { href: `/quality/${one.id}`, text: t("why.look_quality", { name: one.name }) },
  ]);
  return { rows, links };
}

/** The button beside a figure. */
export function whyButton(answer, time, key, title, entry, complete) {
  return button(title, () => behind(answer, time, key, entry, complete ?? entry?.complete ?? 0));
}
