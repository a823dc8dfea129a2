"""A folder that is not as tidy as ours: every part goes on, and says what it could not judge."""

from __future__ import annotations

import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from kilowatch.cli import evaluate
from kilowatch.evaluation import anomalies, remarks
from kilowatch.evaluation.anomaly_scores import Event, read_labels
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.forecast_groups import NO_DAY
from kilowatch.evaluation.forecast_scores import NO_SCALE
from kilowatch.model.lengths import HOUR_MS
from tests.evaluation.test_forecasts import HEAD, made, run

UTC = pa.timestamp("ms", "UTC")


def _strict(path: Path) -> dict[str, Any]:
    def refused(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refused)
    return found


def _untidy(folder: Path) -> Path:
    """Four offices of four zones: one ended early, one is new, one never moves; a fifth is lost."""
    made(folder, streams=5, days=40)
    path = folder / "streams" / "made.parquet"
    table = pq.read_table(path)
    names = np.array(table["stream_id"].to_pylist())
    at_ms = table["ts"].cast(pa.int64()).to_numpy()
    day = (at_ms - at_ms.min()) / (24 * HOUR_MS)
    keep = (names != "s3") & ((names != "s1") | (day < 10)) & ((names != "s2") | (day >= 39))
    rows = np.random.default_rng(1).permutation(np.flatnonzero(keep))
    stamps = pc.strftime(table["ts"].cast(UTC), "%Y-%m-%dT%H:%M:%SZ")
    pq.write_table(table.set_column(1, "ts", stamps).take(pa.array(rows)), path)
    zones = ("Europe/London", "Asia/Kolkata", "Australia/Adelaide", "UTC", "Mars/Base")
    listed = "".join(
        f"s{index},made,B,{utility},kWh,{zone},1h,,,,{'gone' if index else ''}\n"
        for index, (zone, utility) in enumerate(
            zip(zones, ("heat", "gas", "", "water", "Strom"), strict=True)
        )
    )
    (folder / "streams.csv").write_text(HEAD + listed, encoding="utf-8")
    return folder


def test_what_cannot_be_judged_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Damaged and missing files cost their own part alone; twice gives the same bytes."""
    data = _untidy(tmp_path / "data")
    (data / "waste").mkdir()
    (data / "waste" / "wasteful.parquet").write_bytes(b"PAR1")
    (data / "anomaly").mkdir()
    rows = pq.read_table(data / "streams" / "made.parquet").slice(0, 3)
    pq.write_table(rows, data / "anomaly" / "faulted.parquet")
    outs = tmp_path / "one", tmp_path / "two"
    (outs[0]).mkdir()
    (outs[0] / "run.log").touch()
    app = typer.Typer(pretty_exceptions_enable=False)
    evaluate.register(app)
    done = [CliRunner().invoke(app, ["--data", str(data), "--out", str(out)]) for out in outs]
    assert [one.exit_code for one in done] == [1, 1], "one part failed"
    said = done[0].stdout
    for name in ("forecast.parquet", "alarms.parquet", "scores.json"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()
    found = _strict(outs[0] / "scores.json")
    assert found["forecast"]["left_out"] == {
        "s1": NO_DAY, "s2": NO_SCALE, "s3": remarks.NO_ROWS, "s4": NO_SCALE
    }  # fmt: skip
    assert found["noticed"][remarks.NO_ZONE] == ["s4"]
    assert set(found["noticed"][remarks.NO_WEATHER]) >= {"s1", "s2"}
    assert "can't be read" in found["waste"]["failed"]
    assert found["anomalies"]["not_scored"].startswith("labels can't be read")
    assert "waste failed: /" in said
    assert "noticed: time zone unknown: taken for UTC: 1 (s4)" in said
    assert "forecast left out: no value in any file: 1 (s3)" in said


def test_a_terminal_without_our_characters_stops_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file in an old encoding, a stream with a Greek name: a question mark stands for it."""
    old = TextIOWrapper(BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", old)
    evaluate.say("forecast … 3 °C of Ωmega")
    old.seek(0)
    assert old.read() == "forecast ? 3 °C of ?mega\n"


def test_labels_of_one_part_wait_for_the_predictions_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When labels of faults are looked for, waste is written down already."""
    data, out = made(tmp_path / "data", streams=1, days=3), tmp_path / "out"
    (data / "anomaly").mkdir()
    rows = pq.read_table(data / "streams" / "made.parquet")
    pq.write_table(rows, data / "anomaly" / "faulted.parquet")
    there: list[set[str]] = []

    def looked(folder: Folder) -> tuple[list[Event], int]:
        there.append({one.name for one in out.iterdir()})
        return read_labels(folder)

    monkeypatch.setattr(anomalies, "read_labels", looked)
    said = str(run(data, out))
    assert there[0] >= {"forecast.parquet", "alarms.parquet", "waste.parquet"}
    assert "anomalies not scored: labels can't be read: fault_events.csv is not there" in said
