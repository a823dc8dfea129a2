"""The end of day, week and month: the sums and the peak, measured so far and what is to come."""

from __future__ import annotations

import numpy as np

from kilowatch.insights.hours import WEEK_H
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import QUANTILES

WEEKS_BACK = 4
"""Weeks whose same hours say what an hour beyond the forecast will be."""
DAY_H = 24
KNOWN = 0.8
"""Share of a trial's hours that must be known."""
TRIED_D = 42
WIDER = 0.5
"""A stretch of days is as rare among the six weeks of trials as it is long: the band of its peak is
widened by so much of the root of that; chosen for nine peaks in ten on real meters."""
LEVELS: Floats = np.linspace(0.01, 0.99, 99)
"""Where the highest of a day is told [probability]."""
_EDGES = np.array((0.0, *QUANTILES, 1.0))
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
        if both.mean() > KNOWN:
            found.append((came[both] - guess[both]).sum() / both.mean())
    return np.array(found)


def highest(past: Floats, rate: Floats, count: int) -> Floats:
    """Return the highest of the next ``count`` hours at 5, 50 and 95 %, shape (3,) [W or m³/h].

    Day by day (24 hours from now on): the highest of each as the forecast has it, as far as it
    goes, and beyond it the highest of the same weekday of weeks before, with what such a guess was
    off by. Their highest lies between that of days that are off together and that of days each of
    which is off by itself, half way.

    Args:
        past: One stream up to now, shape (hours,) [W or m³/h]; NaN where unknown.
        rate: Quantiles of the next hours, shape (5, horizon); one of the middle ones known.
        count: Hours that are left; at least one.
    """
    days = [
        told
        for first in range(0, count, DAY_H)
        if (told := _day(past, rate, first, min(first + DAY_H, count))) is not None
    ]
    if not days:
        return np.full(3, np.nan)
    each = np.stack(days)  # shape (days, levels), rising
    wanted = np.array((0.05, 0.5, 0.95))
    together = np.interp(wanted, LEVELS, each.max(axis=0))
    at = np.unique(each)
    chance = np.prod([np.interp(at, one, LEVELS, left=0.0, right=1.0) for one in each], axis=0)
    alone = np.interp(wanted, chance, at)
    found = (together + alone) / 2
    wider = 1.0 if count <= rate.shape[1] else 1 + WIDER * (count / DAY_H / TRIED_D) ** 0.5
    return np.asarray(found[1] + wider * (found - found[1]))


def _day(past: Floats, rate: Floats, first: int, end: int) -> Floats | None:
    """Return the highest of hours ``first`` to ``end`` from now at ``LEVELS``; None if unknown."""
    if end <= rate.shape[1]:
        part = rate[:, first:end]
        known = np.isfinite(part[2])
        if known.any():
            said = part[:, known].max(axis=1)
            return np.maximum.accumulate(np.interp(LEVELS, _EDGES, _outward(said)))
    length = end - first
    blocks = len(past) // DAY_H
    laid = past[len(past) - blocks * DAY_H :].reshape(blocks, DAY_H)[:, :length]
    enough = np.isfinite(laid).mean(axis=1) > KNOWN
    top = np.where(enough, np.max(np.where(np.isfinite(laid), laid, -np.inf), axis=1), np.nan)
    back = first // WEEK_H + 1  # whole weeks that lead before now
    weeks = 7 * (back + np.arange(WEEKS_BACK))
    trial = np.arange(blocks + 1)[:, None] - weeks[None]
    trial[-1] += first // DAY_H  # the day that is asked for
    before = np.where(trial >= 0, top[np.clip(trial, 0, blocks - 1)], np.nan)
    told = np.isfinite(before).any(axis=1)
    guess = np.full(len(before), np.nan)
    guess[told] = np.nanmedian(before[told], axis=1)
    off = top - guess[:-1]
    off = off[np.isfinite(off)]
    if not np.isfinite(guess[-1]) or len(off) < TRIALS // 2:
        return None
    return np.asarray(guess[-1] + np.quantile(off, LEVELS))


def _outward(said: Floats) -> Floats:
    """Return five quantiles with the ends of a band that goes on as it goes to 5 and to 95 %."""
    low, high = said[1] - said[0], said[4] - said[3]
    return np.concatenate([[said[0] - low], said, [said[4] + high]])
