"""The process that trains: files in, a file out. Run as a module, with the folder."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np

from kilowatch.insights.forecasting import (
    Model,
    TooLittleError,
    WrongModelError,
    adapt,
    shipped,
)
from kilowatch.insights.hours import Hours
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.training import BASE

NICE = 10
GROWN = 1.5
"""A model that this many times fewer streams have taught has seen too little of their past."""


def main(folder: Path) -> int:
    """Train on what is in a folder, and leave the model there; returns the exit code."""
    os.nice(NICE)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        groups = [_read(path) for path in sorted(folder.glob("group-*.npz"))]
        model = adapt(base_of(folder, sum(one.streams for one in groups)), groups)
    except (TooLittleError, WrongModelError) as error:
        return _fail(folder, str(error))
    except (ImportError, OSError) as error:
        return _fail(folder, f"LightGBM can't be loaded ({error}): forecasts rest on similar days")
    about = {
        "version": model.version,
        "trained_on": model.trained_on,
        "quality": model.quality,
    }
    (folder / "about.json").write_bytes(msgspec.json.encode(about))
    (folder / "model.bin").write_bytes(model.to_bytes())
    return 0


def base_of(folder: Path, streams: int) -> Model:
    """Return what is known already: an installation that has grown begins again."""
    if (folder / BASE).exists():
        own = Model.from_bytes((folder / BASE).read_bytes())
        if streams <= GROWN * own.trained_on["streams"]:
            return own
    return shipped()


def _read(path: Path) -> Hours:
    with np.load(path, allow_pickle=False) as read:
        return Hours(
            int(read["first_ms"]),
            read["values"],
            Zone.of(str(read["zone"])),
            read["holidays"],
            read["temperature_c"] if "temperature_c" in read.files else None,
        )


def _fail(folder: Path, reason: str) -> int:
    (folder / "fault.txt").write_text(reason)
    return 1


def _end_with_the_parent() -> None:
    while os.read(0, 1024):  # not sys.stdin: its lock would stop us from ending
        pass
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
