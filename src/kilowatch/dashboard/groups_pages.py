"""Admin, groups: sites and data points under one name, and the people who may see them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import giving, groups, people
from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint, Site, User
from kilowatch.catalog.tables_people import Group, GroupPlace
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.asking import actor_of, problems_of, text
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.people_shared import (
    organisation_id_of,
    people_page,
    places_of_form,
    sites_of,
)
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError


async def listing(request: Request) -> Response:
    """Show the groups."""
    return await run_in_threadpool(_listing, request)


async def create(request: Request) -> Response:
    """Add a group."""
    return await run_in_threadpool(_create, request, await request.form())


async def group(request: Request) -> Response:
    """Show who is in a group, and what it opens."""
    return await run_in_threadpool(_group, request)


async def change(request: Request) -> Response:
    """Change a group: ``do`` in the form says what."""
    return await run_in_threadpool(_change, request, await request.form())


def _listing(request: Request, problems: dict[str, str] | None = None, name: str = "") -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.reading() as session:
        rows = [
            {
                "group": one,
                "members": len(groups.members(session, one.id)),
                "places": len(groups.places(session, one.id)),
            }
            for one in groups.groups(session, number)
        ]
    context = {"rows": rows, "problems": problems or {}, "name": name}
    return people_page(request, "groups", context, status=422 if problems else 200)


def _create(request: Request, form: FormData) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change_:
            made = groups.add(change_, number, text(form, "name")).id
    except KilowatchError as error:
        return _listing(request, problems_of(error), text(form, "name"))
    return RedirectResponse(f"/organization/{number}/groups/{made}?said=saved", status_code=303)


def _group(request: Request, problems: dict[str, str] | None = None) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.reading() as session:
        row = groups.find(session, number, request.path_params["group_id"])
        inside = groups.members(session, row.id)
        outside = [
            user
            for user, _ in people.members(session, number)
            if user.id not in {one.id for one in inside}
        ]
        places: list[dict[str, Any]] = []
        for one in groups.places(session, row.id):
            point = session.get(DataPoint, one.data_point_id) if one.data_point_id else None
            site = session.get(Site, one.site_id) if one.site_id else None
            found = point or site
            places.append({"row": one, "name": found.name if found else "", "point": point})
        context = {
            "group": row,
            "members": inside,
            "others": outside,
            "opened": sorted(places, key=lambda place: str(place["name"]).casefold()),
            "sites": sites_of(session, request),
            "problems": problems or {},
        }
    status = 422 if problems else 200
    return people_page(request, "group", context, crumb=row.name, tab="groups", status=status)


def _change(request: Request, form: FormData) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    home = f"/organization/{number}/groups"
    do = text(form, "do")
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change_:
            row = groups.find(change_.session, number, request.path_params["group_id"])
            _do(request, change_, row, do, form)
            group_id = row.id
    except KilowatchError as error:
        if error.code == "gives_too_much":
            return _group(request, {"": f"{error.detail} {error.remedy}"})
        return _group(request, problems_of(error))
    rooms.registry.directory(fresh=True)
    if do == "delete":
        return RedirectResponse(f"{home}?said=group_removed", status_code=303)
    return RedirectResponse(f"{home}/{group_id}?said=saved", status_code=303)


def _do(request: Request, change_: Change, row: Group, do: str, form: FormData) -> None:
    session, giver = change_.session, visit_of(request).person
    if do == "rename":
        groups.rename(change_, row, text(form, "name"))
    elif do == "delete":
        groups.remove(change_, row)
    elif do == "join":
        user = _member(session, row.organisation_id, whole_number(text(form, "user")) or 0)
        giving.check_places(giver, _places(change_, row))
        groups.add_member(change_, row, user)
    elif do == "leave":
        groups.remove_member(change_, row, whole_number(text(form, "user")) or 0)
    elif do == "open":
        places = places_of_form(session, request, form)
        giving.check_places(giver, places)
        for place in places:
            groups.add_place(change_, row, place)
    elif do == "close":
        one = session.get(GroupPlace, whole_number(text(form, "place")) or 0)
        if one is not None and one.group_id == row.id:
            session.delete(one)
            session.flush()


def _member(session: Session, organisation_id: int, number: int) -> User:
    """Return a person of the organisation; who belongs to another one is told of like nobody."""
    members = {user.id: user for user, _ in people.members(session, organisation_id)}
    if number not in members:
        raise KilowatchError("unknown_person", t("group.no_such_person"), data={"field": "user"})
    return members[number]


def _places(change_: Change, row: Group) -> list[Site | DataPoint]:
    found = []
    for one in groups.places(change_.session, row.id):
        place = (
            change_.session.get(Site, one.site_id)
            if one.site_id
            else change_.session.get(DataPoint, one.data_point_id)
        )
        if place is not None:
            found.append(place)
    return found


_ADMIN = Access.ADMINISTER_ORGANISATION
_HOME = "/organization/{organisation_id:number}/groups"

DOORS: tuple[Door, ...] = (
    Door(_HOME, listing, _ADMIN, tool="admin"),
    Door(_HOME, create, _ADMIN, ("POST",), tool="admin"),
    Door(_HOME + "/{group_id:number}", group, _ADMIN, tool="admin"),
    Door(_HOME + "/{group_id:number}", change, _ADMIN, ("POST",), tool="admin"),
)
