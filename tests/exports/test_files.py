"""What is in an exported file: the same figures in every format, empty where nothing is known."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from python_calamine import CalamineWorkbook

from kilowatch.exports import plan as plans
from kilowatch.exports.csv_file import harmless
from kilowatch.exports.excel_file import Summary, Wording, excel_chunks
from kilowatch.exports.formats import chunks_of
from kilowatch.exports.slices import ROWS_A_SLICE, Reader, along_points
from kilowatch.exports.tables import CODED, Heading, Table, schema_of
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import PC, VALUE
from tests.exports.shop import OCTOBER_MS, WORDS, Shop, build
from tests.pipeline.pipeline_world import HOUR_MS

ALL = "period=everything"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Build the shop once."""
    return build(tmp_path_factory.mktemp("shop"))


def rows(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(content.decode())))


def kwh(shop: Shop) -> float:
    """Return all energy that the supply counted, as Breakdown tells it [kWh]."""
    block = shop.view.series(shop.supply, [PC], 0, 1 << 50, "interval")
    return float(np.nansum(block.amount)) / 1000


def test_a_long_file_says_of_each_value_what_it_is(shop: Shop) -> None:
    """Programs filter by columns: name, parameter and unit stand in each row, in kWh."""
    found = rows(shop.file("csv", f"{ALL} grain=interval"))
    own = [row for row in found if row["stream_id"] == "supply"]
    assert {(row["parameter"], row["unit"], row["site"], row["organisation"]) for row in own} == {
        ("pC", "kWh", "Shop", "Acme")
    }
    assert sum(float(row["value"] or 0) for row in own) == pytest.approx(kwh(shop), rel=1e-12)
    assert own[0]["start_local"] == "2024-10-26T01:00:00+01:00"
    assert own[0]["start_utc"] == "2024-10-26T00:00:00Z"
    assert own[0]["duration_s"] == "1800"
    assert {row["quality"] for row in own} == {"valid"}


def test_the_hour_that_comes_twice_can_be_told_apart(shop: Shop) -> None:
    """On the day of 25 hours two rows say 01:30; their offsets and instants differ."""
    query = f"{ALL} grain=30m with=half_hours with=quality"
    own = [r for r in rows(shop.file("csv", query)) if r["stream_id"] == "supply"]
    twice = [r for r in own if r["start_local"].startswith("2024-10-27T01:30")]
    assert [r["start_local"][19:] for r in twice] == ["+01:00", "+00:00"]
    assert [r["start_utc"] for r in twice] == ["2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"]
    day = [int(r["half_hour"]) for r in own if r["start_local"].startswith("2024-10-27")]
    assert day == list(range(1, 51)), "50 half hours, numbered in time that passes"


def test_empty_is_not_zero(shop: Shop) -> None:
    """Where the gas meter was silent a wide file has the row and no number in it."""
    content = shop.file("csv", f"{ALL} grain=30m layout=wide with=gaps with=quality")
    table = rows(content)
    assert len({row["start_utc"] for row in table}) == len(table) == 145
    silent = [row for row in table[:-1] if row["Gas [m3]"] == ""]  # the last one is not over
    assert len(silent) == 7
    across = [float(row["Gas [m3] across_gap"]) for row in table if row["Gas [m3] across_gap"]]
    told = sum(float(row["Gas [m3]"] or 0) for row in table) + sum(across)
    assert told == pytest.approx(14.4), (
        "what was counted across the gap is there, in its own column"
    )
    assert float(silent[0]["completeness"]) == 0.5
    assert float(table[0]["completeness"]) == 1.0
    assert "'=Supply pC [kWh]" in table[0], "a heading is no formula"


def test_days_are_local_days_and_slices_leave_no_trace(shop: Shop) -> None:
    """A day has 25 hours when the clocks go back; however it is sliced, the file is the same."""
    days = rows(shop.file("csv", f"{ALL} grain=day"))
    assert {row["duration_s"] for row in days} == {"86400", "90000"}
    planned = shop.plan(f"{ALL} grain=interval")
    whole = b"".join(shop.chunks("csv", planned))
    slices = list(along_points(planned, 10))
    assert len(slices) > 20
    assert len(list(along_points(planned, ROWS_A_SLICE))) < 3
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr("kilowatch.exports.long_rows.ROWS_A_SLICE", 10)
        patch.setattr(
            "kilowatch.exports.long_rows.along_points", lambda p, _rows: along_points(p, 10)
        )
        assert b"".join(shop.chunks("csv", planned)) == whole


