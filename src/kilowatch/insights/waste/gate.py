"""Tells waste from ordinary life: two small models that learnt it from waste that was made up.

They ship with the program. ``scripts/train_waste_gate.py`` makes them again from a folder of
meter data; how, and how good they are, is told in docs/decisions/0021.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from kilowatch.insights.waste.signs import NAMES
from kilowatch.model.blocks import Floats

Signs = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def chance(table: Signs) -> Floats:
    """Return the chance that an hour is waste, 0 to 1.

    Args:
        table: Signs, shape (…, len(NAMES)).
    """
    return _said("chance", table)


def size(table: Signs) -> Floats:
    """Return how much an hour would waste if it did [share of the stream's mean load].

    Args:
        table: Signs, shape (…, len(NAMES)); none are fine, too.
    """
    return _said("size", table)


def _said(name: str, table: Signs) -> Floats:
    rows = table.reshape(-1, table.shape[-1])
    if not len(rows):
        return np.zeros(table.shape[:-1])
    said: Floats = _model(name).predict(rows, num_threads=1)
    return said.reshape(table.shape[:-1])


@cache
def _model(name: str) -> Any:
    # Here and not above: where its library can't be loaded, everything but waste must go on.
    import lightgbm  # noqa: PLC0415

    packed = resources.files(__package__).joinpath(f"{name}.txt.gz").read_bytes()
    model = lightgbm.Booster(model_str=gzip.decompress(packed).decode())
    if model.feature_name() != list(NAMES_IN_MODEL):
        raise ValueError("the waste gate was trained on other signs: train it again")
    return model


NAMES_IN_MODEL = tuple(f"s{number}" for number in range(len(NAMES)))
"""LightGBM allows few characters in a name; the order is that of ``NAMES``."""
