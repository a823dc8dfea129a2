"""The figures beside a graph: total, mean, extremes with their times, completeness.

Arrays in, plain values out; peak demand and baseload are ``pipeline.statistics``. A figure that
is not known is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.dashboard.offered import Measure
from kilowatch.model.blocks import Floats, IntervalBlock, Quality

COMPLETE = 0.9995  # above this share a total is called complete: a millisecond short is not a gap


@dataclass(frozen=True, slots=True)
class Figures:
    """What is said about one channel over one period; canonical units throughout.

    Attributes:
        total: Sum of the amounts, unallocated energy counted once; None for gauges.
        unallocated: Part of the total that was used across gaps, at an unknown time.
        mean: Mean over the time that is covered (amounts: per hour).
        low: Smallest mean, instant or bucket.
        low_ms: Start of the bucket it lies in [ms].
        high: Largest.
        high_ms: Start of the bucket it lies in [ms].
        complete: Share of the elapsed period that the figures rest on, 0 to 1.
        questionable: Buckets whose figures a person should look at.
        derived: True when energy was computed from power.
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


def elapsed_ms(from_ms: int, to_ms: int, now_ms: int, last_ms: int | None, gap_ms: int) -> int:
    """Return how much of a period can have data by now [ms].

    The interval that is running does not count as missing while packets are on time.
    """
    end = min(to_ms, now_ms)
    if last_ms is not None and 0 <= now_ms - last_ms <= gap_ms:
        end = min(end, last_ms)
    return max(0, end - from_ms)


def figures(rows: IntervalBlock, measure: Measure, elapsed: int) -> Figures:
    """Sum up the buckets of one channel.

    Args:
        rows: Buckets of one channel, sorted by start.
        measure: Whether amounts or means are spoken of.
        elapsed: How much of the period can have data [ms].
    """
    covered = int(rows.covered_ms.sum()) if len(rows) else 0
    weights = rows.covered_ms.astype(np.float64)
    if measure == "amount":
        unallocated = _sum(rows.unallocated)
        known = _sum(rows.amount)
        total = (known or 0.0) + (unallocated or 0.0)
        has_total = known is not None or unallocated is not None
        hours = covered / 3_600_000
        low_at, high_at = _extreme(rows.amount, np.nanargmin), _extreme(rows.amount, np.nanargmax)
        low = None if low_at is None else float(rows.amount[low_at])
        high = None if high_at is None else float(rows.amount[high_at])
        mean = known / hours if known is not None and hours > 0 else None
    else:
        unallocated, total, has_total = None, 0.0, False
        low_at, high_at = _extreme(rows.low, np.nanargmin), _extreme(rows.high, np.nanargmax)
        low = None if low_at is None else float(rows.low[low_at])
        high = None if high_at is None else float(rows.high[high_at])
        mean = _weighted(rows.mean, weights)
    return Figures(
        total=total if has_total else None,
        unallocated=unallocated or 0.0,
        mean=mean,
        low=low,
        low_ms=None if low_at is None else int(rows.start_ms[low_at]),
        high=high,
        high_ms=None if high_at is None else int(rows.start_ms[high_at]),
        complete=min(1.0, covered / elapsed) if elapsed else 0.0,
        questionable=int((rows.quality == Quality.QUESTIONABLE).sum()),
        derived=bool((rows.quality == Quality.DERIVED).any()),
    )


def _sum(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.sum()) if len(finite) else None


def _weighted(values: Floats, weights: Floats) -> float | None:
    use = np.isfinite(values) & (weights > 0)
    return float(np.average(values[use], weights=weights[use])) if use.any() else None


def _extreme(values: Floats, which: object) -> int | None:
    if not np.isfinite(values).any():
        return None
    assert callable(which)
    return int(which(values))
