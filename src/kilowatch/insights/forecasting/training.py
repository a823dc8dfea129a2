"""Trains the global model: many streams teach what one stream has not shown yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.insights.forecasting.features import NAMES, Singles, features
from kilowatch.insights.forecasting.forecast import naive_scale
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.windows import Days, days_of, windows
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats, Ints

STREAMS_MIN = 20
"""Streams that an installation needs before a global model is trained."""

DAYS_MIN = 56
"""Days that each of them needs."""

WINDOWS_MAX = 24_000
"""Stream-days that are learnt from, spread evenly over streams and time: the cost of training is
bounded, however many streams there are."""

_HELD_OUT = 6
"""Each sixth week is held out, and says how wide the bands must be."""

_TARGET_MAX = 8.0
"""An hour further from similar days than this [spreads] teaches no more than one that is as far."""

_CHUNK = 2_000

_MIDDLE = {
    "objective": "l1",
    "learning_rate": 0.1,
    "num_leaves": 63,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
}
_MIDDLE_TREES = 150
_ERROR = _MIDDLE | {"objective": "l2", "num_leaves": 15, "min_data_in_leaf": 200}
_ERROR_TREES = 40
_ALWAYS = {"deterministic": True, "force_row_wise": True, "verbosity": -1}


class TooLittleError(ValueError):
    """There are not enough streams with enough days to learn from."""


@dataclass(frozen=True, slots=True)
class _Examples:
    columns: Singles
    target: Floats
    weight: Floats
    week: Ints


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
    parts = [_examples(one, share, randomness) for one in enough]
    return _fit(parts, enough, seed, threads)


def _long_enough(hours: Hours) -> Ints:
    days = (~np.isnan(hours.values)).sum(axis=1) / 24
    return np.flatnonzero(days >= DAYS_MIN)


def _examples(hours: Hours, share: float, randomness: np.random.Generator) -> _Examples:
    """Draw days of each stream with what was known before them, and what came."""
    days = days_of(hours)
    streams, rows = np.nonzero(randomness.random(days.values.shape[:2]) < share)
    started = rows > np.argmax((~np.isnan(days.values)).any(axis=2), axis=1)[streams]
    streams, rows = streams[started], rows[started]
    # Most forecasts that count are made at midnight; the others are made at any hour.
    hour = np.where(randomness.random(len(rows)) < 0.85, 0, randomness.integers(1, 24, len(rows)))
    ahead = (randomness.random(len(rows)) < 0.15).astype(np.int64)
    scale = naive_scale(hours.values)
    found = [
        _described(days, streams[at], rows[at], hour[at], day_ahead, scale)
        for day_ahead in (0, 1)
        for at in np.array_split(
            np.flatnonzero(ahead == day_ahead), 1 + (ahead == day_ahead).sum() // _CHUNK
        )
        if len(at)
    ]
    return _Examples(
        np.concatenate([one.columns for one in found]),
        np.concatenate([one.target for one in found]),
        np.concatenate([one.weight for one in found]),
        np.concatenate([one.week for one in found]),
    )


def _described(
    days: Days, streams: Ints, rows: Ints, hour: Ints, ahead: int, scale: Floats
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
    use = ~np.isnan(target) & (known.days_seen > 0)[:, None]
    weight = np.clip(known.spread / np.where(scale > 0, scale, np.inf)[streams], 0.05, 5.0)
    shape = target.shape
    columns = known.columns[:, :, 0].transpose(0, 2, 1)
    return _Examples(
        columns[use],
        target[use],
        np.broadcast_to(weight[:, None], shape)[use],
        np.broadcast_to(((days.first + rows) // 7)[:, None], shape)[use],
    )


def _fit(parts: list[_Examples], groups: Sequence[Hours], seed: int, threads: int) -> Model:
    columns = np.concatenate([one.columns for one in parts])
    target = np.concatenate([one.target for one in parts])
    weight = np.concatenate([one.weight for one in parts])
    held = np.concatenate([one.week for one in parts]) % _HELD_OUT == 0
    always = _ALWAYS | {"seed": seed, "num_threads": threads}
    middle = _grow(_MIDDLE | always, columns[~held], target[~held], weight[~held], _MIDDLE_TREES)
    size = np.abs(target - middle.predict(columns, num_threads=threads))
    error = _grow(_ERROR | always, columns[~held], size[~held], weight[~held], _ERROR_TREES)
    off = target[held] - middle.predict(columns[held], num_threads=threads)
    expected = np.maximum(error.predict(columns[held], num_threads=threads), 1e-3)
    edges = tuple(float(one) for one in np.quantile(off / expected, (0.05, 0.25, 0.75, 0.95)))
    inside = (off >= edges[0] * expected) & (off <= edges[3] * expected)
    return Model(
        middle.model_to_string(),
        error.model_to_string(),
        edges,
        {
            "streams": sum(one.streams for one in groups),
            "hours": len(target),
            "from_ms": min(one.first_ms for one in groups),
            "to_ms": max(int(one.start_ms[-1]) for one in groups),
        },
        {
            "error": float(np.average(np.abs(off) * weight[held])),
            "coverage": float(inside.mean()),
        },
    )


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
