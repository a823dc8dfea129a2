"""``kilowatch site weather``, ``calendar``, ``opening`` and ``attention``: what insights need."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any

import typer

from kilowatch.catalog import Change, facts, local_days, registry, site_calendar, site_terms
from kilowatch.catalog.data_points import find_data_point
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import AsJson, OrganisationName, Server, organisation_named, paper
from kilowatch.model.errors import KilowatchError
from kilowatch.model.opening import week_of_text
from kilowatch.model.public_holidays import public_holidays
from kilowatch.model.site_facts import SiteFacts

Name = Annotated[str, typer.Argument(help="Name of the site.")]
NONE = "none"


def weather(
    name: Name,
    *,
    temperature: Annotated[
        str | None,
        typer.Option(metavar="STREAM", help="Its outdoor temperature's stream id; none: no link."),
    ] = None,
    heating_base: Annotated[
        float | None, typer.Option(metavar="°C", help="Colder than this needs heating: 15.5.")
    ] = None,
    cooling_base: Annotated[
        float | None, typer.Option(metavar="°C", help="Warmer than this needs cooling: 18.")
    ] = None,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Link a site's outdoor temperature and set its base temperatures; without options, show."""
    with Server.of(data).change() as change:
        site = _site(change, organization, name)
        now = facts.read_site(change.session, site)
        if (temperature, heating_base, cooling_base) != (None, None, None):
            number = now.temperature_point if temperature is None else None
            point = change.session.get(DataPoint, number) if number else None
            if temperature not in (None, NONE):
                assert temperature is not None
                owner = change.session.get_one(Organisation, site.organisation_id)
                point = find_data_point(change.session, owner, temperature)
            site_terms.set_weather(
                change, site, point, heating_base_c=heating_base, cooling_base_c=cooling_base
            )
            now = facts.read_site(change.session, site)
        point = change.session.get(DataPoint, now.temperature_point or 0)
        said = {
            "site": site.name,
            "temperature": point.stream_id if point else None,
            "heating_base_c": now.heating_base_c,
            "cooling_base_c": now.cooling_base_c,
        }
    if as_json:
        typer.echo(json.dumps(said, ensure_ascii=False))
        return
    paper().print(
        f"{said['site']}: outdoor temperature {said['temperature'] or 'not linked'}, heating below "
        f"{said['heating_base_c']:g} °C, cooling above {said['cooling_base_c']:g} °C.",
        markup=False,
    )


def calendar(
    name: Name,
    *,
    close: Annotated[
        str | None, typer.Option(metavar="DAY[:DAY]", help="Closed then: 2026-12-24:2027-01-03.")
    ] = None,
    open_on: Annotated[
        str | None, typer.Option("--open", metavar="DAY[:DAY]", help="Open although it would not.")
    ] = None,
    called: Annotated[str, typer.Option(help="What people call these days.")] = "",
    remove: Annotated[int | None, typer.Option(help="Number of days to remove.")] = None,
    year: Annotated[int | None, typer.Option(help="Show this year.", show_default="now")] = None,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show when a site is closed, public holidays included, and change its own days."""
    with Server.of(data).change() as change:
        site = _site(change, organization, name)
        if close is not None:
            site_calendar.add_days(change, site, called, *_range(close), opened=False)
        if open_on is not None:
            site_calendar.add_days(change, site, called, *_range(open_on), opened=True)
        if remove is not None:
            site_calendar.remove_days(change, site, remove)
        own = [
            {"number": row.id, "first": row.first_day, "last": row.last_day,
             "open": row.open, "name": row.name}
            for row in site_calendar.days(change.session, site.id)
        ]  # fmt: skip
        now = facts.read_site(change.session, site)
        shown = year or date.fromtimestamp(change.now_ms / 1000).year  # noqa: DTZ012 - any zone
    holidays = _holidays(now, shown)
    if as_json:
        typer.echo(json.dumps({"days": own, "public_holidays": holidays}, ensure_ascii=False))
        return
    out = paper()
    where = f"{now.country}{'-' + now.region if now.region else ''}"
    out.print(f"Public holidays in {where}, {shown}:", markup=False)
    for one in holidays:
        out.print(f"  {one['day']} {one['name']}{'' if one['closed'] else ' (open)'}", markup=False)
    for row in own:
        word = "open" if row["open"] else "closed"
        out.print(
            f"{row['number']}: {word} {row['first']} to {row['last']}, {row['name']}", markup=False
        )


def opening(
    name: Name,
    *,
    hours: Annotated[
        str | None, typer.Option(metavar="TEXT", help="'Mon-Fri 08-18, Sat 09-13', or closed.")
    ] = None,
    learnt: Annotated[
        bool, typer.Option("--learnt", help="What is learnt from the load holds again.")
    ] = False,
    from_date: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day; always if left out.")
    ] = None,
    remove: Annotated[int | None, typer.Option(help="Number of hours to take back.")] = None,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show a site's opening hours, and set them from a date on."""
    if hours is not None and learnt:
        raise KilowatchError(
            "from_when", "Set hours, or let them be learnt?", remedy="Give --hours or --learnt."
        )
    try:
        week = None if hours is None else week_of_text(hours)
    except ValueError as error:
        raise KilowatchError("invalid_opening", f"{error}.", data={"field": "hours"}) from None
    with Server.of(data).change() as change:
        site = _site(change, organization, name)
        if week is not None or learnt:
            day = local_days.day_of_text(from_date or "", "from")
            site_calendar.set_opening(change, site, week, day)
        if remove is not None:
            site_calendar.remove_opening(change, site, remove)
        rows = [
            {"number": row.id, "from": row.from_day, "hours": row.hours or None}
            for row in site_calendar.openings(change.session, site.id)
        ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    out = paper()
    if not rows:
        out.print("Opening hours are learnt from the load.")
    for one in rows:
        since = f"from {one['from']}" if one["from"] else "always"
        out.print(f"{one['number']}: {since}: {one['hours'] or 'learnt'}", markup=False)


def attention(
    name: Name,
    per_week: Annotated[int, typer.Argument(help="Findings that are told in a week: 3.")],
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Set how many findings of a site are told in a week; the others wait on the page."""
    with Server.of(data).change() as change:
        site = _site(change, organization, name)
        site_terms.set_attention(change, site, per_week)
    paper().print(f"{site.name}: {per_week} findings a week are told.", markup=False)


def _site(change: Change, organization: str | None, name: str) -> Site:
    owner = organisation_named(change.session, organization)
    return registry.find_site(change.session, owner, name)


def _range(text: str) -> tuple[date, date]:
    first, _, last = text.partition(":")
    begin = local_days.day_of_text(first, "first")
    end = local_days.day_of_text(last, "last") or begin
    if begin is None or end is None:
        raise KilowatchError("invalid_date", "Which day?", remedy="Write it like 2026-12-24.")
    return begin, end


def _holidays(now: SiteFacts, year: int) -> list[dict[str, Any]]:
    found = public_holidays(now.country, now.region, year)
    return [
        {"day": day.isoformat(), "name": found[day], "closed": now.closed(day)}
        for day in sorted(found)
    ]


def add_to(site: typer.Typer) -> None:
    """Add the commands to ``kilowatch site``."""
    for command in (weather, calendar, opening, attention):
        site.command()(command)
