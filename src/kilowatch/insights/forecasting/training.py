"""Trains the global model: many streams teach what one stream has not shown yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.insights.forecasting.features import NAMES, Singles, features
from kilowatch.insights.forecasting.forecast import naive_scale
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.net import Day
from kilowatch.insights.forecasting.teaching import Lessons, teach
from kilowatch.insights.forecasting.windows import Days, days_of, windows
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats, Ints

STREAMS_MIN = 20
"""Streams that an installation needs before a global model is trained."""

DAYS_MIN = 56
"""Days that each of them needs."""

WINDOWS_MAX = 72_000
"""Stream-days that are learnt from, spread evenly over streams and time: the cost of training is
bounded, however many streams there are."""

_TREES_MAX = 24_000
"""Those that the trees learn from, if there are more: they take five times as long as the net."""

_NETS = 2
_SHARES = np.linspace(0, 1, 9)
"""How much the net may count: what was best on the weeks that are held out."""

_HELD_OUT, _HELD_OUT_LONG, _LONG_WEEKS = 6, 10, 30
"""Each sixth week is held out, and says how wide the bands must be; each tenth of 30 or more."""

_TARGET_MAX = 8.0
"""An hour further from similar days than this [spreads] teaches no more than one that is as far."""

_CHUNK = 2_000

_MIDDLE = {
    "objective": "l1",
    "learning_rate": 0.16,
    "num_leaves": 95,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}
_MIDDLE_TREES = 80
_ERROR = _MIDDLE | {
    "objective": "l2",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.6,
}
_ERROR_TREES = 40
_ALWAYS = {"deterministic": True, "force_row_wise": True, "verbosity": -1}


class TooLittleError(ValueError):
    """There are not enough streams with enough days to learn from."""


@dataclass(frozen=True, slots=True)
class _Examples:
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
    def join(parts: Sequence[_Examples]) -> _Examples:
        """Put examples one after another."""
        first = np.cumsum([0, *(len(one.target) for one in parts)])
        days = [one.days for one in parts]
        return _Examples(
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


def train(groups: Sequence[Hours], *, seed: int = 1, threads: int = 1) -> Model:
    """Train on the past of many streams.

    A tree predicts how an hour differs from what similar days had, in spreads of its stream, and
    is judged by the absolute error on each stream's own scale: a large building does not count
    for more than a small one.

    Args:
        groups: Streams, those of one zone together; only what may be known.
        seed: Of the sample.
        threads: To train with; they do not change the model.

    Raises:
        TooLittleError: Fewer than ``STREAMS_MIN`` streams with ``DAYS_MIN`` days.
    """
    enough = [one.only(_long_enough(one)) for one in groups if one.count]
    enough = [one for one in enough if one.streams]
    streams = sum(one.streams for one in enough)
    if streams < STREAMS_MIN:
        raise TooLittleError(
            f"{streams} streams have {DAYS_MIN} days; a model needs {STREAMS_MIN} of them"
        )
    randomness = np.random.default_rng(seed)
    total = sum(one.streams * one.count // 24 for one in enough)
    share = min(1.0, WINDOWS_MAX / total)
    every = max(share * total / _TREES_MAX, 1.0)
    parts = [part for one in enough for part in _examples(one, share, every, randomness)]
    examples = _Examples.join(parts)
    parts.clear()  # hundreds of megabytes
    return _fit(examples, enough, seed, threads)


def _long_enough(hours: Hours) -> Ints:
    days = (~np.isnan(hours.values)).sum(axis=1) / 24
    return np.flatnonzero(days >= DAYS_MIN)


def _examples(
    hours: Hours, share: float, every: float, randomness: np.random.Generator
) -> list[_Examples]:
    """Draw days of each stream with what was known before them, and what came."""
    days = days_of(hours)
    streams, rows = np.nonzero(randomness.random(days.values.shape[:2]) < share)
    started = rows > np.argmax((~np.isnan(days.values)).any(axis=2), axis=1)[streams]
    streams, rows = streams[started], rows[started]
    # Most forecasts that count are made at midnight; the others are made at any hour.
    hour = np.where(randomness.random(len(rows)) < 0.85, 0, randomness.integers(1, 24, len(rows)))
    ahead = (randomness.random(len(rows)) < 0.15).astype(np.int64)
    scale = naive_scale(hours.values)
    return [
        _described(days, streams[at], rows[at], hour[at], day_ahead, scale, every)
        for day_ahead in (0, 1)
        for at in np.array_split(
            np.flatnonzero(ahead == day_ahead), 1 + (ahead == day_ahead).sum() // _CHUNK
        )
        if len(at)
    ]


def _described(
    days: Days, streams: Ints, rows: Ints, hour: Ints, ahead: int, scale: Floats, every: float
) -> _Examples:
    last = days.values.shape[1] - 1
    rows = np.minimum(rows, last - ahead)
    cut = windows(days, streams, rows, hour)
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
    return _Examples(
        Day.of(columns).packed(), target[use], weight[use], (days.first + rows[use]) // 7,
        columns[of].transpose(0, 2, 1), of,
    )  # fmt: skip


def _fit(all_of: _Examples, groups: Sequence[Hours], seed: int, threads: int) -> Model:
    long = len(np.unique(all_of.week)) >= _LONG_WEEKS
    held = all_of.week % (_HELD_OUT_LONG if long else _HELD_OUT) == 0
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
    share = _share(by_net[apart], by_trees[apart], target[apart], weight[apart])
    off = target - share * by_net - (1 - share) * by_trees
    size = np.abs(off)
    error = _grow(_ERROR | always, columns[~apart], size[~apart], weight[~apart], _ERROR_TREES)
    expected = np.maximum(error.predict(columns[apart], num_threads=threads), 1e-3)
    beyond = off[apart] / expected
    edges = tuple(float(one) for one in np.quantile(beyond, (0.05, 0.25, 0.75, 0.95)))
    inside = (beyond >= edges[0]) & (beyond <= edges[3])
    return Model(
        middle.model_to_string(),
        net,
        share,
        error.model_to_string(),
        edges,
        {
            "streams": sum(one.streams for one in groups),
            "hours": int((~np.isnan(all_of.target)).sum()),
            "from_ms": min(one.first_ms for one in groups),
            "to_ms": max(int(one.start_ms[-1]) for one in groups),
        },
        {
            "error": float(np.average(size[apart] * weight[apart])),
            "coverage": float(inside.mean()),
        },
    )


def _share(by_net: Floats, by_trees: Floats, target: Floats, weight: Floats) -> float:
    """Return how much the net is to count, from what neither was taught with."""
    errors = [
        np.abs(target - share * by_net - (1 - share) * by_trees) @ weight for share in _SHARES
    ]
    return float(_SHARES[int(np.argmin(errors))])


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
