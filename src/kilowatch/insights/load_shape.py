"""Figures that say how a load runs: near-base and near-peak load, load factor, hours of use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats

NEAR_BASE = 2.5
NEAR_PEAK = 97.5
"""Percentiles: one lost packet or one surge makes a minimum or a maximum, and it stays."""


@dataclass(frozen=True)
class LoadShape:
    """Figures of some streams' loads over some hours.

    Attributes:
        near_base: 2.5th percentile, shape (streams,) [W or m³/h].
        near_peak: 97.5th percentile, shape (streams,) [W or m³/h].
        load_factor: Mean over maximum, shape (streams,); NaN without a positive maximum.
        high_h: Mean hours a day above the middle between near-base and near-peak, shape
            (streams,) [h]: the source's high-load duration.
    """

    near_base: Floats
    near_peak: Floats
    load_factor: Floats
    high_h: Floats


def percentile(values: Floats, rank: float) -> Floats:
    """Return a percentile of each stream's known hours, shape (streams,); NaN if it has none.

    Args:
        values: Shape (streams, hours).
        rank: 0 to 100; between two hours it is interpolated.
    """
    ordered = np.sort(values, axis=1)
    known = np.sum(~np.isnan(values), axis=1)
    place = np.maximum(rank / 100 * (known - 1), 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    rows = np.arange(len(values))
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    share = place - low
    found = (1 - share) * ordered[rows, low] + share * ordered[rows, high]
    return np.where(known > 0, found, np.nan)


def load_shape(hours: Hours) -> LoadShape:
    """Describe how each stream's load runs.

    Args:
        hours: Which hours; the source uses a day, the platform 28 days.

    Source:
        P. N. Price, "Methods for Analyzing Electric Load Shape and its Variability",
        LBNL-3713E, 2010, section 2.
    """
    values = hours.values
    known = ~np.isnan(values)
    base, peak = percentile(values, NEAR_BASE), percentile(values, NEAR_PEAK)
    count = known.sum(axis=1)
    mean = np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)
    top = np.max(np.where(known, values, -np.inf), axis=1, initial=-np.inf)
    high = np.sum(known & (values > ((base + peak) / 2)[:, None]), axis=1)
    positive = np.isfinite(top) & (top > 0)
    return LoadShape(
        base,
        peak,
        np.where(positive, mean / np.where(positive, top, 1.0), np.nan),
        np.where(count > 0, 24 * high / np.maximum(count, 1), np.nan),
    )
