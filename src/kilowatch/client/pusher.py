"""Packets of many streams, in order per stream, pushed until each one is durable."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from kilowatch.client.answers import Answer, Outcome, PushStopped, Tally, judge
from kilowatch.client.connection import Connection, ConnectionLost, Response, connect
from kilowatch.client.target import Target
from kilowatch.model.packet import Form

OnAnswer = Callable[[bytes, Answer], None]
OnTrouble = Callable[[str, Answer, float], None]
"""Stream, what happened, and the pause before the next try [s]."""

PLAIN_HTTP = "WRONG_VERSION_NUMBER"
"""What OpenSSL says of a server that answers in the clear."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between tries: doubling, with full jitter so that clients do not march in step.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Attributes:
        first_s: Upper end of the first pause [s].
        longest_s: Upper end of every later pause [s].
        blocked_s: Upper end when a person has to mend something first [s]; asking
            more often would only make the server slow us down.
    """

    first_s: float = 0.25
    longest_s: float = 60.0
    blocked_s: float = 300.0

    def pause_s(self, failures: int, answer: Answer, chance: float) -> float:
        """Return the pause after so many failures in a row; ``chance`` lies in [0, 1)."""
        if answer.outcome is Outcome.BLOCKED:
            return self.blocked_s * (0.5 + chance / 2)
        upper_s = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))
        if answer.retry_after_s is not None:  # never before what the server asked for
            return answer.retry_after_s + upper_s * chance
        return upper_s * chance


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    failures: int = 0


@dataclass(slots=True)
class _Slot:
    connection: Connection | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


_Flight = deque[tuple[bytes, "asyncio.Future[Response]"]]


class Pusher:
    """Pushes packets; use it as ``async with Pusher(target) as pusher``.

    Args:
        target: Server and credential.
        connections: At most so many connections, shared by all streams.
        timeout_s: Longest wait for an answer [s].
        patient: Wait when credential, permission or address are wrong (for unattended
            use) instead of raising ``PushStopped``.
        backoff: Pauses between tries.
        on_trouble: Told before every pause.
        query: Behind every push address, for a backfill: ``backfill_query(reason)``.
        chance: Source of jitter in [0, 1).
    """

    def __init__(
        self,
        target: Target,
        *,
        connections: int = 8,
        timeout_s: float = 30.0,
        patient: bool = False,
        backoff: Backoff | None = None,
        on_trouble: OnTrouble | None = None,
        query: str = "",
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._target = target
        self.heads = {form: target.post_head(form, query) for form in Form}
        self.ordered = not query  # the latest packet says nothing of what went into history
        self._timeout_s = timeout_s
        self._patient = patient
        self._backoff = backoff or Backoff()
        self._on_trouble = on_trouble
        self._chance = chance
        self._lanes: dict[str, _Lane] = {}
        self._slots = [_Slot() for _ in range(connections)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; packets without an answer may have arrived or not."""
        for slot in self._slots:
            if slot.connection is not None:
                slot.connection.close()

    async def push(self, stream_id: str, body: bytes, form: Form = Form.LOCAL) -> Answer:
        """Push one packet and wait for its final answer.

        Calls for one stream are served in the order in which they were made.

        Raises:
            PushStopped: A person must mend something first (never when patient).
        """
        answers: list[Answer] = []
        await self.push_all(
            stream_id, (body,), form=form, on_answer=lambda _, answer: answers.append(answer)
        )
        return answers[0]

    async def push_all(
        self,
        stream_id: str,
        bodies: Iterable[bytes],
        *,
        form: Form = Form.LOCAL,
        window: int = 1,
        on_answer: OnAnswer | None = None,
    ) -> Tally:
        """Push packets of one stream in order and return how many came to what.

        Args:
            stream_id: Their ``id``.
            bodies: Packets, oldest first; taken one by one as they are needed.
            form: The address they are pushed to.
            window: So many packets are under way at once. 1 is always exact. A larger
                one is faster on a slow disk or network, and exact too unless the server
                refuses one packet for want of room and takes the next: then the former
                is answered as discarded.
            on_answer: Called with each packet and its final answer, in order.

        Raises:
            PushStopped: A person must mend something first (never when patient).
        """
        tally = Tally()

        def done(body: bytes, answer: Answer) -> None:
            tally.add(answer, body)
            if on_answer is not None:
                on_answer(body, answer)

        lane = self._lanes.setdefault(stream_id, _Lane())
        async with lane.lock:
            slot = min(self._slots, key=lambda slot: slot.users)
            slot.users += 1
            try:
                await _Run(self, stream_id, lane, slot, form, iter(bodies), done).go(window)
            finally:
                slot.users -= 1
        return tally

    async def latest(self, stream_id: str) -> bytes | None:
        """Return the latest packet that the server has of a stream, or None if it has none.

        Raises:
            PushStopped: A person must mend something first (never when patient).
        """
        lane = self._lanes.setdefault(stream_id, _Lane())
        slot = min(self._slots, key=lambda slot: slot.users)
        while True:
            response, answer = await self._ask(slot, self._target.latest_request(stream_id))
            if response is not None and response.status == 200:
                lane.failures = 0
                return response.body
            if answer.code == "no_data_yet":
                return None
            await self.pause(stream_id, lane, answer)

    async def open(self, slot: _Slot) -> tuple[Connection | None, Answer | None]:
        """Return the slot's connection, opened if need be, or what is in the way."""
        async with slot.opening:
            if slot.connection is not None and slot.connection.usable:
                return slot.connection, None
            try:
                slot.connection = await connect(self._target, self._timeout_s)
            except ssl.SSLCertVerificationError as error:
                detail = f"the server's certificate is not trusted: {error.verify_message}"
                return None, Answer(Outcome.BLOCKED, 0, "certificate_not_trusted", detail)
            except (OSError, TimeoutError) as error:
                where = f"{self._target.host}:{self._target.port}"
                if isinstance(error, ssl.SSLError) and error.reason == PLAIN_HTTP:
                    detail = f"{where} does not speak TLS, as an https address does."
                    return None, Answer(Outcome.BLOCKED, 0, "no_tls", detail)
                detail = f"cannot reach {where}: {error or 'no answer in time'}"
                return None, Answer(Outcome.LATER, 0, "no_connection", detail)
            return slot.connection, None

    async def _ask(self, slot: _Slot, request: bytes) -> tuple[Response | None, Answer]:
        connection, trouble = await self.open(slot)
        if connection is None:
            assert trouble is not None
            return None, trouble
        try:
            response = await connection.request(request)
        except ConnectionLost as error:
            return None, _lost(error)
        return response, judge(response)

    async def pause(self, stream_id: str, lane: _Lane, answer: Answer) -> None:
        """Wait before the next try, or raise ``PushStopped`` when trying cannot help."""
        if not self._patient and answer.outcome is not Outcome.LATER:
            raise PushStopped(answer, stream_id)
        lane.failures += 1
        pause_s = self._backoff.pause_s(lane.failures, answer, self._chance())
        if self._on_trouble is not None:
            self._on_trouble(stream_id, answer, pause_s)
        await asyncio.sleep(pause_s)


