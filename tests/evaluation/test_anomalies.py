"""Alarms are written before labels are read, and scored event by event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kilowatch.evaluation.anomalies import BUDGETS, Event, Told, run, score
from kilowatch.evaluation.folder import Folder
from kilowatch.insights.hours import HOUR_MS
from kilowatch.model.insight import EventKind

DAY_MS = 24 * HOUR_MS
SPANS = {"a": (0, 365 * DAY_MS)}
FIRST_MS = 1_767_571_200_000  # 2026-01-05 00:00 in London, a Monday


def _told(*days: float) -> list[Told]:
    return [Told("a", round(day * DAY_MS), EventKind.SPIKE, 1.0) for day in days]


def test_an_alarm_a_day_after_the_end_still_counts_and_later_ones_are_not_false() -> None:
    """Found in [start, end + 24 h]; quiet for 8 days after; false beyond."""
    event = [Event("a", "spike", 100 * DAY_MS, 101 * DAY_MS)]
    assert score(_told(102), event, SPANS)["recall"] == 1
    late = score(_told(102.1), event, SPANS)
    assert late["recall"] == 0
    assert late["false_alarms_per_meter_month"] == 0
    beyond = score(_told(109.1), event, SPANS)
    assert beyond["false_alarms_per_meter_month"] == pytest.approx(30.4375 / 356, rel=1e-3)


def test_alarms_closer_than_a_day_are_one() -> None:
    """Three within a day of each other are one false alarm; the fourth is another."""
    found = score(_told(10, 10.9, 11.8, 20), [], SPANS)
    assert found["false_alarms_per_meter_month"] == pytest.approx(2 * 30.4375 / 365, rel=1e-3)


def test_the_delay_is_that_of_the_first_hit() -> None:
    """From the beginning of the fault to the first alarm in it."""
    events = [Event("a", "spike", 0, DAY_MS), Event("a", "stuck", 50 * DAY_MS, 60 * DAY_MS)]
    found = score(_told(0.5, 51, 52), events, SPANS)
    assert found["delay_h_median"] == 18
    assert found["recall_by_kind"] == {"spike": 1, "stuck": 1}
    assert found["kind_right"] == 0.5
    assert found["precision"] == 1


def _folder(root: Path, *, labels: bool) -> Folder:
    rng = np.random.default_rng(2)
    hour = np.arange(24 * 7 * 20)
    busy = (hour % 24 >= 8) & (hour % 24 < 18) & (hour // 24 % 7 < 5)
    values = np.where(busy, 50.0, 10.0) * np.exp(0.05 * rng.standard_normal(len(hour)))
    half = len(hour) // 2
    faulted = values[half:].copy()
    faulted[500:512] = 0.0
    stamps = pa.array(FIRST_MS + hour * HOUR_MS, pa.timestamp("ms", "UTC"))
    (root / "streams").mkdir(parents=True)
    (root / "anomaly").mkdir()
    (root / "streams.csv").write_text(
        "stream_id,dataset,building,utility,unit,tz,resolution,first,last,rows,weather_id\n"
        "a,one,B,electricity,kWh,UTC,1h,,,3,\n",
        encoding="utf-8",
    )
    for path, rows, column in (
        (root / "streams" / "one.parquet", slice(0, half), values[:half]),
        (root / "anomaly" / "faulted.parquet", slice(half, None), faulted),
    ):
        names = pa.array(["a"] * len(column))
        pq.write_table(pa.table({"stream_id": names, "ts": stamps[rows], "value": column}), path)
    if labels:
        begun = np.datetime64(FIRST_MS + int(hour[half + 500]) * HOUR_MS, "ms")
        (root / "anomaly" / "fault_events.csv").write_text(
            "stream_id,kind,start,end,severity,delta,rel_effect\n"
            f"a,dropout_zero,{begun}+00:00,{begun + np.timedelta64(11, 'h')}+00:00,1,1,1\n",
            encoding="utf-8",
        )
    return Folder(root)


def test_a_fault_in_a_folder_is_found_and_written_down(tmp_path: Path) -> None:
    """The file alone is enough to score it again: who, when, what, and within which budget."""
    found = run(_folder(tmp_path / "data", labels=True), tmp_path / "out")
    assert set(found) == {str(budget) for budget in BUDGETS}
    for one in found.values():
        assert one["recall"] == 1
        assert one["kind_right"] == 1
        assert one["delay_h_median"] <= 6
    rows = pq.read_table(tmp_path / "out" / "alarms.parquet").to_pylist()
    assert {row["budget"] for row in rows} == set(BUDGETS)
    assert "dropout" in {row["kind"] for row in rows}
    assert {row["stream_id"] for row in rows} == {"a"}


def test_alarms_are_written_before_labels_are_read(tmp_path: Path) -> None:
    """Without labels there is nothing to score, and the alarms are there all the same."""
    with pytest.raises(FileNotFoundError):
        run(_folder(tmp_path / "data", labels=False), tmp_path / "out")
    assert (tmp_path / "out" / "alarms.parquet").exists()
