"""How a day compares with the last working day before it, and how such days compared by habit.

A Saturday that uses three quarters of its Friday says little; on a stream whose Saturdays have
used a third of their Fridays for seven weeks it says that something was not shut down. Both days
are of one week: seasons, levels and growth cancel out, and the spread of the seven weeks says how
much of such a difference is habit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kilowatch.insights.anomalies.state import DAYS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

WEEKS_BACK = 7
"""Earlier weeks that are compared with; the eighth has lost its reference day."""
_SUNDAY = 6
_NARROW = 0.03
"""No habit is believed to be narrower [log of a ratio]."""
_FAR = 2.5
"""A log ratio counts up to here, a factor of 12."""
_FLOOR = 0.02
"""Sums below this share of the stream's typical hour are taken for it."""


def lay(state: State, rows: Ints, day: int, closed: Bools) -> None:
    """Lay down what a day is compared with: its reference day and the habit of such days.

    Args:
        state: Changed in place; its past holds the days before.
        rows: Streams to which the day is new.
        day: Local days since 1970-01-01.
        closed: Whether it is a holiday, shape (rows,).
    """
    past, free = state.past[rows], state.closed[rows]
    size = np.maximum(np.nan_to_num(state.bounds[rows, 3]), 1e-9) * _FLOOR
    weekday = (day + 3) % 7
    habit = _habit(past, free, size, day, weekday)
    if closed.any():
        sunday = day - (weekday + 1) % 7 if weekday != _SUNDAY else day
        habit[closed] = _habit(past[closed], free[closed], size[closed], sunday, _SUNDAY)
    reference = _reference(day)
    before = past[:, reference % DAYS].astype(np.float64)
    before[free[:, reference % DAYS]] = np.nan
    state.habit[rows] = np.concatenate([before[:, None], habit], axis=1)
    state.drops[rows, 1] = state.drops[rows, 0]
    state.drops[rows, 0] = 0.0


def compare(state: State, known: Bools, y: Floats, hour: int, size: Floats) -> list[Floats]:
    """Take an hour into the day so far and compare it.

    Returns:
        By how much the log ratio of the day so far to its reference day differs from habit, the
        same over the spread of the habit, over the highest of the seven weeks, and the second of
        the day before.
    """
    reference = state.habit[:, 0, hour]
    both = known & ~np.isnan(reference)
    state.pair += np.where(both[:, None], np.stack([y, np.nan_to_num(reference)], axis=1), 0.0)
    middle, spread, highest = state.habit[:, 1:, hour].T
    now = _log_ratio(state.pair[:, 0], state.pair[:, 1], size * _FLOOR * (hour + 1))
    fit = both & ~np.isnan(middle)
    off = np.where(fit, now - middle, 0.0)
    sure = np.clip(off / (1.5 * np.where(fit, spread, 1.0) + _NARROW), -20, 20)
    state.drops[:, 0] = np.where(fit, sure, state.drops[:, 0])
    return [off, sure, np.where(fit, now - highest, 0.0), state.drops[:, 1]]


def _reference(day: int) -> int:
    """Return the last working day before a day, holidays aside."""
    before = day - 1
    return before - max((before + 3) % 7 - 4, 0)


def _habit(
    past: npt.NDArray[np.float32], free: Bools, size: Floats, day: int, weekday: int
) -> Floats:
    """Return median, spread and highest of the log ratios of such days to their reference days.

    Returns:
        Shape (rows, 3, 24), by the hour up to which the days are summed up; NaN where fewer than
        three weeks are known.
    """
    back = day - 7 * np.arange(1, WEEKS_BACK + 1)
    slots = back % DAYS
    references = (back - (day - _reference(day))) % DAYS
    days, others = past[:, slots].astype(np.float64), past[:, references].astype(np.float64)
    gone = free[:, references].copy()
    if weekday != _SUNDAY:
        gone |= free[:, slots]
    both = ~np.isnan(days) & ~np.isnan(others)
    sums = (
        np.cumsum(np.where(both, days, 0.0), axis=2),
        np.cumsum(np.where(both, others, 0.0), axis=2),
    )
    hours = np.cumsum(both, axis=2)
    ratio = _log_ratio(*sums, size[:, None, None] * np.maximum(hours, 1))
    ratio[gone | (hours[:, :, -1] < 12)] = np.nan
    ratio[hours == 0] = np.nan
    middle = _middle(ratio)
    spread = _middle(np.abs(ratio - middle[:, None]))
    highest = np.where(np.isnan(ratio), -np.inf, ratio).max(axis=1)
    return np.stack([middle, spread, highest], axis=1)


def _middle(values: Floats) -> Floats:
    """Return the median over the second axis; NaN of fewer than three."""
    ordered = np.sort(values, axis=1)
    count = (~np.isnan(ordered)).sum(axis=1)
    upper = np.take_along_axis(ordered, np.minimum(count // 2, WEEKS_BACK - 1)[:, None], axis=1)
    lower = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[:, None], axis=1)
    found: Floats = np.where(count >= 3, (upper + lower)[:, 0] / 2, np.nan)
    return found


def _log_ratio(one: Floats, other: Floats, floor: Floats) -> Floats:
    ratio = np.log(np.maximum(one, floor) / np.maximum(other, floor))
    return np.clip(ratio, -_FAR, _FAR)
