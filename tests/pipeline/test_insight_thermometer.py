"""Hours wait a while for the temperature of the same hours, and not for a dead thermometer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.site_facts import SiteFacts
from tests.pipeline.insight_history import History
from tests.pipeline.insight_world import MONDAY_MS, WEEK_H, meter, office

DEAD_H = 2 * WEEK_H
"""When the thermometer said something for the last time."""


def site(folder: Path) -> History:
    """Return an office with an outdoor temperature that ends after two weeks."""
    outdoor = np.full(4 * WEEK_H, 10.0)
    outdoor[DEAD_H:] = np.nan
    points = [meter(1), meter(2, utility="temperature", unit="°C", behaviour="gauge")]
    facts = {1: SiteFacts(1, "Europe/Dublin", "IE", "", "EUR", temperature_point=2)}
    found = History(folder, points, {1: office(4), 2: outdoor}, facts)
    found.start()
    return found


@pytest.mark.parametrize(
    ("ahead_h", "looked_at_h"), [(0, 0), (6, 0), (7, 1), (48, 42), (49, 49), (200, 200)]
)
def test_a_dead_thermometer_delays_nobody(tmp_path: Path, ahead_h: int, looked_at_h: int) -> None:
    """Each hour waits for six hours; after two days of silence hours are looked at as they come."""
    history = site(tmp_path)
    history.come(2, DEAD_H)
    history.come(1, DEAD_H + ahead_h)
    history.follow()
    reached = (history.follower._kept[1].cursor_ms - MONDAY_MS) // HOUR_MS
    assert reached == DEAD_H + looked_at_h


@pytest.mark.parametrize("each_h", [8, 24])
def test_a_thermometer_that_delivers_now_and_then_is_not_dead(tmp_path: Path, each_h: int) -> None:
    """Imported once a day: the last six hours of each delivery have their temperature."""
    history = site(tmp_path)
    given_h = DEAD_H - 4 * each_h
    history.come(2, given_h)
    for hour in range(given_h, DEAD_H + 1):
        history.come(1, hour)
        if hour > given_h and hour % each_h == 0:
            history.follow()
            reached = (history.follower._kept[1].cursor_ms - MONDAY_MS) // HOUR_MS
            assert reached == hour - 6, "six hours of the day still wait for what is delivered now"
            history.come(2, hour)
        history.follow()
    reached = (history.follower._kept[1].cursor_ms - MONDAY_MS) // HOUR_MS
    assert reached == DEAD_H


def test_a_thermometer_that_speaks_again_is_waited_for_again(tmp_path: Path) -> None:
    """After a silence of a day, hours have their temperature beside them as before."""
    history = site(tmp_path)
    history.come(2, DEAD_H)
    history.come(1, DEAD_H + 24)
    history.follow()
    history.come(2, DEAD_H + 25)
    history.come(1, DEAD_H + 28)
    history.follow()
    reached = (history.follower._kept[1].cursor_ms - MONDAY_MS) // HOUR_MS
    assert reached == DEAD_H + 25
