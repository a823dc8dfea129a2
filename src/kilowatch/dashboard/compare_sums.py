"""Sites and data points side by side: day by day, in money and CO2, and per something.

Arrays in, plain values out. A day is a local day of its own site: the first of one is the first of
another, whatever their zones. What is not known stays so; no quotient is made of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

import numpy as np

from kilowatch.dashboard.behind import mean_shares
from kilowatch.dashboard.pricing import rates
from kilowatch.insights.degree_days import degree_days
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.tree_rollups import TreeRollUp

Per = Literal["total", "area", "heating", "cooling", "production"]
PERS: tuple[Per, ...] = ("total", "area", "heating", "cooling", "production")
Grain = Literal["day", "week", "month"]
GRAINS: tuple[Grain, ...] = ("day", "week", "month")

COMPLETE = 0.9
"""Share of a day that must be known on both sides before it is held against another one."""
DEGREES_MIN = 1.0
"""Degree days that a period must have for anything to be divided by them [K·d]. An October with
0.0008 of cooling made 244 GWh for each."""
KNOWN_DAYS = 0.9
"""Share of a period's days whose temperature must be known for its degree days to be a sum."""


@dataclass(frozen=True, slots=True)
class Days:
    """What an item counted on consecutive local days, shape (days,).

    Attributes:
        start_ms: Start of each day [ms since 1970, UTC].
        amount: What it counted [unit]; NaN where nothing is known.
        complete: Share of what has passed of the day that is known, 0 to 1.
        passed: Share of the day that has passed, 0 to 1.
        parts: What each data point adds, by number [unit]: those that no other one feeds.
        shares: Of the known time, what is derived, edited, estimated and questionable, 0 to 1.
        hours: How long each day is, 23 to 25 h; empty where all are alike [h].
    """

    start_ms: Ints
    amount: Floats
    complete: Floats
    passed: Floats
    parts: Mapping[int, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    hours: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def time(self) -> Floats:
        """How much of each day has passed, shape (days,) [h, or days where all are alike]."""
        return self.passed * self.hours if len(self.hours) else self.passed

    @property
    def total(self) -> float | None:
        """The sum of what is known [unit]; None where nothing is."""
        known = np.isfinite(self.amount)
        return float(self.amount[known].sum()) if known.any() else None

    @property
    def completeness(self) -> float:
        """Known share of what has passed, 0 to 1."""
        weight = float(self.time.sum())
        return float((self.complete * self.time).sum() / weight) if weight else 0.0


@dataclass(frozen=True, slots=True)
class Laid:
    """Roll-ups of a data point on consecutive local days.

    Attributes:
        rows: Those that are no longer than their day.
        place: Which day each of them is, shape (rows,).
        start_ms: Start of each day, shape (days,) [ms since 1970, UTC].
        complete: As of ``Days``.
        passed: As of ``Days``.
        hours: As of ``Days``.
    """

    rows: IntervalBlock
    place: Ints
    start_ms: Ints
    complete: Floats
    passed: Floats
    hours: Floats

    def column(self, values: Floats) -> Floats:
        """Return values of the rows by day, NaN where there is no row, shape (days,)."""
        found = np.full(len(self.start_ms), np.nan)
        found[self.place] = values
        return found


def laid(rows: IntervalBlock, edges_ms: Ints, now_ms: int) -> Laid:
    """Lay the roll-ups of one channel out by day; those that begin with no day are left out.

    Args:
        rows: Of one data point.
        edges_ms: Starts of the days, and the end of the last, shape (days + 1,) [ms].
        now_ms: What is later has not passed [ms].
    """
    start, end = edges_ms[:-1], edges_ms[1:]
    passed = _passed(start, end, now_ms)
    rows = rows.take(np.isin(rows.start_ms, start))
    place = np.searchsorted(start, rows.start_ms)
    fits = rows.duration_ms <= end[place] - start[place]
    rows, place = rows.take(fits), place[fits]
    with np.errstate(divide="ignore", invalid="ignore"):
        known = rows.covered_ms / ((end - start) * passed)[place]
    complete = np.zeros(len(start))
    complete[place] = np.minimum(np.nan_to_num(known), 1.0)
    return Laid(rows, place, start, complete, passed, (end - start) / HOUR_MS)


def _passed(start: Ints, end: Ints, now_ms: int) -> Floats:
    return np.clip((np.minimum(end, now_ms) - start) / (end - start), 0.0, 1.0)


def days_of(tree: TreeRollUp, numbers: Sequence[int], now_ms: int) -> Days:
    """Return the sum of those of some data points that no other one of them feeds.

    Args:
        tree: Sums by day.
        numbers: The data points of a site, or a single one.
        now_ms: What is later has not passed [ms].
    """
    start, end = tree.edges_ms[:-1], tree.edges_ms[1:]
    passed = _passed(start, end, now_ms)
    hours = (end - start) / HOUR_MS
    unknown = np.full(len(start), np.nan)
    if not numbers:
        return Days(start, unknown, np.zeros(len(start)), passed, {}, mean_shares([], []), hours)
    root = roots_of(tree, numbers)
    amounts = np.array([tree.points[number].amount for number in numbers])
    complete = np.array([tree.points[number].completeness for number in numbers])
    known = root & np.isfinite(amounts)
    amount = np.where(known.any(axis=0), _added(np.where(known, amounts, 0.0)), unknown)
    weight = _added(np.where(root, complete, 0.0))
    touched = np.flatnonzero(root.any(axis=1)).tolist()
    parts = {numbers[at]: float(amounts[at][known[at]].sum()) for at in touched}
    shares = mean_shares(
        [tree.points[numbers[at]].shares for at in touched],
        [np.where(root[at], complete[at] * passed * hours, 0.0) for at in touched],
    )
    complete = weight / np.maximum(root.sum(axis=0), 1)
    return Days(start, amount, complete, passed, parts, shares, hours)


def roots_of(tree: TreeRollUp, numbers: Sequence[int]) -> Bools:
    """Return where each data point is fed by none of the others, shape (points, buckets)."""
    mine = frozenset(numbers)
    found = np.zeros((len(numbers), len(tree.edges_ms) - 1), np.bool_)
    for era in tree.eras:
        parents = [era.parents.get(number) for number in numbers]
        found |= np.array([one not in mine for one in parents])[:, None] & era.buckets
    return found


def _added(rows: Floats) -> Floats:
    """Return the sum of rows, one after the other: the same to the bit whatever their shape."""
    total: Floats = np.add.accumulate(rows, axis=0)[-1]
    return total


@dataclass(frozen=True, slots=True)
class Priced:
    """A sum in money or CO2.

    Attributes:
        value: What it comes to; None where no day has a price or a factor.
        unit: Currency, or ``kg``.
        share: Of the amount, what has a price or a factor, 0 to 1.
        basis: Each price or factor that is in it, in words.
    """

    value: float | None
    unit: str
    share: float
    basis: tuple[str, ...] = ()


def priced(
    days: Days,
    facts: SiteFacts | None,
    utility: str,
    canonical: str,
    worth: Literal["money", "co2"],
) -> Priced:
    """Return what days cost or emitted, each at the price of its own date."""
    found = rates(facts, utility, canonical, worth)
    which = found.at(days.start_ms)
    factor = found.per_unit()[which]
    known = np.isfinite(days.amount)
    with_price = known & np.isfinite(factor)
    if not with_price.any():
        return Priced(None, found.unit, 0.0)
    value = float((days.amount[with_price] * factor[with_price]).sum())
    whole = float(np.abs(days.amount[known]).sum())
    part = float(np.abs(days.amount[with_price]).sum())
    used = np.unique(which[with_price & (days.amount != 0)]).tolist()
    basis = tuple(str(found.basis[one]) for one in used)
    return Priced(value, found.unit, part / whole if whole else 1.0, basis)


def quotient(days: Days, divisor: Floats) -> tuple[float, float, float] | None:
    """Return amounts per something that differs from day to day; None where that is not known.

    Args:
        days: Amounts.
        divisor: Of each day, shape (days,); NaN where not known.

    Returns:
        The quotient, what was divided and what by: of the days of which both are known.
    """
    over = days.passed > 0
    both = over & np.isfinite(days.amount) & np.isfinite(divisor)
    if not both.any() or both.sum() < KNOWN_DAYS * (over & np.isfinite(days.amount)).sum():
        return None
    whole, amount = float(divisor[both].sum()), float(days.amount[both].sum())
    return (amount / whole, amount, whole) if whole > 0 else None


@dataclass(frozen=True, slots=True)
class Change:
    """By how much days differ from those they lie beside.

    Attributes:
        share: 0.1 is 10 % more; None where too little is known on both sides.
        days: How many days that rests on.
        own: What was counted on them [unit]; of a level its mean.
        other: What was counted on those beside [unit].
        difference: Of a level, own minus other [unit]; None where too little is known.
        by: What both were divided by, own and other; None where nothing was.
    """

    share: float | None
    days: int
    own: float
    other: float
    difference: float | None = None
    by: tuple[float, float] | None = None


def both_known(own: Days, other: Days) -> Bools:
    """Return which days are over and nearly whole on both sides, shape (days,)."""
    count = min(len(own.amount), len(other.amount))
    both = np.ones(count, np.bool_)
    for side in (own, other):
        both &= np.isfinite(side.amount[:count]) & (side.passed[:count] >= 1)
        both &= side.complete[:count] >= COMPLETE
    return both


def enough_of(both: Bools, own: Days) -> bool:
    """Tell whether some days are at least half of those that are over."""
    over = int((own.passed[: len(both)] >= 1).sum())
    return bool(both.any()) and 2 * int(both.sum()) >= over


def change(own: Days, other: Days, divisors: tuple[Floats, Floats] | None = None) -> Change:
    """Return by how much days differ from those they lie beside.

    Only days that are over, and nearly whole on both sides: half a month is not held against a
    whole one, and a gap is no saving. Where that leaves less than half of the days that are over,
    nothing is said.

    Args:
        own: The days.
        other: The others, as many.
        divisors: What each day is divided by on both sides, or None.
    """
    both = both_known(own, other)
    count, sums = len(both), [1.0, 1.0]
    if divisors is not None:
        for part in divisors:
            both &= np.isfinite(part[:count])
        sums = [float(part[:count][both].sum()) for part in divisors]
    now, before = (float(side.amount[:count][both].sum()) for side in (own, other))
    said = enough_of(both, own) and before != 0 and min(sums) > 0
    share = now / before * sums[1] / sums[0] - 1 if said else None
    by = None if divisors is None else (sums[0], sums[1])
    return Change(share, int(both.sum()), now, before, by=by)


def bucketed(
    days: Days, first: date, grain: Grain
) -> tuple[list[date], list[float | None], list[float]]:
    """Return days, weeks from Monday or months: their first days, sums, and known shares."""
    names: list[date] = []
    sums: list[float | None] = []
    weights: list[tuple[float, float]] = []
    for number, (amount, complete, passed) in enumerate(
        zip(days.amount.tolist(), days.complete.tolist(), days.time.tolist(), strict=True)
    ):
        day = first + timedelta(number)
        name = _bucket(day, grain)
        if not names or _bucket(names[-1], grain) != name:
            names.append(day)
            sums.append(None)
            weights.append((0.0, 0.0))
        if math.isfinite(amount):
            sums[-1] = (sums[-1] or 0.0) + amount
        weights[-1] = weights[-1][0] + complete * passed, weights[-1][1] + passed
    return names, sums, [known / whole if whole else 0.0 for known, whole in weights]


def _bucket(day: date, grain: Grain) -> date:
    if grain == "week":
        return day - timedelta(day.weekday())
    return day.replace(day=1) if grain == "month" else day


def degrees_by_day(
    temperature_c: Floats, first_ms: int, zone: Zone, facts: SiteFacts, per: Per, days: int
) -> Floats:
    """Return the degree days of consecutive local days, shape (days,) [K·d]; NaN if not known.

    All are 0 where there are next to none: nothing can be said of what a building takes for each.

    Args:
        temperature_c: Outdoor temperature of consecutive hours, NaN where not known [°C].
        first_ms: Start of the first hour, at midnight [ms since 1970, UTC].
        zone: The site's clock.
        facts: Base temperatures.
        per: ``heating`` or ``cooling``.
        days: How many.
    """
    found = np.full(days, np.nan)
    if not len(temperature_c):
        return found
    values = temperature_c[None, :]
    laid = Hours(first_ms, values, zone, np.zeros(values.shape, np.bool_), values)
    summed = degree_days(laid, facts.heating_base_c, facts.cooling_base_c)
    place = summed.day - int(laid.day[0])
    inside = (place >= 0) & (place < days)
    own = (summed.heating if per == "heating" else summed.cooling)[0]
    found[place[inside]] = own[inside]
    return found if np.nansum(found) >= DEGREES_MIN else np.minimum(found, 0.0)
