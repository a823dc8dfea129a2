"""Take packets from the log into the hot tail: from that moment readers see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from kilowatch.log import Entry
from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.clock import ClockWitness
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.contexts import Contexts, note_context
from kilowatch.pipeline.grids import Bools, PointGrid, watch_clocks
from kilowatch.pipeline.growth import Growth, channels_of, clocks_differ, grow, settle
from kilowatch.pipeline.hot import HotBatch
from kilowatch.pipeline.late import Late, LateReadings, is_late
from kilowatch.pipeline.looking import Looking
from kilowatch.pipeline.registered import Registered
from kilowatch.pipeline.rows import Row, Shapes, block_of
from kilowatch.pipeline.state import StreamState, witness_fields
from kilowatch.pipeline.streams import Streams
from kilowatch.store.newest import newest_readings
from kilowatch.wire import values_of

PointOf = Callable[[int], DataPoint | None]


@dataclass(slots=True)
class Arrival:
    """The new packets of one stream in a batch; ``late`` ones went into history."""

    rows: list[Row] = field(default_factory=list)
    late: list[tuple[Entry, Row]] = field(default_factory=list)
    ignored: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    seq: int = 0
    failure: str = ""


@dataclass(slots=True)
class _Batch:
    """A batch as columns, sorted by series and instant, context included."""

    series: list[int]
    rows: list[Row]
    readings: ReadingBlock
    fresh: Bools


class Intake:
    """Turns log entries into hot rows; one thread uses it.

    Nothing is changed before everything that can fail has been done, so a batch that could
    not be taken in is simply taken again.

    Args:
        streams: What readers see.
        contexts: Earlier readings that new ones rest on.
        registered: Settings and grids of data points.

    Attributes:
        late: Series whose history the last batch has changed.
        made: The interval rows of the last batch.
    """

    def __init__(
        self, streams: Streams, contexts: Contexts, registered: Registered | None = None
    ) -> None:
        self._streams = streams
        self._contexts = contexts
        self._registered = registered or Registered()
        self._shapes = Shapes()
        self._late = LateReadings(streams)
        self.late: frozenset[int] = frozenset()
        self.made = IntervalBlock.empty()
        self._arrivals: Mapping[int, Arrival] = {}
        self._looking = Looking()

    def take(self, entries: Sequence[Entry], point_of: PointOf) -> set[int]:
        """Take in a batch; packets that were counted before change nothing.

        Args:
            entries: In the order of the log.
            point_of: Returns a series' data point, None if it is not registered.

        Returns:
            The series that have new readings.

        Raises:
            KilowatchError: The store could not be read.
        """
        self.late, self._arrivals, self.made = frozenset(), {}, IntervalBlock.empty()
        arrivals = self._decode(entries)
        if not arrivals:
            return set()
        late = self._late.judge(
            sorted(
                (one for arrival in arrivals.values() for one in arrival.late),
                key=lambda one: one[0].seq,
            ),
            {series: arrival.rows for series, arrival in arrivals.items()},
        )
        points = {
            series: point
            for series, arrival in arrivals.items()
            if arrival.rows
            and (point := point_of(series)) is not None
            and not self._state(series).failure
        }
        batch = _assemble(arrivals, self._contexts.of(points))
        computed = np.isin(batch.readings.series, list(points))
        growth, witnesses, matters = self._compute(batch, computed, points)
        made = growth.intervals
        generations = {series: self._state(series).progress.generation for series in points}
        readings = batch.readings.take(batch.fresh)
        if late.rows:
            readings = newest_readings(ReadingBlock.concatenate([readings, late.readings()]))
        tail = HotBatch(readings, made, _generation_of(made.series, generations))

        def apply() -> None:
            self._apply(arrivals, points, batch, computed, growth, witnesses, matters)
            self._apply_late(late)

        self._streams.hot.add(tail, apply)
        self.late = frozenset(late.seq)
        self._arrivals, self.made = arrivals, made
        return set(arrivals)

    def first_ms(self, series: int) -> int | None:
        """Return the pushed instant of a stream's first live reading in the last batch [ms]."""
        arrival = self._arrivals.get(series)
        return min((row.at_ms for row in arrival.rows), default=None) if arrival else None

    def _state(self, series: int) -> StreamState:
        state = self._streams.states.get(series)
        if state is None:
            state = self._streams.states[series] = StreamState()
        return state

    def _decode(self, entries: Sequence[Entry]) -> dict[int, Arrival]:
        arrivals: dict[int, Arrival] = {}
        states = self._streams.states
        for entry in entries:
            state = states.get(entry.series)
            if state is not None and entry.seq <= state.seq:
                continue
            arrival = arrivals.setdefault(entry.series, Arrival())
            arrival.seq = entry.seq
            try:
                packet = values_of(entry.body, entry.flags)
                row = self._shapes.row(packet, entry)
            except Exception as error:  # noqa: BLE001 - one packet must never stop the others
                arrival.failure = f"packet {entry.seq}: {type(error).__name__}: {error}"
                continue
            if packet.ignored:
                arrival.ignored.append((row.at_ms, packet.ignored))
            if is_late(entry.flags):
                arrival.late.append((entry, row))
            elif arrival.rows and arrival.rows[-1].at_ms == row.at_ms:
                arrival.rows[-1] = row  # a partial packet, merged into the one before it
            else:
                arrival.rows.append(row)
        return arrivals

    def _compute(
        self, batch: _Batch, computed: Bools, points: Mapping[int, DataPoint]
    ) -> tuple[Growth, dict[int, ClockWitness], set[int]]:
        grids: dict[int, PointGrid] = {}
        since_ms: dict[int, int] = {}
        for series, point in points.items():
            state = self._state(series)
            if state.progress.settings is None:
                state.progress.settings = self._registered.settings_of(point, state.witness)
                state.progress.looked_for_gaps = True
                if state.packets:
                    state.mark_stale("packets came before their data point was known")
            grids[series] = self._registered.grid_of(point, state.progress)
            since_ms[series] = state.progress.since_ms
        readings, fresh = batch.readings, batch.fresh
        if not computed.all():
            readings, fresh = readings.take(computed), fresh[computed]
        growth = grow(readings, fresh, grids, since_ms)
        new = readings.take(fresh)
        if growth.failures:
            new = new.take(~np.isin(new.series, list(growth.failures)))
        known = {
            series: ClockWitness(**self._state(series).witness)
            for series, point in points.items()
            if point.clock == "auto"  # the others need no witness
        }
        return growth, watch_clocks(new, grids, known), self._mattering(new, grids)

    def _mattering(self, new: ReadingBlock, grids: Mapping[int, PointGrid]) -> set[int]:
        """Return the series whose new packets mean another instant by the wall clock."""
        unsure = {
            series: grid for series, grid in grids.items() if not self._state(series).offset_matters
        }
        return clocks_differ(new.take(np.isin(new.series, list(unsure))), unsure)

    def _apply(
        self,
        arrivals: Mapping[int, Arrival],
        points: Mapping[int, DataPoint],
        batch: _Batch,
        computed: Bools,
        growth: Growth,
        witnesses: Mapping[int, ClockWitness],
        matters: set[int],
    ) -> None:
        """Let every state follow; must not fail half-way."""
        for series, arrival in arrivals.items():
            state = self._state(series)
            for row in arrival.rows:
                state.observe(row.at_ms, row.seq)
            if arrival.rows and arrival.rows[-1].at_ms == state.at_ms:
                last = arrival.rows[-1]
                state.values = dict(zip(last.channels, last.values, strict=True))
            state.seq = arrival.seq
            for at_ms, names in arrival.ignored:
                state.ignore(names, at_ms)
            self._looking.look(state, points.get(series), arrival.rows)
            failure = arrival.failure or growth.failures.get(series, "")
            if failure:
                state.failure = failure
                state.failed_at_ms = arrival.rows[-1].at_ms if arrival.rows else None
            if series in growth.late:
                state.mark_stale("readings came that lie before what was settled")
                state.late_seq = arrival.seq
            self._note_gaps(series, state, growth)
        for series, witness in witnesses.items():
            self._state(series).witness = witness_fields(witness)
        for series in matters:
            self._state(series).offset_matters = True
        self._note_channels(growth)
        self._keep(batch, computed, growth)

    def _apply_late(self, late: Late) -> None:
        """Let states follow what late packets came to; must not fail half-way."""
        for series, seq in late.seq.items():
            state = self._state(series)
            state.late_seq = seq
            state.rehear |= series in late.kept
            state.mark_stale("readings were put into history")
            state.packets += late.packets.get(series, 0)
        for series, rows in late.rows.items():
            state = self._state(series)
            for row in rows:
                if row.at_ms >= state.at_ms:  # a decision about the last reading itself
                    state.at_ms = row.at_ms
                    state.values = dict(zip(row.channels, row.values, strict=True))
        for series, change in late.undecided.items():
            self._state(series).conflicts += change
        for series, more in late.uncounted.items():
            self._state(series).conflicts_uncounted += more
        self._streams.conflicts.put(late.conflicts.values())

    def _note_channels(self, growth: Growth) -> None:
        for series, channels in channels_of(growth.intervals).items():
            progress = self._state(series).progress
            if not channels <= progress.channels:
                progress.channels = progress.channels | channels

    def _note_gaps(self, series: int, state: StreamState, growth: Growth) -> None:
        new, gaps = growth.gaps.by_series.get(series), self._streams.gaps
        inside = growth.gaps.inside.get(series)
        if inside and gaps.around(series, inside):
            state.mark_stale("readings came that lie in a gap")
        elif new is not None:
            gaps.add(series, new)

    def _keep(self, batch: _Batch, computed: Bools, growth: Growth) -> None:
        keep = np.zeros(len(batch.rows), np.bool_)
        keep[np.flatnonzero(computed)] = growth.keep
        bounds = np.searchsorted(batch.readings.series, [*batch.series, np.iinfo(np.int64).max])
        for number, series in enumerate(batch.series):
            grown = growth.streams.get(series)
            if grown is None:
                continue
            rows = slice(int(bounds[number]), int(bounds[number + 1]))
            progress = self._state(series).progress
            settle(progress, grown, growth.falls.get(series, ()))
            self._contexts.put(series, note_context(progress, batch.rows[rows], keep[rows]))


