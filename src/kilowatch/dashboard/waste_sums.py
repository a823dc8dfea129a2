"""Wasted hours added up: by kind, by site, by data point, by hour of the week, by day."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from kilowatch.dashboard.hourly import unit_of_amount
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import Sums, Worth, worth
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind, WasteHours
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone

Key = TypeVar("Key", bound=Hashable)

KINDS = tuple(EventKind)
EPOCH = date(1970, 1, 1).toordinal()


def kind_of(number: int) -> EventKind | None:
    """Return the kind that a number in ``WasteHours`` stands for; None for -1, which is none."""
    return KINDS[number] if number >= 0 else None


def kind_title(kind: EventKind | None) -> str:
    """Return what people call a kind of all data points: of lights, too, that heat nothing."""
    if kind is EventKind.OVER_CONDITIONING:
        return t("waste.in_open_hours")
    return t("waste.no_kind") if kind is None else t(f"event_kind.{kind}")


@dataclass(frozen=True, slots=True)
class Portion:
    """Waste of one data point, kind, hour of the week and day, with what it was worth.

    Attributes:
        point: Which data point.
        kind: Which kind; None for what is above the need in none of the ways that have a name.
        amount: How much [Wh or m³].
        worth: Its money and CO2.
    """

    point: DataPoint
    kind: EventKind | None
    amount: float
    worth: Worth


@dataclass(frozen=True)
class Wasted:
    """Everything that was wasted in some days.

    Attributes:
        portions: By data point, kind and price in force.
        week: Energy by hour of the local week from Monday 00:00, shape (168,) [Wh].
        days: Energy by local day [Wh].
        hours: How many wasted hours that is.
    """

    portions: Sequence[Portion]
    week: Floats
    days: Mapping[date, float]
    hours: int

    @cached_property
    def by_kind(self) -> dict[EventKind | None, Sums]:
        """Sums by kind, the costliest first."""
        return _ranked((one.kind, one) for one in self.portions)

    def by_point(self) -> dict[int, Sums]:
        """Return sums by the data point's number, the costliest first."""
        return _ranked((one.point.id, one) for one in self.portions)

    @cached_property
    def by_site(self) -> dict[int, Sums]:
        """Sums by the site's number, the costliest first."""
        return _ranked((one.point.site_id, one) for one in self.portions)

    @cached_property
    def total(self) -> Sums:
        """The sum of everything."""
        sums = Sums()
        for one in self.portions:
            sums.add(one.point, one.amount, one.worth)
        return sums


def priced_share(portions: Iterable[Portion], *, carbon: bool) -> float | None:
    """Return the share of wasted energy that has a price, or a factor, 0 to 1; None for nothing."""
    every = [one for one in portions if unit_of_amount(one.point) == "Wh"]
    whole = sum(one.amount for one in every)
    held = [(one.worth.factor if carbon else one.worth.price) is not None for one in every]
    part = sum(one.amount for one, has in zip(every, held, strict=True) if has)
    return part / whole if whole else None


def by_series(hours: WasteHours) -> dict[int, float]:
    """Return what each series wasted, the most first [Wh or m³]."""
    known, inverse = np.unique(hours.series, return_inverse=True)
    sums = np.bincount(inverse, weights=hours.amount, minlength=len(known))
    order = np.argsort(-sums, kind="stable")
    return dict(zip(known[order].tolist(), sums[order].tolist(), strict=True))


def _ranked(parts: Iterable[tuple[Key, Portion]]) -> dict[Key, Sums]:
    """Add up portions by a key; ranked by money where there is any, then by amount."""
    found: dict[Key, Sums] = {}
    for key, one in parts:
        found.setdefault(key, Sums()).add(one.point, one.amount, one.worth)

    def size(sums: Sums) -> tuple[float, float]:
        return -sum(sums.money.values()), -sum(sums.amounts.values())

    return dict(sorted(found.items(), key=lambda item: size(item[1])))


