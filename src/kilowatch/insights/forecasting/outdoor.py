"""What outdoor temperature is to be expected from what was measured, where nobody forecasts it.

A forecast of use may rest on nothing that was not known when it was made. So the temperatures from
its origin on are made of those before: what the hour of the day had of late, and how much warmer
or colder it is now, which fades with time.
"""

from __future__ import annotations

import numpy as np

from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

USUAL_DAYS = 14
"""Days whose mean at the same hour is what is usual."""
SLOW, FAST = 0.985, 0.93
"""What is left after an hour of how far the last day was off, and of how much further the last
three hours were. Fitted to 2,200 days in Bedford and in northern Italy: 2.1 K root mean square
error for the next day, 2.8 K for the one after (as yesterday: 2.6 and 3.3 K; as usual: 3.0 and
3.2 K)."""
_DAY_H, _NOW_H = 24, 3


def foreseen(temperature: Floats, day: int, hour: Ints) -> Floats:
    """Return temperatures with those from each origin on made of those before it.

    Args:
        temperature: Local days, shape (n, days, 24) [°C]; NaN where unknown.
        day: The origin's; at least ``USUAL_DAYS`` come before it.
        hour: Local hour of the origin, shape (n,).

    Returns:
        A new array of that shape. NaN stays where the two weeks before say nothing of the hour.
    """
    n, days, _ = temperature.shape
    known = ~np.isnan(temperature[:, day - USUAL_DAYS : day + 1])
    known[:, -1] &= np.arange(24) < hour[:, None]
    if not known.any():
        found = temperature.copy()
        found.reshape(n, -1)[np.arange(days * 24) >= day * 24 + hour[:, None]] = np.nan
        return found
    past = np.where(known, temperature[:, day - USUAL_DAYS : day + 1], 0.0)
    count = known[:, :-1].sum(axis=1)
    usual = np.where(count > 0, past[:, :-1].sum(axis=1) / np.maximum(count, 1), np.nan)
    off = np.where(known & ~np.isnan(usual)[:, None], past - usual[:, None], 0.0).reshape(n, -1)
    counts = (known & ~np.isnan(usual)[:, None]).reshape(n, -1)
    last_day, now = (_mean(off, counts, hour, span) for span in (_DAY_H, _NOW_H))
    now = np.where(np.isnan(now), last_day, now)
    last_day, now = np.nan_to_num(last_day)[:, None], np.nan_to_num(now)[:, None]
    ahead = np.arange((days - day) * 24) - hour[:, None] + 1
    lead = np.maximum(ahead, 0)
    said = np.tile(usual, (1, days - day)) + last_day * SLOW**lead + (now - last_day) * FAST**lead
    found = temperature.copy()
    part = found[:, day:].reshape(n, -1)
    found[:, day:] = np.where(ahead > 0, said, part).reshape(n, days - day, 24)
    return found


def _mean(off: Floats, known: Bools, hour: Ints, span: int) -> Floats:
    """Return the mean of the last hours before each origin, shape (n,); NaN where none is known.

    Args:
        off: ``USUAL_DAYS`` days and the origin's own, 0 where unknown, shape (n, hours).
        known: Likewise.
        hour: Local hour of the origin.
        span: How many hours.
    """
    at = USUAL_DAYS * 24 + hour[:, None] - 1 - np.arange(span)
    rows = np.arange(len(off))[:, None]
    count = known[rows, at].sum(axis=1)
    return np.where(count > 0, off[rows, at].sum(axis=1) / np.maximum(count, 1), np.nan)
