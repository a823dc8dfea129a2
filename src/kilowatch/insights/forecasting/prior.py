"""The similar-day prior: what is said of a stream where no model can be read.

A load shape of its utility, scaled to what the stream has shown so far, stands in for the days
that are not known yet; with each day that is known, similar days of its own take over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kilowatch.insights.forecasting.features import features, mean
from kilowatch.insights.forecasting.windows import HISTORY_DAYS, Windows, seen_any
from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats

_FILLED_DAYS = 14
"""Days before the origin that a shape stands in for: every kind of day, twice."""

_EDGES = np.array([-np.log(10.0), -np.log(2.0), np.log(2.0), np.log(10.0)])
"""Where 5, 25, 75 and 95 % lie if errors are Laplace-distributed [mean absolute errors]."""

_DOUBT = 0.35
"""Error of a shape that nobody has seen the stream follow yet, as a share of its value."""

_WORK = {
    "electricity": (
        0.66, 0.65, 0.64, 0.64, 0.65, 0.69, 0.79, 0.95, 1.12, 1.25, 1.32, 1.35,
        1.35, 1.35, 1.34, 1.31, 1.26, 1.17, 1.05, 0.95, 0.88, 0.81, 0.75, 0.70,
    ),
    "gas": (
        0.45, 0.45, 0.48, 0.60, 0.95, 1.60, 1.90, 1.75, 1.55, 1.35, 1.25, 1.15,
        1.10, 1.05, 1.05, 1.05, 1.05, 1.00, 0.90, 0.80, 0.70, 0.60, 0.55, 0.50,
    ),
    "water": (
        0.55, 0.45, 0.42, 0.42, 0.45, 0.65, 1.15, 1.45, 1.40, 1.25, 1.15, 1.12,
        1.18, 1.15, 1.05, 1.00, 1.02, 1.10, 1.22, 1.28, 1.20, 1.05, 0.85, 0.68,
    ),
}  # fmt: skip
"""Working days, as a share of their mean; other utilities get a flat line."""

_OFF = {"electricity": (0.72, 0.35), "gas": (0.80, 0.70), "water": (1.0, 1.0)}
"""Saturdays, Sundays and holidays: their mean as a share of a working day's, and how much of its
swing is left."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What similar days say.

    Attributes:
        middle: Shape (n, days, 24) [the stream's unit]; NaN where nothing was ever seen.
        error: Expected absolute error, likewise.
        edges: Where 5, 25, 75 and 95 % lie [errors above the middle], shape (4,).
    """

    middle: Floats
    error: Floats
    edges: Floats


def shape(utility: str, off: Bools) -> Floats:
    """Return the load shape of some days.

    Args:
        utility: ``electricity``, ``gas`` or ``water``; others are flat.
        off: Whether each is a Saturday, a Sunday or a holiday, shape (…).

    Returns:
        Share of a working day's mean, shape (…, 24).
    """
    work = np.array(_WORK.get(utility, (1.0,) * 24))
    work = work / work.mean()
    share, swing = _OFF.get(utility, (1.0, 1.0))
    rest = share * (1 + swing * (work - 1))
    laid: Floats = np.where(off[..., None], rest, work)
    return laid


def prior(cut: Windows, utility: str, aheads: tuple[int, ...]) -> Prior:
    """Say what is to be expected from similar days and the shape of the utility.

    Args:
        cut: What is known of streams of one utility, shape (n, …).
        utility: See ``shape``.
        aheads: Days to come; 0 is the origin's own.
    """
    n = len(cut.values)
    shapes = shape(utility, cut.kind[:, : HISTORY_DAYS + 1] >= 5)
    ratio = mean(cut.values.reshape(n, -1), 1) / mean(
        np.where(np.isnan(cut.values), np.nan, shapes).reshape(n, -1), 1
    )
    stand_in = ratio[:, None, None] * shapes
    recent = np.arange(HISTORY_DAYS + 1) >= HISTORY_DAYS - _FILLED_DAYS
    observed = np.arange(24) < cut.hour[:, None]
    past = np.ones_like(cut.values, np.bool_)
    past[:, -1] = observed
    fill = np.isnan(cut.values) & recent[None, :, None] & past
    filled = replace(cut, values=np.where(fill, stand_in, cut.values))
    known = features(filled, aheads)
    doubt = fill[:, -_FILLED_DAYS - 1 :].sum(axis=(1, 2)) / (24.0 * _FILLED_DAYS)
    off = mean(np.abs(cut.values - _mean_day(filled)), 1)
    least = 0.05 * np.abs(known.base)
    error = np.maximum(np.where(np.isnan(off), 0.0, off)[:, None], least)
    error = error + doubt[:, None, None] * _DOUBT * np.abs(known.base)
    middle = np.where(seen_any(cut)[:, None, None], known.base, np.nan)
    return Prior(middle, error, _EDGES)


def _mean_day(cut: Windows) -> Floats:
    """Mean of the working days and of the others, laid under each day that is known."""
    off: Bools = cut.kind[:, : HISTORY_DAYS + 1] >= 5
    work = mean(np.where(off[..., None], np.nan, cut.values), 1)
    rest = mean(np.where(off[..., None], cut.values, np.nan), 1)
    return np.where(off[..., None], rest[:, None], work[:, None])
