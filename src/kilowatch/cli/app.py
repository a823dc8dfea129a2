"""The command line: every command, registered in one place."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kilowatch.cli import (
    accounts,
    bench,
    credentials,
    data_points,
    demo,
    evaluate,
    explain,
    go_live,
    history,
    mail_test,
    maintenance,
    prices,
    push,
    serve,
    sites,
    startup_package,
    status,
    weather,
)
from kilowatch.model.errors import KilowatchError

app = typer.Typer(
    name="kilowatch",
    help="Self-hosted energy monitoring: push packets, see what is used, missing and wasted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kilowatch {version('kilowatch')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


for room in (
    serve, demo, startup_package, sites, prices, data_points, credentials, go_live, push, status,
    explain, weather, history, maintenance, mail_test, accounts, bench, evaluate,
):  # fmt: skip
    room.register(app)


def main() -> None:
    """Run a command; a refusal is one sentence and what to do about it."""
    try:
        app()
    except KilowatchError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]Error:[/bold red] {escape(error.detail)}")
        if error.remedy:
            console.print(error.remedy, markup=False)
        sys.exit(1)
