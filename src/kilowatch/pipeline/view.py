"""What pages and commands read: the store and the hot tail as one.

A view gives the same answer before and after a flush: the tail is taken first, together with
the generation and the reach of the roll-ups of that moment, and the store is asked afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.editing import Editing, encoded
from kilowatch.model.findings import Finding
from kilowatch.model.parameters import AP, PC, VALUE, family_of
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.answers import Extent, Grain, Lag, LastValue, PointStatus
from kilowatch.pipeline.closing import changed_ms, reach_ms
from kilowatch.pipeline.computed import Other, other_rows
from kilowatch.pipeline.events import editing_failed, finding_of
from kilowatch.pipeline.explaining import READINGS_MAX, Sources, explain, nothing_to_explain
from kilowatch.pipeline.figures import Shown, Span, figures
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.preview import Preview, preview
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.streams import Log, Streams
from kilowatch.pipeline.subscription import Subscription
from kilowatch.pipeline.tree_rollups import TreeRollUp, sum_findings, tree_roll_up
from kilowatch.store.newest import newest_readings

MATCHES_WITHIN = 0.25  # of the interval: gateways drift, a wrong registration is off by far more
OBSERVED_MIN = 2  # distances before an observed interval means something


class View:
    """Reads measurements; thread-safe, never changes anything.

    Args:
        streams: What the consumer shows.
        log: For how far the view is behind.
        now: Seconds since 1970.
    """

    def __init__(self, streams: Streams, log: Log, *, now: Callable[[], float] = time.time) -> None:
        self._streams = streams
        self._log = log
        self._now = now

    def series(
        self, point: DataPoint, channels: Sequence[int], from_ms: int, to_ms: int, grain: Grain
    ) -> IntervalBlock:
        """Return a data point's buckets that start in [from_ms, to_ms).

        Args:
            point: The data point.
            channels: Channel codes.
            from_ms: First start [ms since 1970, UTC].
            to_ms: First start that is not wanted [ms since 1970, UTC].
            grain: ``interval``, ``hour`` … ``year`` or seconds; one that is shorter than the
                data point's interval gives the intervals.

        Returns:
            Rows sorted by channel and start, canonical units; a hole has no row.

        Raises:
            KilowatchError: 400 ``bad_grain``; 503 ``store_busy`` or ``store_failed``.
        """
        return self.series_many([point], channels, from_ms, to_ms, grain)

    def series_many(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock:
        """Return the same for several data points at once, sorted by series first."""
        shown, hot = self._look(points)
        span = Span(list(channels), from_ms, to_ms, grain)
        return figures(self._streams.store.pages, hot, shown, span, self._other())

    def tree(
        self,
        points: Sequence[DataPoint],
        fed_by: Mapping[int, int | None],
        from_ms: int,
        to_ms: int,
        grain: Bucket,
    ) -> TreeRollUp:
        """Return totals along the tree, submeters counted once, with what no submeter sees.

        Args:
            points: Of a site, or of a meter and what is below it; one time zone.
            fed_by: By a data point's number, the one that feeds it (``catalog.feeding``).
            from_ms: First bucket start [ms since 1970, UTC].
            to_ms: First that is not wanted [ms since 1970, UTC].
            grain: ``hour`` … ``year`` or seconds.

        Raises:
            KilowatchError: 400 ``bad_grain`` or ``several_zones``; 503 from the store.
        """
        return tree_roll_up(
            lambda some, channels: self.series_many(some, channels, from_ms, to_ms, grain),
            points,
            fed_by,
            (from_ms, to_ms),
            grain,
            round(self._now() * 1000),
        )

    def sum_findings(
        self,
        points: Sequence[DataPoint],
        fed_by: Mapping[int, int | None],
        from_ms: int,
        to_ms: int,
    ) -> dict[int, tuple[Finding, ...]]:
        """Return on which local days submeters counted more than their main, by its number.

        The tolerance is that of the main's rules. Arguments and errors as of ``tree``.
        """
        tolerances = {
            point.id: tolerance
            for point in points
            if (tolerance := point.editing.rules.sum_tolerance) is not None
        }
        return sum_findings(self.tree(points, fed_by, from_ms, to_ms, "day"), tolerances)

    def preview(self, point: DataPoint, editing: Editing, from_ms: int, to_ms: int) -> Preview:
        """Return what other rules or corrections would change in the local days of a range.

        Args:
            point: The data point.
            editing: What it would have (``catalog.corrections.with_draft``, ``without``).
            from_ms: Start of what is corrected [ms since 1970, UTC].
            to_ms: Its end [ms since 1970, UTC].

        Raises:
            KilowatchError: 503 from the store.
        """
        shown, hot = self._look([point])
        state = self._streams.states.get(point.series)
        if not shown or state is None:
            return Preview((), IntervalBlock.empty(), IntervalBlock.empty())
        (present,) = shown.values()
        applied = editing.applied(point.utility, point.behaviour)
        settings = (state.progress.settings or {}) | {"editing": encoded(applied)}
        channels = frozenset(state.progress.channels)
        proposed = replace(present, frame=Frame.of(settings), channels=channels)
        first, last = (
            grain_start_ms([from_ms], "day", present.zone),
            grain_end_ms([to_ms - 1], "day", present.zone),
        )
        span = Span(None, int(first[0]), int(last[0]), "interval")
        before, after = (
            figures(self._streams.store.pages, hot, {point.series: one}, span, self._other())
            for one in (present, proposed)
        )
        return preview(before, after, present.zone)

    def channels(self, point: DataPoint) -> list[int]:
        """Return the channels that have ever had data, totals and derived energies included."""
        state = self._streams.states.get(point.series)
        return sorted(state.progress.channels) if state else []

    def days_with_data(self, point: DataPoint, from_ms: int, to_ms: int) -> list[date]:
        """Return the site's local days with data that begin in [from_ms, to_ms), sorted."""
        shown, hot = self._look([point])
        if not shown:
            return []
        ((series, one),) = shown.items()
        reads = self._streams.store.pages
        stored = reads.days(series, one.generation, from_ms, min(to_ms, one.day_ms))
        rest = Span(None, max(from_ms, one.day_ms), to_ms, "day")
        opened = IntervalBlock.empty()
        if rest.from_ms < to_ms:
            opened = figures(reads, hot, shown, rest, self._other())
        starts = np.unique(np.concatenate([stored, opened.start_ms]))
        days: list[date] = np.unique(one.zone.dates(starts)).astype(object).tolist()
        return days

    def extent(self, point: DataPoint) -> Extent | None:
        """Return from when to when there is data; None before the first packet."""
        state = self._streams.states.get(point.series)
        if state is None or not state.packets:
            return None
        progress = state.progress
        first, last = progress.first_ms, progress.last_ms
        return Extent(
            state.at_ms if first is None else first,
            state.at_ms if last is None else last,
            state.packets,
        )

    def last_values(self, points: Sequence[DataPoint]) -> dict[int, LastValue]:
        """Return what some streams said last, by series; from memory."""
        found = {}
        for point in points:
            state = self._streams.states.get(point.series)
            if state is not None and state.values:
                channel, value, unit = _headline(point, state.values)
                last = state.progress.last_ms
                at_ms = state.at_ms if last is None else last
                found[point.series] = LastValue(at_ms, channel, value, unit)
        return found

    def readings(
        self, point: DataPoint, from_ms: int, to_ms: int, limit: int = 1000
    ) -> ReadingBlock:
        """Return readings as pushed for instants in [from_ms, to_ms), the first ``limit``."""
        _, hot = self._streams.hot.snapshot(lambda: None)
        reads = self._streams.store.pages
        stored = reads.first_readings(point.series, from_ms, to_ms, limit)
        parts = [stored, *hot.readings(point.series, from_ms, to_ms)]
        return newest_readings(ReadingBlock.concatenate(parts)).take(slice(limit))

    def status(self, point: DataPoint) -> PointStatus:
        """Return what the pipeline has found out about a stream."""
        state = self._streams.states.get(point.series, StreamState())
        progress, witness = state.progress, state.witness
        clock = witness["decision"] if point.clock == "auto" else point.clock
        reason = witness["reason"] if point.clock == "auto" else "Set in the data point."
        distances = state.distances_ms
        observed = float(np.median(distances)) / 1000 if len(distances) >= OBSERVED_MIN else None
        return PointStatus(
            series=point.series,
            generation=progress.generation,
            clock=clock,
            clock_reason=reason,
            observed_interval_s=observed,
            interval_s=point.interval_s,
            interval_matches=observed is None
            or abs(observed - point.interval_s) <= MATCHES_WITHIN * point.interval_s,
            ignored=dict(state.ignored),
            findings=_findings(state, point),
            recomputing=self._streams.recomputing.get(point.series),
            first_ms=progress.first_ms,
            last_ms=progress.last_ms,
            packets=state.packets,
        )

    def findings(self, points: Sequence[DataPoint]) -> dict[int, tuple[Finding, ...]]:
        """Return what a person should know of some streams, by series; from memory.

        Streams without anything to say are left out. Violated rules appear when their hour is
        closed, oldest first, the newest ``events.EVENTS_MAX`` of each stream.
        """
        found = {}
        for point in points:
            state = self._streams.states.get(point.series)
            if state is not None and (some := _findings(state, point)):
                found[point.series] = some
        return found

    def explain(self, point: DataPoint, at_ms: int) -> dict[str, Any]:
        """Return what the interval at an effective instant rests on, ready for JSON.

        Args:
            point: The data point.
            at_ms: Any instant in the interval [ms since 1970, UTC].
        """
        state = self._streams.states.get(point.series)
        if state is None or state.progress.settings is None:
            return nothing_to_explain(point, at_ms)
        return explain(
            Sources(
                lambda from_ms, to_ms: self.series(
                    point, self.channels(point), from_ms, to_ms, "interval"
                ),
                lambda from_ms, to_ms: self.readings(point, from_ms, to_ms, READINGS_MAX),
            ),
            point,
            state,
            at_ms,
        ) | {"clock_reason": self.status(point).clock_reason}

    def lag(self) -> Lag:
        """Return how far readers are behind the log."""
        seq = self._streams.seq
        entries = self._log.read(seq, 1)
        if not entries:
            return Lag(0, 0.0, self._streams.fault)
        age_s = max(0.0, self._now() - entries[0].received_ms / 1000)
        return Lag(max(self._log.last_seq() - seq, 0), age_s, self._streams.fault)

    def subscribe(
        self, loop: asyncio.AbstractEventLoop, series: Collection[int] | None = None
    ) -> Subscription:
        """Return an asynchronous iterator over sets of series that have changed.

        Args:
            loop: The loop that iterates.
            series: What to watch; None is everything.
        """
        return self._streams.hub.join(loop, series)

    def busy(self) -> str:
        """Return why nothing can be read yet, or an empty string."""
        return self._streams.busy

    def _other(self) -> Other:
        return other_rows(self._streams, self._streams.store.pages)

    def _look(self, points: Sequence[DataPoint]) -> tuple[dict[int, Shown], HotView]:
        def now() -> dict[int, Shown]:
            states = self._streams.states
            return {
                point.series: _shown(state)
                for point in points
                if (state := states.get(point.series)) is not None
                and state.progress.settings is not None
            }

        shown, hot = self._streams.hot.snapshot(now)
        first_ms = hot.first_starts(shown)
        return {key: _trusted(one, first_ms.get(key)) for key, one in shown.items()}, hot


