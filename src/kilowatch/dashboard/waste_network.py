"""Wasted hours of data points that are counted together, added up by day.

Hour by hour the larger counts of what a meter and its submeters saw, and what somebody expected
is none: both are matters of a site, and of sites that feed each other. So the days of such a
network can be added up once, and again when their hours change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kilowatch.dashboard.expected_waste import Expectation, parted
from kilowatch.dashboard.hourly import unit_of_amount
from kilowatch.dashboard.waste_sums import KINDS, Portion, changes_of, counted_once, kind_of
from kilowatch.dashboard.worth import worth
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import WasteChanges, WasteHours
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools

DAYS_MAX = 400
"""Days that are kept: a year and what it is compared with at its end."""
KINDS_WIDE = len(KINDS) + 1  # the first is none that has a name
ROW_MS = 25 * HOUR_MS
"""The longest day: what a change of hours may be about."""


def told_of(expected: Iterable[Expectation]) -> list[object]:
    """Return all of what is expected that takes hours away: the same, and the same ones go."""
    return [
        (said, None if event is None else (event.start_ms, event.end_ms, event.others))
        for said, event in expected
    ]


@dataclass(slots=True, eq=False)
class Network:
    """Data points that are counted together, and what is expected of them.

    Attributes:
        points: Which, rising by series.
        fed_by: The number of the data point that feeds each one, where it is one of them.
        expected: What is expected of them.
        key: Their series.
        zone: The clock of all of them; empty where there are several.
    """

    points: list[DataPoint]
    fed_by: list[int | None]
    expected: list[Expectation]
    key: tuple[int, ...] = field(init=False)
    zone: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = tuple([point.series for point in self.points])
        zones = {point.zone for point in self.points}
        self.zone = zones.pop() if len(zones) == 1 else ""

    def same(self, other: Network) -> bool:
        """Tell whether the same hours come to the same sums."""
        if self.points != other.points or self.fed_by != other.fed_by:
            return False
        return told_of(self.expected) == told_of(other.expected)

    def wasted(self, hours: WasteHours) -> tuple[WasteHours, WasteHours]:
        """Return which of its wasted hours count, each once, and those that are expected.

        Args:
            hours: Of its data points.
        """
        kept, gone = parted(hours, self.expected, self.points)
        feeders = {p.id: by for p, by in zip(self.points, self.fed_by, strict=True)}
        return counted_once(kept, self.points, feeders), gone


@dataclass(slots=True)
class Days:
    """The days of a network, added up. Its clock is one.

    Attributes:
        network: Which.
        first: Number of the first local day since 1970 that there is room for.
        known: Which days are added up, shape (days,).
        amounts: By data point, shape (days, points) [Wh or m³].
        kinds: By ``groups`` and kind, none of a name first, shape (days, groups, kinds).
        hours: By hour of the local day, of energy, shape (days, 24) [Wh].
        counts: How many hours count, shape (days,).
        expected: How many are expected, by site, shape (days, sites).
        sites: Numbers of the sites, in the order of ``expected``.
        site: Which of them each data point is at, shape (points,).
        series: Keys of the data points' streams, shape (points,).
        groups: Site, utility and unit of those whose kinds are added up together.
        group: Which of them each data point is in, shape (points,).
        energy: 1 where a data point counts Wh, else 0, shape (points,).
    """

    network: Network
    first: int = 0
    known: Bools = field(init=False)
    amounts: Floats = field(init=False)
    kinds: Floats = field(init=False)
    hours: Floats = field(init=False)
    counts: Ints = field(init=False)
    expected: Ints = field(init=False)
    sites: list[int] = field(init=False)
    site: Ints = field(init=False)
    series: Ints = field(init=False)
    groups: list[tuple[int, str, str]] = field(init=False)
    group: Ints = field(init=False)
    energy: Floats = field(init=False)

    def __post_init__(self) -> None:
        points = self.network.points
        keys = [(point.site_id, point.utility, unit_of_amount(point)) for point in points]
        self.groups = list(dict.fromkeys(keys))
        self.group = np.array([self.groups.index(key) for key in keys], np.int64)
        self.energy = np.array([unit == "Wh" for _, _, unit in keys], np.float64)
        self.sites = list(dict.fromkeys(point.site_id for point in points))
        self.site = np.array([self.sites.index(point.site_id) for point in points], np.int64)
        self.series = np.array(self.network.key, np.int64)
        self._room(0, 0)

    @property
    def size(self) -> int:
        """Bytes of what is kept."""
        return sum(one.nbytes for one in self._kept())

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """Make room for days, and return the first and the last that is not added up, if any."""
        self._hold(first, last)
        open_days = np.flatnonzero(~self.known[first - self.first : last + 1 - self.first])
        if not len(open_days):
            return None
        return first + int(open_days[0]), first + int(open_days[-1])

    def forget(self, changes: WasteChanges) -> None:
        """Let go of the days whose hours have changed.

        Args:
            changes: Rising by series.
        """
        if changes.everything or np.isin(self.series, changes.whole).any():
            self.known[:] = False
            return
        begin = np.searchsorted(changes.series, self.series, side="left")
        end = np.searchsorted(changes.series, self.series, side="right")
        starts = [
            changes.start_ms[low:high]
            for low, high in zip(begin.tolist(), end.tolist(), strict=True)
            if low < high
        ]
        if starts:
            zone, first_ms = Zone.of(self.network.zone), np.unique(np.concatenate(starts))
            for at_ms in (first_ms, first_ms + ROW_MS - 1):
                day = zone.local_ms(at_ms) // DAY_MS - self.first
                self.known[day[(day >= 0) & (day < len(self.known))]] = False

    def fill(self, first: int, last: int, hours: WasteHours) -> None:
        """Add up days anew.

        Args:
            first: Number of the first local day since 1970.
            last: Number of the last one.
            hours: All wasted hours of these days, and no others.
        """
        once, gone = self.network.wasted(hours)
        zone, days = Zone.of(self.network.zone), last + 1 - first
        local = zone.local_ms(once.start_ms)
        day = np.clip(local // DAY_MS - first, 0, days - 1)
        column = np.searchsorted(self.series, once.series)
        rows = slice(first - self.first, last + 1 - self.first)

        def sums(place: Ints, weights: Floats, *shape: int) -> Floats:
            added = np.bincount(place, weights, days * int(np.prod(shape)))
            return added.astype(np.float64, copy=False).reshape(days, *shape)

        points, groups = len(self.series), len(self.groups)
        self.amounts[rows] = sums(day * points + column, once.amount, points)
        place = (day * groups + self.group[column]) * KINDS_WIDE + once.kind + 1
        self.kinds[rows] = sums(place, once.amount, groups, KINDS_WIDE)
        energy = once.amount * self.energy[column]
        self.hours[rows] = sums(day * 24 + local % DAY_MS // HOUR_MS, energy, 24)
        self.counts[rows] = np.bincount(day, minlength=days)
        away = np.clip(zone.local_ms(gone.start_ms) // DAY_MS - first, 0, days - 1)
        sites = len(self.sites)
        place = away * sites + self.site[np.searchsorted(self.series, gone.series)]
        self.expected[rows] = np.bincount(place, minlength=days * sites).reshape(days, sites)
        self.known[rows] = True

    def portions(
        self, first: int, last: int, facts: Mapping[int, SiteFacts]
    ) -> list[Portion] | None:
        """Return the sums of some days by utility, kind and price in force.

        Returns:
            None where a price begins within a day: the hours have to be asked.
        """
        rows = slice(first - self.first, last + 1 - self.first)
        kinds, used = self.kinds[rows], self.amounts[rows].sum(axis=0) > 0
        starts_ms, sum_of_all = _starts_ms(self.network.zone, first, last), kinds.sum(axis=0)
        found = []
        for number, (site_id, _, _) in enumerate(self.groups):
            members = np.flatnonzero(used & (self.group == number))
            if not len(members):
                continue
            point, own = self.network.points[int(members[0])], facts.get(site_id)
            edges_ms = changes_of(own, int(starts_ms[0]), int(starts_ms[-1]))
            edges = np.searchsorted(starts_ms, edges_ms)
            if (starts_ms[edges] != edges_ms).any():
                return None
            spans = np.array([0, *edges.tolist(), last + 1 - first])
            sums = sum_of_all[None, number] if not len(edges) else np.stack(
                [kinds[begin:end, number].sum(axis=0)
                 for begin, end in zip(spans[:-1].tolist(), spans[1:].tolist(), strict=True)]
            )  # fmt: skip
            for kind, era in zip(*(axis.tolist() for axis in np.nonzero(sums.T)), strict=True):
                amount, at_ms = float(sums[era, kind]), int(starts_ms[spans[era]])
                value = worth(own, point, amount, at_ms)
                found.append(Portion(point, kind_of(kind - 1), amount, value))
        return found

    def _hold(self, first: int, last: int) -> None:
        """Make room for days; those that are known stay where there is room for them too."""
        end = self.first + len(self.known)
        if self.first <= first and last < end:
            return
        if not len(self.known) or max(last + 1, end) - min(first, self.first) > DAYS_MAX:
            self._room(first, last + 1 - first)
            return
        kept = self._kept()
        begin = min(first, self.first)
        at = slice(self.first - begin, self.first - begin + len(self.known))
        self._room(begin, max(last + 1, end) - begin)
        for old, new in zip(kept, self._kept(), strict=True):
            new[at] = old

    def _kept(self) -> tuple[npt.NDArray[Any], ...]:
        return self.known, self.amounts, self.kinds, self.hours, self.counts, self.expected

    def _room(self, first: int, days: int) -> None:
        self.first = first
        self.known = np.zeros(days, np.bool_)
        self.amounts = np.zeros((days, len(self.series)))
        self.kinds = np.zeros((days, len(self.groups), KINDS_WIDE))
        self.hours = np.zeros((days, 24))
        self.counts = np.zeros(days, np.int64)
        self.expected = np.zeros((days, len(self.sites)), np.int64)


@lru_cache(maxsize=64)
def _starts_ms(zone: str, first: int, last: int) -> Ints:
    """Return when some local days begin, and the one after them [ms since 1970, UTC]."""
    return Zone.of(zone).wall_to_instant_ms(np.arange(first, last + 2) * DAY_MS).at_ms


class _Sites:
    """Sites that are one for what is counted; each stands for itself until it is joined."""

    def __init__(self) -> None:
        self._joined: dict[int, int] = {}

    def of(self, point: DataPoint) -> int:
        """Return the number that a data point's site goes by."""
        number = point.site_id
        while number in self._joined:
            number = self._joined[number]
        return number

    def join(self, one: DataPoint, other: DataPoint | None) -> None:
        """Let the sites of two data points be one."""
        if other is not None and (number := self.of(one)) != (goal := self.of(other)):
            self._joined[number] = goal


