"""Which findings have one cause, and which of them deserve somebody's attention.

What belongs together is decided from the findings alone, of a whole site, so that it does not
matter in which pieces they came. What is told is not part of that: it goes by prices, budgets and
what people have said by now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.insights.attention import COMPARED_WEEKS, deserves
from kilowatch.insights.joining import Kinship, join, merged, others_of, reach_ms
from kilowatch.model.insight import InsightEvent
from kilowatch.model.lengths import DAY_MS, WEEK_MS
from kilowatch.model.site_facts import ATTENTION_PER_WEEK, SiteFacts
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Filed
from kilowatch.pipeline.insight.subjects import Subject

Above = Callable[[int], Mapping[int, int | None]]
"""Returns, of a site's streams, the stream that feeds each one."""

Expects = Callable[[InsightEvent, Subject], bool]
"""Tells whether somebody has said that such an event is to be expected."""

STALE_MS = 2 * DAY_MS
"""History that is looked at later is no news: a message tells what is, not what was."""

_ORDER = {"Wh": 0.2 / 1000, "m3": 0.5}
"""What stands for the price of one where none is set: for the order alone, never shown."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What was decided.

    Attributes:
        events: Events that are new or have changed.
        notices: Id of an event that somebody is to be told of, and whether of its end.
    """

    events: list[Filed]
    notices: list[tuple[str, bool]]


