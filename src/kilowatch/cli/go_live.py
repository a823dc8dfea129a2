"""``kilowatch go-live``: from the development environment to production."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer

from kilowatch.catalog import going_live, registry
from kilowatch.catalog.going_live import WentLive
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import AsJson, Server, paper


def go_live(
    organization: Annotated[
        str, typer.Argument(metavar="ORGANIZATION", help="Name of the organisation.")
    ],
    leave_test_data: Annotated[
        bool,
        typer.Option(
            "--leave-test-data",
            help="Production begins empty; what was pushed so far stays in development.",
        ),
    ] = False,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Issue production credentials for the same data streams; their passwords are shown once."""
    server = Server.of(data)
    key = server.key()
    with server.change() as change:
        organisation = registry.find_organisation(change.session, organization)
        live = going_live.go_live(change, key, organisation, leave_test_data=leave_test_data)
    if as_json:
        typer.echo(json.dumps(_for_programs(live, server), indent=1, ensure_ascii=False))
    else:
        _show(live, server)


def _for_programs(live: WentLive, server: Server) -> dict[str, Any]:
    return {
        "organization": live.organisation.name,
        "push_url": server.push_https,
        "left_test_data": live.left_test_data,
        "data_points": live.data_points,
        "credentials": [
            {
                "username": issued.credential.username,
                "password": issued.secret,
                "scope": issued.credential.scope,
                "name": issued.credential.name,
                "replaces": testing,
            }
            for testing, issued in live.issued.items()
        ],
    }


def _show(live: WentLive, server: Server) -> None:
    out = paper()
    name = live.organisation.name
    out.print(f"{name} is live.", style="bold", markup=False)
    kept = (
        "they begin empty; what was pushed so far stays in the development environment"
        if live.left_test_data
        else "what was pushed so far stays with them"
    )
    out.print(f"Its {live.data_points} data points keep their stream ids; {kept}.")
    if not live.issued:
        out.print("It had no development credential to take over from. For a first one, run:")
        add = f"kilowatch credential add --organization {shlex.quote(name)}"
        out.print(f"  {add} --environment production", markup=False)
    for testing, issued in live.issued.items():
        scope = issued.credential.scope
        out.print(f"\nIn place of {testing} (scope {scope}), in production:", markup=False)
        out.print(f"  user name  {issued.credential.username}", markup=False)
        out.print(f"  password   {issued.secret}   (shown only now)", markup=False)
    out.print(f"\nProduction takes HTTPS only: {server.push_https}", markup=False)
    if server.environment == "development":
        out.print("This server is in the development environment, where they answer 401. Run")
        out.print("  kilowatch serve --environment production")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch go-live`` to the command line."""
    app.command()(go_live)
