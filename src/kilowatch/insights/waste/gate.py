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

LEAST = 0.02
"""Chance below which the size is not asked for: such an hour cannot pass the dead band."""


def chance_and_size(
    table: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> tuple[Floats, Floats]:
    """Return the chance that an hour is waste, and how much it would be if it were.

    Args:
        table: Signs, shape (…, len(NAMES)).

    Returns:
        Chance, 0 to 1, and size [share of the stream's mean load], each of shape (…).
    """
    shape = table.shape[:-1]
    rows = table.reshape(-1, table.shape[-1])
    chance = _model("chance").predict(rows, num_threads=1)
    size = np.zeros(len(rows))
    likely = chance > LEAST
    if likely.any():
        size[likely] = _model("size").predict(rows[likely], num_threads=1)
    return chance.reshape(shape), size.reshape(shape)


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
