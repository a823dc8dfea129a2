"""Insights follow the pipeline on the time of the data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilowatch.insights import anomalies
from kilowatch.pipeline.insight import models, stepping
from kilowatch.pipeline.insight.file import InsightFile
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, Building, meter, office
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS


def test_an_hour_is_looked_at_when_the_next_packet_shows_that_it_is_complete(
    tmp_path: Path,
) -> None:
    """An hour that the meter may still add to is not judged; one that is over is, at once."""
    building = Building(tmp_path, [meter(1)])
    use = {1: office(1)}
    for hours in range(1, 30):
        building.push(use, 1)
        building.follow()
        kept = InsightFile(building.path).kept()
        looked = kept[1].cursor_ms if kept else MONDAY_MS
        assert looked == MONDAY_MS + hours * HOUR_MS - (HOUR_MS if _is_open(building, hours) else 0)


def _is_open(building: Building, hours: int) -> bool:
    """Tell whether the last hour pushed can still be changed by a packet in order."""
    since_ms = building.world.streams.states[1].progress.since_ms
    return since_ms < MONDAY_MS + hours * HOUR_MS


def test_bands_are_known_before_their_day_begins(tmp_path: Path) -> None:
    """What was expected of a day rests on the days before it, and hugs what an office does."""
    building = Building(tmp_path, [meter(1), meter(2)])
    use = {1: office(4, 1), 2: office(4, 2)}
    building.push(use)
    building.follow()
    point = building.world.points.points[1]
    expected = building.view.expected(point, MONDAY_MS, MONDAY_MS + 4 * 7 * DAY_MS)
    assert len(expected.start_ms) == 4 * WEEK_H - 24  # of the first day nothing was known
    assert (expected.made_ms <= expected.start_ms).all()
    last = expected.rate[:, -WEEK_H + 24 : -24]
    actual = use[1][-WEEK_H + 24 : -24]
    assert np.abs(last[2] - actual).mean() < 0.1 * actual.mean()
    assert building.view.state().streams == 2
    assert building.follower.backlog.streams == 0


def test_history_that_was_computed_again_is_looked_at_again(tmp_path: Path) -> None:
    """When a unit was wrong all along, every band is made anew from the right figures."""
    building = Building(tmp_path, [meter(1)])
    building.push({1: office(3)})
    building.follow()
    point = building.world.points.points[1]
    before = building.view.expected(point, MONDAY_MS, MONDAY_MS + 21 * DAY_MS).rate[2]
    building.world.points.change(1, unit="kWh")
    building.world.catch_up()
    building.follow()
    point = building.world.points.points[1]
    after = building.view.expected(point, MONDAY_MS, MONDAY_MS + 21 * DAY_MS).rate[2]
    np.testing.assert_allclose(after, 1000 * before, rtol=1e-6)


def test_a_stop_does_not_wait_for_the_month_that_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month of 256 streams is 14 s of one core: it is given up at the next midnight.

    Nothing of it is kept, and the next start finds what it would have found.
    """
    building = Building(tmp_path, [meter(1)])
    building.push({1: office(3)})
    days: list[int] = []
    forecast = models.forecast

    def noted(*arguments: Any, **named: Any) -> Any:
        days.append(1)
        if len(days) == 3:
            building.follower.stop()
        return forecast(*arguments, **named)

    monkeypatch.setattr(stepping, "forecast", noted)
    assert not building.follower.tick()
    assert len(days) == 3
    kept = InsightFile(building.path).kept()
    assert all(one.cursor_ms == one.birth_ms for one in kept.values())
    building.follower.close()
    monkeypatch.undo()
    building.start()
    building.follow()
    point = building.world.points.points[1]
    after = building.view.expected(point, MONDAY_MS, MONDAY_MS + 3 * 7 * DAY_MS)
    building.start("undisturbed.sqlite")
    building.follow()
    before = building.view.expected(point, MONDAY_MS, MONDAY_MS + 3 * 7 * DAY_MS)
    np.testing.assert_array_equal(after.rate, before.rate)
    assert len(after.start_ms) == 3 * WEEK_H - 24


