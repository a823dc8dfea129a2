"""The collector's control socket: what the platform and commands ask it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from kilowatch.collector.accepting import Accepting, Readiness

if TYPE_CHECKING:
    from kilowatch.collector.reception import Reception
    from kilowatch.log import LogWriter

PACE_S = 0.05
"""Committed sequence numbers are told at most 20 times a second."""
EVENTS_PER_PACE = 50
"""Requests told each time; at 30,000 requests/s nobody reads more, and each costs 10 us."""
HEARTBEAT_S = 10.0
RECENT_MAX = 2_000


class Control:
    """State behind the control socket.

    Args:
        reception: Live view, counts and queue.
        log_writer: The log, for sequence numbers and the platform's cursor.
        connections: Returns how many are open.
    """

    def __init__(
        self, reception: Reception, log_writer: LogWriter, connections: Callable[[], int]
    ) -> None:
        self._reception = reception
        self._log = log_writer
        self._connections = connections
        self._committed = log_writer.last_seq()
        self._stopping = asyncio.Event()
        self._started_s = time.time()
        readiness = Readiness(
            lambda: reception.watch.maintenance,
            log_writer.status,
            reception.intake.take_full,
            time.monotonic,
        )
        self.accepting = Accepting(readiness.refusal, lambda: round(time.time() * 1000))

    def committed(self, seq: int) -> None:
        """Note a commit; called from the log's thread."""
        self._committed = seq

    def stop(self) -> None:
        """End every event stream, or the server would wait for them for ever."""
        self._stopping.set()

    def application(self) -> Starlette:
        """Return the ASGI application for the Unix socket."""
        return Starlette(
            routes=[
                Route("/events", self._events),
                Route("/recent", self._recent),
                Route("/status", self._status),
                Route("/cursor", self._cursor, methods=["POST"]),
            ]
        )

    async def _events(self, request: Request) -> Response:
        # Whoever waits for commits only spares us the words about requests.
        requests = request.query_params.get("requests") != "0"
        return StreamingResponse(self._lines(requests=requests), media_type="application/x-ndjson")

    async def _lines(self, *, requests: bool) -> AsyncIterator[bytes]:
        live = self._reception.live
        told_seq, told_requests = -1, live.total
        silent_s = 0.0
        while not self._stopping.is_set():
            lines: list[dict[str, Any]] = []
            if self._committed != told_seq:
                told_seq = self._committed
                lines.append({"committed": told_seq})
            if requests and live.total != told_requests:
                lines += [{"request": e} for e in live.since(told_requests, EVENTS_PER_PACE)]
                told_requests = live.total
            silent_s = 0.0 if lines else silent_s + PACE_S
            if silent_s >= HEARTBEAT_S:  # so that a reader can tell quiet from gone
                silent_s = 0.0
                lines.append({"committed": told_seq})
            if lines:
                yield b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
            await asyncio.sleep(PACE_S)

    async def _recent(self, request: Request) -> Response:
        asked = request.query_params
        try:
            organisation_id = int(asked["organization_id"]) if "organization_id" in asked else None
            limit = min(int(asked.get("limit", "100")), RECENT_MAX)
        except ValueError:
            return JSONResponse({"detail": "organization_id and limit are numbers"}, 400)
        return JSONResponse({"requests": self._reception.live.last(organisation_id, limit)})

    async def _status(self, _request: Request) -> Response:
        reception = self._reception
        disk = shutil.disk_usage(reception.settings.log_path.parent)
        return JSONResponse(
            {
                "environment": reception.settings.environment,
                "uptime_s": round(time.time() - self._started_s, 1),
                "answers": dict(reception.replies.counts),
                "requests": reception.live.total,
                "in_flight": reception.intake.in_flight,
                "in_flight_max": reception.settings.in_flight_max,
                "connections": self._connections(),
                "delayed_401": reception.throttle.delayed,
                "directory": {
                    "revision": reception.directory.revision,
                    "data_points": len(reception.directory.points),
                },
                "maintenance": reception.watch.maintenance,
                "accepting_since_ms": self.accepting.look(),
                "log": self._log.status(),
                "disk": {"free_bytes": disk.free, "total_bytes": disk.total},
            }
        )

    async def _cursor(self, request: Request) -> Response:
        try:
            stored = msgspec.json.decode(await request.body(), type=dict[str, int])["stored"]
        except (msgspec.DecodeError, KeyError):
            return JSONResponse({"detail": 'send {"stored": SEQ}'}, 400)
        self._log.release(stored)
        return JSONResponse({"stored": stored})
