"""What an exchange, a reset, a roll-over or bad readings would change, before anybody decides.

Corrections are applied to intervals, so ``preview`` has what it needs. What is recorded about a
meter acts on readings: the days in question are computed from them, as they are and as they would
be, by the code that computes history.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.computed import Other, within
from kilowatch.pipeline.editing import Computed, edited
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.growth import channels_of, grow
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.preview import Preview, preview
from kilowatch.pipeline.rows import block_of, rows_of
from kilowatch.pipeline.state import StreamState, grid_of, settings_of
from kilowatch.store.newest import newest_readings
from kilowatch.store.store import Reads

READINGS_MAX = 20_000
"""A quarter of a year of five minutes; two seconds for 18 parameters, twice."""

Between = tuple[int, int]
"""Two instants [ms since 1970, UTC]."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where readings are.

    Attributes:
        reads: The store.
        hot: The tail.
        other: Reads the rows of a sister meter.
    """

    reads: Reads
    hot: HotView
    other: Other


def preview_events(
    stored: Stored,
    points: tuple[DataPoint, DataPoint],
    state: StreamState,
    gaps: Ints,
    span: Between,
) -> Preview:
    """Compare the days of a range under two histories of a meter.

    Args:
        stored: Where readings are.
        points: The data point as it is, and with other events.
        state: Of the stream; what is decided about its clock counts.
        gaps: Its gaps, shape (n, 4): a dial's difference across one needs both of its ends.
        span: What is spoken of, both ends included [ms].

    Raises:
        KilowatchError: ``preview_too_long``, or 503 from the store.
    """
    zone = Zone.of(settings_of(points[0], state.witness)["zone"])
    first_ms = int(grain_start_ms([span[0]], "day", zone)[0])
    last_ms = int(grain_end_ms([span[1]], "day", zone)[0])
    beside_ms = 3 * max(points[0].gap_ms, HOUR_MS)
    from_ms, to_ms = _reach(gaps, first_ms - beside_ms, last_ms + beside_ms)
    readings = _readings(stored, points[0].series, from_ms, to_ms)
    before, after = (_days(stored, point, state, readings, (first_ms, last_ms)) for point in points)
    return preview(before, after, zone)


def _reach(gaps: Ints, from_ms: int, to_ms: int) -> Between:
    """Return the range with the packets before and after it, where it ends in a gap."""
    begins = gaps[(gaps[:, 0] < from_ms) & (gaps[:, 1] > from_ms)]
    ends = gaps[(gaps[:, 0] < to_ms) & (gaps[:, 1] > to_ms)]
    # A pushed instant and an effective one differ by no more than a clock's offset.
    if len(begins):
        from_ms = int(begins[0, 0]) - DAY_MS
    if len(ends):
        to_ms = int(ends[0, 1]) + DAY_MS
    return from_ms - DAY_MS, to_ms + DAY_MS


def _readings(stored: Stored, series: int, from_ms: int, to_ms: int) -> ReadingBlock:
    found = stored.reads.first_readings(series, from_ms, to_ms, READINGS_MAX + 1)
    found = newest_readings(
        ReadingBlock.concatenate([found, *stored.hot.readings(series, from_ms, to_ms)])
    )
    if len(found) > READINGS_MAX:
        raise KilowatchError(
            "preview_too_long",
            f"There are more than {READINGS_MAX:,} packets in this range.",
            remedy="Choose a shorter range, and record it in parts.",
            data={"field": "to"},
        )
    return found


def _days(
    stored: Stored, point: DataPoint, state: StreamState, readings: ReadingBlock, span: Between
) -> IntervalBlock:
    """Return a range's intervals computed from readings with a data point's settings."""
    series = point.series
    settings = settings_of(point, state.witness)
    grid = grid_of(point, msgspec.structs.replace(state.progress, settings=settings))
    rows = rows_of(readings)
    block = block_of(np.full(len(rows), series), rows)
    growth = grow(block, np.ones(len(rows), np.bool_), {series: grid}, {})
    if growth.failures:
        raise KilowatchError("preview_failed", growth.failures[series], status=409)
    own, frame = growth.intervals, Frame.of(settings)
    if frame is None or not len(own):
        return within(own, {series: span})
    computed = Computed(lambda spans: within(own, spans), stored.other)
    channels = {series: channels_of(own).get(series, set())}
    return edited(computed, {series: frame}, {series: span}, channels).rows
