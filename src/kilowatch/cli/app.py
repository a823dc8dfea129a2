"""The command line: every command has its one line here, and is loaded when it is asked for."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kilowatch.model.errors import KilowatchError

COMMANDS = {
    "serve": "serve",
    "demo": "demo",
    "startup-package": "startup_package",
    "site": "sites",
    "price": "prices",
    "carbon": "prices",
    "data-point": "data_points",
    "credential": "credentials",
    "go-live": "go_live",
    "push": "push",
    "status": "status",
    "explain": "explain",
    "export": "export",
    "weather": "weather",
    "history": "history",
    "maintenance": "maintenance",
    "backup": "backup",
    "restore": "restore",
    "mail-test": "mail_test",
    "account": "accounts",
    "bench": "bench",
    "evaluate": "evaluate",
}
"""Each command and the module that registers it, in the order of the help.

Only the module of the command that is asked for is loaded: all of them bring the registry, Arrow
and the benches along, and cost ``kilowatch push`` a second of one core in place of 0.3 s."""

SERVERS = ("serve", "demo")
"""Commands that say so before they are even loaded: on a crowded machine that takes ten seconds."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kilowatch {version('kilowatch')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """Make the command line.

    Args:
        words: What was typed; when it begins with a command, that one alone is there.

    Returns:
        The commands; with all of them unless the words name one.
    """
    app = typer.Typer(
        name="kilowatch",
        help="Self-hosted energy monitoring: push packets, see what is used, missing and wasted.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_root)
    asked = COMMANDS.get(words[0]) if words else None
    for module in (asked,) if asked else tuple(dict.fromkeys(COMMANDS.values())):
        importlib.import_module(f"kilowatch.cli.{module}").register(app)
    return app


def main() -> None:
    """Run a command; a refusal is one sentence and what to do about it."""
    if sys.argv[1:2] and sys.argv[1] in SERVERS and "--help" not in sys.argv:
        with contextlib.suppress(OSError):  # nobody reads: no reason not to serve
            typer.echo("Kilowatch is starting …")
    try:
        command_line(sys.argv[1:])()
    except KilowatchError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]Error:[/bold red] {escape(error.detail)}")
        if error.remedy:
            console.print(error.remedy, markup=False)
        sys.exit(1)
