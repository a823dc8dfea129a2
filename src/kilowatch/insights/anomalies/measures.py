"""What is looked at in each hour: how far, for how long and in which shape a stream is off.

Each measure comes twice: as it is, and over its own typical size on this stream, so that a
restless stream has to do more than a steady one before it is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.insights.anomalies import comparing, day_by_day, repeating
from kilowatch.insights.anomalies.comparing import DECAY, USUAL_H
from kilowatch.insights.anomalies.state import (
    DAYS,
    HALF_LIVES_H,
    MEASURES,
    PARTS,
    State,
)
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats

OWN = (
    *(f"off_{h:.0f}h" for h in HALF_LIVES_H),
    *(f"ratio_{h:.0f}h" for h in HALF_LIVES_H),
    "base_24h", "base_72h", "base_168h",
    "night_1", "night_3", "day_1", "day_3",
    "clock_gain", "noise_6h", "noise_24h", "free_day", "ratio_mild", "night_only", "off",
    "trend", "slope", "step", "like_working", "rank_24h", "rank_72h",
    "even_6h", "even_24h", "even_72h", "clock_gain_5d",
)  # fmt: skip
"""Measures that are also compared with their own typical size."""
OTHER = (
    "off_before", "above", "below", "size", "share_of_size", "run_same", "rare_same",
    "run_zero", "rare_zero", "negative", "rare_negative", "hour", "free", "contrast",
    "hours_today", "age", "share_same", "share_zero", "noise", "milder", "clock_lag",
    "night_contrast", "jump", "ratio_1h", "steady", "step_fast", "slope_sure",
    "like_before", "since_holiday", "turn_of_year", "weekday",
    "day_off", "day_sure", "day_over", "day_before",
)  # fmt: skip
NAMES = (
    *OWN,
    *(f"own_{name}" for name in OWN),
    *(f"most_{name}" for name in OWN),
    *OTHER,
)
"""Columns of the measures."""

_PLACE = {name: place for place, name in enumerate(NAMES)}
_RATIO_24H = _PLACE["ratio_24h"]

_OFF_MAX = 20.0
_CALM_MAX = 6.0
"""A residual counts up to this many times its usual size towards longer sums."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One hour of all streams, measured.

    Attributes:
        known: Whether there is a value and something to compare it with, shape (streams,).
        value: The value; NaN where there is none.
        expected: What was expected.
        columns: By ``NAMES``, shape (len(NAMES), streams).
        again: Values that come again: see ``repeating.follow``, shape (streams, PATTERNS).
    """

    known: Bools
    value: Floats
    expected: Floats
    columns: npt.NDArray[np.float32]
    again: Floats

    def get(self, name: str) -> Floats:
        """Return one measure of all streams."""
        found: Floats = self.columns[_PLACE[name]].astype(np.float64)
        return found


def measure(
    state: State,
    value: Floats,
    hour: int,
    weekday: int,
    outdoor_c: Floats | None,
) -> Moment:
    """Look at one hour of all streams and take it into the state.

    Args:
        state: Changed in place; its day is the hour's.
        value: Shape (streams,); NaN where there is none.
        hour: Hour of the local day.
        weekday: Monday is 0.
        outdoor_c: Outdoor temperature or None [°C].
    """
    rows = np.arange(state.streams)
    slot = state.day % DAYS
    free = state.closed[rows, slot] | (weekday >= 5)
    usual = state.expect[:, 1, hour]
    size = np.maximum(state.bounds[:, 3], 1e-9)
    there = ~np.isnan(value)
    known = there & ~np.isnan(usual) & ~np.isnan(size)
    spread = state.spread[rows, free.astype(np.int64), hour]
    width = np.maximum(np.where(np.isnan(spread), 0.3 * size, spread), 0.02 * size)
    width = np.where(known, width, 1.0)
    y, e, b = (np.where(known, part, 0.0) for part in (value, usual, state.base[:, hour]))
    b = np.where(np.isnan(b), e, b)
    off = np.clip((y - e) / width, -_OFF_MAX, _OFF_MAX)
    calm = np.clip(off, -_CALM_MAX, _CALM_MAX)
    tame = e + calm * width
    floor = 0.02 * np.where(known, size, 1.0)

    _decay(state, known, np.stack([calm, np.abs(calm), tame, e, b], axis=1))
    comparing.rank(state, known, y, hour)
    again = repeating.follow(state, there, value, hour)
    columns = np.empty((len(NAMES), len(rows)), np.float32)
    own = columns[: len(OWN)]
    lag, contrast = _fill_own(state, known, own, (tame, e, off, floor), hour, free)
    milder, own[_PLACE["ratio_mild"]] = comparing.mild(state, known, outdoor_c, own[_RATIO_24H])
    typical = np.maximum(state.own, 1e-3).T
    columns[len(OWN) : 2 * len(OWN)] = np.where(state.own.T > 0, own / typical, 0.0)
    most = np.maximum(state.most, 1e-3).T
    columns[2 * len(OWN) : 3 * len(OWN)] = np.where(state.most.T > 0, own / most, np.nan)
    comparing.keep_highest(state.weekly, state.day, known, np.abs(own.T))
    _learn_own(state, known, own.T.astype(np.float64), free)

    now = comparing.log_ratio(y, e, floor)
    last = np.where(np.isnan(state.last), 0.0, state.last)
    three = np.stack([now, last[:, 2], last[:, 3]])
    jump = np.where(np.isnan(state.last[:, 0]), 0.0, (value - last[:, 0]) / size)
    other = (
        last[:, 1], (value - state.bounds[:, 0]) / size, (state.bounds[:, 1] - value) / size,
        value / size, usual / size, *comparing.runs(state, there, value, size), hour, free,
        contrast, state.today[:, 3], np.minimum(state.age / 24.0, 120.0), state.shares[:, 0],
        state.shares[:, 1], width / size, milder, lag, comparing.night_contrast(state), jump, now,
        three.max(axis=0) - three.min(axis=0), own[_PLACE["ratio_2h"]] - own[_RATIO_24H],
        state.bounds[:, 6], *state.eve.T, weekday,
        *day_by_day.compare(state, known, tame, hour, size),
    )  # fmt: skip
    for column, one in enumerate(other, start=3 * len(OWN)):
        columns[column] = one
    columns[:, ~known] = np.nan

    _learn_spread(state, (known, free), hour, np.abs(y - e), width)
    state.past[rows[there], slot[there], hour] = value[there]
    repeating.remember(state, value)
    state.age += there
    state.last = np.stack(
        [
            np.where(there, value, state.last[:, 0]),
            np.where(known, off, state.last[:, 1]),
            np.where(known, now, state.last[:, 2]),
            np.where(known, state.last[:, 2], state.last[:, 3]),
        ],
        axis=1,
    )
    return Moment(known, value, usual, columns, again)


def _fill_own(
    state: State,
    known: Bools,
    own: npt.NDArray[np.float32],
    now: tuple[Floats, Floats, Floats, Floats],
    hour: int,
    free: Bools,
) -> tuple[Floats, Floats]:
    """Lay down the measures that are compared with their own typical size.

    Args:
        state: Its decayed sums hold this hour.
        known: Streams that are looked at.
        own: By ``OWN``, shape (len(OWN), streams); filled here but for ``ratio_mild``.
        now: Actual without the extreme, expected, standardised residual and the smallest
            amount that is compared.
        hour: Hour of the local day.
        free: Whether it is a free day.

    Returns:
        Shift of the clock that fits best [h], and log of a working over a free day so far.
    """
    tame, e, off, floor = now
    smooth = state.decayed
    ratio = comparing.log_ratio(smooth[:, :, 2], smooth[:, :, 3], floor[:, None])
    parts = comparing.parts(state, known, hour, tame, e, floor)
    lag, gain = comparing.clock(state, known, hour, tame)
    place, like, contrast = comparing.today(state, known, tame, e, hour, free)
    own[0:5] = smooth[:, :, 0].T
    own[5:10] = ratio.T
    own[10:13] = comparing.log_ratio(smooth[:, 2:, 2], smooth[:, 2:, 4], floor[:, None]).T
    own[13:15] = parts[:, 0].T
    own[15:17] = parts[:, 1].T
    own[17] = gain[:, 0]
    own[18:20] = np.log((smooth[:, 1:3, 1] + 0.3) / (smooth[:, 4:5, 1] + 0.3)).T
    own[20] = place
    own[22] = parts[:, 0, 1] - parts[:, 1, 1]
    own[23] = off
    own[24:26] = state.bounds[:, 4:6].T
    own[26] = ratio[:, 2] - ratio[:, 4]
    own[27] = like
    own[28:30] = state.ranks.T
    own[30:33] = comparing.even(state, known, comparing.log_ratio(tame, e, floor)).T
    own[33] = gain[:, 1]
    return lag, contrast


def _decay(state: State, known: Bools, now: Floats) -> None:
    decay = DECAY[None, :, None]
    after = state.decayed * decay + (1 - decay) * now[:, None, :]
    state.decayed = np.where(known[:, None, None], after, state.decayed)


def _learn_own(state: State, known: Bools, own: Floats, free: Bools) -> None:
    """Follow the typical size of each measure; what is far out counts as four times it."""
    weight = np.ones(own.shape)
    weight[:, [_PLACE["free_day"], _PLACE["like_working"]]] = (
        3.0 * free[:, None]
    )  # it says nothing of working days
    size = np.abs(own)
    pace = 1 / np.minimum(state.age + 1.0, USUAL_H)[:, None]
    held = np.where(state.own > 0, np.minimum(size, 4 * state.own + 1e-3), size)
    ripe = (known & (state.age >= 14 * 24))[:, None]
    pace = np.maximum(pace, 1 / np.maximum(state.age[:, None] - 14 * 24 + 1.0, 1.0))
    state.own = np.where(
        ripe, state.own + np.minimum(pace * weight, 1.0) * (held - state.own), state.own
    )


def _learn_spread(
    state: State, hours: tuple[Bools, Bools], hour: int, off: Floats, width: Floats
) -> None:
    """Follow the mean absolute residual of an hour of working or of free days."""
    known, free = hours
    rows = np.flatnonzero(known)
    at = (rows, free[rows].astype(np.int64), np.full(len(rows), hour))
    state.seen[at] += 1
    pace = 1 / np.minimum(state.seen[at], 20)
    old = np.where(np.isnan(state.spread[at]), 0.0, state.spread[at])
    state.spread[at] = old + pace * (np.minimum(off[rows], 3 * width[rows]) - old)


assert PARTS * 6 == 24
assert len(OWN) == MEASURES
