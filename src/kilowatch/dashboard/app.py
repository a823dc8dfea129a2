"""Putting the dashboard together: what it is given, its doors, its live streams.

``create_app`` needs, each named by what is called on it in ``needs.py``:

* ``catalog``: an open ``kilowatch.catalog.Catalog``;
* ``view``: the measurements, ``kilowatch.pipeline.view.View`` (``needs.View``);
* ``log_reader``: the packets, ``kilowatch.log.LogReader`` (``needs.PacketLog``);
* ``collector_events``: ``CollectorEvents(socket)`` of this room (``needs.RequestEvents``);
* ``settings``: ``DashboardSettings``.

The application needs its lifespan to be run (uvicorn does), and whoever stops the server calls
``app.state.rooms.hub.close()`` first: live streams would hold it open for ever.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from re import Pattern

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.templating import Jinja2Templates

from kilowatch.catalog.database import Catalog
from kilowatch.dashboard import (
    account,
    account_keys,
    admin,
    admin_calendar,
    admin_credentials,
    admin_import,
    admin_meters,
    admin_organisations,
    admin_packages,
    admin_points,
    admin_prices,
    admin_sites,
    admin_terms,
    alert_channels,
    alert_rules,
    attributes,
    backfilling,
    breakdown,
    comments,
    compare_page,
    compare_peaks,
    data,
    dated_pages,
    design_page,
    event_files,
    event_page,
    export_links,
    export_page,
    feedback,
    flow,
    forecast_page,
    forgotten,
    formula_pages,
    glossary_page,
    groups_pages,
    heatmap,
    history_pages,
    home,
    imports,
    insight_files,
    level_beside,
    level_pages,
    login,
    manual,
    notification_files,
    notifications,
    operating,
    overlays,
    plans_pages,
    problems,
    profile,
    quality,
    quality_actions,
    quality_files,
    quality_point,
    quality_rules,
    remedies,
    saved,
    sentinel,
    stand_files,
    start_pages,
    streams,
    users,
    waste_page,
)
from kilowatch.dashboard.access import Access, Door, belonging_to
from kilowatch.dashboard.live import Hub
from kilowatch.dashboard.measures import change, money, part, shown
from kilowatch.dashboard.module_graph import Modules
from kilowatch.dashboard.needs import (
    Health,
    Insights,
    NoHealth,
    PacketLog,
    Past,
    RequestEvents,
    View,
    no_past,
)
from kilowatch.dashboard.registry import Registry
from kilowatch.dashboard.rooms import Rooms
from kilowatch.dashboard.security import BODY_BYTES_MAX, BodyLimit, SecurityHeaders
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.dashboard.static_files import PackedAnswers, Static
from kilowatch.dashboard.words import t, utc
from kilowatch.model.changes import tells
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.desk import Desk
from kilowatch.notify.mail import Mailer, NoMailer
from kilowatch.notify.needs import NoSilences, Sources
from kilowatch.notify.service import Notifier, NotifySettings

HERE = Path(__file__).parent
STATIC = HERE / "static"

DOORS: tuple[Door, ...] = (
    Door("/login", login.log_in_page, Access.ANYONE),
    Door("/login", login.log_in, Access.ANYONE, ("POST",)),
    Door("/login/code", login.code_page, Access.ANYONE),
    Door("/login/code", login.bring_code, Access.ANYONE, ("POST",)),
    Door("/logout", login.log_out, Access.SIGNED_IN, ("POST",), while_owing=True),
    *home.DOORS,
    *start_pages.DOORS,
    Door("/tree", breakdown.tree, Access.SIGNED_IN),
    Door("/organization/{number:number}", breakdown.organization, Access.SIGNED_IN),
    Door("/site/{number:number}", breakdown.site, Access.SIGNED_IN),
    Door("/data/points", data.points, Access.READ_POINT, tool="breakdown"),
    *level_pages.DOORS,
    *level_beside.DOORS,
    *comments.DOORS,
    Door("/breakdown/{point_id:number}", breakdown.breakdown, Access.READ_POINT, tool="breakdown"),
    Door(
        "/attributes/{point_id:number}", attributes.attributes, Access.READ_POINT, tool="attributes"
    ),
    Door(
        "/attributes/{point_id:number}/panels",
        attributes.panels,
        Access.READ_POINT,
        tool="attributes",
    ),
    *remedies.DOORS,
    *quality.DOORS,
    *quality_files.DOORS,
    *quality_point.DOORS,
    *quality_actions.DOORS,
    *quality_rules.DOORS,
    *backfilling.DOORS,
    *dated_pages.DOORS,
    *imports.DOORS,
    *sentinel.DOORS,
    *feedback.DOORS,
    *glossary_page.DOORS,
    *manual.DOORS,
    *design_page.DOORS,
    *event_page.DOORS,
    *event_files.DOORS,
    *saved.DOORS,
    *forecast_page.DOORS,
    *waste_page.DOORS,
    *insight_files.DOORS,
    *stand_files.DOORS,
    *heatmap.DOORS,
    *profile.DOORS,
    *flow.DOORS,
    *compare_page.DOORS,
    *compare_peaks.DOORS,
    Door("/data/series", data.series, Access.READ_POINT, tool="breakdown"),
    Door("/data/series.csv", data.series_csv, Access.EXPORT_POINT, tool="export"),
    *overlays.DOORS,
    *export_page.DOORS,
    *export_links.DOORS,
    Door("/data/days", data.days, Access.READ_POINT, tool="breakdown"),
    Door("/data/today", breakdown.today, Access.SIGNED_IN),
    Door("/data/requests", attributes.requests, Access.READ_POINT, tool="attributes"),
    Door("/live", streams.live, Access.SIGNED_IN),
    *notifications.DOORS,
    *notification_files.DOORS,
    *alert_rules.DOORS,
    *alert_channels.DOORS,
    *belonging_to(
        "admin",
        (
            *admin_organisations.DOORS,
            *admin_sites.DOORS,
            *admin_calendar.DOORS,
            *admin_terms.DOORS,
            *admin_prices.DOORS,
            *admin_meters.DOORS,
            *admin_points.DOORS,
            *formula_pages.DOORS,
            *admin.DOORS,
            *admin_import.DOORS,
            *admin_credentials.DOORS,
            *admin_packages.DOORS,
        ),
    ),
    *operating.DOORS,
    *forgotten.DOORS,
    *account.DOORS,
    *account_keys.DOORS,
    *users.DOORS,
    *groups_pages.DOORS,
    *plans_pages.DOORS,
    *history_pages.DOORS,
)
"""Every address of the dashboard with who may pass; static files are for anyone."""


def create_app(  # noqa: PLR0913 - each is a room
    catalog: Catalog,
    view: View,
    log_reader: PacketLog,
    collector_events: RequestEvents,
    settings: DashboardSettings,
    *,
    mailer: Mailer | None = None,
    health: Health | None = None,
    desk: Desk | None = None,
    past: Past | None = None,
    insights: Insights | None = None,
    clock: Callable[[], int] | None = None,
) -> Starlette:
    """Build the dashboard.

    Args:
        catalog: Who owns what.
        view: Measurements.
        log_reader: Packets as they came.
        collector_events: The collector's live view.
        settings: How it is set up.
        mailer: Sends e-mail; None where no operator has named a server.
        health: Whether the platform is all right; None where nobody looks.
        desk: Alerts; None where nobody watches: rules and channels can be edited all the same.
        past: Puts packets into history; None where there is no collector.
        insights: What was found out about use; None where nobody looks: its pages are not shown.
        clock: What time it is [ms since 1970, UTC].
    """
    health = health or NoHealth()
    hub = Hub(
        view,
        collector_events,
        heartbeat_s=settings.heartbeat_s,
        coalesce_s=settings.coalesce_s,
    )
    registry = Registry(catalog, settings.environment)
    mailer = mailer or NoMailer()
    now = clock or (lambda: time.time_ns() // 1_000_000)
    desk = desk or _desk(registry, view, mailer, settings, now)
    desk.listen(hub.tell_alerts)
    static = f"/static/{_digest(STATIC)}"

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        hub.start()
        yield
        await hub.stop()

    app = Starlette(
        routes=[*_routes(), Mount(static, Static(STATIC), name="static")],
        middleware=[
            Middleware(operating.PageTimes, times=health.page_times),
            Middleware(SecurityHeaders, production=settings.environment == "production"),
            Middleware(BodyLimit, larger=_larger_bodies()),
            Middleware(PackedAnswers),
        ],
        exception_handlers={
            KilowatchError: _refused,
            HTTPException: problems.unknown,
            Exception: problems.broken,
        },
        lifespan=lifespan,
    )
    app.state.rooms = Rooms(
        registry=registry,
        view=view,
        log=log_reader,
        requests=collector_events,
        settings=settings,
        templates=_templates(static),
        hub=hub,
        mailer=mailer,
        desk=desk,
        static=static,
        health=health,
        past=past or no_past(),
        insights=insights,
        clock=now,
    )
    return app


def _desk(
    registry: Registry,
    view: View,
    mailer: Mailer,
    settings: DashboardSettings,
    clock: Callable[[], int],
) -> Desk:
    """Return a desk where nothing is watched: it has no alerts, and its channels can be tried."""
    sources = Sources(registry.directory, NoSilences(), view)
    kept = NotifySettings(None, settings.server_key)
    return Notifier(registry.catalog, sources, mailer, kept, clock).desk


def _routes() -> list[BaseRoute]:
    """Return the routes, those of one path together, so that another method is a 405."""
    return [door.route() for door in DOORS]


def _larger_bodies() -> list[tuple[Pattern[str], int]]:
    """Return the paths that take a file, with their limits."""
    return [
        (compile_path(door.path)[0], door.body_bytes_max)
        for door in DOORS
        if door.body_bytes_max > BODY_BYTES_MAX
    ]


async def _refused(request: Request, error: Exception) -> Response:
    return await problems.refused(request, error)


def _templates(static: str) -> Jinja2Templates:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["t"] = t
    environment.globals["utc"] = utc
    environment.globals["as_measure"] = shown
    environment.globals["as_change"] = change
    environment.globals["as_part"] = part
    environment.globals["tells"] = tells
    environment.globals["as_money"] = money
    environment.globals["modules"] = Modules(STATIC / "js", f"{static}/js")
    return Jinja2Templates(env=environment)


def _digest(folder: Path) -> str:
    found = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(path.relative_to(folder).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest()
