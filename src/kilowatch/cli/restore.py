"""``kilowatch restore``: a backup becomes a data folder, whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kilowatch.backup import Manifest, check, read, unpack
from kilowatch.backup.copies import PIECE_BYTES
from kilowatch.backup.writing import free_bytes
from kilowatch.catalog import Actor, restored
from kilowatch.catalog import open as open_catalog
from kilowatch.cli.backup import lines, may_read, told
from kilowatch.cli.folder import DEFAULT, DataFolder
from kilowatch.cli.options import Data
from kilowatch.log.copying import join
from kilowatch.model.errors import KilowatchError
from kilowatch.notify import restored as restored_alerts
from kilowatch.store.freezing import lay_out

PIECES = "log/packets_"
KNOWN = frozenset(
    {"secret.key", "kilowatch.toml", "collector.up.json", "platform.up.json",
     "catalog.sqlite.gz", "pipeline.sqlite.gz", "silences.sqlite.gz", "insights.sqlite.gz",
     "notify.sqlite.gz", "log/log.sqlite.gz"}
)  # fmt: skip
UNTOUCHED = ("lost+found",)
"""What an empty disk holds."""
KNOWN_FOLDERS = ("store/", "tls/", PIECES)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `backup` has written.")],
    check_only: Annotated[
        bool, typer.Option("--check", help="Only read the file, and say what is in it.")
    ] = False,
    channels_off: Annotated[
        bool,
        typer.Option("--channels-off", help="Switch off every channel of alerts: for a trial."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data: Data = DEFAULT,
) -> None:
    """Make a data folder out of a backup; the folder is there when it is whole.

    It must be empty or not there yet. Everybody has to log in again, and messages that waited when
    the backup was made are not sent.
    """
    began_s, path, folder = time.monotonic(), file.absolute(), DataFolder(data.absolute())
    os.umask(0o077)
    if check_only:
        manifest, dropped = read(path, str(file)), 0
    else:
        manifest, dropped = into_folder(path, folder, channels_off=channels_off)
    took_s, size = time.monotonic() - began_s, path.stat().st_size
    if as_json:
        said = told(file, manifest, size, took_s, verified=True)
        said |= {"data": None if check_only else str(folder.root), "messages_dropped": dropped}
        typer.echo(json.dumps(said, indent=1))
        return
    out = Console(highlight=False, soft_wrap=True, emoji=False)
    done = f"restored into {folder.root}" if not check_only else "whole"
    out.print(f"{file}: {size / 1e6:,.1f} MB, {done} in {took_s:.1f} s.", markup=False)
    for line in lines(manifest):
        out.print(f"  {line}", markup=False)
    for one in manifest.contents.missing:
        out.print(f"  Not in it: {one}.", markup=False)
    if not check_only:
        _say_what_is_next(out, folder, dropped)


def into_folder(path: Path, folder: DataFolder, *, channels_off: bool) -> tuple[Manifest, int]:
    """Restore a backup.

    Args:
        path: The backup.
        folder: Where it goes; empty, or not there.
        channels_off: Whether to switch off every channel of alerts.

    Returns:
        What the backup says of itself, and how many messages were dropped.

    Raises:
        KilowatchError: ``folder_not_empty``, ``already_running``, ``folder_unusable``, or why the
            backup can't be restored. The folder is as it was.
    """
    with may_read(folder):
        refuse(folder)
    with _draft(folder.root) as root:
        manifest = _unpacked(path, root)
        draft = DataFolder(root)
        try:
            _build(draft)
        except (ValueError, OSError) as error:
            if isinstance(error, OSError):
                raise
            raise KilowatchError("backup_damaged", f"{path} is damaged: {error}.") from error
        dropped = _settle(draft, path, manifest, channels_off=channels_off)
        _give_name(root, folder.root)
    return manifest, dropped


def refuse(folder: DataFolder) -> None:
    """Refuse a folder that holds something, and say so where a server runs on it.

    Raises:
        KilowatchError: 409 ``already_running`` or ``folder_not_empty``.
    """
    root = folder.root
    if root.exists() and not root.is_dir():
        raise KilowatchError("folder_unusable", f"{root} is not a folder.")
    if not root.exists() or all(one.name in UNTOUCHED for one in root.iterdir()):
        return
    for name in ("platform", "collector"):
        with suppress(FileNotFoundError), (root / f"{name}.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise KilowatchError(
                    "already_running",
                    f"The {name} of {root} is running.",
                    status=409,
                    remedy="Name another folder with --data, and start a server on that one.",
                ) from None
    raise KilowatchError(
        "folder_not_empty",
        f"{root} is not empty.",
        status=409,
        remedy="Name another folder with --data, or move this one aside.",
    )


def beside_works(root: Path) -> bool:
    """Tell whether a folder can be made beside another one, and take its place."""
    there = next(one for one in (root, *root.parents) if one.exists())
    above = root.parent if there == root else there
    return not root.is_mount() and os.access(above, os.W_OK | os.X_OK)


@contextmanager
def _draft(root: Path) -> Iterator[Path]:
    """Make a folder beside another one, and remove it unless it has got its name by then.

    Where nothing can be made beside it, as with a volume, it is made inside.
    """
    draft = root.with_name(f".{root.name}.{os.getpid()}.restoring")
    if root.is_dir() and not beside_works(root):
        draft = root / DataFolder.RESTORING
    try:
        root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        yield draft
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise KilowatchError(
            "folder_unusable",
            f"{root} can't be made: {error.strerror or error}.",
            remedy="Make room on its disk, or name another folder with --data."
            if full
            else "Name a folder that is there and that this user may write to, or one whose parent"
            " this user may write to.",
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unpacked(path: Path, root: Path) -> Manifest:
    """Unpack everything, with the segments of the log still packed."""
    put = unpack(root, lambda name: name.startswith(PIECES))

    def take(name: str, pieces: Iterator[bytes]) -> None:
        if name not in KNOWN and not name.startswith(KNOWN_FOLDERS):
            raise KilowatchError(
                "backup_damaged", f"{path} is damaged: it holds {name!r}, which no backup does."
            )
        put(name, pieces)

    def room(needed: int) -> None:
        if (free := free_bytes(root)) < needed:
            raise OSError(
                errno.ENOSPC,
                f"it needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free",
            )

    return read(path, take=take, room=room)


def _build(draft: DataFolder) -> None:
    """Make of what was unpacked what a server expects to find."""
    folders = draft.log.parent

    def piece_of(first: int) -> Path | None:
        packed = folders / f"packets_{first}.sqlite.gz"
        if not packed.exists():
            return None
        for earlier in folders.glob("packets_*.sqlite"):
            earlier.unlink()
        piece = packed.with_suffix("")
        with gzip.open(packed) as source, piece.open("xb") as out:
            shutil.copyfileobj(source, out, PIECE_BYTES)
        packed.unlink()
        return piece

    if draft.log.exists():
        join(draft.log, piece_of)
        for rest in folders.glob("packets_*"):  # dropped by the log while it was copied
            rest.unlink()
    if not draft.catalog.exists():
        raise ValueError("it holds no catalogue")
    for path in (draft.catalog, draft.pipeline, draft.silences, draft.insights, draft.notify):
        if path.exists():
            check(path, path.name)
    if draft.store.is_dir():
        lay_out(draft.store)


def _settle(draft: DataFolder, path: Path, manifest: Manifest, *, channels_off: bool) -> int:
    """End sessions, drop messages, and write down that and from what it was restored."""
    registered = open_catalog(draft.catalog)
    try:
        restored.settle(
            registered, Actor.shell(), file=path.name, made_ms=manifest.head.created_ms,
            channels_off=channels_off,
        )  # fmt: skip
    finally:
        registered.close()
    if not draft.notify.exists():
        return 0
    return restored_alerts.settle(draft.notify, time.time_ns() // 1_000_000)


def _give_name(draft: Path, root: Path) -> None:
    """Put everything on the disk, and then into place: an empty folder gives way.

    What lies inside moves up, and its folder goes last: while that is there no server starts.
    """
    os.sync()
    if draft.parent != root:
        draft.rename(root)
        _sync(root.parent)
        return
    moved: list[Path] = []
    try:
        for path in sorted(draft.iterdir()):
            moved += [path.rename(root / path.name)]
    except OSError:
        for path in moved:
            path.rename(draft / path.name)  # which is removed
        raise
    _sync(root)
    draft.rmdir()
    _sync(root)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _say_what_is_next(out: Any, folder: DataFolder, dropped: int) -> None:
    if dropped:
        out.print(f"  {dropped:,} messages that waited when it was made will not be sent.")
    out.print(f"Start it: kilowatch serve --data {folder.root}", markup=False)
    out.print(
        "Then: everybody logs in again; what was changed since the backup is done once more"
        " (passwords, credentials that were revoked); clients send again what they still have,"
        " and what they sent in between is put in with `kilowatch push --backfill`."
    )


def register(app: typer.Typer) -> None:
    """Add ``kilowatch restore`` to the command line."""
    app.command()(restore)
