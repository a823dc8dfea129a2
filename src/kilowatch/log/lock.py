"""One writer: a lock on a file beside the log, held as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from kilowatch.model.errors import KilowatchError

if TYPE_CHECKING:
    from pathlib import Path


class WriterLock:
    """The right to write a log. The system takes it back when the process ends, however.

    Raises:
        KilowatchError: ``log_in_use``: another process writes this log.
    """

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        path = log.with_name(log.name + ".lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise KilowatchError(
                "log_in_use",
                f"The log {log} is being written by another process"
                + (f" ({holder})." if holder else "."),
                status=503,
                remedy="Stop the other collector, or give this one a data folder of its own.",
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the right back."""
        os.close(self._file)
