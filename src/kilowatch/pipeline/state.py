"""What the pipeline knows about each stream, and the cursor: one small SQLite file.

A stream's state and the cursor move in one transaction, after what they rest on is durable in
the store. So a crash at any moment leads back to a point from which the log tells the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import apsw
import msgspec

from kilowatch.model.clock import ClockWitness
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.evidence import Evidence
from kilowatch.pipeline.grids import PointGrid

SCHEMA_VERSION = 1
DISTANCES_MAX = 15  # the median of so many shows a changed interval after eight packets
IGNORED_NAMES_MAX = 50  # a stream that invents names must not fill the memory

_SETTINGS = (
    "kind", "unit", "interval_s", "tolerance_s", "behaviour", "stamp", "register_max", "zone",
)  # fmt: skip
"""Fields of a data point that its intervals depend on, besides the clock."""

_WITNESS = tuple(field.name for field in fields(ClockWitness))


class Progress(msgspec.Struct):
    """How far one grid of a stream's intervals has come.

    Attributes:
        generation: Of its rows in the store.
        settings: What it is computed with (``settings_of``); None before the first reading.
        first_register_ms: By energy, effective instant of the first packet that carried it.
        first_export_ms: Effective instant of the first negative total power.
        since_ms: First interval start that a reading in order can still change.
        context_ms: Pushed instant from which on every reading is context of the next.
        context_before_ms: Pushed instants of the context's readings before that.
        first_ms: Effective instant of the first reading.
        last_ms: Effective instant of the last reading.
        channels: Channels that have rows.
        hour_ms: Stored hours reach to here; kept beside the state in the file, since roll-ups
            are written after a state was packed.
        day_ms: Stored local days reach to here; likewise.
        stored_ms: No interval row in the store starts later.
        looked_for_gaps: False in a state of a version that did not: its history has to be
            looked through once.
    """

    generation: int = 1
    settings: dict[str, Any] | None = None
    first_register_ms: dict[int, int] = {}
    first_export_ms: int | None = None
    since_ms: int = 0
    context_ms: int = 0
    context_before_ms: list[int] = []
    first_ms: int | None = None
    last_ms: int | None = None
    channels: set[int] = set()
    hour_ms: int = 0
    day_ms: int = 0
    stored_ms: int | None = None
    looked_for_gaps: bool = False


class StreamState(msgspec.Struct):
    """What the pipeline remembers of one stream.

    Attributes:
        progress: The grid that readers see.
        seq: Last packet of the stream that is counted here.
        packets: Readings with distinct instants.
        at_ms: Pushed instant of the last reading.
        values: Values of the last reading, by channel.
        witness: What packets have said about the clock (``ClockWitness``).
        offset_matters: Whether offset and wall clock have ever meant different instants.
        distances_ms: Between the last readings.
        ignored: Names that are not in the contract, with how many packets carried them.
        ignored_at: Pushed instant of the packet that carried each of them last.
        evidence: What packets have shown about the registration.
        stale: Why the intervals must be computed again, or an empty string.
        failure: Why the stream's packets can't be turned into intervals, or empty.
        failed_at_ms: The packet that failed.
    """

    progress: Progress = msgspec.field(default_factory=Progress)
    seq: int = 0
    packets: int = 0
    at_ms: int = 0
    values: dict[int, float] = {}
    witness: dict[str, Any] = msgspec.field(default_factory=lambda: witness_fields(ClockWitness()))
    offset_matters: bool = False
    distances_ms: list[int] = []
    ignored: dict[str, int] = {}
    ignored_at: dict[str, int] = {}
    evidence: Evidence = msgspec.field(default_factory=Evidence)
    stale: str = ""
    failure: str = ""
    failed_at_ms: int | None = None

    def observe(self, at_ms: int, seq: int) -> None:
        """Count a packet, in the order of the log."""
        self.seq = seq
        if self.packets and at_ms <= self.at_ms:
            return  # a partial packet merged into the one before it
        if self.packets:
            self.distances_ms = [*self.distances_ms[1 - DISTANCES_MAX :], at_ms - self.at_ms]
        self.packets += 1
        self.at_ms = at_ms

    def ignore(self, names: Iterable[str], at_ms: int) -> None:
        """Count names in a packet that are not in the contract."""
        for name in names:
            if name in self.ignored or len(self.ignored) < IGNORED_NAMES_MAX:
                self.ignored[name] = self.ignored.get(name, 0) + 1
                self.ignored_at[name] = at_ms


def witness_fields(witness: ClockWitness) -> dict[str, Any]:
    """Return a witness as it is stored; ``asdict`` would copy deeply, 20 times slower."""
    return {name: getattr(witness, name) for name in _WITNESS}


def settings_of(point: DataPoint, witness: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a data point's intervals depend on, its clock decided as far as it is."""
    clock = witness["decision"] if point.clock == "auto" else point.clock
    # Undecided is shown as sent, which is what the wall clock means.
    settings = {name: getattr(point, name) for name in _SETTINGS}
    return settings | {"clock": "offset" if clock == "offset" else "wall"}


