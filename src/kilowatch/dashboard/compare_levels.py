"""Levels side by side: temperatures, power, and formulas that are a quotient, by their mean.

A level has no total, no price and no floor area to share: its mean over the time that is known
stands in the place of the sum, with the lowest and the highest beside it, and a change is a
difference in its own unit. A site has none, as the mean of a cold room and an office says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from kilowatch.dashboard.behind import shares_of
from kilowatch.dashboard.chart_period import Span
from kilowatch.dashboard.compare_sums import Change, Days, Grain, both_known, bucketed, enough_of
from kilowatch.dashboard.needs import View
from kilowatch.insights.hours import HOUR_MS
from kilowatch.model.blocks import Floats
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.parameters import AP, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.tree_rollups import counted_of


def level_of(point: DataPoint) -> tuple[int, str] | None:
    """Return the channel of a data point's level and its unit; None where it only counts."""
    if point.kind == "electrical":
        return AP, "W"
    return None if counted_of(point) else (VALUE, point.unit_of_value.canonical)


def level_kind(point: DataPoint) -> str:
    """Return the utility of a data point and the unit of its level; empty where it only counts."""
    level = level_of(point)
    return f"{point.utility}:{level[1]}" if level else ""


@dataclass(frozen=True, slots=True)
class Levels(Days):
    """What a level was on consecutive local days: ``amount`` is each day's mean [unit].

    Attributes:
        low: The lowest of each day [unit]; NaN where nothing is known.
        high: The highest [unit].
    """

    low: Floats = field(default_factory=lambda: np.empty(0))
    high: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def weight(self) -> Floats:
        """How much of each day is known, shape (days,) [h]."""
        return np.where(np.isfinite(self.amount), self.complete * self.time, 0.0)

    @property
    def total(self) -> float | None:
        """The mean over the time that is known [unit]; None where nothing is."""
        return self.mean_of(np.ones(len(self.amount), np.bool_))

    def mean_of(self, chosen: Bools) -> float | None:
        """Return the mean of some days, each as long as it is known [unit]."""
        weight = np.where(chosen, self.weight, 0.0)
        whole = float(weight.sum())
        return float((np.nan_to_num(self.amount) * weight).sum()) / whole if whole else None

    @property
    def lowest(self) -> float | None:
        """The lowest of all [unit]."""
        return float(np.nanmin(self.low)) if np.isfinite(self.low).any() else None

    @property
    def highest(self) -> float | None:
        """The highest of all [unit]."""
        return float(np.nanmax(self.high)) if np.isfinite(self.high).any() else None


def levels(view: View, point: DataPoint, days: Span, now_ms: int) -> Levels:
    """Read a level day by day; nothing where its intervals are longer than a day.

    Args:
        view: Measurements.
        point: Which data point; it has a level.
        days: Which local days.
        now_ms: What is later has not passed [ms].

    Raises:
        KilowatchError: 503 from the store.
    """
    level = level_of(point)
    assert level is not None
    edges = bucket_edges_ms(*days.ms(point.zone), "day", Zone.of(point.zone))
    start, end = edges[:-1], edges[1:]
    passed = np.clip((np.minimum(end, now_ms) - start) / (end - start), 0.0, 1.0)
    mean, low, high = (np.full(len(start), np.nan) for _ in range(3))
    complete = np.zeros(len(start))
    rows = view.series(point, [level[0]], int(edges[0]), int(edges[-1]), "day")
    rows = rows.take(np.isin(rows.start_ms, start) & np.isfinite(rows.mean))
    place = np.searchsorted(start, rows.start_ms)
    fits = rows.duration_ms <= end[place] - start[place]
    rows, place = rows.take(fits), place[fits]
    mean[place], low[place], high[place] = rows.mean, rows.low, rows.high
    with np.errstate(divide="ignore", invalid="ignore"):
        known = rows.covered_ms / ((end - start) * passed)[place]
    complete[place] = np.minimum(np.nan_to_num(known), 1.0)
    hours = np.diff(edges) / HOUR_MS
    parts = {point.id: 0.0}
    return Levels(start, mean, complete, passed, parts, shares_of(rows), hours, low, high)


def difference(own: Levels, other: Levels) -> Change:
    """Return by how much a level differs from the days beside, on the days that both know.

    Args:
        own: The days.
        other: The others, as many.
    """
    both = both_known(own, other)
    count = len(both)
    means = [
        side.mean_of(np.append(both, np.zeros(len(side.amount) - count, np.bool_)))
        for side in (own, other)
    ]
    now, before = (0.0 if one is None else one for one in means)
    said = enough_of(both, own)
    return Change(None, int(both.sum()), now, before, now - before if said else None)


def means_of(
    days: Levels, first: date, grain: Grain
) -> tuple[list[date], list[float | None], list[float]]:
    """Return days, weeks from Monday or months: first days, means, and known shares."""
    hours: Sequence[Floats] = (days.amount * days.weight, days.weight)
    names, sums, complete = bucketed(_with(days, hours[0]), first, grain)
    _, weights, _ = bucketed(_with(days, hours[1]), first, grain)
    pairs = zip(sums, weights, strict=True)
    return names, [None if s is None or not w else s / w for s, w in pairs], complete


def _with(days: Days, amount: Floats) -> Days:
    return Days(days.start_ms, amount, days.complete, days.passed, hours=days.hours)
