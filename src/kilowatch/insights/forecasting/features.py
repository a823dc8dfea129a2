"""What a forecast knows of each hour to come: similar days, lags, level, calendar, weather.

Everything is relative to the stream's own level and spread of the last weeks, so that one model
serves a kettle and a hospital. Sums run along the days of one stream only: what is said of a
stream does not depend on the streams beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kilowatch.insights.forecasting import surprises
from kilowatch.insights.forecasting.surprises import Reals
from kilowatch.insights.forecasting.windows import (
    AHEAD_DAYS,
    HISTORY_DAYS,
    Windows,
)
from kilowatch.model.blocks import Floats, Ints

Singles = npt.NDArray[np.float32]
_LAST = HISTORY_DAYS
_RECENT_DAYS = 28
_SLOW_DAYS, _FAST_DAYS = 14.0, 4.0
"""Half-lives of what similar days had [days]."""

_FEW = 8
"""As many weeks as are compared with each other."""

_SPREADS_MAX = 15.0
"""What is further from the level is a fault or a stream that was still: it teaches no more."""

NAMES = (
    "last", "before", "third", "last_level", "before_level", "last_surprise", "day_surprise",
    "newest", "surprise_1", "surprise_3", "surprise_6", "week_level", "week_before_level",
    "month_level", "weekly_error", "daily_error", "weekly_error_at", "weekend_gap",
    "holidays_before", "temperature_slope", "temperature_usual", "group_slow", "group_fast",
    "kind_slow", "group_weight", "week_1", "week_2", "week_3", "week_median", "week_spread",
    "base", "yesterday_surprise", "yesterday_surprise_near", "yesterday_surprise_0",
    "yesterday_surprise_1", "yesterday_surprise_2", "yesterday_surprise_3",
    "day_before_surprise", "yesterday_surprise_mean", "profile_mean", "hour", "kind", "weekday",
    "holiday_-1", "holiday_0", "holiday_1", "holiday_lag_7", "holiday_lag_14", "yesterday_kind",
    "day_of_year", "lead", "outdoor", "outdoor_day", "outdoor_against_usual",
    "outdoor_against_yesterday", "outdoor_against_week", "outdoor_effect",
    "outdoor_against_similar", "outdoor_hour_against_yesterday", "outdoor_effect_hour",
    "hour_slope", "outdoor_effect_yesterday", *surprises.NAMES,
)  # fmt: skip
"""What each hour to come is described by, in the order of ``Features.columns``."""


@dataclass(frozen=True, slots=True)
class Features:
    """Hours to come, described.

    Attributes:
        columns: Shape (n, len(NAMES), days, 24).
        base: What similar days had, shape (n, days, 24) [the stream's unit].
        level: Shape (n,) [the stream's unit].
        spread: Shape (n,) [the stream's unit]; > 0.
        days_seen: Days with at least 12 known hours, shape (n,).
    """

    columns: Singles
    base: Floats
    level: Floats
    spread: Floats
    days_seen: Ints


def mean(of: Reals, axis: int) -> Reals:
    """Mean of what is known along an axis; NaN where nothing is."""
    known = ~np.isnan(of)
    count = known.sum(axis=axis)
    total = np.where(known, of, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def median(of: Reals, axis: int) -> Reals:
    """Median of what is known along an axis; NaN where nothing is."""
    few = axis == 0 and len(of) <= _FEW
    ordered = _ordered(of) if few else np.sort(of, axis=axis)  # NaN last
    count = (~np.isnan(of)).sum(axis=axis)
    low = np.expand_dims(np.maximum((count - 1) // 2, 0), axis)
    high = np.expand_dims(np.maximum(count // 2, 0), axis)
    high = np.minimum(high, of.shape[axis] - 1)
    middle = np.take_along_axis(ordered, low, axis) + np.take_along_axis(ordered, high, axis)
    return np.where(count > 0, middle.squeeze(axis) / 2, np.nan)


def _ordered(of: Reals) -> Reals:
    """Sort a few arrays against each other, what is unknown last, as infinity.

    Minima and maxima of whole arrays take a fifth of the time of as many short sorts.
    """
    rows = list(np.where(np.isnan(of), np.inf, of))
    for turn in range(len(rows)):
        for at in range(turn % 2, len(rows) - 1, 2):
            low, high = rows[at], rows[at + 1]
            rows[at], rows[at + 1] = np.minimum(low, high), np.maximum(low, high)
    return np.stack(rows)


def weighted(values: Reals, weights: Sequence[Reals]) -> tuple[list[Reals], Reals]:
    """Weighted means over days, and the weight that the last of them rests on.

    Args:
        values: Shape (n, days, 24).
        weights: One or more of shape (n, days).

    Returns:
        Means (NaN where the weight is 0), each of shape (n, 24), and the weight, likewise.
    """
    known = ~np.isnan(values)
    each = np.stack(weights, axis=1).astype(values.dtype)
    total = np.matmul(each, np.where(known, values, 0.0))  # each stream by itself
    weight = np.matmul(each, known.astype(values.dtype))
    means = np.where(weight > 1e-9, total / np.maximum(weight, 1e-9), np.nan)
    return list(means.transpose(1, 0, 2)), weight[:, -1]


def features(cut: Windows, aheads: Sequence[int] = range(AHEAD_DAYS)) -> Features:
    """Describe the hours of some days: 0 is the origin's own day, 1 the one after it.

    Args:
        cut: What is known, shape (n, …).
        aheads: Which days; the days of ``Features`` follow this order.
    """
    n = len(cut.values)
    level, spread = (one.astype(np.float64) for one in _scale(cut.values))
    scaled = (cut.values - level[:, None, None]) / spread[:, None, None]
    scaled = np.clip(scaled, -_SPREADS_MAX, _SPREADS_MAX).astype(np.float32)
    days = _days(cut, scaled)
    columns = np.empty((n, len(NAMES), len(aheads), 24), np.float32)
    base = np.empty((n, len(aheads), 24))
    for row, ahead in enumerate(aheads):
        part = _of_day(cut, scaled, days, ahead)
        for index, name in enumerate(NAMES):
            columns[:, index, row] = part[name] if part[name].ndim > 1 else part[name][:, None]
        base[:, row] = part["base"]
    seen = ((~np.isnan(cut.values)).sum(axis=2) >= 12).sum(axis=1)
    return Features(
        columns, level[:, None, None] + spread[:, None, None] * base, level, spread, seen
    )


def _scale(values: Reals) -> tuple[Reals, Reals]:
    """Level and spread of the last weeks, each shape (n,); spread is never 0."""
    recent = values[:, -_RECENT_DAYS - 1 :].reshape(len(values), -1)
    level, spread = _level_and_spread(recent)
    silent = np.isnan(level)
    if silent.any():  # nothing in four weeks: what was before
        before = values[silent].reshape(int(silent.sum()), -1)
        level[silent], spread[silent] = _level_and_spread(before)
    level, spread = _or(level, np.zeros(len(level))), _or(spread, np.zeros(len(level)))
    return level, np.maximum(spread, np.maximum(0.02 * np.abs(level), 1e-9))


def _level_and_spread(line: Reals) -> tuple[Reals, Reals]:
    level = median(line, 1)
    return level, mean(np.abs(line - level[:, None]), 1)


def _or(*choices: Reals) -> Reals:
    found = choices[0]
    for other in choices[1:]:
        found = np.where(np.isnan(found), other, found)
    return found


def _days(cut: Windows, scaled: Reals) -> dict[str, Reals]:
    """Describe what does not depend on the target hour, each shape (n,) or (n, 24)."""
    n = len(scaled)
    observed = np.arange(24) < cut.hour[:, None]
    last = np.where(observed, scaled[:, _LAST], scaled[:, _LAST - 1])
    before = np.where(observed, scaled[:, _LAST - 1], scaled[:, _LAST - 2])
    third = np.where(observed, scaled[:, _LAST - 2], scaled[:, _LAST - 3])
    weekly = [
        np.where(observed, scaled[:, _LAST - 7 * k], scaled[:, _LAST - 1 - 7 * k])
        for k in range(1, 5)
    ]
    usual = median(np.stack(weekly), 0)
    # The last hours before the origin, in order: the end of yesterday and the start of today.
    line = np.concatenate([scaled[:, _LAST - 2], scaled[:, _LAST - 1], scaled[:, _LAST]], 1)
    usual_days = [
        median(np.stack([scaled[:, d - 7 * k] for k in range(1, 5)]), 0)
        for d in (_LAST - 2, _LAST - 1, _LAST)
    ]
    usual_line = np.concatenate(usual_days, 1)
    at = 48 + cut.hour
    rows = np.arange(n)
    surprise = line - usual_line
    found: dict[str, Reals] = {
        "last": last, "before": before, "third": third,
        "last_level": mean(last, 1), "before_level": mean(before, 1),
        "last_surprise": last - usual, "day_surprise": mean(last - usual, 1),
        "newest": line[rows, at - 1],
    }  # fmt: skip
    for span in (1, 3, 6):
        index = at[:, None] - 1 - np.arange(span)
        found[f"surprise_{span}"] = mean(surprise[rows[:, None], index], 1)
    means = mean(scaled, 2)
    found["week_level"] = mean(means[:, _LAST - 7 : _LAST], 1)
    found["week_before_level"] = mean(means[:, _LAST - 14 : _LAST - 7], 1)
    found["month_level"] = mean(means[:, _LAST - 28 : _LAST], 1)
    weekly_change = scaled[:, _LAST - 28 : _LAST] - scaled[:, _LAST - 35 : _LAST - 7]
    daily_change = scaled[:, _LAST - 28 : _LAST] - scaled[:, _LAST - 29 : _LAST - 1]
    found["weekly_error"] = mean(np.abs(weekly_change).reshape(n, -1), 1)
    found["daily_error"] = mean(np.abs(daily_change).reshape(n, -1), 1)
    found["weekly_error_at"] = mean(np.abs(weekly_change), 1)
    off = cut.kind[:, _LAST - 28 : _LAST] >= 5
    work = mean(np.where(off, np.nan, means[:, _LAST - 28 : _LAST]), 1)
    found["weekend_gap"] = work - mean(np.where(off, means[:, _LAST - 28 : _LAST], np.nan), 1)
    found["holidays_before"] = cut.holiday[:, _LAST - 7 : _LAST].sum(1).astype(np.float64)
    found |= _following(cut, scaled)
    return found


def _following(cut: Windows, scaled: Reals) -> dict[str, Reals]:
    """Tell how a stream follows the day's temperature, among days of its kind.

    Returns:
        ``temperature_slope`` of the day's mean, shape (n,), and ``hour_slope`` of each hour,
        shape (n, 24) [spreads per K], 0 where they can't be told; ``temperature_usual``, shape
        (n,) [°C].
    """
    outdoor = mean(cut.temperature[:, :HISTORY_DAYS], 2)
    if np.isnan(outdoor).all():
        none = np.zeros((len(scaled), 24))
        unknown = np.full(len(scaled), np.nan)
        return {"temperature_slope": none[:, 0], "hour_slope": none, "temperature_usual": unknown}
    use = scaled[:, :HISTORY_DAYS]
    known = ~np.isnan(use) & ~np.isnan(outdoor)[:, :, None]
    usual = np.nan_to_num(mean(outdoor, 1))[:, None]
    warm = np.where(np.isnan(outdoor), 0.0, outdoor - usual)
    off = cut.kind[:, :HISTORY_DAYS] >= 5
    groups = np.stack([off, ~off], axis=1).astype(np.float64)
    # Sums over the days of each group: of 1, of the temperature, and of its square.
    by_day = np.concatenate([groups, groups * warm[:, None], groups * (warm**2)[:, None]], axis=1)
    days = np.matmul(by_day, known.astype(np.float64))
    uses = np.matmul(by_day[:, :4], np.where(known, use, 0.0))
    count, warmth, square = days[:, :2], days[:, 2:4], days[:, 4:]
    count = np.maximum(count, 1.0)
    top = (uses[:, 2:] - warmth * uses[:, :2] / count).sum(axis=1)
    bottom = 60.0 + (square - warmth**2 / count).sum(axis=1)  # shrunk: 60 K²
    slope = top / bottom
    return {
        "temperature_slope": slope.sum(1) / 24,
        "hour_slope": slope,
        "temperature_usual": mean(outdoor[:, -28:], 1),
    }


def _of_day(cut: Windows, scaled: Reals, days: dict[str, Reals], ahead: int) -> dict[str, Reals]:
    """Describe the hours of one day to come, each shape (n, 24) or (n,)."""
    n = len(scaled)
    target = _LAST + ahead
    found = dict(days)
    kind = cut.kind[:, target]
    past = cut.kind[:, : _LAST + 1]
    group, groups = np.maximum(kind, 4), np.maximum(past, 4)  # working day, Saturday, Sunday
    same_group = (groups == group[:, None]).astype(np.float64)
    same_kind = (past == kind[:, None]).astype(np.float64)
    age = (target - np.arange(_LAST + 1)).astype(np.float64)
    slow, fast = 0.5 ** (age / _SLOW_DAYS), 0.5 ** (age / _FAST_DAYS)
    (found["kind_slow"], found["group_slow"], found["group_fast"]), weight = weighted(
        scaled,
        (
            (same_kind + 0.05 * same_group + 1e-5) * slow,
            same_group * slow,
            (same_group + 1e-4) * fast,
        ),
    )
    found |= _weather(cut, found, target, same_group * slow)
    found |= surprises.surprises(cut, scaled, ahead)
    found["group_weight"] = weight
    weekly = np.stack([scaled[:, target - 7 * k] for k in range(1, 9) if target - 7 * k <= _LAST])
    for k in (1, 2, 3):
        found[f"week_{k}"] = weekly[k - 1]
    found["week_median"] = median(weekly, 0)
    found["week_spread"] = median(np.abs(weekly - found["week_median"]), 0)
    found["base"] = _or(
        (found["kind_slow"] + found["group_fast"]) / 2,
        found["kind_slow"], found["group_fast"], found["last"], np.zeros((n, 24)),
    )  # fmt: skip
    # Yesterday and the last hours against what similar days had: is the level another one now?
    own_group = np.maximum(past[:, _LAST - 1], 4)
    same_as_last = (groups[:, : _LAST - 1] == own_group[:, None]) * slow[: _LAST - 1]
    (usual_last,), _ = weighted(scaled[:, : _LAST - 1], [same_as_last])
    found["yesterday_surprise"] = scaled[:, _LAST - 1] - usual_last
    found["yesterday_surprise_mean"] = mean(found["yesterday_surprise"], 1)
    near = np.pad(found["yesterday_surprise"], ((0, 0), (1, 1)), mode="edge")
    found["yesterday_surprise_near"] = mean(np.stack([near[:, :-2], near[:, 1:-1], near[:, 2:]]), 0)
    for block in range(4):
        hours = slice(6 * block, 6 * block + 6)
        found[f"yesterday_surprise_{block}"] = mean(found["yesterday_surprise"][:, hours], 1)
    found["day_before_surprise"] = mean(scaled[:, _LAST - 2] - found["group_slow"], 1)
    found["profile_mean"] = mean(found["base"], 1)
    found["hour"] = np.tile(np.arange(24.0), (n, 1))
    found["kind"] = kind.astype(np.float64)
    found["weekday"] = ((cut.day + ahead + 3) % 7).astype(np.float64)
    for offset in (-1, 0, 1):
        at = min(target + offset, _LAST + AHEAD_DAYS - 1)
        found[f"holiday_{offset}"] = cut.holiday[:, at].astype(np.float64)
    for lag in (7, 14):
        found[f"holiday_lag_{lag}"] = cut.holiday[:, target - lag].astype(np.float64)
    found["yesterday_kind"] = past[:, _LAST - 1].astype(np.float64)
    found["day_of_year"] = ((cut.day + ahead) % 365.2425).astype(np.float64)
    found["lead"] = np.arange(24.0) + 24 * ahead - cut.hour[:, None]
    return found


def _weather(
    cut: Windows, found: dict[str, Reals], target: int, weights: Reals
) -> dict[str, Reals]:
    """Describe the weather of a day to come, as far as the days before let expect it."""
    yesterday_hours, outdoor = cut.temperature[:, _LAST - 1], cut.temperature[:, target]
    day = mean(outdoor, 1)
    yesterday = mean(yesterday_hours, 1)
    past = mean(cut.temperature[:, : _LAST + 1], 2)
    known = np.where(np.isnan(past), 0.0, weights)
    total = known.sum(1)
    similar = np.where(np.isnan(past), 0.0, past * weights).sum(1)
    similar = np.where(total > 1e-9, similar / np.maximum(total, 1e-9), np.nan)
    return {
        "outdoor": outdoor,
        "outdoor_day": day,
        "outdoor_against_usual": day - found["temperature_usual"],
        "outdoor_against_yesterday": day - yesterday,
        "outdoor_against_week": outdoor - cut.temperature[:, target - 7],
        "outdoor_against_similar": day - similar,
        "outdoor_hour_against_yesterday": outdoor - yesterday_hours,
        "outdoor_effect": (day - similar) * found["temperature_slope"],
        "outdoor_effect_hour": (day - similar)[:, None] * found["hour_slope"],
        "outdoor_effect_yesterday": (day - yesterday)[:, None] * found["hour_slope"],
    }
