"""What the end of a day, a week or a month will come to."""

from __future__ import annotations

import numpy as np

from kilowatch.insights.hours import WEEK_H
from kilowatch.insights.outlook import rest


def test_the_middle_of_a_sum_lies_within_its_band_also_where_use_falls_week_by_week() -> None:
    """Each guess of the last weeks was too high: that makes no band that ends at the middle."""
    hours = np.arange(12 * WEEK_H)
    noise = np.random.default_rng(1).normal(0, 20, len(hours))
    past = 1_000.0 - 0.2 * hours + 300 * np.sin(hours * np.pi / 12) + noise
    rate = np.tile(past[-48:], (5, 1)) + np.array([-60, -20, 0, 20, 60])[:, None]
    low, middle, high = rest(past, rate, 400)
    assert low < middle < high
    assert (high - middle) > 0.2 * (middle - low)
