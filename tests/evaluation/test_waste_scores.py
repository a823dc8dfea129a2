"""Waste is scored as docs/reference/evaluation.md says, and no label is read before it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kilowatch.evaluation import waste as scored
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.waste import run
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from tests.insights.waste_world import YEAR_H, index, office

HEAD = "stream_id,dataset,building,utility,unit,tz,resolution,first,last,rows,weather_id\n"
WEEKS = 66
BEGIN = YEAR_H + 14 * 24  # 378 days of history: more than the reference asks for


def _table(path: Path, hours: Hours, values: Floats, rows: slice, column: str) -> None:
    stamps = pc.strftime(
        pa.array(hours.start_ms[rows]).cast(pa.timestamp("ms", "UTC")), "%Y-%m-%dT%H:%M:%SZ"
    )
    path.parent.mkdir(exist_ok=True)
    names = ["office"] * len(stamps)
    pq.write_table(pa.table({"stream_id": names, "ts": stamps, column: values[rows]}), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An office in which somebody left things on for three weeks of nights, labels and all."""
    hours = office(WEEKS, streams=1, warm=False)
    put = np.zeros(hours.count)
    for week in (58, 59, 60):
        for day in range(4):
            first = index(hours, week, day, 20)
            put[first : first + 8] = 9.0
    plain = hours.values[0] / 1000
    (tmp_path / "streams.csv").write_text(
        HEAD + "office,one,B,electricity,kWh,UTC,1h,,,,\n", encoding="utf-8"
    )
    _table(tmp_path / "streams" / "one.parquet", hours, plain, slice(None), "value")
    _table(tmp_path / "waste" / "wasteful.parquet", hours, plain + put, slice(BEGIN, None), "value")
    _table(tmp_path / "waste" / "injected_hours.parquet", hours, put, slice(BEGIN, None),
           "injected_kwh")  # fmt: skip
    (tmp_path / "waste" / "waste_events.csv").write_text(
        "stream_id,kind,start,end,injected_kwh,rel,hours\n"
        f"office,after_hours,2025-02-10T00:00:00Z,2025-03-07T00:00:00Z,{put.sum()},0.2,96\n",
        encoding="utf-8",
    )
    return tmp_path


def test_what_was_put_in_is_found_and_can_be_scored_again(folder: Path, tmp_path: Path) -> None:
    """Somebody else gets the same recall from the file that is left behind."""
    figures = run(Folder(folder), tmp_path)
    assert figures["kwh_recall"] > 0.85
    assert figures["kwh_precision"] > 0.85
    assert figures["events_half_found"] == 1.0
    assert figures["background_share"] < 0.002
    table = pq.read_table(tmp_path / "waste.parquet")
    more = pc.sum(table["waste_kwh"]).as_py() - pc.sum(table["waste_kwh_original"]).as_py()
    assert more / (12 * 8 * 9.0) == pytest.approx(figures["kwh_recall"], abs=1e-4)


def test_labels_are_read_after_the_predictions_are_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without labels the predictions are there all the same; only the scores are missing."""
    (folder / "waste" / "waste_events.csv").unlink()
    with pytest.raises(FileNotFoundError):
        run(Folder(folder), tmp_path)
    assert (tmp_path / "waste.parquet").exists()
    monkeypatch.setattr(scored, "_labels", lambda _: pytest.fail("no labels without streams"))
    (folder / "waste" / "wasteful.parquet").unlink()
    assert run(Folder(folder), tmp_path) == {"streams": 0}
