"""What people put into history on the server: kept packets, imports, decisions.

The platform and commands ask for it on the control socket, for only the collector writes the
log. An answer comes after the commit; what a request asks for may be asked again at any time,
since the pipeline counts each reading once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kilowatch import wire
from kilowatch.collector import refusals
from kilowatch.collector.answers import RETRY_AFTER_S
from kilowatch.collector.routes import one_line
from kilowatch.log import KeptPacket, LogWriter, Origin, Outcome, Submission
from kilowatch.log.records import form_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

if TYPE_CHECKING:
    from kilowatch.catalog.directory import Directory
    from kilowatch.model.packet import Packet
    from kilowatch.model.points import DataPoint

PACKETS_MAX: Final = 1_000
"""Packets of one request: a commit's worth, a tenth of the queue that live packets wait in."""
BYTES_MAX: Final = 4 * 2**20
TEXT_MAX: Final = 200


class _Asked(msgspec.Struct):
    series: int
    actor: str = ""
    reason: str = ""


class _Kept(_Asked):
    ids: list[int] | None = None


class _Item(msgspec.Struct):
    body: str
    form: Literal["local", "utc", "partial"] = "local"


class _Packets(_Asked, kw_only=True):
    packets: list[_Item]
    source: Literal["import", "decision"] = "import"


Asked = TypeVar("Asked", bound=_Asked)
_FORMS: Final = {form.name.lower(): form for form in Form}


class History:
    """Handlers of the control socket.

    Args:
        log_writer: The durable log.
        directory: Returns the snapshot in force.
    """

    def __init__(self, log_writer: LogWriter, directory: Callable[[], Directory]) -> None:
        self._log = log_writer
        self._directory = directory

    def routes(self) -> list[Route]:
        """Return the addresses that belong to it."""
        return [
            Route("/history/kept", self._answering(self._kept), methods=["POST"]),
            Route("/history/packets", self._answering(self._packets), methods=["POST"]),
            Route("/history/dismiss", self._answering(self._dismiss), methods=["POST"]),
        ]

    def _answering(self, handler: Callable[[bytes], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                return JSONResponse(await handler(await _body(request)))
            except KilowatchError as error:
                said = {"code": error.code, "detail": error.detail, "remedy": error.remedy}
                headers = {}
                if error.status == 503:
                    headers["retry-after"] = str(RETRY_AFTER_S.get(error.code, 5))
                return JSONResponse({**error.data, **said}, error.status, headers)

        return endpoint

    async def _kept(self, body: bytes) -> dict[str, Any]:
        """Put discarded packets into history; they leave their list in the same commit."""
        asked = _read(body, _Kept)
        ids = asked.ids[:PACKETS_MAX] if asked.ids is not None else None
        found = await asyncio.to_thread(self._log.kept_of, asked.series, ids, PACKETS_MAX + 1)
        more = len(found) > PACKETS_MAX or (ids is not None and len(asked.ids or ()) > len(ids))
        # Live packets must not wait while a thousand others are decoded.
        ready = await asyncio.to_thread(_ready_again, asked.series, found[:PACKETS_MAX])
        outcomes = await self._commit(ready, Origin("kept", asked.actor, asked.reason))
        return _counted(outcomes) | {"more": more}

    async def _packets(self, body: bytes) -> dict[str, Any]:
        """Put packets that a person brought, or decided for, into history."""
        asked = _read(body, _Packets)
        if len(asked.packets) > PACKETS_MAX:
            raise KilowatchError(
                "too_many_packets",
                f"{len(asked.packets)} packets in one request; up to {PACKETS_MAX} are taken.",
                remedy="Send them in several requests.",
            )
        point = self._directory().by_series(asked.series)
        if point is None:
            raise refusals.stream_unknown(f"number {asked.series}")
        ready = await asyncio.to_thread(_all_ready, point, asked.packets, _now_ms())
        return _counted(await self._commit(ready, Origin(asked.source, asked.actor, asked.reason)))

    async def _dismiss(self, body: bytes) -> dict[str, Any]:
        """Delete kept packets that nobody wants: those named, or all that were discarded."""
        asked = _read(body, _Kept)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._log.remove(asked.series, asked.ids, _setter(future))
        _check([await future])
        return {"removed": True}

    async def _commit(self, ready: Sequence[_Ready], origin: Origin) -> list[Outcome]:
        """Write packets and wait for every commit.

        Raises:
            KilowatchError: 503 ``overloaded`` or ``not_durable``; asking again is safe.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Outcome]] = []
        now_ms = _now_ms()
        for one in ready:
            future: asyncio.Future[Outcome] = loop.create_future()
            self._log.backfill(
                Submission(
                    one.series, one.packet, one.form, one.body,
                    now_ms if one.received_ms is None else one.received_ms,
                    one.credential_id, _setter(future), origin, one.kept_id, now_ms,
                )
            )  # fmt: skip
            futures.append(future)
        outcomes = list(await asyncio.gather(*futures))
        _check(outcomes)
        return outcomes


class _Ready(NamedTuple):
    """A packet that may be written."""

    series: int
    packet: Packet
    form: Form
    body: bytes
    credential_id: int = 0
    kept_id: int | None = None
    received_ms: int | None = None


def _ready_again(series: int, kept: Sequence[KeptPacket]) -> list[_Ready]:
    """Return packets that were checked when they came."""
    return [
        _Ready(
            series, wire.values_of(one.body, one.flags), form_of(one.flags),
            one.body, one.credential_id, one.id, one.received_ms,
        )
        for one in kept
    ]  # fmt: skip


def _all_ready(point: DataPoint, items: Sequence[_Item], now_ms: int) -> list[_Ready]:
    return [_ready(point, item, number, now_ms) for number, item in enumerate(items)]


def _ready(point: DataPoint, item: _Item, number: int, now_ms: int) -> _Ready:
    """Check a packet as a pushed one is checked.

    Raises:
        KilowatchError: As of a push; ``data`` has the packet's ``number``, from 0.
    """
    body, form = item.body.encode(), _FORMS[item.form]
    try:
        packet = wire.decode(body, form, now_ms)
        if packet.stream_id != point.stream_id:
            raise refusals.stream_unknown(packet.stream_id)
        if point.formula:
            raise refusals.stream_computed(packet.stream_id)
        if packet.single != (point.kind == "single"):
            raise refusals.kind_mismatch(packet.stream_id, point.kind)
    except KilowatchError as error:
        error.data["number"] = number
        raise
    return _Ready(point.series, packet, form, body)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BYTES_MAX:
            raise refusals.body_too_large(BYTES_MAX, history=True)
    return bytes(body)


def _read(body: bytes, kind: type[Asked]) -> Asked:
    try:
        asked = msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KilowatchError("bad_request", f"The request can't be read: {error}.") from None
    asked.actor = one_line(asked.actor)[:TEXT_MAX]
    asked.reason = one_line(asked.reason)[:TEXT_MAX]
    return asked


def _setter(future: asyncio.Future[Outcome]) -> Callable[[Outcome], None]:
    def done(outcome: Outcome) -> None:
        if not future.done():  # whoever asked may have gone
            future.set_result(outcome)

    return done


def _check(outcomes: Sequence[Outcome]) -> None:
    if any(outcome.status == "failed" for outcome in outcomes):
        raise refusals.not_durable()


def _counted(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    counts = Counter(outcome.status for outcome in outcomes)
    return {name: counts[name] for name in ("backfilled", "accepted", "duplicate")} | {
        "last_seq": max((outcome.seq for outcome in outcomes), default=0)
    }


def _now_ms() -> int:
    return int(time.time() * 1000)