def test_nobody_knows_what_is_due_until_it_was_counted(tmp_path: Path) -> None:
    """A start that says that nothing is due, before it has looked, lets pages say so too."""
    building = Building(tmp_path, [meter(1)])
    assert building.follower.backlog.starting
    building.follow()
    assert not building.follower.backlog.starting
    assert building.follower.backlog.hours == 0


def test_a_day_of_half_an_hour_more_is_looked_at_like_any_other(tmp_path: Path) -> None:
    """Lord Howe Island moves its clocks by half an hour: a band of 24 hours meets 24.5.

    It had stopped the insights of every stream of the installation, for good.
    """
    building = Building(tmp_path, [meter(1, zone="Australia/Lord_Howe", interval_s=1800)])
    first_ms = MONDAY_MS + 77 * DAY_MS  # 18 March 2024; the clocks go back on 7 April
    half_hours = 2 * 24 * 25
    for half in range(half_hours):
        building.world.log.push(1, first_ms + half * HOUR_MS // 2, {"value": 9_000.0 + half % 7})
        if half % 40 == 39:  # live: a band is kept from one look to the next
            building.world.catch_up()
            building.follow()
    kept = InsightFile(building.path).kept()[1]
    assert first_ms + half_hours * HOUR_MS // 2 - kept.cursor_ms <= HOUR_MS
    assert building.follower.backlog.fault == ""


def test_a_day_of_27_hours_is_looked_at_like_any_other(tmp_path: Path) -> None:
    """Casey Station set its clocks back by three hours: the day before began 27 hours ago."""
    supply = meter(1, zone="Antarctica/Casey", kind="electrical", behaviour="register")
    building = Building(tmp_path, [supply])
    first_ms = MONDAY_MS - 300 * DAY_MS  # 7 March 2023; it happened on the 9th
    for hour in range(96):
        building.world.log.push(1, first_ms + hour * HOUR_MS, {"pC_1": 900.0 * hour})
        if hour % 12 == 11:
            building.world.catch_up()
            building.follow()
    kept = InsightFile(building.path).kept()[1]
    assert first_ms + 95 * HOUR_MS - kept.cursor_ms <= HOUR_MS
    assert building.follower.backlog.fault == ""


def test_a_stream_that_can_not_be_looked_at_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stream's data that nobody thought of is told by its name; its neighbours go on."""
    now_s = [0.0]
    building = Building(tmp_path, [meter(1), meter(2), meter(3)])
    building.push({series: office(1, series) for series in (1, 2, 3)})
    building.start(clock=lambda: now_s[0])
    scan = anomalies.scan

    def broken(state: Any, hours: Any, *rest: Any) -> Any:
        if bad[0] and np.isclose(hours.values[:, 0], strange).any():
            raise ValueError("a shape that nobody thought of")
        return scan(state, hours, *rest)

    bad, strange = [True], office(1, 2)[0]
    monkeypatch.setattr(anomalies, "scan", broken)
    for _ in range(3):  # together, one by one, and nothing more to do
        building.follow()
    kept = InsightFile(building.path).kept()
    week_ms = MONDAY_MS + 7 * DAY_MS
    assert [week_ms - kept[one].cursor_ms <= HOUR_MS for one in (1, 3)] == [True, True]
    assert 2 not in kept
    assert "'meter-2' alone, a shape that nobody" in building.follower.backlog.fault
    bad[0] = False
    building.follow()
    assert 2 not in InsightFile(building.path).kept()  # it waits
    now_s[0] += 61.0
    building.follow()
    assert week_ms - InsightFile(building.path).kept()[2].cursor_ms <= HOUR_MS
    assert (building.follower.backlog.streams, building.follower.backlog.fault) == (0, "")
