"""The tree over several periods, read from the store at once where they are close together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.cutting import cut_rows, cuts
from kilowatch.pipeline.tree_eras import DatedFeeding, Feeding
from kilowatch.pipeline.tree_rollups import TreeRollUp, tree_roll_up

SPARE = 0.25
"""Time between periods, as a share of theirs, that is read along rather than asked around."""

Between = tuple[int, int]
Series = Callable[[Sequence[DataPoint], Sequence[int], int, int, Grain], IntervalBlock]
"""Returns rows of data points and channels that start in [from, to) [ms] (``View.series_many``)."""


def tree_roll_ups(
    series: Series,
    points: Sequence[DataPoint],
    fed_by: Feeding | DatedFeeding,
    spans: Sequence[Between],
    grain: Grain,
    now_ms: int,
) -> list[TreeRollUp]:
    """Return the tree of each period.

    A month and the one before it lie side by side: one look into the store gives the rows of both,
    and a look costs more than its rows do.

    Args:
        series: Reads rows.
        points: Of one time zone.
        fed_by: Who feeds whom, always or from when on.
        spans: First bucket start, and first that is not wanted, of each period [ms].
        grain: Length of the buckets.
        now_ms: What is later has not passed yet [ms].

    Raises:
        KilowatchError: 400 ``several_zones``; 503 from the store.
    """
    together = (min(span[0] for span in spans), max(span[1] for span in spans))
    asked = sum(to_ms - from_ms for from_ms, to_ms in spans)
    near = together[1] - together[0] <= (1 + SPARE) * asked
    kept: list[IntervalBlock] = []

    def rows(span: Between, some: Sequence[DataPoint], channels: Sequence[int]) -> IntervalBlock:
        if some and cuts(span, grain, zone := Zone.of(some[0].zone)):
            return cut_rows(lambda each: series(some, channels, *span, each), span, grain, zone)
        if not near or len(spans) == 1:
            return series(some, channels, *span, grain)
        if not kept:
            kept.append(series(some, channels, *together, grain))
        (block,) = kept
        return block.take((block.start_ms >= span[0]) & (block.start_ms < span[1]))

    return [
        tree_roll_up(partial(rows, span), points, fed_by, span, grain, now_ms) for span in spans
    ]
