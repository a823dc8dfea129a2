"""Admin, organisations: the first page, and the list with create, rename, go live and remove."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import going_live, people, registry, removing, reshaping
from kilowatch.catalog.places import countries
from kilowatch.catalog.rights import is_partner
from kilowatch.catalog.tables import Credential, Organisation, User
from kilowatch.catalog.tree import OrganisationNode
from kilowatch.dashboard.access import Access, Door, asked_organisation
from kilowatch.dashboard.admin_frame import (
    organisations_for,
    problems_of,
    section_page,
    texts_of,
    when_text,
)
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.treeview import leaves_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

SECTION = "organizations"
FIELDS = ("name", "country")


async def home(request: Request) -> Response:
    """Show the sections, each with what it is for."""
    return await run_in_threadpool(
        section_page, request, "", "admin_home.html", [], {"partner": is_partner(_who(request))}
    )


async def listing(request: Request) -> Response:
    """Show the organisations that the person administers."""
    return await run_in_threadpool(_listing, request)


async def new(request: Request) -> Response:
    """Show the empty form."""
    return await run_in_threadpool(_form, request, None, {"name": "", "country": ""}, {})


async def create(request: Request) -> Response:
    """Add an organisation for a customer; its partner administers it from the beginning."""
    fields = texts_of(await request.form(), FIELDS)
    return await run_in_threadpool(_create, request, fields)


async def edit(request: Request) -> Response:
    """Show an organisation: its name, the step to production, and the way out."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Rename an organisation, or give it another country."""
    fields = texts_of(await request.form(), FIELDS)
    return await run_in_threadpool(_change, request, fields)


async def go_live(request: Request) -> Response:
    """Take an organisation into production, and show its new credentials once."""
    fields = texts_of(await request.form(), ("test_data", "sure"))
    return await run_in_threadpool(_go_live, request, fields)


async def remove(request: Request) -> Response:
    """Remove an organisation that has no site."""
    return await run_in_threadpool(_remove, request)


def _who(request: Request) -> Any:
    return visit_of(request).person


def _listing(request: Request) -> Response:
    rooms = rooms_of(request)
    nodes = organisations_for(request, "administer")
    with rooms.registry.catalog.reading() as session:
        rows = {
            row.id: row
            for row in session.scalars(
                select(Organisation).where(Organisation.id.in_([node.id for node in nodes]))
            )
        }
    standings = _who(request).standings
    shown = [
        {
            "organisation": rows[node.id],
            "country": countries().get(rows[node.id].country, rows[node.id].country),
            "sites": len(node.sites),
            "points": sum(1 for _ in leaves_of(node)),
            "live": when_text(rows[node.id].live_at_ms),
            "role": standings[node.id].role,
        }
        for node in nodes
        if node.id in rows
    ]
    context = {
        "rows": shown,
        "partner": is_partner(_who(request)),
        "removed": "removed" in request.query_params,
    }
    return section_page(request, SECTION, "admin_organisations.html", [], context)


