"""How unusual an hour is, by group of kinds, and which kind it is: trees over the measures.

The trees were taught with faults of our own (``synthesis.py``) in clean histories by
``scripts/train_anomalies.py``; ``faults.model`` holds them with the rate at which each score is
reached on histories without a fault, so that a budget of false alarms is a limit.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from kilowatch.insights.anomalies import repeating
from kilowatch.insights.anomalies.alarms import GROUP_OF, Group
from kilowatch.insights.anomalies.measures import NAMES, Moment
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind

KINDS = tuple(EventKind)
TOLD_APART = tuple(GROUP_OF)
"""The kinds in the order of the trees that tell them apart."""
HEADS = (
    (EventKind.SPIKE, EventKind.DROPOUT, EventKind.STUCK, EventKind.NEGATIVE),
    (EventKind.NIGHT_LOAD, EventKind.MISSED_SHUTDOWN, EventKind.CLOCK_SHIFT),
    (EventKind.LEVEL_SHIFT, EventKind.PHASE_LOSS, EventKind.DRIFT),
)
"""Kinds that each set of trees looks for. Shape and level are told as one group: what one half
suspects and the other half too is found sooner than by either."""
RIPE_D = 28
"""Days with values before a stream is judged."""
_UNSEEN = -9.0
_SURE = 1e-6


@dataclass(frozen=True, slots=True)
class Judge:
    """Trees and what their scores mean.

    Attributes:
        version: Names the training.
        heads: How likely an hour is in a fault, by ``HEADS``.
        kinds: Which of ``TOLD_APART`` it is.
        levels: Raw scores, rising, for which the rates are known.
        rates: Log10 of false alarms a stream and month when the limit is at each level, shape
            (GROUPS, levels).
        shares: Part of the budget of each group.
    """

    version: str
    heads: tuple[Any, ...]
    kinds: Any
    levels: Floats
    rates: Floats
    shares: Floats

    def limits(self, budget: float) -> Floats:
        """Return the score of each group from which an alarm is told, shape (GROUPS,).

        Args:
            budget: False alarms for each stream and month.

        Raises:
            ValueError: The budget is not above 0.
        """
        if budget <= 0:
            raise ValueError(f"the budget is {budget} false alarms a month, not above 0")
        return -np.log10(budget * self.shares)


@cache
def judge() -> Judge:
    """Return the trees that come with the platform.

    Raises:
        RuntimeError: They were taught with other measures than this version takes.
    """
    packed = files("kilowatch.insights.anomalies").joinpath("faults.model").read_bytes()
    return unpack(packed)


def pack(
    heads: list[str], kinds: str, about: dict[str, Any]
) -> bytes:  # fmt: skip
    """Return trees as text and what they mean as the bytes of ``faults.model``.

    Args:
        heads: A model's text by ``HEADS``.
        kinds: The model that tells kinds apart.
        about: ``version``, ``levels``, ``rates``, ``shares``.
    """
    whole = {"measures": list(NAMES), "heads": heads, "kinds": kinds, **about}
    return lzma.compress(json.dumps(whole, sort_keys=True).encode(), preset=9)


def unpack(packed: bytes) -> Judge:
    """Read what ``pack`` wrote.

    Raises:
        RuntimeError: They were taught with other measures than this version takes.
    """
    # Here and not above: where its library can't be loaded, everything else must go on.
    import lightgbm  # noqa: PLC0415

    whole = json.loads(lzma.decompress(packed))
    if tuple(whole["measures"]) != NAMES:
        raise RuntimeError("faults.model was taught with other measures: train it again")
    return Judge(
        version=whole["version"],
        heads=tuple(lightgbm.Booster(model_str=text) for text in whole["heads"]),
        kinds=lightgbm.Booster(model_str=whole["kinds"]),
        levels=np.array(whole["levels"]),
        rates=np.array(whole["rates"]),
        shares=np.array(whole["shares"]),
    )


def raw_scores(measures: npt.NDArray[np.float32], trees: Sequence[Any]) -> Floats:
    """Return the log odds of a fault of each group, shape (n, GROUPS).

    Args:
        measures: Shape (n, len(NAMES)).
        trees: By ``HEADS``.
    """
    rows = np.ascontiguousarray(measures)
    sudden, shape, level = (
        np.asarray(head.predict(rows, raw_score=True, num_threads=1)) for head in trees
    )
    neither = 1 / ((1 + np.exp(shape)) * (1 + np.exp(level)))
    neither = np.clip(neither, _SURE, 1 - _SURE)
    return np.stack([sudden, np.log((1 - neither) / neither)], axis=1)


def scores(moment: Moment, trees: Judge) -> Floats:
    """Return how unusual the hour is for each group of kinds, shape (streams, GROUPS).

    0 is reached once a month on a stream without a fault, 1 once in ten months, and so on.
    Nothing is said of a stream's first four weeks: nobody knows yet what it does by itself.
    """
    raw = np.full((len(moment.known), len(Group)), _UNSEEN)
    rows = np.flatnonzero(moment.known & (moment.get("age") >= RIPE_D))
    if len(rows):
        raw[rows] = raw_scores(moment.columns.T[rows], trees.heads)
    return np.stack(
        [-np.interp(raw[:, group], trees.levels, trees.rates[group]) for group in Group], axis=1
    )


def repeats(moment: Moment, trees: Judge) -> Floats:
    """Return how unusual it is that values come again, shape (streams, PATTERNS).

    It counts beside the scores of sudden faults, and is lower by what it may use less of a budget:
    ``repeating.SHARE`` for each pattern.
    """
    less = np.log10(trees.shares[Group.SUDDEN] / repeating.SHARE)
    ripe = moment.known & (moment.get("age") >= RIPE_D)
    return np.where(ripe[:, None], -moment.again - less, _UNSEEN)


def kinds(moment: Moment, rows: Bools, group: Group, trees: Judge) -> list[tuple[EventKind, float]]:
    """Say which kind of a group fits best, and how much better than the others of it.

    Args:
        moment: The hour.
        rows: Streams that are asked about, shape (streams,).
        group: Whose kinds.
        trees: What tells them apart.

    Returns:
        For each such stream the kind and its share among the group's kinds, 0 to 1.
    """
    measures = np.ascontiguousarray(moment.columns.T[rows])
    shares = np.asarray(trees.kinds.predict(measures, num_threads=1))
    own = [place for place, kind in enumerate(TOLD_APART) if GROUP_OF[kind] is group]
    best = shares[:, own].argmax(axis=1)
    return [
        (TOLD_APART[own[one]], float(row[own[one]] / row[own].sum()))
        for one, row in zip(best, shares, strict=True)
    ]
