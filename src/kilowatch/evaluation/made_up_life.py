"""Makes up changes of ordinary life, so that the gate learns what is no waste.

A gate that has seen a hundred years of fifty buildings has seen few that grew, shrank or were
lived in otherwise for good, and takes the next one that does for wasteful
(docs/decisions/0021). The changes are our own, drawn widely: ``scripts/train_waste_gate.py``.
"""

from __future__ import annotations

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.insights.waste.reference import Reference
from kilowatch.model.blocks import Floats

WHOLE, SWING, BASE = 0.35, 0.30, 0.20
"""How often all of a load changes for good, only what it has above its base, or its base alone."""
BUSY = 0.3
"""How often some weeks are busier or calmer than others."""
SLOWEST_DAYS = 150
"""A change for good takes a day at least and this long at most."""


def live(hours: Hours, reference: Reference, rng: np.random.Generator) -> Floats:
    """Return what streams would have used had they been lived in otherwise.

    Args:
        hours: What they used.
        reference: What they need.
        rng: Where chance comes from.

    Returns:
        Shape (streams, hours) [W or m³/h], never below zero; a stream without a need as it was.
    """
    values = hours.values.copy()
    for stream in range(hours.streams):
        week = np.sort(reference.need[stream, :, :, -1].ravel())
        if not np.isfinite(week).all():
            continue
        own = _for_good(values[stream], float(week[3]), float(reference.scale[stream]), rng)
        if rng.random() < BUSY:
            first = int(rng.integers(0, hours.count))
            weeks = slice(first, first + int(rng.integers(7, 50)) * 24)
            own[weeks] = _swung(own[weeks], float(week[3]), np.exp(rng.normal(0.03, 0.12)))
        values[stream] = np.maximum(own, 0.0)
    return values


def _for_good(own: Floats, base: float, scale: float, rng: np.random.Generator) -> Floats:
    """Change a load from some day on: of each kind as often as the shares above say."""
    drawn = rng.random()
    begin = int(rng.integers(-len(own) // 3, len(own)))
    days = np.exp(rng.uniform(0, np.log(SLOWEST_DAYS)))
    grown = np.clip((np.arange(len(own)) - begin) / (24 * days), 0, 1)
    if drawn < WHOLE:
        return np.asarray(own * np.exp(grown * rng.normal(0, 0.16)))
    if drawn < WHOLE + SWING:
        return _swung(own, base, np.exp(grown * rng.normal(0, 0.3)))
    if drawn < WHOLE + SWING + BASE:  # since before anybody looked: later it could be waste
        return np.asarray(own + scale * rng.normal(0.03, 0.15))
    return own


def _swung(own: Floats, base: float, factor: float | Floats) -> Floats:
    """Change what a load has above its base."""
    return np.asarray(np.where(own > base, base + (own - base) * factor, own))
