"""``kilowatch evaluate`` on a folder: predictions that can be scored again, and clear refusals."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from kilowatch.cli import evaluate
from kilowatch.evaluation import forecast_groups
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS

HEAD = "stream_id,dataset,building,utility,unit,tz,resolution,first,last,rows,weather_id\n"
FIRST_MS = 1_704_067_200_000  # 2024-01-01 00:00 in London
REAL = Path(os.environ.get("KILOWATCH_SHARED_DATA", "../shared/data"))


def made(folder: Path, streams: int = 3, days: int = 80) -> Path:
    """Write a folder of offices: busy on working days, a little noise, no weather; one is flat."""
    randomness = np.random.default_rng(2)
    hour = np.arange(days * 24)
    busy = (hour // 24 % 7 < 5) & (hour % 24 >= 8) & (hour % 24 < 18)
    names = [f"s{index}" for index in range(streams)]
    rows = "".join(
        f"{name},made,B{name},electricity,kWh,Europe/London,1h,,,{len(hour)},\n" for name in names
    )
    folder.mkdir(parents=True)
    (folder / "streams.csv").write_text(HEAD + rows, encoding="utf-8")
    (folder / "streams").mkdir()
    values = (5 + 20 * busy) * (1 + 0.05 * randomness.standard_normal((streams, len(hour))))
    values[-1] = 5
    table = pa.table(
        {
            "stream_id": np.repeat(names, len(hour)),
            "ts": pa.array(np.tile(FIRST_MS + hour * HOUR_MS, streams)).cast(
                pa.timestamp("ms", "UTC")
            ),
            "value": values.ravel().astype(np.float32),
            "unit": ["kWh"] * (streams * len(hour)),
        }
    )
    pq.write_table(table, folder / "streams" / "made.parquet")
    return folder


def run(data: Path, out: Path, *more: str) -> object:
    """Run the command; returns what it refused with, or what it printed."""
    app = typer.Typer(pretty_exceptions_enable=False)
    evaluate.register(app)
    done = CliRunner().invoke(app, ["--data", str(data), "--out", str(out), *more])
    return done.exception or done.stdout


def test_scores_can_be_computed_again_from_what_is_written(tmp_path: Path) -> None:
    """A stranger with the parquet file and the folder comes to the same figure."""
    out = tmp_path / "out"
    said = run(made(tmp_path / "data"), out, "--only", "forecast")
    assert "Scores and predictions are in" in str(said)
    found = json.loads((out / "scores.json").read_text())["forecast"]["with_history"]
    assert set(found["by_stream"]) == {"s0", "s1"}, "what never changes has no scale"
    assert 0 < found["mase_mean"] < 1
    table = pq.read_table(out / "forecast.parquet").to_pydict()
    stream = np.array(table["stream_id"])
    off = np.abs(np.array(table["value"]) - np.array(table["p50"]))
    inside = (np.array(table["p05"]) <= table["value"]) & (table["value"] <= np.array(table["p95"]))
    for name, one in found["by_stream"].items():
        rows = stream == name
        assert off[rows].mean() / one["scale"] == pytest.approx(one["mase"])
        assert inside[rows].mean() == pytest.approx(one["coverage"])
        assert one["mase"] < one["naive"]
    lead = np.array(table["ts"]) - np.array(table["origin"])
    assert {one.total_seconds() / 3600 for one in lead} == set(range(24))
    assert json.loads((out / "timing.json").read_text())["forecast"]["wall_s"] > 0


def test_a_folder_without_faults_or_waste_is_scored_for_what_it_has(tmp_path: Path) -> None:
    """All three parts run on streams alone, and say that there was nothing to find."""
    out = tmp_path / "out"
    assert "Scores" in str(run(made(tmp_path / "data", days=60), out))
    assert set(json.loads((out / "scores.json").read_text())) >= {"forecast", "anomalies", "waste"}


def test_what_cannot_be_evaluated_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """No streams.csv, a column short, a data set without its file, an answer in the way."""
    data = made(tmp_path / "data")
    (tmp_path / "none").mkdir()
    out = tmp_path / "out"

    def refusal(folder: Path, to: Path = out) -> str:
        refused = run(folder, to)
        assert isinstance(refused, KilowatchError)
        assert refused.remedy
        return refused.code

    assert refusal(tmp_path / "none") == "no_streams"
    assert refusal(tmp_path / "absent") == "no_streams"
    assert refusal(data, data) == "out_not_empty"
    assert refusal(data, data / "streams.csv") == "out_unusable"
    (data / "streams" / "made.parquet").rename(data / "streams" / "made.gone")
    assert refusal(data) == "missing_streams"
    (data / "streams.csv").write_text("stream_id,dataset\n", encoding="utf-8")
    assert refusal(data) == "missing_columns"
    (data / "streams.csv").write_text(HEAD, encoding="utf-8")
    assert refusal(data) == "missing_streams"


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / "streams.csv").exists(), reason="needs ../shared/data")
def test_real_meters_are_forecast_well_within_the_weekly_naive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty-two American buildings: none worse than last week, most far better.

    The model learns on twice a year in place of each week: that takes less time, and a model that
    is older makes it harder.
    """
    monkeypatch.setattr(forecast_groups, "AGAIN_DAYS", 182)
    data = tmp_path / "data"
    (data / "streams").mkdir(parents=True)
    with (REAL / "streams.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["tz"] == "US/Mountain"][:22]
    (data / "streams.csv").write_text(
        HEAD + "".join(",".join(row.values()) + "\n" for row in rows), encoding="utf-8"
    )
    (data / "streams" / "bdg2.parquet").symlink_to((REAL / "streams" / "bdg2.parquet").resolve())
    assert "Scores" in str(run(data, tmp_path / "out", "--only", "forecast"))
    found = json.loads((tmp_path / "out" / "scores.json").read_text())["forecast"]
    known = found["with_history"]
    assert known["streams"] == 22
    assert known["mase_median"] < 0.75
    assert known["worse_than_naive"] == 0
    assert 0.86 < known["coverage"] < 0.94
    assert found["never_seen"]["streams"] == 22  # 15 teachers: the shipped model