def _create(request: Request, fields: dict[str, str]) -> Response:
    rooms, who = rooms_of(request), _who(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            organisation = registry.add_organisation(
                open_change,
                fields["name"],
                country=fields["country"],
                live=rooms.settings.environment == "production",
            )
            user = open_change.session.get(User, who.id)
            assert user is not None
            people.set_role(open_change, user, organisation, "partner administrator")
            number = organisation.id
    except KilowatchError as error:
        return _form(request, None, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/organizations/{number}?saved=new", status_code=303)


def _edit(request: Request) -> Response:
    organisation = asked_organisation(request)
    fields = {"name": organisation.name, "country": organisation.country}
    saved = request.query_params.get("saved", "")
    return _form(request, organisation, fields, {}, saved=saved)


def _change(request: Request, fields: dict[str, str]) -> Response:
    organisation = asked_organisation(request)
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            reshaping.change_organisation(
                open_change, organisation, name=fields["name"], country=fields["country"]
            )
    except KilowatchError as error:
        return _form(request, organisation, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/organizations/{organisation.id}?saved=yes", status_code=303)


def _go_live(request: Request, fields: dict[str, str]) -> Response:
    organisation, rooms = asked_organisation(request), rooms_of(request)
    try:
        if fields["test_data"] not in ("keep", "leave"):
            raise _unsure("test_data", t("organisations.choose_test_data"))
        if fields["sure"] != "yes":
            raise _unsure("sure", t("organisations.be_sure"))
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            live = going_live.go_live(
                open_change,
                rooms.settings.server_key,
                organisation,
                leave_test_data=fields["test_data"] == "leave",
            )
    except KilowatchError as error:
        if error.code == "live_already":
            error.remedy = t("organisations.live_already_next")
        own = {"name": organisation.name, "country": organisation.country}
        return _form(request, organisation, own | fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    crumbs = [
        {"name": organisation.name, "href": f"/admin/organizations/{organisation.id}"},
        {"name": t("organisations.live_title")},
    ]
    context = {
        "organisation": organisation,
        "live": live,
        "push_url": rooms.settings.push_address,
        "testing": rooms.settings.environment == "development",
    }
    return section_page(request, SECTION, "admin_live.html", crumbs, context)


def _remove(request: Request) -> Response:
    organisation, rooms = asked_organisation(request), rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            removing.remove_organisation(open_change, organisation)
    except KilowatchError as error:
        own = {"name": organisation.name, "country": organisation.country}
        return _form(request, organisation, own, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse("/admin/organizations?removed", status_code=303)


def _form(
    request: Request,
    organisation: Organisation | None,
    fields: dict[str, str],
    problems: dict[str, str],
    *,
    saved: str = "",
) -> Response:
    context: dict[str, Any] = {
        "organisation": organisation,
        "fields": {"test_data": "", "sure": ""} | fields,
        "saved": saved,
        "countries": sorted(countries().items(), key=lambda item: item[1]),
    }
    if problems:
        context["problems"] = problems
    if organisation is not None:
        context |= _facts(request, organisation)
    crumbs = [{"name": organisation.name if organisation else t("organisations.add")}]
    current = f"organization-{organisation.id}" if organisation else ""
    return section_page(
        request, SECTION, "admin_organisation.html", crumbs, context,
        current=current, status=422 if problems else 200,
    )  # fmt: skip


def _facts(request: Request, organisation: Organisation) -> dict[str, Any]:
    """Return what the page says about going live and removing."""
    node: OrganisationNode | None = next(
        (o for o in organisations_for(request, "administer") if o.id == organisation.id), None
    )
    testing = (
        select(func.count())
        .select_from(Credential)
        .where(
            Credential.organisation_id == organisation.id,
            Credential.environment == "development",
            Credential.revoked_at_ms.is_(None),
        )
    )
    with rooms_of(request).registry.catalog.reading() as session:
        credentials = session.scalar(testing) or 0
    return {
        "live": when_text(organisation.live_at_ms),
        "points": sum(1 for _ in leaves_of(node)) if node else 0,
        "sites": len(node.sites) if node else 0,
        "credentials": credentials,
    }


def _unsure(field: str, detail: str) -> KilowatchError:
    return KilowatchError("not_sure", detail, data={"field": field})


DOORS: tuple[Door, ...] = (
    Door("/admin", home, Access.MANAGE_SOMEWHERE),
    Door("/admin/organizations", listing, Access.ADMINISTER_SOMEWHERE),
    Door("/admin/organizations", create, Access.PARTNER, ("POST",)),
    Door("/admin/organizations/new", new, Access.PARTNER),
    Door("/admin/organizations/{organisation_id:number}", edit, Access.ADMINISTER_ORGANISATION),
    Door(
        "/admin/organizations/{organisation_id:number}",
        change,
        Access.ADMINISTER_ORGANISATION,
        ("POST",),
    ),
    Door(
        "/admin/organizations/{organisation_id:number}/go-live",
        go_live,
        Access.ADMINISTER_ORGANISATION,
        ("POST",),
    ),
    Door(
        "/admin/organizations/{organisation_id:number}/remove",
        remove,
        Access.ADMINISTER_ORGANISATION,
        ("POST",),
    ),
)
