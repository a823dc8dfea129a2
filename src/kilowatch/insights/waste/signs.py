"""The signs by which waste is told from ordinary life: how an hour stands to what came before it.

All are distances from the frozen need in shares of the stream's mean load, so that a kettle and
a hospital are told by the same signs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.insights.waste.days import Days, Past
from kilowatch.insights.waste.habits import parts, week_of_year
from kilowatch.insights.waste.reference import TINY, Reference, warmth
from kilowatch.model.blocks import Floats, Ints

REACH_DAYS = 98
"""How many days back any sign looks: fourteen weeks, a season."""
WEEKS = 12
WORK_BLOCK, CLOSED_BLOCK, BLOCKS = 5, 2, 11
"""The usual level of an hour is read off eleven weeks: five working or two closed days each."""
EPSILON = 0.01
MEANS = {
    "two": (0, 2), "three": (0, 3), "five": (0, 5), "ten": (0, 10), "before": (6, 30),
    "second": (10, 20), "long": (20, 55),
}  # fmt: skip
"""Means of an hour over days of its kind, from the first to before the last of them."""
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
    asked = np.arange(first, days.count)
    found = _of_the_hour(days, share, asked)
    found |= _of_the_day(days, share, asked)
    found |= _of_the_place(reference, hours, days, asked)
    found |= _compared(found)
    shape = share[:, asked].shape
    table = np.empty((*shape, len(NAMES)), np.float32)
    for column, name in enumerate(NAMES):
        value = found[name]
        table[..., column] = value[:, :, None] if value.ndim == 2 else value
    low = np.minimum(np.minimum(found["day_q1"], found["night_q1"]), found["midday_q1"])
    return Signs(asked, table, share[:, asked], found["usual"], np.maximum(np.nan_to_num(low), 0))


def _of_the_hour(days: Days, share: Floats, asked: Ints) -> dict[str, Floats]:
    """Signs of an hour of the day beside the same hour of days of its kind."""
    shape = share[:, asked].shape
    found = {name: np.full(shape, np.nan) for name in (*MEANS, *QUIETS)}
    for some, classes in days.groups():
        for shut in (False, True):
            rows = np.flatnonzero((classes > 0) == shut)
            here = np.flatnonzero((classes[asked] > 0) == shut)
            if not len(here):
                continue
            past = Past.of(rows, asked[here], REACH_DAYS, today=True)
            part = share[some]
            where = np.ix_(some, here)
            for name, ends in MEANS.items():
                found[name][where] = past.mean(part, *ends)
            block = CLOSED_BLOCK if shut else WORK_BLOCK
            lows = past.lows(part, block, BLOCKS, tuple(QUIETS.values()), 1)
            for name, low in zip(QUIETS, lows, strict=True):
                found[name][where] = low
    line = share.reshape(len(share), -1)
    known = ~np.isnan(line)
    total, count = np.zeros(line.shape), np.zeros(line.shape)
    for back in range(24):
        end = line.shape[1] - back
        total[:, back:] += np.where(known, line, 0.0)[:, :end]
        count[:, back:] += known[:, :end]
        if back + 1 in {3, 6, 24}:
            value = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            found[f"last_{back + 1}_h"] = value.reshape(share.shape)[:, asked]
    found["over"] = share[:, asked]
    return found


def _of_the_day(days: Days, share: Floats, asked: Ints) -> dict[str, Floats]:
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
    usual = reference.need[np.arange(reference.streams)[:, None], classes, :, -1]
    usual = usual / scale[:, :, None]
    ahead = np.full((2, *need.shape), np.nan)  # what comes at any temperature: this one's is ahead
    for number, step in enumerate((1, 3)):
        ahead[number][:, :, :-step] = usual[:, :, step:] - usual[:, :, :-step]
    return {
        "place": (need - base[:, None, None]) / np.maximum(peak - base, 0.02)[:, None, None],
        "rise_1": ahead[0],
        "rise_3": ahead[1],
        "class": classes.astype(np.float64),
        "holiday": days.closed[:, asked].astype(np.float64),
        "warmth": days.lay(warmth(hours))[:, asked],
        "noise": noise,
        "day_spread": spread[..., 0],
        "night_spread": spread[..., 1],
        "midday_spread": spread[..., 2],
        "day_season": season[..., 0],
        "night_season": season[..., 1],
        "midday_season": season[..., 2],
    }


DIFFERENCES = (
    ("three", "before"), ("three", "day_8_29"), ("over", "last_24_h"), ("night_1_4", "night_8_29"),
    ("night_1_4", "night_29_85"), ("work_0_1", "work_5_20"), ("day_1_8", "day_29_85"),
    ("day_1_8", "day_8_29"), ("three", "usual"), ("three", "day_q3"), ("day_1_8", "day_season"),
    ("night_1_4", "night_season"), ("three", "day_season"), ("over", "day_1_8"),
    ("night_1_4", "work_0_1"), ("over", "usual"), ("three", "work_0_5"), ("three", "night_1_4"),
    ("three", "evening_0_5"), ("three", "closed_0_2"), ("three", "usual_q9"), ("two", "usual_q7"),
    ("five", "second"), ("ten", "long"), ("over", "last_6_h"), ("three", "usual_q5"),
)  # fmt: skip
"""Pairs of signs whose difference is one."""
RATIOS = (
    ("three", "noise"), ("over", "noise"), ("last_6_h", "noise"), ("three-usual", "noise"),
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
    "over", *MEANS, *QUIETS, "last_3_h", "last_6_h", "last_24_h",
    "day_1_4", "day_1_8", "day_8_29", "day_29_85", "night_1", "night_1_4", "night_1_8",
    "night_8_29", "night_29_85", "day_q1", "day_q3", "day_q5", "night_q1", "night_q3", "night_q5",
    "midday_q1", "midday_q3", "midday_q5", "work_0_1", "work_0_5", "work_5_20", "work_20_60",
    "closed_0_1", "closed_0_2", "closed_2_8", "closed_8_24", "evening_0_1", "evening_0_5",
    "evening_5_20", "place", "rise_1", "rise_3", "class", "holiday", "warmth", "noise",
    "day_spread", "night_spread", "midday_spread", "day_season", "night_season", "midday_season",
    *(f"{one}-{other}" for one, other in DIFFERENCES),
    *(f"{one}/{other}" for one, other in RATIOS),
)  # fmt: skip
"""The columns of the table, in order."""
