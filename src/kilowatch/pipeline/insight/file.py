"""What insights keep: one SQLite file of their own.

A stream's state, its cursor and everything that was found in the same hours move in one
transaction. So a crash at any moment leads back to a point from which the same hours give the
same findings under the same names.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import msgspec
import numpy as np

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind, InsightEvent

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE stream (
        series INTEGER PRIMARY KEY, generation INTEGER NOT NULL, zone TEXT NOT NULL,
        birth_ms INTEGER NOT NULL, cursor_ms INTEGER NOT NULL, state BLOB NOT NULL);
    CREATE TABLE event (
        id TEXT PRIMARY KEY, series INTEGER NOT NULL, kind TEXT NOT NULL,
        start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, open INTEGER NOT NULL,
        found_ms INTEGER NOT NULL, amount REAL, confidence REAL NOT NULL,
        evidence BLOB NOT NULL, model TEXT NOT NULL, cause TEXT NOT NULL, others BLOB NOT NULL)
        WITHOUT ROWID;
    CREATE INDEX event_of ON event (series, end_ms);
    CREATE INDEX event_found ON event (found_ms);
    CREATE TABLE former (
        id TEXT PRIMARY KEY, series INTEGER NOT NULL, kind TEXT NOT NULL,
        start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX former_of ON former (series);
    CREATE TABLE expected (
        series INTEGER NOT NULL, start_ms INTEGER NOT NULL, made_ms INTEGER NOT NULL,
        source TEXT NOT NULL, model TEXT NOT NULL, band BLOB NOT NULL,
        PRIMARY KEY (series, start_ms)) WITHOUT ROWID;
    CREATE TABLE waste (
        series INTEGER NOT NULL, start_ms INTEGER NOT NULL,
        amounts BLOB NOT NULL, kinds BLOB NOT NULL,
        PRIMARY KEY (series, start_ms)) WITHOUT ROWID;
    CREATE TABLE shape (
        series INTEGER PRIMARY KEY, standing BLOB NOT NULL, opening BLOB NOT NULL);
    CREATE TABLE model (
        version TEXT PRIMARY KEY, utility TEXT NOT NULL, from_ms INTEGER NOT NULL,
        trained_on BLOB NOT NULL, quality BLOB NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;
    """,
)
"""Statements that lead from one version of the file to the next; the first make version 1."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

_EVENT = "id, series, kind, start_ms, end_ms, open, found_ms, amount, confidence, evidence, model"


@dataclass(frozen=True, slots=True)
class Kept:
    """How far a stream's insights are.

    Attributes:
        generation: Of the grid that they rest on.
        zone: Of its site.
        birth_ms: Start of the local day of its first reading [ms since 1970, UTC].
        cursor_ms: Everything before this hour has been looked at [ms since 1970, UTC].
    """

    generation: int
    zone: str
    birth_ms: int
    cursor_ms: int


@dataclass(frozen=True, slots=True)
class Band:
    """Expected hours of a stream, made at one moment.

    Attributes:
        series: The stream.
        start_ms: First hour [ms since 1970, UTC].
        made_ms: When it was known, in the time of the data [ms since 1970, UTC].
        source: Which model said so.
        model: Its version.
        rate: ``QUANTILES`` by hours, shape (5, hours) [W or m³/h].
    """

    series: int
    start_ms: int
    made_ms: int
    source: str
    model: str
    rate: Floats


@dataclass(frozen=True, slots=True)
class WasteRow:
    """Waste of one stream in hours that follow each other.

    Attributes:
        series: The stream.
        start_ms: First hour [ms since 1970, UTC].
        amount: Waste in each hour, shape (hours,) [Wh or m³].
        kind: Index into ``list(EventKind)``, −1 where there is none, shape (hours,).
    """

    series: int
    start_ms: int
    amount: Floats
    kind: Ints


@dataclass(slots=True)
class Commit:
    """What moves together.

    Attributes:
        kept: By series, how far its insights are from now on, and its state.
        events: New ones, and those that have grown or ended.
        bands: Expected hours.
        waste: Wasted hours.
        shapes: Standing figures and opening hours by series, packed.
    """

    kept: dict[int, tuple[Kept, bytes]] = field(default_factory=dict)
    events: list[InsightEvent] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    waste: list[WasteRow] = field(default_factory=list)
    shapes: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)


class InsightFile:
    """The insights' own file; one thread writes, any thread may read by a connection of its own.

    Args:
        path: The file; created if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = opened(path)
        _migrate(self._connection)
        path.chmod(0o600)
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def kept(self) -> dict[int, Kept]:
        """Return how far the insights of each stream are."""
        rows = self._connection.execute(
            "SELECT series, generation, zone, birth_ms, cursor_ms FROM stream"
        )
        return {series: Kept(*rest) for series, *rest in rows}

    def states(self, series: Iterable[int]) -> dict[int, bytes]:
        """Return the states of some streams, packed."""
        with self._lock:
            found = {}
            for one in series:
                rows = self._connection.execute("SELECT state FROM stream WHERE series = ?", (one,))
                for (state,) in rows:
                    found[one] = state
        return found

    def commit(self, commit: Commit) -> None:
        """Write what moves together, durably."""
        with self._lock, self._connection:
            run = self._connection.executemany
            run(
                "INSERT OR REPLACE INTO stream (series, generation, zone, birth_ms, cursor_ms,"
                " state) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (series, k.generation, k.zone, k.birth_ms, k.cursor_ms, state)
                    for series, (k, state) in commit.kept.items()
                ],
            )
            run(
                "INSERT OR REPLACE INTO expected (series, start_ms, made_ms, source, model, band)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (b.series, b.start_ms, b.made_ms, b.source, b.model, packed(b.rate))
                    for b in commit.bands
                ],
            )
            run(
                "INSERT OR REPLACE INTO waste (series, start_ms, amounts, kinds)"
                " VALUES (?, ?, ?, ?)",
                [
                    (w.series, w.start_ms, w.amount.tobytes(), w.kind.astype(np.int8).tobytes())
                    for w in commit.waste
                ],
            )
            run(
                "INSERT OR REPLACE INTO event (id, series, kind, start_ms, end_ms, open, found_ms,"
                " amount, confidence, evidence, model, cause, others)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?)",
                [_row(event) for event in commit.events],
            )
            run(
                "INSERT OR REPLACE INTO shape (series, standing, opening) VALUES (?, ?, ?)",
                [(series, *both) for series, both in commit.shapes.items()],
            )

    def forget(self, series: int) -> None:
        """Begin a stream anew: its history is another one. Its events' names are kept."""
        with self._lock, self._connection:
            run = self._connection.execute
            run(
                "INSERT OR REPLACE INTO former (id, series, kind, start_ms, end_ms)"
                " SELECT id, series, kind, start_ms, end_ms FROM event WHERE series = ?",
                (series,),
            )
            for statement in (
                "DELETE FROM event WHERE series = ?",
                "DELETE FROM expected WHERE series = ?",
                "DELETE FROM waste WHERE series = ?",
                "DELETE FROM shape WHERE series = ?",
                "DELETE FROM stream WHERE series = ?",
            ):
                run(statement, (series,))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._connection.close()


