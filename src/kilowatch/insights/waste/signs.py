"""The signs by which waste is told from ordinary life: how an hour stands to what came before it.

All are distances from the frozen need in shares of the stream's mean load, so that a kettle and
a hospital are told by the same signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.insights.waste.days import Days, Past
from kilowatch.insights.waste.habits import mean, parts, week_of_year
from kilowatch.insights.waste.reference import TINY, Reference, warmth
from kilowatch.model.blocks import Floats, Ints

REACH_DAYS = 98
"""How many days back any sign looks: fourteen weeks, a season."""
WEEKS = 12
WORK_BLOCK, CLOSED_BLOCK, BLOCKS = 5, 2, 11
"""The usual level of an hour is read off eleven weeks: five working or two closed days each."""
EPSILON = 0.01
SINGLE_DAYS = 10
"""Days of its kind, today among them, that an hour is compared with one by one."""
MEANS = {"two": 2, "three": 3, "ten": 10}
"""Means of an hour over the last days of its kind, today among them, and how many."""
LONG = (20, 55)
"""The days of its kind that are a usual season ago, from the first to before the last of them."""
LEASTS = {"least_3": 3, "least_5": 5}
"""The least of an hour over the last days of its kind, and how many: what was left on stays on."""
HOURS_RANKS = {"hours_q1": 2, "hours_q3": 7, "hours_q9": 21}
"""Rank among the 24 hours of what they stood above their usual level in the last three days:
something left on shows in some hours, a building that is used otherwise in all."""
QUIETS = {"usual": 0.3, "usual_q1": 0.1, "usual_q5": 0.5, "usual_q7": 0.7, "usual_q9": 0.9}
"""Where an hour's level of eleven weeks is read off: rank among them."""


@dataclass(frozen=True)
class Signs:
    """Signs of some days.

    Attributes:
        days: The days, row numbers of the hours they were made from, shape (n,).
        table: Shape (streams, n, 24, len(NAMES)), float32; NaN where one is not known.
        over: Distance from the need, shape (streams, n, 24) [share of scale].
        usual: How far that hour has been at its quiet, lately, shape (streams, n, 24).
        level: How far whole days have been, by day and by night, for twelve weeks, ≥ 0, shape
            (streams, n).
    """

    days: Ints
    table: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    over: Floats
    usual: Floats
    level: Floats


def signs(reference: Reference, hours: Hours, days: Days, first: int) -> Signs:
    """Return the signs of the days from row ``first`` on.

    Args:
        reference: What the streams need.
        hours: Hours, with ``REACH_DAYS`` days before the first day that is asked for.
        days: Days of the hours.
        first: First row that is asked for.
    """
    share = reference.share(hours, days)
    reach = days.lay(reference.reaching(hours))
    high = share - reach
    asked = np.arange(first, days.count)
    found = _of_the_hour(days, share, high, asked)
    found["reach"] = reach[:, asked]
    found |= _of_the_last_hours(share, asked)
    found |= _of_the_day(days, share, high, asked)
    found |= _of_the_place(reference, hours, days, asked)
    found |= _compared(found)
    shape = share[:, asked].shape
    table = np.empty((*shape, len(NAMES)), np.float32)
    for column, name in enumerate(NAMES):
        value = found[name]
        table[..., column] = value[:, :, None] if value.ndim == 2 else value
    low = np.minimum(np.minimum(found["day_q1"], found["night_q1"]), found["midday_q1"])
    return Signs(asked, table, share[:, asked], found["usual"], np.maximum(np.nan_to_num(low), 0))


def _of_the_hour(days: Days, share: Floats, high: Floats, asked: Ints) -> dict[str, Floats]:
    """Signs of an hour of the day beside the same hour of days of its kind."""
    shape = share[:, asked].shape
    names = (*MEANS, *LEASTS, *QUIETS, "long", "wander", "three_high", "before_3")
    found = {name: np.full(shape, np.nan) for name in names}
    for some, classes in days.groups():
        for shut in (False, True):
            rows = np.flatnonzero((classes > 0) == shut)
            here = np.flatnonzero((classes[asked] > 0) == shut)
            if not len(here):
                continue
            past = Past.of(rows, asked[here], REACH_DAYS, today=True)
            part = share[some]
            where = np.ix_(some, here)
            for name, value in _day_by_day(past, part).items():
                found[name][where] = value
            found["long"][where] = past.mean(part, *LONG)
            found["three_high"][where] = past.mean(high[some], 0, 3)
            block = CLOSED_BLOCK if shut else WORK_BLOCK
            lows = past.lows(part, block, BLOCKS, tuple(QUIETS.values()), 1)
            for name, low in zip(QUIETS, lows, strict=True):
                found[name][where] = low
    usual = found["usual_q5"]
    found |= {"over": share[:, asked], "over_high": high[:, asked]}
    found["today"] = _so_far(found["over"] - usual)
    ordered = np.sort(found.pop("before_3") - usual, axis=2)  # NaN sorts to the end
    return found | {name: ordered[:, :, rank] for name, rank in HOURS_RANKS.items()}


