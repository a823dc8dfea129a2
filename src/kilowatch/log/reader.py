"""Read the log from any process: read-only, briefly, and always a consistent state."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from kilowatch.log import kept, segments
from kilowatch.log.kept import owner_of
from kilowatch.log.records import Arrival, Counters, Entry, Head, KeptPacket
from kilowatch.log.schema import open_for_reading
from kilowatch.model.errors import KilowatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

_COUNTERS: Final = (
    "series, seq, accepted, duplicate, discarded, refused,"
    " received_ms, last_duplicate_ms, last_discarded_ms, last_refused_ms"
)


class LogReader:
    """The log as the platform, the pages and the commands see it.

    Threads may share one. Before the log exists it is an empty one. Every method is one
    read transaction: a long one would keep the writer's WAL from starting over. Each of
    them raises ``KilowatchError`` 503 ``log_unreadable`` when the file cannot be read.

    Args:
        path: The log's file.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._drop_connection()

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection | None]:
        """Give a connection inside a read transaction, or None where there is no log."""
        with self._lock:
            if self._connection is None and not self._path.exists():
                yield None
                return
            try:
                if self._connection is None:
                    self._connection = open_for_reading(self._path)
                self._connection.execute("BEGIN")
                yield self._connection
                self._connection.execute("ROLLBACK")
            except apsw.Error as error:
                self._drop_connection()
                raise KilowatchError(
                    "log_unreadable",
                    f"The log {self._path} cannot be read: {error}.",
                    status=503,
                    retry_helps=True,
                ) from error
            except BaseException:
                self._drop_connection()
                raise

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close(force=True)
            self._connection = None

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number, oldest first.

        If segments have been dropped, the first entry's number shows the gap.

        Args:
            after_seq: The last sequence number that is not wanted; 0 for the beginning.
            limit: Most entries to return.
        """
        with self._reading() as connection:
            return [] if connection is None else segments.entries(connection, after_seq, limit)

    def arrivals(self, after_seq: int, limit: int = 20_000) -> list[Arrival]:
        """Return that packets came after a sequence number, oldest first, without their bodies."""
        with self._reading() as connection:
            return [] if connection is None else segments.arrivals(connection, after_seq, limit)

    def last_arrivals(self) -> tuple[int, list[Arrival]]:
        """Return the latest packet of each stream, as far as it is known without a long look.

        Returns:
            A sequence number, and for each stream that had packets up to there the last of
            them or a later one; ``arrivals`` after that number has the rest.
        """
        with self._reading() as connection:
            if connection is None:
                return 0, []
            tail: int = connection.execute("SELECT value FROM meta WHERE key = 'tail_seq'").get
            rows = connection.execute(f"SELECT {segments.ARRIVAL} FROM streams WHERE seq > 0")
            return tail, [Arrival._make(row) for row in rows]

    def last_seq(self) -> int:
        """Return the largest sequence number, or 0."""
        with self._reading() as connection:
            return 0 if connection is None else segments.last_seq(connection)

    def first_seq(self) -> int:
        """Return the smallest sequence number that the log still holds, or 0."""
        with self._reading() as connection:
            return 0 if connection is None else next(iter(segments.firsts(connection)), 0)

    def at(self, seq: int) -> Entry | None:
        """Return the entry with a sequence number, while the log still holds it."""
        with self._reading() as connection:
            return None if connection is None else segments.entry(connection, seq)

    def latest(self, series: int, seq: int) -> Entry | None:
        """Return a stream's latest entry, whose number is known; it outlives its segment."""
        with self._reading() as connection:
            if connection is None:
                return None
            return segments.entry(connection, seq) or segments.latest(connection, series, seq)

    def entry(self, series: int, at_ms: int) -> Entry | None:
        """Return a stream's entry of an instant (the last one, of merged packets).

        This looks through every segment that spans the instant, 10 ms each: it is for a
        person's question, not for a loop.

        Args:
            series: Key of the data stream.
            at_ms: Pushed instant [ms since 1970, UTC].
        """
        with self._reading() as connection:
            return None if connection is None else segments.find(connection, series, at_ms)

    def head(self, series: int) -> Head | None:
        """Return a stream's latest packet and its counters, or None if it never had one."""
        with self._reading() as connection:
            if connection is None:
                return None
            counters, seq = _counters(connection, [series]).get(series, (Counters(), 0))
            if not seq:
                return None
            entry = segments.entry(connection, seq) or segments.latest(connection, series, seq)
            return entry and Head(entry, counters)

    def counters(self, series: Sequence[int] | None = None) -> dict[int, Counters]:
        """Return how packets were answered, for the streams named or for all that had any."""
        with self._reading() as connection:
            if connection is None:
                return {}
            return {one: found for one, (found, _) in _counters(connection, series).items()}

    def kept(self, series: int, limit: int = 100, offset: int = 0) -> list[KeptPacket]:
        """Return a stream's discarded and refused packets, the one that came last first."""
        with self._reading() as connection:
            return [] if connection is None else kept.read(connection, series, limit, offset)

    def kept_unknown(
        self, organisation_id: int, limit: int = 100, offset: int = 0
    ) -> list[KeptPacket]:
        """Return an organisation's refused packets that name no stream of it."""
        owner = owner_of(None, organisation_id)
        with self._reading() as connection:
            return [] if connection is None else kept.read(connection, owner, limit, offset)


def _counters(
    connection: apsw.Connection, series: Sequence[int] | None
) -> dict[int, tuple[Counters, int]]:
    """Return counters and the latest sequence number by series.

    A stream's row knows everything up to its own sequence number; the packets behind
    it are in the tail of the log.
    """
    found: dict[int, tuple[Counters, int]] = {}
    wanted = None if series is None else set(series)
    for one, seq, accepted, duplicate, discarded, refused, *times in _rows(connection, series):
        counters = Counters(accepted, duplicate, discarded, refused, *times)
        found[one] = (counters, seq)
    tail: int = connection.execute("SELECT value FROM meta WHERE key = 'tail_seq'").get
    behind: dict[int, tuple[int, int, int]] = {}
    for one, seq, received_ms in segments.tail(connection, tail, series):
        if (wanted is None or one in wanted) and (one not in found or seq > found[one][1]):
            behind[one] = (behind.get(one, (0, 0, 0))[0] + 1, seq, received_ms)
    for one, (count, seq, received_ms) in behind.items():
        counters = found.get(one, (Counters(), 0))[0]
        found[one] = (
            replace(counters, accepted=counters.accepted + count, last_accepted_ms=received_ms),
            seq,
        )
    return found


def _rows(connection: apsw.Connection, series: Sequence[int] | None) -> Iterator[tuple[int, ...]]:
    if series is None:
        yield from connection.execute(f"SELECT {_COUNTERS} FROM streams")
        return
    for one in series:
        yield from connection.execute(
            f"SELECT {_COUNTERS} FROM streams WHERE series = ?",
            (one,),
        )
