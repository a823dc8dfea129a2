"""Levels side by side: temperatures, power, voltage, power factor, quotients, by their mean.

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
from kilowatch.dashboard.compare_sums import (
    Change,
    Days,
    Grain,
    Laid,
    both_known,
    bucketed,
    enough_of,
    laid,
)
from kilowatch.dashboard.needs import View
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.parameters import AP, FAMILIES, PF, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.rollups import mean_of
from kilowatch.pipeline.tree_eras import counted_of


def _phases(number: int) -> tuple[int, ...]:
    """Return the channels of a quantity that is never summed: its phases, or itself."""
    family = next(one for one in FAMILIES if one.number == number)
    phases = range(1, len(family.suffixes) + 1)
    return tuple(family.total + phase for phase in phases) or (family.total,)


POWER = "W"
QUANTITIES: dict[str, tuple[str, tuple[int, ...]]] = {
    POWER: ("W", (AP,)),
    "PF": ("", (PF,)),
    "V": ("V", _phases(4)),
    "V_LL": ("V", _phases(7)),
    "A": ("A", _phases(5)),
    "Hz": ("Hz", _phases(14)),
}
"""What an electrical data point is compared by besides its energy: word, unit and channels. The
mean of phases is over all of them; lowest and highest are those of any."""


def level_of(point: DataPoint, word: str) -> tuple[int, ...] | None:
    """Return the channels of a data point's level; None where it has none of that kind.

    Args:
        point: Which.
        word: What stands behind the utility in a kind: a word of ``QUANTITIES``, or a unit.
    """
    if point.kind == "electrical":
        return QUANTITIES[word][1] if word in QUANTITIES else None
    if counted_of(point) or point.unit_of_value.canonical != word:
        return None
    return (VALUE,)


def level_kind(point: DataPoint) -> str:
    """Return the utility of a data point and its first level; empty where it only counts."""
    if point.kind == "electrical":
        return f"{point.utility}:{POWER}"
    return "" if counted_of(point) else f"{point.utility}:{point.unit_of_value.canonical}"


def further_kinds(view: View, points: Sequence[DataPoint]) -> list[str]:
    """Return the other levels of electrical data points, of those that have ever sent any."""
    sent: dict[str, set[int]] = {}
    for point in points:
        if point.kind == "electrical":
            sent.setdefault(point.utility, set()).update(view.channels(point))
    return [
        f"{utility}:{word}"
        for word, (_, codes) in QUANTITIES.items() if word != POWER
        for utility, channels in sorted(sent.items()) if not channels.isdisjoint(codes)
    ]  # fmt: skip


def unit_of(kind: str) -> str:
    """Return the unit of a kind, as ``electricity:V_LL``."""
    word = kind.partition(":")[2]
    return QUANTITIES[word][0] if word in QUANTITIES else word


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


def levels(view: View, point: DataPoint, word: str, days: Span, now_ms: int) -> Levels:
    """Read a level day by day; nothing where its intervals are longer than a day.

    Args:
        view: Measurements.
        point: Which data point; it has a level.
        word: Which level, as of ``level_of``.
        days: Which local days.
        now_ms: What is later has not passed [ms].

    Raises:
        KilowatchError: 503 from the store.
    """
    codes = level_of(point, word)
    assert codes is not None
    edges = bucket_edges_ms(*days.ms(point.zone), "day", Zone.of(point.zone))
    rows = view.to_average([point], list(codes), int(edges[0]), int(edges[-1]))
    own = rows.channel if len(codes) > 1 else np.full(len(rows), codes[0])
    sent = np.unique(own) if len(rows) else np.array(codes[:1])
    found = [laid(rows.take(own == code), edges, now_ms) for code in sent]
    first = found[0]
    every = IntervalBlock.concatenate([one.rows for one in found])
    place = np.concatenate([one.place for one in found])
    complete = np.mean([one.complete for one in found], axis=0)
    return Levels(
        first.start_ms, _by_day(found), complete, first.passed,
        {point.id: 0.0}, shares_of(every), first.hours, every, place,
    )  # fmt: skip


def _by_day(found: Sequence[Laid]) -> Floats:
    """Return each day's mean over phases, weighted by how much of each is known [unit]."""
    if len(found) == 1:
        return found[0].column(found[0].rows.mean)
    means = np.array([one.column(one.rows.mean) for one in found])
    weight = np.where(np.isfinite(means), [one.complete for one in found], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.nansum(means * weight, axis=0) / weight.sum(axis=0)
    return mean


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
