"""Events as people read them: what, where, when, how much, what it costs, and what was said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from kilowatch.dashboard.answered import Answers, answers, state_of
from kilowatch.dashboard.event_ranking import Ranked, costliest, costliest_of, rank_of, ranked
from kilowatch.dashboard.hourly import like_of_gas, unit_of_amount, unit_of_rate
from kilowatch.dashboard.needs import Insights
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality_periods import local_text
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import Worth, worth_of_more
from kilowatch.insights.explaining import About, Explained, explain
from kilowatch.insights.variants import variant
from kilowatch.model.insight import EventBrief, EventKind, InsightEvent
from kilowatch.model.lengths import WEEK_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import Price, SiteFacts
from kilowatch.model.verdicts import Said
from kilowatch.model.zones import Zone

BADGES = {"open": "late", "fault": "bad", "resolved": "good"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An event of a page.

    Attributes:
        event: What was found.
        point: At which data point.
        site: What the site is called.
        worth: Money and CO2 of its amount.
        said: The verdict that counts, or None.
        state: One of ``STATES``.
        others: What people call the other data points on which it was seen.
        like: What was said of another event that makes this one expected; None where nothing does.
        weather: Whether the outdoor temperature of the site is known.
        today_ms: What time it is: a sentence names other years; None for none
            [ms since 1970, UTC].
    """

    event: InsightEvent
    point: DataPoint
    site: str
    worth: Worth
    said: Said | None
    state: str
    others: tuple[str, ...] = ()
    like: Said | None = None
    weather: bool = True
    today_ms: int | None = None

    @property
    def tone(self) -> str:
        """``waste`` or ``anomaly``: its colour and its mark, everywhere."""
        return "waste" if self.event.is_waste else "anomaly"

    @property
    def title(self) -> str:
        """What happened, in a few words."""
        special = self._special
        return t(f"event_variant.{special}") if special else t(f"event_kind.{self.event.kind}")

    @property
    def about(self) -> str:
        """What such an event means."""
        special = self._special
        return t(f"event_variant_about.{special}" if special else f"event_about.{self.event.kind}")

    @property
    def _special(self) -> str:
        return variant(
            self.event,
            weather=self.weather,
            utility=self.point.utility,
            zone=Zone.of(self.point.zone),
        )

    @property
    def sentence(self) -> str:
        """The event in a sentence with its numbers."""
        return self._told(self.worth.price)

    @property
    def brief(self) -> str:
        """The sentence for a list, where money stands beside it and its price below."""
        return self._told(None)

    @property
    def headline(self) -> str:
        """The event in one line, as messages begin."""
        return self._explained(self.worth.price).title

    def _told(self, price: Price | None) -> str:
        return self._explained(price).sentence

    def _explained(self, price: Price | None) -> Explained:
        about = About(
            self.point.name,
            self.point.utility,
            self.unit,
            unit_of_rate(self.point),
            Zone.of(self.point.zone),
            price,
            self.others,
            self.weather,
            self.today_ms,
        )
        return explain(self.event, about)

    @property
    def href(self) -> str:
        """Address of its page."""
        return f"/event/{self.point.id}/{self.event.id}"

    @property
    def badge(self) -> str:
        """Class of its state's badge."""
        return BADGES.get(self.state, "")

    @property
    def begin(self) -> str:
        """When it began, on the site's clock."""
        return when_text(self.event.start_ms, self.point.zone)

    @property
    def end(self) -> str:
        """When it ended; empty while it lasts."""
        if self.event.open:
            return ""
        return when_text(self.event.end_ms, self.point.zone, after=self.event.start_ms)

    @property
    def amount(self) -> float | None:
        """More or less than was expected; None where the kind has no amount."""
        amount = self.event.size
        return amount if self.unit and math.isfinite(amount) else None

    @property
    def unit(self) -> str:
        """Unit of the amount."""
        return unit_of_amount(self.point)

    @property
    def unit_like(self) -> float | None:
        """What has gas told in cubic metres; see ``hourly.like_of_gas``."""
        return like_of_gas(self.point, self.unit)

    @property
    def rank(self) -> tuple[Any, ...]:
        """What stands first: the most money, then the largest amount, then the newest."""
        event = self.event
        return rank_of(self.worth.money, self.amount or 0.0, event.start_ms, event.id)


