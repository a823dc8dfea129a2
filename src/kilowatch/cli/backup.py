"""``kilowatch backup``: everything that a server keeps as one file, running or not."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from kilowatch.backup import Manifest
from kilowatch.cli.backup_made import Making
from kilowatch.cli.folder import DEFAULT, DataFolder, demo_beside
from kilowatch.cli.options import Data
from kilowatch.cli.standstill import only_backup
from kilowatch.model.errors import KilowatchError

NICE = 10


def step_back() -> None:
    """Let everybody else have the processor first: packets, pages, figures.

    Where the system knows it, as a process that runs when nobody else wants to. With a nice value
    alone a backup took a third to a half of the packets that a full machine can take.
    """
    with suppress(OSError):
        os.nice(NICE)
        if hasattr(os, "sched_setscheduler"):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes: kilowatch.tar.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not read the file back before it gets its name.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data: Data = DEFAULT,
) -> None:
    """Copy everything that the server keeps into one file, while it runs or while it does not.

    The file holds keys and personal data: it is as secret as the data folder.
    """
    began_s, began_ms = time.monotonic(), time.time_ns() // 1_000_000
    folder, path = DataFolder(data.absolute()), file.absolute()
    with may_read(folder):
        _refuse(folder, path)
    os.umask(0o077)
    step_back()
    console = Console(stderr=True, highlight=False)
    with may_read(folder), only_backup(folder):
        made = Making(folder, path, began_ms, overwrite=overwrite, verify=not no_verify)
        if console.is_terminal and not as_json:
            with console.status("Backup …") as shown:
                manifest = made.run(lambda words: shown.update(f"Backup: {words}"))
        else:
            manifest = made.run(lambda _words: None)
    took_s = time.monotonic() - began_s
    size = path.stat().st_size
    if as_json:
        typer.echo(json.dumps(told(file, manifest, size, took_s, verified=not no_verify), indent=1))
    else:
        show(file, manifest, size, took_s, verified=not no_verify)


@contextmanager
def may_read(folder: DataFolder) -> Iterator[None]:
    """Turn a right that this user lacks into a plain answer.

    Raises:
        KilowatchError: ``folder_unusable``.
    """
    try:
        yield
    except PermissionError as error:
        raise KilowatchError(
            "folder_unusable",
            f"{error.filename or folder.root} can't be used: {error.strerror}.",
            remedy="Do it as the user that runs the server, or as root.",
        ) from error


def _refuse(folder: DataFolder, path: Path) -> None:
    """Refuse a folder that is none, and a file inside it.

    Raises:
        KilowatchError: ``nothing_to_back_up`` or ``file_in_folder``.
    """
    if not folder.catalog.is_file():
        raise KilowatchError(
            "nothing_to_back_up",
            f"{folder.root} is not the data folder of a server.",
            status=404,
            remedy="Name it with --data." + demo_beside(folder.root),
        )
    if path.parent.resolve().is_relative_to(folder.root.resolve()):
        raise KilowatchError(
            "file_in_folder",
            f"{path} lies in the data folder that it is a backup of.",
            remedy="Name a file elsewhere, on another disk if possible.",
        )


def told(
    file: Path, manifest: Manifest, size: int, took_s: float, *, verified: bool
) -> dict[str, Any]:
    """Return what ``--json`` prints of a backup."""
    return {
        "file": str(file),
        "bytes": size,
        "seconds": round(took_s, 2),
        "verified": verified,
        "created_ms": manifest.head.created_ms,
        "kilowatch": manifest.head.kilowatch,
        **msgspec.to_builtins(manifest.contents),
    }


def show(file: Path, manifest: Manifest, size: int, took_s: float, *, verified: bool) -> None:
    """Print what a backup holds."""
    out, held = Console(highlight=False, soft_wrap=True, emoji=False), manifest.contents
    read_back = " and read back" if verified else ""
    out.print(f"{file}: {size / 1e6:,.1f} MB, written{read_back} in {took_s:.1f} s.", markup=False)
    for line in lines(manifest):
        out.print(f"  {line}", markup=False)
    for one in held.missing:
        out.print(f"  Not in it: {one}.", markup=False)
    out.print("It holds keys and personal data: keep it as safe as the data folder.")
    out.print(f"What is in it, and whether it is whole: kilowatch restore --check {file}")


def lines(manifest: Manifest) -> list[str]:
    """Return what a backup holds, in words."""
    held = manifest.contents
    until = "none yet" if held.until_ms is None else _utc(held.until_ms)
    there = (
        f"{held.organisations:,} organisations, {held.data_points:,} data points,"
        f" {held.people:,} people"
    )
    return [
        f"made         {_utc(manifest.head.created_ms)}, Kilowatch {manifest.head.kilowatch}",
        f"holds        {there}",
        f"packets      {held.packets:,} accepted, the last one at {until}",
    ]


def _utc(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at_ms / 1000))


def register(app: typer.Typer) -> None:
    """Add ``kilowatch backup`` to the command line."""
    app.command()(backup)
