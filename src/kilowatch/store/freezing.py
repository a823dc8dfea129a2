"""The store's files at one moment, as hard links: taken in milliseconds, copied at leisure.

A part of a table never changes once it is written, so a link to each of its files is a copy; merges
write new ones and remove the old names. In a backup each table is a folder of parts beside its
definition: the engine's own layout has links and numbers that mean nothing elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FROZEN: Final = "kilowatch"
"""Name under which parts are frozen, one at a time; the engine writes other signs than letters
in another way."""

_UUID: Final = re.compile(r"UUID '([0-9a-f-]{36})'")
_PART: Final = re.compile(r"[0-9a-z]+_\d+_\d+_\d+(?:_\d+)?")
_DEFINITIONS: Final = Path("metadata", "default")
_FORMAT: Final = "format_version.txt"


def tables(folder: Path) -> dict[str, str]:
    """Return the names of a store's tables with the numbers under which their files are."""
    return {
        path.stem: found[1]
        for path in sorted((folder / _DEFINITIONS).glob("*.sql"))
        if (found := _UUID.search(path.read_text(encoding="utf-8")))
    }


def frozen(folder: Path) -> Path:
    """Return where frozen parts are, in a store's folder."""
    return folder / "shadow" / FROZEN


def hand_over(path: Path, folder: Path) -> None:
    """Give what root has made in a folder to the folder's owner, who must be able to remove it.

    A link is not followed, and a file with a second name is left alone: the owner could have put
    somebody else's there.

    Raises:
        OSError: It is not there, or is a link.
    """
    if os.geteuid() != 0:
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        made, owner = os.fstat(handle), folder.stat()
        if stat.S_ISDIR(made.st_mode) or (stat.S_ISREG(made.st_mode) and made.st_nlink == 1):
            os.fchown(handle, owner.st_uid, owner.st_gid)
    finally:
        os.close(handle)


def thaw(folder: Path) -> None:
    """Let go of what was frozen; nothing happens where nothing was."""
    shutil.rmtree(frozen(folder), ignore_errors=True)


def link_parts(folder: Path) -> None:
    """Freeze the parts of a store that no process has open.

    Raises:
        OSError: The links can't be made.
    """
    thaw(folder)
    if not folder.is_dir():  # no platform has run yet; the first one must be able to use it
        folder.mkdir(mode=0o700)
        hand_over(folder, folder.parent)
    (frozen(folder) / "store").mkdir(mode=0o700, parents=True)
    for made in (frozen(folder).parent, frozen(folder), frozen(folder) / "store"):
        hand_over(made, folder)
    for number in tables(folder).values():
        place = Path("store", number[:3], number)
        for part in sorted((folder / place).iterdir()):
            if part.is_dir() and _PART.fullmatch(part.name):
                shutil.copytree(part, frozen(folder) / place / part.name, copy_function=os.link)
        for within, _folders, _files in os.walk(frozen(folder) / place.parent):
            hand_over(Path(within), folder)


def members(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give each frozen file with its name in a backup, and what the tables are.

    Raises:
        FileNotFoundError: Nothing is frozen, though there is a store.
    """
    there = tables(folder)
    if there:
        (frozen(folder) / "store").stat()
    for table, number in there.items():
        yield f"{table}.sql", folder / _DEFINITIONS / f"{table}.sql"
        place = Path("store", number[:3], number)
        yield f"{table}/{_FORMAT}", folder / place / _FORMAT
        parts = frozen(folder) / place
        for file in sorted(parts.rglob("*")):
            if file.is_file():
                yield f"{table}/{file.relative_to(parts).as_posix()}", file


def lay_out(folder: Path) -> None:
    """Give what was unpacked from a backup the engine's layout, in its place.

    Args:
        folder: What ``members`` gave, as files.

    Raises:
        ValueError: A table's definition or its files are missing.
    """
    definitions = sorted(folder.glob("*.sql"))
    database = str(uuid.uuid4())
    home = Path("store", database[:3], database)
    (folder / home).mkdir(mode=0o700, parents=True)
    (folder / _DEFINITIONS).parent.mkdir(mode=0o700)
    (folder / _DEFINITIONS).symlink_to(Path("..") / home)
    for definition in definitions:
        table = definition.stem
        found = _UUID.search(definition.read_text(encoding="utf-8"))
        if found is None or not (folder / table / _FORMAT).is_file():
            raise ValueError(f"the store's table {table} is not whole")
        place = folder / "store" / found[1][:3] / found[1]
        place.parent.mkdir(mode=0o700, exist_ok=True)
        (folder / table).rename(place)
        definition.rename(folder / home / definition.name)
