"""Values that come again: what loggers and head-end systems put where nothing was measured.

A day that is sent once more, values that come twice, a gap that is filled with a straight line:
none of them is far from what was expected, so nothing that looks at sizes sees them. Each pattern
is followed by a CUSUM (Page 1954) of how much likelier an hour is if about half of them are made up
than by the stream's habit at that hour of the day. A coarse meter repeats itself by habit, a fine
one never does.
"""

from __future__ import annotations

import numpy as np

from kilowatch.insights.anomalies import comparing
from kilowatch.insights.anomalies.state import DAYS, PATTERNS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats

LEVELS = np.array([0.0, 4.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 25.0])
"""Heights of a sum for which it is known how often untouched streams come to them."""
RATES = np.array(
    [
        [0.0, -2.50, -3.92, -3.92, -3.92, -3.92, -3.92, -3.92, -3.92],
        [0.0, -1.19, -2.26, -2.47, -2.62, -3.14, -3.14, -3.62, -3.62],
        [0.0, -1.24, -2.36, -2.84, -2.92, -3.14, -3.62, -3.62, -3.62],
        [0.0, -1.55, -3.32, -3.62, -3.92, -3.92, -3.92, -3.92, -3.92],
    ]
)
"""Log10 of how often in a stream's month, by ``PATTERNS``: ``scripts/bench_other_faults.py`` on 127
real meters."""
SHARE = 0.005
"""Part of a budget of false alarms that each pattern may use."""
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
_DIGITS = 1e-5
"""What differs by less than this share of the value does not differ: it has seven digits."""
_FINE = 0.003
"""Meters are believed to count in no finer steps [share of the mean size]."""
_FAR = 0.5
"""What is off by more counts as this: a fault is no habit [share of the mean size]."""
_STEP_GROWS = 1.002
"""How fast a smallest step is forgotten, each hour that moves: one odd hour is no resolution."""
_OFF_PACE = 1 / 6
"""How fast it is followed what values are off by: over six of them."""
_FRESH_H = 2
"""Hours since the last hit after which nothing more is told."""
_OVER_H = 6
"""Hours after which a pattern is over, and the next one begins with itself."""


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
    hit, off = _compared(state, there, value, hour)
    known = np.repeat(there[:, None], len(PATTERNS), axis=1)
    known[:, 0] &= hit[:, 0] | (value != state.last[:, 0])  # longer runs are for the trees
    chance = _chance(state, known & ~hit, off, hour, np.abs(value))
    usual = np.maximum(_habit(state, known, hit, hour), chance)
    usual = np.clip(usual, _RAREST, _COMMONEST)
    wrong = (1 + usual) / 2
    gain = np.log(np.where(hit, wrong, 1 - wrong) / np.where(hit, usual, 1 - usual))
    state.again_quiet = np.where(hit, 0, state.again_quiet + known)
    over = state.again_quiet >= _OVER_H
    height = np.clip(state.again + np.where(known, gain, 0.0), 0.0, _HIGHEST)
    height = state.again = np.where(over, 0.0, height)
    state.again_for = np.where(height > 0, state.again_for + 1, 0)
    comparing.keep_highest(state.again_weekly, state.day, there, height)
    bar = np.minimum(_OWN * state.again_most, _SURELY)
    tells = known & (height >= np.maximum(bar, LEVELS[1])) & (state.again_quiet <= _FRESH_H)
    rates = np.zeros(height.shape)
    for one in np.flatnonzero(tells.any(axis=0)):
        rates[:, one] = np.where(tells[:, one], np.interp(height[:, one], LEVELS, RATES[one]), 0.0)
    return rates


def remember(state: State, value: Floats) -> None:
    """Keep an hour's values for the line through the next ones; NaN where there is none."""
    state.before = np.stack([value, state.before[:, 0]], axis=1)


def rest(state: State) -> None:
    """Let an hour pass in which nothing is known of any stream: ``follow`` would do no more."""
    state.again_for = np.where(state.again > 0, state.again_for + 1, 0)
    remember(state, np.full(state.streams, np.nan))


def _compared(state: State, there: Bools, value: Floats, hour: int) -> tuple[Bools, Floats]:
    """Say which patterns an hour fits, and by how much it is off each, shape (streams, PATTERNS).

    What stands still or at zero fits none of the last three, and is off by nothing known, NaN.
    """
    rows = np.arange(state.streams)
    last = state.last[:, 0]
    digits = _DIGITS * np.maximum(np.abs(value), np.nan_to_num(np.abs(last)))
    moves = there & (value != 0) & ~(np.abs(value - last) <= digits)
    yesterday, week = (
        state.past[rows, (state.day - back) % DAYS, hour].astype(np.float64) for back in (1, 7)
    )
    one, two = state.before.T
    off = np.abs(value[:, None] - np.stack([last, yesterday, week, 2 * one - two], axis=1))
    off[:, 1:][~moves] = np.nan
    hit = off <= digits[:, None]
    hit[:, 0] = there & (value != 0) & (value == last) & (state.runs[:, 0] == 0)
    return hit, off


def _chance(state: State, missed: Bools, off: Floats, hour: int, size: Floats) -> Floats:
    """Return how likely a value fits by chance, shape (streams, PATTERNS).

    That is the step in which a meter may count over what such values are off by where they do not
    fit, at that hour of the day or of late: a dial of hundredths says next to nothing of a flow of
    three hundredths. Nothing is off by more than there is. 1 as long as nothing is known.
    """
    moved, finest = off[:, 0], _FINE * state.bounds[:, 3]
    told = missed[:, 0] & (moved > finest)
    state.step = np.where(told, np.fmin(state.step * _STEP_GROWS, moved), state.step)
    step = np.maximum(state.step, finest)[:, None]
    typical = state.again_off[:, :, [hour, 24]].astype(np.float64)
    nearest = np.minimum(np.fmin(typical[:, :, 0], typical[:, :, 1]), size[:, None])
    found = np.divide(step, nearest, out=np.ones_like(nearest), where=nearest > 0)
    learn = (missed & (off > 0) & (finest[:, None] > 0))[:, :, None]
    now = np.minimum(np.nan_to_num(off), _FAR * state.bounds[:, 3, None])[:, :, None]
    after = np.where(np.isnan(typical), now, typical + _OFF_PACE * (now - typical))
    state.again_off[:, :, [hour, 24]] = np.where(learn, after, typical)
    return np.where(np.isfinite(found), found, 1.0)


def _habit(state: State, known: Bools, hit: Bools, hour: int) -> Floats:
    """Return how often a stream does it by habit, and take this hour into the habit.

    All day, or at that hour if that is more, shape (streams, PATTERNS).
    """
    seen = np.minimum(state.age / 24.0, _REMEMBERED_D)[:, None] * np.array([1.0, 24.0])
    habit = state.again_habit[:, :, [hour, 24]]
    own, whole = ((habit * seen[:, None] + 0.5) / (seen[:, None] + 1)).transpose(2, 0, 1)
    pace = np.where(known[:, :, None], 1 / (seen[:, None] + 1), 0.0)
    state.again_habit[:, :, [hour, 24]] = habit + pace * (hit[:, :, None] - habit)
    usual: Floats = np.maximum(np.where(seen[:, :1] >= _HABIT_D, own, 0.0), whole)
    return usual
