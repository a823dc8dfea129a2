"""What outdoor temperature is expected from what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.insights.forecasting.outdoor import USUAL_DAYS, foreseen
from kilowatch.model.blocks import Floats

DAYS = USUAL_DAYS + 3
MIDNIGHT = np.zeros(1, np.int64)


def daily(of: Floats) -> Floats:
    """Return a place with a warm afternoon, whose days are as much warmer as is said."""
    hours = np.arange(24)
    found: Floats = 10 + 4 * np.sin((hours - 9) / 24 * 2 * np.pi) + of[:, None]
    return found[None]


def test_what_came_after_the_origin_is_not_looked_at() -> None:
    """Fifteen degrees more from then on change nothing."""
    outdoor = daily(np.zeros(DAYS))
    other = outdoor.copy()
    other[:, USUAL_DAYS:] += 15
    np.testing.assert_array_equal(
        foreseen(outdoor, USUAL_DAYS, MIDNIGHT), foreseen(other, USUAL_DAYS, MIDNIGHT)
    )


def test_steady_weather_goes_on_as_it_was() -> None:
    """Where each day is like the last, so is the next."""
    outdoor = daily(np.zeros(DAYS))
    np.testing.assert_allclose(foreseen(outdoor, USUAL_DAYS, MIDNIGHT), outdoor)


def test_a_warm_spell_fades() -> None:
    """An hour later most of a warm day is left, two days later a third of it."""
    warm = np.zeros(DAYS)
    warm[USUAL_DAYS - 1] = 7.0
    outdoor = daily(warm)
    said = foreseen(outdoor, USUAL_DAYS, MIDNIGHT)[0, USUAL_DAYS:] - daily(np.zeros(3))[0]
    usual = 7.0 / USUAL_DAYS  # the warm day is one of those that say what is usual
    assert said[0, 0] == pytest.approx(usual + (7 - usual) * 0.985, abs=1e-9)
    assert (np.diff(said.ravel()) < 0).all()
    assert said[-1, -1] < 4


def test_what_was_measured_of_the_origins_own_day_stays() -> None:
    """A morning that is warmer than usual says so of the afternoon."""
    outdoor = daily(np.zeros(DAYS))
    outdoor[:, USUAL_DAYS, :6] += 3
    said = foreseen(outdoor, USUAL_DAYS, np.array([6]))
    np.testing.assert_array_equal(said[:, :USUAL_DAYS], outdoor[:, :USUAL_DAYS])
    np.testing.assert_array_equal(said[0, USUAL_DAYS, :6], outdoor[0, USUAL_DAYS, :6])
    assert said[0, USUAL_DAYS, 6] == pytest.approx(
        outdoor[0, USUAL_DAYS, 6] + 0.75 * 0.985 + 2.25 * 0.93  # a quarter of the last day was warm
    )


@pytest.mark.parametrize("gap", [3, 30])
def test_a_thermometer_that_was_silent_is_bridged(gap: int) -> None:
    """Of three hours without a value, and of a day and more."""
    outdoor = daily(np.zeros(DAYS))
    outdoor.reshape(1, -1)[:, USUAL_DAYS * 24 - gap : USUAL_DAYS * 24] = np.nan
    said = foreseen(outdoor, USUAL_DAYS, MIDNIGHT)
    np.testing.assert_allclose(said[0, USUAL_DAYS:], daily(np.zeros(3))[0])


def test_without_a_thermometer_nothing_is_said() -> None:
    """Neither where none is, nor of one that begins tomorrow."""
    outdoor = np.full((2, DAYS, 24), np.nan)
    outdoor[1, USUAL_DAYS:] = 20.0  # it is yet to come
    said = foreseen(outdoor, USUAL_DAYS, np.zeros(2, np.int64))
    assert np.isnan(said).all()
