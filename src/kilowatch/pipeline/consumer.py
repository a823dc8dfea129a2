"""The loop from the log to the store: take in, show, write, move the cursor, recompute."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import structlog

from kilowatch.model.errors import KilowatchError
from kilowatch.pipeline.contexts import Contexts
from kilowatch.pipeline.flushing import Flush, Flusher
from kilowatch.pipeline.following import Formulas
from kilowatch.pipeline.intake import Intake
from kilowatch.pipeline.recomputing import Recomputer
from kilowatch.pipeline.recovering import recovered
from kilowatch.pipeline.registered import Registered
from kilowatch.pipeline.state_file import StateFile
from kilowatch.pipeline.streams import Log, PointsNow, Streams
from kilowatch.store.store import Store

logger = structlog.get_logger("pipeline")


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """How the pipeline works; the defaults are measured (decision record 0005).

    Attributes:
        batch_rows: Most packets to take from the log at a time.
        flush_rows: Readings after which the tail is written.
        flush_figures: Interval rows after which it is written: 10,000 packets of 18 parameters.
        flush_s: Time after which it is written [s].
        held_rows_max: Readings in the tail at which the log waits (a store that can't write).
        poll_s: How often to look at the log without being woken [s].
        slice_rows: Readings that a recomputation works on at a time.
        late_quiet_s: How long no reading must have come late before a stream's history is
            computed again [s].
        late_wait_s_max: When it is, all the same, while they keep coming [s].
        formulas_s: Least time between two looks at formulas whose inputs have grown [s]; pages
            are told of changes as often.
        retry_s_max: Longest wait after a failure [s].
        flush_in_background: Write in a thread of its own, so that new packets are seen meanwhile.
        clock: Seconds that never go back.
    """

    batch_rows: int = 5_000
    flush_rows: int = 20_000
    flush_figures: int = 230_000
    flush_s: float = 10.0
    held_rows_max: int = 80_000
    poll_s: float = 0.5
    slice_rows: int = 5_000
    late_quiet_s: float = 2.0
    late_wait_s_max: float = 60.0
    formulas_s: float = 0.25
    retry_s_max: float = 30.0
    flush_in_background: bool = True
    clock: Callable[[], float] = time.monotonic


class Pause:
    """A time to wait after a failure, longer each time until something succeeds.

    Args:
        clock: Seconds that never go back.
        longest_s: Longest pause [s].
    """

    def __init__(self, clock: Callable[[], float], longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._length_s = 0.0
        self._ends_at = 0.0

    def begin(self) -> None:
        """Wait after another failure."""
        self._length_s = min(2 * self._length_s or 1.0, self._longest_s)
        self._ends_at = self._clock() + self._length_s

    def over(self) -> None:
        """Forget failures: something has succeeded."""
        self._length_s = 0.0

    def __bool__(self) -> bool:
        return self._length_s > 0

    @property
    def lasts(self) -> bool:
        """Whether it is too early to try again."""
        return self._length_s > 0 and self._clock() < self._ends_at


class Consumer:
    """Follows the log; one thread calls ``run``, or ``step`` as often as it likes.

    Args:
        log: Where packets come from.
        store: Where rows go; open.
        state_path: The pipeline's own file.
        points: Returns the present data points, at once.
        reload: Reads the catalogue anew; for a packet of a data point just registered.
        streams: What readers see.
        on_stored: Told the cursor after every flush, from the writing thread.
        settings: Sizes and times.
    """

    def __init__(
        self,
        *,
        log: Log,
        store: Store,
        state_path: Path,
        points: PointsNow,
        reload: PointsNow | None = None,
        streams: Streams,
        on_stored: Callable[[int], None] = lambda _seq: None,
        settings: PipelineSettings | None = None,
    ) -> None:
        self._log = log
        self._points = points
        self._reload = reload or points
        self._streams = streams
        self._settings = settings = settings or PipelineSettings()
        self._clock = clock = settings.clock
        self._file = StateFile(state_path)
        self._flusher = Flusher(
            streams, self._file, on_stored, background=settings.flush_in_background
        )
        self._contexts = Contexts(streams)
        registered = Registered()
        self._intake = Intake(streams, self._contexts, registered)
        self._recomputer = Recomputer(
            streams, self._contexts, self._file, self._settings.slice_rows, clock,
            registered=registered,
            quiet_s=settings.late_quiet_s, wait_s_max=settings.late_wait_s_max,
        )  # fmt: skip
        self._formulas = Formulas(
            streams, self._file, settings.slice_rows, clock, settings.formulas_s
        )
        self._changed: set[int] = set()
        self._oldest: float | None = None
        self._flushing = False
        self._flush_pause = Pause(clock, settings.retry_s_max)
        self._recompute_pause = Pause(clock, settings.retry_s_max)
        self._revision: int | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._asked: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]]
        self._asked = queue.SimpleQueue()
        self._ended = False
        if self._file.is_new:
            self._file.begin(recovered(store.own, self._file))
        seq, states = self._file.load()
        streams.conflicts.open(state_path)
        streams.gaps.load(self._file.load_gaps())
        streams.open(store, seq, states)
        on_stored(seq)

    def wake(self) -> None:
        """Say that the log has something new; from any thread."""
        self._wake.set()

    def between_writes(self, work: Callable[[], None]) -> Future[None]:
        """Have something done while nothing is being written: file and store fit each other.

        Args:
            work: Done in the thread of ``run``, between two rounds; packets wait for it in the log.

        Returns:
            What tells when it is done, or why not; cancelled where the pipeline ends first.
        """
        future: Future[None] = Future()
        self._asked.put((work, future))
        self._wake.set()
        if self._ended:
            self._refuse_asked()
        return future

    def stop(self) -> None:
        """Ask ``run`` to write what is hot and return; from any thread."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Follow the log until stopped; a failure is noted and tried again."""
        wait_s = failed_s = 0.0
        while not self._stop.is_set():
            if wait_s:
                self._wake.wait(wait_s)
            self._wake.clear()
            self._streams.meters.turned_s = time.monotonic()
            try:
                more, pending = self.step(), self._formulas.pending
                idle_s = self._settings.formulas_s if pending else self._settings.poll_s
                wait_s = 0.0 if more else idle_s
                failed_s = 0.0
                if not self._flush_pause and not self._recompute_pause:
                    self._streams.fault = ""
            except Exception as error:  # noqa: BLE001 - the pipeline must come back by itself
                wait_s, failed_s = 0.0, min(2 * failed_s or 1.0, self._settings.retry_s_max)
                self._note(error)
                self._stop.wait(failed_s)
            self._do_asked()
        self.finish()

    def finish(self) -> None:
        """Write what is hot as far as possible, and let go of the file."""
        try:
            self.flush()
        except KilowatchError as error:
            self._note(error)  # the log has it: the next start takes it from there
        self._flusher.close()
        self._file.close()
        self._ended = True
        self._refuse_asked()

    def _refuse_asked(self) -> None:
        """Say to those who wait to do something between two rounds that none will come."""
        while not self._asked.empty():
            self._asked.get()[1].cancel()

    def _do_asked(self) -> None:
        """Do what was asked for between two rounds; what fails is the asker's to know."""
        while not self._asked.empty():
            work, future = self._asked.get()
            self._flusher.wait()
            if not future.set_running_or_notify_cancel():
                continue  # whoever asked has gone
            try:
                future.set_result(work())
            except Exception as error:  # noqa: BLE001 - whoever asked raises it
                future.set_exception(error)

    def step(self) -> bool:
        """Do one round.

        Returns:
            Whether there is more to do at once.

        Raises:
            KilowatchError: The store could not be read or written; step again later.
        """
        if not self._flusher.busy and (failure := self._end_flush()):
            self._note(failure)
        self._follow_catalogue()
        entries = self._take()
        self._note_changed(self._formulas.live())
        if self._due():
            if self._flusher.busy and self._is_big():
                self._flusher.wait()  # the disk sets the pace, and memory stays bounded
            elif not self._flusher.busy:
                self._start_flush()
        full = entries >= self._settings.batch_rows
        return self._recompute() or full

    def flush(self) -> None:
        """Write everything that is hot now, and wait for it.

        Raises:
            KilowatchError: The store could not be written.
        """
        self._flusher.wait()
        self._end_flush()
        self._start_flush()
        self._flusher.wait()
        if failure := self._end_flush():
            raise failure

    def _recompute(self) -> bool:
        """Do a slice of recomputation, if one is due; return whether there is more."""
        if self._recompute_pause.lasts:
            return False
        try:
            changed = self._recomputer.slice(self._points)
            self._note_changed(changed | self._formulas.look_behind(changed))
            self._note_changed(self._formulas.slice())
        except KilowatchError as error:
            self._recompute_pause.begin()
            self._note(error)
            return False
        self._recompute_pause.over()
        return self._recomputer.waiting or self._formulas.waiting

    def _take(self) -> int:
        if self._streams.hot.readings >= self._settings.held_rows_max:
            return 0
        entries = self._log.read(self._streams.seq, self._settings.batch_rows)
        if not entries:
            self._check_log()
            return 0
        points = self._points()
        if any(points.by_series(series) is None for series in {entry.series for entry in entries}):
            points = self._reload()
        changed = self._intake.take(entries, points.by_series)
        self._streams.seq = entries[-1].seq
        self._note_changed(changed)
        self._formulas.note(self._intake.made)
        self._recomputer.note_late(self._intake.late)
        self._recomputer.note_arrivals(self._intake.first_ms)
        self._recomputer.look_at(changed, points)
        self._note_changed(self._recomputer.follow_sisters(changed, points))
        return len(entries)

    def _check_log(self) -> None:
        """Raise when the log ends before the cursor: its numbers would be taken for old ones.

        Raises:
            KilowatchError: 503 ``log_behind``.
        """
        last, seq = self._log.last_seq(), self._streams.seq
        if last < seq:
            raise KilowatchError(
                "log_behind",
                f"The log ends at packet {last}, but {seq} packets were processed: it is not the "
                "log that this data folder's figures come from.",
                status=503,
                remedy="Restore log, store and pipeline.sqlite from the same backup.",
            )

    def _note_changed(self, series: Collection[int]) -> None:
        if not series:
            return
        self._changed |= set(series)
        if self._oldest is None:
            self._oldest = self._clock()
        self._streams.hub.publish(series)

    def _end_flush(self) -> Exception | None:
        """Return why the last flush failed, if it did; it is tried again later.

        Meanwhile packets are taken in and shown as long as there is room for them.
        """
        if not self._flushing:
            return None
        self._flushing = False
        failure = self._flusher.take_failure()
        if failure is None:
            self._flush_pause.over()
            return None
        error, streams = failure
        self._changed |= streams
        self._oldest = self._clock()
        self._flush_pause.begin()
        return error

    def _due(self) -> bool:
        if self._oldest is None or self._flush_pause.lasts:
            return False
        return self._is_big() or self._clock() - self._oldest >= self._settings.flush_s

    def _is_big(self) -> bool:
        readings, figures = self._streams.hot.waiting
        return readings >= self._settings.flush_rows or figures >= self._settings.flush_figures

    def _start_flush(self) -> None:
        self._note_changed(self._formulas.live(now=True))
        states = self._streams.states
        changed, self._changed, self._oldest = self._changed, set(), None
        self._flushing = True
        self._flusher.start(Flush.of(self._streams, {series: states[series] for series in changed}))

    def _follow_catalogue(self) -> None:
        points = self._points()
        if points.revision != self._revision:
            self._recomputer.look_at(list(self._streams.states), points)
            self._recomputer.follow_sisters((), points)
            self._note_changed(self._formulas.follow_catalogue(points))
            self._revision = points.revision

    def _note(self, error: Exception) -> None:
        self._streams.fault = str(error)
        if isinstance(error, KilowatchError):
            logger.warning("pipeline.waiting", code=error.code, detail=error.detail)
        else:
            logger.error("pipeline.failed", exc_info=error)
