"""What readers see of a formula: quotients as values, intervals without a result as holes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.dated import History
from kilowatch.model.formulas import points_in
from kilowatch.model.parameters import RATIO, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact
from kilowatch.pipeline.compiled import Book
from kilowatch.pipeline.state import StreamState


def asked_of_rows(channels: Sequence[int], points: Sequence[DataPoint]) -> list[int]:
    """Return the channels of rows that hold what is asked for."""
    if VALUE in channels and any(point.formula for point in points):
        return [*channels, RATIO]
    return list(channels)


def channels_behind(channel: int) -> list[int]:
    """Return the channels that rows of a channel can have: a quotient has one of its own."""
    return [VALUE, RATIO] if channel == VALUE else [channel]


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


def contact_of(
    point: DataPoint, book: Book, told: Callable[[DataPoint], Contact | None]
) -> Contact | None:
    """Return when a formula's inputs spoke: it is as silent as the one that is silent longest.

    Args:
        point: The formula.
        book: All formulas.
        told: Returns the same of a data point whose packets are pushed, or of another formula.
    """
    formula = book.by_series.get(point.series)
    if formula is None or formula.problem:
        return None
    present = set(points_in(point.formula))  # who it was made of before a date may be silent
    found = [told(one) for one in formula.used if one is not None and one.id in present]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    live = [one for one in known if one.live] or known
    worst = max(live, key=lambda one: (one.silent, -one.heard_ms))
    return replace(worst, allowed_ms=max(worst.allowed_ms, 2 * point.gap_ms))


def is_current(point: DataPoint, state: StreamState, book: Book) -> bool:
    """Tell whether a formula's rows are those of its present text."""
    settings = state.progress.settings
    formula = book.by_series.get(point.series)
    return (
        settings is not None
        and settings.get("formula") == point.formula
        and History.of_plain(settings.get("history")).formulas == point.history.formulas
        and not state.stale
        and (formula is None or not formula.problem)
    )