def _day_by_day(past: Past, share: Floats) -> dict[str, Floats]:
    """Signs of an hour beside the same hour of the last days, one by one.

    Sums run from the latest day on: the same to the last bit in whatever batch.
    """
    single = np.stack([past.mean(share, back, back + 1) for back in range(SINGLE_DAYS)])
    known = ~np.isnan(single)
    count = np.cumsum(known, axis=0)
    total = np.cumsum(np.where(known, single, 0.0), axis=0)
    squares = np.cumsum(np.where(known, single**2, 0.0), axis=0)
    some = np.maximum(count, 1)
    means = np.where(count > 0, total / some, np.nan)
    before = count[3] - count[0]
    found = {name: means[days - 1] for name, days in MEANS.items()}
    found["before_3"] = np.where(before > 0, (total[3] - total[0]) / np.maximum(before, 1), np.nan)
    variance = squares[-1] / some[-1] - means[-1] ** 2
    found["wander"] = np.sqrt(np.maximum(variance, 0.0))
    for name, days in LEASTS.items():
        least = np.min(np.where(known[:days], single[:days], np.inf), axis=0)
        found[name] = np.where(np.isfinite(least), least, np.nan)
    return found


def _so_far(values: Floats) -> Floats:
    """Return the mean of each day's hours until each of them, NaN where none is known."""
    known = ~np.isnan(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=2)
    count = np.cumsum(known, axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _of_the_last_hours(share: Floats, asked: Ints) -> dict[str, Floats]:
    """Means of the last hours, whatever their kind of day."""
    line = share.reshape(len(share), -1)
    known = ~np.isnan(line)
    total, count = np.zeros(line.shape), np.zeros(line.shape)
    found: dict[str, Floats] = {}
    for back in range(24):
        end = line.shape[1] - back
        total[:, back:] += np.where(known, line, 0.0)[:, :end]
        count[:, back:] += known[:, :end]
        if back + 1 in {3, 24}:
            value = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            found[f"last_{back + 1}_h"] = value.reshape(share.shape)[:, asked]
    return found


def _of_the_day(days: Days, share: Floats, high: Floats, asked: Ints) -> dict[str, Floats]:
    """Signs of the days before: whole days, nights, middays and evenings."""
    whole, night, midday, evening = parts(share)
    every = Past.of(np.arange(days.count), asked, REACH_DAYS, today=True)
    found: dict[str, Floats] = {}
    for name, series in (("day", whole), ("night", night)):
        for first, last in ((1, 4), (1, 8), (8, 29), (29, 85)):
            found[f"{name}_{first}_{last}"] = every.mean(series, first, last)
    found["night_1"] = every.mean(night, 1, 2)
    for name, series in (("day", whole), ("night", night), ("midday", midday)):
        lows = every.lows(series, 7, WEEKS, (0.1, 0.3, 0.5), 1)
        found |= {f"{name}_q{rank}": low for rank, low in zip((1, 3, 5), lows, strict=True)}
    highs = mean(np.maximum(high, 0.0))
    for first, last in ((1, 8), (8, 36), (36, 98)):
        found[f"highs_{first}_{last}"] = every.mean(highs, first, last)
    wanted = (
        ("work", midday, False, ((0, 1), (0, 5), (5, 20), (20, 60))),
        ("closed", midday, True, ((0, 1), (0, 2), (2, 8), (8, 24))),
        ("evening", evening, False, ((0, 1), (0, 5), (5, 20))),
    )
    for name, series, shut, windows in wanted:
        for first, last in windows:
            value = np.full((len(share), len(asked)), np.nan)
            for some, classes in days.groups():
                rows = np.flatnonzero((classes > 0) == shut)
                past = Past.of(rows, asked, REACH_DAYS, today=False)
                value[some] = past.mean(series[some], first, last)
            found[f"{name}_{first}_{last}"] = value
    return found


def _of_the_place(reference: Reference, hours: Hours, days: Days, asked: Ints) -> dict[str, Floats]:
    """Signs of the time, the weather and the building itself."""
    scale = np.maximum(reference.scale, TINY)[:, None]
    need = days.lay(reference.expected(hours) / scale)[:, asked]
    whole = reference.need[..., -1].reshape(reference.streams, -1)
    ordered = np.sort(whole, axis=1) / scale
    base, peak = ordered[:, 3], ordered[:, -4]  # the fourth of 72: near the ends, not at them
    classes = days.classes()[:, asked]
    closed = (classes > 0).astype(np.int64)
    noise = reference.noise[np.arange(reference.streams)[:, None], closed]
    spread = np.broadcast_to(reference.spread[:, None], (*classes.shape, 3))
    season = reference.season[:, week_of_year(days.first, days.count)[asked]]
    warm = warmth(hours)
    lately = [_ago(warm, 24 * back) for back in range(7)]
    three = (lately[0] + lately[1] + lately[2]) / 3
    week = sum(lately[1:], lately[0]) / len(lately)
    return {
        "place": (need - base[:, None, None]) / np.maximum(peak - base, 0.02)[:, None, None],
        "warmth": days.lay(warm)[:, asked],
        "warmer_3": days.lay(warm - three)[:, asked],
        "warmer_7": days.lay(warm - week)[:, asked],
        "noise": noise,
        "day_spread": spread[..., 0],
        "night_spread": spread[..., 1],
        "midday_spread": spread[..., 2],
        "day_season": season[..., 0],
        "night_season": season[..., 1],
        "midday_season": season[..., 2],
    }


def _ago(values: Floats, hours: int) -> Floats:
    """Return what was some hours ago, shape (streams, hours); NaN before the first."""
    out = np.full(values.shape, np.nan)
    out[:, hours:] = values[:, : values.shape[1] - hours]
    return out


DIFFERENCES = (
    ("over", "last_24_h"), ("night_1_4", "night_8_29"), ("night_1_4", "night_29_85"),
    ("work_0_1", "work_5_20"), ("day_1_8", "day_29_85"), ("day_1_8", "day_8_29"),
    ("three", "usual"), ("three", "day_q3"), ("day_1_8", "day_season"),
    ("night_1_4", "night_season"), ("three", "day_season"), ("over", "day_1_8"),
    ("night_1_4", "work_0_1"), ("over", "usual"), ("three", "work_0_5"), ("three", "night_1_4"),
    ("three", "evening_0_5"), ("three", "closed_0_2"), ("ten", "long"), ("three", "usual_q5"),
    ("over", "usual_q5"), ("least_3", "usual_q5"),
)  # fmt: skip
"""Pairs of signs whose difference is one."""
RATIOS = (
    ("three", "noise"), ("over", "noise"), ("three-usual", "noise"), ("over", "reach"),
    ("least_3", "reach"), ("least_3", "wander"),
    ("night_1_4-night_8_29", "night_spread"), ("three-day_q3", "day_spread"),
)  # fmt: skip
"""Signs that are also seen in the stream's own noise."""


def _compared(found: dict[str, Floats]) -> dict[str, Floats]:
    """Differences and ratios of other signs."""
    wide = {name: value if value.ndim == 3 else value[:, :, None] for name, value in found.items()}
    more = {f"{one}-{other}": wide[one] - wide[other] for one, other in DIFFERENCES}
    more |= {
        f"{one}/{other}": (more[one] if one in more else wide[one]) / (wide[other] + EPSILON)
        for one, other in RATIOS
    }
    return {name: value[:, :, 0] if value.shape[2] == 1 else value for name, value in more.items()}


NAMES = (
    "over", *MEANS, *QUIETS, *LEASTS, "last_3_h", "last_24_h", "wander", "today",
    "reach", "over_high", "three_high", "highs_1_8", "highs_8_36", "highs_36_98", *HOURS_RANKS,
    "day_1_4", "day_1_8", "day_8_29", "day_29_85", "night_1", "night_1_4", "night_1_8",
    "night_8_29", "night_29_85", "day_q1", "day_q3", "day_q5", "night_q1", "night_q3", "night_q5",
    "midday_q1", "midday_q3", "midday_q5", "work_0_1", "work_0_5", "work_5_20", "work_20_60",
    "closed_0_1", "closed_0_2", "closed_2_8", "closed_8_24", "evening_0_1", "evening_0_5",
    "evening_5_20", "place", "warmth", "warmer_3", "warmer_7", "noise",
    "day_spread", "night_spread", "midday_spread", "day_season", "night_season", "midday_season",
    *(f"{one}-{other}" for one, other in DIFFERENCES),
    *(f"{one}/{other}" for one, other in RATIOS),
)  # fmt: skip
"""The columns of the table, in order."""
