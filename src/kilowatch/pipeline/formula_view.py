"""What readers see of a formula: quotients as values, intervals without a result as holes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.parameters import RATIO, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.compiled import Book
from kilowatch.pipeline.state import StreamState


def asked_of_rows(channels: Sequence[int], points: Sequence[DataPoint]) -> list[int]:
    """Return the channels of rows that hold what is asked for."""
    if VALUE in channels and any(point.formula for point in points):
        return [*channels, RATIO]
    return list(channels)


def as_seen(rows: IntervalBlock, points: Sequence[DataPoint]) -> IntervalBlock:
    """Return rows of data points as readers see them.

    Args:
        rows: Sorted by series, channel and start.
        points: Whose rows they are.
    """
    computed = [point.series for point in points if point.formula]
    if not computed or not len(rows):
        return rows
    mine = np.isin(rows.series, computed)
    unknown = mine & np.isnan(rows.mean) & (np.isnan(rows.amount) | (rows.channel == RATIO))
    rows, mine = rows.take(~unknown), mine[~unknown]
    quotient = mine & (rows.channel == RATIO)
    if not quotient.any():
        return rows
    return replace(
        rows,
        channel=np.where(quotient, VALUE, rows.channel),
        amount=np.where(quotient, np.nan, rows.amount),
        unallocated=np.where(quotient, np.nan, rows.unallocated),
    )


def channels_seen(channels: Collection[int]) -> list[int]:
    """Return the channels that readers know."""
    return sorted({VALUE if one == RATIO else one for one in channels})


def is_current(point: DataPoint, state: StreamState, book: Book) -> bool:
    """Tell whether a formula's rows are those of its present text."""
    settings = state.progress.settings
    formula = book.by_series.get(point.series)
    return (
        settings is not None
        and settings.get("formula") == point.formula
        and not state.stale
        and (formula is None or not formula.problem)
    )
