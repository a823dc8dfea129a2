"""Segments: runs of packets in a table of their own, so that old ones are dropped whole."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from kilowatch.log.records import Arrival, Entry
from kilowatch.log.schema import SEGMENT, insert_many, last_segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import apsw

SEGMENT_ROWS: Final = 100_000  # 25 MB of 200-byte bodies; dropping one takes 10 to 20 ms
ARRIVAL: Final = "seq, series, at_ms, offset_min, flags, received_ms, credential_id"
COLUMNS: Final = "seq, series, at_ms, offset_min, flags, received_ms, credential_id, body"


class Segment(NamedTuple):
    """A closed segment and what can be found in it (both ends are inside)."""

    first_seq: int
    last_seq: int
    last_received_ms: int


def append(
    connection: apsw.Connection, entries: Sequence[Entry], newest: int, rows_max: int
) -> int:
    """Write entries behind the log's end and open new segments as they fill.

    Args:
        connection: Inside a transaction.
        entries: In order of their sequence numbers, without a gap.
        newest: First sequence number of the newest segment; 0 if there is none.
        rows_max: Packets in a segment.

    Returns:
        First sequence number of the newest segment afterwards.
    """
    start = 0
    while start < len(entries):
        seq = entries[start].seq
        if not newest or seq >= newest + rows_max:
            _open(connection, newest, seq)
            newest = seq
        room = newest + rows_max - seq
        into = f"packets_{newest}({COLUMNS})"
        insert_many(connection, into, entries[start : start + room])
        start += room
    return newest


def _open(connection: apsw.Connection, previous: int, first: int) -> None:
    """Close the newest segment, noting what it spans, and begin the next."""
    if previous:
        connection.execute(
            "UPDATE segments SET (last_seq, first_at_ms, last_at_ms, last_received_ms) ="
            f" (SELECT max(seq), min(at_ms), max(at_ms), max(received_ms) FROM packets_{previous})"
            " WHERE first_seq = ?",
            (previous,),
        )
    connection.execute(SEGMENT.format(first=first))
    connection.execute("INSERT INTO segments(first_seq) VALUES (?)", (first,))


def closed(connection: apsw.Connection) -> list[Segment]:
    """Return the closed segments, oldest first."""
    return [
        Segment(*row)
        for row in connection.execute(
            "SELECT first_seq, last_seq, last_received_ms FROM segments"
            " WHERE last_seq NOT NULL ORDER BY first_seq"
        )
    ]


def drop(connection: apsw.Connection, segment: Segment) -> None:
    """Drop a segment; streams whose latest packet is in it keep that packet's body.

    The rows of those streams must be up to date, and the newest segment is never
    dropped: its sequence numbers say where to go on.
    """
    assert segment.first_seq != last_segment(connection)
    connection.execute(
        f"UPDATE streams SET body = p.body FROM packets_{segment.first_seq} AS p"
        " WHERE p.seq = streams.seq AND streams.seq BETWEEN ? AND ?",
        (segment.first_seq, segment.last_seq),
    )
    connection.execute(f"DROP TABLE packets_{segment.first_seq}")
    connection.execute("DELETE FROM segments WHERE first_seq = ?", (segment.first_seq,))


def firsts(connection: apsw.Connection) -> list[int]:
    """Return the first sequence number of every segment, oldest first."""
    return [
        first
        for (first,) in connection.execute("SELECT first_seq FROM segments ORDER BY first_seq")
    ]


def last_seq(connection: apsw.Connection) -> int:
    """Return the largest sequence number in the log, or 0."""
    newest = last_segment(connection)
    if not newest:
        return 0
    found: int = connection.execute(f"SELECT max(seq) FROM packets_{newest}").get
    return found


def entries(connection: apsw.Connection, after_seq: int, limit: int) -> list[Entry]:
    """Return entries after a sequence number, oldest first, inside one read transaction.

    Args:
        connection: Any connection to the log.
        after_seq: The last sequence number that is not wanted.
        limit: Most entries to return.
    """
    found: list[Entry] = []
    for first in _reaching(connection, after_seq):
        if len(found) >= limit:
            break
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM packets_{first} WHERE seq > ? ORDER BY seq LIMIT ?",
            (after_seq, limit - len(found)),
        )
        found.extend(map(Entry._make, rows))
    return found


def arrivals(connection: apsw.Connection, after_seq: int, limit: int) -> list[Arrival]:
    """Return the same as ``entries`` without the bodies, a third of the work."""
    found: list[Arrival] = []
    for first in _reaching(connection, after_seq):
        if len(found) >= limit:
            break
        rows = connection.execute(
            f"SELECT {ARRIVAL} FROM packets_{first} WHERE seq > ? ORDER BY seq LIMIT ?",
            (after_seq, limit - len(found)),
        )
        found.extend(map(Arrival._make, rows))
    return found


def entry(connection: apsw.Connection, seq: int) -> Entry | None:
    """Return one entry, or None if its segment is gone or not yet written."""
    first: int | None = connection.execute(
        "SELECT max(first_seq) FROM segments WHERE first_seq <= ?", (seq,)
    ).get
    if not first:
        return None
    row = next(
        connection.execute(f"SELECT {COLUMNS} FROM packets_{first} WHERE seq = ?", (seq,)),
        None,
    )
    return row and Entry._make(row)


def latest(connection: apsw.Connection, series: int, seq: int) -> Entry | None:
    """Return a stream's latest packet whose segment was dropped, from the stream's row."""
    row = next(
        connection.execute(
            f"SELECT {COLUMNS} FROM streams WHERE series = ? AND seq = ? AND body NOT NULL",
            (series, seq),
        ),
        None,
    )
    return row and Entry._make(row)


def tail(
    connection: apsw.Connection, after_seq: int, series: Sequence[int] | None
) -> Iterator[tuple[int, int, int]]:
    """Yield series, sequence number and time of receipt of entries, without their bodies."""
    where = f" AND series = {int(series[0])}" if series is not None and len(series) == 1 else ""
    for first in _reaching(connection, after_seq):
        yield from connection.execute(
            f"SELECT series, seq, received_ms FROM packets_{first} WHERE seq > ?{where}",
            (after_seq,),
        )


def find(connection: apsw.Connection, series: int, at_ms: int) -> Entry | None:
    """Return the last entry of a stream and instant, or None."""
    spanning = connection.execute(
        "SELECT first_seq FROM segments WHERE last_seq IS NULL"
        " OR ? BETWEEN first_at_ms AND last_at_ms ORDER BY first_seq DESC",
        (at_ms,),
    )
    for (first,) in spanning.fetchall():
        row = next(
            connection.execute(
                f"SELECT {COLUMNS} FROM packets_{first} WHERE series = ? AND at_ms = ?"
                " ORDER BY seq DESC LIMIT 1",
                (series, at_ms),
            ),
            None,
        )
        if row is not None:
            return Entry._make(row)
    return None


def _reaching(connection: apsw.Connection, after_seq: int) -> list[int]:
    """Return the segments that hold anything after a sequence number."""
    starts = [*firsts(connection), sys.maxsize]
    return [first for first, following in pairwise(starts) if following > after_seq + 1]
