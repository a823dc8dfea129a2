// Where a number comes from, in words: the facts of dashboard/behind.py as rows and links.
import { count, fullWithUnit, share, withUnit } from "./numbers.js";
import { t } from "./words.js";

const COMPLETE = 0.9995;
const LINKED = 5;

/** A share that never says 100 % where something is missing. */
const known = (part) => share(part >= COMPLETE ? 1 : Math.min(part, 0.999));

function qualities(shares) {
  if (!shares) return "";
  const said = Object.entries(shares).filter(([, part]) => part > 0)
    .map(([key, part]) => (part >= COMPLETE && key === "derived" ? t("quality.derived") : `${share(Math.max(part, 0.001))} ${t(`quality.${key}`)}`));
  return said.join(", ") || t("why.all_valid");
}

function price({ price: basis = [], each = true, priced = null }) {
  if (!basis.length) return "";
  const part = priced !== null && priced < COMPLETE ? ` ${t("why.partly_priced", { share: share(Math.min(priced, 0.999)) })}` : "";
  return `${basis.join("; ")}.${each ? ` ${t("why.priced")}` : ""}${part}`;
}

/** An amount with its name, as a line of the dialog. */
const line = ({ name, value, unit, like }) => ({ name, text: withUnit(value, unit, like).replace(/^-/, "−"), title: fullWithUnit(value, unit) });

/** Everything that is known about a figure, for the dialog of why.js. */
export function behind(facts) {
  const sources = facts.points ?? [];
  const names = sources.map((one) => (one.stream_id ? `${one.name} (${one.stream_id})` : one.name));
  if (facts.more) names.push(t("why.more_points", { n: count(facts.more) }));
  const rows = [
    [t("why.means"), facts.means],
    [t("why.parts"), (facts.parts ?? []).map(line)],
    [t("why.points"), names.join(", ")],
    [t("why.formula"), sources.filter((one) => one.formula).map((one) => (sources.length > 1 ? `${one.name} = ${one.formula}` : one.formula)).join("; ")],
    [t("why.days"), facts.days],
    [t("why.intervals"), facts.intervals],
    [t("why.known"), facts.complete == null ? "" : facts.since ? t("why.share_known_since", { share: known(facts.complete), day: facts.since }) : t("why.share_known", { share: known(facts.complete) })],
    [t("why.quality"), qualities(facts.shares)],
    [t("why.gaps"), facts.across?.value ? t("why.in_gaps", { amount: withUnit(facts.across.value, facts.across.unit) }) : ""],
    [t("why.price"), price(facts)],
    ...(facts.notes ?? []).map(([label, told]) => [label, Array.isArray(told) ? told.map(line) : told]),
  ];
  const called = (one) => (sources.some((other) => other !== one && other.name === one.name) ? `${one.name} (${one.stream_id})` : one.name);
  const links = sources.slice(0, LINKED).filter((one) => one.id).flatMap((one) => [
    { href: `/attributes/${one.id}`, text: t("why.packets", { name: called(one) }) },
    { href: `/quality/${one.id}`, text: t("why.look_quality", { name: called(one) }) },
  ]);
  return { rows, links };
}
