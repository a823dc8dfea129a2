"""A disk that fails on command: SQLite's file layer with faults put in.

Every write and sync of the log, its write-ahead log included, passes through here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw

_names = itertools.count()


@dataclass
class Disk:
    """What the disk does at the next writes and syncs.

    Attributes:
        full: Writing finds no space.
        torn: Writing stores half of what it should and fails.
        broken: Writing fails.
        unsynced: Syncing fails, although everything was written.
        only: Faults concern files whose name ends so ("-wal"; "" for all).
        free: Cleared, a sync waits until it is set; ``slow`` does so.
        waiting: Set while a sync waits.
        after: How many writes and syncs still go well.
        struck: How many faults there were.
        syncs: How many syncs there were.
    """

    full: bool = False
    torn: bool = False
    broken: bool = False
    unsynced: bool = False
    only: str = ""
    free: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    after: int = 0
    struck: int = 0
    syncs: int = 0

    def heal(self) -> None:
        """Work again."""
        self.full = self.torn = self.broken = self.unsynced = False
        self.after, self.only = 0, ""
        self.free.set()

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Let syncs wait until the end of the block."""
        self.waiting.clear()
        self.free.clear()
        try:
            yield
        finally:
            self.free.set()

    def strikes(self, name: str, *, sync: bool) -> bool:
        """Tell whether this write or sync meets the fault."""
        meant = self.unsynced if sync else self.full or self.torn or self.broken
        if not meant or not name.endswith(self.only):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.struck += 1
        return True


class FaultyDisk(apsw.VFS):
    """SQLite's own file layer with ``disk``'s faults; give ``name`` to ``LogWriter``."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.disk.heal()
        self.name = f"faulty-{next(_names)}"
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - SQLite's name
        """Open a file whose writes can fail."""
        return _File(self.disk, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        if self._disk.strikes(self._name, sync=False):
            if self._disk.torn:
                super().xWrite(bytes(data)[: len(data) // 2], offset)
            if self._disk.full:
                raise apsw.FullError("the disk is full")
            raise _io_error(apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.syncs += 1
        if not self._disk.free.is_set():
            self._disk.waiting.set()
            assert self._disk.free.wait(20)
        if self._disk.strikes(self._name, sync=True):
            raise _io_error(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


def _io_error(code: int) -> apsw.IOError:
    error = apsw.IOError("the disk fails")
    error.extendedresult = code  # type: ignore[attr-defined]
    return error
