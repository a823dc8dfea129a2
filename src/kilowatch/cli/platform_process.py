"""The platform as a process: pipeline, store, dashboard, and the answers to commands."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import structlog
from starlette.applications import Starlette

from kilowatch import api, catalog
from kilowatch.catalog import judgements, secrets
from kilowatch.cli import exporting
from kilowatch.cli.addresses import ByPath, guarded
from kilowatch.cli.alerting import create_notifier, follow_values
from kilowatch.cli.child import Ready
from kilowatch.cli.control import create_control
from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.insight_process import Following
from kilowatch.cli.listeners import listener, serve_all, take_path, take_port
from kilowatch.cli.mail_test import mailer_of
from kilowatch.cli.operations import Operations, Parts
from kilowatch.cli.settings import Settings
from kilowatch.cli.silence_process import Listening
from kilowatch.cli.standing_still import StandingStill
from kilowatch.client.history import HistoryDesk
from kilowatch.collector import ensure_certificate
from kilowatch.dashboard import CollectorEvents, DashboardSettings, create_app
from kilowatch.dashboard.expected_waste import wasted
from kilowatch.dashboard.warming import Warming
from kilowatch.exports import memory
from kilowatch.health.deadman import DeadMan, DeadManSettings
from kilowatch.health.deliveries import Deliveries
from kilowatch.health.uptime import BEAT_S, Uptime
from kilowatch.log import LogReader
from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.needs import Sources
from kilowatch.notify.service import Notifier
from kilowatch.pipeline.consumer import Consumer
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.view import View
from kilowatch.store.chdb_store import ChdbStore

log = structlog.get_logger("platform")

CURSOR_TIMEOUT_S = 5.0
HTTP_PORT, HTTPS_PORT = "dashboard_port", "dashboard_https_port"
LOOPBACK = "127.0.0.1"
GC_THRESHOLDS = (10_000, 20, 100)
"""New objects, young and middle collections between collections of everything. Python's own
(700, 10, 10) look through the states of 10,000 streams and the tree again and again, 200 ms each
time, in the middle of somebody's page; ours make next to no cycles."""


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
        self._store: ChdbStore | None = None
        self._stopping = False
        self._keeps_log = False
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

    def query_times(self) -> Mapping[str, Durations]:
        """Return how long the store's queries took; nothing while it opens."""
        return self._store.query_times() if self._store is not None else {}

    def wake(self) -> None:
        """Say that the log has something new."""
        if self._consumer is not None:
            self._consumer.wake()

    def between_writes(self, work: Callable[[], None]) -> Future[None]:
        """Have something done while nothing is being written, in the pipeline's thread.

        Raises:
            KilowatchError: 503 ``starting``.
        """
        if self._consumer is None:
            raise KilowatchError(
                "starting",
                "The store is still opening.",
                status=503,
                remedy="Try again in a moment.",
                retry_helps=True,
            )
        return self._consumer.between_writes(work)

    def freeze(self) -> None:
        """Keep the store's files as they are now, until ``store.freezing.thaw``."""
        assert self._store is not None  # between writes there is one
        self._store.freeze()

    def keep_log(self, wanted: bool) -> None:
        """Keep the collector from dropping what the store has from now on, or no more."""
        self._keeps_log = wanted

    async def stop(self) -> None:
        """Write what is hot and close the store."""
        self._stopping = True
        if self._consumer is not None:
            self._consumer.stop()
        await asyncio.to_thread(self._thread.join)
        await self._collector.aclose()

    def _run(self) -> None:
        try:
            store = self._store = ChdbStore(self._folder.store)
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
        if self._keeps_log:
            return  # what comes after the backup tells more
        with suppress(RuntimeError):  # the loop is closed: the next start publishes again
            asyncio.run_coroutine_threadsafe(self._tell(stored_seq), self._loop)

    async def _tell(self, stored_seq: int) -> None:
        try:
            await self._collector.post("/cursor", json={"stored": stored_seq})
        except httpx.HTTPError as error:
            log.debug("the cursor was not told", reason=str(error))  # the next one will be


