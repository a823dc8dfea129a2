"""Buckets that a period cuts: the first week of November begins on 1 November.

``view.series`` gives whole buckets that start in a stretch, so that a month in weeks would lack the
days before its first Monday and have some of the next month: another total than in days. Here the
first and the last bucket are cut to the period, and its total is the same at every granularity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain, grain_end_ms, grain_start_ms
from kilowatch.model.lengths import DAY_S
from kilowatch.model.zones import Zone
from kilowatch.pipeline.rollups import roll_up

Between = tuple[int, int]


def cuts(period: Between, grain: Grain, zone: Zone) -> bool:
    """Say whether a period of whole days begins or ends within a bucket of several.

    Args:
        period: First instant, and first that is not wanted [ms since 1970, UTC].
        grain: Length of the buckets.
        zone: Of the site.
    """
    from_ms, to_ms = period
    if grain in ("hour", "day") or to_ms <= from_ms:
        return False
    if isinstance(grain, int) and grain <= DAY_S:
        return False  # parts of a day end with it
    begins = int(grain_start_ms([from_ms], grain, zone)[0]) < from_ms
    return begins or int(grain_end_ms([to_ms - 1], grain, zone)[0]) > to_ms


def cut_rows(
    rows: Callable[[Grain], IntervalBlock], period: Between, grain: Grain, zone: Zone
) -> IntervalBlock:
    """Return the rows of a period, its first and last bucket no longer than it.

    Args:
        rows: Reads the rows that start in the period, at a granularity.
        period: Whole local days [ms since 1970, UTC].
        grain: Length of the buckets.
        zone: Of the site.
    """
    if not cuts(period, grain, zone):
        return rows(grain)
    found = roll_up(rows("day"), grain, zone)
    if not len(found):
        return found
    begin_ms = grain_start_ms(found.start_ms, grain, zone)
    end_ms = grain_end_ms(found.start_ms, grain, zone)
    # What is longer than a bucket is a bucket of its own, and stays as it was measured.
    fits = (found.start_ms == begin_ms) & (found.duration_ms == end_ms - begin_ms)
    start_ms = np.where(fits, np.maximum(begin_ms, period[0]), found.start_ms)
    cut_ms = np.minimum(end_ms, period[1])
    return replace(
        found,
        start_ms=start_ms,
        duration_ms=np.where(fits, cut_ms - start_ms, found.duration_ms),
    )
