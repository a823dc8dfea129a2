"""The states of all streams and the cursor: one small SQLite file.

A stream's state and the cursor move in one transaction, after what they rest on is durable in
the store. So a crash at any moment leads back to a point from which the log tells the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import apsw
import msgspec

from kilowatch.pipeline.conflicts import INSERT, TABLE, Conflict
from kilowatch.pipeline.state import Progress, SharedSettings, StreamState
from kilowatch.pipeline.validation import Event

SCHEMA_VERSION = 1

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StreamState).decode
_encode_events = _encode
_decode_events = msgspec.msgpack.Decoder(list[Event]).decode

PackedState = tuple[int, bytes, int, int]
"""Series, packed state, and how far its stored hours and days reach [ms]."""


class StateFile:
    """The pipeline's own file; one process uses it, its threads one after the other.

    The thread that flushes saves while the consumer's reserves a generation.

    Args:
        path: The file; created if it is not there.

    Attributes:
        is_new: Whether it was not there, or nothing was ever begun with it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(10_000)
        self._connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY, seq INTEGER NOT NULL);"
            "CREATE TABLE IF NOT EXISTS stream (series INTEGER PRIMARY KEY, state BLOB NOT NULL,"
            " hour_ms INTEGER NOT NULL, day_ms INTEGER NOT NULL);"
            "CREATE TABLE IF NOT EXISTS generation (series INTEGER PRIMARY KEY, last INTEGER);"
            f"{TABLE}"
            "CREATE TABLE IF NOT EXISTS events (series INTEGER PRIMARY KEY,"
            " generation INTEGER NOT NULL, judged_ms INTEGER NOT NULL, events BLOB NOT NULL);"
            "CREATE TABLE IF NOT EXISTS gap (series INTEGER PRIMARY KEY, packed BLOB NOT NULL);"
        )
        known = self._connection.execute("SELECT series FROM events")
        self._with_events: set[int] = {series for (series,) in known}
        self.is_new = self._connection.pragma("user_version") == 0
        path.chmod(0o600)

    def begin(self, states: Mapping[int, StreamState]) -> None:
        """Write the first states: none, or what the store knows; from here on it is not new."""
        self.save(0, [(series, pack(state), 0, 0) for series, state in states.items()])
        self._connection.pragma("user_version", SCHEMA_VERSION)
        self.is_new = False

    def load(self) -> tuple[int, dict[int, StreamState]]:
        """Return the cursor (0 at first) and the state of every stream."""
        seq: int = self._connection.execute("SELECT max(seq) FROM cursor").get or 0
        states = {}
        shared = SharedSettings()
        channels: dict[frozenset[int], set[int]] = {}
        for series, packed, hour_ms, day_ms in self._connection.execute("SELECT * FROM stream"):
            state = states[series] = _decode(packed)
            progress = state.progress
            progress.hour_ms, progress.day_ms = hour_ms, day_ms
            progress.events, progress.judged_ms = [], 0
            if progress.settings is not None:
                progress.settings = shared.of(progress.settings)
            progress.channels = channels.setdefault(frozenset(progress.channels), progress.channels)
            if progress.editing_failure:  # another release may be able to
                state.stale = "rules and corrections could not be applied"
        for series, generation, judged_ms, events in self._connection.execute(
            "SELECT * FROM events"
        ):
            if series in states and states[series].progress.generation == generation:
                states[series].progress.events = _decode_events(events)
                states[series].progress.judged_ms = judged_ms
        return seq, states

    def load_gaps(self) -> list[tuple[int, bytes]]:
        """Return the gaps of each stream, packed."""
        rows: list[Any] = self._connection.execute("SELECT series, packed FROM gap").fetchall()
        return rows

    def save(
        self,
        cursor: int,
        states: Iterable[PackedState],
        conflicts: Iterable[Conflict] = (),
        progresses: Mapping[int, Progress] | None = None,
        gaps: Mapping[int, bytes] | None = None,
    ) -> None:
        """Move the cursor, some states, conflicts and gaps in one durable transaction.

        Args:
            cursor: Everything up to here is in the store.
            states: As they were when everything up to the cursor had been taken in.
            conflicts: Those that are new or decided since the last time.
            progresses: By series, those whose hours and days have been closed: their events.
            gaps: By series, packed, where they have changed.
        """
        events = [
            (series, progress.generation, progress.judged_ms, _encode_events(progress.events))
            for series, progress in (progresses or {}).items()
            if progress.events or progress.judged_ms or series in self._with_events
        ]
        with self._lock, self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO events (series, generation, judged_ms, events)"
                " VALUES (?, ?, ?, ?)",
                events,
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO stream (series, state, hour_ms, day_ms)"
                " VALUES (?, ?, ?, ?)",
                states,
            )
            self._connection.executemany(INSERT, [one.row() for one in conflicts])
            self._connection.executemany(
                "INSERT OR REPLACE INTO gap (series, packed) VALUES (?, ?)", (gaps or {}).items()
            )
            self._connection.execute(
                "INSERT OR REPLACE INTO cursor (one, seq) VALUES (1, ?)", (cursor,)
            )
        self._with_events.update(series for series, *_ in events)

    def note_generation(self, series: int, generation: int) -> None:
        """Note that a generation is in use."""
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO generation (series, last) VALUES (?, ?)",
                (series, generation),
            )

    def reserve_generation(self, series: int) -> int:
        """Return a generation that no row in the store has yet, whatever was left half done."""
        with self._lock, self._connection:
            self._connection.execute(
                "INSERT INTO generation (series, last) VALUES (?, 2)"
                " ON CONFLICT (series) DO UPDATE SET last = last + 1",
                (series,),
            )
            reserved: int = self._connection.execute(
                "SELECT last FROM generation WHERE series = ?", (series,)
            ).get
        return reserved

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def pack(state: StreamState) -> bytes:
    """Return a state as it is stored, so that it can move on meanwhile."""
    return _encode(state)
