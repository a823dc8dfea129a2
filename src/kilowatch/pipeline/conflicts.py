"""Readings that contradict what is stored for their instant: kept until a person decides.

A conflict changes no figure. It becomes durable together with the cursor that is past its
packet; until then it is in memory, joined into every answer, as rows in the hot tail are. Once
decided it stays, so that the same packet put in again raises no second question.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import apsw
import msgspec

from kilowatch.log.records import form_of
from kilowatch.model.packet import Form
from kilowatch.wire import encode_packet, values_of

Take = Literal["stored", "offered"]

CONFLICTS_MAX = 10_000
"""Undecided ones kept of a stream, 4 MB; beyond that they are counted, and are in the log."""

TABLE = (
    "CREATE TABLE IF NOT EXISTS conflict (series INTEGER, at_ms INTEGER, digest INTEGER,"
    " seq INTEGER, offset_min INTEGER, flags INTEGER, received_ms INTEGER, credential_id INTEGER,"
    " body BLOB, stored BLOB, stored_seq INTEGER, decided_seq INTEGER,"
    " PRIMARY KEY (series, at_ms, digest)) WITHOUT ROWID;"
)
INSERT = "INSERT OR REPLACE INTO conflict VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_stored_values = msgspec.msgpack.Decoder(dict[int, float]).decode

_COLUMNS = (
    "series", "at_ms", "digest", "seq", "offset_min", "flags", "received_ms", "credential_id",
    "body", "stored", "stored_seq", "decided_seq",
)  # fmt: skip

Key = tuple[int, int, int]
"""Series, instant, digest of the values that were offered."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One packet that says otherwise than what is stored for its instant.

    Attributes:
        series: Key of the data stream.
        at_ms: The instant [ms since 1970, UTC].
        digest: Of the values that the packet carries.
        seq: Its log sequence number.
        offset_min: Pushed UTC offset [min].
        flags: As in the log.
        received_ms: When it was put in [ms since 1970, UTC].
        credential_id: Who pushed it first; 0 where nobody did.
        body: The packet as it came.
        stored: Values that counted when it came, by channel.
        stored_seq: Log sequence number of those.
        decided_seq: Log sequence number of the decision; 0 while there is none.
    """

    series: int
    at_ms: int
    digest: int
    seq: int
    offset_min: int
    flags: int
    received_ms: int
    credential_id: int
    body: bytes
    stored: Mapping[int, float]
    stored_seq: int
    decided_seq: int = 0

    @property
    def key(self) -> Key:
        """What makes it the same conflict when it comes again."""
        return self.series, self.at_ms, self.digest

    @property
    def offered(self) -> dict[int, float]:
        """Values of the packet, by channel."""
        return values_of(self.body, self.flags).values

    def decided(self, take: Take) -> tuple[bytes, Form]:
        """Return the packet that says what counts from now on, for the log.

        Args:
            take: ``stored`` or ``offered``; the parameters that a partial packet does not
                carry stay as they are stored.
        """
        packet, form = values_of(self.body, self.flags), form_of(self.flags)
        if take == "stored":
            return encode_packet(packet._replace(values=dict(self.stored))), Form.LOCAL
        if form is Form.PARTIAL:
            merged = {**self.stored, **packet.values}
            return encode_packet(packet._replace(values=merged)), Form.LOCAL
        return self.body, form

    def row(self) -> tuple[Any, ...]:
        """Return it as it is stored."""
        return (
            self.series, self.at_ms, self.digest, self.seq, self.offset_min, self.flags,
            self.received_ms, self.credential_id, self.body,
            msgspec.msgpack.encode(dict(self.stored)), self.stored_seq, self.decided_seq,
        )  # fmt: skip


class Conflicts:
    """All conflicts, those not yet stored included; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: dict[Key, Conflict] = {}
        self._path: Path | None = None
        self._connection: apsw.Connection | None = None

    def open(self, path: Path) -> None:
        """Say where they are stored: the pipeline's own file, which exists."""
        self._path = path

    def put(self, conflicts: Iterable[Conflict]) -> None:
        """Note new or decided ones."""
        with self._lock:
            for one in conflicts:
                self._changed[one.key] = one

    def freeze(self) -> tuple[Conflict, ...]:
        """Return what has to be stored."""
        with self._lock:
            return tuple(self._changed.values())

    def thaw(self, frozen: Iterable[Conflict]) -> None:
        """Let go of what was stored, unless it has changed meanwhile."""
        with self._lock:
            for one in frozen:
                if self._changed.get(one.key) is one:
                    del self._changed[one.key]

    def at(self, series: int, at_ms: int) -> list[Conflict]:
        """Return all of one instant, decided ones too."""
        with self._lock:
            found = {one.key: one for one in self._read(series, "AND at_ms = ?", at_ms)}
            found |= {k: one for k, one in self._changed.items() if k[:2] == (series, at_ms)}
        return list(found.values())

    def page(self, series: int, limit: int = 100, offset: int = 0) -> list[Conflict]:
        """Return a stream's undecided ones by instant."""
        with self._lock:
            changed = {key: one for key, one in self._changed.items() if one.series == series}
            # As many more as may have been decided meanwhile.
            most = offset + limit + len(changed)
            where = "AND decided_seq = 0 ORDER BY at_ms, digest LIMIT ?"
            found = {one.key: one for one in self._read(series, where, most)} | changed
        undecided = [one for _, one in sorted(found.items()) if not one.decided_seq]
        return undecided[offset : offset + limit]

    def _read(self, series: int, where: str, *values: int) -> list[Conflict]:
        if self._path is None:
            return []
        if self._connection is None:
            self._connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.set_busy_timeout(10_000)
        statement = f"SELECT * FROM conflict WHERE series = ? {where}"  # noqa: S608 - ours alone
        return [_conflict(*row) for row in self._connection.execute(statement, (series, *values))]


def _conflict(*row: Any) -> Conflict:
    columns = dict(zip(_COLUMNS, row, strict=True))
    return Conflict(**columns | {"stored": _stored_values(columns["stored"])})
