"""Rows of a file are read whoever wrote it: stamps of any kind, any order, rubbish between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kilowatch.evaluation import remarks
from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.remarks import Remarks
from kilowatch.evaluation.rows import by_stream, read, weather
from kilowatch.evaluation.stamps import UNKNOWN, instants, of_one, on_clock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

LONDON = Zone.of("Europe/London")
INSTANTS = np.array(["2019-03-31T00:00", "2019-03-31T01:00", "2019-03-31T02:00"], "datetime64[ms]")
SECONDS = INSTANTS.astype(np.int64) // 1000
UTC = pa.timestamp("ms", "UTC")
LOCAL = ["2019-03-31T00:00:00", "2019-03-31T02:00:00", "2019-03-31T03:00:00"]


@pytest.mark.parametrize(
    "stamps",
    [
        pa.array([f"{one}{off}" for one, off in zip(LOCAL, ("Z", "+01:00", "+0100"), strict=True)]),
        pa.array([f"{one.replace('T', ' ')}.000000" for one in LOCAL]),
        pa.array(LOCAL),
        pa.array(LOCAL).dictionary_encode(),
        pa.array(INSTANTS).cast(UTC),
        pa.array(INSTANTS).cast(UTC).cast(pa.timestamp("ns", "Europe/London")),
        pa.array(np.array(LOCAL, "datetime64[us]")),
        *(pa.array(SECONDS * factor) for factor in (1, 10**3, 10**6, 10**9)),
        pa.array(SECONDS.astype(np.float64)),
        pa.array([f" {one}" for one in SECONDS.tolist()]),
    ],
)
def test_a_stamp_is_an_instant_however_it_is_written(tmp_path: Path, stamps: pa.Array) -> None:
    """Text with any offset, text without one, true timestamps with and without a zone."""
    path = tmp_path / "some.parquet"
    names = pa.array(["a", "a", "a"]).dictionary_encode()
    pq.write_table(
        pa.table({"extra": [1, 2, 3], "value": [1, 2, 3], "ts": stamps, "stream_id": names}), path
    )
    found = by_stream(read(path, "value"), lambda _: LONDON, Remarks())["a"]
    assert found.start_ms.tolist() == INSTANTS.astype(np.int64).tolist()
    assert found.values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("factor", "word"),
    [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
def test_numbers_are_told_by_their_size_and_said(tmp_path: Path, factor: int, word: str) -> None:
    """What numbers were taken for is noticed; a file of them was refused. Labels have them too."""
    path = tmp_path / "some.parquet"
    stamps = pa.array([*(SECONDS * factor).tolist(), None])
    pq.write_table(pa.table({"value": [1.0] * 4, "ts": stamps, "stream_id": ["a"] * 4}), path)
    seen = Remarks()
    assert (
        by_stream(read(path, "value"), lambda _: LONDON, seen)["a"].start_ms.tolist()
        == (1000 * SECONDS).tolist()
    )
    assert seen.told() == {remarks.COUNTED.format(word): ["a"], remarks.NO_STAMP: ["a"]}
    assert of_one(f"{SECONDS[0] * factor}") == (1000 * SECONDS[0], False)
    assert of_one("20190331") == (1000 * SECONDS[0], True), "eight digits are a date"
    for date in ("2019033100", "201903310000", "20190331000000", "9" * 19, "1" * 20):
        assert of_one(date)[0] == UNKNOWN, "and no count of 2033 or 1976"


def test_numbers_beside_text_and_with_decimals_are_read_and_said() -> None:
    """A file that two programs wrote; seconds with a half."""
    read_ms, _, words = instants(pa.array([str(SECONDS[0]), "2019-03-31T01:00:00Z", None]))
    assert read_ms.tolist() == [1000 * SECONDS[0], 1000 * SECONDS[1], UNKNOWN]
    assert words == {"seconds"}
    read_ms, _, words = instants(pa.array([SECONDS[0] + 0.5, float("nan"), 1e300]))
    assert read_ms.tolist() == [1000 * SECONDS[0] + 500, UNKNOWN, UNKNOWN]
    assert words == {"seconds"}


def test_the_hour_that_comes_twice_is_read_twice_and_one_that_never_comes_says_utc() -> None:
    """Without an offset the second of two equal stamps in autumn is the later hour."""
    wall = np.array(
        ["2019-10-27T00:30", "2019-10-27T01:00", "2019-10-27T01:30", "2019-10-27T01:00",
         "2019-10-27T01:30", "2019-10-27T02:00"], "datetime64[ms]",
    ).astype(np.int64)  # fmt: skip
    at_ms, local = on_clock(wall, LONDON)
    assert local
    assert np.diff(at_ms).tolist() == [HOUR_MS // 2] * 5
    skipped = np.array(["2019-03-31T01:00"], "datetime64[ms]").astype(np.int64)
    at_ms, local = on_clock(skipped, LONDON)
    assert not local
    assert at_ms.tolist() == skipped.tolist()


def test_rubbish_between_rows_is_left_out_and_said(tmp_path: Path) -> None:
    """Stamps that are none or from another age, infinite values, several rows for one hour."""
    stamps = ["2019-01-01T02:00:00Z", "soon", None, "1971-01-01T00:00:00Z", "9999-12-31T00:00:00Z",
              "2019-01-01T00:00:00Z", "2019-01-01T01:00:00Z", "2019-01-01T00:00:00Z",
              "2019-01-01T00:00:00Z"]  # fmt: skip
    values = [3.0, 9.0, 9.0, 9.0, 9.0, 1.0, float("inf"), 2.0, float("nan")]
    path = tmp_path / "some.parquet"
    pq.write_table(pa.table({"stream_id": ["a"] * 9, "ts": stamps, "value": values}), path)
    seen = Remarks()
    found = by_stream(read(path, "value"), lambda _: LONDON, seen)["a"]
    assert np.nan_to_num(found.values, nan=-1).tolist() == [2.0, -1.0, 3.0]
    assert set(seen.told()) == {
        remarks.NO_STAMP, remarks.FAR_OFF, remarks.REPEATED, remarks.INFINITE
    }  # fmt: skip


def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path) -> None:
    """Damaged, a column short, or stamps that are no times at all."""
    path = tmp_path / "some.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(KilowatchError, match=r"some\.parquet can't be read"):
        read(path, "value")
    pq.write_table(pa.table({"stream_id": ["a"], "ts": [1]}), path)
    with pytest.raises(KilowatchError, match="lacks the columns value"):
        read(path, "value")
    pq.write_table(pa.table({"stream_id": ["a"], "ts": [True], "value": [1.0]}), path)
    with pytest.raises(KilowatchError, match="neither text, number nor a timestamp"):
        read(path, "value")
    with pytest.raises(KilowatchError):
        weather(tmp_path / "none.parquet", LONDON, Remarks())


def test_a_file_of_winter_follows_the_history_that_shows_a_clock_of_utc(tmp_path: Path) -> None:
    """Stamps without an offset mean the same in all files of a stream."""
    (tmp_path / "streams.csv").write_text(
        "stream_id,dataset,tz,unit\na,one,Europe/London,kWh\n", encoding="utf-8"
    )
    for name, day in (("streams/one", "2019-03-31"), ("anomaly/faulted", "2019-07-01")):
        stamps = [f"{day}T00:00:00", f"{day}T01:00:00", f"{day}T02:00:00"]
        rows = {"stream_id": ["a"] * 3, "ts": stamps, "value": [1.0, 2.0, 3.0]}
        (tmp_path / name).parent.mkdir()
        pq.write_table(pa.table(rows), tmp_path / f"{name}.parquet")
    first = Folder(tmp_path).faulted()["a"].start_ms[0]
    assert first == np.datetime64("2019-07-01", "ms").astype(np.int64)


def test_streams_are_found_in_whatever_file_they_are_and_lost_ones_are_named(
    tmp_path: Path,
) -> None:
    """Files split in another way, a zone that is none, a unit that is spelt otherwise, a ghost."""
    (tmp_path / "streams.csv").write_text(
        "\ufeffstream_id,dataset,tz,unit\na,one,Mars/Base,kwh\nb,two,,\nghost,two,UTC,kWh\n",
        encoding="utf-8",
    )
    (tmp_path / "streams").mkdir()
    rows = {
        "stream_id": ["a", "b", "more"], "ts": ["2019-01-01T00:00:00Z"] * 3,
        "value": [1.0, 2.0, 3.0], "unit": ["kWh", "m³", "kWh"],
    }  # fmt: skip
    pq.write_table(pa.table(rows), tmp_path / "streams" / "all.parquet")
    folder = Folder(tmp_path)
    assert list(folder.streams()) == ["a", "b"]
    assert folder.left_out["streams"] == {"ghost": remarks.NO_ROWS}
    assert folder.listed["b"].unit == "m3"
    told = folder.remarks.told()
    assert told[remarks.ELSEWHERE] == ["a", "b"]
    assert told[remarks.LEFT_LYING] == ["more"]
    assert told[remarks.NO_ZONE] == ["a", "b"]