class Settler:
    """Decides about the findings of sites.

    Args:
        file: Where earlier ones are.
        subjects: The streams that are looked at, by series.
        above: What feeds what.
        made_of: Of each formula all streams that it rests on.
        expects: What people expect.
        wall_ms: The clock on the wall [ms since 1970, UTC].
    """

    def __init__(
        self,
        file: InsightFile,
        subjects: Mapping[int, Subject],
        above: Above,
        made_of: Mapping[int, frozenset[int]],
        expects: Expects,
        wall_ms: Callable[[], int],
    ) -> None:
        self._file = file
        self._subjects = subjects
        self._above = above
        self._made_of = made_of
        self._expects = expects
        self._wall_ms = wall_ms

    def settle(
        self,
        found: Iterable[InsightEvent],
        facts: Mapping[int, SiteFacts],
        news_since_ms: Mapping[int, int],
    ) -> Settled:
        """Decide about findings.

        Args:
            found: New, grown and ended ones, in the order in which they were found.
            facts: Of sites.
            news_since_ms: By series of the sites: what ended before is no news, and nothing is of
                a stream that is not in it [ms since 1970, UTC].
        """
        by_site: dict[int, dict[str, InsightEvent]] = {}
        for event in found:
            events = by_site.setdefault(self._subjects[event.series].point.site_id, {})
            before = events.get(event.id)
            first_ms = event.found_ms if before is None else before.found_ms
            events[event.id] = replace(event, found_ms=min(first_ms, event.found_ms))
        settled = Settled([], [])
        for site_id, events in by_site.items():
            self._settle_site(site_id, events, facts.get(site_id), news_since_ms, settled)
        return settled

    def settle_again(self, left: Iterable[Filed], facts: Mapping[int, SiteFacts]) -> Settled:
        """Decide again about findings that had one cause with some that are no more.

        Nobody is told: mostly what was their cause is found again in a moment.
        """
        found = (
            replace(one.event, id=one.key) for one in left if one.event.series in self._subjects
        )
        return self.settle(found, facts, {})

    def _settle_site(
        self,
        site_id: int,
        found: dict[str, InsightEvent],
        facts: SiteFacts | None,
        news_since_ms: Mapping[int, int],
        settled: Settled,
    ) -> None:
        before = {one.key: one for one in self._touching(site_id, found.values())}
        changed: dict[str, Filed] = {}
        fresh: list[Filed] = []
        for key, event in found.items():
            known = before.get(key)
            if known is None:
                fresh.append(Filed(key, event))
                continue
            found_ms = min(known.event.found_ms, event.found_ms)
            same = replace(event, id=known.event.id, found_ms=found_ms, others=known.event.others)
            changed[key] = replace(known, event=same)
        changed |= {one.key: one for one in self._file.named(fresh)}
        now = before | changed
        kinship = Kinship({}, self._above(site_id), self._made_of)
        causes = join([one.event for one in now.values()], kinship)
        others = others_of([one.event for one in now.values()], causes)
        members: dict[str, list[InsightEvent]] = {}
        for one in now.values():
            if causes[one.event.id] != one.event.id:
                members.setdefault(causes[one.event.id], []).append(one.event)
        touched = {causes[now[key].event.id] for key in changed}
        for key, one in list(now.items()):
            cause = causes[one.event.id]
            event = replace(one.event, others=others.get(one.event.id, ()))
            seen = merged(event, members.get(event.id, ()))
            now[key] = replace(
                one,
                event=event,
                cause="" if cause == event.id else cause,
                value=_value(seen, self._subjects[event.series], facts),
                shown=None if seen is event else seen,
            )
        for key, one in list(now.items()):
            if one.event.id in touched:
                now[key] = self._tell(one, now, before.get(key), facts, news_since_ms, settled)
        settled.events.extend(
            one for key, one in now.items() if key in changed or one != before[key]
        )

    def _touching(self, site_id: int, found: Iterable[InsightEvent]) -> list[Filed]:
        """Return the site's events that share time with some, or with those that do."""
        series = [k for k, one in self._subjects.items() if one.point.site_id == site_id]
        since_ms = min(event.start_ms - reach_ms(event) for event in found)
        while True:
            events = self._file.events(series, since_ms)
            starts = [one.event.start_ms - reach_ms(one.event) for one in events]
            if min(starts, default=since_ms) >= since_ms:
                return events
            since_ms = min(starts)

    def _tell(
        self,
        one: Filed,
        now: Mapping[str, Filed],
        before: Filed | None,
        facts: SiteFacts | None,
        news_since_ms: Mapping[int, int],
        settled: Settled,
    ) -> Filed:
        event = one.seen
        if one.told_ms is not None:
            if not event.open and before is not None and before.seen.open:
                settled.notices.append((event.id, True))
            return one
        news_ms = news_since_ms.get(event.series)
        if one.cause or news_ms is None or max(event.end_ms, event.found_ms) < news_ms:
            return one
        if self._expects(event, self._subjects[event.series]):
            return one
        now_ms, wall_ms = max(event.found_ms, event.end_ms), self._wall_ms()
        budget = ATTENTION_PER_WEEK if facts is None else facts.attention_per_week
        recent = self._recent(one, now, now_ms)
        told_ms = [other.told_ms for other in recent if other.told_ms is not None]
        told_wall_ms = [other.told_wall_ms for other in recent if other.told_wall_ms is not None]
        values = [other.value for other in recent if not other.cause]
        worth = deserves(one.value, values, told_ms, now_ms, budget) and deserves(
            one.value,
            [],
            told_wall_ms,
            wall_ms,
            2 * budget,  # a replay of months is no flood
        )
        if not worth:
            return one
        settled.notices.append((event.id, False))
        if not event.open:
            settled.notices.append((event.id, True))
        return replace(one, told_ms=now_ms, told_wall_ms=wall_ms)

    def _recent(self, one: Filed, now: Mapping[str, Filed], now_ms: int) -> Sequence[Filed]:
        site_id = self._subjects[one.event.series].point.site_id
        series = [k for k, other in self._subjects.items() if other.point.site_id == site_id]
        stored = self._file.events(series, now_ms - COMPARED_WEEKS * WEEK_MS)
        return [other for other in ({f.key: f for f in stored} | dict(now)).values()
                if other.key != one.key]  # fmt: skip


def _value(event: InsightEvent, subject: Subject, facts: SiteFacts | None) -> float:
    """Return what an event costs a day, for ranking."""
    if np.isnan(event.amount):
        return 0.0
    unit = subject.point.unit_of_value.amount or "Wh"
    if subject.is_electrical:
        unit = "Wh"
    price = None
    if facts is not None:
        price = facts.price_at(subject.point.utility, event.start_ms, unit)
    amount = abs(event.amount)
    cost = None if price is None else price.cost(amount, unit)
    if cost is None:
        cost = amount * _ORDER.get(unit, 0.0)
    return cost / max((event.end_ms - event.start_ms) / DAY_MS, 1.0)
