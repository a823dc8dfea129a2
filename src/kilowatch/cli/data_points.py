"""``kilowatch data-point add`` and ``list``: registering streams from a shell."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from kilowatch.catalog import Change, data_points, registry, spans
from kilowatch.catalog.places import DEFAULT_ZONE, check_zone
from kilowatch.catalog.settings_check import Settings, one_of
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli import dated_settings, formulas
from kilowatch.cli.folder import DEFAULT, demo_beside
from kilowatch.cli.options import Data
from kilowatch.cli.registration import (
    AsJson,
    OrganisationName,
    Server,
    organisation_named,
    paper,
    show,
)
from kilowatch.cli.startup_package import describe
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import BEHAVIOURS, CLOCKS, KINDS, STAMPS, UTILITIES

data_point = typer.Typer(no_args_is_help=True, help="Register data points, and list them.")


@data_point.command()
def add(
    *,
    name: Annotated[str, typer.Option(help="What people call it.")],
    organization: OrganisationName = None,
    site: Annotated[
        str | None, typer.Option(help="Its site; a new one is added if --timezone is given.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Time zone of a new site.")] = None,
    country: Annotated[str | None, typer.Option(help="Country of a new site.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="electrical|single",
            help="Parameters per phase, or one value.",
            show_default="by utility",
        ),
    ] = None,
    utility: Annotated[
        str, typer.Option(help=f"One of {', '.join(UTILITIES)}.", metavar="WORD")
    ] = "electricity",
    unit: Annotated[
        str | None, typer.Option(help="Of a single value.", show_default="by utility")
    ] = None,
    interval: Annotated[
        str, typer.Option(help="How often packets come: 30s, 5m, 1h, 1d, 1 month.")
    ] = "5m",
    reading: Annotated[
        str | None,
        typer.Option(
            metavar="cum|avg",
            help="A register that counts up, or the interval's own value.",
            show_default="by unit",
        ),
    ] = None,
    behaviour: Annotated[
        str | None,
        typer.Option(metavar="|".join(BEHAVIOURS), help="In place of --reading, more exactly."),
    ] = None,
    stream_id: Annotated[
        str | None, typer.Option(help="What its packets carry as id.", show_default="made for you")
    ] = None,
    stamp: Annotated[
        str,
        typer.Option(metavar="|".join(STAMPS), help="Which end of its interval a packet names."),
    ] = "start",
    clock: Annotated[
        str, typer.Option(metavar="|".join(CLOCKS), help="Which part of a timestamp to believe.")
    ] = "auto",
    tolerance: Annotated[
        str | None,
        typer.Option(help="How late a packet may come: 2m.", show_default="half the interval"),
    ] = None,
    register_max: Annotated[
        float | None,
        typer.Option(help="First value that the register does not reach: 1000000 for six digits."),
    ] = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Register a data point; the running server accepts its packets within a second."""
    usual = "electrical" if utility == "electricity" and unit is None else "single"
    settings = Settings(
        kind=one_of("kind", kind or usual, KINDS),
        utility=one_of("utility", utility, UTILITIES),
        interval_s=spans.parse_interval(interval),
        unit=unit,
        behaviour=one_of("behaviour", behaviour, BEHAVIOURS) if behaviour else None,
        reading=reading,
        tolerance_s=spans.parse_span(tolerance) if tolerance else None,
        stamp=one_of("stamp", stamp, STAMPS),
        clock=one_of("clock", clock, CLOCKS),
        register_max=register_max,
    )
    with Server.of(data).change() as change:
        organisation = organisation_named(change.session, organization)
        place = _place(change, organisation, site, timezone, country)
        point = data_points.register(change, place, name, settings, stream_id=stream_id)
    if as_json:
        typer.echo(json.dumps(_for_programs(point, organisation.name, place), ensure_ascii=False))
        return
    out = paper()
    out.print(f"Registered [bold]{escape(point.name)}[/bold] at {escape(place.name)}, ", end="")
    out.print(f"{organisation.name}: {describe(point)}.", markup=False)
    out.print(f"Its packets carry the id: [bold]{escape(point.stream_id)}[/bold]")
    out.print("A credential of the organisation or of the site may push to it at once.")


@data_point.command("list")
def list_all(
    organization: OrganisationName = None, data: Data = DEFAULT, as_json: AsJson = False
) -> None:
    """List data points with their stream ids and settings."""
    with Server.of(data).reading() as session:
        only = registry.find_organisation(session, organization).id if organization else None
        rows = data_points.listing(session, only)
    if as_json:
        found = [_row_for_programs(row) for row in rows]
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if not rows:
        paper().print(
            "No data point is registered yet. Begin with 'kilowatch startup-package' or "
            "'kilowatch data-point add'." + demo_beside(data.absolute()),
            markup=False,
        )
        return
    table = Table("organisation", "site", "name", box=None, pad_edge=False)
    table.add_column("stream id", no_wrap=True)
    table.add_column("settings")
    for row in rows:
        cells = (row.organisation, row.site, row.point.name, row.point.stream_id)
        table.add_row(*map(escape, cells), escape(describe(row.point)))
    show(table)


def _place(
    change: Change,
    organisation: Organisation,
    name: str | None,
    zone: str | None,
    country: str | None,
) -> Site:
    there = registry.sites(change.session, organisation.id)
    key = registry.name_key(name or "")
    site = next((s for s in there if registry.name_key(s.name) == key), None)
    if name is None and len(there) == 1:
        site = there[0]
    if site is not None:
        if zone is not None and check_zone(zone) != site.zone:
            raise KilowatchError(
                "site_has_zone",
                f"The site {site.name!r} is in {site.zone}, not in {zone}.",
                status=409,
                remedy="Leave --timezone out, or name a new site with --site.",
            )
        return site
    if there and (name is None or zone is None):
        names = ", ".join(repr(s.name) for s in there[:10])
        raise KilowatchError(
            "which_site",
            "Which site?" if name is None else f"{organisation.name} has no site named {name!r}.",
            remedy=f"It has: {names}. For a new site, give --site and --timezone.",
        )
    zone = zone or DEFAULT_ZONE
    return registry.add_site(change, organisation, name or "Main site", zone=zone, country=country)


def _row_for_programs(row: data_points.Listed) -> dict[str, Any]:
    return _point_for_programs(row.point, row.organisation, row.site, row.zone)


def _for_programs(point: DataPoint, organisation: str, site: Site) -> dict[str, Any]:
    return _point_for_programs(point, organisation, site.name, site.zone)


def _point_for_programs(
    point: DataPoint, organisation: str, site: str, zone: str
) -> dict[str, Any]:
    return {
        "stream_id": point.stream_id,
        "name": point.name,
        "organization": organisation,
        "site": site,
        "timezone": zone,
        "kind": point.kind,
        "utility": point.utility,
        "unit": point.unit,
        "interval_s": point.interval_s,
        "tolerance_s": point.tolerance_s,
        "behaviour": point.behaviour,
        "stamp": point.stamp,
        "clock": point.clock,
        "register_max": point.register_max,
        "id": point.id,
        "series": point.series,
    }


def register(app: typer.Typer) -> None:
    """Add ``kilowatch data-point`` to the command line."""
    app.add_typer(data_point, name="data-point")


dated_settings.add_to(data_point)
formulas.add_to(data_point)
