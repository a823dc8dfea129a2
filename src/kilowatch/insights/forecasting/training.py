"""Trains a global model from nothing: many streams teach what one stream has not shown yet.

So the model that ships was made; installations go on from it (``adapting.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kilowatch.insights.forecasting.features import NAMES, Singles, features
from kilowatch.insights.forecasting.forecast import naive_scale
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.net import Day
from kilowatch.insights.forecasting.teaching import Lessons, teach
from kilowatch.insights.forecasting.windows import HISTORY_DAYS, Days, days_of, windows
from kilowatch.insights.hours import Bools, Hours
from kilowatch.model.blocks import Floats, Ints

STREAMS_MIN = 20
"""Streams that an installation needs before a global model is trained."""

DAYS_MIN = 56
"""Days that each of them needs."""

WINDOWS_MAX = 72_000
"""Stream-days that are learnt from, spread evenly over streams and time: the cost of training is
bounded, however many streams there are."""

TREES_MAX = 24_000
"""Those that the trees learn from, if there are more: they take five times as long as the net."""

_NETS = 2
_SHARES = np.linspace(0, 1, 9)
"""How much the net may count: what was best on the weeks that are held out."""

_HELD_OUT, _HELD_OUT_LONG, _LONG_WEEKS = 6, 10, 30
"""Each sixth week is held out, and says how wide the bands must be; each tenth of 30 or more."""

_TARGET_MAX = 8.0
"""An hour further from similar days than this [spreads] teaches no more than one that is as far."""

_YOUNG_DAYS_MAX = 40
"""Of a new stream, from one to so many days are shown, few of them more often."""

_CHUNK = 2_000

_MIDDLE = {
    "objective": "l1",
    "learning_rate": 0.2,
    "num_leaves": 95,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}
_MIDDLE_TREES = 60
_ERROR = _MIDDLE | {
    "objective": "l2",
    "learning_rate": 0.16,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
}
_ERROR_TREES = 24
_ALWAYS = {"deterministic": True, "force_row_wise": True, "verbosity": -1}


class TooLittleError(ValueError):
    """There are not enough streams with enough days to learn from."""


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


def train(
    groups: Sequence[Hours],
    *,
    seed: int = 1,
    threads: int = 1,
    windows_max: int = WINDOWS_MAX,
    trees_max: int = TREES_MAX,
    young: float = 0.0,
) -> Model:
    """Train on the past of many streams.

    A tree predicts how an hour differs from what similar days had, in spreads of its stream, and
    is judged by the absolute error on each stream's own scale: a large building does not count
    for more than a small one.

    Args:
        groups: Streams, those of one zone together; only what may be known.
        seed: Of the sample.
        threads: To train with; they do not change the model.
        windows_max: Stream-days that are learnt from.
        trees_max: Those of them that the trees learn from.
        young: Share of them of which only the last days before are shown, as of a new stream.

    Raises:
        TooLittleError: Fewer than ``STREAMS_MIN`` streams with ``DAYS_MIN`` days.
    """
    enough = long_enough(groups)
    examples = drawn(enough, windows_max, trees_max, seed, young=young)
    return _fit(examples, enough, seed, threads)


def long_enough(groups: Sequence[Hours]) -> list[Hours]:
    """Return the streams that have shown enough to learn from.

    Raises:
        TooLittleError: They are too few.
    """
    days = [(~np.isnan(one.values)).sum(axis=1) / 24 for one in groups]
    enough = [
        one.only(np.flatnonzero(known >= DAYS_MIN))
        for one, known in zip(groups, days, strict=True)
        if one.count
    ]
    enough = [one for one in enough if one.streams]
    streams = sum(one.streams for one in enough)
    if streams < STREAMS_MIN:
        raise TooLittleError(
            f"{streams} streams have {DAYS_MIN} days; a model needs {STREAMS_MIN} of them"
        )
    return enough


def drawn(
    enough: Sequence[Hours],
    windows_max: int,
    trees_max: int,
    seed: int,
    *,
    young: float = 0.0,
    new_days: int | None = None,
) -> Examples:
    """Draw days to learn from, spread evenly over streams and time.

    Args:
        enough: Streams.
        windows_max: About how many stream-days there are to be.
        trees_max: About how many of them are described for trees, too.
        seed: Of the sample.
        young: Share of them of which only the last days before are shown.
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
        chosen = randomness.random(one.values.shape[:2]) < share
        parts += _of(one, chosen, naive_scale(hours.values), every, young, randomness)
    return Examples.join(parts)


