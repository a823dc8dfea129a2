"""An event in a sentence with its numbers: what was to be expected, what happened, what it costs.

"Saturday 14 to Sunday 15 September: 214 kWh more than a weekend needs, about 47 EUR at
0.22 EUR/kWh (contract); 31 kW on average instead of 9 kW; it looks as if ventilation or lighting
was not switched off."
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kilowatch.insights.event_words import (
    AGAIN_GUESSES,
    AT_TIMES,
    GUESSES,
    LOAD_GONE_GUESS,
    NAMED,
    NORMAL,
    OF_IT,
    OF_SOME_HOURS,
    OFF,
    STAYED_ON,
    SUMS_GUESSES,
    TITLES,
)
from kilowatch.insights.variants import feeds_in, is_dip, variant
from kilowatch.insights.writing import PLAIN, WATER, Words, span_text, year_text
from kilowatch.model.changes import tells
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.site_facts import EARNED, Price
from kilowatch.model.zones import Zone

_K = EventKind


@dataclass(frozen=True, slots=True)
class About:
    """What an event is about.

    Attributes:
        name: What people call the data point.
        utility: What it measures.
        amount_unit: Canonical unit of its amounts; "" for a gauge.
        rate_unit: Canonical unit of its hourly means.
        zone: The site's clock.
        price: The price in force when it began; None where there is none.
        others: What people call the other data points on which it was seen.
        weather: Whether the outdoor temperature of its site is known.
        today_ms: When it is read: other years than that of this instant are named; None names one
            only where an event lies in two [ms since 1970, UTC].
    """

    name: str
    utility: str
    amount_unit: str
    rate_unit: str
    zone: Zone
    price: Price | None = None
    others: Sequence[str] = ()
    weather: bool = True
    today_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """An event in words.

    Attributes:
        title: One short line.
        sentence: The numbers and what they mean.
        price: What the money in it rests on; "" where there is none.
    """

    title: str
    sentence: str
    price: str = ""


def explain(event: InsightEvent, about: About, words: Words | None = None) -> Explained:
    """Put an event into words.

    Money is only said with its price, and an amount only where the kind has one.

    Args:
        event: What happened.
        about: Where.
        words: How numbers and times are written; in English if nothing is said.
    """
    words = words or (WATER if about.utility == "water" else PLAIN)
    parts = [_amount(event, about, words), _levels(event, about, words), _guess(event, about)]
    if about.others:
        parts.append(f"seen at {_listed(about.others)} too")
    said = "; ".join(part for part in parts if part)
    money = _money(event, about)
    return Explained(
        f"{about.name}: {_title(event, about, words)}{_of_year(event, about)}",
        f"{_when(event, about, words)}: {said}.",
        "" if money is None else str(about.price),
    )


def seen_too(names: Sequence[str]) -> str:
    """Return where else the same was seen, as a sentence.

    Example:
        >>> seen_too(["Supply", "Cold room"])
        'Seen at Supply and Cold room too.'
    """
    return f"Seen at {_listed(names)} too."


def _special(event: InsightEvent, about: About) -> str:
    return variant(event, weather=about.weather, utility=about.utility, zone=about.zone)


def _title(event: InsightEvent, about: About, words: Words) -> str:
    special = _special(event, about)
    title = AT_TIMES[special]["title"] if special in AT_TIMES else TITLES[event.kind]
    if special in NAMED:
        return NAMED[special]
    if special in OFF:
        return OFF[special][0]
    if event.kind is EventKind.DROPOUT and event.amount > 0:
        return "some hours without use"
    if feeds_in(event):
        return f"{'less' if event.amount >= 0 else 'more'} was fed in than expected"
    if event.is_waste and about.amount_unit and math.isfinite(event.amount):
        return f"{title}, {words.quantity(event.amount, about.amount_unit)} more than needed"
    return title


def _money(event: InsightEvent, about: About) -> float | None:
    if about.price is None or not math.isfinite(event.size):
        return None
    return about.price.cost_of_more(event.size, about.amount_unit)


def _amount(event: InsightEvent, about: About, words: Words) -> str:
    if not about.amount_unit or not math.isfinite(event.size):
        return ""
    size = words.quantity(abs(event.amount), about.amount_unit)
    special = _special(event, about)
    if event.kind in OF_SOME_HOURS and special not in OFF and (event.amount < 0 or _nights(event)):
        text = _some_hours(event, size, words)
        if event.amount < 0:
            return text
    else:
        direction = "more" if event.amount >= 0 else "less"
        text = f"{size} {direction} than {_normal(event, about)}"
    money = _money(event, about)
    if money is not None and about.price is not None:
        text += f", about {words.money(abs(money), about.price.currency)}"
        text += f"{_earned(event, about)} at {about.price}"
    return text


def _earned(event: InsightEvent, about: About) -> str:
    """Return what becomes of the money of what is produced: it is no cost."""
    if about.utility not in EARNED:
        return ""
    return " not earned" if event.amount < 0 else " more earned"


def _some_hours(event: InsightEvent, size: str, words: Words) -> str:
    """Return what an event of some hours comes to, where the others took less still."""
    found = f"{OF_SOME_HOURS[event.kind]} took more than usual"
    more = _nights(event)
    if more and not tells(more):
        found = f"{OF_SOME_HOURS[event.kind]}, when almost nothing is usual, took more"
    elif more:
        found = f"{OF_SOME_HOURS[event.kind]} took {words.share(more)} more than usual"
    if event.amount < 0:
        return f"{found}, the other hours less: in all {size} less than expected"
    return f"{found}: in all {size} more than expected"


def _nights(event: InsightEvent) -> float:
    """Return by which share the nights took more; 0 where that is less than half a percent."""
    more = (event.evidence.get("night_ratio") or 0.0) - 1
    return more if more >= 0.005 else 0.0


def _normal(event: InsightEvent, about: About) -> str:
    """Return what an event is more or less than."""
    if event.amount < 0:
        return "expected"
    kinds = {kind for kind, _ in _wasted(event)}
    if len(kinds) > 1:
        return "needed"
    if (special := _special(event, about)) in AT_TIMES:
        return AT_TIMES[special]["normal"]
    if special in OFF:
        return "expected"
    return NORMAL.get(event.kind, "expected")


def _wasted(event: InsightEvent) -> list[tuple[str, float]]:
    """Return kind and amount of each finding of waste that is in an event [Wh or m³]."""
    kinds = {kind.value for kind in OF_IT}
    parts = event.evidence.get("parts", ())
    return [(one["kind"], one["amount"] or 0.0) for one in parts if one["kind"] in kinds]


def _levels(event: InsightEvent, about: About, words: Words) -> str:
    told = event.evidence
    off = _special(event, about) in OFF
    if event.kind is EventKind.CLOCK_SHIFT and "shift_h" in told and not off:
        hours = int(told["shift_h"])
        return f"the day runs {abs(hours)} h {'late' if hours > 0 else 'early'}" if hours else ""
    if not about.amount_unit or not math.isfinite(event.amount):
        electrical = _electrical(event, words)
        if electrical:
            return electrical
    actual, expected = told.get("actual"), told.get("expected")
    if actual is None or expected is None:
        return ""
    unit = about.rate_unit
    if not (math.isfinite(actual) and math.isfinite(expected)):
        return ""
    was, usual = words.quantity(actual, unit), words.quantity(expected, unit)
    text = f"{was} on average"
    text += f" instead of {usual}" if was != usual else ", hardly other than expected"
    if 0 < told.get("hours", 0) < round((event.end_ms - event.start_ms) / HOUR_MS):
        text += f", in {told['hours']:,.0f} h"
    zero = told.get("zero_h", 0)
    if event.kind is EventKind.DROPOUT and actual and zero > 0:
        text += f", nothing at all for {zero:.0f} h of it"
    wasted = _wasted(event)
    if len(wasted) < 2 or not event.is_waste:
        return text
    most = words.quantity(max(amount for _, amount in wasted), about.amount_unit)
    of_it = OF_IT[event.kind] if len({kind for kind, _ in wasted}) > 1 else ""
    if of_it and (special := _special(event, about)) in AT_TIMES:
        of_it = AT_TIMES[special]["of_it"]
    return f"{most} of it{of_it}: {text}"


def _electrical(event: InsightEvent, words: Words) -> str:
    """Return the numbers of an electrical check."""
    told = event.evidence
    phase = f"phase {told['phase']}" if "phase" in told else ""
    parts: list[str] = []
    if event.kind is EventKind.VOLTAGE and "lowest_v" in told:
        parts = [*_voltage(told, words), *_proof(told)]
    elif event.kind is EventKind.UNBALANCE and "unbalance" in told:
        off, limit = words.share(told["unbalance"]), words.share(told["limit"])
        parts = [f"currents {off} from their mean, more than {limit}"]
    elif event.kind is EventKind.POWER_FACTOR and "power_factor" in told:
        parts = [f"{told['power_factor']:.2f} on average, below {told['limit']:.2f}"]
    elif event.kind is EventKind.PHASE_LOSS and phase:
        parts = [f"{phase} carries nothing while the others do"]
        if told.get("limit", 0.02) > 0.02:  # nothing by what was set
            parts = [f"{phase} carries less than {words.share(told['limit'])} of the others"]
    elif event.kind is EventKind.PHASE_SUM and "phases_wh" in told:
        parts = _energies(told, words)
    elif event.kind is EventKind.NEGATIVE and "fell" in told:
        return _fell(told)
    if parts and told.get("hours", 0) >= 1:
        parts.append(f"for {_long(told['hours'])}")
    return ", ".join(parts)


def _proof(told: dict[str, Any]) -> list[str]:
    """Return how sure a voltage is, where its own meter's means are too long to prove it."""
    if told.get("indicative"):
        return ["indicative, since its means are longer than ten minutes"]
    if told.get("proved_elsewhere"):
        return ["proved by another meter, whose means are of ten minutes or less"]
    return []