ORDERS: dict[str, Callable[[Shown], Any]] = {
    "money": lambda one: one.rank,
    "time": lambda one: (-one.event.start_ms, one.rank),
    "point": lambda one: (one.site, one.point.name.casefold(), -one.event.start_ms),
}
"""How events are ranked; the first is what a list opens with."""


def shown_events(
    request: Request,
    points: Sequence[DataPoint],
    from_ms: int,
    to_ms: int,
    sites: Mapping[int, tuple[str, str]],
    *,
    costliest_waste: int = 0,
) -> list[Shown]:
    """Return the events of data points that touch a stretch of time, the costliest first.

    Args:
        request: Behind a door.
        points: Whose events; that the person may read them has been seen to.
        from_ms: Start [ms since 1970, UTC].
        to_ms: End [ms since 1970, UTC].
        sites: Names of sites and organisations by the site's number.
        costliest_waste: So many, of waste alone; 0 for all events.
    """
    rooms = rooms_of(request)
    if rooms.insights is None or not points:
        return []
    by_series = {point.series: point for point in points}
    if costliest_waste:
        facts = rooms.registry.facts()
        briefs = rooms.insights.briefs(points, from_ms, to_ms, waste=True)
        return laid_out(request, costliest_of(briefs, by_series, facts, costliest_waste), sites)
    found = rooms.insights.events(points, from_ms, to_ms)
    pairs = [
        (event, by_series[series])
        for series, events in found.items()
        if series in by_series
        for event in events
    ]
    return shown_of(request, pairs, sites)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What nobody has answered yet.

    Attributes:
        events: The costliest, as people read them.
        everything: All of it with its rank, in no order.
    """

    events: Sequence[Shown] = ()
    everything: Sequence[Ranked] = ()


def waiting_events(
    request: Request,
    points: Sequence[DataPoint],
    from_ms: int,
    to_ms: int,
    sites: Mapping[int, tuple[str, str]],
    count: int,
) -> Waiting:
    """Return the events that nobody has answered, so many of them laid out.

    Args:
        request: Behind a door.
        points: Whose events; that the person may read them has been seen to.
        from_ms: Start [ms since 1970, UTC].
        to_ms: End [ms since 1970, UTC].
        sites: Names of sites and organisations by the site's number.
        count: How many are laid out, the costliest.
    """
    rooms = rooms_of(request)
    assert rooms.insights is not None
    briefs, now_ms = list(rooms.insights.briefs(points, from_ms, to_ms)), rooms.clock()
    told = answers(rooms, points)
    briefs += _put_off(rooms.insights, points, told.due(now_ms, WEEK_MS), from_ms, briefs)
    by_series, facts = {point.series: point for point in points}, rooms.registry.facts()
    taught = [point for point in points if point.id in told.teaching]
    found = rooms.insights.events(taught, from_ms, to_ms) if taught else {}
    expected = {
        event.id
        for series, some in found.items()
        for event in some
        if told.like(event, by_series[series]) is not None
    }
    everything = [
        one
        for one in ranked(briefs, by_series, facts)
        if one.brief.id not in expected and state_of(told.said.get(one.brief.id), now_ms) == "open"
    ]
    return Waiting(laid_out(request, costliest(everything, count), sites, told), everything)


def _put_off(
    insights: Insights,
    points: Sequence[DataPoint],
    due: Mapping[str, Said],
    before_ms: int,
    known: Sequence[EventBrief],
) -> list[EventBrief]:
    """Return events that are history, but were put off until now: they wait as if new."""
    missing = due.keys() - {one.id for one in known}
    where = {due[one].data_point_id for one in missing}
    here = [point for point in points if point.id in where]
    if not here:
        return []
    first_ms = min(due[one].start_ms for one in missing)
    return [one for one in insights.briefs(here, first_ms, before_ms) if one.id in missing]


def laid_out(
    request: Request,
    events: Sequence[Ranked],
    sites: Mapping[int, tuple[str, str]],
    told: Answers | None = None,
) -> list[Shown]:
    """Return ranked events as people read them; what is gone meanwhile is left out.

    Args:
        request: Behind a door.
        events: Which.
        sites: Names of sites and organisations by the site's number.
        told: What people have said of them, where that has been read already.
    """
    insights = rooms_of(request).insights
    assert insights is not None
    found = [(insights.event(one.brief.id), one.point) for one in events]
    there = [(event, point) for event, point in found if event is not None]
    return shown_of(request, there, sites, told)


def shown_of(
    request: Request,
    pairs: Sequence[tuple[InsightEvent, DataPoint]],
    sites: Mapping[int, tuple[str, str]],
    told: Answers | None = None,
) -> list[Shown]:
    """Return events as people read them, each with the data point that it was seen at.

    Args:
        request: Whose.
        pairs: The events.
        sites: Names of sites and organisations by the site's number.
        told: What people have said of them, where that has been read already.
    """
    rooms = rooms_of(request)
    facts, now_ms = rooms.registry.facts() if pairs else {}, rooms.clock()
    if told is None:
        told = answers(rooms, [point for _, point in pairs], [event.id for event, _ in pairs])
    names = _names(request, [event for event, _ in pairs])
    seen = rooms.view.last_seen({event.series for event, _ in pairs if event.open})
    now = [(event.rested(seen.get(event.series)), point) for event, point in pairs]
    rows = [_shown(event, point, sites, facts, told, now_ms, names) for event, point in now]
    return sorted(rows, key=lambda one: one.rank)


def worth_of(event: InsightEvent, point: DataPoint, facts: Mapping[int, SiteFacts]) -> Worth:
    """Return what an event cost at the price of when it began; below zero it was a saving."""
    return worth_of_more(facts.get(point.site_id), point, event.size, event.start_ms)


def shown_event(
    request: Request,
    event: InsightEvent,
    point: DataPoint,
    sites: Mapping[int, tuple[str, str]],
) -> Shown:
    """Return one event as people read it."""
    (row,) = shown_of(request, [(event, point)], sites)
    return row


def _names(request: Request, events: Sequence[InsightEvent]) -> dict[int, str]:
    """Return names of the data points that events were seen at too, those the person may read."""
    rooms, person = rooms_of(request), visit_of(request).person
    points = rooms.registry.directory().points
    wanted = {series for event in events for series in event.others}
    return {
        series: point.name
        for series in wanted
        if (point := points.get(series)) is not None and may_point(person, "read", point)
    }


def _shown(
    event: InsightEvent,
    point: DataPoint,
    sites: Mapping[int, tuple[str, str]],
    facts: Mapping[int, SiteFacts],
    told: Answers,
    now_ms: int,
    names: Mapping[int, str],
) -> Shown:
    said, like = told.said.get(event.id), told.like(event, point)
    site = sites.get(point.site_id, ("", ""))[0]
    others = tuple(names[one] for one in event.others if one in names)
    value = worth_of(event, point, facts)
    state = state_of(said, now_ms) if like is None else "expected"
    about = facts.get(point.site_id)
    weather = about is not None and about.temperature_point is not None
    return Shown(event, point, site, value, said, state, others, like, weather, now_ms)


def when_text(at_ms: int, zone: str, *, after: int | None = None) -> str:
    """Return an instant as people say it; the end of a day is its 24:00, not the next one's 00:00.

    Args:
        at_ms: The instant [ms since 1970, UTC].
        zone: The site's clock.
        after: For an end: the beginning; on its day only the time is said.

    Example:
        >>> begin, end = 1_794_009_600_000, 1_794_182_400_000
        >>> when_text(begin, "Europe/Dublin"), when_text(end, "Europe/Dublin", after=begin)
        ('Sat 7 Nov 2026, 00:00', 'Sun 8 Nov 2026, 24:00')
    """
    shown = at_ms if after is None else max(at_ms - 1, after)
    day = local_day(shown, zone)
    clock = local_text(at_ms, zone).partition(" ")[2]
    if after is not None and clock.startswith("00:00"):
        clock = "24:00"
    if after is not None and day == local_day(after, zone):
        return clock
    weekday, month = t(f"day.{day.weekday()}")[:3], t(f"month.{day.month}")[:3]
    return f"{weekday} {day.day} {month} {day.year}, {clock}"


def kinds_of(rows: Sequence[Shown]) -> list[EventKind]:
    """Return the kinds that some events have, in the order of their names."""
    kinds = {one.event.kind for one in rows}
    return sorted(kinds, key=lambda kind: t(f"event_kind.{kind}"))
