"""A folder of meter data is read as its README says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kilowatch.evaluation.folder import Folder, country_of, hours_of
from kilowatch.model.lengths import HOUR_MS

HEAD = "stream_id,dataset,building,utility,unit,tz,resolution,first,last,rows,weather_id\n"


def test_stamps_carry_their_offset_and_missing_hours_stay_unknown(tmp_path: Path) -> None:
    """A local stamp with its offset is an instant; an absent row is not a zero."""
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams.csv").write_text(
        HEAD + "a,one,B,electricity,kWh,Europe/London,1h,,,3,\n", encoding="utf-8"
    )
    stamps = ["2019-03-31T00:00:00+00:00", "2019-03-31T02:00:00+01:00", "2019-03-31T04:00:00+01:00"]
    table = pa.table(
        {"stream_id": ["a"] * 3, "ts": stamps, "value": pa.array([1, 2, 3], "float32")}
    )
    pq.write_table(table, tmp_path / "streams" / "one.parquet")
    folder = Folder(tmp_path)
    hours = hours_of(folder.streams(), "Europe/London", folder.temperature(""))
    assert hours.values[0].tolist()[:2] == [1.0, 2.0]
    assert np.isnan(hours.values[0][2])
    assert hours.values[0][3] == 3.0
    assert hours.count == 4
    assert hours.hour_of_day.tolist() == [0, 2, 3, 4]  # one o'clock did not exist
    assert hours.start_ms[1] - hours.start_ms[0] == HOUR_MS
    assert folder.faulted() == {}
    assert folder.wasteful() == {}


@pytest.mark.parametrize(("unit", "whole", "part"), [("kWh", 10.0, 12.0), ("kW", 2.5, 3.0)])
def test_finer_intervals_are_brought_to_hours(
    tmp_path: Path, unit: str, whole: float, part: float
) -> None:
    """Quarters of an hour add up to it, or are averaged where they are power.

    An hour of which a quarter is missing is guessed from the others, and one of which more than
    half is missing is unknown, as in the platform.
    """
    (tmp_path / "streams").mkdir()
    row = f"a,one,B,electricity,{unit},Asia/Kolkata,15min,,,9,"
    (tmp_path / "streams.csv").write_text(HEAD + row + "\n", encoding="utf-8")
    stamps = [f"2019-03-31T{hour:02}:{minute:02}:00+05:30" for hour, minute in (
        (9, 0), (9, 15), (9, 30), (9, 45), (10, 0), (10, 15), (10, 45), (11, 30), (12, 0), (12, 15),
        (12, 30), (12, 45),
    )]  # fmt: skip
    values = [1, 2, 3, 4, 2, 3, 4, 9, 1, 1, 1, 1]
    table = pa.table({"stream_id": ["a"] * 12, "ts": stamps, "value": pa.array(values, "float32")})
    pq.write_table(table, tmp_path / "streams" / "one.parquet")
    hours = hours_of(Folder(tmp_path).streams(), "Asia/Kolkata", None)
    assert hours.values[0, :2].tolist() == [whole, part]
    assert np.isnan(hours.values[0, 2])
    assert hours.values[0, 3] == (4.0 if unit == "kWh" else 1.0)
    assert hours.hour_of_day.tolist() == [9, 10, 11, 12]


def test_a_time_zone_says_whose_holidays_hold() -> None:
    """Every country's zones are known, and America is more than the United States."""
    assert country_of("Europe/Berlin") == ("DE", None)
    assert country_of("America/Toronto") == ("CA", None)
    assert country_of("America/New_York") == ("US", None)
    assert country_of("US/Mountain") == ("US", None)
    assert country_of("Europe/London") == ("GB", "ENG")
    assert country_of("UTC") == (None, None)
