"""The hot tail: what is not in the store yet, joined into every read.

A reader takes the tail first and asks the store afterwards. So a block that is being written
meanwhile is seen in one of them or in both, and of equal rows one remains.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.store.newest import newest_intervals, newest_readings

Aside = TypeVar("Aside")

JOIN_BATCHES = 32  # a reader looks into each batch: many small ones are joined


@dataclass(frozen=True, slots=True)
class HotBatch:
    """What one batch of the log has brought.

    Attributes:
        readings: New readings, sorted by series and instant.
        intervals: Interval rows, sorted by series, channel and start.
        generation: Generation of each interval row, shape (n,).
        streams: Series that have interval rows, rising, shape (k,).
        first_ms: Earliest start of the rows of each, shape (k,) [ms].
    """

    readings: ReadingBlock
    intervals: IntervalBlock
    generation: Ints
    streams: Ints = field(init=False)
    first_ms: Ints = field(init=False)

    def __post_init__(self) -> None:
        streams, rows = np.unique(self.intervals.series, return_index=True)
        starts = self.intervals.start_ms
        first_ms = np.minimum.reduceat(starts, rows) if len(rows) else starts
        object.__setattr__(self, "streams", streams)
        object.__setattr__(self, "first_ms", first_ms)

    def readings_of(self, series: int, from_ms: int, to_ms: int) -> ReadingBlock:
        """Return a stream's readings of pushed instants in [from_ms, to_ms)."""
        rows = _range(self.readings.series, series)
        at_ms = self.readings.at_ms[rows]
        low, high = np.searchsorted(at_ms, (from_ms, to_ms))
        return self.readings.take(slice(rows.start + int(low), rows.start + int(high)))

    def intervals_of(self, generations: Mapping[int, int]) -> IntervalBlock:
        """Return the rows of some streams' generations."""
        if len(generations) == 1:
            ((series, generation),) = generations.items()
            rows = _range(self.intervals.series, series)
            own = self.generation[rows]
            if len(own) and (own == generation).all():
                return self.intervals.take(rows)
            return self.intervals.take(np.flatnonzero(own == generation) + rows.start)
        keys = np.array(sorted(generations), np.int64)
        wanted = np.array([generations[key] for key in keys.tolist()], np.int64)
        place = np.searchsorted(keys, self.intervals.series) % max(len(keys), 1)
        mine = (keys[place] == self.intervals.series) & (wanted[place] == self.generation)
        return self.intervals.take(mine)


class HotTail:
    """Batches that readers join to what the store gives; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: tuple[HotBatch, ...] = ()
        self._frozen = 0

    def add(self, batch: HotBatch, alongside: Callable[[], None] = lambda: None) -> None:
        """Show a batch to readers, and change what belongs to it in the same moment."""
        with self._lock:
            alongside()
            self._batches = (*self._batches, batch)
            many = len(self._batches) - self._frozen > JOIN_BATCHES
        if many:
            self._join()

    def freeze(self) -> tuple[HotBatch, ...]:
        """Return all batches, to be written to the store."""
        with self._lock:
            self._frozen = len(self._batches)
            return self._batches

    def thaw(self, *, stored: bool) -> None:
        """Let go of the batches that were frozen if they are stored, else keep them."""
        with self._lock:
            if stored:
                self._batches = self._batches[self._frozen :]
            self._frozen = 0

    def snapshot(self, alongside: Callable[[], Aside]) -> tuple[Aside, HotView]:
        """Return the batches of this moment, and what belongs to them."""
        with self._lock:
            return alongside(), HotView(self._batches)

    @property
    def waiting(self) -> tuple[int, int]:
        """Readings and interval rows that nobody writes yet."""
        with self._lock:
            batches = self._batches[self._frozen :]
        return (
            sum(len(batch.readings) for batch in batches),
            sum(len(batch.intervals) for batch in batches),
        )

    @property
    def readings(self) -> int:
        """All readings that are held here."""
        return sum(len(batch.readings) for batch in self._batches)

    def _join(self) -> None:
        """Join what is not frozen into one batch; only the consumer adds, so nothing is lost."""
        with self._lock:
            parts = self._batches[self._frozen :]
        joined = join(parts)
        with self._lock:
            self._batches = (*self._batches[: -len(parts)], joined)


@dataclass(frozen=True, slots=True)
class HotView:
    """The batches of one moment."""

    batches: tuple[HotBatch, ...]

    def readings(self, series: int, from_ms: int, to_ms: int) -> list[ReadingBlock]:
        """Return a stream's readings of pushed instants in [from_ms, to_ms)."""
        return [batch.readings_of(series, from_ms, to_ms) for batch in self.batches]

    def first_starts(self, series: Collection[int]) -> dict[int, int]:
        """Return the earliest start among the rows of each series that has any here [ms].

        What was rolled up before must not be used from there on: these rows may change it.
        """
        asked = np.array(sorted(series), np.int64)
        found: dict[int, int] = {}
        for batch in self.batches:
            if not len(batch.streams):
                continue
            place = np.minimum(np.searchsorted(batch.streams, asked), len(batch.streams) - 1)
            here = batch.streams[place] == asked
            pairs = zip(asked[here].tolist(), batch.first_ms[place[here]].tolist(), strict=True)
            for one, first_ms in pairs:
                found[one] = min(first_ms, found.get(one, first_ms))
        return found

    def intervals(
        self,
        generations: Mapping[int, int],
        channels: Collection[int] | None,
        from_ms: int,
        to_ms: int,
    ) -> IntervalBlock:
        """Return rows of some streams that start in [from_ms, to_ms), the newest of each."""
        found = IntervalBlock.concatenate(
            [batch.intervals_of(generations) for batch in self.batches]
        )
        mine = (found.start_ms >= from_ms) & (found.start_ms < to_ms)
        if channels is not None:
            mine &= np.isin(found.channel, list(channels))
        if not mine.all():
            found = found.take(mine)
        # Within one batch no row is there twice.
        return newest_intervals(found) if len(self.batches) > 1 else found


def join(batches: Sequence[HotBatch]) -> HotBatch:
    """Return batches as one; of rows that a later batch made again, the newest."""
    if len(batches) == 1:
        return batches[0]
    readings = newest_readings(ReadingBlock.concatenate([batch.readings for batch in batches]))
    by_generation: dict[int, list[IntervalBlock]] = {}
    for batch in batches:
        for generation in np.unique(batch.generation).tolist():
            rows = batch.intervals.take(batch.generation == generation)
            by_generation.setdefault(generation, []).append(rows)
    parts = {
        generation: newest_intervals(IntervalBlock.concatenate(blocks))
        for generation, blocks in by_generation.items()
    }
    intervals = IntervalBlock.concatenate(list(parts.values()))
    generation = np.repeat(np.array(list(parts), np.int64), [len(part) for part in parts.values()])
    order = np.argsort(intervals.series, kind="stable")
    return HotBatch(readings, intervals.take(order), generation[order])


def _range(series: Ints, one: int) -> slice:
    low, high = np.searchsorted(series, (one, one + 1))
    return slice(int(low), int(high))
