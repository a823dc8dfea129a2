"""Which data points are looked at, by which of their channels, and up to where their hours stand.

The hour is the grain of analysis: shorter intervals are summed up to it, and a data point with
longer ones has no hours to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.insights.hours import COVERED_MIN, Bools
from kilowatch.model.blocks import SHARED, Floats, IntervalBlock, Quality
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.formulas import points_named
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import PC, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.view import View

NOT_USED = frozenset({"production", "temperature", "humidity", "environmental"})
"""Utilities that are not consumption: nobody wastes them."""

_ESTIMATED = int(np.flatnonzero(SHARED == Quality.ESTIMATED)[0])
HOURS_TOGETHER = 50_000
"""Hours of streams that one question to the store is about. 256 streams of an estate took 273 MiB
for the thirteen weeks that a step reads and 932 for the year that is learnt from; asked for in
portions of this size 34 and 44, and half the processor time (0.7 and 2.9 s before)."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A data point as insights see it.

    Attributes:
        point: The data point.
        channel: The channel that stands for its use.
        is_use: Whether it counts something that is consumed, and can be wasted.
        is_amount: Whether its hours are amounts; else it is a gauge with a mean.
    """

    point: DataPoint
    channel: int
    is_use: bool
    is_amount: bool

    @property
    def series(self) -> int:
        """Key of the data stream."""
        return self.point.series

    @property
    def conditions(self) -> bool:
        """Whether heating or cooling can be what it counts: water can't."""
        return self.point.utility != "water"

    def kind_of(self, kind: EventKind) -> EventKind:
        """Return what an anomaly is here: only electricity has phases that can be lost."""
        if kind is EventKind.PHASE_LOSS and self.point.utility != "electricity":
            return EventKind.LEVEL_SHIFT
        return kind

    @property
    def is_electrical(self) -> bool:
        """Whether it has voltages, currents and phases."""
        return self.point.kind == "electrical"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a stream's hours stand.

    Attributes:
        generation: Of its grid: another one means that history was computed again.
        first_ms: Effective instant of its first reading [ms since 1970, UTC].
        until_ms: Hours that end here or before can't be changed by a packet in order
            [ms since 1970, UTC].
        zone: Its site's clock, over time.
    """

    generation: int
    first_ms: int
    until_ms: int
    zone: str


def subject_of(point: DataPoint) -> Subject | None:
    """Return what is looked at of a data point; None where its intervals are longer than an hour.

    Of an electrical meter that is its active energy: a meter without registers has it from its
    power.
    """
    if not has_hours(point):
        return None
    gauge = point.kind == "single" and point.behaviour == "gauge"
    channel = PC if point.kind == "electrical" else VALUE
    use = not gauge and point.utility not in NOT_USED
    return Subject(point, channel, use, not gauge)


def made_of(points: Iterable[DataPoint]) -> dict[int, frozenset[int]]:
    """Return of each formula all streams that it rests on, other formulas included, by series.

    What it was made of before a date counts too: its past shows what happened there.
    """
    by_id = {point.id: point for point in points}
    found: dict[int, frozenset[int]] = {}

    def below(point: DataPoint) -> frozenset[int]:
        if point.series not in found:
            found[point.series] = frozenset()  # a circle ends here
            used = [by_id[one] for one in points_named(point) if one in by_id]
            parts = [below(one) for one in used if one.formula]
            found[point.series] = frozenset(one.series for one in used).union(*parts)
        return found[point.series]

    for point in by_id.values():
        if point.formula:
            below(point)
    return found


def has_hours(point: DataPoint) -> bool:
    """Tell whether a data point has packets often enough for hours."""
    return point.interval_s * 1000 <= HOUR_MS


class Reaches:
    """How far the hours of streams stand; looks again only at those that have moved.

    Args:
        streams: What the consumer shows.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._known: dict[int, tuple[tuple[int, int], dict[str, Any], Reach]] = {}

    def now(self, series: Iterable[int]) -> dict[int, Reach]:
        """Return the streams that have hours, by series."""
        (found, _) = self._streams.hot.snapshot(lambda: self._look(series))
        return found

    def _look(self, series: Iterable[int]) -> dict[int, Reach]:
        found = {}
        states = self._streams.states
        for one in series:
            state = states.get(one)
            if state is None:
                continue
            progress = state.progress
            settings, first_ms = progress.settings, progress.first_ms
            if settings is None or first_ms is None:
                continue
            # By the instant, not by its hour: rules that look ahead settle an hour in its middle.
            moved = (progress.generation, progress.since_ms)
            known = self._known.get(one)
            if known is None or known[0] != moved or known[1] is not settings:
                frame = Frame.of(settings)
                since_ms = progress.since_ms
                settled_ms = since_ms if frame is None else frame.settled_ms(since_ms)
                zone = Zone.of(settings["zone"])
                until_ms = int(grain_start_ms([settled_ms], "hour", zone)[0])
                reach = Reach(progress.generation, first_ms, until_ms, settings["zone"])
                known = self._known[one] = (moved, settings, reach)
            found[one] = known[2]
        return found


def hourly(
    view: View,
    subjects: Sequence[Subject],
    from_ms: int,
    to_ms: int,
    estimated: Bools | None = None,
) -> Floats:
    """Return the hours of some streams of one zone on a grid, shape (streams, hours).

    Args:
        view: The measurements.
        subjects: The streams.
        from_ms: Start of the first hour [ms since 1970, UTC].
        to_ms: End of the last [ms since 1970, UTC].
        estimated: Where to mark hours of which most was filled in, shape (streams, hours).

    Returns:
        Mean rates [W, m³/h] of amounts, means of gauges [canonical unit]; NaN where less than
        half of the hour is covered.

    Raises:
        KilowatchError: 503 from the store.
    """
    count = (to_ms - from_ms) // HOUR_MS
    laid = np.full((len(subjects), count), np.nan)
    if not subjects or not count:
        return laid
    together = max(HOURS_TOGETHER // count, 1)
    for first in range(0, len(subjects), together):
        some = subjects[first : first + together]
        channels = sorted({one.channel for one in some})
        block = view.series_many([one.point for one in some], channels, from_ms, to_ms, "hour")
        part = slice(first, first + together)
        place(block, some, from_ms, laid[part], None if estimated is None else estimated[part])
    return laid


def place(
    block: IntervalBlock,
    subjects: Sequence[Subject],
    from_ms: int,
    laid: Floats,
    estimated: Bools | None = None,
) -> None:
    """Put hours into a grid, shape (streams, hours), by series and channel."""
    if not len(block):
        return
    keys = np.array([one.series for one in subjects], np.int64)
    order = np.argsort(keys, kind="stable")
    found = np.searchsorted(keys[order], block.series)
    row = order[np.minimum(found, len(keys) - 1)]
    own = np.array([one.channel for one in subjects], np.int64)
    amounts = np.array([one.is_amount for one in subjects])
    column = (block.start_ms - from_ms) // HOUR_MS
    fits = (keys[row] == block.series) & (block.channel == own[row])
    fits &= (column >= 0) & (column < laid.shape[1])
    fits &= block.covered_ms >= COVERED_MIN * np.minimum(block.duration_ms, HOUR_MS)
    fits &= block.duration_ms <= HOUR_MS
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = block.amount / (block.covered_ms / HOUR_MS)
    value = np.where(amounts[row], rate, block.mean)
    laid[row[fits], column[fits]] = value[fits]
    if estimated is not None:
        made = block.shares()[:, _ESTIMATED] > COVERED_MIN * block.covered_ms
        estimated[row[fits], column[fits]] = made[fits]
