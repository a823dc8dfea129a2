"""``kilowatch weather fetch``: a client that asks a weather service and pushes what it says."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from kilowatch.catalog import spans
from kilowatch.catalog.settings_check import one_of
from kilowatch.cli.push import PASSWORD, read_password
from kilowatch.cli.registration import paper
from kilowatch.client import Pusher, Tally, Target, Trust
from kilowatch.client.weather_service import (
    MET_NORWAY,
    OPEN_METEO,
    MetNorway,
    OpenMeteo,
    Place,
    WeatherService,
    bring,
)
from kilowatch.model.errors import KilowatchError

SERVICES = ("open-meteo", "met-norway")
EVERY_S_MIN = 600
"""Services renew their hours a few times a day; asking more often only costs them."""


def fetch(
    *,
    service: Annotated[str, typer.Option(metavar="|".join(SERVICES), help="Whom to ask.")],
    latitude: Annotated[float, typer.Option(help="North is positive: 53.35.")],
    longitude: Annotated[float, typer.Option(help="East is positive: -6.26.")],
    stream: Annotated[str, typer.Option(help="Stream id of a data point in °C.")],
    url: Annotated[str, typer.Option(help="The push server, e.g. https://localhost:8443.")],
    user: Annotated[str, typer.Option(help="User name of the credential.")],
    password_file: Annotated[
        Path | None, typer.Option(help=f"File with the password; else ${PASSWORD}, or asked for.")
    ] = None,
    cacert: Annotated[
        Path | None, typer.Option(help="The server's certificate, if it is self-signed.")
    ] = None,
    contact: Annotated[
        str, typer.Option(help="Your e-mail address or web page, for MET Norway.")
    ] = "",
    service_url: Annotated[
        str | None, typer.Option(help="Another address of the service: one of your own.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Go on, and ask so often: 1h.", show_default="once")
    ] = None,
) -> None:
    """Ask a weather service for the hours that a stream lacks, and push them like any gateway."""
    place = Place(latitude, longitude)
    asked: WeatherService
    if one_of("service", service, SERVICES) == "open-meteo":
        asked = OpenMeteo(service_url or OPEN_METEO)
    else:
        asked = MetNorway(contact, service_url or MET_NORWAY)
    every_s = None if every is None else max(spans.parse_span(every), EVERY_S_MIN)
    target = Target.parse(url, user, read_password(password_file, user), Trust(cacert))
    try:
        asyncio.run(_go(asked, place, target, stream, every_s))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _go(
    service: WeatherService, place: Place, target: Target, stream: str, every_s: int | None
) -> None:
    async with Pusher(target, connections=1) as pusher:
        while True:
            try:
                _tell(stream, await bring(service, place, pusher, stream, datetime.now(UTC)))
            except KilowatchError as error:
                if every_s is None or not error.retry_helps:
                    raise
                paper().print(f"{error.detail} Again in {every_s // 60} min.", markup=False)
            if every_s is None:
                return
            await asyncio.sleep(every_s)


def _tell(stream: str, tally: Tally) -> None:
    said = ", ".join(f"{count} {outcome}" for outcome, count in tally.counts.items())
    paper().print(f"{stream}: {said or 'nothing new'}", markup=False)
