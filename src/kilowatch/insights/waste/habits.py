"""How a building lives around its need: noise, spread and season of the reference period."""

from __future__ import annotations

import numpy as np

from kilowatch.insights.waste.days import Days, Past, low_quantile
from kilowatch.model.blocks import Floats, Ints

NIGHT, MIDDAY, EVENING = slice(0, 5), slice(9, 17), slice(19, 24)
"""Hours of the clock that stand for unoccupied and occupied use, whatever a building's hours."""
NEAR_DAYS = 14
"""Days on either side that make a week of the year."""


def mean(values: Floats) -> Floats:
    """Return the mean over the last axis, ignoring NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=-1)
    count = known.sum(axis=-1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def parts(share: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return means over whole days, nights, middays and evenings, each (streams, days)."""
    return (
        mean(share), mean(share[..., NIGHT]), mean(share[..., MIDDAY]), mean(share[..., EVENING])
    )  # fmt: skip


def week_of_year(first_day: int, count: int) -> Ints:
    """Return the week of the year of each day, 0 to 52, shape (count,)."""
    return day_of_year(first_day, count) // 7


def day_of_year(first_day: int, count: int) -> Ints:
    """Return the day of the year, 0 to 365, shape (count,)."""
    day = (first_day + np.arange(count)).astype("datetime64[D]")
    since = day - day.astype("datetime64[Y]").astype("datetime64[D]")
    return np.asarray(since, np.int64)


def habits(days: Days, share: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ``noise``, ``spread`` and ``season`` of a reference.

    Args:
        days: Days of the reference period.
        share: Distance from the need, shape (streams, days, 24) [share of scale].
    """
    streams = len(share)
    noise = np.full((streams, 2, 24), np.nan)
    for some, classes in days.groups():
        for shut in (0, 1):
            rows = np.flatnonzero((classes > 0) == bool(shut))
            if len(rows):
                away = np.abs(share[np.ix_(some, rows)])
                noise[some, shut] = low_quantile(away.transpose(1, 0, 2), 0.9)
    every = np.arange(days.count)
    week = Past.of(every, every, 7, today=True)
    series = parts(share)[:3]
    weekly = np.stack([week.mean(one, 0, 7) for one in series], axis=-1)
    centred = weekly - mean(weekly.transpose(0, 2, 1))[:, None]
    spread = np.sqrt(mean((centred**2).transpose(0, 2, 1)))
    season = np.zeros((streams, 53, 3))
    of_year = day_of_year(days.first, days.count)
    for number in range(53):
        away = np.abs(of_year - (number * 7 + 3))
        near = np.minimum(away, 365 - away) <= NEAR_DAYS
        if near.any():
            season[:, number] = np.stack([mean(one[:, near]) for one in series], axis=-1)
    return noise, spread, np.nan_to_num(season)