def _trusted(shown: Shown, first_ms: int | None) -> Shown:
    """Return a stream with its roll-ups as far as hot rows leave them true."""
    if first_ms is not None:
        first_ms = changed_ms(shown.frame, first_ms)
    if first_ms is None or first_ms >= max(shown.hour_ms, shown.day_ms):
        return shown
    return replace(
        shown,
        hour_ms=reach_ms(shown.hour_ms, first_ms, "hour", shown.zone),
        day_ms=reach_ms(shown.day_ms, first_ms, "day", shown.zone),
    )


def _shown(state: StreamState) -> Shown:
    progress = state.progress
    settings = progress.settings or {}
    frame = Frame.of(settings)
    return Shown(
        progress.generation,
        settings["interval_s"],
        Zone.of(settings["zone"]),
        progress.hour_ms,
        progress.day_ms,
        frame,
        frozenset() if frame is None else frozenset(progress.channels),
    )


def _headline(point: DataPoint, values: dict[int, float]) -> tuple[int, float, str]:
    """Return the quantity that stands for a packet: its power, else its energy, else the first."""
    if VALUE in values:
        return VALUE, values[VALUE], point.unit
    for total in (AP, PC):
        phases = [values[total + phase] for phase in (1, 2, 3) if total + phase in values]
        if phases:
            family = family_of(total)
            assert family is not None
            return total, sum(phases), family.unit
    channel, value = next(iter(values.items()))
    family = family_of(channel)
    return channel, value, family.unit if family else ""


def _findings(state: StreamState, point: DataPoint) -> tuple[Finding, ...]:
    violations = tuple(finding_of(event, point) for event in state.progress.events)
    if failure := state.progress.editing_failure:
        violations = (*violations, editing_failed(failure))
    if not state.failure:
        return violations
    return (
        *violations,
        Finding(
            "stream.failed",
            f"This stream's packets could not be processed: {state.failure}. They are kept, and "
            "its figures will be computed as soon as that is possible.",
            state.failed_at_ms,
            data={"reason": state.failure},
        ),
    )
