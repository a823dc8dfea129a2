"""SQLite files that others are writing: held at one moment, copied at leisure, and checked."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from pathlib import Path
from typing import Final

import apsw

from kilowatch.backup.contents import PACKED
from kilowatch.model.errors import KilowatchError

BUSY_MS: Final = 10_000  # as long as everybody else waits for the catalogue
STEP_PAGES: Final = 2_000  # 8 MB; between two steps others get the interpreter
PIECE_BYTES: Final = 1 << 20
LEVEL: Final = 1  # packets shrink to a seventh at 90 MB/s; level 6 to a ninth at 30 MB/s


class Held:
    """One state of an SQLite file, whatever is written to it until this is closed.

    In a file with a write-ahead log nobody waits for us, but the log can't start over meanwhile.
    In one with a rollback journal writers wait until we close: then it must be short.

    Args:
        path: The file; it must exist.

    Raises:
        KilowatchError: ``file_unreadable``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # Not read-only: what a crash left in a rollback journal is put back first.
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._connection.set_busy_timeout(BUSY_MS)
            self._connection.execute("BEGIN")
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except apsw.Error as error:
            raise _unreadable(path, str(error)) from error

    def copy(self, to: Path) -> None:
        """Write the state into a new file, for its owner only.

        Raises:
            KilowatchError: ``file_unreadable``: the file, or what there is of the copy.
            OSError: The copy can't be written.
        """
        to.touch(mode=0o600, exist_ok=False)
        copy = apsw.Connection(str(to))
        try:
            copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            with copy.backup("main", self._connection, "main") as copying:
                while not copying.done:
                    copying.step(STEP_PAGES)
        except apsw.FullError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(to)) from error
        except apsw.Error as error:
            raise _unreadable(self._path, str(error)) from error
        finally:
            copy.close()

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()


def check(path: Path, name: str) -> None:
    """Look through an SQLite file for damage.

    Args:
        path: The file; nobody else has it.
        name: What to call it.

    Raises:
        KilowatchError: ``file_unreadable``.
    """
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            found = connection.pragma("quick_check")
        finally:
            connection.close()
    except apsw.Error as error:
        raise _unreadable(Path(name), str(error)) from error
    if found != "ok":
        raise _unreadable(Path(name), str(found).splitlines()[0])


def compress(path: Path) -> Path:
    """Compress a file and remove it; returns the compressed one, beside it.

    Raises:
        OSError: There is no room for it.
    """
    packed = path.with_name(path.name + PACKED)
    with (
        path.open("rb") as source,
        packed.open("xb") as out,
        gzip.GzipFile("", "wb", LEVEL, out, mtime=0) as packer,
    ):
        shutil.copyfileobj(source, packer, PIECE_BYTES)
    path.unlink()
    return packed


def _unreadable(path: Path, why: str) -> KilowatchError:
    return KilowatchError(
        "file_unreadable",
        f"{path} can't be read: {why}.",
        remedy="Look at `kilowatch status` and at the disk; the latest backup is what is whole.",
    )