def _voltage(told: dict[str, Any], words: Words) -> list[str]:
    """Return what a voltage was, what no mean may be, and which share of a week was in order."""
    low, high = (words.quantity(told[one], "V") for one in ("lowest_v", "highest_v"))
    named = _listed([str(one) for one in told.get("phases") or [told["phase"]]])
    phases = f"phase {named}" if named == str(told["phase"]) else f"phases {named}"
    parts = [f"{phases} between {low} and {high}" if low != high else f"{phases} at {high}"]
    if told["highest_v"] > told.get("most_v", math.inf):
        parts[0] += f" where no mean may be above {told['most_v']:.4g} V"
    if told["lowest_v"] < told.get("least_v", 0.0):
        or_ = " or below" if "no mean may be" in parts[0] else " where no mean may be below"
        parts[0] += f"{or_} {told['least_v']:.4g} V"
    if "share_inside" in told:
        inside, asked = (words.share(told[one]) for one in ("share_inside", "share_asked"))
        near = f"{told['nominal_v']:g} V"
        usual = math.isclose(told.get("low_v", 0.9 * told["nominal_v"]), 0.9 * told["nominal_v"])
        usual &= math.isclose(told.get("most_v", 1.1 * told["nominal_v"]), 1.1 * told["nominal_v"])
        asked_by = "EN 50160 asks"
        if not usual:
            near = f"{told['low_v']:.4g} to {told['most_v']:.4g} V"
            asked_by = "what was set asks"
        where = "near" if usual else "within"
        whose = "" if named == str(told["phase"]) else _of_phase(told.get("share_phase"))
        parts.append(f"{inside} of the means{whose} {where} {near} where {asked_by} for {asked}")
    return parts


