"""Write the hot tail to the store in big blocks, then move the cursor, in that order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from kilowatch.pipeline.closing import Closing, close
from kilowatch.pipeline.computed import other_rows
from kilowatch.pipeline.conflicts import Conflict
from kilowatch.pipeline.hot import HotBatch, HotView, join
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.state_file import StateFile, pack
from kilowatch.pipeline.streams import Streams

Beside = Callable[[Callable[[], None]], "Future[None]"]


@dataclass(frozen=True, slots=True)
class Flush:
    """What is written together.

    Attributes:
        cursor: Everything up to here is in ``batches`` or in the store already.
        batches: Hot rows that nobody changes any more.
        packed: States as they were at the cursor, by series.
        closings: How far these streams had come.
        conflicts: New and decided ones.
        gaps: Gaps that are new or changed, packed, by series.
    """

    cursor: int
    batches: tuple[HotBatch, ...]
    packed: Mapping[int, bytes]
    closings: Mapping[int, Closing]
    conflicts: tuple[Conflict, ...] = ()
    gaps: Mapping[int, bytes] = field(default_factory=dict)

    @staticmethod
    def of(streams: Streams, changed: Mapping[int, StreamState]) -> Flush:
        """Freeze what readers see now."""
        closings = {
            series: Closing.hand_over(state.progress)
            for series, state in changed.items()
            if state.progress.reach_ms is not None
        }
        packed = {series: pack(state) for series, state in changed.items()}
        conflicts, gaps = streams.conflicts.freeze(), streams.gaps.take_changed()
        return Flush(streams.seq, streams.hot.freeze(), packed, closings, conflicts, gaps)

    def write(self, streams: Streams, file: StateFile, beside: Beside) -> None:
        """Store rows and roll-ups, then move the cursor; repeating it changes nothing.

        Raises:
            KilowatchError: The store could not do it; the tail keeps everything.

        Args:
            streams: Where the store is.
            file: Where the cursor is.
            beside: Runs something at the same time, if there is a thread for it.
        """
        if self.batches:
            rows = join(self.batches)
            store, written = streams.store, HotView((rows,))
            # Roll-ups need nothing of what is being written meanwhile: they have it in memory.
            other = other_rows(streams, store.own)
            closed = beside(lambda: close(store, self.closings, written, other))
            try:
                if len(rows.readings):
                    store.write_readings(rows.readings)
                if len(rows.intervals):
                    store.write_intervals(rows.intervals, rows.generation)
                streams.meters.readings += len(rows.readings)
                streams.meters.intervals += len(rows.intervals)
            finally:
                wait([closed])
            closed.result()
        reached = {series: closing.progress for series, closing in self.closings.items()}
        file.save(
            self.cursor,
            [
                (series, state, reached[series].hour_ms, reached[series].day_ms)
                if series in reached
                else (series, state, 0, 0)
                for series, state in self.packed.items()
            ],
            self.conflicts,
            reached,
            self.gaps,
        )


class Flusher:
    """Writes one flush at a time, in a thread, so that new packets are seen meanwhile.

    Args:
        streams: Where the hot tail is.
        file: Where the cursor is.
        on_stored: Told the cursor after every flush.
        background: False writes in the caller's thread.
    """

    def __init__(
        self,
        streams: Streams,
        file: StateFile,
        on_stored: Callable[[int], None],
        *,
        background: bool = True,
    ) -> None:
        self._streams = streams
        self._file = file
        self._on_stored = on_stored
        self._background = background
        # Two threads for all flushes: each new one would get a heap of its own, 100 MB in the end.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pipeline-flush")
        self._running: Future[None] | None = None
        self._error: BaseException | None = None
        self._failed: frozenset[int] = frozenset()

    @property
    def busy(self) -> bool:
        """Whether a flush is being written."""
        return self._running is not None and not self._running.done()

    def start(self, flush: Flush) -> None:
        """Begin to write; the one before has ended."""
        assert not self.busy
        if not self._background:
            self._run(flush)
            return
        self._running = self._threads.submit(self._run, flush)

    def wait(self) -> None:
        """Wait for the flush that is being written."""
        if self._running is not None:
            wait([self._running])

    def close(self) -> None:
        """Wait for the flush that is being written, and end the thread."""
        self._threads.shutdown()

    def take_failure(self) -> tuple[Exception, frozenset[int]] | None:
        """Return why the last flush failed and the series still to be written, once.

        Raises:
            BaseException: What ended the flush was not an error but an end (a test's kill).
        """
        error, failed = self._error, self._failed
        self._error, self._failed = None, frozenset[int]()
        if error is None:
            return None
        if not isinstance(error, Exception):
            raise error
        return error, failed

    def _run(self, flush: Flush) -> None:
        meters, began_s = self._streams.meters, time.perf_counter()
        try:
            beside = self._threads.submit if self._background else _at_once
            flush.write(self._streams, self._file, beside)
        except BaseException as error:  # noqa: BLE001 - the consumer's thread raises it
            meters.flushes_failed += 1
            self._streams.hot.thaw(stored=False)
            self._streams.gaps.give_back(flush.gaps)
            self._error = error
            self._failed |= frozenset(flush.packed)
            return
        meters.flushes.note(time.perf_counter() - began_s)
        self._streams.hot.thaw(stored=True)
        self._streams.conflicts.thaw(flush.conflicts)
        self._on_stored(flush.cursor)


def _at_once(work: Callable[[], None]) -> Future[None]:
    """Do something now, as if in a thread."""
    future: Future[None] = Future()
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result raises it
        future.set_exception(error)
    else:
        future.set_result(None)
    return future
