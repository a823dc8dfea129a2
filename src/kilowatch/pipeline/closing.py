"""Hours and local days that no packet in order can change any more, rolled up and stored.

What is closed follows from how far each stream has come, not from a timer: after a restart
nothing that was due is forgotten. Open hours and days are rolled up by whoever reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import DAY_S, grain_start_ms
from kilowatch.model.zones import Zone
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.state import Progress, shortest_interval_s
from kilowatch.store.newest import newest_intervals
from kilowatch.store.store import RollUp, Store

HOUR_S = 3_600
STREAMS_AT_A_TIME = 200  # an hour of so many streams of 22 channels every 5 min: 53,000 rows


@dataclass(frozen=True, slots=True)
class Closing:
    """How far one stream had come when its rows were handed over to be stored.

    Attributes:
        progress: Where to note how far its hours and days reach.
        generation: Of its grid.
        since_ms: What ends at or before this is closed [ms].
        stored_ms: No row that was stored before starts later [ms]; None if there is none.
        interval_s: Of its grid, the shortest that it ever had [s].
        zone: Of its site.
    """

    progress: Progress
    generation: int
    since_ms: int
    stored_ms: int | None
    interval_s: int
    zone: Zone

    @staticmethod
    def hand_over(progress: Progress) -> Closing:
        """Note that a stream's rows so far are about to be stored, and return how far it is."""
        assert progress.settings is not None
        closing = Closing(
            progress,
            progress.generation,
            progress.since_ms,
            progress.stored_ms,
            shortest_interval_s(progress.settings),
            Zone.of(progress.settings["zone"]),
        )
        progress.stored_ms = progress.last_ms
        return closing

    def grains(self) -> tuple[RollUp, ...]:
        """Return the roll-ups that are stored: those longer than the stream's interval."""
        return rolled_grains(self.interval_s)


def rolled_grains(interval_s: int) -> tuple[RollUp, ...]:
    """Return the roll-ups that are stored for an interval: the longer ones."""
    if interval_s < HOUR_S:
        return ("hour", "day")
    return ("day",) if interval_s < DAY_S else ()


def close(store: Store, closings: Mapping[int, Closing], written: HotView) -> None:
    """Store the hours and local days that are closed by now, and note it in each progress.

    Repeating it writes the same rows again, which changes nothing.

    Args:
        store: Has all interval rows of the streams, those in ``written`` too.
        closings: By series.
        written: Rows just written, so that they need not be read back.
    """
    first_ms = written.first_starts(closings)
    for some in _portions(_due(closings, "hour", first_ms), STREAMS_AT_A_TIME):
        rows = _intervals(store, closings, some, written)
        _roll_up(store, closings, "hour", rows)
        for series, (_, until_ms) in some.items():
            closings[series].progress.hour_ms = until_ms
    for some in _portions(_due(closings, "day", first_ms), STREAMS_AT_A_TIME):
        rows = _hours(store, closings, some, written)
        _roll_up(store, closings, "day", rows)
        for series, (_, until_ms) in some.items():
            closings[series].progress.day_ms = until_ms


_Spans = dict[int, tuple[int, int]]
"""By series, from where to where [ms] roll-ups are due."""


def reach_ms(reached_ms: int, first_ms: int | None, grain: RollUp, zone: Zone) -> int:
    """Return to where stored roll-ups can be trusted, given rows that came after them.

    A partial packet merged into the one before it can change the end of an hour that seemed
    closed, since a register's reading at twelve belongs to the hour before.
    """
    if first_ms is None or first_ms >= reached_ms:
        return reached_ms
    return int(grain_start_ms([first_ms], grain, zone)[0])


