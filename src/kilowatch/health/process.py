"""What the operating system says about this process."""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PAGE_BYTES = resource.getpagesize()
_STATM = Path("/proc/self/statm")
STARTED_S = time.time()


def process_facts() -> dict[str, Any]:
    """Return memory, processor time and threads; ready for JSON.

    Memory is what is resident now; where the system does not tell it (no ``/proc``), the most
    there ever was.
    """
    return {
        "pid": os.getpid(),
        "resident_bytes": _resident_bytes(),
        "cpu_s": time.process_time(),
        "threads": threading.active_count(),
        "started_s": STARTED_S,
    }


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder; files that go meanwhile count nothing."""
    total = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return total
