"""Waiting for the platform to have done what it promised, no longer than it promised."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kilowatch.cli.folder import DataFolder
from kilowatch.cli.status import gather
from kilowatch.model.errors import KilowatchError


def until(true: Callable[[], Any], seconds: float = 30.0, what: str = "it") -> Any:
    """Wait until a call returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
        time.sleep(0.1)
    return found


def status(data: Path) -> dict[str, Any]:
    """Return what ``kilowatch status --json`` says; empty while nothing answers.

    Asked from here, since those who wait ask often: a process for each question would take the
    core that the server needs to get on.
    """
    try:
        said = gather(DataFolder(data.absolute()), now_ms=round(time.time() * 1000))
    except KilowatchError:
        return {}
    return json.loads(json.dumps(said))  # type: ignore[no-any-return]


def until_stored(data: Path, seconds: float = 90.0) -> None:
    """Wait until the pipeline has caught up with the log."""

    def caught_up() -> bool:
        platform = status(data).get("platform") or {"busy": "it does not answer"}
        return not platform["busy"] and platform["lag"]["packets"] == 0

    until(caught_up, seconds, "the pipeline's catching up")
