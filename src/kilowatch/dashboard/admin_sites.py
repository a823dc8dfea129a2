"""Admin, sites: where things are, on which clock they run, and whom to call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import removing, reshaping, sheets, site_zones
from kilowatch.catalog.places import countries, zones
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.dashboard.access import Access, Door, asked_organisation, not_found
from kilowatch.dashboard.admin_frame import (
    asked_of,
    organisations_for,
    paged,
    problems_of,
    section_page,
    sites_for,
    texts_of,
)
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import from_when, zones_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.treeview import leaves_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.public_holidays import regions

SECTION = "sites"
FIELDS = (
    "name", "zone", "country", "region", "city", "address", "area_m2", "contact_name",
    "contact_email",
)  # fmt: skip


async def listing(request: Request) -> Response:
    """Show the sites that the person manages."""
    return await run_in_threadpool(_listing, request)


async def new(request: Request) -> Response:
    """Show the empty form of an organisation's new site."""
    return await run_in_threadpool(_new, request)


async def create(request: Request) -> Response:
    """Add a site."""
    fields = texts_of(await request.form(), FIELDS)
    return await run_in_threadpool(_create, request, fields)


async def edit(request: Request) -> Response:
    """Show what is known of a site."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Change what is known of a site; another time zone has its figures computed again."""
    fields = texts_of(await request.form(), (*FIELDS, "when", "from"))
    return await run_in_threadpool(_change, request, fields)


async def remove(request: Request) -> Response:
    """Remove a site that has no meter."""
    return await run_in_threadpool(_remove, request)


def _listing(request: Request) -> Response:
    rooms = rooms_of(request)
    asked = asked_of(request, ("q",))
    words = asked["q"].casefold().split()
    found = sites_for(request, "manage")
    with rooms.registry.catalog.reading() as session:
        ours = select(Site).where(Site.organisation_id.in_({o.id for o, _ in found}))
        facts = {site.id: site for site in session.scalars(ours)}
    rows = []
    for organisation, node in found:
        site = facts.get(node.id)
        if site is None:
            continue
        text = f"{organisation.name} {site.name} {site.city} {site.zone} {site.address}".casefold()
        if all(word in text for word in words):
            rows.append({"organisation": organisation, "site": site, "node": node})
    table = paged(request, rows, asked)
    for row in table.rows:
        row["meters"] = len(row["node"].meters)
        row["points"] = sum(1 for _ in leaves_of(row["node"]))
    context = {
        "table": table,
        "asked": asked,
        "several": len({o.id for o, _ in found}) > 1,
        "organisations": organisations_for(request, "manage"),
        "removed": "removed" in request.query_params,
    }
    return section_page(request, SECTION, "admin_sites.html", [], context)


def _new(request: Request) -> Response:
    organisation = asked_organisation(request)
    fields = dict.fromkeys(FIELDS, "") | {"country": organisation.country}
    beside = [s for o, s in sites_for(request, "manage") if o.id == organisation.id]
    if beside:
        fields["zone"] = beside[-1].zone
    return _form(request, organisation, None, fields, {})


