"""What one transaction of the log writes, and how the gate is read back from the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import apsw

from kilowatch.log import backfills, kept, segments
from kilowatch.log.gate import Batch, State
from kilowatch.log.records import BACKFILLED, Entry
from kilowatch.log.schema import (
    BUSY_MS,
    bring_up_to_date,
    check_tables,
    insert_many,
    last_segment,
    open_for_writing,
)
from kilowatch.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Chore = Callable[[apsw.Connection], None]

TAIL_ROWS_MAX: Final = 20_000  # a reader scans the tail for a stream's counts: 1 ms
FLUSH_STREAMS: Final = 256  # rows written beside a commit: 0.7 ms
FLUSH_SHARE: Final = 4  # or so many for each of its packets, to keep pace
# In order of their series, 20,000 of 100,000 streams are 58 rows to a page; in the order in
# which their packets came each would be a page of its own.
CHECKPOINT_PAGES: Final = 2_000  # 8 MB
BUSY_FORCED_MS: Final = 100
CHECKPOINT_PAGES_FORCED: Final = 16_000  # 64 MB: readers have kept the WAL from starting over

_STREAM: Final = (
    "streams(series, seq, at_ms, offset_min, flags, received_ms, credential_id, accepted)"
)
_STREAM_AGAIN: Final = (
    "ON CONFLICT(series) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms,"
    " offset_min = excluded.offset_min, flags = excluded.flags,"
    " received_ms = excluded.received_ms, credential_id = excluded.credential_id, body = NULL,"
    " accepted = accepted + excluded.accepted"
)
_DISCARDED_AGAIN: Final = (
    "ON CONFLICT(series) DO UPDATE SET discarded = discarded + excluded.discarded,"
    " last_discarded_ms = excluded.last_discarded_ms"
)
_LOOSE_AGAIN: Final = (
    "ON CONFLICT(series) DO UPDATE SET duplicate = duplicate + excluded.duplicate,"
    " refused = refused + excluded.refused,"
    " last_duplicate_ms = ifnull(excluded.last_duplicate_ms, last_duplicate_ms),"
    " last_refused_ms = ifnull(excluded.last_refused_ms, last_refused_ms)"
)


class Loose(NamedTuple):
    """Counts that may lack the last second: duplicates and refusals of one stream."""

    duplicate: int = 0
    refused: int = 0
    last_duplicate_ms: int | None = None
    last_refused_ms: int | None = None


class _Unflushed:
    """A stream whose row is behind: since which number, by how many packets."""

    __slots__ = ("accepted", "credential_id", "first_seq", "received_ms")

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.accepted = 0
        self.received_ms = 0
        self.credential_id = 0


class Ledger:
    """The log file and the gate that stands before it; one thread uses it.

    Args:
        path: The log's file.
        segment_rows: Packets in a segment.
        vfs: Name of SQLite's file layer; tests inject faults with it.

    Attributes:
        connection: The open file, or None: before ``open``, and after a fault.
        states: The gate, as committed.
        last_seq: Last sequence number, as committed.
        wal_pages: Length of the write-ahead log.
    """

    def __init__(self, path: Path, *, segment_rows: int, vfs: str | None = None) -> None:
        self._path = path
        self._segment_rows = segment_rows
        self._vfs = vfs
        self.states: dict[int, State] = {}
        self.last_seq = 0
        self.wal_pages = 0
        self._checkpoint_at = CHECKPOINT_PAGES
        self._unflushed: dict[int, _Unflushed] = {}  # in order of first_seq
        self._flushing: list[int] = []  # some of them, in descending order of series
        self._newest = 0
        self.connection: apsw.Connection | None = None

    def open(self) -> None:
        """Open the file, check it, and read the gate from it.

        Raises:
            KilowatchError: ``log_corrupt`` or ``log_version``; the file is as it was.
            apsw.Error: The file cannot be used just now.
        """
        connection = open_for_writing(self._path, self._vfs)
        try:
            check_tables(connection, self._path)
            bring_up_to_date(connection)
            # After a failed fsync the kernel may hold pages that are not on disk and think
            # they are. What we found in the WAL is written again, into the file, and synced.
            connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self.wal_pages, self._checkpoint_at = 0, CHECKPOINT_PAGES
            self._load(connection)
        except BaseException:
            connection.close(force=True)
            raise
        connection.set_wal_hook(self._on_wal)
        self.connection = connection

    def _on_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages < self.wal_pages:  # it has started over
            self._checkpoint_at = CHECKPOINT_PAGES
        self.wal_pages = pages
        return 0

    def _load(self, connection: apsw.Connection) -> None:
        states = {
            series: State(*rest)
            for series, *rest in connection.execute(
                "SELECT series, at_ms, seq, offset_min, flags FROM streams WHERE seq > 0"
            )
        }
        unflushed: dict[int, _Unflushed] = {}
        tail: int = connection.execute("SELECT value FROM meta WHERE key = 'tail_seq'").get
        last = segments.last_seq(connection)
        while tail < last:
            block = segments.entries(connection, tail, 10_000)
            for entry in block:
                if entry.flags & BACKFILLED:
                    continue
                state = states.get(entry.series)
                if state is None or entry.seq > state.seq:
                    states[entry.series] = State(
                        entry.at_ms, entry.seq, entry.offset_min, entry.flags
                    )
                    _note(unflushed, entry)
            tail = block[-1].seq
        self.states, self.last_seq = states, last
        self._unflushed, self._flushing = unflushed, []
        self._newest = last_segment(connection)

    def close(self) -> None:
        """Close the file as it stands."""
        if self.connection is not None:
            self.connection.close(force=True)
            self.connection = None

    def entry(self, series: int, seq: int) -> Entry:
        """Return the latest packet of a stream, from its segment or from the stream's row."""
        assert self.connection is not None
        found = segments.entry(self.connection, seq) or segments.latest(
            self.connection, series, seq
        )
        assert found is not None, seq
        return found

    def batch(self) -> Batch:
        """Return an empty batch that continues the log."""
        return Batch(self.states, self.last_seq + 1, self.entry)

    def commit(self, batch: Batch, chores: Sequence[Chore] = (), *, flush: bool = False) -> None:
        """Write a batch and what else is due, all or nothing, and then let the gate know.

        Args:
            batch: Decisions since the last commit; can be empty.
            chores: What else to write in the same transaction.
            flush: Bring streams' rows up to date even if the tail is short.

        Raises:
            apsw.Error: Nothing was written, and the gate is as it was.
        """
        assert self.connection is not None
        connection = self.connection
        flushed = self._due(len(batch.entries), all_streams=flush)
        newest = self._newest
        connection.execute("BEGIN IMMEDIATE")
        try:
            newest = segments.append(connection, batch.entries, newest, self._segment_rows)
            self._write_streams(connection, flushed)
            _write_discards(connection, batch)
            backfills.write(connection, batch.backfilled)
            kept.put_in(
                connection,
                [
                    (one.entry.series, one.entry.at_ms, digest(one.values))
                    for one in batch.backfilled
                ],
            )
            for series, ids in batch.removals:
                kept.dismiss(connection, series, ids)
            for chore in chores:
                chore(connection)
            connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        del self._flushing[len(self._flushing) - len(flushed) :]
        for series in flushed:
            del self._unflushed[series]
        for entry in batch.entries:
            if not entry.flags & BACKFILLED:
                _note(self._unflushed, entry)
        self._newest = newest
        self.states.update(batch.changed)
        self.last_seq = batch.next_seq - 1

    def _undo(self) -> None:
        assert self.connection is not None
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except apsw.Error:
            self.close()

    def flush(self) -> None:
        """Bring every stream's row up to date, some in each transaction."""
        while self._unflushed:
            self.commit(self.batch(), flush=True)

    def drop_segments(self, stored_seq: int, received_before_ms: int) -> bool:
        """Drop what the platform has stored and nobody will want to replay.

        Args:
            stored_seq: The platform's cursor.
            received_before_ms: End of the retention time [ms since 1970, UTC].

        Returns:
            Whether any were dropped.
        """
        assert self.connection is not None
        dropped = False
        for segment in segments.closed(self.connection):
            if segment.last_seq > stored_seq or segment.last_received_ms >= received_before_ms:
                break
            if self._tail() <= segment.last_seq:
                self.flush()
            self.commit(self.batch(), [lambda c, one=segment: segments.drop(c, one)])  # type: ignore[misc]
            dropped = True
        return dropped

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file when it has grown.

        A reader that is in the middle of it keeps it from starting over; then we try again
        some pages later, and at 64 MB wait for the reader, but not long.

        Returns:
            Whether there was a need.

        Raises:
            apsw.Error: It could not; nothing is lost, and a later call tries again.
        """
        if self.connection is None or self.wal_pages < self._checkpoint_at:
            return False
        self._checkpoint_at = self.wal_pages + CHECKPOINT_PAGES // 4
        if self.wal_pages < CHECKPOINT_PAGES_FORCED:
            self.connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_PASSIVE)
            return True
        self._checkpoint_at = self.wal_pages + CHECKPOINT_PAGES
        self.connection.set_busy_timeout(BUSY_FORCED_MS)
        try:
            self.connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_RESTART)
        finally:
            self.connection.set_busy_timeout(BUSY_MS)
        return True

    def finish(self) -> bool:
        """Bring the file in order for a long rest: rows up to date, no write-ahead log."""
        self.flush()
        if self.connection is not None:
            self.connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        return True

    def _tail(self) -> int:
        """Return the first sequence number that some stream's row does not know."""
        oldest = next(iter(self._unflushed.values()), None)
        return oldest.first_seq if oldest else self.last_seq + 1

    def _due(self, packets: int, *, all_streams: bool) -> list[int]:
        """Return the streams to write next: once the tail is long, all of them in turn."""
        if not self._flushing and (all_streams or self.last_seq - self._tail() >= TAIL_ROWS_MAX):
            self._flushing = sorted(self._unflushed, reverse=True)
        return self._flushing[-max(FLUSH_STREAMS, FLUSH_SHARE * packets) :]

    def _write_streams(self, connection: apsw.Connection, due: list[int]) -> None:
        if not due:
            return
        rows = []
        for series in reversed(due):
            state, behind = self.states[series], self._unflushed[series]
            rows.append(
                (
                    series, state.seq, state.at_ms, state.offset_min, state.flags,
                    behind.received_ms, behind.credential_id, behind.accepted,
                )
            )  # fmt: skip
        insert_many(connection, _STREAM, rows, _STREAM_AGAIN)
        written = set(due)
        rest = (one for series, one in self._unflushed.items() if series not in written)
        oldest = next(rest, None)
        tail = oldest.first_seq - 1 if oldest else self.last_seq
        connection.execute("UPDATE meta SET value = ? WHERE key = 'tail_seq'", (tail,))


def _note(unflushed: dict[int, _Unflushed], entry: Entry) -> None:
    behind = unflushed.get(entry.series)
    if behind is None:
        behind = unflushed[entry.series] = _Unflushed(entry.seq)
    behind.accepted += 1
    behind.received_ms = entry.received_ms
    behind.credential_id = entry.credential_id


def _write_discards(connection: apsw.Connection, batch: Batch) -> None:
    if not batch.discards:
        return
    kept.keep_discards(connection, batch.discards)
    counts: dict[int, tuple[int, int]] = {}
    for discard in batch.discards:
        sent = discard.submission
        counts[sent.series] = (counts.get(sent.series, (0, 0))[0] + 1, sent.received_ms)
    insert_many(
        connection,
        "streams(series, discarded, last_discarded_ms)",
        [(series, *count) for series, count in counts.items()],
        _DISCARDED_AGAIN,
    )


def write_loose(connection: apsw.Connection, loose: dict[int, Loose]) -> None:
    """Add counts of duplicate and refused packets to their streams' rows."""
    insert_many(
        connection,
        "streams(series, duplicate, refused, last_duplicate_ms, last_refused_ms)",
        [(series, *counts) for series, counts in loose.items()],
        _LOOSE_AGAIN,
    )
