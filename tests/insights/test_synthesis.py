"""Faults that detectors are taught with, and what the trees that were taught promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.insights.anomalies import judging
from kilowatch.insights.anomalies.alarms import GROUP_OF, Group
from kilowatch.insights.anomalies.synthesis import (
    CHANGES,
    inject,
    mixed,
    with_other_base,
)

DAYS = 364


def _year(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    rng = np.random.default_rng(seed)
    hour = np.arange(DAYS * 24)
    busy = (hour % 24 >= 8) & (hour % 24 < 18) & (hour // 24 % 7 < 5)
    values = np.where(busy, 50.0, 10.0) * np.exp(0.1 * rng.standard_normal(len(hour)))
    values[rng.random(len(hour)) < 0.01] = np.nan
    return values


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_nothing_is_changed_outside_of_a_fault(seed: int) -> None:
    """What is taught as clean is the building's own; faults leave a week between them."""
    values = _year(seed)
    changed, faults = inject(values, np.random.default_rng(seed), first=1000)
    inside = np.zeros(len(values), np.bool_)
    for one in faults:
        assert 1000 <= one.first < one.last <= len(values)
        assert not inside[max(one.first - 8 * 24, 0) : one.last].any()
        inside[one.first : one.last] = True
    assert np.array_equal(values[~inside], changed[~inside], equal_nan=True)


def test_every_form_of_fault_is_really_put_in() -> None:
    """Sixty years hold each of them, and only they are taught."""
    found = Counter[str]()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found.update(one.variant for one in inject(_year(seed), rng, first=500)[1])
    assert set(found) == set(CHANGES)
    assert {kind for kind, _ in CHANGES.values()} == set(GROUP_OF)
    assert min(found.values()) >= 5


def test_a_form_is_drawn_as_often_as_was_asked() -> None:
    """What is hard to tell from habits can be taught more often; what has no chance never comes."""
    chances = dict.fromkeys(CHANGES, 0.0) | {"level": 3.0, "spike": 1.0}
    found = Counter[str]()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.update(one.variant for one in inject(_year(seed), rng, first=500, chances=chances)[1])
    assert set(found) == {"level", "spike"}
    assert 1.5 < found["level"] / found["spike"] < 6


def test_two_buildings_are_mixed_by_size_and_not_by_unit() -> None:
    """One in kWh and one in Wh count alike; an hour that either lacks is missing."""
    one, other = _year(1), _year(2)
    both = mixed(one, other, 0.25)
    assert np.allclose(both, mixed(one, 1000 * other, 0.25), equal_nan=True)
    assert np.nanmean(both) == pytest.approx(np.nanmean(one), rel=0.02)
    assert np.array_equal(np.isnan(both), np.isnan(one) | np.isnan(other))


def test_another_base_load_moves_nights_more_than_days() -> None:
    """What is taken away or added is the same in each hour, so quiet hours change most."""
    values = _year(3)
    values[100:110] = 0.0
    for part, side in ((-0.8, -1), (1.5, 1)):
        changed = with_other_base(values, part)
        ratio = np.log(changed / np.where(values > 0, values, np.nan))
        day = np.arange(len(values)) % 24 == 12
        night = np.arange(len(values)) % 24 == 2
        assert side * np.nanmedian(ratio[night]) > 2 * side * np.nanmedian(ratio[day]) > 0
        assert (changed[100:110] == 0).all()
        assert np.nanmin(changed[values > 0] / values[values > 0]) >= 0.2 - 1e-12


def test_a_smaller_budget_is_a_higher_limit() -> None:
    """Half as many false alarms: 0.3 more on the scale of the scores, whatever the group."""
    whole, half = judging.judge().limits(1.0), judging.judge().limits(0.5)
    assert len(whole) == len(Group)
    assert (half - whole).tolist() == pytest.approx([np.log10(2)] * len(Group))
    with pytest.raises(ValueError, match="budget"):
        judging.judge().limits(0)


def test_rates_fall_as_scores_rise() -> None:
    """A higher raw score is never reached more often on untouched histories."""
    trees = judging.judge()
    assert trees.rates.shape == (len(Group), len(trees.levels))
    assert (np.diff(trees.levels) > 0).all()
    assert (np.diff(trees.rates, axis=1) <= 0).all()


def test_trees_of_other_measures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that means something else would be judged as what it was."""
    packed = judging.pack([], "", {"version": "x", "levels": [], "rates": [], "shares": []})
    monkeypatch.setattr(judging, "NAMES", ("other",))
    with pytest.raises(RuntimeError, match="other measures"):
        judging.unpack(packed)
