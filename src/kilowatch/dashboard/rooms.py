"""What a request's handler reaches: the rooms that were given, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.templating import Jinja2Templates

from kilowatch.catalog.rights import Person
from kilowatch.dashboard.demand import Demands
from kilowatch.dashboard.import_jobs import Jobs
from kilowatch.dashboard.live import Hub
from kilowatch.dashboard.names_kept import NamesKept
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
from kilowatch.dashboard.outlooks import Outlooks
from kilowatch.dashboard.registry import Registry
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.dashboard.waste_days import WasteDays
from kilowatch.exports.slots import Slots
from kilowatch.model.points import DataPoint
from kilowatch.notify.desk import Desk
from kilowatch.notify.mail import Mailer


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything a page may ask.

    Attributes:
        registry: Who owns what, and who may see it.
        view: Measurements.
        log: Packets as they came.
        requests: The collector's live view.
        settings: How the dashboard was set up.
        templates: The pages.
        hub: The live streams that are open.
        mailer: Sends the platform's own e-mail.
        desk: Alerts, and what was said about them.
        static: Address of the static files of this version.
        clock: What time it is [ms since 1970, UTC].
        health: Whether the platform is all right.
        past: Puts packets into history.
        jobs: Files of history that are looked at or put in.
        insights: What was found out about use; None where nobody looks.
        outlooks: Forecasts that pages have just asked for.
        waste_days: Waste of many sites, added up by day.
        demands: Figures of demand that pages have just asked for.
        names: What people may name in formulas.
        exports: Exports that are under way.
    """

    registry: Registry
    view: View
    log: PacketLog
    requests: RequestEvents
    settings: DashboardSettings
    templates: Jinja2Templates
    hub: Hub
    mailer: Mailer
    desk: Desk
    static: str
    clock: Callable[[], int]
    health: Health = field(default_factory=NoHealth)
    past: Past = field(default_factory=no_past)
    jobs: Jobs = field(default_factory=Jobs)
    insights: Insights | None = None
    outlooks: Outlooks = field(default_factory=Outlooks)
    waste_days: WasteDays = field(default_factory=WasteDays)
    demands: Demands = field(default_factory=Demands)
    names: NamesKept = field(default_factory=NamesKept)
    exports: Slots = field(default_factory=Slots)


@dataclass(frozen=True, slots=True)
class Visit:
    """Who is asking, and for what.

    Attributes:
        person: Who is logged in.
        token: Token of the session, from the cookie.
        csrf: What a form has to bring back.
        point: The data point that the request names, checked; None if it names none.
        site_id: The site that the path names, checked; or None.
        organisation_id: The organisation that the path names, or that of the site, checked.
        session_id: Number of the session.
    """

    person: Person
    token: str
    csrf: str
    point: DataPoint | None = None
    site_id: int | None = None
    organisation_id: int | None = None
    session_id: int = 0


def rooms_of(request: Request) -> Rooms:
    """Return the rooms of the application that a request came to."""
    rooms = request.app.state.rooms
    assert isinstance(rooms, Rooms)
    return rooms


def visit_of(request: Request) -> Visit:
    """Return who is asking; only behind a door that asked for a log-in."""
    visit = request.state.visit
    assert isinstance(visit, Visit)
    return visit


def point_of(request: Request) -> DataPoint:
    """Return the data point that the request names; only behind a door that checked it."""
    point = visit_of(request).point
    assert point is not None
    return point
