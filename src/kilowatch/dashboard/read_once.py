"""Rows that one answer asks for more than once, read once.

A comparison of a site's month asks for the same days for its stack, for the total beside it and
for the bands of the other month. A look into the store costs more than its rows do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import Grain
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.cutting import cut_rows
from kilowatch.pipeline.tree_eras import DatedFeeding
from kilowatch.pipeline.tree_reading import SPARE
from kilowatch.pipeline.tree_rollups import TreeRollUp, tree_roll_up

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read."""

    series: frozenset[int]
    channels: frozenset[int]
    span: Span
    grain: Grain
    rows: IntervalBlock


class ReadOnce:
    """Reads for one answer; of one thread, and for no longer.

    Args:
        view: Measurements.
        now_ms: What is later has not passed yet [ms].
    """

    def __init__(self, view: View, now_ms: int) -> None:
        self._view, self._now_ms = view, now_ms
        self._known: list[_Read] = []
        self._together: tuple[Span, Grain] | None = None

    def expect(self, spans: Sequence[Span], grain: Grain) -> None:
        """Say that several periods will be asked for: close together, they are read at once."""
        whole = (min(begin for begin, _ in spans), max(end for _, end in spans))
        asked = sum(end - begin for begin, end in spans)
        if whole[1] - whole[0] <= (1 + SPARE) * asked:
            self._together = whole, grain

    def series(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock:
        """Return buckets that start in [from_ms, to_ms), as ``View.series_many`` does."""
        series, wanted = frozenset(p.series for p in points), frozenset(channels)
        for one in self._known:
            within = one.span[0] <= from_ms and to_ms <= one.span[1] and one.grain == grain
            if within and series <= one.series and wanted <= one.channels:
                return _chosen(one, series, wanted, (from_ms, to_ms))
        span = (from_ms, to_ms)
        if self._together is not None:
            whole, expected = self._together
            if grain == expected and whole[0] <= from_ms and to_ms <= whole[1]:
                span = whole
        rows = self._view.series_many(points, channels, *span, grain)
        self._known.append(_Read(series, wanted, span, grain, rows))
        return _chosen(self._known[-1], series, wanted, (from_ms, to_ms))

    def tree(
        self,
        points: Sequence[DataPoint],
        fed_by: DatedFeeding,
        from_ms: int,
        to_ms: int,
        grain: Bucket,
    ) -> TreeRollUp:
        """Return totals along the tree, as ``View.tree`` does."""
        span = (from_ms, to_ms)

        def rows(some: Sequence[DataPoint], channels: Sequence[int]) -> IntervalBlock:
            if not some:
                return IntervalBlock.empty()
            zone = Zone.of(some[0].zone)
            return cut_rows(
                lambda each: self.series(some, channels, *span, each), span, grain, zone
            )

        return tree_roll_up(rows, points, fed_by, span, grain, self._now_ms)


def _chosen(
    read: _Read, series: frozenset[int], channels: frozenset[int], span: Span
) -> IntervalBlock:
    rows = read.rows
    kept = (rows.start_ms >= span[0]) & (rows.start_ms < span[1])
    for wanted, known, column in (
        (series, read.series, rows.series), (channels, read.channels, rows.channel),
    ):  # fmt: skip
        if wanted != known:
            kept &= np.isin(column, list(wanted))
    return rows if kept.all() else rows.take(kept)
