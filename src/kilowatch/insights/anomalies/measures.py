"""What is looked at in each hour: how far, for how long and in which shape a stream is off.

Each measure comes twice: as it is, and over its own typical size on this stream, so that a
restless stream has to do more than a steady one before it is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.insights.anomalies.state import DAYS, HALF_LIVES_H, LAGS, PARTS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats

OWN = (
    *(f"off_{h:.0f}h" for h in HALF_LIVES_H),
    *(f"ratio_{h:.0f}h" for h in HALF_LIVES_H),
    "base_24h", "base_72h", "base_168h",
    "night_1", "night_3", "day_1", "day_3",
    "clock_gain", "noise_6h", "noise_24h", "free_day", "ratio_mild", "night_only", "off",
    "trend", "slope", "step",
)  # fmt: skip
"""Measures that are also compared with their own typical size."""
OTHER = (
    "off_before", "above", "below", "size", "share_of_size", "run_same", "rare_same",
    "run_zero", "rare_zero", "negative", "rare_negative", "hour", "free", "contrast",
    "hours_today", "age", "share_same", "share_zero", "noise", "milder", "clock_lag",
    "night_contrast", "jump", "ratio_1h", "steady", "step_fast", "slope_sure",
)  # fmt: skip
NAMES = (*OWN, *(f"own_{name}" for name in OWN), *OTHER)
"""Columns of the measures."""

_PLACE = {name: place for place, name in enumerate(NAMES)}
_RATIO_24H = _PLACE["ratio_24h"]

_DECAY = 0.5 ** (1 / HALF_LIVES_H)
_PART_DECAY = 0.5 ** (1 / np.array([6.0, 18.0]))
"""Nights and days are 6 and 8 hours: one and three of them."""
_CLOCK_DECAY = 0.5 ** (1 / 30.0)
_NIGHT = range(6)
_DAY = range(9, 17)
_OFF_MAX = 20.0
_CALM_MAX = 6.0
"""A residual counts up to this many times its usual size towards longer sums."""
_USUAL_H = 60 * 24.0
"""How long the typical size of a measure is remembered [h]."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One hour of all streams, measured.

    Attributes:
        known: Whether there is a value and something to compare it with, shape (streams,).
        value: The value; NaN where there is none.
        expected: What was expected.
        columns: By ``NAMES``, shape (len(NAMES), streams).
    """

    known: Bools
    value: Floats
    expected: Floats
    columns: npt.NDArray[np.float32]

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
    expected: Floats | None,
) -> Moment:
    """Look at one hour of all streams and take it into the state.

    Args:
        state: Changed in place; its day is the hour's.
        value: Shape (streams,); NaN where there is none.
        hour: Hour of the local day.
        weekday: Monday is 0.
        outdoor_c: Outdoor temperature or None [°C].
        expected: What another model expects, where it says so; else the profile counts.
    """
    rows = np.arange(state.streams)
    slot = state.day % DAYS
    free = state.closed[rows, slot] | (weekday >= 5)
    usual = state.expect[:, 1, hour]
    if expected is not None:
        usual = np.where(np.isnan(expected), usual, expected)
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
    columns = np.empty((len(NAMES), len(rows)), np.float32)
    own = columns[: len(OWN)]
    lag, contrast = _fill_own(state, known, own, (tame, e, off, floor), hour, free)
    milder, own[_PLACE["ratio_mild"]] = _mild(state, known, outdoor_c, own[_RATIO_24H])
    typical = np.maximum(state.own, 1e-3).T
    columns[len(OWN) : 2 * len(OWN)] = np.where(state.own.T > 0, own / typical, 0.0)
    _learn_own(state, known, own.T.astype(np.float64), free)

    now = _log_ratio(y, e, floor)
    last = np.where(np.isnan(state.last), 0.0, state.last)
    three = np.stack([now, last[:, 2], last[:, 3]])
    jump = np.where(np.isnan(state.last[:, 0]), 0.0, (value - last[:, 0]) / size)
    other = (
        last[:, 1], (value - state.bounds[:, 0]) / size, (state.bounds[:, 1] - value) / size,
        value / size, usual / size, *_runs(state, there, value, size), hour, free, contrast,
        state.today[:, 3], np.minimum(state.age / 24.0, 120.0), state.shares[:, 0],
        state.shares[:, 1], width / size, milder, lag, _night_contrast(state), jump, now,
        three.max(axis=0) - three.min(axis=0), own[_PLACE["ratio_2h"]] - own[_RATIO_24H],
        state.bounds[:, 6],
    )  # fmt: skip
    for column, one in enumerate(other, start=2 * len(OWN)):
        columns[column] = one
    columns[:, ~known] = np.nan

    _learn_spread(state, (known, free), hour, np.abs(y - e), width)
    state.past[rows[there], slot[there], hour] = value[there]
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
    return Moment(known, value, usual, columns)


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
    ratio = _log_ratio(smooth[:, :, 2], smooth[:, :, 3], floor[:, None])
    parts = _parts(state, known, hour, tame, e, floor)
    lag, gain = _clock(state, known, hour, tame)
    place, contrast = _today(state, known, tame, e, hour, free)
    own[0:5] = smooth[:, :, 0].T
    own[5:10] = ratio.T
    own[10:13] = _log_ratio(smooth[:, 2:, 2], smooth[:, 2:, 4], floor[:, None]).T
    own[13:15] = parts[:, 0].T
    own[15:17] = parts[:, 1].T
    own[17] = gain
    own[18:20] = np.log((smooth[:, 1:3, 1] + 0.3) / (smooth[:, 4:5, 1] + 0.3)).T
    own[20] = place
    own[22] = parts[:, 0, 1] - parts[:, 1, 1]
    own[23] = off
    own[24:26] = state.bounds[:, 4:6].T
    own[26] = ratio[:, 2] - ratio[:, 4]
    return lag, contrast


def _log_ratio(actual: Floats, usual: Floats, floor: Floats) -> Floats:
    found: Floats = np.log(np.maximum(actual, floor) / np.maximum(usual, floor))
    return found


def _decay(state: State, known: Bools, now: Floats) -> None:
    decay = _DECAY[None, :, None]
    after = state.decayed * decay + (1 - decay) * now[:, None, :]
    state.decayed = np.where(known[:, None, None], after, state.decayed)


def _parts(state: State, known: Bools, hour: int, y: Floats, e: Floats, floor: Floats) -> Floats:
    """Return the log ratio of nights and of days by half-life, shape (streams, 2, 2)."""
    part = 0 if hour in _NIGHT else 1 if hour in _DAY else None
    if part is not None:
        decay = _PART_DECAY[None, :, None]
        now = np.stack([y, e, np.ones_like(y)], axis=1)[:, None, :]
        after = state.parts[:, part] * decay + (1 - decay) * now
        state.parts[:, part] = np.where(known[:, None, None], after, state.parts[:, part])
    return _log_ratio(state.parts[..., 0], state.parts[..., 1], floor[:, None, None])


def _clock(state: State, known: Bools, hour: int, y: Floats) -> tuple[Floats, Floats]:
    """Compare the shape of the last days with what was expected up to six hours away.

    Returns:
        The shift that fits best [h] and by how much its correlation is better than none's.
    """
    shape = state.expect.reshape(state.streams, -1)
    shifted = shape[:, 24 + hour - LAGS]
    fit = known & ~np.isnan(shifted).any(axis=1)
    z = np.where(fit[:, None], shifted, 0.0)
    lags = len(LAGS)
    now = np.concatenate(
        [z, z * z, z * y[:, None], np.stack([y, y * y, np.ones_like(y)], axis=1)], axis=1
    )
    after = state.clock * _CLOCK_DECAY + (1 - _CLOCK_DECAY) * now
    state.clock = np.where(fit[:, None], after, state.clock)
    kept = state.clock
    weight = np.maximum(kept[:, -1:], 1e-12)
    mean, square, product = (kept[:, i * lags : (i + 1) * lags] / weight for i in range(3))
    level, power = kept[:, -3:-2] / weight, kept[:, -2:-1] / weight
    scale = np.maximum(power - level**2, 1e-12) * np.maximum(square - mean**2, 1e-12)
    alike = (product - mean * level) / np.sqrt(scale)
    alike = np.where(kept[:, -1:] > 0.3, alike, 0.0)
    best = alike.argmax(axis=1)
    none = alike[:, len(LAGS) // 2]
    return LAGS[best].astype(np.float64), alike.max(axis=1) - none


def _mild(
    state: State, known: Bools, outdoor_c: Floats | None, ratio: Floats
) -> tuple[Floats, Floats]:
    """Take from a level what the weather of late did to it on this stream.

    Returns:
        How much warmer the last day was than the last week [°C], and the log ratio without
        what goes with that.
    """
    if outdoor_c is None:
        return np.full(len(ratio), np.nan), ratio
    kept = state.outdoor
    first = np.isnan(kept[:, 0]) & ~np.isnan(outdoor_c)
    kept[first, :2] = outdoor_c[first, None]
    kept[first, 2:] = 0
    there = ~np.isnan(outdoor_c) & ~np.isnan(kept[:, 0])
    now = np.where(there, outdoor_c, 0.0)
    for column, decay in ((0, _DECAY[2]), (1, _DECAY[4])):
        after = kept[:, column] * decay + (1 - decay) * now
        kept[:, column] = np.where(there, after, kept[:, column])
    milder = kept[:, 0] - kept[:, 1]
    slope = np.where(np.isnan(kept[:, 2]), 0, kept[:, 2]) / (
        np.where(np.isnan(kept[:, 3]), 0, kept[:, 3]) + 1.0
    )
    left = ratio - slope * np.where(np.isnan(milder), 0.0, milder)
    learn = there & known
    pace = 1 / (30 * 24.0)
    calm = np.clip(ratio, -0.5, 0.5)
    for column, product in ((2, milder * calm), (3, milder * milder)):
        after = kept[:, column] + pace * (product - kept[:, column])
        kept[:, column] = np.where(learn, after, kept[:, column])
    return milder, left


def _today(
    state: State, known: Bools, y: Floats, e: Floats, hour: int, free: Bools
) -> tuple[Floats, Floats]:
    """Say where a free day lies between what a free day and a working day should be.

    Returns:
        0 for a free day as usual, 1 for one like a working day; 0 on working days. And the
        log of a working day's use so far over a free day's.
    """
    work = state.working[:, hour]
    work = np.where(np.isnan(work), e, work)
    now = np.stack([y, e, work, np.ones_like(y)], axis=1)
    state.today += np.where(known[:, None], now, 0.0)
    actual, usual, working = state.today[:, 0], state.today[:, 1], state.today[:, 2]
    floor = 0.05 * np.abs(usual) + 1e-9
    place = (actual - usual) / np.maximum(working - usual, floor)
    contrast = np.log(np.maximum(working, floor) / np.maximum(usual, floor))
    return np.where(free, np.clip(place, -5, 5), 0.0), np.where(free, contrast, 0.0)


def _learn_own(state: State, known: Bools, own: Floats, free: Bools) -> None:
    """Follow the typical size of each measure; what is far out counts as four times it."""
    weight = np.ones(own.shape)
    weight[:, _PLACE["free_day"]] = 3.0 * free  # it says nothing of working days
    size = np.abs(own)
    pace = 1 / np.minimum(state.age + 1.0, _USUAL_H)[:, None]
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


def _runs(state: State, there: Bools, value: Floats, size: Floats) -> list[Floats]:
    """Count hours of one value and of zero, and how rare that is on this stream."""
    zero = there & (value == 0)
    same = there & (value == state.last[:, 0]) & ~zero
    negative = there & (value < 0)
    runs, shares = state.runs, state.shares
    for column, now in ((0, same), (1, zero)):
        runs[:, column] = np.where(there, np.where(now, runs[:, column] + 1, 0), runs[:, column])
    weight = np.minimum(state.age, _USUAL_H)
    rare = [
        runs[:, column] * -np.log((shares[:, column] * weight + 0.5) / (weight + 1))
        for column in (0, 1)
    ]
    seldom = negative * -np.log((shares[:, 2] * weight + 0.5) / (weight + 1))
    pace = 1 / np.minimum(state.age + 1.0, _USUAL_H)
    for column, now in ((0, same & (runs[:, 0] < 12)), (1, zero), (2, negative)):
        after = shares[:, column] + pace * (now - shares[:, column])
        shares[:, column] = np.where(there, after, shares[:, column])
    return [
        runs[:, 0], rare[0], runs[:, 1], rare[1],
        np.where(negative, -value / size, 0.0), seldom,
    ]  # fmt: skip


def _night_contrast(state: State) -> Floats:
    """Return the log of a day's over a night's expected use."""
    night = state.expect[:, 1, :6].mean(axis=1)
    day = state.expect[:, 1, 9:17].mean(axis=1)
    size = np.maximum(state.bounds[:, 3], 1e-9) * 0.05
    return _log_ratio(day, night, size)


assert PARTS * 6 == 24
