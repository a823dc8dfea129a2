"""What is always on, beside the building's own best month and beside its peers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kilowatch.insights.bounds import trusted
from kilowatch.insights.hours import Bools, Hours
from kilowatch.insights.load_shape import NEAR_BASE, NEAR_PEAK, percentile
from kilowatch.insights.waste.days import Days
from kilowatch.insights.waste.opening import in_force
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import Standing
from kilowatch.model.site_facts import Opening

RECENT_H = 28 * 24
MIN_SHARE = 0.5
"""Share of a month's unoccupied hours that must be known for it to be compared."""


def standing(
    hours: Hours, opening: Bools, set_hours: Sequence[Sequence[Opening]] | None = None
) -> list[Standing]:
    """Return what is always on in each stream, beside what it could be.

    A night on which a meter stood still or counted nothing is no best month: such hours are left
    out, unless they are what the stream does.

    Args:
        hours: Up to now; 13 months let every season be the best month.
        opening: When the buildings are in use as learnt, shape (streams, 168). While a stream is
            always open, all hours count.
        set_hours: Opening hours that people have set, as ``opening.in_force`` takes them.

    Returns:
        One for each stream; NaN where too little is known.

    Source:
        P. N. Price, LBNL-3713E, 2010: near-base load is the 2.5th percentile; we take it of the
        unoccupied hours.
    """
    days = Days.of(hours)
    week, always = in_force(opening, hours, days, set_hours)
    shut: Bools = np.asarray(~week[:, days.row, days.hour] | hours.holidays | always[:, days.row])
    sound = trusted(hours.values)
    values = np.where(shut, sound, np.nan)
    month = hours.local_ms.astype("datetime64[ms]").astype("datetime64[M]")
    best = np.full(hours.streams, np.nan)
    best_ms = np.zeros(hours.streams, np.int64)
    for one in np.unique(month):
        here = month == one
        part = values[:, here]
        enough = np.sum(~np.isnan(part), axis=1) >= MIN_SHARE * np.sum(shut[:, here], axis=1)
        enough &= int(here.sum()) >= 27 * 24
        low = np.where(enough, percentile(part, NEAR_BASE), np.nan)
        better = ~np.isnan(low) & (np.isnan(best) | (low < best))
        best = np.where(better, low, best)
        best_ms[better] = hours.start_ms[int(np.argmax(here))]
    recent = slice(max(hours.count - RECENT_H, 0), None)
    base = percentile(values[:, recent], NEAR_BASE)
    late = sound[:, recent]
    peak = percentile(late, NEAR_PEAK)
    known = ~np.isnan(late)
    mean = np.nansum(late, axis=1) / np.maximum(known.sum(axis=1), 1)
    top = np.max(np.where(known, late, -np.inf), axis=1, initial=-np.inf)
    factor = np.where(np.isfinite(top) & (top > 0), mean / np.where(top > 0, top, 1.0), np.nan)
    return [
        Standing(float(base[i]), float(best[i]), int(best_ms[i]), float(peak[i]), float(factor[i]))
        for i in range(hours.streams)
    ]


def peers(standings: list[Standing]) -> Floats:
    """Return how each stream's near-base share compares with the others of a portfolio.

    Near-base load as a share of near-peak load makes large and small buildings comparable
    without knowing their floor area.

    Returns:
        Share of the streams that have a lower one, shape (streams,), 0 (best) to 1; NaN where
        it or all others are not known. Pass streams of one utility.
    """
    share = np.array([one.near_base / one.near_peak if one.near_peak else np.nan
                      for one in standings])  # fmt: skip
    known = share[~np.isnan(share)]
    if len(known) < 2:
        return np.full(len(share), np.nan)
    below = np.searchsorted(np.sort(known), share, side="left") / (len(known) - 1)
    return np.where(np.isnan(share), np.nan, np.minimum(below, 1.0))
