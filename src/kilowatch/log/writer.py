"""Group commit: one thread writes, and every packet that waits rides on its next fsync."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kilowatch.log.chores import Chores
from kilowatch.log.committer import Committer
from kilowatch.log.gate import Removal, Submission
from kilowatch.log.kept import KEPT_BODY_BYTES_MAX, Refusal, owner_of
from kilowatch.log.ledger import Ledger
from kilowatch.log.lock import WriterLock
from kilowatch.log.reader import LogReader
from kilowatch.log.segments import SEGMENT_ROWS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from kilowatch.log.records import Entry, Head, KeptPacket, Outcome
    from kilowatch.model.packet import Form, Packet

    Done = Callable[[Outcome], None]

QUEUE_MAX: Final = 10_000  # packets: a fifth of a second of work
QUEUE_BYTES_MAX: Final = 16 * 2**20
BATCH_MAX: Final = 1_024  # packets in one commit: 12 to 20 ms of work
UPKEEP_S: Final = 1.0  # between writes of loose counts and kept refusals
FORGET_S: Final = 3_600.0  # between searches for refused packets that are too old
RETENTION_MS: Final = 7 * DAY_MS

_log: Final = logging.getLogger(__name__)


class _Wake:
    """Something in the queue that only wakes the writer."""


_STOP: Final = _Wake()
_WAKE: Final = _Wake()


class LogWriter:
    """The one writer of a log; the collector's.

    Every method may be called from any thread and none of them waits for the disk,
    except ``close`` (``latest`` and ``head`` read).

    Args:
        path: The log's file; made if absent.
        on_commit: Called from the writer thread with the last sequence number after
            each commit that stored packets.
        on_done_batch: If given, called from the writer thread once per commit with
            ``[(done, outcome), …]`` in the order of submission, instead of each ``done``:
            one ``call_soon_threadsafe`` then answers a whole batch.
        queue_max: Packets that may wait, with those being committed.
        queue_bytes_max: What their bodies may come to [bytes].
        retention_ms: How long a stored segment stays for replays [ms].
        segment_rows: Packets in a segment.
        upkeep_s: Time between writes of what need not be durable at once [s].
        clock: Seconds since 1970; for retention times only.
        vfs: Name of SQLite's file layer, for tests that inject faults.

    Raises:
        KilowatchError: ``log_in_use``, ``log_corrupt`` or ``log_version``.
    """

    def __init__(  # noqa: PLR0913 - bounds have defaults
        self,
        path: str | PathLike[str],
        *,
        on_commit: Callable[[int], None] = lambda _seq: None,
        on_done_batch: Callable[[list[tuple[Done, Outcome]]], None] | None = None,
        queue_max: int = QUEUE_MAX,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
        retention_ms: int = RETENTION_MS,
        segment_rows: int = SEGMENT_ROWS,
        upkeep_s: float = UPKEEP_S,
        clock: Callable[[], float] = time.time,
        vfs: str | None = None,
    ) -> None:
        path = Path(path)
        self._on_commit = on_commit
        self._on_done_batch = on_done_batch or _one_by_one
        self._queue_max, self._queue_bytes_max = queue_max, queue_bytes_max
        self._retention_ms, self._upkeep_s, self._clock = retention_ms, upkeep_s, clock
        self._writer_lock = WriterLock(path)
        self._ledger = Ledger(path, segment_rows=segment_rows, vfs=vfs)
        self._committer = Committer(self._ledger)
        try:
            self._committer.start()
        except BaseException:
            self._writer_lock.release()
            raise
        self._reader = LogReader(path)
        self._queue: queue.SimpleQueue[Submission | Removal | _Wake] = queue.SimpleQueue()
        self._chores = Chores()
        self._upkeep_done_s = self._forgot_s = -math.inf
        self._released = self._in_upkeep = False
        self._lock = threading.Lock()  # over the next four
        self._waiting = self._waiting_bytes = 0
        self._stored_seq = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def submit(
        self,
        series: int,
        packet: Packet,
        form: Form,
        body: bytes,
        received_ms: int,
        credential_id: int,
        done: Done,
    ) -> None:
        """Queue a packet; ``done`` learns its outcome after the commit that it rests on.

        Args:
            series: Key of the data stream.
            packet: What ``wire.decode`` made of the body.
            form: The address that it was pushed to.
            body: As pushed.
            received_ms: When it was received [ms since 1970, UTC].
            credential_id: Who pushed it.
            done: Called once, from the writer thread; it must not raise.

        Raises:
            KilowatchError: 503 ``overloaded`` (the queue is full) or ``log_closed``.
        """
        self._put(Submission(series, packet, form, body, received_ms, credential_id, done))

    def backfill(self, submission: Submission) -> None:
        """Queue a packet that goes into history if it is not after its stream's latest one.

        Args:
            submission: As of ``submit``, with its ``origin``; a packet that is after the
                latest one is treated as ever.

        Raises:
            KilowatchError: As of ``submit``.
        """
        assert submission.origin is not None
        self._put(submission)

    def remove(self, series: int, ids: Sequence[int] | None, done: Done) -> None:
        """Delete kept packets as ``dismiss`` does, and tell ``done`` after the commit.

        Raises:
            KilowatchError: As of ``submit``.
        """
        self._put(Removal(series, ids, done))

    def kept_of(self, series: int, ids: Sequence[int] | None, limit: int) -> list[KeptPacket]:
        """Return discarded packets of a stream, oldest first: those named, or the first."""
        return self._reader.kept_of(series, ids, limit)

    def _put(self, one: Submission | Removal) -> None:
        with self._lock:
            if self._closed:
                raise KilowatchError(
                    "log_closed", "The log is closing.", status=503, retry_helps=True
                )
            if (
                self._waiting >= self._queue_max
                or self._waiting_bytes + len(one.body) > self._queue_bytes_max
            ):
                raise KilowatchError(
                    "overloaded",
                    "More packets are waiting to be made durable than can be held.",
                    status=503,
                    remedy="Send the packet again after the time in Retry-After.",
                    retry_helps=True,
                    data={"waiting": self._waiting},
                )
            self._waiting += 1
            self._waiting_bytes += len(one.body)
            self._queue.put(one)

    def refuse(
        self,
        series: int | None,
        organisation_id: int,
        *,
        code: str,
        detail: str,
        body: bytes,
        received_ms: int,
        credential_id: int = 0,
        flags: int = 0,
    ) -> None:
        """Keep a refused packet with its reason, within a second or so.

        Args:
            series: Key of the data stream, or None if the packet names none of this
                organisation.
            organisation_id: Whose credential it came with.
            code: The error's stable word.
            detail: The error's sentence.
            body: As pushed; the first 4 KiB are kept.
            received_ms: When it was received [ms since 1970, UTC].
            credential_id: Who pushed it.
            flags: ``Form`` of the address.
        """
        self._chores.refuse(
            series,
            Refusal(
                owner_of(series, organisation_id),
                code,
                detail,
                received_ms,
                credential_id,
                bytes(body[:KEPT_BODY_BYTES_MAX]),
                len(body),
                flags,
            ),
        )
        self._queue.put(_WAKE)

    def dismiss(self, series: int, ids: Iterable[int] | None = None) -> None:
        """Delete kept packets of a stream: those named, or all that were discarded."""
        self._chores.dismiss(series, None if ids is None else list(ids))
        self._queue.put(_WAKE)

    def release(self, stored_seq: int) -> None:
        """Tell how far the platform has stored the log, so that old segments can go."""
        with self._lock:
            self._stored_seq = stored_seq  # a restored platform may say less than before
            self._released = True
        self._queue.put(_WAKE)

    def probe(self) -> None:
        """Have a sign of life made durable, when nothing else was for a while."""
        self._chores.probe(self._now_ms())
        self._queue.put(_WAKE)

    def latest(self, series: int) -> Entry | None:
        """Return a stream's latest committed packet, or None: two look-ups, about 30 µs."""
        state = self._ledger.states.get(series)
        return None if state is None else self._reader.latest(series, state.seq)

    def head(self, series: int) -> Head | None:
        """Return a stream's latest committed packet and its counters: up to 1 ms."""
        return self._reader.head(series)

    @property
    def fault(self) -> str:
        """What stops the log from writing, or an empty string."""
        return self._committer.fault

    @property
    def committed_ms(self) -> int:
        """When something was last made durable [ms since 1970, UTC]."""
        return self._committer.committed_ms

    def last_seq(self) -> int:
        """Return the last committed sequence number."""
        return self._ledger.last_seq

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know: numbers, and the fault if there is one."""
        with self._lock:
            return {
                "last_seq": self._ledger.last_seq,
                "streams": len(self._ledger.states),
                "waiting": self._waiting,
                "waiting_bytes": self._waiting_bytes,
                "stored_seq": self._stored_seq,
                "upkeep_due": bool(self._chores) or self._released or self._in_upkeep,
                "wal_pages": self._ledger.wal_pages,
                "fault": self._committer.fault,
                "upkeep_fault": self._committer.upkeep_fault,
                "committed_ms": self._committer.committed_ms,
                "committed_packets": self._committer.packets,
                "commits": self._committer.took.told(),
            }

    def close(self) -> None:
        """Commit what waits, bring the file in order, and give up the right to write."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(_STOP)
        self._thread.join()
        self._reader.close()
        self._writer_lock.release()

    # From here on: the writer thread.

    def _run(self) -> None:
        stopping = False
        while not stopping:
            waiting, stopping = self._next()
            try:
                self._turn(waiting, upkeep=stopping or self._upkeep_in_s() <= 0)
            except Exception:  # noqa: BLE001 - the log outlives its caller's mistakes
                _log.exception("log: a callback failed")
        self._committer.attempt(self._ledger.finish)
        self._ledger.close()

    def _next(self) -> tuple[list[Submission | Removal], bool]:
        """Wait for something to do, and take all that waits, up to a batch."""
        waiting: list[Submission | Removal] = []
        idle = not (self._chores or self._released)
        try:
            one = self._queue.get(timeout=None if idle else max(0.0, self._upkeep_in_s()))
            while one is not _STOP:
                if not isinstance(one, _Wake):
                    waiting.append(one)
                    if len(waiting) >= BATCH_MAX:
                        return waiting, False
                one = self._queue.get_nowait()
        except queue.Empty:
            return waiting, False
        return waiting, True

    def _upkeep_in_s(self) -> float:
        return self._upkeep_done_s + self._upkeep_s - time.monotonic()

    def _turn(self, waiting: list[Submission | Removal], *, upkeep: bool) -> None:
        """Commit, answer, and do the upkeep if it is due."""
        self._in_upkeep = upkeep
        if upkeep:
            self._upkeep_done_s = now_s = time.monotonic()
            if now_s - self._forgot_s > FORGET_S:
                self._forgot_s = now_s
                self._chores.forget(self._now_ms())
        before = self._ledger.last_seq
        answers = self._committer.commit(waiting, self._chores, all_due=upkeep)
        with self._lock:
            self._waiting -= len(waiting)
            self._waiting_bytes -= sum(len(one.body) for one in waiting)
        try:
            if answers:
                self._on_done_batch(answers)
        finally:
            if self._ledger.last_seq > before:
                self._on_commit(self._ledger.last_seq)
            self._committer.attempt(self._ledger.checkpoint)
            if upkeep and self._released:
                self._released = False
                self._committer.attempt(self._drop_segments)
            self._in_upkeep = False

    def _drop_segments(self) -> bool:
        return self._ledger.drop_segments(self._stored_seq, self._now_ms() - self._retention_ms)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _one_by_one(answers: list[tuple[Done, Outcome]]) -> None:
    for done, outcome in answers:
        done(outcome)
