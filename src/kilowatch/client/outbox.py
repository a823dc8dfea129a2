"""Packets that wait on disk, so that a power cut or a week without network loses none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from kilowatch.client.answers import Answer, Outcome
from kilowatch.client.pusher import Pusher
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

PACKETS_MAX = 5_000_000
"""About 2 GB with all parameters; a gateway of 100 meters fills it in a month."""

BATCH = 500
LOOK_S = 1.0
"""Another process may fill the outbox; we look for its packets so often [s]."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
    number INTEGER PRIMARY KEY, stream_id TEXT NOT NULL, form INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting_by_stream ON waiting (stream_id, number);
CREATE TABLE IF NOT EXISTS set_aside (
    number INTEGER PRIMARY KEY, stream_id TEXT NOT NULL, form INTEGER NOT NULL, body BLOB NOT NULL,
    status INTEGER NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, at_ms INTEGER NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A packet in the outbox; ``number`` is its place in the order of arrival."""

    number: int
    form: Form
    body: bytes


@dataclass(frozen=True, slots=True)
class SetAside:
    """A packet that the server refused, with its reason."""

    stream_id: str
    body: bytes
    status: int
    code: str
    detail: str


class Outbox:
    """A queue of packets in one SQLite file, in order per stream; any thread may use it.

    Args:
        path: The file; its folder must exist.
        packets_max: ``put`` refuses when so many wait.
        clock: Time of day [s since 1970].
    """

    def __init__(
        self,
        path: Path,
        *,
        packets_max: int = PACKETS_MAX,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._packets_max = packets_max
        self._clock = clock
        self._lock = threading.Lock()
        self._db = apsw.Connection(str(path))
        self._db.set_busy_timeout(10_000)
        self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        self._db.execute(_SCHEMA)

    def put(self, stream_id: str, body: bytes, form: Form = Form.LOCAL) -> None:
        """Keep a packet; it is on disk when this returns.

        Raises:
            KilowatchError: The outbox is full; nothing that waits is thrown away for it.
        """
        with self._lock:
            if self._span() >= self._packets_max and self._count() >= self._packets_max:
                raise KilowatchError(
                    "outbox_full",
                    f"{self._packets_max} packets wait already.",
                    status=503,
                    remedy="See why they cannot be delivered, or allow more of them.",
                    retry_helps=True,
                )
            self._db.execute(
                "INSERT INTO waiting (stream_id, form, body) VALUES (?, ?, ?)",
                (stream_id, int(form), body),
            )

    def streams(self) -> list[str]:
        """Return the streams that have packets waiting."""
        with self._lock:
            rows = self._db.execute("SELECT DISTINCT stream_id FROM waiting").fetchall()
        return [str(row[0]) for row in rows]

    def oldest(self, stream_id: str, limit: int = BATCH) -> list[Waiting]:
        """Return the packets of a stream that are to be pushed next, in order."""
        with self._lock:
            rows: list[Any] = self._db.execute(
                "SELECT number, form, body FROM waiting WHERE stream_id = ?"
                " ORDER BY number LIMIT ?",
                (stream_id, limit),
            ).fetchall()
        return [Waiting(int(number), Form(form), bytes(body)) for number, form, body in rows]

    def settle(self, stream_id: str, packet: Waiting, answer: Answer) -> None:
        """Take a packet out: it is durable at the server, or set aside with its reason."""
        with self._lock, self._db:
            if answer.outcome is Outcome.REFUSED:
                self._db.execute(
                    "INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (packet.number, stream_id, int(packet.form), packet.body, answer.status,
                     answer.code, answer.detail, round(self._clock() * 1000)),
                )  # fmt: skip
            self._db.execute("DELETE FROM waiting WHERE number = ?", (packet.number,))

    def waiting(self) -> int:
        """Return how many packets wait."""
        with self._lock:
            return self._count()

    def set_aside(self) -> list[SetAside]:
        """Return the refused packets, oldest first."""
        with self._lock:
            rows: list[Any] = self._db.execute(
                "SELECT stream_id, body, status, code, detail FROM set_aside ORDER BY number"
            ).fetchall()
        return [
            SetAside(s, bytes(body), status, code, text) for s, body, status, code, text in rows
        ]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _span(self) -> int:
        """A bound on ``_count`` that costs nothing: counting walks the whole table."""
        row: Any = self._db.execute("SELECT max(number) - min(number) + 1 FROM waiting").get
        return int(row or 0)

    def _count(self) -> int:
        count: Any = self._db.execute("SELECT count(*) FROM waiting").get
        return int(count)


async def deliver(outbox: Outbox, pusher: Pusher, stop: asyncio.Event) -> None:
    """Push what waits in the outbox, and what comes, until ``stop`` is set.

    Raises:
        PushStopped: A person must mend something first (never with a patient pusher).
    """
    busy: dict[str, asyncio.Task[None]] = {}
    try:
        while not stop.is_set():
            for stream_id in outbox.streams():
                if stream_id not in busy:
                    busy[stream_id] = asyncio.create_task(_deliver(outbox, pusher, stream_id))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)
            for stream_id in [name for name, task in busy.items() if task.done()]:
                busy.pop(stream_id).result()
    finally:
        for task in busy.values():
            task.cancel()
        await asyncio.gather(*busy.values(), return_exceptions=True)


async def _deliver(outbox: Outbox, pusher: Pusher, stream_id: str) -> None:
    while packets := outbox.oldest(stream_id):
        for packet in packets:
            answer = await pusher.push(stream_id, packet.body, packet.form)
            outbox.settle(stream_id, packet, answer)
