"""Formulas follow their inputs: at once where packets came, from the beginning where history did.

Whoever changes an input's rows says from where to where; the formulas that are made of it compute
those intervals again, in the same round of the consumer and before anything is written, so that a
crash leads back to a moment at which both fitted. Where an input's history was computed again its
rows have another generation, and so get the formula's, in the background.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import numpy as np
import structlog

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.pipeline.compiled import Book, Compiled
from kilowatch.pipeline.computed import other_rows
from kilowatch.pipeline.figures import Shown, Span, figures
from kilowatch.pipeline.formula_rows import channels_of, rows_of_formula
from kilowatch.pipeline.formula_run import FormulaRun, note_rows
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.hot import HotBatch
from kilowatch.pipeline.showing import shown_of
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.state_file import StateFile
from kilowatch.pipeline.streams import Points, Streams

logger = structlog.get_logger("formulas")

RETRY_S = 60.0
Range = tuple[int, int]
"""From where to where intervals have changed [ms]."""


class Formulas:
    """Keeps formulas as their inputs are; the consumer's thread uses it.

    Args:
        streams: What readers see.
        file: Where generations are reserved.
        slice_rows: Intervals of a formula to compute at a time.
        clock: Seconds that never go back.
        live_s: Least time between two looks at what has changed [s].
    """

    def __init__(
        self,
        streams: Streams,
        file: StateFile,
        slice_rows: int,
        clock: Callable[[], float],
        live_s: float = 0.0,
    ) -> None:
        self._streams = streams
        self._file = file
        self._slice_rows = slice_rows
        self._clock = clock
        self._book = Book()
        self._changed: dict[int, Range] = {}
        self._queue: dict[int, None] = {}
        self._run: FormulaRun | None = None
        self._retries: dict[int, float] = {}
        self._live_s = live_s
        self._computed = float("-inf")

    @property
    def waiting(self) -> bool:
        """Whether a slice could be done at once."""
        return self._run is not None or self._ready() is not None

    @property
    def pending(self) -> bool:
        """Whether rows of inputs have changed that formulas do not show yet."""
        return bool(self._changed)

    def follow_catalogue(self, points: Points) -> set[int]:
        """Read formulas anew, as the catalogue has changed; return those that were stopped."""
        self._book = self._streams.formulas = Book.of(points.points, self._book)
        return self.look(self._book.order)

    def note(self, made: IntervalBlock) -> None:
        """Note that rows of inputs are new or others: the formulas follow with ``live``."""
        if not self._book.dependents or not len(made):
            return
        keys, first = np.unique(made.series, return_index=True)
        low = np.minimum.reduceat(made.start_ms, first)
        high = np.maximum.reduceat(made.start_ms + made.duration_ms, first)
        for series, from_ms, to_ms in zip(keys.tolist(), low.tolist(), high.tolist(), strict=True):
            if series in self._book.dependents:
                self._spread(series, (from_ms, to_ms))

    def look(self, series: Iterable[int]) -> set[int]:
        """Queue those formulas whose rows do not fit them or their inputs any more.

        Returns:
            Those whose state has changed by that.
        """
        states, told = self._streams.states, set()
        for one in series:
            formula = self._book.by_series[one]
            state = states.get(one)
            if formula.problem:
                told |= self._stop(formula)
                continue
            fits = (
                state is not None
                and not state.stale
                and not state.failure
                and state.progress.settings == formula.settings_with(states)
            )
            if not fits and self._retries.get(one, 0.0) <= self._clock():
                self._enqueue(one)
        return told

    def look_behind(self, series: Collection[int]) -> set[int]:
        """Queue the formulas of streams whose history was computed again."""
        dependents = {d for one in series for d in self._book.dependents.get(one, ())}
        return self.look(dependents) if dependents else set()

    def live(self, *, now: bool = False) -> set[int]:
        """Compute what has changed, so that readers see it; return the formulas that have.

        Packets that come one by one are followed a few times a second. A formula that can't
        follow will be computed anew, also after a crash.

        Args:
            now: Without waiting: what is shown is about to be written.
        """
        if not self._changed or not (now or self._clock() - self._computed >= self._live_s):
            return set()
        self._computed = self._clock()
        try:
            return self._live()
        except KilowatchError as error:
            logger.warning("formulas.waiting", detail=error.detail)
            told = set()
            for one in self._all_behind(self._changed):
                state = self._streams.states.get(one)
                if state is not None:
                    state.mark_stale("its inputs could not be read")
                    told.add(one)
            self._changed.clear()
            self.look(told)
            return told

    def slice(self) -> set[int]:
        """Compute a part of a history, if one is due; return the formulas that have changed.

        Raises:
            KilowatchError: The store could not be read or written; try again later.
        """
        self._queue_retries()
        if self._run is None and not self._begin():
            return set()
        run = self._run
        assert run is not None
        series = run.series
        try:
            done = run.advance(self._streams)
        except KilowatchError:
            raise
        except Exception as error:  # noqa: BLE001 - one formula must not stop the others
            self._run = None
            return self._fail(series, f"{type(error).__name__}: {error}")
        self._streams.recomputing[series] = run.share
        if not done:
            return set()
        self._run = None
        del self._streams.recomputing[series]
        self._retries.pop(series, None)
        self._streams.recomputed.add(series)
        self._streams.meters.recomputed += 1
        # What came meanwhile is in it; its own dependents, and what changed behind it, follow.
        told = self.look([series, *self._book.dependents.get(series, ())])
        return {series} | told

    def _begin(self) -> bool:
        series = self._ready()
        if series is None:
            return False
        del self._queue[series]
        generation = self._file.reserve_generation(series)
        self._run = FormulaRun(
            self._book.by_series[series], self._streams, generation, self._slice_rows, self._read
        )
        self._streams.recomputing[series] = 0.0
        return True

    def _ready(self) -> int | None:
        """Return the formula to be computed next: one whose inputs are not being computed."""
        busy = self._streams.recomputing
        for series in self._queue:
            formula = self._book.by_series.get(series)
            if formula is not None and not any(one.series in busy for one in formula.inputs):
                return series
        return None

    def _enqueue(self, series: int) -> None:
        self._queue[series] = None
        self._streams.recomputed.discard(series)
        self._streams.recomputing.setdefault(series, 0.0)
        if self._run is not None and self._run.series == series:
            self._run = None  # begun under what no longer holds

    def _stop(self, formula: Compiled) -> set[int]:
        """Note why a formula can't be computed; what it gave before stays to be seen."""
        series = formula.point.series
        self._queue.pop(series, None)
        self._streams.recomputing.pop(series, None)
        if self._run is not None and self._run.series == series:
            self._run = None
        state = self._streams.states.get(series)
        if state is None or state.failure == formula.problem:
            return set()
        state.failure = formula.problem
        return {series}

    def _fail(self, series: int, why: str) -> set[int]:
        logger.error("formulas.failed", series=series, detail=why)
        self._streams.recomputing.pop(series, None)
        self._retries[series] = self._clock() + RETRY_S
        state = self._streams.states.setdefault(series, StreamState())
        state.failure = why
        return {series}

    def _queue_retries(self) -> None:
        now = self._clock()
        due = [one for one, at in self._retries.items() if at <= now]
        for one in due:
            del self._retries[one]
            if one in self._book.by_series:
                self._enqueue(one)

    def _spread(self, series: int, changed: Range) -> None:
        """Note a change of a stream's rows, as far as edited rows follow it."""
        state = self._streams.states.get(series)
        settings = state.progress.settings if state is not None else None
        frame = Frame.of(settings)
        if frame is not None:
            low, high = frame.window(*changed)
            changed = min(low, frame.settled_ms(changed[0])), high
        before = self._changed.get(series, changed)
        self._changed[series] = min(before[0], changed[0]), max(before[1], changed[1])

    def _all_behind(self, series: Iterable[int]) -> list[int]:
        """Return every formula that streams go into, directly or by way of others, in order."""
        found: set[int] = set()
        waiting = list(series)
        while waiting:
            for one in self._book.dependents.get(waiting.pop(), ()):
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return [one for one in self._book.order if one in found]

    def _live(self) -> set[int]:
        ranges = {series: [changed] for series, changed in self._changed.items()}
        told: set[int] = set()
        work = [self._book.by_series[one] for one in self._all_behind(ranges)]
        while work:
            # Those that are made of none of the others are computed together.
            series = {one.point.series for one in work}
            now = [one for one in work if not series & {i.series for i in one.inputs}]
            done = {one.point.series for one in now}
            work = [one for one in work if one.point.series not in done]
            for formula in now:
                self._follow(formula, ranges)
            told |= self._compute(
                [
                    (one, changed)
                    for one in now
                    if self._has_grid(one)
                    for changed in ranges.get(one.point.series, ())
                ]
            )
        self._changed.clear()
        return told

    def _follow(self, formula: Compiled, ranges: dict[int, list[Range]]) -> None:
        """Note the whole intervals of a formula that its inputs' changes reach.

        History that is put in for one meter and the present of another lie far apart: what is
        between them has not changed.
        """
        inputs = {one.series for one in formula.inputs}
        changed = sorted({one for series in inputs for one in ranges.get(series, ())})
        if formula.problem or not changed:
            return
        grain, zone = formula.interval_s, formula.zone
        starts = grain_start_ms([low for low, _ in changed], grain, zone)
        ends = grain_end_ms([high - 1 for _, high in changed], grain, zone)
        found: list[Range] = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if found and start <= found[-1][1] + DAY_MS:
                found[-1] = found[-1][0], max(found[-1][1], end)
            else:
                found.append((start, end))
        ranges[formula.point.series] = found
        if self._run is not None and self._run.series == formula.point.series:
            self._run.go_back(found[0][0])

    def _has_grid(self, formula: Compiled) -> bool:
        """Tell whether a formula's history was computed once: before that there is no grid."""
        state = self._streams.states.get(formula.point.series)
        return state is not None and state.progress.settings is not None

    def _compute(self, work: list[tuple[Compiled, Range]]) -> set[int]:
        """Show the rows of formulas that are made of none of each other."""
        made: list[IntervalBlock] = []
        groups: dict[Range, list[tuple[Compiled, Range]]] = {}
        for one, (low, high) in work:
            groups.setdefault((low // DAY_MS, high // DAY_MS), []).append((one, (low, high)))
        for some in groups.values():
            low, high = min(low for _, (low, _) in some), max(high for _, (_, high) in some)
            rows = self._read([one for one, _ in some], low, high)
            made += [self._one(one, rows, changed) for one, changed in some]
        block = IntervalBlock.concatenate(made)
        if not len(block):
            return set()
        block = block.take(np.lexsort((block.start_ms, block.series)))
        states = self._streams.states
        keys, place = np.unique(block.series, return_inverse=True)
        generation = np.array([states[one].progress.generation for one in keys.tolist()])
        tail = HotBatch(ReadingBlock.empty(), block, generation[place])

        def show() -> None:
            for one in made:
                if len(one):
                    formula = self._book.by_series[int(one.series[0])]
                    note_rows(states[formula.point.series], formula, one, states)

        self._streams.hot.add(tail, show)
        return set(keys.tolist())

    def _one(self, formula: Compiled, rows: IntervalBlock, changed: Range) -> IntervalBlock:
        low, high = changed
        mine = rows.take((rows.start_ms >= low) & (rows.start_ms < high))
        try:
            return rows_of_formula(formula, mine, self._streams.seq)
        except Exception as error:  # noqa: BLE001 - one formula must not stop the others
            series = formula.point.series
            self._fail(series, f"{type(error).__name__}: {error}")
            self._streams.states[series].mark_stale("it could not be computed")
            return IntervalBlock.empty()

    def _read(self, formulas: Collection[Compiled], from_ms: int, to_ms: int) -> IntervalBlock:
        """Return the edited intervals of what formulas are made of that start in a range."""
        return inputs_of(self._streams, formulas, from_ms, to_ms)


def inputs_of(
    streams: Streams, formulas: Collection[Compiled], from_ms: int, to_ms: int
) -> IntervalBlock:
    """Return the edited intervals of what formulas are made of that start in [from_ms, to_ms)."""
    wanted = {one.series for formula in formulas for one in formula.inputs}
    channels = {c for formula in formulas for one in formula.inputs for c in channels_of(one)}

    def now() -> dict[int, Shown]:
        return {
            series: shown_of(state)
            for series in wanted
            if (state := streams.states.get(series)) is not None
            and state.progress.settings is not None
        }

    shown, hot = streams.hot.snapshot(now)
    reads = streams.store.own
    span = Span(sorted(channels), from_ms, to_ms, "interval")
    return figures(reads, hot, shown, span, other_rows(streams, reads))
