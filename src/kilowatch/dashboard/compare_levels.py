"""Levels side by side: temperatures, power, and formulas that are a quotient, by their mean.

A level has no total, no price and no floor area to share: its mean over the time that is known
stands in the place of the sum, with the lowest and the highest beside it, and a change is a
difference in its own unit. A site has none, as the mean of a cold room and an office says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from kilowatch.dashboard.behind import shares_of
from kilowatch.dashboard.chart_period import Span
from kilowatch.dashboard.compare_sums import (
    Change,
    Days,
    Grain,
    both_known,
    bucketed,
    enough_of,
    laid,
)
from kilowatch.dashboard.needs import View
from kilowatch.model.blocks import IntervalBlock, Ints
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.parameters import AP, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.rollups import mean_of
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
        rows: The days with data, as roll-ups, of which means over several are made.
        place: Which day each of them is, shape (rows,).
    """

    rows: IntervalBlock = field(default_factory=IntervalBlock.empty)
    place: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def total(self) -> float | None:
        """The mean over the time that is known [unit]; None where nothing is."""
        return self.mean_of(np.ones(len(self.amount), np.bool_))

    def mean_of(self, chosen: Bools) -> float | None:
        """Return the mean of some days, as a roll-up has it [unit]; a quotient divides sums."""
        mean = mean_of(self.rows.take(chosen[self.place]))
        return mean if np.isfinite(mean) else None

    @property
    def lowest(self) -> float | None:
        """The lowest of all [unit]."""
        low = self.rows.low
        return float(np.nanmin(low)) if np.isfinite(low).any() else None

    @property
    def highest(self) -> float | None:
        """The highest of all [unit]."""
        high = self.rows.high
        return float(np.nanmax(high)) if np.isfinite(high).any() else None


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
    rows = view.to_average([point], [level[0]], int(edges[0]), int(edges[-1]))
    found = laid(rows, edges, now_ms)
    return Levels(
        found.start_ms, found.column(found.rows.mean), found.complete, found.passed,
        {point.id: 0.0}, shares_of(found.rows), found.hours, found.rows, found.place,
    )  # fmt: skip


def difference(own: Levels, other: Levels) -> Change:
    """Return by how much a level differs from the days beside, on the days that both know.

    Args:
        own: The days.
        other: The others, as many.
    """
    both = both_known(own, other)
    means = [
        side.mean_of(np.append(both, np.zeros(len(side.amount) - len(both), np.bool_)))
        for side in (own, other)
    ]
    now, before = (0.0 if one is None else one for one in means)
    said = enough_of(both, own)
    return Change(None, int(both.sum()), now, before, now - before if said else None)


def means_of(
    days: Levels, first: date, grain: Grain
) -> tuple[list[date], list[float | None], list[float]]:
    """Return days, weeks from Monday or months: first days, means, and known shares."""
    names, _, complete = bucketed(days, first, grain)
    edges = np.array([(name - first).days for name in (*names, first)])
    edges[-1] = len(days.amount)
    day = np.arange(len(days.amount))
    pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return names, [days.mean_of((day >= begin) & (day < end)) for begin, end in pairs], complete
