"""``kilowatch startup-package``: what an integrator needs to push a first packet, on one page."""

from __future__ import annotations

import json
import shlex
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kilowatch.catalog import examples, spans, startup
from kilowatch.catalog.examples import Pusher
from kilowatch.catalog.startup import StartupPackage, Wishes
from kilowatch.catalog.tables import DataPoint
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import AsJson, Server, chosen_environment, paper

DEFAULTS = Wishes()


def startup_package(
    *,
    organization: Annotated[
        str, typer.Option("--organization", metavar="NAME", help="Name of the new organisation.")
    ],
    email: Annotated[
        str, typer.Option("--email", metavar="ADDRESS", help="Of the first dashboard account.")
    ],
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of the site.", show_default=DEFAULTS.zone)
    ] = None,
    country: Annotated[
        str | None, typer.Option(help="Two letters.", show_default="the time zone's")
    ] = None,
    interval: Annotated[
        str | None,
        typer.Option(help="How often packets come: 30s, 5m, 1h, 1d, 1 month.", show_default="5m"),
    ] = None,
    reading: Annotated[
        str | None,
        typer.Option(
            metavar="cum|avg",
            help="cum: electricity and gas are registers that count up. avg: each packet holds "
            "what was used in its interval.",
            show_default=DEFAULTS.reading,
        ),
    ] = None,
    environment: Annotated[
        str | None, typer.Option(help="development or production.", show_default="the server's")
    ] = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make an organisation with credentials, three data streams and a dashboard account.

    Works while the server runs and before its first start. The passwords are shown only now.
    """
    server = Server.of(data)
    wishes = Wishes(
        zone=timezone or DEFAULTS.zone,
        country=country,
        interval_s=spans.parse_interval(interval) if interval else DEFAULTS.interval_s,
        reading=reading or DEFAULTS.reading,
        environment=chosen_environment(environment, server),
    )
    key = server.key()
    with server.change() as change:
        package = startup.make(change, key, organization, email, wishes)
    if as_json:
        typer.echo(json.dumps(_for_programs(package, server), indent=1, ensure_ascii=False))
        return
    _show(package, server)
    used = {
        "--timezone": None if timezone else package.site.zone,
        "--country": None if country else package.site.country,
        "--interval": None if interval else spans.interval_text(wishes.interval_s),
        "--reading": None if reading else wishes.reading,
    }
    _show_defaults({flag: word for flag, word in used.items() if word is not None})


def _for_programs(package: StartupPackage, server: Server) -> dict[str, object]:
    return {
        "push_url": server.push_https,
        "username": package.issued.credential.username,
        "password": package.issued.secret,
        "streams": {name: point.stream_id for name, point in package.streams.items()},
        "dashboard_url": server.dashboard,
        "dashboard_user": package.user.email,
        "dashboard_password": package.password,
    }


def _show(package: StartupPackage, server: Server) -> None:
    out = paper()
    credential = package.issued.credential
    testing = credential.environment == "development"
    out.print(f"[bold]Startup package for {escape(package.organisation.name)}[/bold]", end="")
    out.print(f" ({credential.environment} environment)")
    _heading(out, "Push", "the password is shown only now")
    _line(out, "address", server.push_https)
    if testing:
        _line(out, "", f"{server.push_http}  (on this machine only)")
    _line(out, "user name", credential.username)
    _line(out, "password", package.issued.secret)
    _heading(out, "Data streams", "the id goes into each packet")
    for name, point in package.streams.items():
        settings = f"[dim]{escape(describe(point))}[/dim]"
        _line(out, name, f"{point.stream_id:<31}  {settings}", markup=True)
    _heading(out, "Dashboard", "the password is shown only now")
    _line(out, "address", server.dashboard)
    _line(out, "account", package.user.email)
    _line(out, "password", package.password)
    _heading(out, "Try it", "paste a line, and again a minute later: a graph needs two packets")
    pusher = Pusher(server.push_https, credential.username, package.issued.secret, _trust(server))
    for name, point in package.streams.items():
        out.print(f"\n  [dim]# {name}[/dim]")
        out.print(f"  {examples.push(pusher, point)}", markup=False)
    out.print("\n  [dim]# what arrived last, as the server has it[/dim]")
    out.print(f"  {examples.latest(pusher, point)}", markup=False)
    _say_how_to_start(out, server, testing=testing)


def _say_how_to_start(out: Console, server: Server, *, testing: bool) -> None:
    out.print()
    if not server.running:
        flag = "" if testing else " --environment production"
        start = f"kilowatch serve --data {shlex.quote(str(server.folder.root))}{flag}"
        out.print(f"The server is not running. Start it with: [bold]{escape(start)}[/bold]")
    if server.certificate or not server.settings.tls_certificate:
        out.print(
            "The server's certificate is its own, made at its first start: curl is told so with "
            f"{'--cacert' if server.certificate else '-k'}.",
            markup=False,
        )


def _show_defaults(used: dict[str, str]) -> None:
    if used:
        words = ", ".join(f"{flag} '{word}'" for flag, word in used.items())
        paper().print(f"Not given, so the defaults were used: {words}.", markup=False)


def _trust(server: Server) -> str:
    if server.settings.tls_certificate:
        return "-sS"
    if server.certificate is None:
        return "-sSk"
    return f"-sS --cacert {shlex.quote(str(server.certificate))}"


def describe(point: DataPoint) -> str:
    """Return a data point's settings in a few words, for a person."""
    every = f"every {spans.interval_text(point.interval_s)}"
    if point.kind == "electrical":
        sort = "registers" if point.behaviour == "register" else "amounts"
        return f"electrical, energy {sort} in Wh, {every}"
    return f"single value, {point.behaviour} in {point.unit or 'plain numbers'}, {every}"


def _heading(out: Console, title: str, note: str) -> None:
    out.print(f"\n[bold]{title}[/bold]  [dim]{note}[/dim]")


def _line(out: Console, name: str, text: str, *, markup: bool = False) -> None:
    out.print(f"  {name:<14} {text}", markup=markup)


def register(app: typer.Typer) -> None:
    """Add ``kilowatch startup-package`` to the command line."""
    app.command()(startup_package)
