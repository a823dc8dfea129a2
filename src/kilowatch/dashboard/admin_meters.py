"""Admin, meters and appliances of a site: what feeds what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import registry, removing, reshaping
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Site
from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.admin_frame import (
    asked_of,
    paged,
    problems_of,
    section_page,
    texts_of,
)
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

SECTION = "sites"
PROPOSED_MAX = 500  # names offered while typing; any other name is found too
POINTS_SHOWN = 100


async def listing(request: Request) -> Response:
    """Show the meters of a site, each below the one that feeds it."""
    return await run_in_threadpool(_listing, request, {}, {})


async def create(request: Request) -> Response:
    """Add a meter to a site."""
    fields = texts_of(await request.form(), ("name", "parent"))
    return await run_in_threadpool(_create, request, fields)


async def edit(request: Request) -> Response:
    """Show a meter with its appliances and its data points."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Rename a meter, or say what feeds it."""
    fields = texts_of(await request.form(), ("name", "parent"))
    return await run_in_threadpool(_change, request, fields)


async def remove(request: Request) -> Response:
    """Remove a meter without data points."""
    return await run_in_threadpool(_remove, request)


async def add_appliance(request: Request) -> Response:
    """Add an appliance, one channel of a meter."""
    fields = texts_of(await request.form(), ("appliance",))
    return await run_in_threadpool(_add_appliance, request, fields)


async def change_appliance(request: Request) -> Response:
    """Rename an appliance."""
    fields = texts_of(await request.form(), ("appliance",))
    return await run_in_threadpool(_change_appliance, request, fields)


async def remove_appliance(request: Request) -> Response:
    """Remove an appliance without data points."""
    return await run_in_threadpool(_remove_appliance, request)


def _listing(request: Request, fields: dict[str, str], problems: dict[str, str]) -> Response:
    asked = asked_of(request, ("q",))
    words = asked["q"].casefold().split()
    with rooms_of(request).registry.catalog.reading() as session:
        site = _site(session, request)
        meters = _meters(session, site.id)
        appliances: dict[int, list[Appliance]] = {}
        ours = select(Appliance).join(Meter).where(Meter.site_id == site.id)
        for one in session.scalars(ours.order_by(Appliance.name)):
            appliances.setdefault(one.meter_id, []).append(one)
        points = _counts(session, DataPoint.meter_id, DataPoint.site_id == site.id)
    rows = [
        {
            "meter": meter,
            "depth": depth,
            "appliances": appliances.get(meter.id, []),
            "points": points.get(meter.id, 0),
        }
        for meter, depth in _below(meters)
        if all(word in meter.name.casefold() for word in words)
    ]
    context: dict[str, Any] = {
        "site": site,
        "table": paged(request, rows, asked),
        "asked": asked,
        "fields": {"name": "", "parent": ""} | fields,
        "proposed": [meter.name for meter in meters[:PROPOSED_MAX]],
        "removed": "removed" in request.query_params,
    }
    if problems:
        context["problems"] = problems
    crumbs = [
        {"name": site.name, "href": f"/admin/sites/{site.id}"},
        {"name": t("meters.title")},
    ]
    return section_page(
        request, SECTION, "admin_meters.html", crumbs, context,
        current=f"site-{site.id}", status=422 if problems else 200,
    )  # fmt: skip


