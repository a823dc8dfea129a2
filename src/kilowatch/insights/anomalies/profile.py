"""What was to be expected of each hour: the median of eight such days, at the level of late.

Medians of eight weeks do not learn a fault that lasts up to three and have learnt a persistent
change after five to six. The level is the median of the last seven days for each quarter of the
day, so that the seasons are followed without their teaching the shape.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kilowatch.insights.anomalies import day_by_day
from kilowatch.insights.anomalies.state import DAYS, LEVELS, PARTS, WEEKS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

SUNDAY = 6
_LEVEL_DAYS = 7
_LEVEL_MAX = 1.5
"""A level is believed up to a factor of e^1.5 = 4.5 either way."""


def roll(state: State, rows: Ints, day: int, closed: Bools) -> None:
    """Begin a local day: put the last one away and lay down what is expected of this one.

    Args:
        state: Changed in place.
        rows: Streams to which the day is new.
        day: Local days since 1970-01-01.
        closed: Whether it is a holiday, shape (rows,).
    """
    _put_away(state, rows)
    _forget(state, rows, day)
    past = state.past[rows]
    free = state.closed[rows]
    working = _like(past, free, day)
    base = np.where(closed[:, None], _like(past, free, day + SUNDAY - _weekday(day)), working)
    nearest = _nearest_working(day)
    state.working[rows] = working if nearest == day else _like(past, free, nearest)
    if (state.age[rows] < DAYS * 12).any():
        base, state.working[rows] = _early(past, base), _early(past, state.working[rows])
        tomorrow = _early(past, _like(past, free, day + 1))
    else:
        tomorrow = _like(past, free, day + 1)
    state.base[rows] = base
    level = np.exp(np.repeat(level_now(state, rows, day), 24 // PARTS, axis=1))
    expect = state.expect[rows]
    state.expect[rows] = np.stack([expect[:, 1], base * level, tomorrow * level], axis=1)
    state.bounds[rows] = np.concatenate([_bounds(past), _trend(state, rows, day)], axis=1)
    day_by_day.lay(state, rows, day, closed)
    slot = day % DAYS
    state.past[rows, slot] = np.nan
    state.closed[rows, slot] = closed
    state.eve[rows] = _eve(state, rows, day)
    _begin_week(state, rows, day)
    state.day[rows] = day
    state.today[rows] = 0
    state.pair[rows] = 0


def level_now(state: State, rows: Ints, day: int) -> Floats:
    """Return the log of the level of late of each part of the day, shape (rows, PARTS)."""
    recent = state.level[rows][:, (day - 1 - np.arange(_LEVEL_DAYS)) % LEVELS]
    level = middle(recent, least=2)
    return np.clip(np.where(np.isnan(level), 0.0, level), -_LEVEL_MAX, _LEVEL_MAX)


def middle(values: npt.NDArray[np.floating], least: int = 1) -> Floats:
    """Return the median over the second axis, NaN left out; NaN of fewer than ``least``."""
    ordered = np.sort(values, axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    high = np.minimum(count // 2, values.shape[1] - 1)
    low = np.maximum((count - 1) // 2, 0)
    upper = np.take_along_axis(ordered, high[:, None], axis=1)[:, 0]
    lower = np.take_along_axis(ordered, low[:, None], axis=1)[:, 0]
    found: Floats = np.where(count >= least, (upper.astype(np.float64) + lower) / 2, np.nan)
    return found


def _weekday(day: int) -> int:
    return (day + 3) % 7


def _nearest_working(day: int) -> int:
    """Return the last working day up to a day."""
    return day - max(_weekday(day) - 4, 0)


def _like(past: npt.NDArray[np.float32], free: Bools, day: int) -> Floats:
    """Return the median of the days of the same weekday that were not holidays."""
    slots = np.arange(day % 7, DAYS, 7)
    same = past[:, slots]
    gone = free[:, slots]
    if gone.any() and _weekday(day) != SUNDAY:
        same = np.where(gone[:, :, None], np.float32(np.nan), same)
    return middle(same, least=2)


def _early(past: npt.NDArray[np.float32], found: Floats) -> Floats:
    """Fill up what a young stream has no two such days of: the median of all its days."""
    if not np.isnan(found).any():
        return found
    rows = np.flatnonzero(np.isnan(found).any(axis=1))
    whole = middle(past[rows], least=2)
    found[rows] = np.where(np.isnan(found[rows]), whole, found[rows])
    return found


def _put_away(state: State, rows: Ints) -> None:
    """Note the level of the day that is over."""
    known = rows[state.day[rows] >= 0]
    if not len(known):
        return
    day = state.day[known]
    actual = state.past[known, day % DAYS].astype(np.float64).reshape(-1, PARTS, 24 // PARTS)
    base = state.base[known].reshape(-1, PARTS, 24 // PARTS)
    both = ~np.isnan(actual) & ~np.isnan(base)
    sums = np.where(both, actual, 0).sum(axis=2), np.where(both, base, 0).sum(axis=2)
    floor = 0.02 * np.abs(np.where(both, base, 0).sum(axis=(1, 2), keepdims=True)[:, :, 0])
    fit = (both.sum(axis=2) >= 4) & (sums[1] > floor)
    ratio = np.maximum(sums[0], floor) / np.where(fit, sums[1], 1)
    state.level[known, day % LEVELS] = np.where(fit, np.log(np.maximum(ratio, 0.01)), np.nan)


def _forget(state: State, rows: Ints, day: int) -> None:
    """Empty the days that were never told of, so that no slot holds what is older."""
    last = state.day[rows]
    for back in range(1, min(int(day - last.min()), DAYS)):
        skipped = rows[(last >= 0) & (day - back > last)]
        if not len(skipped):
            break
        state.past[skipped, (day - back) % DAYS] = np.nan
        state.level[skipped, (day - back) % LEVELS] = np.nan
        state.closed[skipped, (day - back) % DAYS] = False


def _begin_week(state: State, rows: Ints, day: int) -> None:
    """Empty the weeks that were not seen, and look up what the ones before this one had."""
    week = (day + 3) // 7
    last = np.where(state.day[rows] < 0, week, (state.day[rows] + 3) // 7)
    for back in range(min(int(week - last.min()), WEEKS)):
        unseen = rows[week - back > last], (week - back) % WEEKS
        state.weekly[unseen], state.again_weekly[unseen] = 0, 0
    earlier = (week - 1 - np.arange(WEEKS - 1)) % WEEKS
    state.most[rows] = np.sort(state.weekly[rows][:, earlier], axis=1)[:, -2]
    state.again_most[rows] = np.sort(state.again_weekly[rows][:, earlier], axis=1)[:, -2]


def _eve(state: State, rows: Ints, day: int) -> Floats:
    """Return what the day before says of this one, shape (rows, 3).

    The days around the turn of the year are like no others, and those after a holiday too.
    """
    today = state.today[rows]
    like = (today[:, 4] - today[:, 5]) / np.maximum(today[:, 6], 1e-9)
    like = np.where(today[:, 6] > 0, np.clip(like, -1, 1), 0.0)
    free = state.closed[rows][:, (day - np.arange(7)) % DAYS]
    since = np.where(free.any(axis=1), free.argmax(axis=1), 7)
    of_year = (np.datetime64(day, "D") - np.datetime64(day, "D").astype("datetime64[Y]")).astype(
        int
    )
    turn = min(of_year, 365 - of_year)
    return np.stack([like, since, np.full(len(rows), min(turn, 15))], axis=1).astype(np.float64)


def _trend(state: State, rows: Ints, day: int) -> Floats:
    """Return how the level of the last week differs from the third and fourth, and its slope.

    Returns:
        Shape (rows, 3): difference of log levels, slope of the last fourteen days [1/day] and
        the slope over its standard error.
    """
    daily = state.level[rows][:, (day - 1 - np.arange(LEVELS)) % LEVELS]
    many_days = daily.reshape(-1, PARTS)
    level = np.clip(middle(many_days), -_LEVEL_MAX, _LEVEL_MAX).reshape(daily.shape[:2])
    week, before = middle(level[:, :7], least=3), middle(level[:, 14:], least=4)
    recent = level[:, :14]
    known = ~np.isnan(recent)
    many = np.maximum(known.sum(axis=1), 1)
    days = -np.arange(14.0)
    x = np.where(known, days - (np.where(known, days, 0).sum(axis=1) / many)[:, None], 0)
    y = np.where(known, recent, 0)
    y = np.where(known, y - (y.sum(axis=1) / many)[:, None], 0)
    power = np.maximum((x * x).sum(axis=1), 1e-9)
    slope = (x * y).sum(axis=1) / power
    rest = ((y - slope[:, None] * x) ** 2).sum(axis=1) / np.maximum(many - 2, 1)
    sure = slope / np.sqrt(rest / power + 1e-8)
    enough = known.sum(axis=1) >= 8
    found = np.stack([week - before, np.where(enough, slope, 0), np.where(enough, sure, 0)], axis=1)
    return np.where(np.isnan(found), 0.0, found)


def _bounds(past: npt.NDArray[np.float32]) -> Floats:
    """Return third highest and lowest daily extreme, and medians of daily mean and mean size.

    One register that is set back would be all of a mean of eight weeks.
    """
    none = np.isnan(past)
    high = np.sort(np.where(none, -np.inf, past).max(axis=2), axis=1)[:, -3]
    low = np.sort(np.where(none, np.inf, past).min(axis=2), axis=1)[:, 2]
    count = (~none).sum(axis=2)
    some = np.maximum(count, 1)
    mean, size = (
        middle(np.where(count > 0, part.sum(axis=2, dtype=np.float64) / some, np.nan))
        for part in (np.where(none, 0, past), np.where(none, 0, np.abs(past)))
    )
    bounds = np.stack([high, low, mean, size], axis=1).astype(np.float64)
    bounds[~np.isfinite(bounds)] = np.nan
    return bounds