def networks_of(
    points: Sequence[DataPoint],
    fed_by: Mapping[int, int | None],
    expected: Iterable[Expectation],
) -> list[Network]:
    """Return data points by what is counted together: a site, or several that feed each other.

    Args:
        points: Which data points.
        fed_by: The number of the data point that feeds each one, by its number.
        expected: What is expected of them.
    """
    by_id = {point.id: point for point in points}
    by_series = {point.series: point for point in points}
    sites = _Sites()
    feeders: dict[int, int | None] = {}
    for point in points:
        feeder = by_id.get(fed_by.get(point.id) or 0)
        feeders[point.id] = None if feeder is None else feeder.id
        if feeder is not None and feeder.site_id != point.site_id:
            sites.join(point, feeder)
    told = list(expected)
    for said, event in told:
        for series in () if event is None else event.others:
            sites.join(by_id[said.data_point_id], by_series.get(series))
    members: dict[int, list[DataPoint]] = {}
    for point in points:
        members.setdefault(sites.of(point), []).append(point)
    of_site: dict[int, list[Expectation]] = {}
    for one in told:
        of_site.setdefault(sites.of(by_id[one[0].data_point_id]), []).append(one)
    found = []
    for number, some in members.items():
        some.sort(key=lambda point: point.series)
        found.append(Network(some, [feeders[p.id] for p in some], of_site.get(number, [])))
    return found
