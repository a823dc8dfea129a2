"""A push server small enough to see through, with faults on request."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

Fault = Callable[[int, str], str]
"""From the number of the request and its method to what goes wrong: "" for nothing."""


class FakeServer:
    """Answers as the contract says: order gate, latest packet, and faults on request."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault or (lambda _number, _method: "")
        self.stored: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.discarded: list[dict[str, Any]] = []
        self.history: list[dict[str, Any]] = []
        self.paths: set[str] = set()
        self.outcomes: dict[str, int] = defaultdict(int)
        self.requests = 0
        self.connections = 0
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeServer]:
        """Listen on a free port of the loopback address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    @property
    def url(self) -> str:
        """Address to push to."""
        return f"http://127.0.0.1:{self.port}"

    def _gate(self, packet: dict[str, Any], path: str = "") -> dict[str, Any]:
        stored = self.stored[packet["id"]]
        if stored and packet["tsISO8601"] <= stored[-1]["tsISO8601"]:
            if packet == stored[-1]:
                return {"status": "duplicate"}
            if "backfill=1" in path:
                self.history.append(packet)
                return {"status": "accepted", "backfilled": True}
            self.discarded.append(packet)
            return {"status": "discarded", "reason": "not_chronological"}
        stored.append(packet)
        return {"status": "accepted"}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = head.split("\r\n", 1)[0].split(" ")
        lengths = [
            line.split(":")[1] for line in head.split("\r\n") if "content-length" in line.lower()
        ]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        self.requests += 1
        fault = self.fault(self.requests, method)
        if fault == "drop":
            return False
        if fault.isdigit():
            answer = {"code": f"fault_{fault}", "detail": "as the test asked"}
            await self._answer(writer, int(fault), answer)
            return True
        if method == "GET":
            stored = self.stored[path.split("stream=")[1]]
            if stored:
                await self._answer(writer, 200, stored[-1])
            else:
                await self._answer(writer, 404, {"code": "no_data_yet", "detail": "none"})
            return True
        self.paths.add(path)
        said = self._gate(json.loads(body), path)
        self.outcomes[said["status"]] += 1
        if fault == "drop after commit":
            return False
        if fault == "commit some, then drop":
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    for _ in range(3):
                        await reader.readuntil(b"ontent-Length: ")
                        size = int(await reader.readuntil(b"\r\n\r\n"))
                        self._gate(json.loads(await reader.readexactly(size)))
            return False
        await self._answer(writer, 200, said)
        return fault != "close"

    async def _answer(
        self, writer: asyncio.StreamWriter, status: int, said: dict[str, Any]
    ) -> None:
        body = json.dumps(said, separators=(",", ":")).encode()
        extra = b"Retry-After: 0\r\n" if status == 503 else b""
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), extra, body)
        )
        await writer.drain()


@pytest.fixture(scope="session")
def fake_server() -> type[FakeServer]:
    """Give tests the class: each decides on its own faults."""
    return FakeServer
