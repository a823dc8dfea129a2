"""One cause, one event: which findings belong together.

A heating that was left on over a weekend is seen at its own meter, at the building's supply, as
waste and as a missed shutdown. People want to hear of it once, where it was seen first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kilowatch.insights.variants import same_sum
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS, WEEK_MS

OVERLAP_MIN = 0.5
"""Share of the shorter of two events that must lie in the other."""
NEXT_MS = 6 * HOUR_MS
"""What goes on at one meter within so long of another finding has its cause: a Friday evening, and
the weekend that follows."""
AGAIN_MS = WEEK_MS
"""A meter whose clock is out of step, or whose values come again, has the same fault when it shows
so again within so long: it was not mended on the days between, on which it could not be seen."""
TOGETHER_MS = 2 * HOUR_MS
"""What begins so close together at several meters of a site has one cause, as a power cut; and at
one meter a peak and what lasts after it."""

_K = EventKind
_ALWAYS_ON = {
    _K.MISSED_SHUTDOWN, _K.NIGHT_LOAD, _K.WEEKEND, _K.HOLIDAY, _K.AFTER_HOURS, _K.EARLY_START,
    _K.BASELOAD_CREEP, _K.LEVEL_SHIFT, _K.DRIFT, _K.OVER_CONDITIONING,
}  # fmt: skip
_OF_THE_METER = frozenset({_K.CLOCK_SHIFT, _K.STUCK})
"""Kinds that stay until somebody looks at the meter."""
_FIRST_HOURS = frozenset({
    _K.SPIKE, _K.AFTER_HOURS, _K.NIGHT_LOAD, _K.WEEKEND, _K.HOLIDAY, _K.MISSED_SHUTDOWN,
    _K.EARLY_START,
})  # fmt: skip
"""What a peak may be the first hours of: two hours after closing nobody knows yet that it lasts."""
_NEIGHBOURS: tuple[frozenset[EventKind], ...] = (
    frozenset(_ALWAYS_ON),
    frozenset({_K.DROPOUT, _K.STUCK, _K.LEVEL_SHIFT, _K.NEGATIVE}),
    frozenset({_K.SPIKE, _K.LEVEL_SHIFT, _K.OVER_CONDITIONING}),
    _FIRST_HOURS,
    frozenset({_K.CLOCK_SHIFT, _K.EARLY_START, _K.AFTER_HOURS}),
    frozenset({_K.PHASE_LOSS, _K.UNBALANCE, _K.VOLTAGE, _K.PHASE_SUM, _K.LEVEL_SHIFT, _K.DROPOUT}),
    frozenset({_K.POWER_FACTOR}),
)
"""Kinds that the same cause can show itself as."""
_OF_THE_SUPPLY = frozenset({_K.DROPOUT, _K.STUCK, _K.VOLTAGE, _K.PHASE_LOSS, _K.CLOCK_SHIFT})
"""Kinds that come from what meters of a site share, whether or not one feeds the other."""
_BESIDE_OTHERS = frozenset({_K.VOLTAGE, _K.PHASE_SUM})
"""Kinds that go on for weeks while other things happen: another kind has their cause only where
both begin together. A fuse that blows in a month of high voltage is told by itself."""


@dataclass(frozen=True, slots=True)
class Kinship:
    """What meters have to do with each other.

    Attributes:
        site: Site of each stream.
        above: The stream that feeds each one, or None.
        made_of: Of each formula all streams that it rests on, by way of other formulas too.
    """

    site: Mapping[int, int]
    above: Mapping[int, int | None]
    made_of: Mapping[int, frozenset[int]] = field(default_factory=dict)

    def lineage(self, series: int) -> list[int]:
        """Return a stream and what feeds it, upwards; of a formula, that of what it is made of."""
        found: list[int] = []
        for begin in (series, *sorted(self.made_of.get(series, ()))):
            at: int | None = begin
            while at is not None and at not in found:
                found.append(at)
                at = self.above.get(at)
        return found


def join(events: Iterable[InsightEvent], kinship: Kinship) -> dict[str, str]:
    """Return, for each event, the event that stands for its cause: itself, or one found before.

    It rests on nothing but the events given: in whatever pieces they came, the answer is the same.
    An event that was found first stands for those that follow; of several found in one hour, the
    one furthest down the tree, where the cause is. A formula does not cause what it shows: in one
    hour, what it is made of stands for it.

    Args:
        events: Of one site, in any order.
        kinship: Of its streams.

    Returns:
        Id of the standing event by id.
    """
    events = [_as_it_acts(one) for one in events]
    lines = {one.series: kinship.lineage(one.series) for one in events}
    made_of = kinship.made_of
    order = sorted(
        events,
        key=lambda one: (
            one.found_ms, len(made_of.get(one.series, ())), -len(lines[one.series]), one.series,
            one.kind, one.start_ms,
        ),
    )  # fmt: skip
    causes: dict[str, str] = {}
    standing: dict[str, InsightEvent] = {}  # with the time of all that was joined to it
    for event in order:
        fits = [one for one in standing.values() if _have_one_cause(one, event, lines, made_of)]
        if not fits:
            causes[event.id] = event.id
            standing[event.id] = event
            continue
        # The closest kin, then the one whose time is most like it: a weekend at the supply belongs
        # to the ventilation of that weekend, and not to lights that burn since the month began.
        best = max(fits, key=lambda one: (one.series == event.series, _alike(one, event)))
        causes[event.id] = best.id
        if best.series == event.series:
            first_ms, last_ms = min(best.start_ms, event.start_ms), max(best.end_ms, event.end_ms)
            # A peak that turns out to last is the beginning of what lasts, for what follows too.
            lasts = best.kind is _K.SPIKE and event.kind in _ALWAYS_ON
            kind = event.kind if lasts else best.kind
            standing[best.id] = replace(best, kind=kind, start_ms=first_ms, end_ms=last_ms)
    return causes


def others_of(
    events: Iterable[InsightEvent], causes: Mapping[str, str]
) -> dict[str, tuple[int, ...]]:
    """Return the other streams on which each standing event's cause was seen, rising."""
    by_id = {one.id: one for one in events}
    found: dict[str, set[int]] = {}
    for key, cause in causes.items():
        if by_id[key].series != by_id[cause].series:
            found.setdefault(cause, set()).add(by_id[key].series)
    return {cause: tuple(sorted(series)) for cause, series in found.items()}


