"""``kilowatch maintenance on|off``: pushes answer 503 with Retry-After while it is on."""

from __future__ import annotations

from typing import Annotated

import typer

from kilowatch.catalog.settings_check import one_of
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import Server, paper


def maintenance(
    state: Annotated[str, typer.Argument(metavar="on|off", help="What it shall be.")],
    reason: Annotated[str, typer.Option(help="Shown to those whose pushes have to wait.")] = "",
    data: Data = DEFAULT,
) -> None:
    """Let gateways keep their packets for a while: they get 503 and send them again later.

    The file 'maintenance' in the data folder says so; the server sees it within a second, also
    when it is started while maintenance is on.
    """
    wanted = one_of("state", state, ("on", "off"))
    sign = Server.of(data).folder.maintenance
    out = paper()
    if wanted == "on":
        draft = sign.with_suffix(".new")
        draft.write_text(reason, encoding="utf-8")
        draft.replace(sign)  # whole or not at all: the server reads it at any moment
        out.print("Maintenance is on: pushes answer 503 with Retry-After, and nothing is lost.")
        out.print("End it with: kilowatch maintenance off")
    elif sign.exists():
        sign.unlink(missing_ok=True)
        out.print("Maintenance is off: pushes are accepted again.")
    else:
        out.print("Maintenance was off already.")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch maintenance`` to the command line."""
    app.command()(maintenance)
