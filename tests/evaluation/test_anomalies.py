"""Alarms are written before labels are read, and scored event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kilowatch.evaluation import anomalies
from kilowatch.evaluation.anomalies import BUDGETS, predict
from kilowatch.evaluation.anomaly_scores import Event, Told, score
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.remarks import NO_HISTORY, NOT_LISTED
from kilowatch.evaluation.rows import Series
from kilowatch.insights.anomalies import Alarm
from kilowatch.insights.hours import Hours
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS

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


def _folder(root: Path) -> tuple[Folder, str]:
    rng = np.random.default_rng(2)
    hour = np.arange(24 * 7 * 12)
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
    begun = np.datetime64(FIRST_MS + int(hour[half + 500]) * HOUR_MS, "ms")
    label = f"a,dropout_zero,{begun}+00:00,{begun + np.timedelta64(11, 'h')}+00:00,1,1,1"
    return Folder(root), label


class _Watched(NamedTuple):
    """A folder whose alarms are written while it has no labels, and what scores them later."""

    folder: Folder
    out: Path
    label: str
    scored: Callable[[], dict[str, Any]]

    def score(self, *labels: str) -> dict[str, Any]:
        """Write labels, only now, and score."""
        path = self.folder.root / "anomaly" / "fault_events.csv"
        head = "stream_id,kind,start,end,severity,delta,rel_effect"
        path.write_text("\n".join((head, *labels)) + "\n", encoding="utf-8")
        return self.scored()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> _Watched:
    """Alarms of a dropout, from a folder without labels."""
    root = tmp_path_factory.mktemp("watched")
    folder, label = _folder(root / "data")
    return _Watched(folder, root / "out", label, predict(folder, root / "out"))


def test_alarms_are_written_before_labels_are_read(watched: _Watched) -> None:
    """Without labels nothing is scored, and the alarms are there all the same."""
    (watched.folder.root / "anomaly" / "fault_events.csv").unlink(missing_ok=True)
    found = watched.scored()
    assert found["not_scored"] == "labels can't be read: fault_events.csv is not there."
    assert found["alarms"]["1.0"] > 0
    assert pq.read_table(watched.out / "alarms.parquet").num_rows == sum(found["alarms"].values())


def test_a_fault_in_a_folder_is_found_and_written_down(watched: _Watched) -> None:
    """The file alone is enough to score it again: who, when, what, and within which budget."""
    found = watched.score(watched.label)
    assert set(found) == {str(budget) for budget in BUDGETS}
    for one in found.values():
        assert one["recall"] == 1
        assert one["kind_right"] == 1
        assert one["delay_h_median"] <= 6
    rows = pq.read_table(watched.out / "alarms.parquet").to_pylist()
    assert {row["budget"] for row in rows} == set(BUDGETS)
    assert "dropout" in {row["kind"] for row in rows}
    assert {row["stream_id"] for row in rows} == {"a"}


def test_each_stream_has_its_own_history_however_early_its_neighbours_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The detector looks back for so many days from where a stream is judged, and no further."""
    seen: list[Hours] = []

    def scan(hours: Hours, *_: object) -> list[list[Alarm]]:
        seen.append(hours)
        return [[] for _ in BUDGETS]

    folder, _ = _folder(tmp_path / "data")
    clean, faulted = folder.streams()["a"], folder.faulted()["a"]
    later = Series(faulted.start_ms[240:], faulted.values[240:])
    path = folder.root / "streams" / "one.parquet"
    own = pq.read_table(path)
    other = own.set_column(0, "stream_id", pa.array(["b"] * len(own)))
    pq.write_table(pa.concat_tables([own, other]), path)
    folder.ids = ("a", "b")
    folder.listed["b"] = replace(folder.listed["a"], stream_id="b")
    monkeypatch.setattr(anomalies, "HISTORY_H", 480)
    monkeypatch.setattr(anomalies, "scan_within", scan)
    anomalies.alarms(folder, {"a": faulted, "b": later})
    begun = [int(np.flatnonzero(~np.isnan(row))[0]) for row in seen[0].values]
    assert begun == [0, 240]
    assert seen[0].first_ms == faulted.start_ms[0] - 480 * HOUR_MS > clean.start_ms[0]


def test_labels_of_other_streams_or_of_no_kind_that_we_know_are_told_apart(
    watched: _Watched,
) -> None:
    """An event of a stream that is not there counts nowhere; a row that can't be read is said."""
    found = watched.score(
        watched.label,
        watched.label.replace("a,", "ghost,", 1),
        "a,spike,soon,later,1,1,1",
        "a,spike,2020-01-01T00:00:00Z,2020-01-01T05:00:00Z,1,1,1",
        watched.label.replace("dropout_zero", "gremlin").replace("+00:00", ""),
    )
    assert found["events_set_aside"] == "2 of streams or times that were not judged: ghost, a"
    assert found["events_unread"] == "1 rows can't be read"
    assert found["1.0"]["events"] == 2
    assert found["1.0"]["recall_by_kind"] == {"dropout_zero": 1, "gremlin": 1}
    assert found["1.0"]["kind_right"] == 1
    assert np.isnan(watched.score()["0.5"]["recall"])


def test_what_is_told_of_a_stream_does_not_depend_on_its_neighbours(
    watched: _Watched, tmp_path: Path
) -> None:
    """One beside it that began a month earlier and one that ends later, which no list knows."""
    folder, _ = _folder(tmp_path / "data")
    path = folder.root / "anomaly" / "faulted.parquet"
    own = pq.read_table(path)
    shifted = pc.subtract(own["ts"], pa.scalar(30 * DAY_MS, pa.duration("ms")))
    later = pc.add(own["ts"], pa.scalar(5 * DAY_MS, pa.duration("ms")))
    more = [
        own.set_column(0, "stream_id", pa.array([name] * len(own))).set_column(1, "ts", stamps)
        for name, stamps in (("earlier", shifted), ("later", later))
    ]
    pq.write_table(pa.concat_tables([*more, own]), path)
    predict(folder, tmp_path)
    alone = pq.read_table(watched.out / "alarms.parquet").to_pylist()
    together = pq.read_table(tmp_path / "alarms.parquet").to_pylist()
    assert [one for one in together if one["stream_id"] == "a"] == alone
    assert folder.remarks.told()[NOT_LISTED] == ["earlier", "later"]
    assert folder.remarks.told()[NO_HISTORY] == ["earlier", "later"]
