"""Waste of many sites at once: days that are added up once, and again when something changed.

A month of 9,400 data points is 1.5 million wasted hours: half a second to read and to add up. What
is kept here are sums by day of each site, with the revision of the hours that they rest on. Each
answer asks first what has changed since then, in the hours, in what is expected, in who feeds
whom, in prices, and adds up those days anew; where nothing has, the last answer to the same
question is the answer. So none is older than its question.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from kilowatch.dashboard.expected_waste import Expectation, expectations
from kilowatch.dashboard.insight_period import Stretch
from kilowatch.dashboard.needs import Insights
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.dashboard.registry import Registry
from kilowatch.dashboard.waste_network import Days, Network, networks_of, told_of
from kilowatch.dashboard.waste_sums import EPOCH, Portion, Wasted, by_series, wasted
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts

KEPT_BYTES = 96 * 2**20
"""A year of 10,000 data points is some 70 MiB, a month 6."""
ANSWERS = 4
"""Whole answers that are kept: of an estate some 2,000 sums each, 1 MB."""
READ_DAYS = 31
READ_POINTS = 2_000
"""Read at once: 1.5 million hours take 48 MB, and as much again while they are added up."""


@dataclass(frozen=True, slots=True)
class Summed:
    """The waste of many data points in some days.

    Attributes:
        found: Added up by site and utility.
        expected: How many more hours somebody called expected, by the site's number.
        by_series: What each series wasted, the most first [Wh or m³].
    """

    found: Wasted
    expected: Mapping[int, int]
    by_series: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Everything that an answer rests on beside the hours themselves: equal, and it is the same."""

    first: int
    last: int
    told: Sequence[object]
    fed_by: Mapping[int, int | None]
    facts: Mapping[int, SiteFacts]
    points: Sequence[DataPoint]


