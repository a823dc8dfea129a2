"""What is read of the insights is what was written, hour by hour."""

from pathlib import Path

import numpy as np

from kilowatch.insights.hours import HOUR_MS
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, WasteRow
from kilowatch.pipeline.insight.view import InsightView
from tests.pipeline.insight_world import MONDAY_MS, meter
from tests.pipeline.pipeline_world import DAY_MS


def test_wasted_hours_are_told_one_by_one_and_cut_at_the_edges(tmp_path: Path) -> None:
    """Days are kept packed, of any length: a page of three days counts its hours and no other."""
    chance = np.random.default_rng(7)
    rows, kept = [], {}
    for series in (1, 2, 3):
        for day in range(5):
            hours = 23 if day == 2 else 24
            amounts = np.where(chance.random(hours) < 0.3, chance.uniform(1, 9, hours), 0.0)
            kinds = chance.integers(0, 4, hours)
            start_ms = MONDAY_MS + day * DAY_MS + (series - 1) * HOUR_MS
            rows.append(WasteRow(series, start_ms, amounts, kinds))
            for hour in np.flatnonzero(amounts).tolist():
                at_ms = start_ms + hour * HOUR_MS
                kept[series, at_ms] = (float(amounts[hour]), int(kinds[hour]))
    InsightFile(tmp_path / "insights.sqlite").commit(Commit(waste=rows))
    view = InsightView(tmp_path / "insights.sqlite")
    from_ms, to_ms = MONDAY_MS + 5 * HOUR_MS, MONDAY_MS + 3 * DAY_MS + 7 * HOUR_MS
    found = view.waste([meter(1), meter(3)], from_ms, to_ms)
    columns = (found.series, found.start_ms, found.amount, found.kind)
    told = {
        (series, at_ms): (amount, kind)
        for series, at_ms, amount, kind in zip(*(c.tolist() for c in columns), strict=True)
    }
    wanted = {
        (series, at_ms): one
        for (series, at_ms), one in kept.items()
        if series != 2 and from_ms <= at_ms < to_ms
    }
    assert told == wanted
    assert len(told) == len(found.series) > 20
    assert not len(view.waste([meter(9)], from_ms, to_ms).series)
    assert not len(view.waste([], from_ms, to_ms).series)
