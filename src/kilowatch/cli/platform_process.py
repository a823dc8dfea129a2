"""The platform as a process: pipeline, store, dashboard, and the answers to commands."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import structlog
from starlette.applications import Starlette

from kilowatch import catalog
from kilowatch.catalog import judgements, secrets
from kilowatch.cli.child import Ready
from kilowatch.cli.control import create_control
from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.listeners import listener, serve_all, take_path, take_port
from kilowatch.cli.settings import Settings
from kilowatch.cli.silence_process import Listening
from kilowatch.collector import ensure_certificate
from kilowatch.dashboard import CollectorEvents, DashboardSettings, create_app
from kilowatch.log import LogReader
from kilowatch.pipeline.consumer import Consumer
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.view import View
from kilowatch.store.chdb_store import ChdbStore

log = structlog.get_logger("platform")

CURSOR_TIMEOUT_S = 5.0
HTTP_PORT, HTTPS_PORT = "dashboard_port", "dashboard_https_port"
LOOPBACK = "127.0.0.1"


class Pipeline:
    """The store and the thread that fills it, opened while pages are served already.

    Args:
        folder: The data folder.
        streams: What readers see.
        reader: The log.
        watch: The registered data points.
        loop: The loop on which the cursor is published.
    """

    def __init__(
        self,
        folder: DataFolder,
        streams: Streams,
        reader: LogReader,
        watch: DirectoryWatch,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._folder = folder
        self._streams = streams
        self._reader = reader
        self._watch = watch
        self._loop = loop
        self._consumer: Consumer | None = None
        self._stopping = False
        self.failure: asyncio.Future[None] = loop.create_future()
        self._collector = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(folder.collector_socket)),
            base_url="http://collector",
            timeout=CURSOR_TIMEOUT_S,
            trust_env=False,
        )
        self._thread = threading.Thread(target=self._run, name="pipeline")

    def start(self) -> None:
        """Open the store and follow the log, in a thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that the log has something new."""
        if self._consumer is not None:
            self._consumer.wake()

    async def stop(self) -> None:
        """Write what is hot and close the store."""
        self._stopping = True
        if self._consumer is not None:
            self._consumer.stop()
        await asyncio.to_thread(self._thread.join)
        await self._collector.aclose()

    def _run(self) -> None:
        try:
            store = ChdbStore(self._folder.store)
            try:
                self._consumer = Consumer(
                    log=self._reader,
                    store=store,
                    state_path=self._folder.pipeline,
                    points=self._watch.now,
                    reload=self._watch.reload,
                    streams=self._streams,
                    on_stored=self._publish,
                )
                if self._stopping:
                    self._consumer.stop()
                self._consumer.run()
            finally:
                store.close()
        except Exception as error:
            log.exception("the pipeline can't run")
            self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    def _publish(self, stored_seq: int) -> None:
        with suppress(RuntimeError):  # the loop is closed: the next start publishes again
            asyncio.run_coroutine_threadsafe(self._tell(stored_seq), self._loop)

    async def _tell(self, stored_seq: int) -> None:
        try:
            await self._collector.post("/cursor", json={"stored": stored_seq})
        except httpx.HTTPError as error:
            log.debug("the cursor was not told", reason=str(error))  # the next one will be


async def run(folder: DataFolder, settings: Settings, stop: asyncio.Event, ready: Ready) -> None:
    """Serve dashboard and commands, and follow the log, until asked to stop."""
    pages = _take_ports(settings)
    registered = catalog.open(folder.catalog)
    watch = DirectoryWatch(registered, settings.environment)
    reader = LogReader(folder.log)
    streams = Streams()
    listening = Listening(folder, watch, streams)
    view = View(
        streams,
        reader,
        silences=listening.silences.open,
        rhythm_ms=listening.watch.rhythm_ms,
        dismissed=partial(_dismissed, registered),
    )
    pipeline = Pipeline(folder, streams, reader, watch, asyncio.get_running_loop())
    events = CollectorEvents(folder.collector_socket)
    app = create_app(registered, view, reader, events, _dashboard_settings(folder, settings))
    control = create_control(watch.now, view, reader, listening.silences.open, listening.watch)
    served = [(listener(control), take_path(folder.control_socket))]
    for name, taken in pages.items():
        tls = _tls_files(folder, settings) if name == HTTPS_PORT else None
        served.append((listener(app, tls, settings.trusted_proxies), taken))
    ports = {name: taken.getsockname()[1] for name, taken in pages.items()}
    pipeline.start()
    listening.start()
    background = [
        asyncio.create_task(_wake(events, pipeline)),
        asyncio.create_task(_close_streams(app, stop, pipeline.failure)),
    ]
    try:
        async with app.router.lifespan_context(app):
            ready({**_addresses(settings, ports), "settings": ports})
            await serve_all(served, stop)
    finally:
        for task in background:
            task.cancel()
        await asyncio.to_thread(listening.stop)
        await pipeline.stop()
        watch.close()
        reader.close()
        registered.close()
        folder.control_socket.unlink(missing_ok=True)
    if pipeline.failure.done():
        pipeline.failure.result()


def _dismissed(registered: catalog.Catalog) -> frozenset[tuple[int, str, str]]:
    with registered.reading() as session:
        return judgements.dismissed(session)


def _take_ports(settings: Settings) -> dict[str, socket.socket]:
    """Bind the pages' ports; without TLS only for this machine, and never in production."""
    taken = {
        HTTPS_PORT: take_port(
            settings.host, settings.dashboard_https_port, "--dashboard-https-port"
        )
    }
    if settings.environment == "development":
        taken[HTTP_PORT] = take_port(LOOPBACK, settings.dashboard_port, "--dashboard-port")
    return taken


def _addresses(settings: Settings, ports: dict[str, int]) -> dict[str, str]:
    https = settings.public_dashboard_url or f"https://{settings.shown_host}:{ports[HTTPS_PORT]}/"
    addresses = {"dashboard_https": https}
    if HTTP_PORT in ports:
        addresses["dashboard_http"] = f"http://localhost:{ports[HTTP_PORT]}/"
    return addresses


def _dashboard_settings(folder: DataFolder, settings: Settings) -> DashboardSettings:
    development = settings.environment == "development"
    return DashboardSettings(
        environment=settings.environment,
        server_key=secrets.server_key(folder.root, settings.secret_key),
        push_url=settings.public_push_url
        or f"https://{settings.shown_host}:{settings.push_https_port}",
        push_url_http=f"http://localhost:{settings.push_http_port}" if development else None,
        secure_cookies=None if development else True,
    )


def _tls_files(folder: DataFolder, settings: Settings) -> tuple[Path, Path]:
    if settings.tls_certificate:
        return Path(settings.tls_certificate), Path(settings.tls_key)
    return ensure_certificate(folder.tls)


async def _wake(events: CollectorEvents, pipeline: Pipeline) -> None:
    """Wake the pipeline at each commit, so that a packet is shown within a second."""
    async for event in events.events(requests=False):
        if "committed" in event:
            pipeline.wake()


async def _close_streams(
    app: Starlette, stop: asyncio.Event, failure: asyncio.Future[None]
) -> None:
    """End live streams first when we stop: they would hold the listeners open for ever."""
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopping, failure], return_when=asyncio.FIRST_COMPLETED)
    app.state.rooms.hub.close()
    stop.set()
