"""Copy a log while packets come: closed segments one by one, the rest at one moment, and join them.

A long read would keep the write-ahead log from starting over, and the writer would wait for us.
Closed segments never change, so each is copied in reads of some milliseconds; what changes is
copied last, in one read. All of it together is the log as it was at that moment.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import apsw

from kilowatch.log.records import BACKFILLED
from kilowatch.log.schema import BUSY_MS, check_header, corrupt
from kilowatch.model.errors import KilowatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

SLICE_ROWS: Final = 20_000  # 40 ms of reading
_CLOSED: Final = "SELECT first_seq FROM source.segments WHERE last_seq NOT NULL ORDER BY first_seq"
_NAMES: Final = (
    "SELECT name, sql FROM source.sqlite_master WHERE sql NOT NULL AND name NOT LIKE 'sqlite_%'"
    " AND name NOT LIKE 'packets_%' ORDER BY type = 'index', rowid"
)


class Copied(NamedTuple):
    """What the log held at the moment of its copy.

    Attributes:
        first_seq: Number of the first packet; 0 in an empty log.
        last_seq: Of the last one.
        packets: How many the log held.
        accepted: How many were ever accepted, in order or into history.
        last_received_ms: When the last one came [ms since 1970, UTC], or None.
    """

    first_seq: int
    last_seq: int
    packets: int
    accepted: int
    last_received_ms: int | None


def closed_segments(log: Path) -> list[int]:
    """Return the first numbers of the segments that will not change any more, oldest first.

    Raises:
        KilowatchError: 503 ``log_unreadable``.
    """
    with _between(log, None) as connection:
        return [first for (first,) in connection.execute(_CLOSED)]


def copy_segment(log: Path, first: int, to: Path) -> bool:
    """Copy a closed segment into a file of its own.

    Args:
        log: The log, in use.
        first: First sequence number of the segment.
        to: The new file.

    Returns:
        Whether it is still there: a segment that the store has may be dropped at any moment.

    Raises:
        KilowatchError: 503 ``log_unreadable``.
        OSError: The copy can't be written.
    """
    insert = (
        f"INSERT INTO main.packets_{first} SELECT * FROM source.packets_{first}"
        " WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    with _between(log, to) as connection:
        _create(connection, first)
        after, copied = 0, SLICE_ROWS
        while copied:
            with connection:
                there = _there(connection, first)
                if there:
                    connection.execute(insert, (after, SLICE_ROWS))
            if not there:
                break
            after, copied = connection.last_insert_rowid(), connection.changes()
    return there


def copy_rest(log: Path, to: Path, without: Collection[int]) -> Copied:
    """Copy everything but some closed segments, all of it as it is at one moment.

    Args:
        log: The log, in use.
        to: The new file.
        without: First numbers of segments that were copied before.

    Raises:
        KilowatchError: 503 ``log_unreadable``.
        OSError: The copy can't be written.
    """
    with _between(log, to) as connection, connection:
        made: list[Any] = connection.execute(_NAMES).fetchall()
        for name, sql in made:
            connection.execute(sql)
            if not sql.startswith("CREATE TABLE"):
                continue
            connection.execute(f"INSERT INTO main.{name} SELECT * FROM source.{name}")
        connection.execute("DELETE FROM main.sqlite_sequence")
        connection.execute("INSERT INTO main.sqlite_sequence SELECT * FROM source.sqlite_sequence")
        found = [first for (first,) in connection.execute("SELECT first_seq FROM main.segments")]
        for first in found:
            if first not in without:
                _create(connection, first)
                connection.execute(
                    f"INSERT INTO main.packets_{first} SELECT * FROM source.packets_{first}"
                )
        for pragma in ("application_id", "user_version"):
            value = connection.execute(f"PRAGMA source.{pragma}").get
            connection.execute(f"PRAGMA main.{pragma} = {value}")
        firsts = sorted(found)
        copied = _copied(connection, firsts)
    assert len(firsts) <= max(copied.packets, 0)  # each begins with a packet
    return copied


def join(log: Path, piece_of: Callable[[int], Path | None]) -> None:
    """Put copied segments into the copy of the rest: then it is a whole log.

    Args:
        log: What ``copy_rest`` has written; nobody else has it.
        piece_of: Returns the file of the segment with that first number, or None.

    Raises:
        KilowatchError: ``log_corrupt``, or ``log_version``: a later program has written it.
        OSError: It can't be written.
    """
    with _answering(log):
        connection = apsw.Connection(str(log), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            check_header(connection, log)
            connection.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            rows = "SELECT first_seq, last_seq FROM segments ORDER BY first_seq"
            segments: list[Any] = connection.execute(rows).fetchall()
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            for first, last in segments:
                if f"packets_{first}" not in there:
                    _take_in(connection, log, first, piece_of(first))
                _check_rows(connection, log, first, last)
            for (_, last), (first, _) in pairwise(segments):
                if last is None or last + 1 != first:
                    raise corrupt(log, f"packets are missing before number {first}")
            if (found := connection.pragma("quick_check")) != "ok":
                raise corrupt(log, str(found).splitlines()[0])
            connection.execute("PRAGMA synchronous = FULL; PRAGMA journal_mode = WAL")
            connection.wal_checkpoint(None, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()
        handle = os.open(log, os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_in(connection: apsw.Connection, log: Path, first: int, piece: Path | None) -> None:
    if piece is None or not piece.exists():
        raise corrupt(log, f"the segment that begins with packet {first} is missing")
    connection.execute("ATTACH ? AS source", (str(piece),))
    _create(connection, first)
    connection.execute(f"INSERT INTO main.packets_{first} SELECT * FROM source.packets_{first}")
    connection.execute("DETACH source")


def _check_rows(connection: apsw.Connection, log: Path, first: int, last: int | None) -> None:
    lowest, highest, count = next(
        connection.execute(f"SELECT min(seq), max(seq), count(*) FROM packets_{first}")
    )
    whole = lowest == first and highest - lowest + 1 == count
    if not whole or (last is not None and last != highest):
        raise corrupt(log, f"packets are missing after number {first}")


def _copied(connection: apsw.Connection, firsts: list[int]) -> Copied:
    """Return what the log holds; ``reader`` tells why streams' rows do not count all of it."""
    if not firsts:
        return Copied(0, 0, 0, 0, None)
    newest = firsts[-1]
    last, received_ms = next(
        connection.execute(
            f"SELECT seq, received_ms FROM source.packets_{newest} ORDER BY seq DESC LIMIT 1"
        )
    )
    has_backfilled = any(
        row[1] == "backfilled" for row in connection.execute("PRAGMA source.table_info(streams)")
    )
    counted = "accepted + backfilled" if has_backfilled else "accepted"
    accepted: int = connection.execute(f"SELECT total({counted}) FROM source.streams").get
    tail: int = connection.execute("SELECT value FROM source.meta WHERE key = 'tail_seq'").get
    for first, following in pairwise([*firsts, last + 1]):
        if following > tail + 1:
            accepted += connection.execute(
                f"SELECT count(*) FROM source.packets_{first} AS p"
                " LEFT JOIN source.streams AS s ON s.series = p.series"
                f" WHERE p.seq > ? AND p.flags < {BACKFILLED} AND p.seq > ifnull(s.seq, 0)",
                (tail,),
            ).get
    return Copied(firsts[0], last, last - firsts[0] + 1, int(accepted), received_ms)


