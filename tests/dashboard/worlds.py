"""The demo-like organisation of these tests: two sites, every state that a page can be in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette

from kilowatch import catalog as catalogs
from kilowatch.catalog import credentials, data_points, people, registry
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.dashboard import DashboardSettings, create_app
from kilowatch.dashboard.registry import Registry
from kilowatch.log import LogReader, LogWriter, Outcome
from kilowatch.model.packet import Form
from kilowatch.model.points import DataPoint
from kilowatch.notify.addresses import parse_networks
from kilowatch.notify.mail import Mailer, NoMailer
from kilowatch.notify.needs import Sources
from kilowatch.notify.service import Notifier, NotifySettings
from kilowatch.wire import decode
from tests.dashboard.fake_insights import FakeInsights
from tests.dashboard.fakes import (
    DAY_MS,
    HOUR_MS,
    FakePast,
    FakeRequests,
    FakeView,
    electrical_rows,
    office,
    rows_of,
    starts_of,
    with_gap,
)
from tests.dashboard.jitter import late
from tests.notify.worlds import FakeFeed, FakeFindings

KEY = bytes(range(32))
PASSWORD = "correct horse battery staple"
ADMIN, VIEWER, STRANGER, END_USER = (
    "a.lee@example.com",
    "viewer@example.com",
    "stranger@example.org",
    "tenant@example.com",
)
NOW_MS = 1_794_234_140_000  # Mon 9 Nov 2026 14:22:20 in Dublin


@dataclass
class World:
    """Everything a test of a page may touch."""

    catalog: Catalog
    view: FakeView
    requests: FakeRequests
    log: LogReader
    writer: LogWriter
    app: Starlette
    points: dict[str, DataPoint]
    sites: dict[str, int]
    now: list[int]
    url: str = ""
    credential: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    def push(self, name: str, body: bytes, *, received_ms: int | None = None) -> Outcome:
        """Write a packet into the log, as the collector would."""
        point = self.points[name]
        done = threading.Event()
        found: list[Outcome] = []

        def take(outcome: Outcome) -> None:
            found.append(outcome)
            done.set()

        packet = decode(body, Form.LOCAL)
        at_ms = received_ms or self.now[0]
        self.writer.submit(point.series, packet, Form.LOCAL, body, at_ms, self.credential.id, take)
        assert done.wait(10)
        return found[0]

    def catalog_actor(self) -> catalogs.Actor:
        """Return who makes a change in a test."""
        return catalogs.Actor("test")

    def point(self, name: str) -> DataPoint:
        """Return a data point by its short name."""
        return self.points[name]


POINTS: tuple[tuple[str, str, str, Settings], ...] = (
    ("main", "Office Dublin", "Main supply", Settings("electrical", "electricity", 300)),
    ("hvac", "Office Dublin", "HVAC", Settings("electrical", "electricity", 300)),
    ("gas", "Office Dublin", "Gas boiler", Settings("single", "gas", 1800)),
    ("water", "Office Dublin", "Water", Settings("single", "water", 900)),
    ("outdoor", "Office Dublin", "Outdoor temperature", Settings("single", "temperature", 900)),
    ("server", "Office Dublin", "Server room", Settings("electrical", "electricity", 300)),
    ("chiller", "Supermarket Cork", "Refrigeration", Settings("electrical", "electricity", 300)),
    ("new", "Supermarket Cork", "Bakery ovens", Settings("electrical", "electricity", 300)),
    ("one", "Supermarket Cork", "Heat pump", Settings("single", "heat", 900, "kWh")),
)


def build(
    folder: Path, now_ms: int | None = NOW_MS, *, days: int = 40, mailer: Mailer | None = None
) -> World:
    """Build the organisation, its data, and the application over them."""
    now = [now_ms or time.time_ns() // 1_000_000]
    live = now_ms is None

    def clock() -> int:
        return time.time_ns() // 1_000_000 if live else now[0]

    catalog, points, sites, credential = _registered(folder / "catalog.sqlite", now_ms, clock)
    view, requests = FakeView(), FakeRequests()
    view.now_ms = now[0]
    writer = LogWriter(folder / "log.sqlite", on_commit=lambda _seq: None)
    log = LogReader(folder / "log.sqlite")
    settings = DashboardSettings(
        environment="development",
        server_key=KEY,
        push_url="https://localhost:8443/measurements/v2/unifiedjson/",
        push_url_http="http://localhost:8080/measurements/v2/unifiedjson/",
        heartbeat_s=1.0,
        coalesce_s=0.05,
    )
    feed, findings, mailer = FakeFeed(), FakeFindings(), mailer or NoMailer()
    notifier = Notifier(
        catalog,
        Sources(Registry(catalog, "development").directory, feed, view, findings),
        mailer,
        NotifySettings(None, KEY, parse_networks(["127.0.0.0/8"]), "https://energy.example"),
        clock,
    )
    past, insights = FakePast(), FakeInsights(view)
    app = create_app(
        catalog, view, log, requests, settings,
        mailer=mailer, desk=notifier.desk, past=past, insights=insights, clock=clock,
    )  # fmt: skip
    world = World(catalog, view, requests, log, writer, app, points, sites, now)
    world.extra |= {"feed": feed, "notifier": notifier, "past": past, "insights": insights}
    world.extra["findings"] = findings
    world.credential = credential
    _fill(world, now[0], days)
    return world


_KEPT: dict[int, tuple[bytes, dict[str, int], dict[str, int], Any]] = {}
"""What `_register` made at a moment: the file, the numbers of points and sites, the credential.

