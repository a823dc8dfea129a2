"""When a process was up: a small file that is renewed while it lives and closed when it ends.

After a crash or a power cut the next start finds when it lived last, and so for how long it was
away. It is for people and metrics; whether a stream was silent is decided elsewhere, on the log.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

BEAT_S = 10.0  # so exactly is the end of a crashed run known


@dataclass(frozen=True, slots=True)
class Run:
    """This run of a process, and what came before it.

    Attributes:
        started_ms: When it started [ms since 1970, UTC].
        before_ms: When the run before was last alive; None when there was none.
        before_clean: Whether that one ended in order; None when there was none.
        away_s: Time between the two [s]; None when there was none.
    """

    started_ms: int
    before_ms: int | None = None
    before_clean: bool | None = None
    away_s: float | None = None

    def told(self) -> dict[str, Any]:
        """Return it, ready for JSON."""
        return asdict(self)

    @staticmethod
    def read(path: Path) -> Run | None:
        """Return the run that a process has noted in its file, also one that has ended."""
        before = _read(path)
        names = ("started_ms", "before_ms", "before_clean", "away_s")
        return None if before is None else Run(*(before.get(name) for name in names))  # type: ignore[arg-type]


class Uptime:
    """One process's file.

    Args:
        path: The file, ``….up.json``.
        now_ms: When the process started [ms since 1970, UTC].
    """

    def __init__(self, path: Path, now_ms: int) -> None:
        self._path = path
        self.run = _after(_read(path), now_ms)
        self.beat(now_ms)

    def beat(self, now_ms: int) -> None:
        """Note that the process lives; a disk that is full must not end it."""
        self._write(now_ms, clean=False)

    def end(self, now_ms: int) -> None:
        """Note that it ends in order."""
        self._write(now_ms, clean=True)

    def _write(self, now_ms: int, *, clean: bool) -> None:
        told = {**self.run.told(), "seen_ms": now_ms, "clean": clean}
        whole = self._path.with_suffix(".new")
        with suppress(OSError):
            whole.write_text(json.dumps(told) + "\n", encoding="utf-8")
            whole.replace(self._path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    numbers = ("seen_ms", "started_ms")
    fits = isinstance(told, dict) and all(isinstance(told.get(name), int) for name in numbers)
    return told if fits else None


def _after(before: dict[str, Any] | None, now_ms: int) -> Run:
    if before is None:
        return Run(now_ms)
    seen_ms: int = before["seen_ms"]
    away_s = max(0, now_ms - seen_ms) / 1000
    return Run(now_ms, seen_ms, bool(before.get("clean")), away_s)
