"""Leaves out hours that no use explains: spikes, registers set back, a meter that stood still."""

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

_STILL_H, _ZERO_H, _RARE = 12, 3, 0.1
"""A meter stands still after 12 equal hours, or 3 of zero, if that is rare."""


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


def trusted(line: Floats) -> Floats:
    """Leave out hours that look like a fault: a meter that stood still, fell to zero or leapt.

    Where standing still is what a stream does for more than a tenth of the time (a building that
    is shut, gas in summer), or leaping for more than a hundredth, it is no fault; so a fault that
    stays becomes the truth.

    Args:
        line: Shape (streams, hours), in any unit; NaN where unknown.

    Returns:
        Same shape, NaN where an hour was left out.
    """
    line = bounded(line)
    same = line[:, 1:] == line[:, :-1]
    zero = (line == 0).sum(axis=1)
    rows = np.flatnonzero((same.sum(axis=1) >= _STILL_H - 1) | (zero >= _ZERO_H))
    if not len(rows):
        return line
    line, same = line.copy(), same[rows]
    some = line[rows]
    place = np.arange(line.shape[1])
    edge = np.ones((len(rows), 1), np.bool_)
    begins = np.concatenate([edge, ~same], axis=1)
    ends = np.concatenate([~same, edge], axis=1)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, line.shape[1])[:, ::-1], axis=1)[:, ::-1]
    length = last - first + 1
    known = (~np.isnan(some)).sum(axis=1)
    suspect = ((length >= _STILL_H) & ~np.isnan(some)) | ((length >= _ZERO_H) & (some == 0))
    rare = suspect.sum(axis=1) < _RARE * known
    line[rows] = np.where(suspect & rare[:, None], np.nan, some)
    return line