def test_days_and_months_are_those_of_the_period_in_every_zone_and_granularity(shop: Shop) -> None:
    """27 to 28 October in months is those two days, and stays it where times are told in Tokyo."""
    days = "period=custom from=2024-10-27 until=2024-10-28"
    in_days = rows(shop.file("csv", f"{days} grain=day"))
    wanted: dict[str, float] = {}
    for row in in_days:
        wanted[row["stream_id"]] = wanted.get(row["stream_id"], 0.0) + float(row["value"])
    assert set(wanted) == {"supply", "gas"}
    for zone in ("", "Asia/Tokyo", "America/New_York"):
        found = rows(shop.file("csv", f"{days} grain=month zone={zone}"))
        assert {row["stream_id"]: float(row["value"]) for row in found} == pytest.approx(wanted)
        assert {row["start_utc"] for row in found} == {"2024-10-26T23:00:00Z"}
        assert {row["duration_s"] for row in found} == {str(49 * 3600)}
        again = rows(shop.file("csv", f"{days} grain=day zone={zone}"))
        assert [row["start_utc"] for row in again] == [row["start_utc"] for row in in_days]
    wide = shop.file("csv", f"{days} grain=month layout=wide").decode().splitlines()
    assert len(wide) == 2
    whole = rows(shop.file("csv", "period=everything grain=month"))
    assert {row["start_utc"] for row in whole} == {"2024-09-30T23:00:00Z"}


def test_readings_are_as_they_were_pushed(shop: Shop) -> None:
    """The source has the dial's figures, the pushed offset, and nothing that was derived."""
    found = rows(shop.file("csv", f"{ALL} grain=source units=plain"))
    own = [row for row in found if row["stream_id"] == "supply"]
    assert [row["parameter"] for row in own[:3]] == ["aP_1", "pC_1", "pC_2"]
    assert {row["parameter"] for row in own} == {"aP_1", "pC_1", "pC_2"}
    assert own[1]["value"] == "1000"
    assert own[1]["time_local"] == "2024-10-26T01:00:00+01:00"
    assert "quality" not in own[0]
    wide = rows(shop.file("csv", f"{ALL} grain=source layout=wide zone=UTC"))
    assert wide[0]["'=Supply pC_1 [Wh]"] == "1000"
    assert wide[0]["time_local"] == "2024-10-26T00:00:00+00:00"
    assert len(wide) == 145


def test_excel_has_real_dates_in_local_time_and_notes(shop: Shop) -> None:
    """A person opens it and calculates: dates are dates, numbers are numbers, empty is empty."""
    content = shop.file("xlsx", f"{ALL} grain=30m layout=wide with=quality")
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet: Any = book["Data"]
    head = [cell.value for cell in sheet[1]]
    assert head[:3] == ["start_local (Europe/Dublin)", "utc_offset_min", "start_utc"]
    assert head[3:5] == ["=Supply Active energy, imported [kWh]", "Gas [m3]"]
    assert sheet["D1"].data_type == "s"
    assert sheet.freeze_panes == "A2"
    first = [cell.value for cell in sheet[2]]
    assert str(first[0]) == "2024-10-26 01:00:00"
    assert first[1] == "+01:00"
    assert str(first[2]) == "2024-10-26 00:00:00"
    assert sheet.max_row == 146
    total = sum(row[3] for row in sheet.iter_rows(min_row=2, values_only=True) if row[3])
    assert total == pytest.approx(kwh(shop), rel=1e-12)
    assert (
        sum(row[4] is None for row in sheet.iter_rows(min_row=2, max_row=145, values_only=True))
        == 7
    )
    assert book["Notes"]["A1"].value == "Exported by"
    assert sheet["A2"].number_format == "yyyy-mm-dd hh:mm"
    assert sheet.auto_filter.ref == f"A1:{sheet.cell(1, len(head)).column_letter}146"


