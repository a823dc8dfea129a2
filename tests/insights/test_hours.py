"""The grid of hours that all analytics work on."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.insights.hours import Hours
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

OCTOBER_MS = 1_761_346_800_000  # 2025-10-25 00:00 in Dublin


def _hours(count: int, streams: int = 2) -> Hours:
    shape = (streams, count)
    values = np.arange(streams * count, dtype=np.float64).reshape(shape)
    return Hours(OCTOBER_MS, values, Zone.of("Europe/Dublin"), np.zeros(shape, np.bool_))


def test_an_autumn_sunday_has_25_hours_of_one_local_day() -> None:
    """The repeated hour is an hour of its own, and belongs to the same day."""
    hours = _hours(24 + 25 + 24)
    days, counts = np.unique(hours.day, return_counts=True)
    assert counts.tolist() == [24, 25, 24]
    assert hours.weekday[:24].tolist() == [5] * 24  # a Saturday
    assert hours.hour_of_day[24:49].tolist() == [0, 1, 1, *range(2, 24)]
    assert len(days) == 3


def test_a_part_knows_its_own_time() -> None:
    """Cut out of the middle, an hour keeps its place in the week."""
    hours = _hours(100)
    part = hours.hours(30, 60)
    assert part.start_ms.tolist() == hours.start_ms[30:60].tolist()
    assert part.hour_of_week.tolist() == hours.hour_of_week[30:60].tolist()
    assert part.only(np.array([1])).values.tolist() == hours.values[1:, 30:60].tolist()
    assert part.first_ms == OCTOBER_MS + 30 * HOUR_MS


def test_shapes_that_do_not_fit_are_refused() -> None:
    """A flag for each hour of each stream, or it would speak of another one."""
    with pytest.raises(ValueError, match="holidays"):
        Hours(0, np.zeros((2, 3)), Zone.of("UTC"), np.zeros((2, 4), np.bool_))
