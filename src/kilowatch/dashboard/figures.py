"""The figures beside a graph: total, mean, extremes with their times, completeness.

Arrays in, plain values out; peak demand and baseload are ``pipeline.statistics``. A figure that
is not known is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.dashboard.offered import Measure
from kilowatch.model.blocks import SHARED, Floats, IntervalBlock, Quality
from kilowatch.pipeline.rollups import mean_of
from kilowatch.pipeline.statistics import interval_demand, mean_demand

COMPLETE = 0.9995  # above this share a total is called complete: a millisecond short is not a gap


@dataclass(frozen=True, slots=True)
class Figures:
    """What is said about one channel over one period; canonical units throughout.

    Attributes:
        total: Sum of the amounts, unallocated energy counted once; None for gauges.
        unallocated: Part of the total that was used across gaps, at an unknown time.
        mean: Mean over the time that is covered; of amounts per hour, over buckets that are
            covered (``pipeline.statistics.COVERED_ENOUGH``).
        low: Smallest mean or instant, or amount of a bucket that is covered.
        low_ms: Start of the bucket it lies in [ms].
        high: Largest.
        high_ms: Start of the bucket it lies in [ms].
        complete: Share of the elapsed period that the figures rest on, 0 to 1.
        questionable: Buckets whose figures a person should look at.
        derived: True when energy was computed from power.
        shares: Of the covered time, what is ``edited``, ``estimated`` and ``questionable``, 0 to 1.
    """

    total: float | None
    unallocated: float
    mean: float | None
    low: float | None
    low_ms: int | None
    high: float | None
    high_ms: int | None
    complete: float
    questionable: int
    derived: bool
    shares: dict[str, float]


def elapsed_ms(from_ms: int, to_ms: int, now_ms: int, last_ms: int | None, gap_ms: int) -> int:
    """Return how much of a period can have data by now [ms].

    The interval that is running does not count as missing while packets are on time.
    """
    end = min(to_ms, now_ms)
    if last_ms is not None and 0 <= now_ms - last_ms <= gap_ms:
        end = min(end, last_ms)
    return max(0, end - from_ms)


def figures(
    rows: IntervalBlock,
    measure: Measure,
    elapsed: int,
    until_ms: int | None = None,
    known_mean: float | None = None,
) -> Figures:
    """Sum up the buckets of one channel.

    Args:
        rows: Buckets of one channel, sorted by start.
        measure: Whether amounts or means are spoken of.
        elapsed: How much of the period can have data [ms].
        until_ms: Until when there can be data: the mean counts the bucket that is running for
            the time that has passed [ms].
        known_mean: The mean, where the buckets do not tell it (a quotient divides sums).
    """
    covered = int(rows.covered_ms.sum()) if len(rows) else 0
    if measure == "amount":
        unallocated = _sum(rows.unallocated)
        known = _sum(rows.amount)
        total = (known or 0.0) + (unallocated or 0.0)
        has_total = known is not None or unallocated is not None
        whole = np.where(np.isnan(interval_demand(rows)), np.nan, rows.amount)
        low_at, high_at = _extreme(whole, np.nanargmin), _extreme(whole, np.nanargmax)
        low = None if low_at is None else float(rows.amount[low_at])
        high = None if high_at is None else float(rows.amount[high_at])
        mean = mean_demand(rows, until_ms)
    else:
        unallocated, total, has_total = None, 0.0, False
        low_at, high_at = _extreme(rows.low, np.nanargmin), _extreme(rows.high, np.nanargmax)
        low = None if low_at is None else float(rows.low[low_at])
        high = None if high_at is None else float(rows.high[high_at])
        mean = mean_of(rows) if known_mean is None else known_mean
    return Figures(
        total=total if has_total else None,
        unallocated=unallocated or 0.0,
        mean=mean if np.isfinite(mean) else None,
        low=low,
        low_ms=None if low_at is None else int(rows.start_ms[low_at]),
        high=high,
        high_ms=None if high_at is None else int(rows.start_ms[high_at]),
        complete=min(1.0, covered / elapsed) if elapsed else 0.0,
        questionable=int((rows.quality == Quality.QUESTIONABLE).sum()),
        derived=bool((rows.quality == Quality.DERIVED).any()),
        shares=_shares(rows, covered),
    )


def _shares(rows: IntervalBlock, covered: int) -> dict[str, float]:
    """Return the shares of what a person or a rule has touched, or should look at."""
    by_quality = dict(zip(SHARED.tolist(), rows.shares().sum(axis=0).tolist(), strict=True))
    told = {
        "edited": Quality.EDITED,
        "estimated": Quality.ESTIMATED,
        "questionable": Quality.QUESTIONABLE,
    }
    return {name: by_quality[one] / covered if covered else 0.0 for name, one in told.items()}


def _sum(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.sum()) if len(finite) else None


def _extreme(values: Floats, which: object) -> int | None:
    if not np.isfinite(values).any():
        return None
    assert callable(which)
    return int(which(values))