def test_excel_keeps_what_xml_would_lose(tmp_path: Path) -> None:
    """Signs of XML, control characters, spaces at the ends, 17 digits, gaps: read as written."""
    words = ['a < b & "c"', " two spaces ", "bell \x07", "_x0007_ typed", "+1", "Größe € 𝄞"]
    values = [0.1 + 0.2, -1e-7, 1.7976931348623157e308, None, 0.0, 12_345_678.912_345_678]
    columns = [
        pa.array([1_729_900_800_000 + n for n in range(6)]).cast(pa.timestamp("ms", "UTC")),
        pa.array(words).dictionary_encode().cast(CODED),
        pa.array(values, pa.float64()),
        pa.array([1, None, 3, 4, 5, 6], pa.int64()),
    ]
    heads = [
        Heading("at", "utc"), Heading("name", "text"), Heading("value", "number", "kWh"),
        Heading("n", "count"),
    ]  # fmt: skip
    batch = pa.RecordBatch.from_arrays(columns, schema=schema_of(heads, coded=True))
    told: list[Summary] = []

    def lines(written: Summary) -> list[tuple[str, str]]:
        told.append(written)
        return [("Rows", str(written.rows))]

    wording = Wording("Data <1>", "Notes", lambda one, _zone: f"{one.name} & unit", lines)
    table = Table(heads, iter([batch.slice(0, 4), batch.slice(4)]), "")
    path = tmp_path / "kept.xlsx"
    path.write_bytes(b"".join(excel_chunks(table, wording)))
    sheet: Any = openpyxl.load_workbook(path)["Data <1>"]
    found = list(sheet.iter_rows(values_only=True))
    assert found[0] == ("at & unit", "name & unit", "value & unit", "n & unit")
    escaped = ["bell _x0007_", "_x005F_x0007_ typed"]  # as ECMA-376 has them; Excel reads them back
    assert [row[1] for row in found[1:]] == [*words[:2], *escaped, *words[4:]]
    assert [row[2] for row in found[1:]] == values, "to the last bit"
    assert [row[3] for row in found[1:]] == [1, None, 3, 4, 5, 6]
    assert sheet["C2"].number_format == "#,##0.###"
    assert sheet["A7"].is_date
    (only,) = told
    assert only.rows == 6
    seen = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert [row[1] for row in seen[1:]][:2] == words[:2]
    empty = Table(heads, iter([]), "")
    path.write_bytes(b"".join(excel_chunks(empty, wording)))
    assert openpyxl.load_workbook(path)["Data <1>"].max_row == 1


def test_parquet_knows_its_units_and_its_zone(shop: Shop) -> None:
    """Who opens it in a year reads unit, zone and instant from the file alone."""
    content = shop.file("parquet", f"{ALL} grain=interval layout=wide")
    table = pq.read_table(pa.BufferReader(content))
    assert table.schema.field("start_utc").type == pa.timestamp("ms", "UTC")
    column = "=Supply pC [kWh]"
    assert table.schema.field(column).metadata[b"unit"] == b"kWh"
    about = json.loads(table.schema.metadata[b"kilowatch"])
    assert about == {"time_zone": "Europe/Dublin", "exported_by": "A. Lee"}
    assert pa.compute.sum(table[column]).as_py() == pytest.approx(kwh(shop), rel=1e-12)
    long = pq.read_table(pa.BufferReader(shop.file("parquet", f"{ALL} grain=interval")))
    gas = long.filter(pa.compute.equal(long["stream_id"], "gas"))
    assert len(gas) == len(shop.view.series(shop.gas, [VALUE], 0, 1 << 50, "interval"))