def _there(connection: apsw.Connection, first: int) -> bool:
    found = connection.execute("SELECT 1 FROM source.segments WHERE first_seq = ?", (first,))
    return found.fetchone() is not None


def _create(connection: apsw.Connection, first: int) -> None:
    """Make the table of a segment as the source has it; nothing where it is gone."""
    sql: str | None = connection.execute(
        "SELECT sql FROM source.sqlite_master WHERE name = ?", (f"packets_{first}",)
    ).get
    if sql is not None:
        connection.execute(sql)


@contextmanager
def _between(log: Path, to: Path | None) -> Iterator[apsw.Connection]:
    """Open a new file, or one in memory, with the log beside it as ``source``, read-only."""
    with _answering(log):
        if to is not None:
            to.touch(mode=0o600, exist_ok=False)
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(":memory:" if to is None else str(to), flags=flags)
        try:
            connection.set_busy_timeout(BUSY_MS)
            connection.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            connection.execute("ATTACH ? AS source", (f"{log.absolute().as_uri()}?mode=ro",))
            yield connection
        finally:
            connection.close(force=True)


@contextmanager
def _answering(log: Path) -> Iterator[None]:
    try:
        yield
    except apsw.FullError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log)) from error
    except apsw.Error as error:
        raise KilowatchError(
            "log_unreadable",
            f"The log {log} cannot be read: {error}.",
            status=503,
            remedy="Look at `kilowatch status` and at the disk.",
            retry_helps=True,
        ) from error
