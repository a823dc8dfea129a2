"""One step of a batch: new readings and their context in, interval rows and next context out.

Used by the live consumer and by recomputations alike, so that both give the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.pipeline.carry import carry
from kilowatch.pipeline.epochs import has_bad, without_bad
from kilowatch.pipeline.gaps import NO_GAPS, Found, find_gaps
from kilowatch.pipeline.grids import Bools, PointGrid, effective_of
from kilowatch.pipeline.intervals import intervals
from kilowatch.pipeline.registers import Falls
from kilowatch.pipeline.state import Fall, Progress
from kilowatch.store.newest import in_order


class StreamGrowth(NamedTuple):
    """What a batch did to one stream.

    Attributes:
        since_ms: First interval start that a next reading can still change.
        first_ms: Effective instant of its first reading here, context included.
        last_ms: Effective instant of its last.
        first_register_ms: For the next grid.
        first_export_ms: For the next grid.
        anew_ms: Effective instant since which everything is seen anew: that of its first new
            reading, or the moment after the last one that was known.
    """

    since_ms: int
    first_ms: int
    last_ms: int
    first_register_ms: Mapping[int, int]
    first_export_ms: int | None
    anew_ms: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What a batch did to its streams.

    Attributes:
        intervals: Rows that it made or changed, sorted by series, channel and start.
        keep: Which of the readings given are context of the next ones, shape (n,).
        streams: By series; a stream that is late or failed is missing.
        late: Series whose new readings lie before what is settled: their history has to be
            computed again.
        failures: By series, why its packets could not be turned into intervals.
        falls: By series, where dials fell in new readings.
        gaps: Between its readings.
    """

    intervals: IntervalBlock
    keep: Bools
    streams: dict[int, StreamGrowth]
    late: frozenset[int]
    failures: dict[int, str]
    falls: dict[int, list[Fall]] = field(default_factory=dict)
    gaps: Found = NO_GAPS