def _of(
    days: Days,
    chosen: Bools,
    scale: Floats,
    every: float,
    young: float,
    randomness: np.random.Generator,
) -> list[Examples]:
    """Draw days of each stream with what was known before them, and what came."""
    streams, rows = np.nonzero(chosen)
    started = rows > np.argmax((~np.isnan(days.values)).any(axis=2), axis=1)[streams]
    streams, rows = streams[started], rows[started]
    # Most forecasts that count are made at midnight; the others are made at any hour.
    hour = np.where(randomness.random(len(rows)) < 0.85, 0, randomness.integers(1, 24, len(rows)))
    ahead = (randomness.random(len(rows)) < 0.15).astype(np.int64)
    shown = np.full(len(rows), HISTORY_DAYS)
    if young:
        some = np.exp(randomness.uniform(0.0, np.log(_YOUNG_DAYS_MAX), len(rows))).astype(np.int64)
        shown = np.where(randomness.random(len(rows)) < young, some, shown)
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
    long = len(np.unique(week)) >= _LONG_WEEKS
    held: Bools = week % (_HELD_OUT_LONG if long else _HELD_OUT) == 0
    return held


def _fit(all_of: Examples, groups: Sequence[Hours], seed: int, threads: int) -> Model:
    held = held_out(all_of.week)
    lessons = Lessons(all_of.days, all_of.target, all_of.weight)
    net = teach(lessons.take(~held), seed=seed, nets=_NETS)
    # The trees' share of it, hour by hour.
    target = all_of.target[all_of.of]
    known = ~np.isnan(target)
    columns, target = all_of.columns[known], target[known]
    weight = np.repeat(all_of.weight[all_of.of], known.sum(axis=1))
    apart = np.repeat(held[all_of.of], known.sum(axis=1))
    by_net = net.say(all_of.days.take(all_of.of))[known]
    always = _ALWAYS | {"seed": seed, "num_threads": threads}
    middle = _grow(_MIDDLE | always, columns[~apart], target[~apart], weight[~apart], _MIDDLE_TREES)
    by_trees = middle.predict(columns, num_threads=threads)
    share, _ = best_share(by_net[apart], by_trees[apart], target[apart], weight[apart])
    off = target - share * by_net - (1 - share) * by_trees
    size = np.abs(off)
    error = _grow(_ERROR | always, columns[~apart], size[~apart], weight[~apart], _ERROR_TREES)
    expected = np.maximum(error.predict(columns[apart], num_threads=threads), 1e-3)
    edges, quality = judged(off[apart], expected, weight[apart])
    return Model(
        middle.model_to_string(), net, share, error.model_to_string(), edges,
        learnt_from(all_of, groups), quality,
    )  # fmt: skip


def judged(
    off: Floats, expected: Floats, weight: Floats
) -> tuple[tuple[float, ...], dict[str, float]]:
    """Say where the edges of a band lie, and how good a model is on hours that are held out.

    Args:
        off: How far each hour was above the middle [spreads], shape (hours,).
        expected: Size of the error that was expected, likewise.
        weight: How much each counts, likewise.
    """
    beyond = off / expected
    edges = tuple(float(one) for one in np.quantile(beyond, (0.05, 0.25, 0.75, 0.95)))
    inside = (beyond >= edges[0]) & (beyond <= edges[3])
    error = float(np.average(np.abs(off) * weight))
    return edges, {"error": error, "coverage": float(inside.mean())}


def learnt_from(examples: Examples, groups: Sequence[Hours]) -> dict[str, int]:
    """Return what a model's ``trained_on`` says."""
    return {
        "streams": sum(one.streams for one in groups),
        "hours": int((~np.isnan(examples.target)).sum()),
        "from_ms": min(one.first_ms for one in groups),
        "to_ms": max(int(one.start_ms[-1]) for one in groups),
    }


def best_share(
    by_net: Floats, by_trees: Floats, target: Floats, weight: Floats
) -> tuple[float, float]:
    """Return how much the net is to count, from what neither was taught with; and the error then.

    Args:
        by_net: What the net says of some hours [spreads], shape (hours,).
        by_trees: What the trees say, likewise.
        target: What came, likewise.
        weight: How much each hour counts, likewise.
    """
    errors = [
        float(np.abs(target - share * by_net - (1 - share) * by_trees) @ weight)
        for share in _SHARES
    ]
    best = int(np.argmin(errors))
    return float(_SHARES[best]), errors[best]


def _grow(
    settings: dict[str, object], columns: Singles, target: Floats, weight: Floats, trees: int
) -> Any:
    # Here and not above: where its library can't be loaded, similar days must go on.
    import lightgbm  # noqa: PLC0415

    quiet = {"verbosity": -1}
    examples = lightgbm.Dataset(
        columns, target, weight=weight, feature_name=list(NAMES), params=quiet
    )
    return lightgbm.train(settings, examples, num_boost_round=trees)
