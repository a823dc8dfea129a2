"""Heating and cooling degree days, from hourly temperatures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats, Ints

MIN_HOURS = 20
"""Known hours that a day needs; the missing ones are then taken to be like the others."""


@dataclass(frozen=True)
class DegreeDays:
    """Degree days of local days.

    Attributes:
        day: The days, counted from 1970-01-01, shape (days,).
        heating: Shape (streams, days) [K·d]; NaN where too few hours are known.
        cooling: Likewise.
    """

    day: Ints
    heating: Floats
    cooling: Floats


def degree_days(hours: Hours, heating_base_c: float, cooling_base_c: float) -> DegreeDays:
    """Sum up by how much and for how long it was colder, or warmer, than a base.

    By the hourly method: each hour counts with its own temperature, so that a day with a cold
    night and a hot afternoon has both heating and cooling degree days. The mean method sees
    neither. A local day of 23 or 25 hours counts as one day.

    Args:
        hours: With outdoor temperature.
        heating_base_c: Below it a building needs heating [°C]; set for each site.
        cooling_base_c: Above it a building needs cooling [°C].

    Source:
        CIBSE TM41, "Degree-days: theory and application", 2006, section 2.2: mean degree-hours.
    """
    day, row = np.unique(hours.day, return_inverse=True)
    shape = hours.streams, len(day)
    if hours.temperature_c is None:
        return DegreeDays(day, np.full(shape, np.nan), np.full(shape, np.nan))
    known = ~np.isnan(hours.temperature_c)
    below = np.maximum(heating_base_c - hours.temperature_c, 0)
    above = np.maximum(hours.temperature_c - cooling_base_c, 0)
    count = _by_day(known.astype(np.float64), row, len(day))
    whole = np.bincount(row, minlength=len(day))
    enough = count >= np.minimum(whole, MIN_HOURS)
    heating, cooling = (
        np.where(enough, _by_day(np.where(known, part, 0.0), row, len(day)), np.nan)
        / np.maximum(count, 1)
        for part in (below, above)
    )
    return DegreeDays(day, heating, cooling)


def _by_day(values: Floats, row: Ints, days: int) -> Floats:
    return np.stack([np.bincount(row, weights=one, minlength=days) for one in values])
