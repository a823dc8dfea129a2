"""What is read of the insights is what was written, hour by hour."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from kilowatch.model.insight import EventBrief, EventKind, Standing
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.insight.columns import encode
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, Filed, WasteRow
from kilowatch.pipeline.insight.view import InsightView
from tests.pipeline.insight_world import MONDAY_MS, meter
from tests.pipeline.pipeline_world import DAY_MS
from tests.pipeline.test_insight_settling import weekend


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


def test_what_was_needed_is_kept_beside_what_was_wasted(tmp_path: Path) -> None:
    """A picture of waste rests on what the hour was judged by, not on what was learnt since."""
    need = 1000.0 + np.arange(24.0)
    need[3] = np.nan
    amounts, kinds = np.zeros(24), np.full(24, -1)
    amounts[5], kinds[5] = 70.0, 17
    rows = [
        WasteRow(1, MONDAY_MS, amounts, kinds, need),
        WasteRow(1, MONDAY_MS + DAY_MS, amounts, kinds, need + 500),
        WasteRow(1, MONDAY_MS + 2 * DAY_MS, amounts, kinds),
        WasteRow(2, MONDAY_MS, amounts, kinds, need * 9),
    ]
    InsightFile(tmp_path / "insights.sqlite").commit(Commit(waste=rows))
    view = InsightView(tmp_path / "insights.sqlite")
    found = view.needed(meter(1), MONDAY_MS + 2 * HOUR_MS, MONDAY_MS + 3 * DAY_MS)
    hours = (found.start_ms - MONDAY_MS) // HOUR_MS
    assert hours.tolist() == [2, *range(4, 24), *range(24, 27), *range(28, 48)]
    wanted = [1000 + hour if hour < 24 else 1476 + hour for hour in hours.tolist()]
    assert found.rate.tolist() == wanted
    assert not len(view.needed(meter(3), MONDAY_MS, MONDAY_MS + DAY_MS).start_ms)
    assert not len(view.needed(meter(1), MONDAY_MS, MONDAY_MS).start_ms)


def test_what_was_needed_stands_on_the_hours_of_its_own_clock(tmp_path: Path) -> None:
    """Where an hour begins at half past of UTC, need and counted waste are of the same hour."""
    begin_ms = MONDAY_MS - 5 * HOUR_MS - HOUR_MS // 2  # midnight in Kolkata
    need, amounts, kinds = 1000.0 + np.arange(24.0), np.zeros(24), np.full(24, -1)
    amounts[5], kinds[5] = 70.0, 17
    rows = [WasteRow(1, begin_ms, amounts, kinds, need)]
    InsightFile(tmp_path / "insights.sqlite").commit(Commit(waste=rows))
    view, there = InsightView(tmp_path / "insights.sqlite"), replace(meter(1), zone="Asia/Kolkata")
    found = view.needed(there, begin_ms, begin_ms + DAY_MS)
    assert found.start_ms.tolist() == [begin_ms + hour * HOUR_MS for hour in range(24)]
    (wasted_ms,) = view.waste([there], begin_ms, begin_ms + DAY_MS).start_ms.tolist()
    assert found.rate[found.start_ms == wasted_ms].tolist() == [1005.0]


def test_a_page_of_waste_reads_waste_alone_and_by_its_index(tmp_path: Path) -> None:
    """Waste is told apart by what is shown of an event, whatever was found of its cause first."""
    path = tmp_path / "insights.sqlite"
    file = InsightFile(path)
    spike = replace(weekend(1, 2), id="spike", kind=EventKind.SPIKE)
    later = replace(weekend(2, 3), id="later", kind=EventKind.SPIKE)
    file.commit(
        Commit(
            events=[
                Filed("a", weekend(1, 1)),
                Filed("b", spike),
                Filed("c", later, shown=replace(later, kind=EventKind.WEEKEND, amount=7.0)),
            ]
        )
    )
    view, points = InsightView(path), [meter(1), meter(2)]
    far_ms = 4_000_000_000_000
    assert sum(map(len, view.events(points, 0, far_ms).values())) == 3
    found = view.events(points, 0, far_ms, waste=True)
    assert [one.id for one in found[1]] == [weekend(1, 1).id]
    assert [(one.id, one.kind) for one in found[2]] == [("later", EventKind.WEEKEND)]
    for waste, some in ((True, found), (False, view.events(points, 0, far_ms))):
        briefs = [
            EventBrief(e.id, e.series, e.start_ms, e.size) for of in some.values() for e in of
        ]
        assert sorted(view.briefs(points, 0, far_ms, waste=waste)) == sorted(briefs)
    asked = [view.briefs(some, 0, far_ms, waste=True) for some in (points, points, points[:1])]
    assert asked[0] is asked[1]  # nobody has written: it is not read again
    assert [len(one) for one in asked] == [2, 2, 1]
    file.commit(Commit(events=[Filed("d", weekend(2, 9))]))
    assert len(view.briefs(points, 0, far_ms, waste=True)) == 3
    file.forget([2])
    assert [one.series for one in view.briefs(points, 0, far_ms, waste=True)] == [1]
    back = weekend(2, 9, kind=EventKind.NEGATIVE)
    file.commit(Commit(events=[Filed("e", back), Filed("f", later, shown=replace(back, id="f"))]))
    sizes = [one.amount for one in view.briefs(points[1:], 0, far_ms)]
    assert np.isnan(sizes).all(), "a register that was set back is no saving"
    plan = view._reader.rows(
        "EXPLAIN QUERY PLAN SELECT id FROM event WHERE cause = '' AND series IN (1, 2)"
        " AND coalesce(shown_until_ms, end_ms) > 5"
    )
    assert "event_shown" in str(plan)


def test_what_is_always_on_is_read_for_many_at_once(tmp_path: Path) -> None:
    """Of streams of which it is not known yet nothing is said."""
    path = tmp_path / "insights.sqlite"
    known = Standing(120.0, 80.0, MONDAY_MS, 900.0, 0.4)
    InsightFile(path).commit(Commit(standings={2: encode(known)}))
    assert InsightView(path).standing([meter(1), meter(2)]) == {2: known}
