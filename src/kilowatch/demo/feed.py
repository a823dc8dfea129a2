"""Pushes the simulated year and then the present, through the same door as any gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import msgspec
import numpy as np

from kilowatch.client import Answer, Backoff, Outcome, Pusher, Target, Trust
from kilowatch.client.pusher import OnTrouble
from kilowatch.demo.plan import STREAMS, Stream
from kilowatch.demo.timeline import SLOT_MS
from kilowatch.demo.world import World, history_start_ms, instants
from kilowatch.model.lengths import DAY_MS

FIRST_WINDOW = 32
WINDOW = 16
"""Packets of a stream under way at once while its history is pushed: they share commits, so
that a disk with slow syncs does not make a year of one meter take minutes."""

CONNECTIONS = 16
AHEAD_MS = 7 * DAY_MS
"""The world is computed a week ahead of the present (0.4 s of work), then again."""

BACKOFF = Backoff(first_s=0.2, longest_s=5.0, blocked_s=2.0)
"""The server is on this machine and may be starting: ask again soon."""

LOOK_S = 1.0
"""Longest sleep: a laptop that was closed stops the sleep, not the clock [s]."""

_TOLD_EVERY = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the history of one stream is.

    Attributes:
        stream_id: Which one.
        pushed: Packets that this run has pushed.
        total: Packets of its history in this run; 0 if it goes on live at once.
        live: Its history is complete and live packets follow.
    """

    stream_id: str
    pushed: int
    total: int
    live: bool


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class _Clockwork:
    """The world around the present, computed anew before it ends."""

    from_ms: int
    started_ms: int
    now: Callable[[], float]
    world: World | None = None
    renewal: asyncio.Lock = field(default_factory=asyncio.Lock)

    def now_ms(self) -> int:
        return round(self.now() * 1000)

    async def until(self, at_ms: int) -> World:
        """Return a world that reaches beyond an instant."""
        async with self.renewal:
            if self.world is None or at_ms + SLOT_MS >= self.world.to_ms:
                to_ms = (at_ms + AHEAD_MS) // SLOT_MS * SLOT_MS
                self.world = await asyncio.to_thread(
                    World.between, self.from_ms, to_ms, self.started_ms
                )
            return self.world


async def run(  # noqa: PLR0913 - the composition root names each
    push_url: str,
    username: str,
    password: str,
    streams: Collection[str],
    stop: asyncio.Event,
    *,
    started_ms: int,
    now: Callable[[], float] = time.time,
    history_days: int = 365,
    on_progress: OnProgress | None = None,
    on_trouble: OnTrouble | None = None,
    trust: Trust | None = None,
) -> None:
    """Push history and live packets until ``stop`` is set.

    Each stream goes on after the latest packet that the server has of it. The office's main
    meter goes first and alone, so that there is a year to look at within half a minute.

    Args:
        push_url: The push server.
        username: Of a credential for all streams.
        password: Of that credential.
        streams: Stream ids that are registered; others are left out.
        stop: Set it to end the run; what is under way is not waited for.
        started_ms: First start of the demo [ms since 1970, UTC].
        now: Time of day [s since 1970].
        history_days: Length of the history before the first start [d].
        on_progress: Told every few hundred packets.
        on_trouble: Told when the server has to be asked again, and (with a pause of 0)
            when a packet was discarded or refused, which the demo's never should be.
        trust: Whom to believe on TLS.
    """
    target = Target.parse(push_url, username, password, trust)
    clockwork = _Clockwork(history_start_ms(started_ms, history_days), started_ms, now)
    tell = on_progress or (lambda _: None)
    wanted = [stream for stream in STREAMS if stream.stream_id in streams]
    trouble = on_trouble or (lambda _stream, _answer, _pause: None)
    async with Pusher(
        target, connections=CONNECTIONS, patient=True, backoff=BACKOFF, on_trouble=trouble
    ) as pusher:
        feeds = [_Feed(pusher, stream, clockwork, tell, trouble) for stream in wanted]
        work = asyncio.create_task(_feed_all(feeds))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not work.done():
            work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def _feed_all(feeds: list[_Feed]) -> None:
    async with asyncio.TaskGroup() as group:
        for number, feed in enumerate(feeds):
            await feed.find_start()
            if number == 0:
                await feed.push_history(FIRST_WINDOW)
            group.create_task(feed.go_on())


@dataclass(slots=True)
class _Feed:
    """One stream: its history up to now, then live packets."""

    pusher: Pusher
    stream: Stream
    clockwork: _Clockwork
    tell: OnProgress
    trouble: OnTrouble
    next_ms: int = 0
    pushed: int = 0

    async def find_start(self) -> None:
        """Go on after the latest packet that the server has."""
        latest = await self.pusher.latest(self.stream.stream_id)
        self.next_ms = self.clockwork.from_ms if latest is None else instant_ms(latest) + 1

    async def push_history(self, window: int) -> None:
        """Push everything up to now; while that takes time, what has become history since."""
        while True:
            now_ms = self.clockwork.now_ms()
            at_ms = instants(self.next_ms, now_ms, self.stream.interval_s)
            if len(at_ms) == 0:
                break
            world = await self.clockwork.until(now_ms)
            total = self.pushed + len(at_ms)
            await self.pusher.push_all(
                self.stream.stream_id,
                world.packets(self.stream, at_ms),
                window=window,
                on_answer=partial(self._count, total),
            )
            self.next_ms = int(at_ms[-1]) + 1
        self.tell(Progress(self.stream.stream_id, self.pushed, self.pushed, live=True))

    async def go_on(self) -> None:
        """Push the rest of the history, then a packet whenever one is due."""
        await self.push_history(WINDOW)
        while True:
            due_ms = int(instants(self.next_ms, self.next_ms + DAY_MS, self.stream.live_s)[0])
            now_ms = self.clockwork.now_ms()
            if due_ms > now_ms:
                await asyncio.sleep(min((due_ms - now_ms) / 1000, LOOK_S))
                continue
            if now_ms - due_ms > 2 * self.stream.interval_s * 1000:
                await self.push_history(WINDOW)  # the machine slept
                continue
            world = await self.clockwork.until(due_ms)
            for body in world.packets(self.stream, np.array([due_ms])):
                self._check(await self.pusher.push(self.stream.stream_id, body))
            self.next_ms = due_ms + 1

    def _count(self, total: int, _body: bytes, answer: Answer) -> None:
        self._check(answer)
        self.pushed += 1
        if self.pushed % _TOLD_EVERY == 0:
            self.tell(Progress(self.stream.stream_id, self.pushed, total, live=False))

    def _check(self, answer: Answer) -> None:
        if answer.outcome not in {Outcome.ACCEPTED, Outcome.DUPLICATE}:
            self.trouble(self.stream.stream_id, answer, 0.0)


def instant_ms(packet: bytes) -> int:
    """Return the instant of a packet that the server has sent back [ms since 1970, UTC]."""
    stamp = msgspec.json.decode(packet)["tsISO8601"]
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