def counted_once(
    hours: WasteHours, points: Sequence[DataPoint], fed_by: Mapping[int, int | None]
) -> WasteHours:
    """Return wasted hours of which none is counted at a meter and again at its submeter.

    A heating that ran on is seen at its own meter and at the supply. Hour by hour the larger
    counts: what the meter itself saw, or what all of its submeters saw together.

    Args:
        hours: What was wasted at each data point.
        points: Which data points.
        fed_by: The number of the data point that feeds each one, by its number.
    """
    number = {point.series: point.id for point in points}
    order = np.argsort(hours.series, kind="stable")
    edges = np.flatnonzero(np.diff(hours.series[order], prepend=-1, append=-1))
    rows: dict[int, Ints] = {}
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        series = int(hours.series[order[first]])
        if series in number:
            rows[number[series]] = order[first:last]
    children: dict[int, list[int]] = {}
    for point in points:
        parent = fed_by.get(point.id)
        if parent is not None and parent != point.id:
            children.setdefault(parent, []).append(point.id)
    none = np.empty(0, np.int64)

    def kept(point_id: int, above: frozenset[int]) -> Ints:
        own = rows.get(point_id, none)
        below = [
            kept(child, above | {point_id})
            for child in children.get(point_id, [])
            if child not in above
        ]
        under = np.concatenate([none, *below])
        if not len(own) or not len(under):
            return np.concatenate([own, under])
        starts = np.concatenate([hours.start_ms[own], hours.start_ms[under]])
        unique, at = np.unique(starts, return_inverse=True)
        mine = np.bincount(at[: len(own)], hours.amount[own], len(unique))
        theirs = np.bincount(at[len(own) :], hours.amount[under], len(unique))
        larger = mine >= theirs
        return np.concatenate([own[larger[at[: len(own)]]], under[~larger[at[len(own) :]]]])

    mine = {point.id for point in points}
    roots = [point.id for point in points if fed_by.get(point.id) not in mine]
    looped = (
        mine
        - set(roots)
        - {one for root in roots if root in children for one in _below(root, children)}
    )
    alone = frozenset[int]()
    chosen = np.concatenate(
        [
            none,
            *(kept(one, alone) if one in children else rows.get(one, none) for one in roots),
            *(rows.get(one, none) for one in looped),
        ]
    )
    return hours.take(chosen)


def _below(root: int, children: Mapping[int, list[int]]) -> set[int]:
    found, waiting = set(), [root]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += children.get(one, [])
    return found


def wasted(
    hours: WasteHours,
    points: Sequence[DataPoint],
    facts: Mapping[int, SiteFacts],
    *,
    by_point: bool = True,
) -> Wasted:
    """Add up wasted hours.

    Args:
        hours: What was wasted, hour by hour.
        points: Of which data points.
        facts: Prices and CO2 factors of sites, by their number.
        by_point: Whether each data point is told apart; of thousands, sums of a site's utilities
            are enough, and a hundred times fewer.
    """
    by_series = {point.series: point for point in points}
    known, inverse = np.unique(hours.series, return_inverse=True)
    owners = [by_series.get(series) for series in known.tolist()]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, point in enumerate(owners):
        if point is not None:
            unit = unit_of_amount(point)
            own = point.id if by_point else 0
            groups.setdefault((point.site_id, point.utility, unit, own), []).append(number)
    of_group = np.full(len(known), -1)
    for number, members in enumerate(groups.values()):
        of_group[members] = number
    group = of_group[inverse] if len(known) else np.empty(0, np.int64)
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(len(groups) + 1))
    week = np.zeros(7 * 24)
    days: dict[date, float] = {}
    portions: list[Portion] = []
    for number, members in enumerate(groups.values()):
        rows = order[edges[number] : edges[number + 1]]
        point = owners[members[0]]
        assert point is not None
        starts, amounts, kinds = hours.start_ms[rows], hours.amount[rows], hours.kind[rows]
        portions += _portions(point, starts, amounts, kinds, facts.get(point.site_id))
        if unit_of_amount(point) != "Wh":
            continue
        local = Zone.of(point.zone).local_ms(starts)
        day = local // DAY_MS
        hour_of_week = (day + 3) % 7 * 24 + local % DAY_MS // HOUR_MS
        week += np.bincount(hour_of_week, weights=amounts, minlength=7 * 24)
        first = int(day.min())
        sums = np.bincount(day - first, weights=amounts).tolist()
        for at in np.flatnonzero(np.bincount(day - first)).tolist():
            name = date.fromordinal(EPOCH + first + at)
            days[name] = days.get(name, 0.0) + sums[at]
    return Wasted(portions, week, days, len(hours.series))


def _portions(
    point: DataPoint, starts: Ints, amounts: Floats, kinds: Ints, facts: SiteFacts | None
) -> list[Portion]:
    """Return the sums of a data point by kind and by what was in force."""
    edges = changes_of(facts, int(starts.min()), int(starts.max()) + 1)
    era = np.searchsorted(edges, starts, side="right")
    found = []
    for kind in np.unique(kinds).tolist():
        for number in range(len(edges) + 1):
            chosen = kinds == kind
            if len(edges):
                chosen &= era == number
            if not chosen.any():
                continue
            amount = float(amounts[chosen].sum())
            value = worth(facts, point, amount, int(starts[chosen][0]))
            found.append(Portion(point, kind_of(kind), amount, value))
    return found


def changes_of(facts: SiteFacts | None, from_ms: int, to_ms: int) -> Ints:
    """Return when a price or a factor begins within a stretch [ms since 1970, UTC]."""
    if facts is None:
        return np.empty(0, np.int64)
    begins = {one.from_ms for one in facts.prices} | {one.from_ms for one in facts.carbon}
    return np.array(sorted(one for one in begins if from_ms < one < to_ms), np.int64)