def _of_phase(phase: int | None) -> str:
    """Return whose a share is; nothing of what was told before it was kept."""
    return "" if phase is None else f" of phase {phase}"


def _fell(told: dict[str, Any]) -> str:
    """Return which register fell, from where to where, and how often."""
    which = "the register" if told["register"] == "value" else f"the register {told['register']}"
    often = f"registers fell {told['fell']} times, the last of them: " if told["fell"] > 1 else ""
    return (
        f"{often}{which} fell from {told['before']:,.10g} to {told['after']:,.10g}; what was used"
        " in between is not counted until a person says why"
    )


def _energies(told: dict[str, Any], words: Words) -> list[str]:
    """Return what a day's registers and powers came to, and by how much they differ."""
    phases_wh = [words.quantity(one, "Wh") for one in told["phases_wh"]]
    if "turned" in told:
        others = _listed([one for n, one in enumerate(phases_wh, 1) if n != told["phase"]])
        back = phases_wh[told["phase"] - 1]
        return [f"phase {told['phase']} came to {back} on a day, the others to {others}"]
    counted, powered = (words.quantity(told[one], "Wh") for one in ("counted_wh", "powered_wh"))
    off, limit = words.share(told["difference"]), words.share(told["limit"])
    by = f"they differ by {off}, more than {limit}"
    if "phase" in told:
        name = f"phase {told['phase']}"
        return [f"on a day {name} had {counted} by its register and {powered} by its power", by]
    each = _listed(phases_wh) if len(phases_wh) > 1 else ""
    each = f" ({each})" if each else ""
    whose = "registers" if len(told["registers"]) > 1 else "register"
    return [f"on a day the {whose} counted {counted} and the powers came to {powered}{each}", by]


