"""``kilowatch site list``, ``set`` and ``undo``: what is known of sites, and their clocks.

What insights need to know of a site is set by ``site_facts.py``.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from kilowatch.catalog import Change, registry, reshaping, site_zones
from kilowatch.catalog.places import check_zone
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli import site_facts
from kilowatch.cli.dated_lines import local_text
from kilowatch.cli.dated_settings import dated_change
from kilowatch.cli.explain import instant_ms
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import (
    AsJson,
    OrganisationName,
    Server,
    organisation_named,
    paper,
    show,
)
from kilowatch.model.errors import KilowatchError

site = typer.Typer(no_args_is_help=True, help="List sites, and change what is known of them.")

Name = Annotated[str, typer.Argument(help="Name of the site.")]
FACTS = tuple(one.name for one in fields(SiteDraft))


@site.command("list")
def list_all(
    organization: OrganisationName = None, data: Data = DEFAULT, as_json: AsJson = False
) -> None:
    """List sites with country, data points, and time zones over time."""
    with Server.of(data).reading() as session:
        only = registry.find_organisation(session, organization) if organization else None
        owners = [only] if only else registry.organisations(session)
        found = [
            _for_programs(session, owner, one)
            for owner in owners
            for one in registry.sites(session, owner.id)
        ]
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if not found:
        paper().print("There is no site yet. 'kilowatch data-point add' adds one.", markup=False)
        return
    table = Table("organisation", "site", "time zone", "country", box=None, pad_edge=False)
    table.add_column("data points", justify="right")
    table.add_column("where")
    table.add_column("time zones over time")
    for one in found:
        where = ", ".join(filter(None, (one["address"], one["city"], one["region"])))
        cells = (one["organization"], one["name"], one["timezone"], one["country"])
        zones = _zones_text(one["zones"])
        table.add_row(*map(escape, cells), str(one["data_points"]), escape(where), escape(zones))
    show(table)


@site.command("set")
def set_facts(
    name: Name,
    *,
    organization: OrganisationName = None,
    time_zone: Annotated[
        str | None,
        typer.Option("--time-zone", "--timezone", help="IANA name: Europe/Dublin.", metavar="ZONE"),
    ] = None,
    from_date: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="From when on the time zone holds: 2026-03-01, in the site's local time until "
            "then; for all time if left out, because it was always wrong.",
        ),
    ] = None,
    rename: Annotated[str | None, typer.Option(help="Another name.", metavar="NAME")] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166 code: IE.", metavar="CODE")] = None,
    region: Annotated[str | None, typer.Option(help="State, county or province.")] = None,
    city: Annotated[str | None, typer.Option(help="Town.")] = None,
    address: Annotated[str | None, typer.Option(help="Street and number.")] = None,
    area: Annotated[
        float | None, typer.Option(help="Floor area [m²]; 0: not known.", metavar="M2")
    ] = None,
    contact_name: Annotated[str | None, typer.Option(help="Whom to call.")] = None,
    contact_email: Annotated[str | None, typer.Option(help="Their address.")] = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Change what is known of a site; with another time zone its days are computed again."""
    given: dict[str, Any] = {
        "name": rename,
        "country": country,
        "region": region,
        "city": city,
        "address": address,
        "area_m2": area,
        "contact_name": contact_name,
        "contact_email": contact_email,
    }
    changed = {key: value for key, value in given.items() if value is not None}
    if area == 0:
        changed["area_m2"] = None
    if from_date is not None and time_zone is None:
        raise KilowatchError(
            "from_when",
            "Only a time zone has a date.",
            remedy="Give --time-zone with --from, or leave --from out.",
            data={"field": "from"},
        )
    if not changed and time_zone is None:
        raise KilowatchError(
            "unknown_setting",
            "Nothing is named that should be changed.",
            remedy="Give --time-zone, --country, --city …; 'kilowatch site set --help' lists them.",
        )
    with Server.of(data).change() as change:
        owner = organisation_named(change.session, organization)
        stored = registry.find_site(change.session, owner, name)
        _change(change, stored, changed, time_zone, from_date)
        found = _for_programs(change.session, owner, stored)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    _tell(found)
    if time_zone is not None:
        paper().print("Its hours, days and months are computed again in the background.")


@site.command()
def undo(
    name: Name,
    what: Annotated[str, typer.Argument(help="zone-3, as 'kilowatch site list' shows it.")],
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Take a dated change of the time zone back."""
    shown = "'kilowatch site list' shows the words: zone-3."
    _, number = dated_change(what, {"zone"}, shown)
    with Server.of(data).change() as change:
        owner = organisation_named(change.session, organization)
        stored = registry.find_site(change.session, owner, name)
        site_zones.undo_zone(change, stored, number)
    paper().print("It is taken back; the site's days are computed again.")


def _change(
    change: Change, stored: Site, changed: dict[str, Any], zone: str | None, from_date: str | None
) -> None:
    from_ms = None if from_date is None else instant_ms(from_date, stored.zone)
    now = SiteDraft(**{fact: getattr(stored, fact) for fact in FACTS})
    always = stored.zone if zone is None or from_ms is not None else check_zone(zone)
    reshaping.change_site(change, stored, replace(now, **changed, zone=always))
    if zone is not None and from_ms is None:
        site_zones.change_zone_always(change, stored, zone)  # also what was dated goes
    elif zone is not None and from_ms is not None:
        site_zones.change_zone_from(change, stored, zone, from_ms)


def _tell(found: dict[str, Any]) -> None:
    out = paper()
    out.print(f"{found['name']}, {found['organization']}:", markup=False)
    for fact in ("timezone", *(fact for fact in FACTS if fact not in ("name", "zone"))):
        if found[fact] not in (None, ""):
            out.print(f"  {fact.replace('_', ' ')}: {found[fact]}", markup=False)
    if found["zones"]:
        out.print(f"  time zones: {_zones_text(found['zones'])}", markup=False)


def _for_programs(session: Session, owner: Organisation, one: Site) -> dict[str, Any]:
    count = select(func.count()).select_from(DataPoint).where(DataPoint.site_id == one.id)
    facts = {fact: getattr(one, fact) for fact in FACTS if fact != "zone"}
    zones = [
        {"undo": f"zone-{row.id}" if row.from_ms is not None else None,
         "from_ms": row.from_ms, "timezone": row.zone}
        for row in site_zones.zones(session, one)
    ]  # fmt: skip
    return {
        "organization": owner.name, **facts, "timezone": one.zone, "zones": zones,
        "data_points": session.scalar(count), "id": one.id,
    }  # fmt: skip


def _zones_text(zones: list[dict[str, Any]]) -> str:
    """Return the zones over time in one line: each with its date, and the word that undoes it."""
    return ", ".join(
        row["timezone"]
        if row["from_ms"] is None
        else f"{row['timezone']} from {local_text(row['from_ms'], row['timezone'])} ({row['undo']})"
        for row in zones
    )


def register(app: typer.Typer) -> None:
    """Add ``kilowatch site`` to the command line."""
    app.add_typer(site, name="site")


site_facts.add_to(site)
