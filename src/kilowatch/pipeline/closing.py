"""Hours and local days that no packet in order can change any more, rolled up and stored.

What is closed follows from how far each stream has come, not from a timer: after a restart
nothing that was due is forgotten. Open hours and days are rolled up by whoever reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.lengths import DAY_S, HOUR_S
from kilowatch.model.zones import Zone
from kilowatch.pipeline.computed import Other, no_other, within
from kilowatch.pipeline.editing import Computed, Edited, edited
from kilowatch.pipeline.events import note_events
from kilowatch.pipeline.frames import Frame, Spans
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.state import Progress, shortest_interval_s
from kilowatch.store.newest import in_order, newest_intervals
from kilowatch.store.store import RollUp, Store

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
        frame: What its intervals are edited with; None if with nothing.
        channels: Channels that have rows, because they were sent or given.
    """

    progress: Progress
    generation: int
    since_ms: int
    stored_ms: int | None
    interval_s: int
    zone: Zone
    frame: Frame | None = None
    channels: frozenset[int] = frozenset()

    @staticmethod
    def hand_over(progress: Progress) -> Closing:
        """Note that a stream's rows so far are about to be stored, and return how far it is."""
        assert progress.settings is not None
        frame = Frame.of(progress.settings)
        closing = Closing(
            progress,
            progress.generation,
            progress.since_ms if frame is None else frame.settled_ms(progress.since_ms),
            progress.stored_ms,
            shortest_interval_s(progress.settings),
            Zone.of(progress.settings["zone"]),
            frame,
            frozenset() if frame is None else frame.given.union(progress.channels),
        )
        progress.stored_ms = progress.reach_ms
        return closing

    def grains(self) -> tuple[RollUp, ...]:
        """Return the roll-ups that are stored: those longer than the stream's interval."""
        return rolled_grains(self.interval_s)


def rolled_grains(interval_s: int) -> tuple[RollUp, ...]:
    """Return the roll-ups that are stored for an interval: the longer ones."""
    if interval_s < HOUR_S:
        return ("hour", "day")
    return ("day",) if interval_s < DAY_S else ()


def close(
    store: Store,
    closings: Mapping[int, Closing],
    written: HotView,
    other: Other = no_other,
) -> None:
    """Store the hours and local days that are closed by now, and note it in each progress.

    Repeating it writes the same rows again, which changes nothing.

    Args:
        store: Has all interval rows of the streams, those in ``written`` too.
        closings: By series.
        written: Rows just written, so that they need not be read back.
        other: Reads the rows of a sister meter.
    """
    first_ms = {
        series: changed_ms(closings[series].frame, at_ms)
        for series, at_ms in written.first_starts(closings).items()
    }
    source = _Source(store, closings, written, other)
    for some in _portions(_due(closings, "hour", first_ms), STREAMS_AT_A_TIME):
        rows = source.intervals(some, judge=True)
        _roll_up(store, closings, "hour", rows)
        for series, (_, until_ms) in some.items():
            closings[series].progress.hour_ms = until_ms
    for some in _portions(_due(closings, "day", first_ms), STREAMS_AT_A_TIME):
        rows = _hours(source, some)
        _roll_up(store, closings, "day", rows)
        for series, (_, until_ms) in some.items():
            closings[series].progress.day_ms = until_ms
    for some in _portions(_due_for_judgement(closings, first_ms), STREAMS_AT_A_TIME):
        source.judge(some)
        for series, (_, until_ms) in some.items():
            closings[series].progress.judged_ms = until_ms


_Spans = dict[int, tuple[int, int]]
"""By series, from where to where [ms] roll-ups are due."""


def changed_ms(frame: Frame | None, first_ms: int) -> int:
    """Return the first start whose edited interval a row that starts at ``first_ms`` can change."""
    return first_ms if frame is None else frame.settled_ms(first_ms)


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


def _due_for_judgement(closings: Mapping[int, Closing], first_ms: Mapping[int, int]) -> _Spans:
    """Return where intervals of an hour and longer have to be judged.

    Shorter ones are when their hour is closed; these would wait for the end of their day.
    """
    spans: _Spans = {}
    for series, closing in closings.items():
        frame = closing.frame
        if frame is None or "hour" in closing.grains() or not frame.editing.rules.judge:
            continue
        judged_ms = closing.progress.judged_ms
        reached = min(judged_ms, first_ms.get(series, judged_ms))
        if closing.since_ms > reached:
            spans[series] = (reached, closing.since_ms)
    return spans


@dataclass(frozen=True, slots=True)
class _Source:
    """Interval rows for roll-ups."""

    store: Store
    closings: Mapping[int, Closing]
    written: HotView
    other: Other

    def intervals(self, spans: _Spans, *, judge: bool = False) -> IntervalBlock:
        """Return the edited rows of some spans; note which rules they violate if asked."""
        framed = {s: span for s, span in spans.items() if self.closings[s].frame is not None}
        if not framed:
            return self._computed(spans)
        plain = {s: span for s, span in spans.items() if s not in framed}
        found = self._edited(framed)
        for series, failure in found.failures.items():
            self.closings[series].progress.editing_failure = failure
        if judge:
            self._note(framed, found)
        if not plain:
            return found.rows
        return IntervalBlock.concatenate([self._computed(plain), found.rows])

    def judge(self, spans: _Spans) -> None:
        """Note which rules the intervals of some spans violate."""
        self._note(spans, self._edited(spans))

    def _note(self, spans: _Spans, found: Edited) -> None:
        progresses = {series: self.closings[series].progress for series in spans}
        note_events(progresses, spans, found.events, lambda some: self._edited(some).events)

    def _edited(self, spans: Spans) -> Edited:
        closings = self.closings
        frames = {series: closings[series].frame for series in spans}
        return edited(
            Computed(lambda some: in_order(self._computed(some)), self.other),
            {series: frame for series, frame in frames.items() if frame is not None},
            spans,
            {series: closings[series].channels for series in spans},
        )

    def _computed(self, spans: Spans) -> IntervalBlock:
        """Return computed rows of some spans, from the store only what was there before."""
        generations = {series: self.closings[series].generation for series in spans}
        until_ms = max(until for _, until in spans.values())
        since_ms = min(since for since, _ in spans.values())
        hot = self.written.intervals(generations, None, since_ms, until_ms)
        missing = {}
        for series, (since, until) in spans.items():
            stored_ms = self.closings[series].stored_ms
            if stored_ms is not None and since <= stored_ms:
                missing[series] = (since, min(until, stored_ms + 1))
        return within(_joined(_query(self.store, generations, missing), hot), spans)


def _hours(source: _Source, spans: _Spans) -> IntervalBlock:
    """Return what makes the days of some spans: hours, or intervals where no hours are stored."""
    closings = source.closings
    hourly = {s: span for s, span in spans.items() if "hour" in closings[s].grains()}
    longer = {s: span for s, span in spans.items() if s not in hourly}
    parts = []
    if hourly:
        parts.append(
            source.store.own.rollups(
                "hour",
                {series: closings[series].generation for series in hourly},
                None,
                {series: since for series, (since, _) in hourly.items()},
                {series: until for series, (_, until) in hourly.items()},
            )
        )
    if longer:
        parts.append(source.intervals(longer))
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
    Of several streams the rows are not in order then.
    """
    if not len(stored) or not len(hot):
        return stored if len(stored) else hot
    early = hot.start_ms <= stored.start_ms.max()
    mixed = newest_intervals(IntervalBlock.concatenate([stored, hot.take(early)]))
    return IntervalBlock.concatenate([mixed, hot.take(~early)])


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
