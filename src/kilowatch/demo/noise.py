"""Chance that depends on the instant alone, so that every run sees the same world.

A generator with a state would give other numbers when the simulation starts a day later.
We hash the number of the time step instead.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Floats, Ints

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def white(step: Ints, seed: int) -> Floats:
    """Return noise in [-1, 1) for each step number, shape (n,); steps are independent.

    Source:
        G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators",
        OOPSLA 2014 (SplitMix64).
    """
    with np.errstate(over="ignore"):
        z = np.asarray(step).astype(np.uint64) + np.uint64(seed + 1) * _STEP
        z *= _STEP
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def smooth(at_ms: Ints, period_s: float, seed: int) -> Floats:
    """Return noise in [-1, 1) that wanders with about the given period, shape (n,).

    Random values at multiples of the period, joined by a smooth step ("value noise").
    """
    x: npt.NDArray[np.float64] = np.asarray(at_ms) / (period_s * 1000.0)
    whole = np.floor(x)
    part = x - whole
    step = whole.astype(np.int64)
    low, high = white(step, seed), white(step + 1, seed)
    return low + (high - low) * part * part * (3.0 - 2.0 * part)
