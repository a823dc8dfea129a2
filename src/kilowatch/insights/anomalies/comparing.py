"""Comparisons with a memory of their own: nights, free days, clocks, weather, runs.

Each takes one hour of all streams into the state and returns what it says of that hour.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kilowatch.insights.anomalies.state import DAYS, HALF_LIVES_H, LAGS, WEEKS, State
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

USUAL_H = 60 * 24.0
"""How long the typical size of a measure is remembered [h]."""
DECAY = 0.5 ** (1 / HALF_LIVES_H)
_PART_DECAY = 0.5 ** (1 / np.array([6.0, 18.0]))
"""Nights and days are 6 and 8 hours: one and three of them."""
_CLOCK_DECAY = 0.5 ** (1 / np.array([30.0, 120.0]))
_STEADIEST = 0.04
"""No stream is believed to follow its profile more closely [log of a ratio]."""
_NIGHT = range(6)
_DAY = range(9, 17)


def log_ratio(actual: Floats, usual: Floats, floor: Floats) -> Floats:
    """Return the log of actual over usual, neither below a floor."""
    found: Floats = np.log(np.maximum(actual, floor) / np.maximum(usual, floor))
    return found


def rank(state: State, known: Bools, y: Floats, hour: int) -> None:
    """Follow the place of the values among those of the same hour on eight such days."""
    rows = np.arange(state.streams)[:, None]
    slots = (state.day[:, None] % 7 + 7 * np.arange(DAYS // 7)) % DAYS
    same = state.past[rows, slots, hour]
    there = np.maximum((~np.isnan(same)).sum(axis=1), 1)
    place = (y[:, None] > same).sum(axis=1) - (y[:, None] < same).sum(axis=1)
    decay = DECAY[None, 2:4]
    after = state.ranks * decay + (1 - decay) * (place / there)[:, None]
    state.ranks = np.where(known[:, None], after, state.ranks)


def parts(state: State, known: Bools, hour: int, y: Floats, e: Floats, floor: Floats) -> Floats:
    """Return the log ratio of nights and of days by half-life, shape (streams, 2, 2)."""
    part = 0 if hour in _NIGHT else 1 if hour in _DAY else None
    if part is not None:
        decay = _PART_DECAY[None, :, None]
        now = np.stack([y, e, np.ones_like(y)], axis=1)[:, None, :]
        after = state.parts[:, part] * decay + (1 - decay) * now
        state.parts[:, part] = np.where(known[:, None, None], after, state.parts[:, part])
    return log_ratio(state.parts[..., 0], state.parts[..., 1], floor[:, None, None])


def clock(state: State, known: Bools, hour: int, y: Floats) -> tuple[Floats, Floats]:
    """Compare the shape of the last days with what was expected up to six hours away.

    Returns:
        The shift that fits the last days best [h], and by how much the correlation of the best
        is better than none's over a day and over five, shape (streams, 2).
    """
    shape = state.expect.reshape(state.streams, -1)
    shifted = shape[:, 24 + hour - LAGS]
    fit = known & ~np.isnan(shifted).any(axis=1)
    z = np.where(fit[:, None], shifted, 0.0)
    lags = len(LAGS)
    now = np.concatenate(
        [z, z * z, z * y[:, None], np.stack([y, y * y, np.ones_like(y)], axis=1)], axis=1
    )
    decay = _CLOCK_DECAY[None, :, None]
    after = state.clock * decay + (1 - decay) * now[:, None]
    state.clock = np.where(fit[:, None, None], after, state.clock)
    kept = state.clock
    weight = np.maximum(kept[..., -1:], 1e-12)
    mean, square, product = (kept[..., i * lags : (i + 1) * lags] / weight for i in range(3))
    level, power = kept[..., -3:-2] / weight, kept[..., -2:-1] / weight
    scale = np.maximum(power - level**2, 1e-12) * np.maximum(square - mean**2, 1e-12)
    alike = (product - mean * level) / np.sqrt(scale)
    alike = np.where(kept[..., -1:] > 0.3, alike, 0.0)
    best = alike[:, 0].argmax(axis=1)
    none = alike[..., len(LAGS) // 2]
    return LAGS[best].astype(np.float64), alike.max(axis=2) - none


def even(state: State, known: Bools, ratio: Floats) -> Floats:
    """Say how evenly a stream is off: the mean log ratio of late over how much it varies.

    A lost phase, a wrong factor or a level that shifted takes the same share of every hour; a
    holiday or a change of habits takes more of some hours than of others.

    Returns:
        Over 6, 24 and 72 h, shape (streams, 3).
    """
    decay = DECAY[None, 1:4, None]
    calm = np.clip(ratio, -1.5, 1.5)
    now = np.stack([calm, calm * calm], axis=1)[:, None]
    after = state.even * decay + (1 - decay) * now
    state.even = np.where(known[:, None, None], after, state.even)
    mean, square = state.even[..., 0], state.even[..., 1]
    found: Floats = mean / np.sqrt(np.maximum(square - mean**2, 0.0) + _STEADIEST**2)
    return found


def mild(
    state: State, known: Bools, outdoor_c: Floats | None, ratio: Floats
) -> tuple[Floats, Floats]:
    """Take from a level what the weather of late did to it on this stream.

    Returns:
        How much warmer the last day was than the last week [°C], and the log ratio without
        what goes with that.
    """
    if outdoor_c is None:
        return np.full(len(ratio), np.nan), ratio
    kept, there = state.outdoor, feel(state, outdoor_c)
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


def feel(state: State, outdoor_c: Floats) -> Bools:
    """Follow the temperature of the last day and of the last week; returns where it is known."""
    kept = state.outdoor
    first = np.isnan(kept[:, 0]) & ~np.isnan(outdoor_c)
    kept[first, :2] = outdoor_c[first, None]
    kept[first, 2:] = 0
    there: Bools = ~np.isnan(outdoor_c) & ~np.isnan(kept[:, 0])
    now = np.where(there, outdoor_c, 0.0)
    for column, decay in ((0, DECAY[2]), (1, DECAY[4])):
        after = kept[:, column] * decay + (1 - decay) * now
        kept[:, column] = np.where(there, after, kept[:, column])
    return there


def today(
    state: State, known: Bools, y: Floats, e: Floats, hour: int, free: Bools
) -> tuple[Floats, Floats, Floats]:
    """Say where a free day lies between what a free day and a working day should be.

    Returns:
        By its sum: 0 for a free day as usual, 1 for one like a working day; by its shape: −1
        for a free day as usual, 1 for one like a working day. Both 0 on working days. And the
        log of a working day's use so far over a free day's.
    """
    level = np.where(
        state.base[:, hour] > 0, e / np.where(state.base[:, hour] > 0, state.base[:, hour], 1), 1
    )
    work = state.working[:, hour] * np.clip(level, 0.3, 3)
    work = np.where(np.isnan(work), e, work)
    now = np.stack(
        [y, e, work, np.ones_like(y), np.abs(y - e), np.abs(y - work), np.abs(work - e)], axis=1
    )
    state.today += np.where(known[:, None], now, 0.0)
    actual, usual, working, _, far, near, between = state.today.T
    floor = 0.05 * np.abs(usual) + 1e-9
    place = (actual - usual) / np.maximum(working - usual, floor)
    like = (far - near) / np.maximum(between, floor)
    contrast = np.log(np.maximum(working, floor) / np.maximum(usual, floor))
    return (
        np.where(free, np.clip(place, -5, 5), 0.0),
        np.where(free, like, 0.0),
        np.where(free, contrast, 0.0),
    )


def runs(state: State, there: Bools, value: Floats, size: Floats) -> list[Floats]:
    """Count hours of one value and of zero, and how rare that is on this stream."""
    zero = there & (value == 0)
    same = there & (value == state.last[:, 0]) & ~zero
    negative = there & (value < 0)
    runs, shares = state.runs, state.shares
    for column, now in ((0, same), (1, zero)):
        runs[:, column] = np.where(there, np.where(now, runs[:, column] + 1, 0), runs[:, column])
    weight = np.minimum(state.age, USUAL_H)
    rare = [
        runs[:, column] * -np.log((shares[:, column] * weight + 0.5) / (weight + 1))
        for column in (0, 1)
    ]
    seldom = negative * -np.log((shares[:, 2] * weight + 0.5) / (weight + 1))
    pace = 1 / np.minimum(state.age + 1.0, USUAL_H)
    for column, now in ((0, same & (runs[:, 0] < 12)), (1, zero), (2, negative)):
        after = shares[:, column] + pace * (now - shares[:, column])
        shares[:, column] = np.where(there, after, shares[:, column])
    return [
        runs[:, 0], rare[0], runs[:, 1], rare[1],
        np.where(negative, -value / size, 0.0), seldom,
    ]  # fmt: skip


def keep_highest(weekly: npt.NDArray[np.float32], day: Ints, known: Bools, now: Floats) -> None:
    """Keep what is higher than anything of this week so far.

    Args:
        weekly: By ``week % WEEKS``, shape (streams, WEEKS, n); changed in place.
        day: Local day of each stream, shape (streams,).
        known: Streams that are looked at.
        now: Shape (streams, n).
    """
    rows, week = np.arange(len(day)), (day + 3) // 7 % WEEKS
    highest = np.maximum(weekly[rows, week], now)
    weekly[rows[known], week[known]] = highest[known]


def night_contrast(state: State) -> Floats:
    """Return the log of a day's over a night's expected use."""
    night = state.expect[:, 1, :6].mean(axis=1)
    day = state.expect[:, 1, 9:17].mean(axis=1)
    size = np.maximum(state.bounds[:, 3], 1e-9) * 0.05
    return log_ratio(day, night, size)