def merged(standing: InsightEvent, members: Iterable[InsightEvent]) -> InsightEvent:
    """Return a standing event as people see it: with all that was found of its cause at its stream.

    It keeps its name and when it was found. What another meter's finer means prove is no longer
    only indicated by its own. Waste says more than an anomaly, and more of it says
    more than less; an hour's waste has one kind, so amounts of several kinds add up.

    Args:
        standing: The event that stands for its cause.
        members: Those that it stands for; amounts of other streams' are left out.
    """
    members = list(members)
    standing = _proved(standing, members)
    own = [standing, *(one for one in members if one.series == standing.series)]
    if len(own) == 1:
        return standing
    own.sort(key=lambda one: (one.found_ms, one.kind, one.start_ms))
    wasted = [one for one in own if one.is_waste]
    face = max(wasted or own, key=lambda one: 0.0 if np.isnan(one.amount) else abs(one.amount))
    parts = [
        {"kind": one.kind.value, "start_ms": one.start_ms, "end_ms": one.end_ms,
         "amount": None if np.isnan(one.amount) else one.amount}
        for one in own
    ]  # fmt: skip
    return replace(
        standing,
        kind=face.kind,
        start_ms=min(one.start_ms for one in own),
        end_ms=max(one.end_ms for one in own),
        open=any(one.open for one in own),
        amount=sum(one.amount for one in wasted) if wasted else face.amount,
        confidence=max(one.confidence for one in own),
        evidence=face.evidence | {"parts": parts},
        model=face.model,
    )


def _proved(standing: InsightEvent, members: Iterable[InsightEvent]) -> InsightEvent:
    """Return what the coarse means of one meter indicate with what finer ones of another prove."""
    if not standing.evidence.get("indicative"):
        return standing
    sure = [one.confidence for one in members if one.kind is standing.kind
            and one.evidence.get("indicative") is False]  # fmt: skip
    if not sure:
        return standing
    evidence = standing.evidence | {"indicative": False, "proved_elsewhere": True}
    return replace(standing, confidence=max(standing.confidence, *sure), evidence=evidence)


def _as_it_acts(event: InsightEvent) -> InsightEvent:
    """Return an event with the kind that its figures have: no rhythm shifts to another sum."""
    if event.kind is _K.CLOCK_SHIFT and not same_sum(event):
        return replace(event, kind=_K.LEVEL_SHIFT)
    return event


