"""Ordinary life that is made up: buildings grow, shrink and are lived in otherwise."""

from __future__ import annotations

import numpy as np

from kilowatch.evaluation.made_up_life import live
from kilowatch.insights.waste import learn
from tests.insights.waste_world import YEAR_H, office, with_values

WORLD = office(60, streams=40)
REFERENCE = learn(WORLD.hours(0, YEAR_H))
LATER = WORLD.hours(YEAR_H - 4 * 168, WORLD.count)
LIVED = live(LATER, REFERENCE, np.random.default_rng(1))


def test_some_buildings_take_more_some_less_and_some_as_much_as_before() -> None:
    """What the gate learns as ordinary goes both ways, and nobody takes less than nothing."""
    change = (LIVED - LATER.values).mean(axis=1) / REFERENCE.scale
    assert (LIVED >= 0).all()
    assert (change > 0.01).sum() >= 5
    assert (change < -0.01).sum() >= 5
    assert (change == 0).any()
    assert np.abs(change).max() < 1


def test_another_use_leaves_the_base_where_it_was() -> None:
    """A building that is used more has higher days and the same nights: seen with some of them."""
    working = (LATER.weekday < 5) & (LATER.hour_of_day >= 9) & (LATER.hour_of_day < 17)
    night = LATER.hour_of_day < 5
    more = (LIVED - LATER.values) / REFERENCE.scale[:, None]
    by_day = np.abs(more[:, working].mean(axis=1))
    by_night = np.abs(more[:, night].mean(axis=1))
    assert ((by_day > 0.05) & (by_night < 0.2 * by_day)).any()


def test_a_stream_without_a_need_is_left_as_it_was() -> None:
    """Without a base nobody can say what another use of it would be, and unknown hours stay so."""
    short = learn(WORLD.hours(0, 10 * 24))
    gap = LATER.values.copy()
    gap[:, :100] = np.nan
    with_gap = with_values(LATER, gap)
    assert np.array_equal(live(with_gap, short, np.random.default_rng(1)), gap, equal_nan=True)
    lived = live(with_gap, REFERENCE, np.random.default_rng(1))
    assert np.array_equal(np.isnan(lived), np.isnan(gap))