def grid_of(point: DataPoint, progress: Progress) -> PointGrid:
    """Return the settings that a grid is computed with, whatever they are by now."""
    settings = dict(progress.settings or {})
    clock = settings.pop("clock", "wall")
    applied = replace(point, **settings)
    return PointGrid(
        applied,
        Zone.of(applied.zone),
        clock,
        progress.first_register_ms,
        progress.first_export_ms,
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StreamState).decode


PackedState = tuple[int, bytes, int, int]
"""Series, packed state, and how far its stored hours and days reach [ms]."""


class StateFile:
    """The pipeline's own file; one process uses it, one thread at a time.

    Args:
        path: The file; created if it is not there.

    Attributes:
        is_new: Whether it was not there, or nothing was ever begun with it.
    """

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(10_000)
        self._connection.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY, seq INTEGER NOT NULL);"
            "CREATE TABLE IF NOT EXISTS stream (series INTEGER PRIMARY KEY, state BLOB NOT NULL,"
            " hour_ms INTEGER NOT NULL, day_ms INTEGER NOT NULL);"
            "CREATE TABLE IF NOT EXISTS generation (series INTEGER PRIMARY KEY, last INTEGER);"
            "CREATE TABLE IF NOT EXISTS gap (series INTEGER PRIMARY KEY, packed BLOB NOT NULL);"
        )
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
        for series, packed, hour_ms, day_ms in self._connection.execute("SELECT * FROM stream"):
            states[series] = _decode(packed)
            states[series].progress.hour_ms = hour_ms
            states[series].progress.day_ms = day_ms
        return seq, states

    def load_gaps(self) -> list[tuple[int, bytes]]:
        """Return the gaps of each stream, packed."""
        rows: list[Any] = self._connection.execute("SELECT series, packed FROM gap").fetchall()
        return rows

    def save(
        self, cursor: int, states: Iterable[PackedState], gaps: Mapping[int, bytes] | None = None
    ) -> None:
        """Move the cursor, some states and their gaps in one durable transaction.

        Args:
            cursor: Everything up to here is in the store.
            states: As they were when everything up to the cursor had been taken in.
            gaps: By series, packed, where they have changed.
        """
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO stream (series, state, hour_ms, day_ms)"
                " VALUES (?, ?, ?, ?)",
                states,
            )
            self._connection.executemany(
                "INSERT OR REPLACE INTO gap (series, packed) VALUES (?, ?)", (gaps or {}).items()
            )
            self._connection.execute(
                "INSERT OR REPLACE INTO cursor (one, seq) VALUES (1, ?)", (cursor,)
            )

    def note_generation(self, series: int, generation: int) -> None:
        """Note that a generation is in use."""
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO generation (series, last) VALUES (?, ?)",
                (series, generation),
            )

    def reserve_generation(self, series: int) -> int:
        """Return a generation that no row in the store has yet, whatever was left half done."""
        with self._connection:
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
