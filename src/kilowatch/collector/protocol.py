"""The other half of a connection: bytes to requests, within limits of size and time.

A subclass of uvicorn's httptools protocol. Requests to the push API are answered here,
without a task for each; every other address goes to the ASGI application as uvicorn would
have done it (docs/decisions/0002). What uvicorn's class does not have stands here and in
``answering.py``: limits, timeouts, many requests of one connection under way at once.
"""

from __future__ import annotations

import asyncio
import time

import httptools
import structlog
from uvicorn.protocols.http.flow_control import FlowControl

from kilowatch.collector import refusals
from kilowatch.collector.answering import BODY, HEAD, IDLE, NEVER, AnsweringProtocol
from kilowatch.collector.exchange import Exchange
from kilowatch.collector.routes import Head, malformed, read_head
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger(__name__)

LINGER_BYTES_MAX = 1_048_576
BODY_OVERHEAD = 8
"""Chunk sizes, extensions and trailers may take this many times the largest body."""


class _Gone(asyncio.Transport):
    """Stands in for the transport of a connection that has ended."""

    def is_closing(self) -> bool:
        return True


GONE = _Gone()
GONE_FLOW = FlowControl(GONE)


class StopReading(Exception):  # noqa: N818 - not an error: how a callback stops the parser
    """Raised in a parser callback when nothing after this point is read."""


