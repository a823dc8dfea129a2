"""Admin, the list of data points: searched, filtered, sorted and paged, also with 10,000."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import reshaping, spans
from kilowatch.catalog.rights import Person, may
from kilowatch.catalog.tables import Appliance, Meter
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import (
    asked_of,
    organisations_for,
    paged,
    problems_of,
    section_page,
    sites_for,
    texts_of,
)
from kilowatch.dashboard.admin_placing import feeder
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.contact import STATES, Judge
from kilowatch.dashboard.dated_form import COMMENT_MAX, from_when
from kilowatch.dashboard.measures import shown
from kilowatch.dashboard.needs import LastValue
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.unregistered import strangers
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import UTILITIES, DataPoint

SECTION = "data_points"
CHOICES_MAX = 50
PROPOSED_MAX = 500


@dataclass(slots=True)
class Entry:
    """A line of the list."""

    point: DataPoint
    site: str
    organisation: str
    state: str = "never"
    at_ms: int | None = None
    last: LastValue | None = None

    @property
    def text(self) -> str:
        """The last value with its unit."""
        return shown(self.last.value, self.last.unit) if self.last else ""

    @property
    def interval(self) -> str:
        """The interval as people say it."""
        return spans.interval_text(self.point.interval_s)


ORDERS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda e: (e.point.name.casefold(), e.point.id),
    "site": lambda e: (e.organisation.casefold(), e.site.casefold(), e.point.name.casefold()),
    "stream_id": lambda e: e.point.stream_id,
    "utility": lambda e: (e.point.utility, e.point.name.casefold()),
    "interval": lambda e: (e.point.interval_s, e.point.name.casefold()),
    "state": lambda e: (STATES.index(e.state), -(e.at_ms or 0)),
}


async def listing(request: Request) -> Response:
    """Show every data point that the person may change."""
    return await run_in_threadpool(_listing, request)


async def move_page(request: Request) -> Response:
    """Show where a data point can hang."""
    return await run_in_threadpool(_move_page, request, {}, {})


async def move(request: Request) -> Response:
    """Hang a data point under another meter."""
    names = ("place", "parent", "site", "when", "from", "comment")
    fields = texts_of(await request.form(), names)
    return await run_in_threadpool(_move, request, fields)


def _listing(request: Request) -> Response:
    rooms = rooms_of(request)
    asked = asked_of(request, ("q", "site", "utility", "state", "sort"))
    sites = sites_for(request, "manage")
    table = paged(request, _entries(request, asked), asked)
    organisations = organisations_for(request, "manage")
    several = len({o.id for o, _ in sites}) > 1
    context = {
        "table": table,
        "asked": asked,
        "filtered": any(asked[name] for name in ("q", "site", "utility", "state")),
        "sites": [
            {"id": str(s.id), "name": f"{o.name} \N{EM DASH} {s.name}" if several else s.name}
            for o, s in sites
        ],
        "several": several,
        "utilities": UTILITIES,
        "states": STATES,
        "organisations": organisations,
        "now_ms": rooms.clock(),
        "strangers": strangers(request),
    }
    return section_page(request, SECTION, "admin_points.html", [], context)


def _entries(request: Request, asked: dict[str, str]) -> list[Entry]:
    rooms, who = rooms_of(request), visit_of(request).person
    names = {
        site.id: (site.name, organisation.name)
        for organisation in rooms.registry.tree(who)
        for site in organisation.sites
    }
    words = asked["q"].casefold().split()
    site_id = whole_number(asked["site"])
    chosen = [
        p
        for p in rooms.registry.readable(who)
        if may_point(who, "manage", p)
        and (site_id is None or p.site_id == site_id)
        and (not asked["utility"] or p.utility == asked["utility"])
    ]
    if words:
        chosen = [p for p in chosen if _has(p, *names.get(p.site_id, ("", "")), words)]
    last = rooms.view.last_values(chosen)
    judge = Judge(rooms.view, rooms.settings, rooms.clock())
    entries = [Entry(p, *names.get(p.site_id, ("", ""))) for p in chosen]
    order = asked["sort"]
    for entry in entries:
        found = last.get(entry.point.series)
        if found is not None:
            entry.last, entry.at_ms = found, found.at_ms
            entry.state = judge.one(entry.point, found).state
    if asked["state"]:
        entries = [entry for entry in entries if entry.state == asked["state"]]
    key = ORDERS.get(order.removeprefix("-"), ORDERS["site"])
    return sorted(entries, key=key, reverse=order.startswith("-"))


def _has(point: DataPoint, site: str, organisation: str, words: list[str]) -> bool:
    text = f"{point.name} {point.stream_id} {site} {organisation} {point.utility}".casefold()
    return all(word in text for word in words)


def _move_page(request: Request, fields: dict[str, str], problems: dict[str, str]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    asked = asked_of(request, ("q", "site"))
    wanted = whole_number(fields.get("site", "") or asked["site"]) or point.site_id
    sites = [s for o, s in sites_for(request, "manage") if o.id == point.organisation_id]
    site = next((s for s in sites if s.id == wanted), None)
    with rooms.registry.catalog.reading() as session:
        row = session.get(Row, point.id)
        assert row is not None
        places = _places(session, site.id if site else 0, asked["q"], row)
        beside = select(Row.stream_id).where(Row.site_id == wanted, Row.id != point.id)
        proposed = list(session.scalars(beside.order_by(Row.stream_id).limit(PROPOSED_MAX)))
        parent = session.get(Row, row.parent_id) if row.parent_id is not None else None
    own = {
        "place": f"{row.meter_id}/{row.appliance_id or ''}",
        "parent": parent.stream_id if parent and site and parent.site_id == site.id else "",
        "when": "always", "from": "", "comment": "",
    }  # fmt: skip
    context: dict[str, Any] = {
        "moved": point,
        "sites": sites,
        "site": site,
        "asked": asked,
        "places": places[:CHOICES_MAX],
        "more": len(places) > CHOICES_MAX,
        "proposed": proposed,
        "fields": own | fields,
    }
    if problems:
        context["problems"] = problems
    crumbs = [
        {"name": point.name, "href": f"/admin/data-points/{point.id}"},
        {"name": t("points.move")},
    ]
    return section_page(
        request, SECTION, "admin_move.html", crumbs, context,
        current=f"point-{point.id}", status=422 if problems else 200,
    )  # fmt: skip


def _places(session: Session, site_id: int, search: str, row: Row) -> list[dict[str, Any]]:
    """Return meters and appliances of a site, at most one more than are shown; its own first."""
    words = search.casefold().split()
    meters = (
        select(Meter.id, Meter.name)
        .where(Meter.site_id == site_id)
        .order_by(Meter.id != row.meter_id, Meter.name, Meter.id)
    )
    appliances: dict[int, list[tuple[int, str]]] = {}
    ours = select(Appliance.id, Appliance.meter_id, Appliance.name).join(Meter)
    for number, meter_id, name in session.execute(
        ours.where(Meter.site_id == site_id).order_by(Appliance.name)
    ):
        appliances.setdefault(meter_id, []).append((number, name))
    found: list[dict[str, Any]] = []
    for meter_id, meter in session.execute(meters):
        choices = [("", "", meter)]
        choices += [(str(n), name, f"{meter} {name}") for n, name in appliances.get(meter_id, [])]
        for key, name, text in choices:
            if all(word in text.casefold() for word in words):
                found.append({"key": f"{meter_id}/{key}", "meter": meter, "appliance": name})
        if len(found) > CHOICES_MAX:
            break
    return found


def _move(request: Request, fields: dict[str, str]) -> Response:
    rooms, point, who = rooms_of(request), point_of(request), visit_of(request).person
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            session = open_change.session
            row = session.get(Row, point.id)
            assert row is not None
            meter, appliance = _place(session, fields["place"], who)
            parent = feeder(session, row.organisation_id, fields["parent"], who)
            reshaping.move_data_point(
                open_change, row, meter, appliance, parent, from_when(fields, point.zone),
                comment=fields["comment"][:COMMENT_MAX],
            )  # fmt: skip
    except KilowatchError as error:
        return _move_page(request, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/data-points/{point.id}?saved=moved", status_code=303)


def _place(session: Session, text: str, who: Person) -> tuple[Meter, Appliance | None]:
    """Return the meter, and perhaps the appliance, that a choice means to this person."""
    meter_id, _, appliance_id = text.partition("/")
    meter = session.get(Meter, whole_number(meter_id) or 0)
    appliance = session.get(Appliance, whole_number(appliance_id) or 0)
    if (
        meter is None
        or not may(who, "manage", organisation_id=meter.organisation_id, site_id=meter.site_id)
        or (appliance_id and (appliance is None or appliance.meter_id != meter.id))
    ):
        raise KilowatchError("unknown_meter", t("points.choose_place"), data={"field": "place"})
    return meter, appliance


DOORS: tuple[Door, ...] = (
    Door("/admin/data-points", listing, Access.MANAGE_SOMEWHERE),
    Door("/admin/data-points/{point_id:number}/move", move_page, Access.MANAGE_POINT),
    Door("/admin/data-points/{point_id:number}/move", move, Access.MANAGE_POINT, ("POST",)),
)
