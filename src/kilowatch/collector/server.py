"""Starting and stopping the push server: listeners, clocks, threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import structlog
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from kilowatch.catalog import directory as directories
from kilowatch.catalog.database import Catalog
from kilowatch.collector import pages, tls
from kilowatch.collector.control import Control
from kilowatch.collector.exchange import Exchange
from kilowatch.collector.protocol import PushProtocol
from kilowatch.collector.reception import Reception
from kilowatch.collector.routes import ROUTES
from kilowatch.collector.settings import CollectorSettings
from kilowatch.log import LogWriter, Outcome
from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger(__name__)

BACKLOG = 2048
EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - for telling it from an address
LOOPBACK = frozenset({"127.0.0.1", "::1"})
TICK_S = 1.0
PROBE_MS = 20_000  # without a commit for so long, the log is asked whether it can still write
SWITCH_S = 0.0005
"""How long a thread may keep the interpreter from another that asks for it [s]. Loading the
directory of 100,000 data points computes for a second in its thread; with Python's 5 ms every
turn of the loop would wait that long, with this it is a tenth."""

GC_THRESHOLDS = (5_000, 20, 100)
"""New objects, young and middle collections between collections of everything. Python's own
(700, 10, 10) look through the directory's 100,000 data points again and again while the next one
is loaded, 30 ms each; ours make next to no cycles."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running collector listens.

    Attributes:
        push_http: Address of the push API over HTTP.
        push_https: Address of it over HTTPS, as clients see it.
        http_port: The port taken.
        https_port: The port taken.
    """

    push_http: str
    push_https: str
    http_port: int
    https_port: int


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return the fastest event loop there is on this system."""
    try:
        import uvloop  # noqa: PLC0415 - optional: it does not exist for Windows
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


