"""Admin, one site: its outdoor temperature and base temperatures, and its budget of attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import facts, site_terms
from kilowatch.catalog.rights import may
from kilowatch.catalog.tables import DataPoint, Site
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import problems_of, section_page, texts_of
from kilowatch.dashboard.admin_sites import site_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import figure_of, figure_text
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.site_facts import COOLING_BASE_C, HEATING_BASE_C

WEATHER = ("temperature", "heating_base_c", "cooling_base_c")
ATTENTION = ("attention_per_week", "demand_period_s")


async def weather(request: Request) -> Response:
    """Show which data point tells a site's weather."""
    return await run_in_threadpool(_weather, request)


async def set_weather(request: Request) -> Response:
    """Link a temperature, and set the base temperatures."""
    fields = texts_of(await request.form(), WEATHER)
    return await run_in_threadpool(_set_weather, request, fields)


async def attention(request: Request) -> Response:
    """Show how many findings of a site are told in a week."""
    return await run_in_threadpool(_attention, request)


async def set_attention(request: Request) -> Response:
    """Set how many findings of a site are told in a week."""
    fields = texts_of(await request.form(), ATTENTION)
    return await run_in_threadpool(_set_attention, request, fields)


def _set_weather(request: Request, fields: dict[str, str]) -> Response:
    site = site_of(request)
    try:
        heating = figure_of(fields["heating_base_c"], "heating_base_c")
        cooling = figure_of(fields["cooling_base_c"], "cooling_base_c")
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            point = _point(request, change.session, site, fields["temperature"])
            site_terms.set_weather(
                change,
                site,
                point,
                heating_base_c=HEATING_BASE_C if heating is None else heating,
                cooling_base_c=COOLING_BASE_C if cooling is None else cooling,
            )
    except KilowatchError as error:
        return _weather(request, fields, problems_of(error))
    return RedirectResponse(f"/admin/sites/{site.id}/weather?saved", status_code=303)


def _point(request: Request, session: Session, site: Site, text: str) -> DataPoint | None:
    """Return the data point that a form names; what its person can't see is not there."""
    number = whole_number(text) if text else None
    found = session.get(DataPoint, number) if number is not None else None
    linked = facts.read_site(session, site).temperature_point
    if text and (found is None or not _offered(request, site, found, linked)):
        raise KilowatchError(
            "not_a_temperature", t("weather.not_there"), data={"field": "temperature"}
        )
    return found


def _offered(request: Request, site: Site, point: DataPoint, linked: int | None) -> bool:
    """Tell whether a person may link a data point: they read it, or it is linked already."""
    if point.organisation_id != site.organisation_id:
        return False
    place = {"organisation_id": site.organisation_id, "site_id": point.site_id}
    who = visit_of(request).person
    return point.id == linked or may(who, "read", **place, data_point_id=point.id)


def _set_attention(request: Request, fields: dict[str, str]) -> Response:
    site = site_of(request)
    try:
        per_week = _whole(fields, "attention_per_week")
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            site_terms.set_attention(change, site, per_week)
            period = fields["demand_period_s"]
            if period != (_known_period(request, site)):
                period_s = _whole(fields, "demand_period_s") if period else None
                site_terms.set_demand_period(change, site, period_s)
    except KilowatchError as error:
        return _attention(request, fields, problems_of(error))
    return RedirectResponse(f"/admin/sites/{site.id}/attention?saved", status_code=303)


def _known_period(request: Request, site: Site) -> str:
    found = rooms_of(request).registry.facts().get(site.id)
    return str(found.demand_period_s or "") if found is not None else ""


def _whole(fields: Mapping[str, str], name: str) -> int:
    found = whole_number(fields[name])
    if found is None:
        raise KilowatchError("invalid_attention", t("attention.whole"), data={"field": name})
    return found


def _weather(
    request: Request,
    fields: Mapping[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    site, rooms = site_of(request), rooms_of(request)
    with rooms.registry.catalog.reading() as session:
        known = facts.read_site(session, site)
        there = site_terms.temperatures(session, site.organisation_id)
        points = [one for one in there if _offered(request, site, one, known.temperature_point)]
        places = {one.id: one.name for one in session.query(Site).filter_by(
            organisation_id=site.organisation_id
        )}  # fmt: skip
    shown = {
        "temperature": str(known.temperature_point or ""),
        "heating_base_c": figure_text(known.heating_base_c),
        "cooling_base_c": figure_text(known.cooling_base_c),
    }
    linked = next((one for one in points if one.id == known.temperature_point), None)
    context: dict[str, Any] = {
        "fields": shown | dict(fields or {}),
        "points": [(str(one.id), f"{one.name} ({places.get(one.site_id, '')})") for one in points],
        "linked": linked,
        "defaults": {
            "heating": figure_text(HEATING_BASE_C), "cooling": figure_text(COOLING_BASE_C),
        },
    }  # fmt: skip
    return _shown(request, site, "weather", context, problems)


def _attention(
    request: Request,
    fields: Mapping[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    site, rooms = site_of(request), rooms_of(request)
    with rooms.registry.catalog.reading() as session:
        known = facts.read_site(session, site)
    shown = {
        "attention_per_week": str(known.attention_per_week),
        "demand_period_s": str(known.demand_period_s or ""),
    }
    context = {
        "fields": shown | dict(fields or {}),
        "periods": [str(one) for one in site_terms.DEMAND_PERIODS_S],
        "usual_min": rooms.settings.demand_period_s // 60,
    }
    return _shown(request, site, "attention", context, problems)


def _shown(
    request: Request,
    site: Site,
    which: str,
    context: dict[str, Any],
    problems: dict[str, str] | None,
) -> Response:
    saved = "saved" in request.query_params and problems is None
    context |= {"site": site, "saved": saved}
    if problems:
        context["problems"] = problems
    crumbs = [
        {"name": site.name, "href": f"/admin/sites/{site.id}"},
        {"name": t(f"terms.{which}")},
    ]
    return section_page(
        request, "sites", f"admin_{which}.html", crumbs, context,
        current=f"site-{site.id}", status=422 if problems else 200,
    )  # fmt: skip


DOORS: tuple[Door, ...] = (
    Door("/admin/sites/{site_id:number}/weather", weather, Access.MANAGE_SITE),
    Door("/admin/sites/{site_id:number}/weather", set_weather, Access.MANAGE_SITE, ("POST",)),
    Door("/admin/sites/{site_id:number}/attention", attention, Access.MANAGE_SITE),
    Door("/admin/sites/{site_id:number}/attention", set_attention, Access.MANAGE_SITE, ("POST",)),
)
