"""Reads the insights' file beside the one thread that writes it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw


class InsightReader:
    """Reads the file; safe from any thread.

    Args:
        path: The file, as an ``InsightFile`` has made it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a statement finds; nothing before the file is there."""
        with self._lock:
            if self._connection is None:
                if not self._path.exists():
                    return []
                self._connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
                self._connection.set_busy_timeout(10_000)
            return list(self._connection.execute(statement, values))

    def version(self) -> int:
        """Return a number that is another one after every change of the file; 0 before it is there.

        It is this connection's own: it says nothing beyond this reader's life.
        """
        found = self.rows("PRAGMA data_version")
        return int(found[0][0]) if found else 0

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