def grow(
    readings: ReadingBlock,
    fresh: Bools,
    grids: Mapping[int, PointGrid],
    since_ms: Mapping[int, int],
) -> Growth:
    """Compute what new readings change, for all streams of a batch at once.

    An exception in one stream's numbers is found by halving the batch; it costs that stream
    its intervals and its neighbours some milliseconds.

    Args:
        readings: Context and new readings, sorted by series and instant.
        fresh: Which of them are new, shape (n,).
        grids: Settings by series.
        since_ms: By series, what earlier batches have settled; a reading before is late.
    """
    if not len(readings):
        return Growth(IntervalBlock.empty(), np.zeros(0, np.bool_), {}, frozenset(), {})
    try:
        return _grow(readings, fresh, grids, since_ms)
    except Exception as error:  # noqa: BLE001 - whatever one stream's data does, others go on
        starts = _starts(readings.series)
        if len(starts) == 1:
            return _failed(readings, f"{type(error).__name__}: {error}")
    middle = int(starts[len(starts) // 2])
    halves = [
        grow(readings.take(rows), fresh[rows], grids, since_ms)
        for rows in (slice(0, middle), slice(middle, None))
    ]
    return Growth(
        IntervalBlock.concatenate([half.intervals for half in halves]),
        np.concatenate([half.keep for half in halves]),
        halves[0].streams | halves[1].streams,
        halves[0].late | halves[1].late,
        halves[0].failures | halves[1].failures,
        halves[0].falls | halves[1].falls,
        Found(
            halves[0].gaps.by_series | halves[1].gaps.by_series,
            halves[0].gaps.inside | halves[1].gaps.inside,
        ),
    )


def clocks_differ(readings: ReadingBlock, grids: Mapping[int, PointGrid]) -> set[int]:
    """Return the series with a reading whose instant the wall clock and the offset see apart."""
    apart = effective_of(readings, grids, "wall") != readings.at_ms
    return set(readings.series[apart].tolist())


def settle(progress: Progress, growth: StreamGrowth, falls: Sequence[Fall] = ()) -> None:
    """Let a stream's progress follow what a batch did to it."""
    if falls or progress.falls:
        progress.note_falls(falls, growth.anew_ms)
    progress.since_ms = growth.since_ms
    progress.first_register_ms = growth.first_register_ms
    progress.first_export_ms = growth.first_export_ms
    if progress.first_ms is None or growth.first_ms < progress.first_ms:
        progress.first_ms = growth.first_ms
    if progress.last_ms is None or growth.last_ms > progress.last_ms:
        progress.last_ms = growth.last_ms


def channels_of(block: IntervalBlock) -> dict[int, set[int]]:
    """Return which channels each series has in rows sorted by series and channel."""
    if not len(block):
        return {}
    change = np.ones(len(block), np.bool_)
    change[1:] = (block.series[1:] != block.series[:-1]) | (block.channel[1:] != block.channel[:-1])
    found: dict[int, set[int]] = {}
    pairs = zip(block.series[change].tolist(), block.channel[change].tolist(), strict=True)
    for series, channel in pairs:
        found.setdefault(series, set()).add(channel)
    return found


def _grow(
    readings: ReadingBlock,
    fresh: Bools,
    grids: Mapping[int, PointGrid],
    since_ms: Mapping[int, int],
) -> Growth:
    effective_ms = effective_of(readings, grids)
    if has_bad(grids):
        readings, remain = without_bad(readings, effective_ms, grids)
        if not remain.all():
            return _of_the_rest(readings, fresh, grids, since_ms, remain)
    starts = _starts(readings.series)
    series = readings.series[starts]
    known = np.maximum.reduceat(np.where(fresh, -1, effective_ms), starts)
    settled = np.array([since_ms.get(key, 0) for key in series.tolist()], np.int64)
    earliest = np.minimum.reduceat(np.where(fresh, effective_ms, np.iinfo(np.int64).max), starts)
    anew = np.where(known < 0, earliest, np.minimum(earliest, known + 1))
    late = frozenset(series[earliest < settled].tolist())
    keep = np.zeros(len(readings), np.bool_)
    if late:
        rows = np.flatnonzero(~np.isin(readings.series, list(late)))
        rest = _grow(readings.take(rows), fresh[rows], grids, since_ms) if len(rows) else None
        if rest is None:
            return Growth(IntervalBlock.empty(), keep, {}, late, {})
        keep[rows] = rest.keep
        return replace(rest, keep=keep, late=late, failures={})
    carried = carry(readings, effective_ms, grids)
    fallen: list[Falls] = []
    made = in_order(intervals(readings, effective_ms, grids, fresh=fresh, falls=fallen))
    first, last = (side.reduceat(effective_ms, starts) for side in (np.minimum, np.maximum))
    streams = {
        key: StreamGrowth(
            carried.since_ms[key],
            first_ms,
            last_ms,
            carried.first_register_ms.get(key, {}),
            carried.first_export_ms.get(key),
            anew_ms,
        )
        for key, first_ms, last_ms, anew_ms in zip(
            series.tolist(), first.tolist(), last.tolist(), anew.tolist(), strict=True
        )
    }
    return Growth(
        made,
        carried.keep,
        streams,
        frozenset(),
        {},
        _by_series(fallen, streams),
        find_gaps(readings, effective_ms, fresh, grids),
    )


def _of_the_rest(
    readings: ReadingBlock,
    fresh: Bools,
    grids: Mapping[int, PointGrid],
    since_ms: Mapping[int, int],
    remain: Bools,
) -> Growth:
    """Grow as if the readings that do not remain had never been sent."""
    keep = np.zeros(len(readings), np.bool_)
    rows = np.flatnonzero(remain)
    if not len(rows):
        return Growth(IntervalBlock.empty(), keep, {}, frozenset(), {})
    growth = _grow(readings.take(rows), fresh[rows], grids, since_ms)
    keep[rows] = growth.keep
    return replace(growth, keep=keep)


def _by_series(fallen: list[Falls], streams: Mapping[int, StreamGrowth]) -> dict[int, list[Fall]]:
    """Return the falls since what each stream sees anew; those before are known."""
    found: dict[int, list[Fall]] = {}
    for some in fallen:
        columns = (some.channel, some.at_ms, some.before_ms, some.before, some.after)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for series, row in zip(some.series.tolist(), rows, strict=True):
            fall = Fall(*row)
            if fall.at_ms >= streams[series].anew_ms:
                found.setdefault(series, []).append(fall)
    return {series: sorted(some, key=lambda fall: (fall.at_ms, fall.channel))
            for series, some in found.items()}  # fmt: skip


def _failed(readings: ReadingBlock, why: str) -> Growth:
    series = int(readings.series[0])
    keep = np.zeros(len(readings), np.bool_)
    return Growth(IntervalBlock.empty(), keep, {}, frozenset(), {series: why})


def _starts(series: Ints) -> Ints:
    """Return the first row of each series in a sorted column."""
    change = np.ones(len(series), np.bool_)
    change[1:] = series[1:] != series[:-1]
    return np.flatnonzero(change)