def test_tableau_reads_its_extract_with_its_own_library(shop: Shop, tmp_path: Path) -> None:
    """The file is what Tableau opens: one table, plain times, the totals of the pages, no zeros."""
    tableau = pytest.importorskip(
        "tableauhyperapi", reason="Tableau has no package for this machine"
    )
    for layout in ("long", "wide"):
        path = tmp_path / f"{layout}.hyper"
        path.write_bytes(shop.file("hyper", f"{ALL} grain=interval layout={layout}"))
        with (
            tableau.HyperProcess(
                tableau.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
                parameters={"log_config": ""},
            ) as engine,
            tableau.Connection(engine.endpoint, str(path)) as connection,
        ):
            name = tableau.TableName("Extract", "Extract")
            table = connection.catalog.get_table_definition(name)
            kinds = {str(c.name.unescaped): str(c.type) for c in table.columns}
            assert kinds["start_utc"] == kinds["start_local"] == "TIMESTAMP"
            what = '"value"' if layout == "long" else '"=Supply pC [kWh]"'
            where = "WHERE \"stream_id\" = 'supply'" if layout == "long" else ""
            asked = f'SELECT sum({what}), min("start_utc"), count(*) FROM {name} {where}'
            ((total, first, rows),) = connection.execute_list_query(asked)
            assert total == pytest.approx(kwh(shop), rel=1e-12)
            assert str(first) == "2024-10-26 00:00:00"
            assert rows in (144, 145)
            if layout == "wide":
                known = connection.execute_scalar_query(f'SELECT count("Gas [m3]") FROM {name}')
                assert known == 137, "what is not known is NULL"


def test_without_tableaus_package_the_answer_says_how_to_install_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extra that is missing is no fault: the command that brings it is in the answer."""
    monkeypatch.setattr("kilowatch.exports.tableau.available", lambda: False)
    with pytest.raises(KilowatchError, match=r"pip install 'kilowatch\[tableau\]'"):
        shop.plan(ALL).check("hyper")


def test_what_a_sheet_cannot_hold_is_refused_before_work(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a workbook that would have been cut: the answer points to CSV or Parquet."""
    planned = shop.plan(f"{ALL} grain=interval")
    monkeypatch.setattr(plans, "EXCEL_ROWS_MAX", 100)
    with pytest.raises(KilowatchError, match=r"CSV or Parquet") as told:
        planned.check("xlsx")
    assert told.value.code == "too_many_rows"
    planned.check("csv")
    monkeypatch.setattr("kilowatch.exports.excel_file.EXCEL_ROWS_MAX", 100)
    monkeypatch.setattr(plans, "EXCEL_ROWS_MAX", 10**6)
    with pytest.raises(KilowatchError, match=r"a sheet in Excel"):
        b"".join(shop.chunks("xlsx", planned))
    monkeypatch.undo()
    monkeypatch.setattr("kilowatch.exports.excel_file.SHEET_BYTES_MAX", 10_000)
    with pytest.raises(KilowatchError, match=r"cells.*CSV or Parquet"):
        b"".join(shop.chunks("xlsx", planned))
    monkeypatch.setattr(plans, "EXCEL_CELLS_MAX", 1_000)
    with pytest.raises(KilowatchError, match=r"cells, and a workbook holds 1,000"):
        planned.check("xlsx")