def _due(closings: Mapping[int, Closing], grain: RollUp, first_ms: Mapping[int, int]) -> _Spans:
    spans: _Spans = {}
    by_zone: dict[Zone, list[int]] = {}
    for series, closing in closings.items():
        if grain in closing.grains():
            by_zone.setdefault(closing.zone, []).append(series)
    for zone, streams in by_zone.items():
        until_ms = grain_start_ms([closings[one].since_ms for one in streams], grain, zone)
        for series, until in zip(streams, until_ms.tolist(), strict=True):
            progress = closings[series].progress
            reached = progress.hour_ms if grain == "hour" else progress.day_ms
            reached = reach_ms(reached, first_ms.get(series), grain, zone)
            if until > reached:
                spans[series] = (reached, until)
    return spans


def _portions(spans: _Spans, size: int) -> Iterator[_Spans]:
    streams = sorted(spans)
    for first in range(0, len(streams), size):
        yield {series: spans[series] for series in streams[first : first + size]}


def _intervals(
    store: Store, closings: Mapping[int, Closing], spans: _Spans, written: HotView
) -> IntervalBlock:
    """Return the interval rows of some spans, from the store only what was there before."""
    generations = {series: closings[series].generation for series in spans}
    until_ms = max(until for _, until in spans.values())
    since_ms = min(since for since, _ in spans.values())
    hot = written.intervals(generations, None, since_ms, until_ms)
    missing = {}
    for series, (since, until) in spans.items():
        stored_ms = closings[series].stored_ms
        if stored_ms is not None and since <= stored_ms:
            missing[series] = (since, min(until, stored_ms + 1))
    return _within(_joined(_query(store, generations, missing), hot), spans)


def _hours(
    store: Store, closings: Mapping[int, Closing], spans: _Spans, written: HotView
) -> IntervalBlock:
    """Return what makes the days of some spans: hours, or intervals where no hours are stored."""
    hourly = {s: span for s, span in spans.items() if "hour" in closings[s].grains()}
    longer = {s: span for s, span in spans.items() if s not in hourly}
    parts = []
    if hourly:
        parts.append(
            store.own.rollups(
                "hour",
                {series: closings[series].generation for series in hourly},
                None,
                {series: since for series, (since, _) in hourly.items()},
                {series: until for series, (_, until) in hourly.items()},
            )
        )
    if longer:
        parts.append(_intervals(store, closings, longer, written))
    return IntervalBlock.concatenate(parts)


def _query(store: Store, generations: Mapping[int, int], spans: _Spans) -> IntervalBlock:
    if not spans:
        return IntervalBlock.empty()
    return store.own.intervals(
        {series: generations[series] for series in spans},
        None,
        {series: since for series, (since, _) in spans.items()},
        {series: until for series, (_, until) in spans.items()},
    )


def _joined(stored: IntervalBlock, hot: IntervalBlock) -> IntervalBlock:
    """Join rows of the store to those just written, the newer ones winning.

    Few of the many rows of an import are in both, all of them early: only those are compared.
    """
    if not len(stored) or not len(hot):
        return stored if len(stored) else hot
    early = hot.start_ms <= stored.start_ms.max()
    mixed = newest_intervals(IntervalBlock.concatenate([stored, hot.take(early)]))
    return IntervalBlock.concatenate([mixed, hot.take(~early)])


def _within(rows: IntervalBlock, spans: _Spans) -> IntervalBlock:
    series = np.array(sorted(spans), np.int64)
    bounds = np.array([spans[one] for one in series.tolist()], np.int64).reshape(-1, 2)
    own = bounds[np.searchsorted(series, rows.series)]
    mine = (rows.start_ms >= own[:, 0]) & (rows.start_ms < own[:, 1])
    return rows if mine.all() else rows.take(mine)


def _roll_up(
    store: Store, closings: Mapping[int, Closing], grain: RollUp, rows: IntervalBlock
) -> None:
    if not len(rows):
        return
    series = np.unique(rows.series)
    zones = {one: closings[one].zone for one in series.tolist()}
    rolled = roll_up(rows, grain, zones)
    generations = np.array([closings[one].generation for one in series.tolist()], np.int64)
    store.write_rollups(grain, rolled, generations[np.searchsorted(series, rolled.series)])