class PushProtocol(AnsweringProtocol):
    """One connection of the push server."""

    held = b""  # received, not parsed: enough requests are under way
    head: Head | None = None
    body: bytes | bytearray = b""
    head_bytes = 0  # of whole header fields
    raw_bytes = 0  # received since the first slice of this request's head or body
    began = False  # the head, or the body, began in the last slice
    upgrading = False
    alone: Exchange | None = None  # the only request of the bytes just received

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Greet nobody; note who it is."""
        super().connection_made(transport)
        self.remote = self.client[0] if self.client else ""
        doorkeeper = self.reception.doorkeeper
        self.proxied = doorkeeper.is_proxy(self.remote)
        self.direct = doorkeeper.direct(self.remote, tls=self.scheme == "https")
        self.deadline_s = self.reception.now_s + self.settings.idle_timeout_s
        if len(self.connections) > self.settings.connections_max:
            self.end(refusals.overloaded("The server has too many connections."))

    def data_received(self, data: bytes) -> None:
        """Read on, a slice at a time, as long as there is room for more requests."""
        if self.ending:
            self.lingering += len(data)
            if self.lingering > LINGER_BYTES_MAX:
                self.transport.abort()
        elif self.held or len(data) > self.settings.feed_bytes_max:
            self.held += data
            self.read_on()
        elif self.phase != IDLE or not self._recognised(data):
            self._feed(data)
            if not self._room:
                self.regulate()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer what was asked before the client stopped sending; then close."""
        if not self.pending or self.scheme == "https":  # TLS closes both ways at once
            return None
        self.ending, self.last_request = True, True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what waits; packets under way are stored all the same."""
        self.answering.clear()
        self.arrived.clear()
        self.held = b""
        self.deadline_s = self.write_deadline_s = NEVER
        super().connection_lost(exc)
        # Nothing of the connection holds itself: it is freed now, not when cycles are looked for.
        self.transport, self.flow = GONE, GONE_FLOW
        self.blocked = self.alone = None

    def sweep(self, now_s: float) -> None:
        """End what takes too long; called once a second for every connection."""
        if self.write_deadline_s < now_s:
            self.transport.abort()
        elif self.deadline_s < now_s:
            self.deadline_s = NEVER
            if self.ending or self.phase == IDLE:
                self.transport.close()
            else:
                self.end(refusals.too_slow("head" if self.phase == HEAD else "body"))

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self.ending:
            raise StopReading
        self.phase = HEAD
        self.url = b""
        self.headers = []
        self.body = b""
        self.head_bytes = self.raw_bytes = 0
        self.began = True
        self.deadline_s = self.reception.now_s + self.settings.head_timeout_s

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self.url += url
        if len(self.url) > self.settings.url_bytes_max:
            self._stop(refusals.url_too_long(self.settings.url_bytes_max))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; those after the body (trailers) are counted and dropped."""
        self.head_bytes += len(name) + len(value) + 4
        headers = self.headers
        headers.append((name.lower(), value) if self.phase == HEAD else (b"", b""))
        if (
            len(headers) > self.settings.headers_max
            or self.head_bytes + len(self.url) > self.settings.head_bytes_max
        ):
            self._stop(refusals.head_too_large(self.settings))

    def on_headers_complete(self) -> None:
        """Decide what can be decided before the body comes."""
        parser = self.parser
        if parser.should_upgrade():
            self.upgrading = True
            return
        try:
            head = read_head(
                parser.get_method().decode(),
                self.url,
                parser.get_http_version(),
                self.headers,
                keep_alive=parser.should_keep_alive(),
            )
        except KilowatchError as error:
            self._stop(error)
        self.head = head
        self.phase = BODY
        self.raw_bytes = 0
        self.began = True
        if not head.has_body:
            return
        self.deadline_s = self.reception.now_s + self.settings.body_timeout_s
        if not self.allowed(head):
            self._stop(self.reception.not_secure(), head)
        if head.length is not None and head.length > self.settings.body_bytes_max:
            self._stop(refusals.body_too_large(self.settings.body_bytes_max), head)
        if head.expects:
            self._expectation(head)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.continue_due = False
        if len(self.body) + len(body) > self.settings.body_bytes_max:
            self._stop(refusals.body_too_large(self.settings.body_bytes_max), self.head)
        if not self.body:
            self.body = body
        elif isinstance(self.body, bytes):
            self.body = bytearray(self.body + body)
        else:
            self.body += body

    def on_message_complete(self) -> None:
        """Start the request, or let it wait for its turn."""
        if self.upgrading:
            return
        assert self.head is not None
        self.phase = IDLE
        self.deadline_s = NEVER
        exchange = Exchange(self, self.head, bytes(self.body), time.time_ns() // 1_000_000)
        if self.last_request:
            exchange.keep_alive = False
        if not exchange.keep_alive:
            self.ending = True
        self.alone = exchange
        self.enqueue(exchange)

    # Reading

    def _recognised(self, data: bytes) -> bool:
        """Serve a request whose head came before, without parsing it again."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 5 or self.proxied or not self.direct or self.arrived or self.blocked:
            return False
        known = self.reception.heads.find(data[:end])
        if known is None or known.length != len(data) - end or self.last_request:
            return False
        if known.access.expires_s < self.reception.now_s:  # a person's password
            return False
        exchange = Exchange(self, known.head, data[end:], time.time_ns() // 1_000_000)
        self.deadline_s = NEVER
        self.answering.append(exchange)
        self.reception.handle_known(exchange, known.access)
        if not self._room:
            self.regulate()
        return True

    def _feed(self, data: bytes) -> None:
        whole = self.phase == IDLE
        self.alone = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.ending:
                self._broken(error, data)
        else:
            if self.phase == IDLE:
                if whole:
                    self._remember(data)
            else:
                self._count(len(data))

    def _count(self, size: int) -> None:
        """Bound what the parser is fed for one request, whatever it makes of it."""
        self.raw_bytes += 0 if self.began else size
        self.began = False
        if self.phase == HEAD and self.raw_bytes > self.settings.head_bytes_max:
            self.end(refusals.head_too_large(self.settings))
        elif self.raw_bytes > BODY_OVERHEAD * self.settings.body_bytes_max:
            self.end(refusals.body_too_large(self.settings.body_bytes_max))

    def _remember(self, data: bytes) -> None:
        """Remember the head of a request that came whole and alone, and was served."""
        exchange = self.alone
        if exchange is None or exchange.access is None or self.proxied or exchange.packet is None:
            return
        end = data.find(b"\r\n\r\n") + 4
        head = exchange.head
        assert head is not None
        if head.length == len(data) - end:
            self.reception.heads.remember(data[:end], head, exchange.access)

    def read_on(self) -> None:
        """Read what had to wait for room."""
        size = self.settings.feed_bytes_max
        while self.held and not self.ending and self._room:
            piece, self.held = self.held[:size], self.held[size:]
            self._feed(piece)
        if self.ending:
            self.held = b""
        self.regulate()

    @property
    def _room(self) -> bool:
        return len(self.answering) + len(self.arrived) < self.settings.pipelined_max

    def regulate(self) -> None:
        """Let the transport read exactly when there is room for what it reads."""
        if self.transport.is_closing():
            return
        if self.lingering or (self._room and not self.held and not self.flow.write_paused):
            if self.flow.read_paused and self.phase != IDLE:
                self.deadline_s = self.reception.now_s + self.settings.body_timeout_s
            self.flow.resume_reading()
        else:
            self.deadline_s = NEVER  # not the client's fault
            self.flow.pause_reading()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request as if it had not asked for another protocol.

        Java's HTTP client asks every plain-text server for h2c; RFC 9110 lets a server
        ignore that. The parser would take what follows for the other protocol's.
        """
        self.upgrading = False
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.end(malformed("This server is no proxy."))
            return
        lines = [b"%s %s HTTP/%s\r\n" % (method, self.url, version.encode())]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                kept = b", ".join(o for o in options if o.lower() != b"upgrade")
            if name != b"upgrade":
                lines.append(b"%s: %s\r\n" % (name, kept))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"".join((*lines, b"\r\n", rest)))

    def _broken(self, error: httptools.HttpParserError, data: bytes) -> None:
        if isinstance(error, httptools.HttpParserCallbackError):
            log.error("fault while reading a request", exc_info=error)
            self.end(refusals.server_fault())
        elif (
            isinstance(error, httptools.HttpParserInvalidMethodError)
            and self.alone is None
            and refusals.has_method(data)
        ):
            self.end(refusals.method_not_allowed())
        else:
            self.end(malformed(f"This is not an HTTP/1.1 request: {error}."))

    def _stop(self, error: KilowatchError, head: Head | None = None) -> None:
        self.end(error, head)
        raise StopReading

    def end(self, error: KilowatchError | None, head: Head | None = None) -> None:
        """Refuse what is being read, after the answers that come before, and close.

        Args:
            error: Why; None if answering the head alone will tell.
            head: What was read of it.
        """
        exchange = Exchange(self, head, b"", time.time_ns() // 1_000_000)
        exchange.refusal = error
        exchange.keep_alive = False
        self.ending = self.unread = True
        self.held = b""
        self.enqueue(exchange)

    def _expectation(self, head: Head) -> None:
        if self.reception.refuses_unread(head):
            self.end(None, head)
            raise StopReading
        self.continue_due = True
        self.settle()
