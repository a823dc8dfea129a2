"""What pages and commands read: the store and the hot tail as one.

A view gives the same answer before and after a flush: the tail is taken first, together with
the generation and the reach of the roll-ups of that moment, and the store is asked afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.findings import Finding
from kilowatch.model.gaps import Gap, GapDay
from kilowatch.model.parameters import AP, PC, VALUE, family_of
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.model.zones import Zone
from kilowatch.pipeline.answers import Extent, Grain, Lag, LastValue, PointStatus
from kilowatch.pipeline.closing import reach_ms
from kilowatch.pipeline.explaining import READINGS_MAX, Sources, explain, nothing_to_explain
from kilowatch.pipeline.figures import Shown, Span, figures
from kilowatch.pipeline.gaps import covered_ms, days_of, gaps_of, missing_of
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.mismatches import mismatches, observed_interval_s
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.streams import Log, Streams
from kilowatch.pipeline.subscription import Subscription
from kilowatch.store.newest import newest_readings

OBSERVED_MIN = 2  # distances before an observed interval means something


class View:
    """Reads measurements; thread-safe, never changes anything.

    Args:
        streams: What the consumer shows.
        log: For how far the view is behind.
        now: Seconds since 1970.
        silences: Returns the silences that last: their gaps have no end yet.
        rhythm_ms: Returns the regular pause between a data point's arrivals, where that is
            longer than registered, else 0.
        dismissed: Returns the findings that people have dismissed, as data point, code, mark.
    """

    def __init__(
        self,
        streams: Streams,
        log: Log,
        *,
        now: Callable[[], float] = time.time,
        silences: Callable[[], list[Silence]] = list,
        rhythm_ms: Callable[[DataPoint], int] = lambda _point: 0,
        dismissed: Callable[[], Collection[tuple[int, str, str]]] = tuple,
    ) -> None:
        self._streams = streams
        self._log = log
        self._now = now
        self._silences = silences
        self._rhythm_ms = rhythm_ms
        self._dismissed = dismissed

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
        return figures(self._streams.store.pages, hot, shown, span)

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
        opened = figures(reads, hot, shown, rest) if rest.from_ms < to_ms else IntervalBlock.empty()
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
        rhythm_s = observed_interval_s(point, distances)
        return PointStatus(
            series=point.series,
            generation=progress.generation,
            clock=clock,
            clock_reason=reason,
            observed_interval_s=observed,
            interval_s=point.interval_s,
            interval_matches=rhythm_s is None,
            join_interval_s=max(rhythm_s or 0, point.interval_s),
            ignored=dict(state.ignored),
            findings=tuple(self.findings([point]).get(point.series, ())),
            recomputing=self._streams.recomputing.get(point.series),
            first_ms=progress.first_ms,
            last_ms=progress.last_ms,
            packets=state.packets,
        )

    def gaps(self, point: DataPoint, from_ms: int, to_ms: int) -> list[Gap]:
        """Return a data point's gaps that touch [from_ms, to_ms), sorted; the last may be open."""
        found = gaps_of(point, self._streams.gaps.of(point.series), from_ms, to_ms)
        now_ms = round(self._now() * 1000)
        for series, row in self._open_gaps([point], now_ms).items():
            if row[0] < to_ms and now_ms > from_ms:
                found.append(Gap(series, row[0], None, row[2], row[3]))
        return found

    def gap_days(self, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> list[GapDay]:
        """Return, for each local day with a gap in [from_ms, to_ms), what is missing; sorted.

        From memory: 10,000 data points over a year take a fraction of a second.
        """
        gaps = self._streams.gaps
        still = self._open_gaps(points, round(self._now() * 1000))
        rows = [
            np.concatenate([gaps.of(point.series), [still[point.series]]])
            if point.series in still
            else gaps.of(point.series)
            for point in points
        ]
        return days_of(points, missing_of(points, rows), from_ms, to_ms)

    def _open_gaps(self, points: Sequence[DataPoint], now_ms: int) -> dict[int, list[int]]:
        """Return the gap of each silence that lasts, as if it ended now."""
        asked = {point.series: point for point in points}
        found = {}
        for silence in self._silences():
            point = asked.get(silence.series)
            if point is not None and silence.last_ms < now_ms:
                length_ms = now_ms - silence.last_ms
                missing_ms = max(length_ms - covered_ms(point), 0)
                found[silence.series] = [silence.last_ms, now_ms, 1, missing_ms]
        return found

    def findings(
        self, points: Sequence[DataPoint], *, with_dismissed: bool = False
    ) -> dict[int, list[Finding]]:
        """Return what a person should know of many streams at once, by series; from memory.

        Args:
            points: The data points.
            with_dismissed: Also what a person has dismissed.
        """
        dismissed = () if with_dismissed else self._dismissed()
        found: dict[int, list[Finding]] = {}
        for point in points:
            state = self._streams.states.get(point.series)
            if state is None:
                continue
            own = [
                one
                for one in (*_failure(state), *mismatches(point, state, self._rhythm_ms(point)))
                if (point.id, one.code, one.data.get("mark", "")) not in dismissed
            ]
            if own:
                found[point.series] = own
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
    return Shown(
        progress.generation,
        settings["interval_s"],
        Zone.of(settings["zone"]),
        progress.hour_ms,
        progress.day_ms,
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


def _failure(state: StreamState) -> tuple[Finding, ...]:
    if not state.failure:
        return ()
    return (
        Finding(
            "stream.failed",
            f"This stream's packets could not be processed: {state.failure}. They are kept, and "
            "its figures will be computed as soon as that is possible.",
            state.failed_at_ms,
            data={"reason": state.failure},
        ),
    )
