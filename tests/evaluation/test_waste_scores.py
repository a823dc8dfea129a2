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
from kilowatch.evaluation.remarks import FAILED, NO_ROWS
from kilowatch.evaluation.waste import run
from kilowatch.evaluation.waste_scores import Judged
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
    run(Folder(folder), tmp_path)
    before = (tmp_path / "waste.parquet").read_bytes()
    (folder / "waste" / "injected_hours.parquet").unlink()
    found = run(Folder(folder), tmp_path)
    assert "injected_hours.parquet is not there" in found["not_scored"]
    (folder / "waste" / "waste_events.csv").write_text("stream_id\n", encoding="utf-8")
    found = run(Folder(folder), tmp_path)
    assert "lacks the columns end, injected_kwh, kind, start" in found["not_scored"]
    assert (tmp_path / "waste.parquet").read_bytes() == before
    monkeypatch.setattr(scored, "read_labels", lambda _: pytest.fail("no labels without streams"))
    (folder / "waste" / "wasteful.parquet").unlink()
    assert run(Folder(folder), tmp_path)["streams"] == 0


def test_each_stream_is_judged_by_itself_in_kwh_or_named_with_the_reason(
    folder: Path, tmp_path: Path
) -> None:
    """Other units and other ends beside it change nothing; what has no history is not dropped.

    A meter in Wh wastes the same kWh. A copy that ends sooner is not judged beyond its end.
    """
    run(Folder(folder), tmp_path)
    alone = pq.read_table(tmp_path / "waste.parquet").to_pydict()
    others = ("wh", "sooner", "short", "lost", "warm")
    for path, column in ((folder / "streams" / "one.parquet", "value"),
                         (folder / "waste" / "wasteful.parquet", "value")):  # fmt: skip
        table = pq.read_table(path).select(["stream_id", "ts", column])
        parts = [table]
        for name in others:
            part = table.set_column(0, "stream_id", pa.array([name] * len(table)))
            if name == "wh":
                part = part.set_column(2, column, pc.multiply(part[column], 1000.0))
            if name == "sooner" and "waste" in str(path):
                part = part.slice(0, len(part) // 2)
            if name == "short" and "streams" in str(path):
                part = part.slice(BEGIN - 20 * 24)
            if name != "lost" or "waste" in str(path):
                parts.append(part)
        pq.write_table(pa.concat_tables(parts), path)
    units = {"wh": "Wh", "warm": "°C"}
    rows = "".join(
        f"{one},one,B,electricity,{units.get(one, 'kWh')},UTC,1h,,,,\n"
        for one in ("office", *others)
    )
    (folder / "streams.csv").write_text(HEAD + rows, encoding="utf-8")
    found = run(Folder(folder), tmp_path)
    assert found["streams"] == 3
    assert found["left_out"] == {
        "short": scored.TOO_SHORT,
        "lost": f"{scored.NO_HISTORY}: {NO_ROWS}",
        "warm": scored.NO_AMOUNT,
    }
    both = pq.read_table(tmp_path / "waste.parquet").to_pylist()
    own = [row for row in both if row["stream_id"] == "office"]
    assert own == [dict(zip(alone, row, strict=True)) for row in zip(*alone.values(), strict=True)]
    wh = [row for row in both if row["stream_id"] == "wh"]
    assert [row["ts"] for row in wh] == alone["ts"]
    assert [row["waste_kwh"] for row in wh] == pytest.approx(alone["waste_kwh"])
    sooner = [row for row in both if row["stream_id"] == "sooner"]
    assert len(sooner) < len(own) or not own


def test_a_stream_that_fails_does_not_take_its_batch_with_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams are judged in batches; after a failure each of the batch is judged by itself.

    Of a copy that ends sooner than those beside it no hour is compared after its end.
    """
    asked: list[list[str]] = []
    known: dict[str, list[int]] = {}

    def judge(whole: Hours, group: list[str], wasteful: Hours) -> dict[str, Judged]:
        asked.append(group)
        for row, key in enumerate(group):
            known[key] = [int((~np.isnan(one.values[row])).sum()) for one in (whole, wasteful)]
        if "bad" in group:
            raise ValueError("no need can be learnt")
        return {key: Judged(np.zeros(1, np.int64), *np.ones((3, 1))) for key in group}

    for path in (folder / "streams" / "one.parquet", folder / "waste" / "wasteful.parquet"):
        table = pq.read_table(path)
        other = table.set_column(0, "stream_id", pa.array(["bad"] * len(table)))
        sooner = other.slice(0, 24 * 7) if path.name == "wasteful.parquet" else other
        pq.write_table(pa.concat_tables([table, sooner]), path)
    with (folder / "streams.csv").open("a", encoding="utf-8") as lines:
        lines.write("bad,one,B,electricity,kWh,UTC,1h,,,,\n")
    monkeypatch.setattr(scored, "judge", judge)
    found = run(Folder(folder), tmp_path)
    assert asked == [["office", "bad"], ["office"], ["bad"]]
    assert known["bad"] == [scored.REFERENCE_H + 24 * 7] * 2
    assert known["office"] == [scored.REFERENCE_H + WEEKS * 7 * 24 - BEGIN] * 2
    assert found["left_out"] == {"bad": f"{FAILED}: no need can be learnt"}
    assert pq.read_table(tmp_path / "waste.parquet")["stream_id"].to_pylist() == ["office"]


def test_labels_that_fit_nothing_are_counted_and_change_no_figure(
    folder: Path, tmp_path: Path
) -> None:
    """Events of other streams, of no energy, from before the stream, or that can't be read."""
    before = run(Folder(folder), tmp_path)
    begin = pq.read_table(folder / "waste" / "wasteful.parquet")["ts"][0].as_py()
    days = [np.datetime64(begin[:10]) - back for back in (9, 5)]
    with (folder / "waste" / "waste_events.csv").open("a", encoding="utf-8") as lines:
        lines.write(
            "ghost,after_hours,2025-02-10T00:00:00Z,2025-03-07T00:00:00Z,5,0,1\n"
            "office,nothing,2025-02-10T00:00:00Z,2025-03-07T00:00:00Z,0,0,1\n"
            f"office,nothing,{days[0]}T00:00:00Z,{days[1]}T00:00:00Z,5,0,1\n"
            "office,after_hours,soon,2025-03-07T00:00:00Z,5,0,1\n"
        )
    found = run(Folder(folder), tmp_path)
    assert found["events_unread"] == "1 rows can't be read"
    assert found["events_set_aside"] == "2 of streams or times that were not judged: ghost, office"
    assert np.isnan(found["by_kind"]["nothing"]["kwh_recall"])
    same = ("kwh_recall", "kwh_precision", "events_half_found", "background_share")
    assert [found[name] for name in same] == [before[name] for name in same]
