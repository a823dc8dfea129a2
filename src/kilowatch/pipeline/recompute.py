"""Compute a stream's intervals again from its readings, while everything else goes on.

The new rows get a generation of their own, which no reader asks for until the last of them is
there; then the stream changes over in one moment. A crash before leaves rows that nobody reads,
and the recomputation starts again under the next number.
"""

from __future__ import annotations

import numpy as np

from kilowatch.model.blocks import Ints, ReadingBlock
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.closing import Closing, close
from kilowatch.pipeline.computed import other_rows
from kilowatch.pipeline.contexts import FOREVER_MS, Contexts, note_context
from kilowatch.pipeline.gaps import joined
from kilowatch.pipeline.growth import channels_of, clocks_differ, grow, settle
from kilowatch.pipeline.hot import HotBatch, HotView
from kilowatch.pipeline.rows import Row, block_of, rows_of
from kilowatch.pipeline.sisters import WHY as OF_A_SISTER
from kilowatch.pipeline.state import (
    Progress,
    StreamState,
    grid_of,
    settings_of,
    witness_fields,
)
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.testimony import Testimony
from kilowatch.store.newest import newest_readings

READINGS_A_SLICE = 5_000  # 0.2 s for 18 parameters: others wait no longer than that


class Recomputation:
    """One stream's way from its first reading to its last under new settings.

    Args:
        series: The stream.
        point: Its data point as it is now.
        state: Its state; what is decided about its clock counts.
        generation: A generation that was never used.
        slice_rows: Readings to work on at a time.

    Attributes:
        renews: Whether rows as they are computed can become others: where only a sister meter
            has other figures they stay, and nobody who estimates from them need follow.
    """

    def __init__(
        self,
        series: int,
        point: DataPoint,
        state: StreamState,
        generation: int,
        slice_rows: int = READINGS_A_SLICE,
    ) -> None:
        self.series = series
        self.progress = Progress(
            generation=generation,
            settings=settings_of(point, state.witness),
            looked_for_gaps=True,
        )
        self._gaps: Ints = np.empty((0, 4), np.int64)
        self._point = point
        self._packets = max(state.packets, 1)
        self._marks = state.marks
        unchanged = state.progress.settings == self.progress.settings
        self.renews = not (unchanged and state.stale == OF_A_SISTER)
        self._slice_rows = slice_rows
        self._from_ms = -FOREVER_MS
        self._context: list[Row] = []
        self._done = 0
        # In another time zone the same packets may speak for another clock.
        before = state.progress.settings
        moved = before is None or before["zone"] != point.history.zone_name(point.zone)
        self._testimony = Testimony() if moved or state.rehear else None
        self._offset_matters = False

    @property
    def from_ms(self) -> int:
        """Pushed instant at which the next slice begins [ms]; what is before is done."""
        return self._from_ms

    @property
    def share(self) -> float:
        """How much of the history is done, 0 to 1."""
        return min(self._done / self._packets, 1.0)

    def advance(self, streams: Streams, contexts: Contexts) -> str | None:
        """Do one slice; with the last one the stream changes over.

        Returns:
            None while there is more to do, "" when it is done, else why it can't be done.

        Raises:
            KilowatchError: The store could not be read or written; advance again later.
        """
        _, hot = streams.hot.snapshot(lambda: None)
        stored = streams.store.own.first_readings(
            self.series, self._from_ms, FOREVER_MS, self._slice_rows
        )
        last_slice = len(stored) < self._slice_rows
        to_ms = FOREVER_MS if last_slice else int(stored.at_ms[-1]) + 1
        fresh = newest_readings(
            ReadingBlock.concatenate([stored, *hot.readings(self.series, self._from_ms, to_ms)])
        )
        progress = self.progress
        rows = self._context + rows_of(fresh)
        readings = block_of(np.full(len(rows), self.series), rows)
        is_new = np.arange(len(rows)) >= len(self._context)
        grids = {self.series: grid_of(self._point, progress)}
        growth = grow(readings, is_new, grids, {})
        if growth.failures:
            return growth.failures[self.series]
        testimony = self._testimony
        if testimony is not None:
            testimony = testimony.after(fresh, grids[self.series], last=last_slice)
        offset_matters = self._offset_matters or bool(clocks_differ(fresh, grids))
        made = HotBatch(
            ReadingBlock.empty(),
            growth.intervals,
            np.full(len(growth.intervals), progress.generation),
        )
        if not last_slice:
            streams.store.write_intervals(made.intervals, made.generation)
        # From here on the slice is done, whatever happens to its roll-ups.
        self._done += len(fresh)
        self._from_ms = to_ms
        self._testimony, self._offset_matters = testimony, offset_matters
        if self.series in growth.gaps.by_series:
            self._gaps = joined(self._gaps, growth.gaps.by_series[self.series])
        if self.series in growth.streams:
            settle(progress, growth.streams[self.series], growth.falls.get(self.series, ()))
            self._context = note_context(progress, rows, growth.keep)
            progress.channels |= channels_of(made.intervals).get(self.series, set())
        if last_slice:
            self._change_over(streams, contexts, made)
            return ""
        closing = Closing.hand_over(progress)
        other = other_rows(streams, streams.store.own)
        close(streams.store, {self.series: closing}, HotView((made,)), other)
        return None

    def _change_over(self, streams: Streams, contexts: Contexts, made: HotBatch) -> None:
        state = streams.states[self.series]

        def show() -> None:
            state.progress = self.progress
            streams.gaps.replace(self.series, self._gaps)
            if self._testimony is not None:
                state.witness = witness_fields(self._testimony.witness)
            state.offset_matters = self._offset_matters
            if not state.values and self._context:
                last = self._context[-1]
                state.values = dict(zip(last.channels, last.values, strict=True))
            if state.marks == self._marks:  # else more came behind us meanwhile
                state.stale = ""
                state.rehear = False
                state.packets = self._done
            state.failure = ""
            state.failed_at_ms = None

        streams.hot.add(made, show)
        contexts.put(self.series, self._context)