def _create(request: Request, fields: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            site = _site(open_change.session, request)
            parent = _named(open_change.session, site.id, fields["parent"])
            meter = registry.add_meter(open_change, site, fields["name"], parent=parent)
            address = f"/admin/sites/{site.id}/meters/{meter.id}?saved=new"
    except KilowatchError as error:
        return _listing(request, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(address, status_code=303)


def _edit(request: Request) -> Response:
    with rooms_of(request).registry.catalog.reading() as session:
        meter = _meter(session, request)
        parent = session.get(Meter, meter.parent_id) if meter.parent_id is not None else None
    fields = {"name": meter.name, "parent": parent.name if parent else ""}
    return _form(request, fields, {}, saved=request.query_params.get("saved", ""))


def _change(request: Request, fields: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            meter = _meter(open_change.session, request)
            parent = _named(
                open_change.session, meter.site_id, fields["parent"], now=meter.parent_id
            )
            reshaping.change_meter(open_change, meter, name=fields["name"], parent=parent)
    except KilowatchError as error:
        return _form(request, fields, problems_of(error))
    return _saved(request)


def _remove(request: Request) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            meter = _meter(open_change.session, request)
            site_id = meter.site_id
            removing.remove_meter(open_change, meter)
    except KilowatchError as error:
        return _form(request, {}, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/sites/{site_id}/meters?removed", status_code=303)


def _add_appliance(request: Request, fields: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            meter = _meter(open_change.session, request)
            registry.add_appliance(open_change, meter, fields["appliance"])
    except KilowatchError as error:
        return _form(request, fields, {"appliance": "".join(problems_of(error).values())})
    return _saved(request)


def _change_appliance(request: Request, fields: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            appliance = _appliance(open_change.session, request)
            reshaping.change_appliance(open_change, appliance, name=fields["appliance"])
    except KilowatchError as error:
        return _form(request, {}, {"": "".join(problems_of(error).values())})
    return _saved(request)


def _remove_appliance(request: Request) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            removing.remove_appliance(open_change, _appliance(open_change.session, request))
    except KilowatchError as error:
        return _form(request, {}, problems_of(error))
    return _saved(request)


def _saved(request: Request) -> Response:
    rooms_of(request).registry.directory(fresh=True)
    path = request.path_params
    address = f"/admin/sites/{path['site_id']}/meters/{path['meter_id']}"
    return RedirectResponse(f"{address}?saved=yes", status_code=303)


def _form(
    request: Request, fields: dict[str, str], problems: dict[str, str], *, saved: str = ""
) -> Response:
    with rooms_of(request).registry.catalog.reading() as session:
        meter = _meter(session, request)
        site = _site(session, request)
        parent = session.get(Meter, meter.parent_id) if meter.parent_id is not None else None
        others = [m.name for m in _meters(session, site.id) if m.id != meter.id]
        ours = select(Appliance).where(Appliance.meter_id == meter.id).order_by(Appliance.name)
        appliances = list(session.scalars(ours))
        here = DataPoint.meter_id == meter.id
        points = list(
            session.scalars(
                select(DataPoint).where(here).order_by(DataPoint.name).limit(POINTS_SHOWN)
            )
        )
        used = _counts(session, DataPoint.appliance_id, here)
        count = sum(_counts(session, DataPoint.meter_id, here).values())
    own = {"name": meter.name, "parent": parent.name if parent else "", "appliance": ""}
    context: dict[str, Any] = {
        "site": site,
        "meter": meter,
        "appliances": [{"row": one, "points": used.get(one.id, 0)} for one in appliances],
        "names": {one.id: one.name for one in appliances},
        "points": points,
        "more": max(0, count - len(points)),
        "proposed": others[:PROPOSED_MAX],
        "fields": own | fields,
        "saved": saved,
    }
    if problems:
        context["problems"] = defaultdict(str, problems)
    crumbs = [
        {"name": site.name, "href": f"/admin/sites/{site.id}"},
        {"name": t("meters.title"), "href": f"/admin/sites/{site.id}/meters"},
        {"name": meter.name},
    ]
    return section_page(
        request, SECTION, "admin_meter.html", crumbs, context,
        current=f"site-{site.id}", status=422 if problems else 200,
    )  # fmt: skip


def _site(session: Session, request: Request) -> Site:
    site = session.get(Site, visit_of(request).site_id)
    if site is None:
        raise not_found()
    return site


def _meter(session: Session, request: Request) -> Meter:
    meter = session.get(Meter, request.path_params["meter_id"])
    if meter is None or meter.site_id != visit_of(request).site_id:
        raise not_found()
    return meter


def _appliance(session: Session, request: Request) -> Appliance:
    meter = _meter(session, request)
    appliance = session.get(Appliance, request.path_params["appliance_id"])
    if appliance is None or appliance.meter_id != meter.id:
        raise not_found()
    return appliance


def _meters(session: Session, site_id: int) -> list[Meter]:
    ours = select(Meter).where(Meter.site_id == site_id).order_by(Meter.name, Meter.id)
    return list(session.scalars(ours))


def _named(session: Session, site_id: int, name: str, *, now: int | None = None) -> Meter | None:
    """Return the site's meter of a name; where several have it, the one that it is already."""
    if not name:
        return None
    key = registry.name_key(name)
    found = [m for m in _meters(session, site_id) if registry.name_key(m.name) == key]
    same = [meter for meter in found if meter.id == now]
    if len(same or found) == 1:
        return (same or found)[0]
    raise KilowatchError(
        "unknown_meter",
        f"Several meters of this site are named {name!r}."
        if found
        else f"No meter of this site is named {name!r}.",
        remedy="Give them different names first."
        if found
        else "Choose one of the list, or leave it empty.",
        data={"field": "parent"},
    )


def _counts(session: Session, by: Any, where: Any) -> dict[int, int]:
    statement = select(by, func.count()).where(where).group_by(by)
    return {number: count for number, count in session.execute(statement) if number is not None}


def _below(meters: list[Meter]) -> Iterator[tuple[Meter, int]]:
    """Yield each meter after the one that feeds it, with how deep it hangs."""
    fed: dict[int | None, list[Meter]] = {}
    here = {meter.id for meter in meters}
    for meter in meters:
        fed.setdefault(meter.parent_id if meter.parent_id in here else None, []).append(meter)
    waiting = [(meter, 0) for meter in reversed(fed.get(None, []))]
    while waiting:
        meter, depth = waiting.pop()
        yield meter, depth
        waiting += [(one, depth + 1) for one in reversed(fed.get(meter.id, []))]


_METERS = "/admin/sites/{site_id:number}/meters"
_METER = f"{_METERS}/{{meter_id:number}}"
_APPLIANCE = f"{_METER}/appliances/{{appliance_id:number}}"

DOORS: tuple[Door, ...] = (
    Door(_METERS, listing, Access.MANAGE_SITE),
    Door(_METERS, create, Access.MANAGE_SITE, ("POST",)),
    Door(_METER, edit, Access.MANAGE_SITE),
    Door(_METER, change, Access.MANAGE_SITE, ("POST",)),
    Door(f"{_METER}/remove", remove, Access.MANAGE_SITE, ("POST",)),
    Door(f"{_METER}/appliances", add_appliance, Access.MANAGE_SITE, ("POST",)),
    Door(_APPLIANCE, change_appliance, Access.MANAGE_SITE, ("POST",)),
    Door(f"{_APPLIANCE}/remove", remove_appliance, Access.MANAGE_SITE, ("POST",)),
)
