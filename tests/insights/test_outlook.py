"""What the end of a day, a week or a month will come to."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.insights.hours import WEEK_H
from kilowatch.insights.outlook import highest, rest


def test_the_middle_of_a_sum_lies_within_its_band_also_where_use_falls_week_by_week() -> None:
    """Each guess of the last weeks was too high: that makes no band that ends at the middle."""
    hours = np.arange(12 * WEEK_H)
    noise = np.random.default_rng(1).normal(0, 20, len(hours))
    past = 1_000.0 - 0.2 * hours + 300 * np.sin(hours * np.pi / 12) + noise
    rate = np.tile(past[-48:], (5, 1)) + np.array([-60, -20, 0, 20, 60])[:, None]
    low, middle, high = rest(past, rate, 400)
    assert low < middle < high
    assert (high - middle) > 0.2 * (middle - low)


def test_a_peak_that_comes_each_thursday_is_foreseen_on_monday() -> None:
    """60 kW on one day of the week lie beyond the forecast's 48 hours, and in the week's peak."""
    chance = np.random.default_rng(2)
    hours = np.arange(14 * WEEK_H + 10)  # up to a Monday, 10:00
    past = 20_000 + 10_000 * (hours % 24 > 7) + chance.normal(0, 300, len(hours))
    past[(hours // 24 % 7 == 3) & (hours % 24 == 14)] = 60_000 + chance.normal(0, 500, 14)
    tuesday = past[-168:][:48]
    rate = tuesday + np.array([-800, -300, 0, 300, 800])[:, None]
    day, week, month = (highest(past, rate, count) for count in (14, 6 * 24 + 14, 27 * 24))
    assert 29_500 < day[1] < 32_000
    for one in (week, month):
        assert one[0] < one[1] < one[2]
        assert 59_000 < one[1] < 62_000
        assert 57_000 < one[0] < one[2] < 64_000
    # So close to the end of the week that all of it is forecast, nothing of Thursday is left.
    assert highest(past, rate, 40)[2] < 33_000


def test_a_peak_is_told_from_whatever_is_known() -> None:
    """Three weeks of data: the forecast alone; no forecast at all: nothing."""
    past = np.tile(np.arange(24.0), 21)
    rate = np.tile(past[:48], (5, 1)) + np.array([-2, -1, 0, 1, 2])[:, None]
    low, middle, high = highest(past, rate, 200)
    assert low < middle < high
    assert middle == pytest.approx(23, abs=0.5)
    assert np.isnan(highest(past[:100], np.full((5, 48), np.nan), 20)).all()