def test_a_workbook_that_the_disk_has_no_room_for_is_refused_and_not_cut(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a workbook ends like a whole one, so it is not sent: the answer says what happened."""
    write = ZipFile.writestr

    def full(book: ZipFile, *written: Any) -> None:
        if book.filename:  # on the disk, not the frame in memory
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(book, *written)

    monkeypatch.setattr("zipfile.ZipFile.writestr", full)
    with pytest.raises(KilowatchError, match=r"No space left on device.*take CSV") as told:
        shop.file("xlsx", f"{ALL} grain=day")
    assert told.value.status == 507


def test_the_estimate_is_not_below_what_there_is(shop: Shop) -> None:
    """A limit that is checked before work holds only if the estimate does not flatter."""
    for grain in ("source", "interval", "30m", "hour", "day", "month"):
        for layout in ("long", "wide"):
            query = f"{ALL} grain={grain} layout={layout}"
            expected = shop.plan(query).estimate().rows
            actual = len(rows(shop.file("csv", query)))
            assert actual <= expected <= 2 * actual + 8, (grain, layout)


def test_the_size_of_a_small_file_is_not_told_as_that_of_its_rows(shop: Shop) -> None:
    """An Excel file of one day is no 60 bytes: what a file takes without a row is counted."""
    query = "period=custom from=2024-10-27 until=2024-10-27 grain=day"
    told = shop.plan(query).estimate().size
    for word in ("csv", "xlsx", "parquet"):
        actual = len(shop.file(word, query))
        assert actual / 2 <= told[word] <= 3 * actual, (word, actual, told[word])


def test_periods_are_days_of_the_site_and_go_on_with_time(shop: Shop) -> None:
    """Yesterday is a local day with its 24 hours, wherever UTC's midnight lies."""
    custom = rows(shop.file("csv", "period=custom from=2024-10-27 until=2024-10-27 grain=hour"))
    own = [row for row in custom if row["stream_id"] == "supply"]
    assert len(own) == 25
    assert own[0]["start_local"] == "2024-10-27T00:00:00+01:00"
    week = shop.plan("period=last_7_days grain=hour").subjects[0]
    assert week.to_ms == OCTOBER_MS + 3 * 24 * HOUR_MS + 1
    nothing = shop.plan("period=today grain=hour")
    assert not nothing.subjects
    assert [one.name for one in nothing.silent] == ["=Supply", "Gas"]
    with pytest.raises(KilowatchError, match="no data"):
        nothing.check("csv")


def test_texts_that_a_spreadsheet_would_calculate_are_made_harmless() -> None:
    """A data point that is called =HYPERLINK(…) stays a name; a number stays a number."""
    texts = ["=1+1", "+1", "-1", "@a", "\tx", "Main -1", ""]
    expected = ["'=1+1", "'+1", "'-1", "'@a", "'\tx", "Main -1", ""]
    assert harmless(pa.array(texts)).to_pylist() == expected


def test_nonsense_is_answered_with_what_would_make_sense(shop: Shop) -> None:
    """Each refusal names the field and says what to write."""
    for query, field in (
        ("grain=second", "grain"), ("period=soon", "period"), ("zone=Mars/Base", "zone"),
        ("place=x1", "place"), ("period=custom from=2024-13-01 until=2024-10-01", "from"),
        ("layout=tall", "layout"), ("period=custom from=2024-10-01", "until"),
    ):  # fmt: skip
        with pytest.raises(KilowatchError) as told:
            shop.plan(query)
        assert told.value.data["field"] == field, query


def test_a_definition_survives_being_kept(shop: Shop) -> None:
    """A link keeps it as JSON for months: it means the same afterwards."""
    query = (
        "place=p1 place=s2 period=custom from=2024-10-01 until=2024-10-31 grain=30m layout=wide "
        "parameter=aP phases=apart zone=UTC units=plain with=half_hours"
    )
    asked = shop.plan(query).asked
    kept = json.loads(json.dumps(asked.as_json()))
    assert type(asked).of_json(kept) == asked
    bare = shop.plan("with=none").asked
    assert not bare.extras
    assert type(asked).of_json(bare.as_json()) == bare


def test_a_store_that_is_busy_is_asked_for_less_and_nothing_is_lost(shop: Shop) -> None:
    """A slice that met a limit of the store comes in halves: the file is the same, row by row."""
    asked: list[int] = []

    class Busy:
        def __getattr__(self, name: str) -> Any:
            return getattr(shop.view, name)

        def series_many(
            self, points: Any, codes: Any, from_ms: int, to_ms: int, grain: Any
        ) -> IntervalBlock:
            asked.append(to_ms - from_ms)
            if to_ms - from_ms > 40 * 24 * HOUR_MS // 8:
                raise KilowatchError("store_busy", "A query took longer than its limit.")
            return shop.view.series_many(points, codes, from_ms, to_ms, grain)

    for layout in ("long", "wide"):
        planned = shop.plan(f"{ALL} grain=interval layout={layout}")
        whole = b"".join(shop.chunks("csv", planned))
        halves = b"".join(chunks_of("csv", planned, Reader(Busy()), WORDS, {}))
        assert halves == whole
    assert len(asked) > 10
