"""Days to learn from: what was known before each, and how it then differed from similar days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kilowatch.insights.forecasting.features import Singles, features
from kilowatch.insights.forecasting.forecast import naive_scale
from kilowatch.insights.forecasting.net import Day
from kilowatch.insights.forecasting.windows import HISTORY_DAYS, Days, days_of, windows
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats, Ints

_HELD_OUT = ((150, 20), (30, 10), (0, 6))
"""Each sixth week is held out, and says how wide the bands must be; each tenth of 30 or more, each
twentieth of 150 or more."""

_TARGET_MAX = 8.0
"""An hour further from similar days than this [spreads] teaches no more than one that is as far."""

_YOUNG_DAYS_MAX = 40
"""Of a new stream, from one to so many days are shown, few of them more often."""

_CHUNK = 2_000


class _Mix(NamedTuple):
    """From where days are looked at; most forecasts that count are made at midnight.

    Attributes:
        other_hours: Share that is looked at from another hour than midnight.
        day_before: Share that is looked at from the day before.
        young: Share of which only the last days before are shown, as of a new stream.
    """

    other_hours: float
    day_before: float
    young: float


_MIX = _Mix(0.15, 0.15, 0.0)
_THOROUGH = ((1.0, _Mix(0.0, 0.0, 0.0)), (0.4, _Mix(0.4, 0.4, 0.25)))
"""How often each day is drawn, and from where it is looked at."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Stream-days to learn from.

    Attributes:
        days: What the net sees, n days.
        target: How each hour differed from similar days [spreads], shape (n, 24); NaN unknown.
        weight: Shape (n,).
        week: Shape (n,).
        columns: What the trees see of the hours of some of the days, shape (m, 24, len(NAMES)).
        of: Which days those are, shape (m,).
    """

    days: Day
    target: Floats
    weight: Floats
    week: Ints
    columns: Singles
    of: Ints

    @staticmethod
    def join(parts: Sequence[Examples]) -> Examples:
        """Put examples one after another."""
        first = np.cumsum([0, *(len(one.target) for one in parts)])
        days = [one.days for one in parts]
        return Examples(
            Day(
                np.concatenate([one.numbers for one in days]),
                np.concatenate([one.marks for one in days]),
                np.concatenate([one.straight for one in days]),
            ),
            np.concatenate([one.target for one in parts]),
            np.concatenate([one.weight for one in parts]),
            np.concatenate([one.week for one in parts]),
            np.concatenate([one.columns for one in parts]),
            np.concatenate([one.of + at for one, at in zip(parts, first[:-1], strict=True)]),
        )


def drawn(
    enough: Sequence[Hours],
    windows_max: int,
    trees_max: int,
    seed: int,
    *,
    thorough: bool = False,
    new_days: int | None = None,
) -> Examples:
    """Draw days to learn from, spread evenly over streams and time.

    Args:
        enough: Streams.
        windows_max: About how many stream-days there are to be.
        trees_max: About how many of them are described for trees, too.
        seed: Of the sample.
        thorough: Whether to look at each day from its midnight, and at many once more.
        new_days: The last days, which are drawn as often as all that was before them.
    """
    randomness = np.random.default_rng(seed)
    days = [days_of(one) for one in enough]
    rows = [max(one.values.shape[1] - (new_days or 0), 0) for one in days]
    old = sum(one.values.shape[0] * row for one, row in zip(days, rows, strict=True))
    new = sum(one.values[:, row:, 0].size for one, row in zip(days, rows, strict=True))
    some = windows_max if new_days is None else min(new, windows_max // 2)
    shares = min(1.0, some / max(old, 1)), min(1.0, some / max(new, 1))
    every = max((shares[0] * old + shares[1] * new) / trees_max, 1.0)
    parts = []
    for hours, one, row in zip(enough, days, rows, strict=True):
        share = np.where(np.arange(one.values.shape[1]) < row, *shares)
        scale = naive_scale(hours.values)
        for often, mix in _THOROUGH if thorough else ((1.0, _MIX),):
            chosen = randomness.random(one.values.shape[:2]) < share * often
            parts += _of(one, chosen, scale, every, mix, randomness)
    return Examples.join(parts)


def _of(
    days: Days,
    chosen: Bools,
    scale: Floats,
    every: float,
    mix: _Mix,
    randomness: np.random.Generator,
) -> list[Examples]:
    """Draw days of each stream with what was known before them, and what came."""
    streams, rows = np.nonzero(chosen)
    started = rows > np.argmax((~np.isnan(days.values)).any(axis=2), axis=1)[streams]
    streams, rows = streams[started], rows[started]
    midnight = randomness.random(len(rows)) < 1 - mix.other_hours
    hour = np.where(midnight, 0, randomness.integers(1, 24, len(rows)))
    ahead = (randomness.random(len(rows)) < mix.day_before).astype(np.int64)
    some = np.exp(randomness.uniform(0.0, np.log(_YOUNG_DAYS_MAX), len(rows))).astype(np.int64)
    shown = np.where(randomness.random(len(rows)) < mix.young, some, HISTORY_DAYS)
    return [
        _described(days, _At(streams[at], rows[at], hour[at], shown[at]), day_ahead, scale, every)
        for day_ahead in (0, 1)
        for at in np.array_split(
            np.flatnonzero(ahead == day_ahead), 1 + (ahead == day_ahead).sum() // _CHUNK
        )
        if len(at)
    ]


class _At(NamedTuple):
    """Where days are looked at from.

    Attributes:
        streams: Shape (n,).
        rows: Row of the origin's day, likewise.
        hour: Of the origin, likewise.
        shown: Days before it that are known, likewise.
    """

    streams: Ints
    rows: Ints
    hour: Ints
    shown: Ints


def _described(days: Days, at: _At, ahead: int, scale: Floats, every: float) -> Examples:
    streams, hour = at.streams, at.hour
    rows = np.minimum(at.rows, days.values.shape[1] - 1 - ahead)
    cut = windows(days, streams, rows, hour)
    cut.values[np.arange(HISTORY_DAYS + 1) < HISTORY_DAYS - at.shown[:, None]] = np.nan
    known = features(cut, (ahead,))
    truth = days.values[streams, rows + ahead]
    if ahead == 0:
        truth = np.where(np.arange(24) < hour[:, None], np.nan, truth)
    target = (truth - known.base[:, 0]) / known.spread[:, None]
    target = np.clip(target, -_TARGET_MAX, _TARGET_MAX)
    weight = np.clip(known.spread / np.where(scale > 0, scale, np.inf)[streams], 0.05, 5.0)
    use = np.flatnonzero((known.days_seen > 0) & ~np.isnan(target).all(axis=1))
    columns = known.columns[use, :, 0]
    of = np.arange(0, len(use), every).astype(np.int64)
    return Examples(
        Day.of(columns).packed(), target[use], weight[use], (days.first + rows[use]) // 7,
        columns[of].transpose(0, 2, 1), of,
    )  # fmt: skip


def held_out(week: Ints) -> Bools:
    """Return which stream-days are held out, shape (n,)."""
    weeks = len(np.unique(week))
    held: Bools = week % next(each for least, each in _HELD_OUT if weeks >= least) == 0
    return held
