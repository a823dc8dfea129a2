"""Values that come again: what loggers and head-end systems put where nothing was measured.

A day that is sent once more, values that come twice, a gap that is filled with a straight line:
none of them is far from what was expected, so nothing that looks at sizes sees them. Each pattern
is followed by a CUSUM (Page 1954) of how much likelier an hour is if about half of them are made up
than by the stream's habit at that hour of the day. A coarse meter repeats itself by habit, a fine
one never does.
"""

from __future__ import annotations

import numpy as np

from kilowatch.insights.anomalies.state import DAYS, PATTERNS, WEEKS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats

LEVELS = np.array([0.0, 4.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 25.0])
"""Heights of a sum for which it is known how often untouched streams come to them."""
RATES = np.array(
    [
        [0.0, -0.73, -1.94, -2.17, -2.34, -2.50, -2.62, -2.92, -3.92],
        [0.0, -0.51, -1.17, -1.50, -1.75, -2.05, -2.24, -2.58, -3.14],
        [0.0, -0.49, -1.14, -1.39, -1.65, -1.86, -2.13, -2.41, -2.84],
        [0.0, -0.59, -1.66, -2.17, -2.77, -3.32, -3.62, -3.62, -3.92],
    ]
)
"""Log10 of how often in a stream's month, by ``PATTERNS``: ``scripts/bench_other_faults.py`` on 127
real meters."""
SHARE = 0.005
"""Part of a budget of false alarms that each pattern may use."""
_MADE_UP = 0.45
_RAREST, _COMMONEST = 0.003, 0.97
"""A habit is believed to be neither rarer nor more frequent [share of the hours]."""
_HABIT_D = 14
"""Days before an hour of the day has a habit of its own."""
_REMEMBERED_D = 56
_HIGHEST = 30.0
_OWN = 1.5
"""How many times as high a sum must be as in the second highest of the seven weeks before …"""
_SURELY = 22.0
"""… unless it is that high: a logger that does it again is told again."""
_STRAIGHT = 1e-5
"""A bend of this share of the value is none: values come with seven digits."""
_FRESH_H = 2
"""Hours since the last hit after which a pattern is over."""


def follow(state: State, there: Bools, value: Floats, hour: int) -> Floats:
    """Take an hour into the sums of all patterns.

    Args:
        state: Changed in place; its past holds the hours before this one.
        there: Whether there is a value, shape (streams,).
        value: Shape (streams,).
        hour: Hour of the local day.

    Returns:
        Log10 of how often a month streams without a fault come to such a sum, by pattern, shape
        (streams, PATTERNS); 0 where a pattern does not go on.
    """
    hit = _hits(state, there, value, hour)
    known = np.repeat(there[:, None], len(PATTERNS), axis=1)
    known[:, 0] &= hit[:, 0] | (value != state.last[:, 0])  # longer runs are for the trees
    usual = _usual(state, known, hit, hour)
    wrong = np.maximum(_MADE_UP, (1 + usual) / 2)
    gain = np.log(np.where(hit, wrong, 1 - wrong) / np.where(hit, usual, 1 - usual))
    height = np.clip(state.again + np.where(known, gain, 0.0), 0.0, _HIGHEST)
    state.again = height
    state.again_for = np.where(height > 0, state.again_for + known, 0)
    state.again_quiet = np.where(hit, 0, state.again_quiet + known)
    rows = np.arange(state.streams)
    week = (state.day + 3) // 7 % WEEKS
    highest = np.maximum(state.again_weekly[rows, week], height)
    state.again_weekly[rows[there], week[there]] = highest[there]
    bar = np.minimum(_OWN * state.again_most, _SURELY)
    tells = known & (height >= np.maximum(bar, LEVELS[1])) & (state.again_quiet <= _FRESH_H)
    rates = np.zeros(height.shape)
    for one in np.flatnonzero(tells.any(axis=0)):
        rates[:, one] = np.where(tells[:, one], np.interp(height[:, one], LEVELS, RATES[one]), 0.0)
    return rates


def remember(state: State, value: Floats) -> None:
    """Keep an hour's values for the line through the next ones; NaN where there is none."""
    state.before = np.stack([value, state.before[:, 0]], axis=1)


def _hits(state: State, there: Bools, value: Floats, hour: int) -> Bools:
    """Say which patterns an hour fits, shape (streams, PATTERNS)."""
    rows = np.arange(state.streams)
    single = value.astype(np.float32)
    moves = there & (value != 0) & (value != state.last[:, 0])
    yesterday, week = (state.past[rows, (state.day - back) % DAYS, hour] for back in (1, 7))
    one, two = state.before.T
    straight = np.abs(value - 2 * one + two) <= _STRAIGHT * np.maximum(np.abs(value), np.abs(one))
    return np.stack(
        [
            there & (value != 0) & (value == state.last[:, 0]) & (state.runs[:, 0] == 0),
            moves & (single == yesterday),
            moves & (single == week),
            moves & straight,
        ],
        axis=1,
    )


def _usual(state: State, known: Bools, hit: Bools, hour: int) -> Floats:
    """Return how often a stream does it by habit, and take this hour into the habit.

    All day, or at that hour if that is more, shape (streams, PATTERNS).
    """
    seen = np.minimum(state.age / 24.0, _REMEMBERED_D)[:, None] * np.array([1.0, 24.0])
    habit = state.again_habit[:, :, [hour, 24]]
    own, whole = ((habit * seen[:, None] + 0.5) / (seen[:, None] + 1)).transpose(2, 0, 1)
    pace = np.where(known[:, :, None], 1 / (seen[:, None] + 1), 0.0)
    state.again_habit[:, :, [hour, 24]] = habit + pace * (hit[:, :, None] - habit)
    usual = np.maximum(np.where(seen[:, :1] >= _HABIT_D, own, 0.0), whole)
    clipped: Floats = np.clip(usual, _RAREST, _COMMONEST)
    return clipped
