"""One kept HTTP/1.1 connection, as thin as it can be.

A general HTTP library costs more than the whole server: httpx took 1,300 µs of CPU a
request, this takes 25. The push side needs one verb, one kind of body and answers in
order, so we use the parser alone (httptools, as the server does).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import httptools

from kilowatch.client.target import Target


@dataclass(frozen=True, slots=True)
class Response:
    """What the server sent: status, headers with lower-case names, body."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class ConnectionLost(OSError):  # noqa: N818 - an event, not a mistake
    """The connection ended before the answer: the packet may or may not have arrived."""


class Connection(asyncio.Protocol):
    """Sends requests one behind the other and hands each its answer, in order.

    Args:
        timeout_s: Longest wait for an answer [s]; then the connection is given up.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[asyncio.Future[Response], float]] = deque()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """True while requests can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def load(self) -> int:
        """Requests that wait for their answer."""
        return len(self._waiting)

    def request(self, data: bytes) -> asyncio.Future[Response]:
        """Send a whole request; the future holds the answer or ``ConnectionLost``."""
        future: asyncio.Future[Response] = self._loop.create_future()
        if self._transport is None or self._transport.is_closing():
            future.set_exception(ConnectionLost("the connection is closed"))
            return future
        self._waiting.append((future, self._loop.time()))
        self._transport.write(data)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look)
        return future

    def close(self) -> None:
        """End the connection; whoever still waits gets ``ConnectionLost``."""
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _look(self) -> None:
        self._watch = None
        if not self._waiting:
            return
        left_s = self._waiting[0][1] + self._timeout_s - self._loop.time()
        if left_s <= 0:
            self.close()
        else:
            self._watch = self._loop.call_later(left_s, self._look)

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a malformed answer ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who waits."""
        self._transport = None
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionLost(str(exc or "the server closed it")))
                future.exception()  # a future that nobody awaits any more is no news

    # the parser's side

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer to the oldest request."""
        status = self._parser.get_status_code()
        response = Response(status, self._headers, b"".join(self._body))
        self._headers, self._body = {}, []
        if status < 200:  # 100 Continue and the like come before the answer
            return
        if not self._waiting:
            self.close()
            return
        future, _ = self._waiting.popleft()
        if not future.done():
            future.set_result(response)
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()


async def connect(target: Target, timeout_s: float) -> Connection:
    """Open a connection.

    Raises:
        OSError: It cannot be opened; ``ssl.SSLCertVerificationError`` is one of them.
        TimeoutError: Not within ``timeout_s``.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, connection = await loop.create_connection(
            lambda: Connection(timeout_s),
            target.host,
            target.port,
            ssl=target.trust.context() if target.secure else None,
            server_hostname=target.host if target.secure else None,
        )
    return connection