def _assemble(arrivals: Mapping[int, Arrival], contexts: Mapping[int, list[Row]]) -> _Batch:
    series = sorted(one for one, arrival in arrivals.items() if arrival.rows)
    rows: list[Row] = []
    fresh: list[bool] = []
    lengths = []
    for one in series:
        new = arrivals[one].rows
        context = contexts.get(one, [])
        joined = context + new
        marks = [False] * len(context) + [True] * len(new)
        if any(after.at_ms <= before.at_ms for before, after in pairwise(joined)):
            joined, marks = _in_order(joined, marks)
        rows += joined
        fresh += marks
        lengths.append(len(joined))
    column = np.repeat(np.array(series, np.int64), lengths)
    return _Batch(series, rows, block_of(column, rows), np.array(fresh, np.bool_))


def _in_order(rows: list[Row], fresh: list[bool]) -> tuple[list[Row], list[bool]]:
    """Sort a stream's rows by instant; of equal ones the last in the log counts."""
    chosen: dict[int, tuple[Row, bool]] = {}
    for row, mark in sorted(zip(rows, fresh, strict=True), key=lambda pair: pair[0].seq):
        chosen[row.at_ms] = (row, mark)
    pairs = [chosen[at_ms] for at_ms in sorted(chosen)]
    return [row for row, _ in pairs], [mark for _, mark in pairs]


def _generation_of(series: Ints, generations: Mapping[int, int]) -> Ints:
    keys = np.array(sorted(generations), np.int64)
    values = np.array([generations[key] for key in keys.tolist()], np.int64)
    return values[np.searchsorted(keys, series)] if len(series) else np.empty(0, np.int64)
