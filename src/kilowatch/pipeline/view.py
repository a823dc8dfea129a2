"""What pages and commands read: the store and the hot tail as one.

A view gives the same answer before and after a flush: the tail is taken first, together with
the generation and the reach of the roll-ups of that moment, and the store is asked afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from kilowatch.log.records import KEPT
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.editing import Editing, encoded
from kilowatch.model.findings import Finding
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Contact, Silence
from kilowatch.pipeline.answers import Extent, Lag, LastValue, PointStatus, Recomputing
from kilowatch.pipeline.bucket_view import BucketView
from kilowatch.pipeline.conflicts import Conflict
from kilowatch.pipeline.explaining import READINGS_MAX, Sources, explain, nothing_to_explain
from kilowatch.pipeline.figures import Span, figures
from kilowatch.pipeline.formula_preview import FormulaPreview, explained, preview_formula
from kilowatch.pipeline.formula_view import channels_seen, contact_of, is_current
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.grids import PointGrid
from kilowatch.pipeline.mismatches import mismatches, observed_interval_s
from kilowatch.pipeline.preview import Preview, preview
from kilowatch.pipeline.preview_events import Between, Stored, preview_events
from kilowatch.pipeline.showing import findings_of, headline
from kilowatch.pipeline.state import Progress, StreamState, grid_of, settings_of
from kilowatch.pipeline.streams import Log, Streams
from kilowatch.pipeline.subscription import Subscription
from kilowatch.pipeline.tree_eras import DatedFeeding, Feeding
from kilowatch.pipeline.tree_reading import tree_roll_ups
from kilowatch.pipeline.tree_rollups import TreeRollUp, sum_findings

LAG_PACKETS = 100  # among so many that wait one says since when
OBSERVED_MIN = 2  # distances before an observed interval means something


class View(BucketView):
    """Reads measurements; thread-safe, never changes anything.

    Args:
        streams: What the consumer shows.
        log: For how far the view is behind.
        now: Seconds since 1970.
        silences: Returns the silences that last: their gaps have no end yet.
        rhythm_ms: Returns the regular pause between a data point's arrivals, where that is
            longer than registered, else 0.
        contact: Returns when a data point spoke last, as far as anybody listens.
        silent: Returns the streams that are silent, as far as anybody listens.
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
        contact: Callable[[DataPoint], Contact | None] = lambda _point: None,
        silent: Callable[[], frozenset[int] | None] = lambda: None,
        dismissed: Callable[[], Collection[tuple[int, str, str]]] = tuple,
    ) -> None:
        super().__init__(streams, now, silences)
        self._contact = contact
        self.silent_now = silent
        self._log = log
        self._rhythm_ms = rhythm_ms
        self._dismissed = dismissed

    def contact(self, point: DataPoint) -> Contact | None:
        """Return when a data point spoke last; of a formula, its inputs."""
        if not point.formula:
            return self._contact(point)
        return contact_of(point, self._streams.formulas, self.contact)

    def tree(
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
        from_ms: int,
        to_ms: int,
        grain: Bucket,
    ) -> TreeRollUp:
        """Return totals along the tree, submeters counted once, with what no submeter sees.

        Args:
            points: Of a site, or of a meter and what is below it; one time zone.
            fed_by: Who feeds whom, always or from when on (``catalog.feeding``).
            from_ms: First bucket start [ms since 1970, UTC].
            to_ms: First that is not wanted [ms since 1970, UTC].
            grain: ``hour`` … ``year`` or seconds.

        Raises:
            KilowatchError: 400 ``bad_grain`` or ``several_zones``; 503 from the store.
        """
        return self.trees(points, fed_by, [(from_ms, to_ms)], grain)[0]

    def trees(
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
        spans: Sequence[tuple[int, int]],
        grain: Bucket,
    ) -> list[TreeRollUp]:
        """Return the same of several periods; those that are close together are read at once.

        A month and the one before it are one look into the store instead of two.
        """
        now_ms = round(self._now() * 1000)
        return tree_roll_ups(self.series_many, points, fed_by, spans, grain, now_ms)

    def sum_findings(
        self,
        points: Sequence[DataPoint],
        fed_by: Feeding | DatedFeeding,
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

    def preview_formula(
        self, point: DataPoint, used: Sequence[DataPoint | None], span: tuple[int, int] | int
    ) -> FormulaPreview:
        """Return ``formula_preview.preview_formula``: what a formula gives, with its inputs."""
        return preview_formula(self._streams, point, used, span)

    def preview_events(self, point: DataPoint, changed: DataPoint, span: Between) -> Preview:
        """Return what other records about the meter would change in the local days of a range.

        Both sides are computed from the readings, with the same ones before and after the range.

        Args:
            point: The data point.
            changed: The same with other events in its history.
            span: From where to where, first and last reading that is spoken of included [ms].

        Raises:
            KilowatchError: 503 from the store; ``preview_too_long`` for more readings than a
                person waits for.
        """
        state = self._streams.states.get(point.series)
        if state is None or not state.packets:
            return Preview((), IntervalBlock.empty(), IntervalBlock.empty())
        _, hot = self._streams.hot.snapshot(lambda: None)
        sources = Stored(self._streams.store.pages, hot, self._other())
        gaps = self._streams.gaps.of(point.series)
        return preview_events(sources, (point, changed), state, gaps, span)

    def is_current(self, point: DataPoint) -> bool:
        """Tell whether all figures rest on a data point's present settings and corrections."""
        state = self._streams.states.get(point.series)
        if state is None or not state.packets or state.progress.settings is None:
            return True
        if point.formula:
            waits = point.series in self._streams.recomputing
            return not waits and is_current(point, state, self._streams.formulas)
        wanted = settings_of(point, state.witness)
        return wanted == state.progress.settings and point.series not in self._streams.recomputing

    def channels(self, point: DataPoint) -> list[int]:
        """Return the channels that have ever had data, totals and derived energies included."""
        state = self._streams.states.get(point.series)
        return channels_seen(state.progress.channels) if state else []

    def days_with_data(self, point: DataPoint, from_ms: int, to_ms: int) -> list[date]:
        """Return the site's local days with data that begin in [from_ms, to_ms), sorted."""
        shown, hot = self._look([point])
        if not shown:
            return []
        if point.formula:
            found = self.series(point, self.channels(point), from_ms, to_ms, "day")
            zone = shown[point.series].zone
            dates: list[date] = np.unique(zone.dates(found.start_ms)).astype(object).tolist()
            return dates
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
                channel, value, unit = headline(point, state.values)
                last = state.progress.last_ms
                at_ms = state.at_ms if last is None else last
                found[point.series] = LastValue(at_ms, channel, value, unit)
        return found

    def last_seen(self, series: Iterable[int]) -> dict[int, int]:
        """Return when some streams said something last [ms since 1970, UTC]; from memory.

        It is ``last_values`` without the values: a tree of ten thousand asks for no more.
        """
        states = self._streams.states
        found = {}
        for one in series:
            state = states.get(one)
            if state is not None and state.values:
                last = state.progress.last_ms
                found[one] = state.at_ms if last is None else last
        return found

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
            findings=self.findings([point]).get(point.series, ()),
            recomputing=self._streams.recomputing.get(point.series),
            first_ms=progress.first_ms,
            last_ms=progress.last_ms,
            packets=state.packets,
        )

    def grid(self, point: DataPoint) -> PointGrid:
        """Return the settings that a data point's intervals are computed with."""
        state = self._streams.states.get(point.series, StreamState())
        if state.progress.settings is None:
            return grid_of(point, Progress(settings=settings_of(point, state.witness)))
        return grid_of(point, state.progress)

    def conflicts(self, point: DataPoint, limit: int = 100, offset: int = 0) -> list[Conflict]:
        """Return readings that contradict stored ones and wait for a decision, by instant."""
        return self._streams.conflicts.page(point.series, limit, offset)

    def _contradictions(self, series: int, state: StreamState) -> tuple[Finding, ...]:
        count = state.conflicts + state.conflicts_uncounted
        first = self._streams.conflicts.page(series, 1) if count else []
        if not first:
            return ()
        (one,) = first
        return (
            Finding(
                "backfill.conflict",
                f"{count} packets that were put into history say other values than what is "
                "stored for the same instants. The stored values count until a person decides.",
                one.at_ms,
                data={
                    "conflicts": count,
                    "at_ms": one.at_ms,
                    "stored": {channel_name(code): value for code, value in one.stored.items()},
                    "offered": {channel_name(code): value for code, value in one.offered.items()},
                },
            ),
        )

    def recomputing(self, points: Sequence[DataPoint]) -> Recomputing:
        """Return how far the histories of these data points are, of a site for example."""
        streams = self._streams
        shares = [streams.recomputing.get(point.series) for point in points]
        waiting = [share for share in shares if share is not None]
        done = sum(
            share is None and point.series in streams.recomputed
            for point, share in zip(points, shares, strict=True)
        )
        total = done + len(waiting)
        if not waiting:
            return Recomputing(0, 0, 1.0)
        return Recomputing(total, done, (done + sum(waiting)) / total)

    def findings(
        self, points: Sequence[DataPoint], *, with_dismissed: bool = False
    ) -> dict[int, tuple[Finding, ...]]:
        """Return what a person should know of many streams at once, by series; from memory.

        Args:
            points: The data points.
            with_dismissed: Also what a person has dismissed.
        """
        dismissed = () if with_dismissed else self._dismissed()
        found: dict[int, tuple[Finding, ...]] = {}
        for point in points:
            state = self._streams.states.get(point.series)
            if state is None:
                continue
            own = tuple(
                one
                for one in (
                    *findings_of(state, point),
                    *self._contradictions(point.series, state),
                    *mismatches(point, state, self._rhythm_ms(point)),
                )
                if (point.id, one.code, one.data.get("mark", "")) not in dismissed
            )
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
        found = explain(
            Sources(
                lambda from_ms, to_ms: self.series(
                    point, self.channels(point), from_ms, to_ms, "interval"
                ),
                lambda from_ms, to_ms: self.readings(point, from_ms, to_ms, READINGS_MAX),
            ),
            point,
            state,
            at_ms,
        )
        found |= explained(self._streams, point, (found["start_ms"], found["end_ms"]))
        return found | {"clock_reason": self.status(point).clock_reason}

    def lag(self) -> Lag:
        """Return how far readers are behind the log."""
        seq = self._streams.seq
        entries = self._log.read(seq, LAG_PACKETS)
        if not entries:
            return Lag(0, 0.0, self._streams.fault)
        # A packet that was kept had come long before it was put in.
        waiting = [entry.received_ms for entry in entries if not entry.flags & KEPT]
        age_s = max(0.0, self._now() - waiting[0] / 1000) if waiting else 0.0
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
