"""A few hours that no use explains are left out; what happens more often is what a stream does."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.insights.bounds import bounded

HOURS = 56 * 24
USE = np.random.default_rng(1).lognormal(2, 0.5, (3, HOURS))


@pytest.mark.parametrize("leap", [-500.0, 1e3, 1e9, 1e200])
def test_a_leap_is_left_out_and_nothing_else(leap: float) -> None:
    """One hour of one stream: the others stay as they are, in that stream too."""
    values = USE.copy()
    values[1, 700] = leap
    left = np.isnan(bounded(values))
    assert left[1, 700]
    assert left.sum() == np.isnan(bounded(USE)).sum() + 1


def test_ordinary_hours_stay() -> None:
    """Even of a use as skewed as this: no more than one hour in five hundred."""
    assert np.isnan(bounded(USE)).mean() < 0.002
    steady = 10 + np.random.default_rng(2).normal(0, 1, (2, HOURS))
    assert bounded(steady) is steady


def test_what_happens_more_often_is_no_leap() -> None:
    """A level that stays is out of bounds for a hundredth of eight weeks and no longer."""
    values = USE.copy()
    values[:, -10:] = 400
    assert np.isnan(bounded(values)[:, -10:]).all()
    values[:, -20:-10] = 400
    assert not np.isnan(bounded(values)[:, -10:]).any()


def test_a_young_stream_is_believed() -> None:
    """With fewer than 100 hours nobody knows the bounds."""
    values = USE[:, :99].copy()
    values[:, 50] = 1e6
    np.testing.assert_array_equal(bounded(values), values)


def test_what_is_seldom_used_is_used() -> None:
    """A pump that runs ten hours in eight weeks runs."""
    values = np.zeros((1, HOURS))
    values[0, 300:310] = 4_000
    np.testing.assert_array_equal(bounded(values), values)


def test_what_is_unknown_stays_unknown() -> None:
    """Gaps move no bound, and a stream without a value passes."""
    values = USE.copy()
    values[0, ::2] = np.nan
    values[2] = np.nan
    values[0, 701] = 1e7
    left = bounded(values)
    assert np.isnan(left[0, 701])
    assert np.isnan(left[2]).all()
