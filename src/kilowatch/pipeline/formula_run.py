"""A formula's history computed from its inputs', a slice at a time, while everything goes on.

As with a stream's own history the rows get a generation that nobody asks for until the last of
them is there; a crash before leaves rows that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.parameters import RATIO, VALUE
from kilowatch.pipeline.closing import Closing, close
from kilowatch.pipeline.compiled import Compiled
from kilowatch.pipeline.contexts import FOREVER_MS
from kilowatch.pipeline.formula_rows import rows_of_formula
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.hot import HotBatch, HotView
from kilowatch.pipeline.state import Progress, StreamState
from kilowatch.pipeline.streams import Streams

Read = Callable[[Collection[Compiled], int, int], IntervalBlock]

LAGGING_MS = DAY_MS
"""An input that is so far behind the others is not waited for: hours are closed without it, and
closed again when it speaks."""


class FormulaRun:
    """The way of one formula from the first reading of its inputs to the last.

    Args:
        formula: The formula.
        streams: What readers see.
        generation: A generation that was never used.
        slice_rows: Intervals to compute at a time.
        read: Reads the edited intervals of inputs.

    Attributes:
        series: Of the formula.
        share: How much of the history is done, 0 to 1.
    """

    def __init__(
        self, formula: Compiled, streams: Streams, generation: int, slice_rows: int, read: Read
    ) -> None:
        self.series = formula.point.series
        self._formula = formula
        self._read = read
        self._slice_ms = slice_rows * formula.interval_s * 1000
        self._state = StreamState(
            progress=Progress(
                generation=generation,
                settings=formula.settings_with(streams.states),
                looked_for_gaps=True,
            )
        )
        firsts = [p.first_ms for p in _inputs(formula, streams.states) if p.first_ms is not None]
        self._begins_ms = min(firsts, default=0) - DAY_MS  # an amount's interval ends at its packet
        self._from_ms = self._floor(self._begins_ms) if firsts else None
        self.share = 0.0

    def go_back(self, from_ms: int) -> None:
        """Note that inputs have other rows from an instant on: what was computed is again [ms]."""
        if self._from_ms is not None and from_ms < self._from_ms:
            self._from_ms = self._floor(from_ms)

    def advance(self, streams: Streams) -> bool:
        """Compute one slice; with the last one the formula changes over.

        Returns:
            Whether it is done.

        Raises:
            KilowatchError: The store could not be read or written; advance again later.
        """
        progress = self._state.progress
        if self._from_ms is None:
            self._change_over(streams, IntervalBlock.empty())
            return True
        lasts = [p.last_ms for p in _inputs(self._formula, streams.states) if p.last_ms is not None]
        ends_ms = max(lasts, default=0) + 1
        to_ms = self._floor(self._from_ms + self._slice_ms)
        if to_ms <= self._from_ms:
            to_ms = int(
                grain_end_ms([self._from_ms], self._formula.interval_s, self._formula.zone)[0]
            )
        last = to_ms > ends_ms
        rows = self._read([self._formula], self._from_ms, FOREVER_MS if last else to_ms)
        made = rows_of_formula(self._formula, rows, streams.seq)
        note_rows(self._state, self._formula, made, streams.states)
        if last:
            self._change_over(streams, made)
            return True
        generation = np.full(len(made), progress.generation)
        if len(made):
            streams.store.write_intervals(made, generation)
            progress.since_ms = to_ms
            batch = HotBatch(ReadingBlock.empty(), made, generation)
            close(streams.store, {self.series: Closing.hand_over(progress)}, HotView((batch,)))
        self.share = (to_ms - self._begins_ms) / max(ends_ms - self._begins_ms, 1)
        self._from_ms = to_ms
        return False

    def _floor(self, at_ms: int) -> int:
        return int(grain_start_ms([at_ms], self._formula.interval_s, self._formula.zone)[0])

    def _change_over(self, streams: Streams, made: IntervalBlock) -> None:
        new = self._state
        batch = HotBatch(ReadingBlock.empty(), made, np.full(len(made), new.progress.generation))

        def show() -> None:
            state = streams.states.get(self.series)
            if state is None:
                streams.states[self.series] = new
                return
            state.progress, state.values = new.progress, new.values
            state.at_ms, state.packets = new.at_ms, new.packets
            state.stale, state.failure, state.failed_at_ms = "", "", None

        streams.hot.add(batch, show)


def note_rows(
    state: StreamState,
    formula: Compiled,
    rows: IntervalBlock,
    states: Mapping[int, StreamState],
) -> None:
    """Let a formula's state follow its new rows; must not fail half-way.

    Args:
        state: Its state.
        formula: The formula.
        rows: Its rows, sorted by start; those without a result too.
        states: Of its inputs.
    """
    progress = state.progress
    progress.since_ms = max(progress.since_ms, _settled_ms(formula, states))
    if len(rows):
        rows_ms = int(rows.start_ms[-1] + rows.duration_ms[-1])
        progress.rows_ms = max(progress.rows_ms or 0, rows_ms)
    value = rows.amount if formula.point.behaviour == "amount" else rows.mean
    known = np.flatnonzero(np.isfinite(value))
    if not len(known):
        return
    ratio = formula.checked is not None and formula.checked.ratio is not None
    progress.channels = progress.channels | {RATIO if ratio else VALUE}
    first, last = int(known[0]), int(known[-1])
    start_ms = int(rows.start_ms[first])
    end_ms = int(rows.start_ms[last] + rows.duration_ms[last])
    before_ms = progress.last_ms
    if progress.first_ms is None or start_ms < progress.first_ms:
        progress.first_ms = start_ms
    fresh = known if before_ms is None else known[rows.start_ms[known] >= before_ms]
    state.packets += len(fresh)
    if before_ms is None or end_ms >= before_ms:
        progress.last_ms = state.at_ms = end_ms
        unit = formula.point.unit_of_value
        state.values = {VALUE: float((value[last] - unit.offset) / unit.factor)}


def _inputs(formula: Compiled, states: Mapping[int, StreamState]) -> list[Progress]:
    found = (states.get(one.series) for one in formula.inputs)
    return [state.progress for state in found if state is not None]


def _settled_ms(formula: Compiled, states: Mapping[int, StreamState]) -> int:
    """Return before which start no packet in order changes a formula's rows [ms]."""
    settled = []
    for progress in _inputs(formula, states):
        frame = Frame.of(progress.settings)
        since_ms = progress.since_ms
        settled.append(since_ms if frame is None else frame.settled_ms(since_ms))
    newest = max(settled, default=0)
    waited_for = [at_ms for at_ms in settled if at_ms >= newest - LAGGING_MS]
    at_ms = min(waited_for, default=0)
    if not at_ms:
        return 0
    return int(grain_start_ms([at_ms], formula.interval_s, formula.zone)[0])