def reach_ms(event: InsightEvent) -> int:
    """Return how long before an event something may have ended that has its cause [ms]."""
    return AGAIN_MS if event.kind in _OF_THE_METER else NEXT_MS


def akin(first: EventKind, second: EventKind) -> bool:
    """Tell whether the same cause can show itself as either kind."""
    return first is second or any(first in some and second in some for some in _NEIGHBOURS)


def _have_one_cause(
    first: InsightEvent,
    second: InsightEvent,
    lines: Mapping[int, list[int]],
    made_of: Mapping[int, frozenset[int]],
) -> bool:
    if first.series != second.series and (first.series in made_of or second.series in made_of):
        return _shows_in_formula(first, second, lines, made_of)
    again = _is_again(first, second)
    if again or not akin(first.kind, second.kind) or _stand_alone(first, second):
        return again
    kin = _of_one_supply(first, second)
    kin = kin or second.series in lines[first.series] or first.series in lines[second.series]
    if not kin or not _same_direction(first, second):
        return False
    kinds = {first.kind, second.kind}
    if first.series == second.series and kinds <= _ALWAYS_ON:
        return _shared(first, second) >= -NEXT_MS
    if first.series == second.series and kinds != {_K.SPIKE} and _K.SPIKE in kinds <= _FIRST_HOURS:
        return abs(first.start_ms - second.start_ms) <= TOGETHER_MS
    shorter = min(first.end_ms - first.start_ms, second.end_ms - second.start_ms)
    return _shared(first, second) >= OVERLAP_MIN * max(shorter, 1)


def _is_again(first: InsightEvent, second: InsightEvent) -> bool:
    """Tell whether a meter shows again what was wrong with it before; either way of it."""
    same = first.series == second.series and first.kind is second.kind
    same = same and first.evidence.get("again") == second.evidence.get("again")
    return same and first.kind in _OF_THE_METER and _shared(first, second) >= -AGAIN_MS


def _stand_alone(first: InsightEvent, second: InsightEvent) -> bool:
    """Tell whether two events are told apart, whatever time they share.

    A register that fell waits for a person to say why: each of them, at its own meter.
    """
    if "fell" in first.evidence or "fell" in second.evidence:
        return True
    kinds = {first.kind, second.kind}
    apart = abs(first.start_ms - second.start_ms) > TOGETHER_MS
    return len(kinds) > 1 and bool(kinds & _BESIDE_OTHERS) and apart


def _of_one_supply(first: InsightEvent, second: InsightEvent) -> bool:
    """Tell whether two events can come from what all meters of a site share."""
    both = first.kind in _OF_THE_SUPPLY and second.kind in _OF_THE_SUPPLY
    return both and abs(first.start_ms - second.start_ms) <= TOGETHER_MS


def _shows_in_formula(
    first: InsightEvent,
    second: InsightEvent,
    lines: Mapping[int, list[int]],
    made_of: Mapping[int, frozenset[int]],
) -> bool:
    """Tell whether a formula and a stream that it rests on, or two of one stream, show one cause.

    A dial that stops makes what is left over rise, and a quotient jump: direction and kind are
    the formula's own. Where the kinds are strangers both must be of nearly the same time, so that
    weeks of a slow drift do not swallow what happens to another input.
    """
    kin = second.series in lines[first.series] or first.series in lines[second.series]
    kin = kin or _of_one_supply(first, second)
    if first.series in made_of and second.series in made_of:
        kin = kin or not made_of[first.series].isdisjoint(made_of[second.series])
    if not kin:
        return False
    lengths = sorted((first.end_ms - first.start_ms, second.end_ms - second.start_ms))
    length = lengths[0] if akin(first.kind, second.kind) else lengths[1]
    return _shared(first, second) >= OVERLAP_MIN * max(length, 1)


def _shared(first: InsightEvent, second: InsightEvent) -> int:
    return min(first.end_ms, second.end_ms) - max(first.start_ms, second.start_ms)


def _alike(first: InsightEvent, second: InsightEvent) -> float:
    """Return which part of the time of two events is of both; below 0 where none is."""
    whole = max(first.end_ms, second.end_ms) - min(first.start_ms, second.start_ms)
    return _shared(first, second) / max(whole, 1)


def _same_direction(first: InsightEvent, second: InsightEvent) -> bool:
    if np.isnan(first.amount) or np.isnan(second.amount):
        return True
    return (first.amount < 0) == (second.amount < 0)
