"""``kilowatch evaluate``: how good the insights are on a folder of meter data."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from kilowatch import __version__
from kilowatch.cli.registration import paper
from kilowatch.evaluation import anomalies, forecasts, waste
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.remarks import by_reason, lines, plain
from kilowatch.model.errors import KilowatchError

COLUMNS = ("stream_id", "dataset", "tz")
"""What ``streams.csv`` has to have; the other columns may be absent or empty."""
ANSWERS = (
    "scores.json", "timing.json", "forecast.parquet", "forecast_unseen.parquet", "alarms.parquet",
    "waste.parquet",
)  # fmt: skip
"""What is written."""
Scoring = Callable[[], dict[str, Any]]


class Part(StrEnum):
    """What can be evaluated."""

    FORECAST = "forecast"
    ANOMALIES = "anomalies"
    WASTE = "waste"


PARTS: dict[Part, Callable[[Folder, Path], Scoring]] = {
    Part.FORECAST: forecasts.predict,
    Part.ANOMALIES: anomalies.predict,
    Part.WASTE: waste.predict,
}


def evaluate(
    *,
    data: Annotated[Path, typer.Option(help="Folder with streams.csv and what belongs to it.")],
    out: Annotated[
        Path, typer.Option(help="Folder for scores and predictions; without those of another run.")
    ],
    only: Annotated[
        list[Part] | None, typer.Option(help="One part, or several; default: all three.")
    ] = None,
) -> None:
    """Forecast, watch and judge the meters of a folder with the platform's own code, and score it.

    All predictions are written before any label is read: scores.json can be computed again from
    what lies beside it.
    """
    folder = read(data)
    make_ready(out, data)
    parts = [part for part in Part if not only or part in only]
    say(f"{len(folder.ids)} {'stream' if len(folder.ids) == 1 else 'streams'} in {data}")
    timing: dict[str, Any] = {"machine": platform.machine(), "cores": os.cpu_count()}
    scorings = {part: _timed(part, timing, partial(PARTS[part], folder, out)) for part in parts}
    scores: dict[str, Any] = {"kilowatch": __version__}
    for part, scoring in scorings.items():
        found = scoring if isinstance(scoring, dict) else _timed(part, timing, scoring)
        timing[part] |= found.pop("timing", {})
        scores[part] = found
        _save(scores, out / "scores.json")
        for line in told(part, found):
            say(line)
    noticed = folder.remarks.told()
    scores |= {"noticed": noticed} if noticed else {}
    _save(scores, out / "scores.json")
    _save(timing, out / "timing.json")
    for line in lines(noticed):
        say(f"noticed: {line}")
    say(f"Scores and predictions are in {out}")
    failed = [part for part in parts if "failed" in scores[part]]
    if failed:
        raise typer.Exit(1)


def _timed(part: Part, timing: dict[str, Any], work: Callable[[], Any]) -> Any:
    """Do a piece of work of a part; one that fails must not take the other parts with it."""
    began, used = time.monotonic(), time.process_time()
    predicting = part not in timing
    if predicting:
        say(f"{part} …")
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever it is: it is told, and the others go on
        said = "" if isinstance(error, KilowatchError) else f"{type(error).__name__}: "
        return {"failed": f"{said}{error}"}
    finally:
        spent = timing.setdefault(part, {"wall_s": 0.0, "processor_s": 0.0})
        spent["wall_s"] = round(spent["wall_s"] + time.monotonic() - began, 1)
        spent["processor_s"] = round(spent["processor_s"] + time.process_time() - used, 1)
        if predicting:
            say(f"{part}: predictions done in {spent['wall_s']} s")


def say(line: str) -> None:
    """Print a line, as far as where it goes to has its characters."""
    encoding = sys.stdout.encoding or "utf-8"
    paper().print(line.encode(encoding, "replace").decode(encoding), markup=False)


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
    with listed.open(encoding="utf-8-sig", errors="replace", newline="") as rows:
        missing = set(COLUMNS) - set(csv.DictReader(rows).fieldnames or ())
    if missing:
        raise KilowatchError(
            "missing_columns",
            f"{listed} lacks the columns {', '.join(sorted(missing))}.",
            remedy="docs/reference/evaluation.md says what each one holds.",
        )
    folder = Folder(data)
    if not folder.ids or not any((data / "streams").rglob("*.parquet")):
        raise KilowatchError(
            "missing_streams",
            f"{data / 'streams'} has no Parquet file."
            if folder.ids
            else f"{listed} lists no stream.",
            remedy="Each data set has its values in streams/<dataset>.parquet.",
        )
    return folder


def make_ready(out: Path, data: Path) -> None:
    """Make the folder for the answers, or see that none of another run are in it.

    Raises:
        KilowatchError: There are, or it can't be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        there = [name for name in ANSWERS if (out / name).exists()]
        if there or out.resolve() == data.resolve():
            raise KilowatchError(
                "out_not_empty",
                f"{out} has {', '.join(there) or 'the data in it'}.",
                remedy="Name a new folder: scores and predictions of one run belong together.",
            )
        (out / "timing.json").touch()
    except OSError as error:
        raise KilowatchError(
            "out_unusable", f"{out} can't be used: {error.strerror}.", remedy="Name another folder."
        ) from error


def told(part: str, found: dict[str, Any]) -> list[str]:
    """Return the figures of a part that stand above all others, one a line, and what is missing."""
    said = []
    figures = _figures(found)
    if figures:
        said.append(f"  {part}: {figures}")
    for name, content in found.items():
        if name in ("failed", "not_scored", "events_unread", "events_set_aside"):
            said.append(f"  {part} {name.replace('_', ' ')}: {content}")
        elif name == "left_out":
            said += [f"  {part} left out: {line}" for line in lines(by_reason(content))]
        elif isinstance(content, dict) and (numbers := _figures(content)):
            said.append(f"  {part} {name}: {numbers}")
    return said


def _figures(content: dict[str, Any]) -> str:
    numbers = {key: one for key, one in content.items() if isinstance(one, int | float)}
    return ", ".join(
        f"{key} {'none' if one != one else f'{one:.4g}'}"  # noqa: PLR0124 - only NaN differs
        for key, one in numbers.items()
    )


def _save(content: dict[str, Any], path: Path) -> None:
    said = json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False)
    path.write_text(said + "\n", encoding="utf-8")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch evaluate`` to the command line."""
    app.command()(evaluate)