async def run(folder: DataFolder, settings: Settings, stop: asyncio.Event, ready: Ready) -> None:
    """Serve dashboard and commands, and follow the log, until asked to stop."""
    gc.set_threshold(*GC_THRESHOLDS)
    memory.bound_allocators()
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
        contact=listening.watch.contact,
        silent=listening.watch.silent,
        dismissed=partial(_dismissed, registered),
    )
    following = Following(folder, registered, watch, streams, view)
    up = Uptime(folder.uptime("platform"), _now_ms())
    pipeline = Pipeline(folder, streams, reader, watch, asyncio.get_running_loop())
    events = CollectorEvents(folder.collector_socket)
    parts = Parts(
        folder, registered, view, reader, streams, watch.now, pipeline.query_times,
        certificate=_tls_files(folder, settings)[0],
        silences_fault=lambda: listening.watch.fault,
        insights=lambda: following.follower.backlog,
        deliveries=Deliveries(),
    )  # fmt: skip
    operations = Operations(parts)
    ports = {name: taken.getsockname()[1] for name, taken in pages.items()}
    addresses = _addresses(settings, ports)
    app, notifier = _app(settings, parts, operations, addresses, listening, events, following)
    doors = _with_api(app, settings, operations)
    parts.deadman = _deadman(settings, operations)
    standing = StandingStill(folder, pipeline)
    control = create_control(
        watch.now, view, reader, listening.silences.open, operations.platform,
        [exporting.route(app.state.rooms), standing.route()],
    )  # fmt: skip
    served = [(listener(control), take_path(folder.control_socket))]
    for name, taken in pages.items():
        tls = _tls_files(folder, settings) if name == HTTPS_PORT else None
        served.append((listener(doors, tls, settings.trusted_proxies), taken))
    warming = Warming(app.state.rooms)
    for part in (pipeline, listening, notifier, following, warming):
        part.start()
    background = [
        asyncio.create_task(follow_values(view, notifier)),
        asyncio.create_task(_wake(events, pipeline)),
        asyncio.create_task(_begin_to_stop(app, following, stop, pipeline.failure)),
        asyncio.create_task(_keep_beating(up)),
    ]
    if parts.deadman is not None:
        background.append(asyncio.create_task(parts.deadman.run()))
    try:
        async with app.router.lifespan_context(app):
            for _, taken in served:
                taken.listen()  # who hears that we are ready is not refused
            ready({**addresses, "settings": ports})
            await serve_all(served, stop)
    finally:
        for task in background:
            task.cancel()
        await asyncio.to_thread(warming.stop)  # it reads insights and the catalogue
        await asyncio.to_thread(notifier.stop)  # it reads silences and measurements
        await asyncio.to_thread(listening.stop)
        await asyncio.to_thread(following.stop)  # it reads measurements too
        await asyncio.gather(standing.stop(), operations.close())
        await pipeline.stop()
        for shared in (watch, reader, registered):
            shared.close()
        folder.control_socket.unlink(missing_ok=True)
    if pipeline.failure.done():
        pipeline.failure.result()
    up.end(_now_ms())


def _app(
    settings: Settings,
    parts: Parts,
    operations: Operations,
    addresses: dict[str, str],
    listening: Listening,
    events: CollectorEvents,
    following: Following,
) -> tuple[Starlette, Notifier]:
    """Put the dashboard together, and who tells people what it shows."""
    mailer = mailer_of(settings)
    shown = _dashboard_settings(parts.folder, settings, addresses)
    sources = Sources(parts.directory, listening.silences, parts.view, following.tidings)
    assert parts.deliveries is not None
    notifier = create_notifier(
        parts.folder, settings, parts.catalog, sources, mailer, shown.public_url, parts.deliveries
    )
    app = create_app(
        parts.catalog,
        parts.view,
        parts.log,
        events,
        shown,
        health=operations,
        mailer=mailer,
        desk=notifier.desk,
        past=HistoryDesk(parts.folder.collector_socket),
        insights=following.view,
    )
    parts.live_pages = lambda: app.state.rooms.hub.listening
    return app, notifier


def _with_api(app: Starlette, settings: Settings, operations: Operations) -> ByPath:
    """Put the management API beside the pages: on their ports, with their registry."""
    rooms = app.state.rooms
    asked = api.create_api(
        api.Rooms(
            rooms.registry, rooms.view, rooms.settings.server_key, rooms.clock, rooms.insights,
            partial(wasted, rooms.insights, rooms.registry),
        )
    )  # fmt: skip
    production = settings.environment == "production"
    return ByPath(app, "/api", guarded(asked, operations.page_times, production=production))


async def _keep_beating(up: Uptime) -> None:
    """Note from time to time that this process lives; away from the loop, for a disk may hang."""
    while True:
        await asyncio.sleep(BEAT_S)
        await asyncio.to_thread(up.beat, _now_ms())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _deadman(settings: Settings, operations: Operations) -> DeadMan | None:
    if not settings.deadman_url:
        return None
    wanted = DeadManSettings(
        settings.deadman_url, settings.deadman_interval_s, settings.deadman_fail_url
    )
    return DeadMan(wanted, operations.report)


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


def _dashboard_settings(
    folder: DataFolder, settings: Settings, addresses: dict[str, str]
) -> DashboardSettings:
    development = settings.environment == "development"
    shown = settings.public_dashboard_url or addresses.get("dashboard_http")
    return DashboardSettings(
        environment=settings.environment,
        server_key=secrets.server_key(folder.root, settings.secret_key),
        push_url=settings.public_push_url
        or f"https://{settings.shown_host}:{settings.push_https_port}",
        push_url_http=f"http://localhost:{settings.push_http_port}" if development else None,
        secure_cookies=None if development else True,
        metrics_token=settings.metrics_token,
        public_url=(shown or addresses["dashboard_https"]).rstrip("/"),
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


async def _begin_to_stop(
    app: Starlette, following: Following, stop: asyncio.Event, failure: asyncio.Future[None]
) -> None:
    """End first, when we stop, what would take long, while what is being sent is sent.

    Live streams would hold the listeners open for ever. Insights are in the middle of a piece of
    work: after the listeners' grace there would be too little left of the time we have.
    """
    stopping: asyncio.Future[Any] = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopping, failure], return_when=asyncio.FIRST_COMPLETED)
    app.state.rooms.hub.close()
    following.end()
    stop.set()
