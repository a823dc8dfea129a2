"""What the pages about an organisation's people share: the frame, and how places are chosen."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import plans, registry
from kilowatch.catalog.rights import has_tool, may
from kilowatch.catalog.tables import DataPoint, Membership, Organisation, Site, User
from kilowatch.catalog.tables_people import Plan
from kilowatch.dashboard.access import not_found
from kilowatch.dashboard.asking import said, text
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

NAMED_MAX = 500  # stream ids that one form takes


def organisation_id_of(request: Request) -> int:
    """Return the organisation that the path names, which the door has checked."""
    number = visit_of(request).organisation_id
    assert number is not None
    return number


def administered(request: Request) -> list[Organisation]:
    """Return the organisations whose people a person decides about."""
    rooms, who = rooms_of(request), visit_of(request).person
    mine = [
        number
        for number in who.standings
        if may(who, "administer", organisation_id=number) and has_tool(who, "admin", number)
    ]
    with rooms.registry.catalog.reading() as session:
        statement = (
            select(Organisation).where(Organisation.id.in_(mine)).order_by(Organisation.name_key)
        )
        return list(session.scalars(statement))


def first_of(request: Request, name: str) -> Response:
    """Send a person to the page of the first organisation that they administer."""
    there = administered(request)
    if not there:
        raise not_found()
    return RedirectResponse(f"/organization/{there[0].id}/{name}", status_code=303)


def people_page(
    request: Request,
    name: str,
    context: dict[str, Any],
    *,
    crumb: str = "",
    tab: str = "",
    status: int = 200,
) -> Response:
    """Render ``people_NAME.html`` of the organisation that the path names."""
    number = organisation_id_of(request)
    tab = tab or name
    there = administered(request)
    organisation = next((one for one in there if one.id == number), None)
    if organisation is None:
        raise not_found()
    home = f"/organization/{number}"
    crumbs = [
        {"name": organisation.name, "href": home},
        {"name": t(f"people.{tab}"), "href": f"{home}/{tab}"},
    ]
    if crumb:
        crumbs.append({"name": crumb})
    frame = {
        "page": "people",
        "tab": tab,
        "home": home,
        "organisation": organisation,
        "organisations": there,
        "said": said(request, "people"),
        "problems": {},
    }
    return page(request, f"people_{name}.html", crumbs, {**frame, **context}, status=status)


def member_of(session: Session, request: Request) -> tuple[User, Membership]:
    """Return the person that the path names, who belongs to the organisation that it names.

    Raises:
        KilowatchError: ``not_found``.
    """
    statement = (
        select(User, Membership)
        .join(Membership, Membership.user_id == User.id)
        .where(
            User.id == request.path_params["user_id"],
            Membership.organisation_id == organisation_id_of(request),
        )
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        raise not_found()
    return row[0], row[1]


def plan_of(session: Session, request: Request, form: FormData) -> Plan | None:
    """Return the plan that a form names; None for every tool."""
    number = text(form, "plan")
    wanted = (whole_number(number) or 0) if number else None
    return plans.find(session, organisation_id_of(request), wanted)


def sites_of(session: Session, request: Request) -> list[Site]:
    """Return the organisation's sites by name."""
    found = registry.sites(session, organisation_id_of(request))
    return sorted(found, key=lambda site: site.name.casefold())


def places_of_form(session: Session, request: Request, form: FormData) -> list[Site | DataPoint]:
    """Return the sites that are ticked and the data points whose stream ids are written.

    Raises:
        KilowatchError: ``unknown_place``, naming the first that the organisation has not.
    """
    number = organisation_id_of(request)
    places: list[Site | DataPoint] = []
    for value in form.getlist("site"):
        site = session.get(Site, whole_number(str(value)) or 0)
        if site is None or site.organisation_id != number:
            raise _unknown_place("site", str(value))
        places.append(site)
    for name in text(form, "streams").split()[:NAMED_MAX]:
        statement = select(DataPoint).where(
            DataPoint.organisation_id == number, DataPoint.stream_id == name
        )
        point = session.scalar(statement)
        if point is None:
            raise _unknown_place("data point with the stream id", name)
        places.append(point)
    return places


def _unknown_place(what: str, name: str) -> KilowatchError:
    return KilowatchError(
        "unknown_place",
        f"There is no {what} {name[:100]!r} in this organisation.",
        status=422,
        data={"field": "places"},
    )
