"""The total of a site or a meter, as if it were one data point.

So what Breakdown knows of a data point holds for a site too: peak demand, comparisons, the price of
each day. Where one main counts everything it is that main, with its power and its power factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.dashboard.level import Place
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import Grain
from kilowatch.dashboard.read_once import ReadOnce
from kilowatch.exports.needs import Extent
from kilowatch.model.blocks import SHARED, IntervalBlock, Ints
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.tree_bands import Band, heads_of, stack_of
from kilowatch.pipeline.tree_eras import amount_of, eras_of
from kilowatch.pipeline.tree_rollups import TreeRollUp

LONGEST_INTERVAL_S = 3600
"""Meters with longer intervals do not make a day's bars longer: they are named as left out."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when there is data."""

    first_ms: int
    last_ms: int
    packets: int = 2


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything of one utility that a place counts.

    Attributes:
        place: The site or meter.
        kind: Utility and unit.
        points: The data points of that utility.
        proxy: What stands for it: its number is below zero.
    """

    place: Place
    kind: tuple[str, str]
    points: Sequence[DataPoint]
    proxy: DataPoint

    @property
    def code(self) -> int:
        """Channel of the amounts."""
        return code_of(self.proxy)

    def mains(self, from_ms: int, to_ms: int) -> list[DataPoint]:
        """Return the data points that are the total in a stretch, in the tree of that time."""
        mine = {point.id: point for point in self.points}
        zone = Zone.of(self.place.site.zone)
        found: dict[int, None] = {}
        for era in eras_of(mine, self.place.fed_by, (from_ms, to_ms), zone):
            found |= dict.fromkeys(heads_of(mine, era.parents, self.place.tops))
        return [mine[number] for number in found]


class Totals:
    """Measurements with the totals of places among them; the rest is the view's.

    For one answer: what it has read is not read again.
    """

    def __init__(self, view: View, now_ms: int) -> None:
        self._view, self._now_ms = view, now_ms
        self._once = ReadOnce(view, now_ms)
        self.tree, self.expect = self._once.tree, self._once.expect
        self._wholes: dict[int, Whole] = {}

    def add(self, place: Place, kind: tuple[str, str], *, fine: bool = False) -> Whole:
        """Return what stands for the total of a place.

        Args:
            place: The site or meter.
            kind: Utility and unit.
            fine: With the intervals of its mains alone; else with those that all of it can have.
        """
        points = place.of_kind(kind)
        mains = place.mains(points)
        lengths = [one.interval_s for one in (mains if fine else points)]
        usual = [one for one in lengths if one <= LONGEST_INTERVAL_S]
        number = 4 * place.meter.id + 2 if place.meter is not None else 4 * place.site.id
        number = -(number + fine)
        proxy = replace(
            mains[0], id=number, series=number, name=place.name, stream_id="",
            interval_s=max(usual or [max(lengths)]),
        )  # fmt: skip
        self._wholes[number] = Whole(place, kind, points, proxy)
        return self._wholes[number]

    def whole_of(self, point: DataPoint) -> Whole | None:
        """Return what a data point stands for; None for one of its own."""
        return self._wholes.get(point.id)

    def series(
        self, point: DataPoint, channels: Sequence[int], from_ms: int, to_ms: int, grain: Grain
    ) -> IntervalBlock:
        """Return rows of a data point, or of a total; what a total has no sum of is not there."""
        whole = self._wholes.get(point.id)
        if whole is None:
            return self._once.series([point], channels, from_ms, to_ms, grain)
        mains = whole.mains(from_ms, to_ms)
        bucket: Bucket = whole.proxy.interval_s if grain == "interval" else grain
        alone = len(mains) == 1 and mains[0].interval_s <= whole.proxy.interval_s
        if alone and code_of(mains[0]) == whole.code:
            same = mains[0].interval_s == whole.proxy.interval_s
            asked = grain if same else bucket
            return self._once.series(mains, channels, from_ms, to_ms, asked)
        if whole.code not in channels or not mains:
            return IntervalBlock.empty()
        tree = self.tree(mains, whole.place.fed_by, from_ms, to_ms, bucket)
        return total_rows(tree, mains, whole, self._now_ms)

    def to_average(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain = "day",
    ) -> IntervalBlock:
        """Return rows of data points with what quotients are made of; a total is none."""
        return self._view.to_average(points, channels, from_ms, to_ms, grain)

    def channels(self, point: DataPoint) -> list[int]:
        """Return the channels of a data point; of a total that of its amounts."""
        whole = self._wholes.get(point.id)
        return [whole.code] if whole else self._view.channels(point)

    def extent(self, point: DataPoint) -> Extent | None:
        """Return from when to when there is data; of a total that of its mains."""
        whole = self._wholes.get(point.id)
        if whole is None:
            return self._view.extent(point)
        mains = whole.place.mains(whole.points)
        found = [one for main in mains if (one := self._view.extent(main)) is not None]
        if not found:
            return None
        return Span(min(one.first_ms for one in found), max(one.last_ms for one in found))


def code_of(point: DataPoint) -> int:
    """Return the channel of what a data point counts."""
    counted = amount_of(point)
    assert counted is not None, point.stream_id
    return counted[0]


def total_rows(
    tree: TreeRollUp, mains: Sequence[DataPoint], whole: Whole, now_ms: int
) -> IntervalBlock:
    """Return the total of some mains as rows."""
    stack = stack_of(tree, mains, whole.kind, whole.place.tops)
    band = Band(whole.proxy, stack.total, stack.unallocated, stack.completeness, stack.shares)
    return rows_of_band(band, tree.edges_ms, now_ms, whole.code)


def rows_of_band(band: Band, edges: Ints, now_ms: int, channel: int = 0) -> IntervalBlock:
    """Return a band as interval rows; a bucket without data has none."""
    known = np.isfinite(band.amount)
    start, end = edges[:-1][known], edges[1:][known]
    passed = np.clip(np.minimum(end, now_ms) - start, 0, None)
    across = np.nan_to_num(band.unallocated[known])
    amount = band.amount[known] - across
    only = (across != 0) & (np.abs(amount) <= 1e-9 * np.abs(across))
    covered = band.completeness[known] * passed
    shares = band.shares[known]
    worst = np.max(np.where(shares > 0, SHARED, 0), axis=1, initial=0)
    zeros = np.zeros(len(start), np.int64)
    nothing = np.full(len(start), np.nan)
    return IntervalBlock(
        series=zeros, channel=zeros + channel, start_ms=start, duration_ms=end - start,
        version=zeros, count=np.where(only, 0, 1), mean=nothing, low=nothing, high=nothing,
        amount=np.where(only, np.nan, amount), unallocated=across,
        covered_ms=covered.astype(np.int64), quality=worst,
        share_ms=(shares * covered[:, None]).astype(np.int64),
    )  # fmt: skip
