"""Silences on disk: those that are open, and the durable, numbered feed of what changed.

One small SQLite file of its own. Whoever tells people reads the feed after the number that it
has dealt with; a silence is in it when it is found, and once more when it has ended. Numbers rise
and are never given twice, whatever is killed and whichever copy of the file is put back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import apsw
import msgspec
import structlog

from kilowatch.model.lengths import DAY_MS
from kilowatch.model.silences import Silence
from kilowatch.pipeline.damaged import opened_or_anew
from kilowatch.pipeline.hearing import Heard

logger = structlog.get_logger("silences")

KEPT_MS = 400 * DAY_MS  # a feed that nobody reads for more than a year is no feed

_SILENCE = (
    "series, data_point_id, organisation_id, site_id, credential_id, last_ms, due_ms, found_ms,"
    " ended_ms"
)
_COLUMNS = ", ".join(
    f"{name} INTEGER{'' if name == 'ended_ms' else ' NOT NULL'}" for name in _SILENCE.split(", ")
)
_TABLES = f"""
CREATE TABLE IF NOT EXISTS change (number INTEGER PRIMARY KEY AUTOINCREMENT, {_COLUMNS});
CREATE TABLE IF NOT EXISTS open (last_seq INTEGER NOT NULL, {_COLUMNS}, UNIQUE (series));
CREATE TABLE IF NOT EXISTS heard (series INTEGER PRIMARY KEY, state BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
"""
_MARKS = ", ".join("?" * 9)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Heard).decode


class Silences:
    """What is silent now, and what has changed; readers may be in any thread.

    Args:
        path: The file; created if it is not there.
        now_ms: The time at which it is opened [ms since 1970, UTC].
    """

    def __init__(self, path: Path, now_ms: int) -> None:
        self._lock = threading.Lock()
        # Nothing in it is lost for good: what lasts is found again, under larger numbers.
        self._connection = opened_or_anew(path, _opened, now_ms, logger, "silences.broken")
        with self._connection:
            self._connection.execute(
                "DELETE FROM change WHERE found_ms < ? AND ended_ms < ?", (now_ms - KEPT_MS,) * 2
            )
            self._number_from(now_ms)
        self._open = {
            silence.series: (silence, last_seq)
            for last_seq, *columns in self._connection.execute(
                f"SELECT last_seq, {_SILENCE} FROM open"
            )
            for silence in (Silence(*columns),)
        }

    def _number_from(self, now_ms: int) -> None:
        """Never give a number twice, also when this file is new or an older copy of itself.

        There are fewer changes than milliseconds, so the time is larger than every number.
        """
        known: int | None = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'change'"
        ).get
        if known is None:
            self._connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ('change', ?)", (now_ms,)
            )
        elif known < now_ms:
            self._connection.execute(
                "UPDATE sqlite_sequence SET seq = ? WHERE name = 'change'", (now_ms,)
            )

    def open(self) -> list[Silence]:
        """Return the silences that last, by series."""
        with self._lock:
            return [silence for _, (silence, _) in sorted(self._open.items())]

    def series(self) -> frozenset[int]:
        """Return the streams that are silent."""
        with self._lock:
            return frozenset(self._open)

    def changes(self, after: int, limit: int) -> list[tuple[int, Silence]]:
        """Return what changed after a number, oldest first: found, or ended.

        Args:
            after: The last number that the caller has dealt with; 0 for everything kept.
            limit: Most changes to return.
        """
        with self._lock:
            rows: list[Any] = self._connection.execute(
                f"SELECT number, {_SILENCE} FROM change WHERE number > ? ORDER BY number LIMIT ?",
                (after, limit),
            ).fetchall()
        return [(number, Silence(*columns)) for number, *columns in rows]

    def last_number(self) -> int:
        """Return the number of the newest change, or where numbering begins."""
        with self._lock:
            found: int = self._connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'change'"
            ).get
        return found

    def of(self, series: int) -> tuple[Silence, int] | None:
        """Return a stream's open silence and the last packet before it."""
        return self._open.get(series)

    def found(self, silences: Iterable[tuple[Silence, int]]) -> None:
        """Announce silences, durably and together; each with the last packet before it."""
        new = list(silences)
        with self._lock:
            with self._connection:
                self._tell(silence for silence, _ in new)
                self._connection.executemany(
                    f"INSERT INTO open (last_seq, {_SILENCE}) VALUES (?, {_MARKS})",
                    [(last_seq, *astuple(silence)) for silence, last_seq in new],
                )
            self._open.update({silence.series: (silence, seq) for silence, seq in new})

    def ended(self, ended_ms: Mapping[int, int]) -> None:
        """Announce the end of open silences, durably and together.

        Args:
            ended_ms: By series, the arrival that ended it [ms since 1970, UTC].
        """
        over = [
            replace(self._open[series][0], ended_ms=at_ms) for series, at_ms in ended_ms.items()
        ]
        with self._lock:
            with self._connection:
                self._tell(over)
                self._connection.executemany(
                    "DELETE FROM open WHERE series = ?", [(series,) for series in ended_ms]
                )
            for series in ended_ms:
                del self._open[series]

    def _tell(self, silences: Iterable[Silence]) -> None:
        self._connection.executemany(
            f"INSERT INTO change ({_SILENCE}) VALUES ({_MARKS})", map(astuple, silences)
        )

    # What the watch remembers between two starts.

    def load(self) -> tuple[int | None, dict[int, Heard]]:
        """Return how far the log was heard, None if it never was, and what of each stream."""
        seq = self._connection.execute("SELECT max(seq) FROM cursor").get
        rows = self._connection.execute("SELECT series, state FROM heard")
        return seq, {series: _decode(state) for series, state in rows}

    def save(self, seq: int, heard: Mapping[int, Heard]) -> None:
        """Remember how far the log was heard, and the streams that spoke since the last time."""
        packed = [(series, _encode(one)) for series, one in heard.items()]
        with self._lock, self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO heard VALUES (?, ?)", packed)
            self._connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", (seq,))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._connection.close()


def _opened(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(10_000)
        connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        with connection:
            connection.execute(_TABLES)
        path.chmod(0o600)
    except BaseException:
        connection.close(force=True)
        raise
    return connection
