"""``kilowatch export``: figures as a file, as the Export page gives them."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import httpx
import typer
from rich.console import Console

from kilowatch.catalog import Actor
from kilowatch.cli.export_wanted import SILENT, Places, definition, format_of
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import Server
from kilowatch.exports.definition import (
    EXTRAS,
    FORMATS,
    GRAINS,
    LAYOUTS,
    PERIODS,
    UNITS,
    Definition,
)
from kilowatch.model.errors import KilowatchError

CONNECT_S = 5.0
STDOUT = "-"
PIECE_BYTES = 1 << 20


def export(
    *,
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where it goes; - is the standard output.")
    ] = STDOUT,
    organization: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Whose; may be left out while there is only one."),
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this site; several times.")
    ] = None,
    data_point: Annotated[
        list[str] | None,
        typer.Option(metavar="ID|NAME", help="Only this data point; several times."),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="How.", show_default="by the file's ending"
        ),
    ] = None,
    period: Annotated[
        str | None,
        typer.Option(
            metavar="WORD", help=f"{', '.join(PERIODS[:-1])}.", show_default="last_30_days"
        ),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First local day: 2026-11-01.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="Last local day, included.", show_default="the first"),
    ] = None,
    grain: Annotated[
        str, typer.Option(metavar="|".join(GRAINS), help="How finely; source: as pushed.")
    ] = "hour",
    layout: Annotated[
        str, typer.Option(metavar="|".join(LAYOUTS), help="A row for each value, or each time.")
    ] = "long",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD", help="pC, aP, …; several times.", show_default="energy, else power"
        ),
    ] = None,
    phases_apart: Annotated[
        bool, typer.Option("--phases-apart", help="Phases in place of their sum.")
    ] = False,
    zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Of local times.", show_default="the site's"),
    ] = None,
    units: Annotated[
        str, typer.Option(metavar="|".join(UNITS), help="kWh and kW, or Wh and W.")
    ] = "kilo",
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar=f"none|{'|'.join(EXTRAS)}",
            help="Further columns; several times.",
            show_default="quality, gaps",
        ),
    ] = None,
    data: Data = DEFAULT,
) -> None:
    """Write figures to a file: CSV, Excel, Parquet or a Tableau extract, of any length.

    Works while the platform runs and while it does not. The file is there when it is whole.
    """
    server, began_s = Server.of(data), time.monotonic()
    word = format_of(format_, file)
    if file == STDOUT and word != "csv" and sys.stdout.isatty():
        raise KilowatchError(
            "not_for_terminals",
            f"A terminal cannot show {word}.",
            remedy=f"Name a file, such as export.{FORMATS[word][0]}.",
        )
    with server.reading() as session:
        places = Places(organization or (), site or (), data_point or ()).codes(session)
    said = {
        "period": period, "from": from_, "until": until, "grain": grain, "layout": layout,
        "phases": "apart" if phases_apart else None, "zone": zone, "units": units,
    }  # fmt: skip
    asked = definition(places, said, parameter=parameter or (), extras=with_ or ())
    size = 0
    with _opened(server, asked, word) as (pieces, silent), _target(file) as out:
        for piece in pieces:
            size += out.write(piece)
        out.flush()
    _tell(file, size, time.monotonic() - began_s, silent)


@contextmanager
def _opened(server: Server, asked: Definition, word: str) -> Iterator[tuple[Iterable[bytes], str]]:
    """Open the file that is asked for: the running platform's, or of the folder at rest."""
    actor = Actor.shell().name
    query = httpx.QueryParams([*asked.pairs(), ("format", word), ("actor", actor)])
    transport = httpx.HTTPTransport(uds=str(server.folder.control_socket))
    patience = httpx.Timeout(None, connect=CONNECT_S)  # a workbook takes minutes to begin
    with httpx.Client(
        transport=transport, base_url="http://kilowatch", timeout=patience, trust_env=False
    ) as client:
        request = client.build_request("GET", "/export", params=query)
        try:
            answer = client.send(request, stream=True)
        except httpx.ConnectError:
            answer = None
        except httpx.TransportError as error:
            raise _broken(error) from error
        if answer is not None:
            try:
                if answer.is_error:
                    said = json.loads(answer.read())
                    raise KilowatchError(said["code"], said["detail"], remedy=said["remedy"])
                yield _pieces(answer), answer.headers[SILENT]
            finally:
                answer.close()
            return
    at_rest = importlib.import_module("kilowatch.cli.at_rest")  # with the store and its engine
    with at_rest.file(server, asked, word, actor) as found:
        yield found


def _pieces(answer: httpx.Response) -> Iterator[bytes]:
    try:
        yield from answer.iter_bytes(PIECE_BYTES)
    except httpx.TransportError as error:
        raise _broken(error) from error


def _broken(error: Exception) -> KilowatchError:
    return KilowatchError(
        "export_broken",
        f"The platform ended before the file was whole: {error or type(error).__name__}.",
        remedy="Try again; `kilowatch status` tells how it is.",
        retry_helps=True,
    )


@contextmanager
def _target(file: str) -> Iterator[IO[bytes]]:
    """Open where the file goes; under its own name only when it is whole.

    Raises:
        KilowatchError: ``file_unusable``: it cannot be written.
    """
    if file == STDOUT:
        yield sys.stdout.buffer
        return
    path = Path(file)
    plain = not path.exists() or path.is_file()  # a device or a pipe is written as it is
    draft = path.with_name(f".{path.name}.{os.getpid()}.part") if plain else path
    try:
        with draft.open("wb") as out:
            yield out
        if plain:
            draft.replace(path)
    except OSError as error:
        raise KilowatchError(
            "file_unusable",
            f"{file} cannot be written: {error.strerror or error}.",
            remedy="Make room, or name another file.",
        ) from error
    finally:
        if plain:
            draft.unlink(missing_ok=True)


def _tell(file: str, size: int, took_s: float, silent: str) -> None:
    """Say what was done, where it does not get into the file."""
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    count, names = json.loads(silent)
    if count:
        shown = ", ".join(names) + (", …" if count > len(names) else "")
        out.print(f"Without data in the period: {shown}.", markup=False)
    if file != STDOUT:
        out.print(f"{file}: {size:,} bytes in {took_s:.1f} s.", markup=False)


def register(app: typer.Typer) -> None:
    """Add ``kilowatch export`` to the command line."""
    app.command()(export)