@dataclass(slots=True)
class _Run:
    """Packets of one stream on their way: those to push again, then those not yet pushed."""

    pusher: Pusher
    stream_id: str
    lane: _Lane
    slot: _Slot
    form: Form
    bodies: Iterator[bytes]
    done: Callable[[bytes, Answer], None]
    again: deque[bytes] = field(default_factory=deque)
    flight: _Flight = field(default_factory=deque)

    async def go(self, window: int) -> None:
        """Push until nothing is left."""
        try:
            while True:
                trouble = await self._fill(window)
                if trouble is None and not self.flight:
                    return
                if trouble is None:
                    trouble = await self._land_one()
                if trouble is None:
                    continue
                await self.pusher.pause(self.stream_id, self.lane, trouble)
                if trouble.status == 0 and len(self.again) > 1 and self.pusher.ordered:
                    await self._confirm()
        finally:
            for _, future in self.flight:
                future.cancel()

    async def _fill(self, window: int) -> Answer | None:
        """Send until the window is full; return what is in the way, if anything."""
        head = self.pusher.heads[self.form]
        while len(self.flight) < window:
            body = self.again.popleft() if self.again else next(self.bodies, None)
            if body is None:
                return None
            connection = self.slot.connection
            if connection is None or not connection.usable:
                self.again.appendleft(body)
                if self.flight:  # the rest of the window went with the old connection
                    return None
                _, trouble = await self.pusher.open(self.slot)
                if trouble is not None:
                    return trouble
                continue
            request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
            self.flight.append((body, connection.request(request)))
        return None

    async def _land_one(self) -> Answer | None:
        """Take the oldest answer; if it is not final, let the window drain and return it."""
        trouble = None
        again = []
        while self.flight:
            body, future = self.flight.popleft()
            answer = await _answer(future)
            if answer.outcome.final:
                self.lane.failures = 0
                self.done(body, answer)
            else:
                trouble = trouble or answer
                again.append(body)
            if trouble is None:
                return None
        self.again.extendleft(reversed(again))
        return trouble

    async def _confirm(self) -> None:
        """After a cut, ask which of the unanswered packets had arrived.

        One connection is served in order, so whatever precedes the latest packet is in
        too; pushing it again would only be discarded as not chronological.
        """
        at = _timestamp(await self.pusher.latest(self.stream_id) or b"")
        times = [_timestamp(body) for body in self.again]
        if at is None or at not in times:
            return
        for _ in range(times.index(at) + 1):
            self.done(self.again.popleft(), Answer(Outcome.DUPLICATE, 200, "confirmed"))


async def _answer(future: asyncio.Future[Response]) -> Answer:
    try:
        return judge(await future)
    except ConnectionLost as error:
        return _lost(error)


def _lost(error: OSError) -> Answer:
    return Answer(Outcome.LATER, 0, "no_answer", f"the connection was lost: {error}")


def _timestamp(body: bytes) -> str | None:
    try:
        packet = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    at = packet.get("tsISO8601") if isinstance(packet, dict) else None
    return at if isinstance(at, str) else None