Registering takes longer than most tests of a page; copying the file takes a millisecond."""


def _registered(
    path: Path, now_ms: int | None, clock: Callable[[], int]
) -> tuple[Catalog, dict[str, DataPoint], dict[str, int], Any]:
    kept = _KEPT.get(now_ms) if now_ms is not None else None
    if kept is not None:
        path.write_bytes(kept[0])
    catalog = catalogs.open(path, clock=clock)
    numbers, sites, credential = _register(catalog) if kept is None else kept[1:]
    if kept is None and now_ms is not None:
        _KEPT[now_ms] = path.read_bytes(), numbers, sites, credential
    directory = catalogs.directory.load(catalog, "development")
    points = {short: directory.by_id(number) for short, number in numbers.items()}
    found = {short: point for short, point in points.items() if point is not None}
    return catalog, found, dict(sites), credential


def _register(catalog: Catalog) -> tuple[dict[str, int], dict[str, int], Any]:
    with catalog.change(catalogs.Actor("test")) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        sites: dict[str, Site] = {}
        for name, city in (("Office Dublin", "Dublin"), ("Supermarket Cork", "Cork")):
            sites[name] = registry.add_site(change, acme, name, zone="Europe/Dublin", city=city)
        numbers = {}
        for short, site, name, settings in POINTS:
            row = data_points.register(
                change, sites[site], name, settings, stream_id=f"acme-{short}"
            )
            numbers[short] = row.id
        for email, role, called in (
            (ADMIN, "administrator", "A. Lee"),
            (VIEWER, "viewer", "V. Iewer"),
        ):
            user, _ = people.add_user(change, email, name=called, password=PASSWORD)
            people.set_role(change, user, acme, role)  # type: ignore[arg-type]
        tenant, _ = people.add_user(change, END_USER, name="T. Enant", password=PASSWORD)
        people.set_role(change, tenant, acme, "end user")
        people.grant(change, tenant, sites["Supermarket Cork"])
        _stranger(change)
        issued = credentials.issue(
            change, KEY, Target(acme), environment="development", name="gateway A"
        )
        site_ids = {name: site.id for name, site in sites.items()}
    return numbers, site_ids, issued.credential


def _stranger(change: catalogs.Change) -> None:
    other: Organisation = registry.add_organisation(change, "Elsewhere", country="DE")
    site = registry.add_site(change, other, "Werk", zone="Europe/Berlin")
    settings = Settings("electrical", "electricity", 300)
    data_points.register(change, site, "Presse", settings, stream_id="werk-presse")
    user, _ = people.add_user(change, STRANGER, name="S. Tranger", password=PASSWORD)
    people.set_role(change, user, other, "administrator")


def _fill(world: World, now_ms: int, days: int) -> None:
    begin = now_ms - days * DAY_MS
    points, view = world.points, world.view
    for short, factor, seed in (("main", 1.0, 1), ("hvac", 0.36, 2), ("chiller", 0.8, 3)):
        point = points[short]
        starts = starts_of(point, begin, now_ms - 240_000)
        rows = electrical_rows(point, starts, office(starts, point.zone, seed) * factor)
        if short == "main":
            rows = with_gap(rows, now_ms - 30 * HOUR_MS, now_ms - 27 * HOUR_MS)
        view.put(point, rows)
    late = points["server"]
    starts = starts_of(late, begin, now_ms - 2 * HOUR_MS - 420_000)
    rng = np.random.default_rng(5)
    view.put(late, electrical_rows(late, starts, 3_100 + rng.normal(0, 60, len(starts))))
    _singles(world, begin, now_ms)
    point = points["one"]
    view.put(point, rows_of(point, 0, starts_of(point, now_ms - 900_000, now_ms)[-1:],
                            amount=np.array([2_400.0])), packets=1)  # fmt: skip


def _singles(world: World, begin: int, now_ms: int) -> None:
    points, view = world.points, world.view
    gas = points["gas"]
    starts = starts_of(gas, begin, now_ms)
    shape = office(starts, gas.zone, 11) / 55_000
    view.put(gas, rows_of(gas, 0, starts, amount=3.4 * shape))
    water = points["water"]
    starts = starts_of(water, begin, now_ms)
    shape = np.maximum(office(starts, water.zone, 12) / 55_000 - 0.17, 0)
    view.put(water, rows_of(water, 0, starts, amount=0.42 * shape))
    outdoor = points["outdoor"]
    starts = starts_of(outdoor, begin, now_ms)
    day = (starts % DAY_MS) / DAY_MS
    rng = np.random.default_rng(4)
    noise = np.cumsum(rng.normal(0, 0.06, len(starts)))
    view.put(outdoor, rows_of(outdoor, 0, starts, mean=8.5 + 3.6 * np.sin(2 * np.pi * (day - 0.4))
                              + noise - noise.mean()))  # fmt: skip


@contextmanager
def served(world: World, port: int = 0) -> Iterator[World]:
    """Serve the application on a loopback port, in a thread."""
    config = uvicorn.Config(
        late(world.app), host="127.0.0.1", port=port, log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    number = server.servers[0].sockets[0].getsockname()[1]
    world.url = f"http://127.0.0.1:{number}"
    try:
        yield world
    finally:
        world.app.state.rooms.hub.close()
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive(), "the server did not stop: a live stream held it open"
