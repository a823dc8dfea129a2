"""``kilowatch weather import`` and ``fetch``: outdoor temperatures from files and services."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from kilowatch.catalog import Actor, Change, data_points, facts, registry, site_terms
from kilowatch.catalog.places import check_zone
from kilowatch.catalog.registry import name_key
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli import weather_fetch
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import OrganisationName, Server, organisation_named, paper
from kilowatch.client.history import HistoryDesk, PutIn
from kilowatch.client.weather_files import Asked, Reading, Weather, read
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

weather = typer.Typer(no_args_is_help=True, help="Outdoor temperatures from files and services.")

NAME = "Outdoor temperature"
SHOWN = 20
"""Wrong lines that are shown; the rest is counted."""
REGISTERED_WITHIN_S = 10.0
"""A data point that was registered a moment ago is known to the collector within a second."""


@weather.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="An EPW or CSV file.")],
    *,
    site: Annotated[str, typer.Option(help="Name of the site whose weather it is.")],
    stream: Annotated[
        str | None,
        typer.Option(help="Stream id of the data point.", show_default="the site's, or a new one"),
    ] = None,
    time_column: Annotated[str, typer.Option(help="Of a CSV.", show_default="found")] = "",
    temperature_column: Annotated[str, typer.Option(help="Of a CSV.", show_default="found")] = "",
    time_zone: Annotated[
        str | None,
        typer.Option(help="Of a CSV's times without an offset: UTC.", show_default="the site's"),
    ] = None,
    fahrenheit: Annotated[bool, typer.Option("--fahrenheit", help="A CSV in °F.")] = False,
    hour_ending: Annotated[
        bool, typer.Option("--hour-ending", help="A CSV whose times name the end of an hour.")
    ] = False,
    year: Annotated[int | None, typer.Option(help="Use an EPW's typical year as this one.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is in the file; change nothing.")
    ] = False,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Put the temperatures of a file into the history of a data point, and link it to the site."""
    server = Server.of(data)
    with server.reading() as session:
        owner = organisation_named(session, organization)
        place = registry.find_site(session, owner, site)
    zone = check_zone(time_zone) if time_zone else place.zone
    asked = Asked(zone, time_column, temperature_column, fahrenheit, hour_ending, year)
    found = read(_content(file), asked)
    past = _told(found, place)
    if dry_run:
        paper().print("Nothing was changed: leave --dry-run out to put it in.")
        return
    if not server.running:
        raise KilowatchError(
            "not_running",
            "The server does not run, and only it writes measurements.",
            remedy="Start it with 'kilowatch serve', then do this again.",
        )
    with server.change() as change:
        point = _point(change, owner, place, stream, found.interval_s)
    done = _put_in(server, point, past, file.name)
    paper().print(
        f"{done.packets} temperatures are in {point.name} ({point.stream_id}) of {place.name}.",
        markup=False,
    )
    if found.mistakes:
        raise typer.Exit(1)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise KilowatchError(
            "unreadable_file", f"{file} cannot be read: {error.strerror}."
        ) from None


def _told(found: Weather, place: Site) -> list[Reading]:
    """Print what is in a file, and return what lies in the past."""
    out, zone = paper(), ZoneInfo(place.zone)
    first, last = found.readings[0], found.readings[-1]
    values = [one.temperature_c for one in found.readings]
    if found.place:
        out.print(f"Measured in: {found.place}", markup=False)
    out.print(
        f"{len(values)} temperatures, every {found.interval_s // 60} min, from "
        f"{first.at.astimezone(zone):%Y-%m-%d %H:%M} to {last.at.astimezone(zone):%Y-%m-%d %H:%M}, "
        f"local time of {place.name}.",
        markup=False,
    )
    out.print(
        f"Lowest {min(values):.1f} °C, mean {sum(values) / len(values):.1f} °C, "
        f"highest {max(values):.1f} °C.",
        markup=False,
    )
    if found.missing:
        out.print(f"Lines without a temperature: {found.missing}")
    if found.mistakes:
        out.print(f"Wrong lines, left out: {len(found.mistakes)}")
        for number, mistake in found.mistakes[:SHOWN]:
            out.print(f"  line {number}: {mistake}", markup=False)
    past = [one for one in found.readings if one.at <= datetime.now(UTC)]
    if len(past) < len(found.readings):
        out.print(f"Not measured yet, left out: {len(found.readings) - len(past)}")
    return past


def _point(
    change: Change, owner: Organisation, place: Site, stream: str | None, interval_s: int
) -> DataPoint:
    """Return the data point to put it in, linked to the site: a new one where there is none."""
    linked = facts.read_site(change.session, place).temperature_point
    point = _there(change, owner, place, stream, linked)
    if point is None:
        outdoors = Settings(
            "single", "temperature", interval_s, unit="°C", behaviour="gauge", clock="offset"
        )
        point = data_points.register(
            change, place, NAME, outdoors, stream_id=stream or _stream_id(place)
        )
        paper().print(f"Registered: {point.name} ({point.stream_id}).", markup=False)
    if linked is None:
        site_terms.set_weather(change, place, point)
        paper().print(f"It is the outdoor temperature of {place.name} now.", markup=False)
    if point.unit != "°C":
        raise KilowatchError(
            "other_unit",
            f"{point.name} is in {point.unit}, and this puts in °C.",
            remedy="Give another --stream; a new one is registered.",
        )
    return point


def _there(
    change: Change, owner: Organisation, place: Site, stream: str | None, linked: int | None
) -> DataPoint | None:
    if stream is None and linked is not None:
        return change.session.get(DataPoint, linked)
    known = {
        row.stream_id: row
        for row in change.session.query(DataPoint).filter_by(organisation_id=owner.id)
    }
    point = known.get(stream or _stream_id(place))
    if point is not None and not site_terms.is_temperature(point):
        raise KilowatchError(
            "not_a_temperature",
            f"{point.name} does not measure a temperature.",
            remedy="Give another --stream; a new one is registered.",
        )
    return point


def _stream_id(place: Site) -> str:
    words = "".join(sign if sign.isalnum() else " " for sign in name_key(place.name))
    return f"weather-{'-'.join(words.split())[:60]}-{place.id}"


def _put_in(server: Server, point: DataPoint, past: list[Reading], name: str) -> PutIn:
    desk = HistoryDesk(server.folder.collector_socket)
    packets = [(one.packet(point.stream_id), Form.LOCAL) for one in past]
    give_up = time.monotonic() + REGISTERED_WITHIN_S
    while True:
        try:
            return desk.put_in(point.series, packets, Actor.shell().name, f"weather file {name}")
        except KilowatchError as error:
            if error.status != 404 or time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def register(app: typer.Typer) -> None:
    """Add ``kilowatch weather`` to the command line."""
    app.add_typer(weather, name="weather")


weather.command()(weather_fetch.fetch)
