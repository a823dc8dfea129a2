"""Sums at the end of day, week and month: what was measured of them, and what is to come."""

from __future__ import annotations

import numpy as np

from kilowatch.insights.hours import WEEK_H
from kilowatch.model.blocks import Floats

WEEKS_BACK = 4
"""Weeks whose same hours say what an hour beyond the forecast will be."""
TRIALS = 28
"""Days back on which the same sum was guessed in the same way, for its band."""


def beyond(past: Floats, first: int, count: int) -> Floats:
    """Return what hours beyond a forecast will be, as the median of the same hours of weeks before.

    Args:
        past: One stream up to now, shape (hours,) [W or m³/h]; NaN where unknown.
        first: How many hours after now the first one lies.
        count: How many there are.
    """
    place = len(past) + first + np.arange(count)
    back = -(-(first + count) // WEEK_H)  # whole weeks that lead before now
    index = place[None] - WEEK_H * (back + np.arange(WEEKS_BACK))[:, None]
    found = np.where(index >= 0, past[np.clip(index, 0, len(past) - 1)], np.nan)
    known = np.isfinite(found).any(axis=0)
    out = np.full(count, np.nan)
    if known.any():
        out[known] = np.nanmedian(found[:, known], axis=0)
    return out


def ahead(past: Floats, rate: Floats, count: int) -> Floats:
    """Return the middle of each of the next hours, shape (count,) [W or m³/h]; 0 where unknown.

    Arguments as of ``rest``.
    """
    near = min(count, rate.shape[1])
    far = beyond(past, near, count - near) if count > near else np.empty(0)
    return np.asarray(np.nan_to_num(np.concatenate([rate[2, :near], far])), np.float64)


def rest(past: Floats, rate: Floats, count: int) -> Floats:
    """Return the sum of the next ``count`` hours at 5, 50 and 95 %, shape (3,) [Wh or m³].

    The middle is the forecast's as far as it goes, and similar weeks' beyond it. The band is what
    sums of as many hours were off by, guessed from similar weeks on each of the last days; within
    the forecast's own hours, its band where that is narrower.

    Args:
        past: One stream up to now, shape (hours,) [W or m³/h].
        rate: Quantiles of the next hours, shape (5, horizon).
        count: Hours that are left; at least one.
    """
    near = min(count, rate.shape[1])
    middle = rate[2, :near]
    total = float(ahead(past, rate, count).sum())
    off = _off(past, count)
    if len(off):
        off = off - np.median(off)  # what all guesses were off by is no reason for a skew band
    # Hours of one day are off together: between all at once and each by itself, half way.
    half = [np.abs(rate[edge, :near] - middle) for edge in (0, 4)]
    own = [0.5 * np.nansum(one) + 0.5 * np.sqrt(np.nansum(one**2)) for one in half]
    if len(off) >= TRIALS // 2:
        # Trials overlap: few of them are independent, and the quantiles of few lie too close.
        wider = 1 + (max(count, 24) / (24 * len(off))) ** 0.5
        low, high = wider * np.quantile(off, (0.05, 0.95))
        if count <= near:
            low, high = max(low, -own[0]), min(high, own[1])
        low, high = min(low, 0.0), max(high, 0.0)
    else:
        share = count / max(near, 1)
        low, high = -own[0] * share, own[1] * share
    return np.array([max(total + low, 0.0) if total >= 0 else total + low, total, total + high])


def _off(past: Floats, count: int) -> Floats:
    """Return by how much guesses of as many hours were off, one for each of the last days."""
    found = []
    for day in range(TRIALS):
        origin = len(past) - count - 24 * day
        if origin < WEEK_H:
            break
        came = past[origin : origin + count]
        guess = beyond(past[:origin], 0, count)
        both = np.isfinite(came) & np.isfinite(guess)
        if both.mean() > 0.8:
            found.append((came[both] - guess[both]).sum() / both.mean())
    return np.array(found)
