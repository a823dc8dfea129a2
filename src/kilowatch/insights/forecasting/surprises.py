"""What is a stream's own: how long its surprises last, and how it follows the temperature.

A surprise is what an hour had beyond similar days before it. Over the last weeks each stream's
surprises are explained by seven things that were known the evening before, by a ridge that is
fitted anew at each origin: nothing is kept, and a replay fits the same one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kilowatch.insights.forecasting.windows import HISTORY_DAYS, Windows
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints

Reals = npt.NDArray[np.floating]
_LAST = HISTORY_DAYS
_FIRST = 14
"""Days that similar days need before a surprise can be told."""

_SLOW_DAYS, _FAST_DAYS = 14.0, 4.0
"""Half-lives of similar days [days]; both count the same."""

_MEMORY_DAYS = 28.0
"""Half-life of what the ridge is fitted on [days]."""

_SURPRISE_MAX = 3.0
"""A larger surprise [spreads] teaches no more."""

_RIDGE = 3.0
"""In squared spreads, summed over hours."""

NAMES = (
    "own_base", "own_middle", "own_shift", "own_same", "own_same_mean", "own_last",
    "own_last_mean", "own_evening", "own_warmer",
)  # fmt: skip


def surprises(cut: Windows, scaled: Reals, ahead: int) -> dict[str, Reals]:
    """Describe what a stream's own surprises say of a day to come.

    Args:
        cut: What is known, shape (n, …).
        scaled: Its values, shape (n, HISTORY_DAYS + 1, 24) [spreads above the level].
        ahead: Which day: 0 is the origin's own.

    Returns:
        ``NAMES``, each shape (n,) or (n, 24) [spreads; K for ``own_warmer``]; ``own_middle`` is
        NaN where no similar day is known.

    Source:
        A. E. Hoerl and R. W. Kennard, "Ridge regression", Technometrics 12, 1970.
    """
    n, lag, target = len(scaled), 1 + ahead, _LAST + ahead
    days = np.arange(_FIRST, target + 1)
    rows = np.arange(n)[:, None]
    group = np.maximum(cut.kind[:, : target + 1], 4)
    scaled = scaled.astype(np.float32)  # half of the memory to walk through
    known = ~np.isnan(scaled)
    whole = known.sum(axis=2) >= 12
    first, pattern = patterns(group)
    similar = _similar(group[first], days, lag)
    base = _similar_mean(scaled, known, similar.astype(np.float32), pattern)
    warmer = _warmer(cut, whole, similar, pattern, days)
    past = scaled[:, _FIRST:] - base[:, : _LAST + 1 - _FIRST]
    told = ~np.isnan(past)
    past = np.where(told, np.clip(past, -_SURPRISE_MAX, _SURPRISE_MAX), np.float32(0.0))
    mean = past.sum(axis=2) / np.maximum(told.sum(axis=2), 1)
    evening = past[:, :, 18:].sum(axis=2) / np.maximum(told[:, :, 18:].sum(axis=2), 1)
    # Each row is a day; what was known of it lies ``lag`` days back, the last one is the target.
    day, back = slice(lag, len(days)), slice(0, len(days) - lag)
    same = _same_before(group, whole, days[day], lag) - _FIRST
    seen = same >= 0
    same = np.maximum(same, 0)
    by_day = np.stack(
        [
            mean[:, back], evening[:, back], mean[rows, same] * seen,
            warmer[:, day] / 5, (warmer[:, day] - warmer[:, back]) / 5,
        ],
        axis=2,
    )  # fmt: skip
    last, alike = past[:, back], past[rows, same] * seen[:, :, None]
    over = _LAST - _FIRST - lag  # days that are over
    memory = 0.5 ** ((target - days[day][:over]) / _MEMORY_DAYS)
    kept = _fitted(
        by_day[:, :over], last[:, :over], alike[:, :over], past[:, lag : lag + over],
        told[:, lag : lag + over] * memory[:, None].astype(np.float32),
    )  # fmt: skip
    shift = np.einsum("nk,nk->n", by_day[:, -1], kept[:, :5])[:, None]
    shift = shift + kept[:, 5, None] * last[:, -1] + kept[:, 6, None] * alike[:, -1]
    return {
        "own_base": base[:, -1], "own_middle": base[:, -1] + shift, "own_shift": shift,
        "own_same": alike[:, -1], "own_same_mean": by_day[:, -1, 2],
        "own_last": last[:, -1], "own_last_mean": by_day[:, -1, 0],
        "own_evening": by_day[:, -1, 1], "own_warmer": warmer[:, -1],
    }  # fmt: skip


def _similar(group: Ints, days: Ints, lag: int) -> Floats:
    """Weigh the days before each day that are of its group, shape (n, days, HISTORY_DAYS + 1).

    Args:
        group: Working day, Saturday or Sunday, of each pattern of days, shape (n, …).
        days: Which days.
        lag: Days that lie between a day and the last one that is known.
    """
    age = days[:, None] - np.arange(_LAST + 1)
    same = (group[:, days, None] == group[:, None, : _LAST + 1]).astype(np.float64)
    found = np.zeros(same.shape)
    for half_life in (_SLOW_DAYS, _FAST_DAYS):
        fading = np.where(age >= lag, 0.5 ** (age / half_life), 0.0)
        total = np.einsum("ndu,du->nd", same, fading)
        found += fading / np.maximum(total, 1e-12)[:, :, None]
    found *= same
    return found


def _similar_mean(values: Reals, known: Bools, weights: Reals, pattern: Ints) -> Reals:
    """Return the weighted means of the days before each day, shape (n, days, 24); NaN without any.

    Args:
        values: Shape (n, HISTORY_DAYS + 1, 24).
        known: Where they are, likewise.
        weights: By pattern of working days, shape (patterns, days, HISTORY_DAYS + 1).
        pattern: Of each window, shape (n,).
    """
    there = np.where(known, values, np.float32(0.0))
    gaps = ~known[:, :-1].all(axis=(1, 2)) | known[:, -1].any(axis=1)
    found = np.empty((len(values), weights.shape[1], 24), np.float32)
    for one, each in enumerate(weights):
        own = pattern == one
        full, some = np.flatnonzero(own & ~gaps), np.flatnonzero(own & gaps)
        if len(full):  # every day but the origin's own is known: no need to count
            weight = each[:, :-1].sum(axis=1)[:, None]
            total = np.matmul(each, there[full])
            found[full] = np.where(weight > 1e-9, total / np.maximum(weight, 1e-9), np.nan)
        if len(some):
            weight = np.matmul(each, known[some].astype(np.float32))
            total = np.matmul(each, there[some])
            found[some] = np.where(weight > 1e-9, total / np.maximum(weight, 1e-9), np.nan)
    return found


def patterns(kinds: Ints) -> tuple[Ints, Ints]:
    """Tell which windows have the same days: streams of one place and time mostly do.

    Args:
        kinds: Kinds of days, shape (n, days).

    Returns:
        First window of each pattern, and the pattern of each window, shape (n,).
    """
    packed = np.ascontiguousarray(kinds.astype(np.int8)).view(f"V{kinds.shape[1]}").ravel()
    _, first, pattern = np.unique(packed, return_index=True, return_inverse=True)
    return first, pattern


def _warmer(cut: Windows, whole: Bools, similar: Floats, pattern: Ints, days: Ints) -> Floats:
    """Tell how much warmer each day is than similar days were, shape (n, days) [K]; or 0.

    Args:
        cut: What is known.
        whole: Days that count, shape (n, HISTORY_DAYS + 1).
        similar: Weights, by pattern of working days.
        pattern: Of each window, shape (n,).
        days: Which days.
    """
    outdoor = cut.temperature[:, : days[-1] + 1]
    if np.isnan(outdoor).all():
        return np.zeros((len(outdoor), len(days)))
    known = ~np.isnan(outdoor)
    count = known.sum(axis=2)
    mean = np.where(known, outdoor, 0.0).sum(axis=2) / np.maximum(count, 1)
    there = (whole & (count[:, : _LAST + 1] > 0)).astype(np.float64)
    parts = np.stack([mean[:, : _LAST + 1] * there, there], axis=2)
    sums = np.empty((len(mean), len(days), 2))
    for one, each in enumerate(similar):
        own = np.flatnonzero(pattern == one)
        sums[own] = np.matmul(each, parts[own])
    total, weight = sums[:, :, 0], sums[:, :, 1]
    usual = total / np.maximum(weight, 1e-9)
    found: Floats = np.where((weight > 1e-9) & (count[:, days] > 0), mean[:, days] - usual, 0.0)
    return found


def _same_before(group: Ints, whole: Floats, days: Ints, lag: int) -> Ints:
    """Find the last whole day of its group that was known before each day; or −1."""
    found = np.full((len(group), len(days)), -1)
    place = np.arange(_LAST + 1)
    for one in (4, 5, 6):
        at = np.where((group[:, : _LAST + 1] == one) & whole, place, -1)
        before = np.maximum.accumulate(at, axis=1)[:, days - lag]
        found = np.where(group[:, days] == one, before, found)
    return found


def _fitted(by_day: Floats, last: Reals, alike: Reals, came: Reals, weight: Reals) -> Floats:
    """Fit the ridge of each stream, shape (n, 7): five by day, two by hour.

    Five of seven columns are the same all day, so that their products need daily sums only.
    """

    def each(*of: Reals) -> Reals:
        return np.asarray(np.einsum(",".join(["ndh"] * len(of)) + "->nd", *of))

    sums = each(weight)
    weighed = weight * last, weight * alike, weight * came
    hourly = np.stack([one.sum(axis=2) for one in weighed], axis=2)  # last, alike, came
    turned = by_day.transpose(0, 2, 1)
    square = np.empty((len(by_day), 7, 7))
    square[:, :5, :5] = np.matmul(turned * sums[:, None, :], by_day)
    mixed = np.matmul(turned, hourly)
    square[:, :5, 5:], square[:, 5:, :5] = mixed[:, :, :2], mixed[:, :, :2].transpose(0, 2, 1)
    square[:, 5, 5] = each(weighed[0], last).sum(axis=1)
    square[:, 6, 6] = each(weighed[1], alike).sum(axis=1)
    square[:, 5, 6] = square[:, 6, 5] = each(weighed[0], alike).sum(axis=1)
    wanted = np.empty((len(by_day), 7, 1))
    wanted[:, :5, 0] = mixed[:, :, 2]
    wanted[:, 5, 0] = each(weighed[0], came).sum(axis=1)
    wanted[:, 6, 0] = each(weighed[1], came).sum(axis=1)
    square += _RIDGE * np.eye(7)
    return np.asarray(np.linalg.solve(square, wanted)[:, :, 0])
