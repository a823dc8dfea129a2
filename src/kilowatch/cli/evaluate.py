"""``kilowatch evaluate``: how good the insights are on a folder of meter data."""

from __future__ import annotations

import csv
import json
import os
import platform
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kilowatch import __version__
from kilowatch.cli.registration import paper
from kilowatch.evaluation import anomalies, forecasts, waste
from kilowatch.evaluation.folder import Folder
from kilowatch.model.errors import KilowatchError

COLUMNS = ("stream_id", "dataset", "building", "utility", "unit", "tz", "weather_id")
"""What is read of ``streams.csv``."""


class Part(StrEnum):
    """What can be evaluated."""

    FORECAST = "forecast"
    ANOMALIES = "anomalies"
    WASTE = "waste"


PARTS: dict[Part, Callable[[Folder, Path], dict[str, Any]]] = {
    Part.FORECAST: forecasts.run,
    Part.ANOMALIES: anomalies.run,
    Part.WASTE: waste.run,
}


def evaluate(
    *,
    data: Annotated[Path, typer.Option(help="Folder with streams.csv and what belongs to it.")],
    out: Annotated[Path, typer.Option(help="Folder for scores and predictions; new or empty.")],
    only: Annotated[
        list[Part] | None, typer.Option(help="One part, or several; default: all three.")
    ] = None,
) -> None:
    """Forecast, watch and judge the meters of a folder with the platform's own code, and score it.

    Predictions are written before any label is read: scores.json can be computed again from what
    lies beside it.
    """
    folder = read(data)
    make_empty(out)
    scores: dict[str, Any] = {"kilowatch": __version__}
    timing: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    for part in only or list(Part):
        began, used = time.monotonic(), time.process_time()
        found = PARTS[part](folder, out)
        timing[part] = {
            "wall_s": round(time.monotonic() - began, 1),
            "processor_s": round(time.process_time() - used, 1),
            **found.pop("timing", {}),
        }
        scores[part] = found
        _save(scores, out / "scores.json")
        _save(timing, out / "timing.json")
        paper().print(f"{part}: done in {timing[part]['wall_s']} s", markup=False)
        for line in told(part, found):
            paper().print(line, markup=False)
    paper().print(f"Scores and predictions are in {out}", markup=False)


def read(data: Path) -> Folder:
    """Open a folder of meter data.

    Raises:
        KilowatchError: It is not one.
    """
    listed = data / "streams.csv"
    if not listed.is_file():
        raise KilowatchError(
            "no_streams",
            f"{data} has no streams.csv.",
            remedy="docs/reference/evaluation.md says how the folder is laid out.",
        )
    with listed.open(encoding="utf-8", newline="") as lines:
        missing = set(COLUMNS) - set(csv.DictReader(lines).fieldnames or ())
    if missing:
        raise KilowatchError(
            "missing_columns",
            f"{listed} lacks the columns {', '.join(sorted(missing))}.",
            remedy="docs/reference/evaluation.md says what each one holds.",
        )
    folder = Folder(data)
    datasets = sorted({one.dataset for one in folder.listed.values()})
    absent = [name for name in datasets if not (data / "streams" / f"{name}.parquet").is_file()]
    if absent or not datasets:
        raise KilowatchError(
            "missing_streams",
            f"{listed} names data sets without a file: {', '.join(absent)}."
            if datasets
            else f"{listed} lists no stream.",
            remedy="Each data set has its values in streams/<dataset>.parquet.",
        )
    return folder


def make_empty(out: Path) -> None:
    """Make the folder for the answers, or see that it is empty.

    Raises:
        KilowatchError: Something is in it, or it can't be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise KilowatchError(
                "out_not_empty",
                f"{out} is not empty.",
                remedy="Name a new folder: scores and predictions of one run belong together.",
            )
    except OSError as error:
        raise KilowatchError(
            "out_unusable", f"{out} can't be used: {error.strerror}.", remedy="Name another folder."
        ) from error


def told(part: str, found: dict[str, Any]) -> list[str]:
    """Return the figures of a part that stand above all others, one a line."""
    lines = []
    for name, figures in found.items():
        if isinstance(figures, dict):
            numbers = {key: one for key, one in figures.items() if isinstance(one, int | float)}
            if numbers:
                said = ", ".join(f"{key} {one:.4g}" for key, one in numbers.items())
                lines.append(f"  {part} {name}: {said}")
        elif isinstance(figures, int | float):
            lines.append(f"  {part} {name}: {figures:.4g}")
    return lines


def _save(content: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch evaluate`` to the command line."""
    app.command()(evaluate)
