"""Half of a connection: answers leave in the order of their requests, whenever they are ready.

uvicorn's protocol class answers one request at a time. A packet's answer waits for its
commit, and the packets behind it on the same connection should ride on the same one.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kilowatch.collector.answers import CONTINUE
from kilowatch.collector.exchange import Exchange
from kilowatch.collector.routes import Head

if TYPE_CHECKING:
    from kilowatch.collector.reception import Reception

IDLE, HEAD, BODY = range(3)
NEVER = float("inf")
LINGER_S = 2.0
"""How long we go on reading from a client that we refused while it was still sending: closing
with unread bytes would reset the connection and take our answer away from it [s]."""


class AnsweringProtocol(HttpToolsProtocol):
    """What a connection owes its client.

    Args:
        config: uvicorn's, for the ASGI application behind the other addresses.
        server_state: Connections and tasks, shared by every listener.
        app_state: Lifespan state; unused by us.
        _loop: The event loop.
        reception: Where requests to the push API are answered.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        reception: Reception,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.reception = reception
        self.settings = reception.settings
        self.answering: deque[Exchange] = deque()  # started, in the order of their requests
        self.arrived: deque[Exchange] = deque()  # read, not started: something is before them
        self.blocked: Exchange | None = None  # started, and what follows must not start yet
        self.phase = IDLE
        self.ending = False  # nothing more is read as a request
        self.unread = False  # the client may still be sending what we did not read
        self.last_request = False  # the server stops: this request is the last one
        self.continue_due = False
        self.lingering = 0
        self.pumping = False
        self.deadline_s = self.write_deadline_s = NEVER
        self.remote = ""
        self.proxied = self.direct = False

    @property
    def pending(self) -> bool:
        """Whether the client waits for an answer."""
        return bool(self.answering or self.arrived or self.blocked)

    def enqueue(self, exchange: Exchange) -> None:
        """Start a request, or let it wait for those before it."""
        if self.arrived or self.blocked or (self.answering and _waits_for_quiet(exchange)):
            self.arrived.append(exchange)
        else:
            self._start(exchange)

    def allowed(self, head: Head | None) -> bool:
        """Tell whether a request is secure enough for this server."""
        if self.proxied and head is not None and head.forwarded_proto is not None:
            return self.reception.doorkeeper.forwarded(head)
        return self.direct

    def origin(self, head: Head | None) -> tuple[str, bool]:
        """Return a request's client address and whether it came over TLS, as our proxies say."""
        if not self.proxied or head is None:
            return self.remote, self.scheme == "https"
        doorkeeper = self.reception.doorkeeper
        secure = self.scheme == "https"
        if head.forwarded_proto is not None:
            secure = doorkeeper.forwarded(head)
        return doorkeeper.client(self.remote, head), secure

    def _start(self, exchange: Exchange) -> None:
        head = exchange.head
        if not self.allowed(head):
            exchange.refusal = self.reception.not_secure()
            exchange.keep_alive = False
        elif exchange.refusal is None and head is not None and head.route is None:
            self._start_asgi(exchange, head)
            return
        self.answering.append(exchange)
        self.reception.handle(exchange)

    def hold(self, exchange: Exchange) -> None:
        """Start nothing that follows this request until it is released."""
        self.blocked = exchange

    def release(self, exchange: Exchange) -> None:
        """Go on with the requests behind one that had held them up."""
        if self.blocked is exchange:
            self.blocked = None
            self._pump()

    def flush(self) -> None:
        """Write every answer whose turn has come."""
        answering = self.answering
        if not answering or (reply := answering[0].reply) is None or self.transport.is_closing():
            return
        keep_alive = answering.popleft().keep_alive
        if answering and answering[0].reply is not None:
            replies = [reply]
            while answering and (reply := answering[0].reply) is not None:
                keep_alive = answering.popleft().keep_alive
                replies.append(reply)
            reply = b"".join(replies)
        self.transport.write(reply)
        if not keep_alive:
            self._close()
        elif self.arrived or self.flow.read_paused:
            self._pump()
        elif not answering:
            if self.phase == IDLE and self.blocked is None and not self.last_request:
                self.deadline_s = self.reception.now_s + self.settings.idle_timeout_s
            else:
                self.settle()

    def _pump(self) -> None:
        if self.pumping:
            return
        self.pumping = True
        try:
            while self.arrived and self.blocked is None:
                if self.answering and _waits_for_quiet(self.arrived[0]):
                    break
                self._start(self.arrived.popleft())
        finally:
            self.pumping = False
        if not self.transport.is_closing():
            self.read_on()
            self.settle()

    @abstractmethod
    def read_on(self) -> None:
        """Read what had to wait for room; the reading half's."""

    @abstractmethod
    def regulate(self) -> None:
        """Let the transport read exactly when there is room; the reading half's."""

    def settle(self) -> None:
        """Note that nothing is owed to the client, if that is so."""
        if self.pending or self.transport.is_closing():
            return
        if self.last_request and self.ending:
            self._close()
        elif self.phase == IDLE:
            self.deadline_s = self.reception.now_s + self.settings.idle_timeout_s
        elif self.continue_due:
            self.continue_due = False
            self.transport.write(CONTINUE)

    def _close(self) -> None:
        self.ending = True
        self.arrived.clear()
        if not self.unread:
            self.transport.close()
            return
        self.lingering = 1
        self.deadline_s = self.reception.now_s + LINGER_S
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.regulate()

    # What the transport and the server call

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read our answers."""
        super().pause_writing()
        self.write_deadline_s = self.reception.now_s + self.settings.write_timeout_s
        self.regulate()

    def resume_writing(self) -> None:
        """Go on reading."""
        super().resume_writing()
        self.write_deadline_s = NEVER
        self.regulate()

    def shutdown(self) -> None:
        """Answer what is under way, then close."""
        self.last_request = True
        if self.arrived or self.answering:
            last = (self.arrived or self.answering)[-1]
            last.keep_alive = False
            self.ending = True
        elif self.blocked is not None:
            self.cycle.keep_alive = False
            self.ending = True
        elif self.phase == IDLE:
            self.transport.close()

    # Other addresses: uvicorn's way

    def _start_asgi(self, exchange: Exchange, head: Head) -> None:
        self.blocked = exchange
        self.cycle = RequestResponseCycle(
            scope={
                "type": "http",
                "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
                "http_version": "1.0" if head.http10 else "1.1",
                "server": self.server,
                "client": self.client,
                "scheme": self.scheme or "http",
                "method": head.method,
                "root_path": "",
                "path": head.path,
                "raw_path": head.url.partition(b"?")[0],
                "query_string": head.query,
                "headers": head.headers,
                "state": {},
            },
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=exchange.keep_alive and not head.http10,
            on_response=lambda: self.release(exchange),
        )
        self.cycle.body = bytearray(exchange.body)
        self.cycle.more_body = False
        self.cycle.message_event.set()
        self._start_asgi_task(self.cycle, self.app)


def _waits_for_quiet(exchange: Exchange) -> bool:
    """Tell whether a request may only start when all answers before it have left.

    A GET must see the packets that came before it on its connection, and an ASGI
    application writes its answer by itself.
    """
    head = exchange.head
    if exchange.refusal is not None or head is None:
        return False
    return head.route is None or head.method == "GET"
