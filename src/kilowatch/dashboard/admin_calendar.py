"""Admin, one site: public holidays, its own days, and its opening hours painted by the hour."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import facts, local_days, site_calendar
from kilowatch.catalog.places import countries
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import problems_of, section_page, texts_of
from kilowatch.dashboard.admin_sites import site_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.opening import DAYS, WEEK_H, Week, text_of_week, week_of_text
from kilowatch.model.public_holidays import is_known, public_holidays, regions
from kilowatch.model.site_facts import SiteFacts

USUAL = "Mon-Fri 08-18"
"""Painted at first, as an example to change: nothing is set before somebody saves it."""
DAY_FIELDS = ("called", "first", "last", "kind")
OPENING_FIELDS = ("hours_are", "when", "from_day")


async def calendar(request: Request) -> Response:
    """Show when a site is closed and when it is in use."""
    return await run_in_threadpool(_page, request)


async def add_days(request: Request) -> Response:
    """Add days to the site's own calendar."""
    fields = texts_of(await request.form(), DAY_FIELDS)
    return await run_in_threadpool(_add_days, request, fields)


async def paint(request: Request) -> Response:
    """Set opening hours from a date on."""
    form = await request.form()
    fields = texts_of(form, OPENING_FIELDS)
    return await run_in_threadpool(_paint, request, fields, _painted(form))


async def remove(request: Request) -> Response:
    """Remove days, or take opening hours back."""
    what = str((await request.form()).get("what", ""))
    return await run_in_threadpool(_remove, request, what)


def _painted(form: FormData) -> tuple[bool, ...]:
    numbers = {whole_number(str(text)) for text in form.getlist("open")}
    return tuple(hour in numbers for hour in range(WEEK_H))


def _add_days(request: Request, fields: dict[str, str]) -> Response:
    site = site_of(request)
    try:
        first = _day(fields, "first", t("days.which"))
        last = local_days.day_of_text(fields["last"], "last")
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            opened = fields["kind"] == "open"
            site_calendar.add_days(change, site, fields["called"], first, last, opened=opened)
    except KilowatchError as error:
        if error.data.get("field") == "name":
            error.data["field"] = "called"
        return _page(request, fields, problems_of(error))
    return _saved(site, "days")


def _paint(request: Request, fields: dict[str, str], painted: tuple[bool, ...]) -> Response:
    site = site_of(request)
    try:
        day = _day(fields, "from_day", t("hours.which")) if fields["when"] == "from" else None
        week = None if fields["hours_are"] == "learnt" else painted
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            site_calendar.set_opening(change, site, week, day)
    except KilowatchError as error:
        return _page(request, fields, problems_of(error), painted)
    return _saved(site, "hours")


def _day(fields: Mapping[str, str], name: str, question: str) -> date:
    found = local_days.day_of_text(fields[name], name)
    if found is None:
        raise KilowatchError("invalid_date", question, data={"field": name})
    return found


def _remove(request: Request, what: str) -> Response:
    site = site_of(request)
    kind, _, text = what.partition("-")
    number = whole_number(text)
    if number is None or kind not in ("days", "hours"):
        raise KilowatchError(
            "unknown_change", t("terms.nothing_to_remove"), remedy=t("terms.use_buttons")
        )
    with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
        if kind == "days":
            site_calendar.remove_days(change, site, number)
        else:
            site_calendar.remove_opening(change, site, number)
    return _saved(site, "removed")


def _saved(site: Site, what: str) -> Response:
    return RedirectResponse(f"/admin/sites/{site.id}/calendar?saved={what}", status_code=303)


def _page(
    request: Request,
    fields: Mapping[str, str] | None = None,
    problems: dict[str, str] | None = None,
    painted: tuple[bool, ...] | None = None,
) -> Response:
    site, rooms = site_of(request), rooms_of(request)
    with rooms.registry.catalog.reading() as session:
        known = facts.read_site(session, site)
        days = site_calendar.days(session, site.id)
        openings = site_calendar.openings(session, site.id)
    this = datetime.fromtimestamp(rooms.clock() / 1000, UTC).year
    learnt = _learnt(rooms, site)
    week = painted or known.opening or (learnt[1] if learnt else week_of_text(USUAL))
    context: dict[str, Any] = {
        "site": site,
        "saved": request.query_params.get("saved", "") if problems is None else "",
        "fields": {
            **dict.fromkeys((*DAY_FIELDS, *OPENING_FIELDS), ""),
            "kind": "closed", "when": "always", "hours_are": "painted", **(fields or {}),
        },
        "years": [(year, _holidays(known, year)) for year in (this, this + 1)],
        "place": _place(known),
        "known_country": is_known(known.country),
        "region_missing": bool(regions(known.country)) and not known.region,
        "days": days,
        "openings": openings,
        "grid": _grid(week),
        "learnt": {"name": learnt[0], "hours": text_of_week(learnt[1])} if learnt else None,
        "weekdays": [t(f"weekday.{name.lower()}") for name in DAYS],
    }  # fmt: skip
    if problems:
        context["problems"] = problems
    crumbs = [
        {"name": site.name, "href": f"/admin/sites/{site.id}"},
        {"name": t("terms.calendar")},
    ]
    return section_page(
        request, "sites", "admin_calendar.html", crumbs, context,
        current=f"site-{site.id}", status=422 if problems else 200,
    )  # fmt: skip


def _learnt(rooms: Rooms, site: Site) -> tuple[str, Week] | None:
    """Return what the load of the site's first meter of electricity says, and its name."""
    if rooms.insights is None:
        return None
    points = rooms.registry.directory().points.values()
    ours = (one for one in points if one.site_id == site.id and one.utility == "electricity")
    for point in sorted(ours, key=lambda one: one.id):
        week = rooms.insights.opening(point)
        if week is not None:
            return point.name, week
    return None


def _place(known: SiteFacts) -> str:
    country = countries().get(known.country, known.country)
    named = dict(regions(known.country)).get(known.region, known.region)
    return f"{named}, {country}" if named else country


def _holidays(known: SiteFacts, year: int) -> list[dict[str, Any]]:
    found = public_holidays(known.country, known.region, year)
    return [{"day": day, "name": found[day], "closed": known.closed(day)} for day in sorted(found)]


def _grid(week: tuple[bool, ...]) -> list[dict[str, Any]]:
    """Return the hours of a day as rows, each with its seven days."""
    return [
        {
            "hour": f"{hour:02d}",
            "cells": [
                {
                    "number": day * 24 + hour,
                    "on": week[day * 24 + hour],
                    "name": t("hours.cell", day=t(f"weekday.{DAYS[day].lower()}"), hour=hour),
                }
                for day in range(7)
            ],
        }
        for hour in range(24)
    ]


DOORS: tuple[Door, ...] = (
    Door("/admin/sites/{site_id:number}/calendar", calendar, Access.MANAGE_SITE),
    Door("/admin/sites/{site_id:number}/calendar/days", add_days, Access.MANAGE_SITE, ("POST",)),
    Door("/admin/sites/{site_id:number}/calendar/opening", paint, Access.MANAGE_SITE, ("POST",)),
    Door("/admin/sites/{site_id:number}/calendar/remove", remove, Access.MANAGE_SITE, ("POST",)),
)
