"""One stream of server-sent events for each open page: new values, and requests as they come.

A page that reads slowly gets the newest state, not a queue of old ones: what has not been sent
yet is merged. Streams end when the page is hidden (the browser closes them), when the session
is over, and when the server stops: ``Hub.close`` must be called as soon as it is told to, since
a server that waits for its connections would wait for these for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from kilowatch.dashboard.needs import RequestEvents, View

log = structlog.get_logger(__name__)

STREAMS_MAX = 1_000
STREAMS_MAX_PERSON = 20  # tabs of one person that listen; nobody takes everybody's
REQUESTS_WAITING_MAX = 100
OTHERS_EVERY_S = 2.0  # values of data points that are only a line in the tree
OTHERS_MAX = 500
RETRY_S = 1.0


@dataclass(eq=False, slots=True)
class Listener:
    """One open page.

    Attributes:
        person_id: Who looks at it.
        allowed: Series that its person may see; replaced when rights change.
        first: The series that the page is about; told at once.
        about: Series of the site that the page is about, whose comments it shows.
        sees_request: Whether a request's event is theirs to see.
        alerts: Whether alerts have changed since the page was told.
        comments: Whether comments on the page's data point have.
    """

    person_id: int
    allowed: frozenset[int]
    first: int | None
    sees_request: Callable[[dict[str, Any]], bool] | None
    changed: set[int] = field(default_factory=set)
    alerts: bool = False
    comments: bool = False
    about: frozenset[int] = frozenset()
    requests: deque[dict[str, Any]] = field(
        default_factory=lambda: deque(maxlen=REQUESTS_WAITING_MAX)
    )
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Everyone who is listening.

    Args:
        view: Tells which series changed.
        requests: Tells of requests.
        heartbeat_s: Silence after which a stream says that it lives [s].
        coalesce_s: Changes within this time travel together [s].
    """

    def __init__(
        self, view: View, requests: RequestEvents, *, heartbeat_s: float, coalesce_s: float
    ) -> None:
        self._view = view
        self._requests = requests
        self._heartbeat_s = heartbeat_s
        self._coalesce_s = coalesce_s
        self._listeners: set[Listener] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closing = False

    def start(self) -> None:
        """Begin to listen to pipeline and collector; on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            self._loop.create_task(self._watch_values()),
            self._loop.create_task(self._watch_requests()),
        ]

    def close(self) -> None:
        """End every stream; from any thread, any number of times."""
        self.closing = True
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop is gone: nothing is left to end
                self._loop.call_soon_threadsafe(self._wake_all)

    async def stop(self) -> None:
        """End the streams and the watching; on the event loop."""
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def full(self, person_id: int) -> bool:
        """Tell whether no further page of a person can listen."""
        theirs = sum(listener.person_id == person_id for listener in self._listeners)
        return self.closing or theirs >= STREAMS_MAX_PERSON or len(self._listeners) >= STREAMS_MAX

    @property
    def listening(self) -> int:
        """How many live streams are open."""
        return len(self._listeners)

    def _wake_all(self) -> None:
        for listener in self._listeners:
            listener.wake.set()

    async def _watch_values(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.closing:
            subscription = self._view.subscribe(loop, None)
            try:
                async for changed in subscription:
                    for listener in self._listeners:
                        mine = changed & listener.allowed
                        if mine:
                            listener.changed |= mine
                            listener.wake.set()
            except Exception:  # a fault here must not silence the pages for good
                log.exception("live values stopped; trying again")
            finally:
                subscription.close()
            await asyncio.sleep(RETRY_S)

    async def _watch_requests(self) -> None:
        while not self.closing:
            try:
                async for event in self._requests.events():
                    if "request" in event:
                        self._tell_request(event["request"])
            except Exception:  # as above
                log.exception("live requests stopped; trying again")
            await asyncio.sleep(RETRY_S)

    def tell_alerts(self) -> None:
        """Say that alerts changed; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop is gone, and with it every page
                self._loop.call_soon_threadsafe(self._mark_alerts)

    def tell_comments(self, series: int) -> None:
        """Say that comments on a data point changed; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # as with alerts
                self._loop.call_soon_threadsafe(self._mark_comments, series)

    def _mark_comments(self, series: int) -> None:
        for listener in self._listeners:
            mine = listener.first == series or series in listener.about
            if mine and series in listener.allowed:
                listener.comments = True
                listener.wake.set()

    def _mark_alerts(self) -> None:
        for listener in self._listeners:
            listener.alerts = True
            listener.wake.set()

    def _tell_request(self, request: dict[str, Any]) -> None:
        for listener in self._listeners:
            if listener.sees_request is not None and listener.sees_request(request):
                listener.requests.append(request)
                listener.wake.set()

    async def stream(
        self,
        listener: Listener,
        values_of: Callable[[list[int]], dict[str, Any]],
        still_valid: Callable[[Listener], bool],
        alerts_of: Callable[[], int] = lambda: 0,
    ) -> AsyncIterator[bytes]:
        """Yield a page's events until the server, the session or the page ends.

        Args:
            listener: What the page listens to.
            values_of: Reads last values of series; called in a thread.
            still_valid: Looks whether the session still holds and refreshes ``allowed``;
                called in a thread with each heartbeat.
            alerts_of: Counts the alerts that wait for somebody; called in a thread.
        """
        self._listeners.add(listener)
        loop = asyncio.get_running_loop()
        others_s = loop.time()
        checked_s = loop.time()
        try:
            yield event("hello", {})
            while not self.closing:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(listener.wake.wait(), self._pause_s(listener, others_s))
                if self.closing:
                    break
                listener.wake.clear()
                if listener.first in listener.changed or listener.requests:
                    await asyncio.sleep(self._coalesce_s)
                now_s = loop.time()
                if now_s - checked_s >= self._heartbeat_s:
                    checked_s = now_s
                    if not await asyncio.to_thread(still_valid, listener):
                        break
                    yield b": still here\n\n"
                async for news in _news(listener, alerts_of):
                    yield news
                wanted = self._due(listener, others=now_s - others_s >= OTHERS_EVERY_S)
                if wanted:
                    if len(wanted) > 1 or listener.first not in wanted:
                        others_s = now_s
                    values = await asyncio.to_thread(values_of, wanted)
                    if values:
                        yield event("values", {"values": values})
        finally:
            self._listeners.discard(listener)

    def _pause_s(self, listener: Listener, others_s: float) -> float:
        if not listener.changed:
            return self._heartbeat_s
        due_s = others_s + OTHERS_EVERY_S - asyncio.get_running_loop().time()
        return min(self._heartbeat_s, max(0.05, due_s))

    def _due(self, listener: Listener, *, others: bool) -> list[int]:
        """Take what is to be told now out of what changed."""
        if others:
            wanted = sorted(listener.changed, key=lambda one: one != listener.first)[:OTHERS_MAX]
        else:
            wanted = [one for one in listener.changed if one == listener.first]
        listener.changed.difference_update(wanted)
        return wanted


async def _news(listener: Listener, alerts_of: Callable[[], int]) -> AsyncIterator[bytes]:
    """Yield what is not a value: how many alerts wait, and requests as they came."""
    if listener.alerts:
        listener.alerts = False
        yield event("alerts", {"waiting": await asyncio.to_thread(alerts_of)})
    if listener.comments:
        listener.comments = False
        yield event("comments", {})
    while listener.requests:
        yield event("request", listener.requests.popleft())


def event(kind: str, body: dict[str, Any]) -> bytes:
    """Write one server-sent event."""
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(body) + b"\n\n"
