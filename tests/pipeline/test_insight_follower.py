"""Insights follow the pipeline on the time of the data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
