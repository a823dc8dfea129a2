"""A folder of meter data is read as its README says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kilowatch.evaluation.folder import Folder, hours_of
from kilowatch.insights.hours import HOUR_MS

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
