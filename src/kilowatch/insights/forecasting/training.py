"""Trains a global model from nothing: many streams teach what one stream has not shown yet.

So the model that ships was made; installations go on from it (``adapting.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kilowatch.insights.forecasting.examples import Examples, drawn, held_out
from kilowatch.insights.forecasting.features import NAMES, Singles
from kilowatch.insights.forecasting.model import Model
from kilowatch.insights.forecasting.teaching import Lessons, teach
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats

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


def train(
    groups: Sequence[Hours],
    *,
    seed: int = 1,
    threads: int = 1,
    windows_max: int = WINDOWS_MAX,
    trees_max: int = TREES_MAX,
    thorough: bool = False,
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
        thorough: Whether to look at each day from its midnight, and at many once more as from
            other hours, the day before, and of a new stream: what ships is made so.

    Raises:
        TooLittleError: Fewer than ``STREAMS_MIN`` streams with ``DAYS_MIN`` days.
    """
    enough = long_enough(groups)
    examples = drawn(enough, windows_max, trees_max, seed, thorough=thorough)
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