async def run(
    settings: CollectorSettings,
    catalog: Catalog,
    stop: asyncio.Event,
    on_ready: Callable[[Addresses], None] = lambda _: None,
) -> None:
    """Serve the push API until ``stop`` is set.

    Args:
        settings: The collector's.
        catalog: The registry, already open.
        stop: Set it to end: requests under way get their answers first.
        on_ready: Called once with the addresses, when both ports answer.

    Raises:
        KilowatchError: ``port_taken``, ``tls_unusable``, ``wrong_setting``, or what the log
            and the catalogue raise when they can't be opened.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*GC_THRESHOLDS)
    collector = Collector(settings, catalog, asyncio.get_running_loop())
    try:
        await collector.start()
        on_ready(collector.addresses)
        await stop.wait()
    finally:
        await collector.close()


class Collector:
    """A running push server; ``run`` is the way to use it.

    Args:
        settings: The collector's.
        catalog: The registry, already open; closing it is the caller's.
        loop: The running event loop.
    """

    def __init__(
        self, settings: CollectorSettings, catalog: Catalog, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.settings = settings
        self._catalog = catalog
        self._loop = loop
        self._servers: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._state = ServerState()
        self._control_state = ServerState()
        self._tls_stamp: tuple[int, ...] = ()
        snapshot = directories.load(catalog, settings.environment)
        self.log = LogWriter(
            settings.log_path,
            on_commit=self._committed,
            on_done_batch=self._done,
            retention_ms=round(settings.log_retention_s * 1000),
        )
        self.reception = Reception(settings, catalog, snapshot, self.log, loop)
        self._took = Durations()
        self._waited_ms: Counter[int] = Counter()
        self.control = Control(self.reception, self.log, lambda: self.connections, self._push_times)
        self.addresses = Addresses("", "", 0, 0)

    @property
    def connections(self) -> int:
        """Open connections of clients."""
        return len(self._state.connections)

    def _committed(self, seq: int) -> None:
        self.control.committed(seq)

    def _done(self, outcomes: list[tuple[Any, Outcome]]) -> None:
        """Bring the outcomes of one commit from the log's thread to the loop."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._answer, outcomes)

    def _answer(self, outcomes: list[tuple[Any, Outcome]]) -> None:
        finish = self.reception.intake.finish
        now_ms = time.time_ns() // 1_000_000
        # Counted as whole milliseconds, a batch at a time: 0.1 us a packet.
        self._waited_ms.update(
            [now_ms - one.received_ms for one, _ in outcomes if type(one) is Exchange]
        )
        for exchange, outcome in outcomes:
            try:
                if type(exchange) is Exchange:
                    finish(exchange, outcome)
                else:  # the control socket's: history and dismissals
                    exchange(outcome)
            except Exception:  # one answer that can't be given must not stop the others
                log.exception("fault while answering a packet")

    def _ready(self) -> bool:
        """Tell whether packets are accepted: what a load balancer has to know."""
        return self.reception.watch.maintenance is None and not self.log.fault

    def _push_times(self) -> Durations:
        """Return how long packets have waited for their commit."""
        waited_ms, self._waited_ms = self._waited_ms, Counter()
        self._took.note_ms(waited_ms)
        return self._took

    def _probe(self) -> None:
        """Let the log show that it can be written, when no packet does so."""
        if time.time_ns() // 1_000_000 - self.log.committed_ms > PROBE_MS:
            self.log.probe()

    async def start(self) -> None:
        """Listen on both ports and on the control socket."""
        settings = self.settings
        _allow_many_connections()
        files = self._tls_files()
        self._tls_stamp = tls.stamp(*files)
        context = tls.tls_context(*files)
        http = await self._listen(settings.http_port, "--push-http-port", None)
        https = await self._listen(settings.https_port, "--push-https-port", context)
        shown = "localhost" if settings.host in EVERYWHERE | LOOPBACK else settings.host
        path = ROUTES[0].path
        self.addresses = Addresses(
            push_http=f"http://{shown}:{http}{path}",
            push_https=settings.public_url or f"https://{shown}:{https}{path}",
            http_port=http,
            https_port=https,
        )
        self.reception.push_url = self.addresses.push_https
        if settings.environment == "development":
            self.reception.push_url_plain = self.addresses.push_http
        await self._listen_control()
        for task in (self.reception.watch.run(), self._tick(context), self._report_use()):
            self._tasks.append(self._loop.create_task(task))

    def _tls_files(self) -> tuple[Any, Any]:
        settings = self.settings
        if settings.tls_certificate and settings.tls_key:
            return settings.tls_certificate, settings.tls_key
        return tls.ensure_certificate(settings.tls_dir, _hosts(settings))

    async def _listen(self, port: int, flag: str, context: ssl.SSLContext | None) -> int:
        config = Config(pages.pages(self._ready), lifespan="off", log_config=None, access_log=False)
        config.load()

        def connection() -> PushProtocol:
            return PushProtocol(config, self._state, {}, self._loop, reception=self.reception)

        options: dict[str, Any] = {"ssl": context, "backlog": BACKLOG}
        if context is not None:
            options["ssl_handshake_timeout"] = self.settings.tls_handshake_timeout_s
        try:
            server = await self._loop.create_server(connection, self.settings.host, port, **options)
        except OSError as error:
            raise _port_error(self.settings.host, port, flag, error) from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _listen_control(self) -> None:
        path = self.settings.control_socket
        config = Config(
            self.control.application(), lifespan="off", log_config=None, access_log=False
        )
        config.load()
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # nobody else may connect, not even for a moment
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        self._servers.append(
            await self._loop.create_unix_server(
                lambda: HttpToolsProtocol(config, self._control_state, {}, self._loop),
                sock=listener,
            )
        )

    async def _tick(self, context: ssl.SSLContext) -> None:
        """Do once a second what needs no more precision than that."""
        while True:
            for turn in (
                self._tell_time,
                self.control.accepting.look,
                self._sweep,
                self._push_times,
                self._probe,
                lambda: self._renew_tls(context),
            ):
                try:
                    turn()
                except Exception:  # a full disk today must not end timeouts for good
                    log.exception("fault in what is done every second")
            await asyncio.sleep(TICK_S)

    def _tell_time(self) -> None:
        self.reception.tick()
        date = formatdate(time.time(), usegmt=True).encode()
        for state in (self._state, self._control_state):
            state.default_headers = [(b"date", date)]

    def _sweep(self) -> None:
        for connection in list(self._state.connections):
            assert isinstance(connection, PushProtocol)
            try:
                connection.sweep(self.reception.now_s)
            except Exception:  # one connection must not keep the others open
                log.exception("fault while sweeping a connection")

    def _renew_tls(self, context: ssl.SSLContext) -> None:
        files = self._tls_files()
        if (found := tls.stamp(*files)) == self._tls_stamp:
            return
        self._tls_stamp = found
        try:
            tls.load(context, *files)
            log.info("certificate loaded again", file=str(files[0]))
        except KilowatchError as error:
            log.warning("the new certificate can't be used", reason=error.detail)

    async def _report_use(self) -> None:
        """Write when credentials were last used, a few seconds late and off the loop."""
        while True:
            await asyncio.sleep(5.0)
            await self.reception.report_use()

    async def close(self) -> None:
        """Stop listening, answer what is under way, and bring the log in order."""
        self.control.stop()
        for server in self._servers:
            server.close()
        connections = self._state.connections | self._control_state.connections
        for connection in connections:
            connection.shutdown()
        ends_s = self._loop.time() + self.settings.shutdown_s_max
        states = (self._state, self._control_state)
        while any(s.connections for s in states) and self._loop.time() < ends_s:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # connections come and go without telling us
        for connection in self._state.connections | self._control_state.connections:
            if connection.transport is not None:
                connection.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.reception.report_use()
        await self._loop.run_in_executor(None, self.log.close)
        self.reception.close()
        with contextlib.suppress(FileNotFoundError):
            self.settings.control_socket.unlink()


def _hosts(settings: CollectorSettings) -> list[str]:
    public = settings.public_url.partition("//")[2].partition("/")[0].rpartition(":")[0]
    host = "" if settings.host in EVERYWHERE else settings.host
    return [name for name in (host, public) if name]


def _port_error(host: str, port: int, flag: str, error: OSError) -> KilowatchError:
    # uvloop and asyncio wrap the reason differently; the number stays.
    if error.errno == errno.EADDRINUSE:
        return KilowatchError(
            "port_taken",
            f"Port {port} on {host} is taken by another program.",
            status=500,
            remedy=f"Stop that program, or choose another port with {flag}.",
            data={"port": port, "flag": flag},
        )
    return KilowatchError(
        "port_unusable",
        f"Port {port} on {host} can't be used: {error.strerror or error}.",
        status=500,
        remedy=f"Choose another port with {flag}, or another address with --host.",
        data={"port": port, "flag": flag},
    )


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