class InsightReader:
    """Reads the file; safe from any thread.

    Args:
        path: The file, as an ``InsightFile`` has made it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a statement finds; nothing before the file is there."""
        with self._lock:
            if self._connection is None:
                if not self._path.exists():
                    return []
                self._connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
                self._connection.set_busy_timeout(10_000)
            return list(self._connection.execute(statement, values))

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def opened(path: Path) -> apsw.Connection:
    """Open a file for writing: nothing that was committed is lost with the power."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    return connection


def event_of(row: Sequence[Any]) -> InsightEvent:
    """Return an event from its columns ``id`` … ``model``, ``others``."""
    key, series, kind, start_ms, end_ms, is_open, found_ms, amount, confidence, evidence = row[:10]
    return InsightEvent(
        id=key,
        series=series,
        kind=EventKind(kind),
        start_ms=start_ms,
        end_ms=end_ms,
        open=bool(is_open),
        found_ms=found_ms,
        amount=float("nan") if amount is None else amount,
        confidence=confidence,
        evidence=_decode(evidence),
        model=row[10],
        others=tuple(_decode(row[11])),
    )


def packed(rate: Floats) -> bytes:
    """Return a band as it is kept: single precision, 4 bytes a number."""
    return np.ascontiguousarray(rate, np.float32).tobytes()


def unpacked(band: bytes) -> Floats:
    """Return a band as it was kept, shape (5, hours)."""
    return np.frombuffer(band, np.float32).reshape(5, -1).astype(np.float64)


def _row(event: InsightEvent) -> tuple[Any, ...]:
    amount = None if np.isnan(event.amount) else event.amount
    return (
        event.id, event.series, event.kind.value, event.start_ms, event.end_ms, int(event.open),
        event.found_ms, amount, event.confidence, _encode(event.evidence), event.model,
        _encode(list(event.others)),
    )  # fmt: skip


def _migrate(connection: apsw.Connection) -> None:
    version: int = connection.pragma("user_version")
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        with connection:
            connection.execute(statements)
            connection.pragma("user_version", number)