def _create(request: Request, fields: dict[str, str]) -> Response:
    organisation, rooms = asked_organisation(request), rooms_of(request)
    try:
        facts = _facts(fields)
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            number = reshaping.add_site(open_change, organisation, facts).id
    except KilowatchError as error:
        return _form(request, organisation, None, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/sites/{number}?saved=new", status_code=303)


def _edit(request: Request) -> Response:
    organisation, site = organisation_and_site(request)
    fields = {name: str(getattr(site, name)) for name in FIELDS}
    fields["area_m2"] = "" if site.area_m2 is None else f"{site.area_m2:.15g}"
    saved = request.query_params.get("saved", "")
    return _form(request, organisation, site, fields, {}, saved=saved)


def _change(request: Request, fields: dict[str, str]) -> Response:
    (organisation, site), rooms = organisation_and_site(request), rooms_of(request)
    try:
        facts = _facts(fields)
        from_ms = from_when(fields, site.zone) if facts.zone != site.zone else None
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            kept = facts if from_ms is None else replace(facts, zone=site.zone)
            stored = reshaping.change_site(open_change, site, kept)
            if from_ms is not None:
                site_zones.change_zone_from(open_change, stored, facts.zone, from_ms)
            moved = stored.zone != site.zone or from_ms is not None
    except KilowatchError as error:
        return _form(request, organisation, site, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    saved = "zone" if moved else "yes"
    return RedirectResponse(f"/admin/sites/{site.id}?saved={saved}", status_code=303)


def _remove(request: Request) -> Response:
    (organisation, site), rooms = organisation_and_site(request), rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            removing.remove_site(open_change, site)
    except KilowatchError as error:
        fields = {name: str(getattr(site, name) or "") for name in FIELDS}
        return _form(request, organisation, site, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse("/admin/sites?removed", status_code=303)


def _facts(fields: dict[str, str]) -> SiteDraft:
    area = fields["area_m2"]
    try:
        area_m2 = sheets.number(area) if area else None
    except ValueError:
        raise KilowatchError(
            "invalid_fact",
            f"{area!r} is not a number.",
            remedy="Write the floor area in square metres, such as 1250.",
            data={"field": "area_m2"},
        ) from None
    texts = {name: fields[name] for name in FIELDS if name != "area_m2"}
    return SiteDraft(area_m2=area_m2, **texts)


def organisation_and_site(request: Request) -> tuple[Organisation, Site]:
    """Return the site that a request names, and whose it is. Blocks on the catalogue.

    Raises:
        KilowatchError: ``not_found``: it has gone since the door looked.
    """
    visit = visit_of(request)
    with rooms_of(request).registry.catalog.reading() as session:
        site = session.get(Site, visit.site_id)
        organisation = session.get(Organisation, visit.organisation_id)
    if site is None or organisation is None:
        raise not_found()
    return organisation, site


def site_of(request: Request) -> Site:
    """Return the site that a request names; see ``organisation_and_site``."""
    return organisation_and_site(request)[1]


def _form(
    request: Request,
    organisation: Organisation,
    site: Site | None,
    fields: dict[str, str],
    problems: dict[str, str],
    *,
    saved: str = "",
) -> Response:
    context: dict[str, Any] = {
        "organisation": organisation,
        "site": site,
        "fields": {"when": "always", "from": ""} | fields,
        "saved": saved,
        "dated_zones": _zones(request, site),
        "countries": sorted(countries().items(), key=lambda item: item[1]),
        "zones": sorted(zones()),
        "regions": regions(site.country) if site else (),
    }
    if problems:
        context["problems"] = problems
    crumbs = [{"name": site.name if site else t("sites.add")}]
    return section_page(
        request, SECTION, "admin_site.html", crumbs, context,
        current=f"site-{site.id}" if site else "", status=422 if problems else 200,
    )  # fmt: skip


def _zones(request: Request, site: Site | None) -> list[dict[str, str]]:
    if site is None:
        return []
    with rooms_of(request).registry.catalog.reading() as session:
        return zones_of(session, site)


DOORS: tuple[Door, ...] = (
    Door("/admin/sites", listing, Access.MANAGE_SOMEWHERE),
    Door(
        "/admin/organizations/{organisation_id:number}/sites/new",
        new,
        Access.MANAGE_ORGANISATION,
    ),
    Door(
        "/admin/organizations/{organisation_id:number}/sites",
        create,
        Access.MANAGE_ORGANISATION,
        ("POST",),
    ),
    Door("/admin/sites/{site_id:number}", edit, Access.MANAGE_SITE),
    Door("/admin/sites/{site_id:number}", change, Access.MANAGE_SITE, ("POST",)),
    Door("/admin/sites/{site_id:number}/remove", remove, Access.MANAGE_SITE, ("POST",)),
)