class WasteDays:
    """Keeps sums by day of what was asked for; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: list[tuple[_Asked, Summed]] = []
        self._kept: OrderedDict[tuple[int, ...], Days] = OrderedDict()
        self._revision: int | None = None

    def of(
        self, insights: Insights, registry: Registry, points: Sequence[DataPoint], days: Stretch
    ) -> Summed:
        """Return the waste of some local days.

        Args:
            insights: Reads wasted hours.
            registry: Knows who feeds whom, what is expected, and prices.
            points: Whose; that the person may read them has been seen to.
            days: Which days.
        """
        with self._lock:
            self._forget(insights)
            fed_by, facts = registry.fed_by(points), registry.facts()
            expected = expectations(insights, registry, points)
            first, last = days.first.toordinal() - EPOCH, days.last.toordinal() - EPOCH
            asked = _Asked(first, last, told_of(expected), fed_by, facts, points)
            found = next((answer for known, answer in self._answers if known == asked), None)
            if found is None:
                found = self._added(insights, asked, expected)
            others = [one for one in self._answers if one[1] is not found]
            self._answers = [*others[1 - ANSWERS :], (asked, found)]
            self._shrink()
        return found

    def _added(self, insights: Insights, asked: _Asked, expected: Sequence[Expectation]) -> Summed:
        """Add up what is asked for, from days that are kept where they are."""
        networks = networks_of(asked.points, asked.fed_by, expected)
        alike = [self._days(one) for one in networks if one.zone]
        _fill(insights, alike, asked.first, asked.last)
        added = _Sum(asked.first, asked.last, asked.facts)
        apart = [one for one in networks if not one.zone]
        apart += [one.network for one in alike if not added.add(one)]
        for one in apart:
            added.add_hours(one, _hours(insights, one.points, asked.first, asked.last))
        return added.summed()

    def _forget(self, insights: Insights) -> None:
        """Let go of what has changed since the last look."""
        changes = insights.waste_changes(self._revision if self._kept else None)
        order = np.argsort(changes.series, kind="stable")
        changes = replace(changes, series=changes.series[order], start_ms=changes.start_ms[order])
        if changes.everything or len(changes.series) or len(changes.whole):
            self._answers.clear()
            for one in self._kept.values():
                one.forget(changes)
        self._revision = changes.revision

    def _days(self, network: Network) -> Days:
        key = network.key
        known = self._kept.get(key)
        if known is None or not known.network.same(network):
            known = self._kept[key] = Days(network)
        self._kept.move_to_end(key)
        return known

    def _shrink(self) -> None:
        size = sum(one.size for one in self._kept.values())
        while size > KEPT_BYTES:
            size -= self._kept.popitem(last=False)[1].size


def _fill(insights: Insights, some: Sequence[Days], first: int, last: int) -> None:
    """Add up the days that are not: of many networks with one look at the file."""
    open_days: dict[tuple[str, int, int], list[Days]] = {}
    for one in some:
        if (missing := one.missing(first, last)) is not None:
            begin, end = missing
            for day in range(begin, end + 1, READ_DAYS):
                until = min(end, day + READ_DAYS - 1)
                open_days.setdefault((one.network.zone, day, until), []).append(one)
    for (_, begin, end), wanted in open_days.items():
        together: list[Days] = []
        for one in wanted:
            if together and sum(len(d.series) for d in together) + len(one.series) > READ_POINTS:
                _add_up(insights, together, begin, end)
                together = []
            together.append(one)
        _add_up(insights, together, begin, end)


def _add_up(insights: Insights, some: Sequence[Days], first: int, last: int) -> None:
    points = [point for one in some for point in one.network.points]
    hours = _hours(insights, points, first, last)
    series = np.concatenate([one.series for one in some])
    number = np.repeat(np.arange(len(some)), [len(one.series) for one in some])
    order = np.argsort(series)
    of_hour = number[order][np.searchsorted(series[order], hours.series)]
    by_number = np.argsort(of_hour, kind="stable")
    edges = np.searchsorted(of_hour[by_number], np.arange(len(some) + 1))
    for at, one in enumerate(some):
        one.fill(first, last, hours.take(by_number[edges[at] : edges[at + 1]]))


def _hours(insights: Insights, points: Sequence[DataPoint], first: int, last: int) -> WasteHours:
    """Return the wasted hours of some local days, each data point by its own clock."""
    begin, end = (date.fromordinal(EPOCH + day) for day in (first, last + 1))
    return WasteHours.concatenate(
        [
            insights.waste(
                [p for p in points if p.zone == zone],
                midnight_ms(begin, zone),
                midnight_ms(end, zone),
            )
            for zone in dict.fromkeys(point.zone for point in points)
        ]
    )


class _Sum:
    """Adds up networks over some days.

    Args:
        first: Number of the first local day since 1970.
        last: Number of the last one.
        facts: Prices and CO2 factors of sites, by their number.
    """

    def __init__(self, first: int, last: int, facts: Mapping[int, SiteFacts]) -> None:
        self._first, self._last, self._facts = first, last, facts
        self._portions: list[Portion] = []
        self._by_hour: Floats = np.zeros((last + 1 - first, 24))
        self._week: Floats = np.zeros(7 * 24)
        self._days: dict[date, float] = {}
        self._hours = 0
        self._expected: Counter[int] = Counter()
        self._series: list[Ints] = []
        self._amounts: list[Floats] = []

    def add(self, one: Days) -> bool:
        """Add the days of a network; False where its hours have to be asked."""
        portions = one.portions(self._first, self._last, self._facts)
        if portions is None:
            return False
        rows = slice(self._first - one.first, self._last + 1 - one.first)
        self._portions += portions
        self._by_hour += one.hours[rows]
        self._hours += int(one.counts[rows].sum())
        self._expect(one.sites, one.expected[rows].sum(axis=0).tolist())
        self._series.append(one.series)
        self._amounts.append(one.amounts[rows].sum(axis=0))
        return True

    def add_hours(self, network: Network, hours: WasteHours) -> None:
        """Add a network hour by hour."""
        once, gone = network.wasted(hours)
        found = wasted(once, network.points, self._facts, by_point=False)
        self._portions += found.portions
        self._week += found.week
        for day, amount in found.days.items():
            self._days[day] = self._days.get(day, 0.0) + amount
        self._hours += found.hours
        sites = {point.series: point.site_id for point in network.points}
        self._expect([sites[one] for one in gone.series.tolist()], [1] * len(gone.series))
        amounts = by_series(once)
        self._series.append(np.array(list(amounts), np.int64))
        self._amounts.append(np.array(list(amounts.values())))

    def _expect(self, sites: Sequence[int], hours: Sequence[int]) -> None:
        for site, count in zip(sites, hours, strict=True):
            if count:
                self._expected[site] += count

    def summed(self) -> Summed:
        """Return everything that was added."""
        weekday = (np.arange(self._first, self._last + 1) + 3) % 7
        for day in range(7):
            self._week[24 * day : 24 * day + 24] += self._by_hour[weekday == day].sum(axis=0)
        for number, amount in enumerate(self._by_hour.sum(axis=1).tolist(), self._first):
            if amount > 0:
                name = date.fromordinal(EPOCH + number)
                self._days[name] = self._days.get(name, 0.0) + amount
        none = np.empty(0, np.int64)
        series = np.concatenate([none, *self._series])
        amounts = np.concatenate([np.empty(0), *self._amounts])
        order = np.lexsort((series, -amounts))
        order = order[amounts[order] > 0]
        portions = sorted(self._portions, key=lambda one: one.point.series)
        return Summed(
            Wasted(portions, self._week, self._days, self._hours),
            self._expected,
            dict(zip(series[order].tolist(), amounts[order].tolist(), strict=True)),
        )
