"""Faults that detectors are taught with, and what the trees that were taught promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.insights.anomalies import judging
from kilowatch.insights.anomalies.alarms import GROUP_OF, Group
from kilowatch.insights.anomalies.synthesis import CHANGES, inject

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