def _long(hours: float) -> str:
    """Write how long something went on: in days where nobody counts hours any more."""
    return f"{hours:.0f} h" if hours < 3 * 24 else f"{hours / 24:.0f} days"


def _guess(event: InsightEvent, about: About) -> str:
    special = _special(event, about)
    if special in AT_TIMES:
        return AT_TIMES[special]["guess"]
    if special in OFF:
        return OFF[special][1]
    return _guess_of_kind(event, about, special)


def _guess_of_kind(event: InsightEvent, about: About, special: str) -> str:
    if event.kind in {_K.WEEKEND, _K.HOLIDAY, _K.MISSED_SHUTDOWN, _K.AFTER_HOURS}:
        if event.amount < 0:
            return ""
        stayed = STAYED_ON.get(about.utility, "something was not switched off")
        return f"it looks as if {stayed}"
    if event.kind is EventKind.SPIKE:
        return _spiked(event)
    less = event.kind in {_K.PHASE_LOSS, _K.DROPOUT}
    if feeds_in(event) or (less and event.amount > 0):
        return ""  # what the kind is mostly caused by would contradict the figures
    guess = LOAD_GONE_GUESS if special == "load_gone" else GUESSES.get(event.kind, "")
    missing = 1 - (event.evidence.get("ratio") or 1.0)
    if event.kind is EventKind.PHASE_LOSS and missing > 0:
        return f"{PLAIN.share(missing)} of the load is missing: {guess}"
    return (AGAIN_GUESSES | SUMS_GUESSES).get(special, guess)


def _spiked(event: InsightEvent) -> str:
    """Return what a spike is mostly: of some hours something else than of one."""
    if event.end_ms - event.start_ms > 2 * HOUR_MS:
        return "something large ran, or stood still, for some hours, or a meter counted wrong"
    return (
        "one such hour is mostly a gap in what was counted" if is_dip(event) else GUESSES[_K.SPIKE]
    )


def _of_year(event: InsightEvent, about: About) -> str:
    """Return the year of an event for its title, where it is over and not of this one."""
    year = year_text(max(event.end_ms - 1, event.start_ms), about.zone, about.today_ms)
    return f" ({year.strip()})" if year else ""


def _when(event: InsightEvent, about: About, words: Words) -> str:
    span_ms = (event.start_ms, event.end_ms)
    return span_text(span_ms, about.zone, words, lasts=event.open, today_ms=about.today_ms)


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{', '.join(names[:2])} and {len(names) - 2} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
