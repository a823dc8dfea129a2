"""Leaves out the few hours that no use explains: spikes, and registers that were set back."""

from __future__ import annotations

import numpy as np

from kilowatch.model.blocks import Floats

FAR = 0.7
"""Where a model learns what is usual: a leap that is none is missed less than one that is moves."""
ABSURD = 3.0
"""Where energy is added up: a kettle in a small house leaps further than ``FAR``, and counts."""
_EXTREME = 0.01
_OUT = 4.0
"""A stream is looked at for such hours where one is so many deviations from the mean."""


def bounded(line: Floats, far: float = FAR) -> Floats:
    """Leave out hours that are far out of all bounds.

    They lie further beyond the highest or the lowest hundredth of a stream's hours than ``far``
    times what these lie apart, or than ``far`` times the highest hundredth if that is more. No
    more than a hundredth at either end can be: what happens more often is what the stream does.
    With fewer than 100 known hours, or where all but a hundredth are the same, nothing is.

    Args:
        line: Shape (streams, hours), in any unit; NaN where unknown.
        far: How far.

    Returns:
        Same shape, NaN where an hour was left out; ``line`` itself where nothing stands out.
    """
    unknown = np.isnan(line)
    count = line.shape[1] - np.count_nonzero(unknown, axis=1)
    filled = np.where(unknown, 0.0, line)
    some = np.maximum(count, 1)
    middle = filled.sum(axis=1) / some
    with np.errstate(over="ignore", invalid="ignore"):
        variance = np.einsum("ij,ij->i", filled, filled) / some - middle**2
    away = np.fmax(np.fmax.reduce(line, axis=1) - middle, middle - np.fmin.reduce(line, axis=1))
    near = away <= _OUT * np.sqrt(np.maximum(variance, 0.0))
    rows = np.flatnonzero(~near | ~np.isfinite(variance))
    if not len(rows):
        return line
    ordered = np.sort(line[rows], axis=1)  # NaN last
    few = np.floor(_EXTREME * count[rows]).astype(np.int64)[:, None]
    low = np.take_along_axis(ordered, few, axis=1)
    high = np.take_along_axis(ordered, np.maximum(count[rows][:, None] - 1 - few, 0), axis=1)
    room = far * np.maximum(high - low, np.abs(high))
    room[high == low] = np.inf
    kept, own = line.copy(), line[rows]
    kept[rows] = np.where((own < low - room) | (own > high + room), np.nan, own)
    return kept
