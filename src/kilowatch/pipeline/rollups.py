"""From intervals to hours, local days, weeks, months and years.

The same function makes the roll-ups that are stored and those that a reader asks for, and
rolls up roll-ups, so that a month is the same number whichever way it was reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import Grain, Zone, grain_end_ms, grain_start_ms
from kilowatch.model.parameters import PF, RATIO
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.samples import finite


def roll_up(block: IntervalBlock, grain: Grain, zones: Mapping[int, Zone] | Zone) -> IntervalBlock:
    """Add up interval rows to longer buckets.

    Amounts, unallocated amounts, counts and covered time are summed (what is not known
    adds nothing; nothing known at all stays NaN); means are weighted by covered time, and
    power factors by apparent energy, which makes them the sum of P over the sum of S;
    quality is the worst, and the time of each quality is summed. A row that is longer than
    its bucket is never split: it comes back as it is. One that crosses the bucket's end
    (7 minutes in an hour) counts in the bucket that it starts in, with all its time: there
    covered time can exceed the bucket, demand (amount over covered time) stays right, and so
    does every longer roll-up.

    Args:
        block: Interval rows or roll-ups, in any order, of any generation of grids.
        grain: Length of the buckets.
        zones: Time zone by series, or one for all.

    Returns:
        One row for each series, channel and bucket that has data, sorted so; its duration
        is the bucket's.

    Raises:
        ValueError: ``grain`` is unknown.
    """
    if not len(block):
        return block
    start_ms, end_ms = _buckets(block, grain, zones)
    fits = block.duration_ms <= end_ms - start_ms
    if not fits.all():
        shorter = roll_up(block.take(fits), grain, zones)
        together = IntervalBlock.concatenate([shorter, block.take(~fits)])
        return together.take(np.lexsort((together.start_ms, together.channel, together.series)))
    order = np.lexsort((block.start_ms, block.channel, block.series))
    rows, start_ms, duration_ms = block.take(order), start_ms[order], (end_ms - start_ms)[order]
    first = _first_of_groups(rows.series, rows.channel, start_ms)

    def total(figures: Any) -> Any:
        return np.add.reduceat(figures, first, axis=0)

    return IntervalBlock(
        series=rows.series[first],
        channel=rows.channel[first],
        start_ms=start_ms[first],
        duration_ms=duration_ms[first],
        version=np.maximum.reduceat(rows.version, first),
        count=total(rows.count),
        mean=_means(rows, first),
        low=np.fmin.reduceat(rows.low, first),
        high=np.fmax.reduceat(rows.high, first),
        amount=_sum_of_known(rows.amount, first),
        unallocated=_sum_of_known(rows.unallocated, first),
        covered_ms=total(rows.covered_ms),
        quality=np.maximum.reduceat(rows.quality, first),
        share_ms=total(rows.shares()) if rows.share_ms is not None or rows.quality.any() else None,
    )


def completeness(block: IntervalBlock, until_ms: int | None = None) -> Floats:
    """Return the covered share of each row, shape (n,), 0 to 1.

    Args:
        block: Intervals or roll-ups.
        until_ms: Now: a row that is running counts for the time that has passed [ms].
    """
    length_ms = block.duration_ms
    if until_ms is not None:
        length_ms = np.minimum(length_ms, until_ms - block.start_ms)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(length_ms > 0, block.covered_ms / length_ms, 0.0)
    return np.minimum(share, 1.0)  # seven minutes that cross the hour count where they start


def mean_of(block: IntervalBlock) -> float:
    """Return the mean over all rows of one channel, weighted as a roll-up's; NaN where unknown."""
    return float(_means(block, np.zeros(1, np.int64))[0]) if len(block) else np.nan


def _buckets(
    block: IntervalBlock, grain: Grain, zones: Mapping[int, Zone] | Zone
) -> tuple[Ints, Ints]:
    if isinstance(zones, Zone):
        return (
            grain_start_ms(block.start_ms, grain, zones),
            grain_end_ms(block.start_ms, grain, zones),
        )
    series, of_row = np.unique(block.series, return_inverse=True)
    own = [zones[key] for key in series.tolist()]
    start_ms, end_ms = np.empty_like(block.start_ms), np.empty_like(block.start_ms)
    for zone in set(own):
        rows = np.flatnonzero(np.array([one is zone for one in own])[of_row])
        start_ms[rows] = grain_start_ms(block.start_ms[rows], grain, zone)
        end_ms[rows] = grain_end_ms(block.start_ms[rows], grain, zone)
    return start_ms, end_ms


def _first_of_groups(*columns: Ints) -> Ints:
    change = np.zeros(len(columns[0]), np.bool_)
    change[0] = True
    for column in columns:
        change[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(change)


def _sum_of_known(figures: Floats, first: Ints) -> Floats:
    known = ~np.isnan(figures)
    with np.errstate(over="ignore"):
        total = finite(np.add.reduceat(np.where(known, figures, 0.0), first))
    return np.where(np.logical_or.reduceat(known, first), total, np.nan)


def is_power_factor(channel: Ints) -> Bools:
    """Return which channel codes are power factors, of a phase or of the total, shape (n,)."""
    factors: Bools = channel - channel % 4 == PF
    return factors


def _means(rows: IntervalBlock, first: Ints) -> Floats:
    """Return the mean of each group; NaN where nothing is known, shape (groups,).

    The amount of a power factor's row is the apparent energy that it is the factor of:
    means weighted by it are sum P over sum S, of the very phases and packets that the
    factor was made of, and lie among the group's own. Rows without it (no power was
    sent) count where no row of the group has it, by their time.
    """
    known = np.isfinite(rows.mean)
    value = np.where(known, rows.mean, 0.0)
    is_factor = is_power_factor(rows.channel)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = _weighted(value, np.where(known, rows.covered_ms, 0), first)
        if is_factor.any():
            loaded = known & is_factor & (rows.amount > 0)
            by_load = _weighted(value, np.where(loaded, rows.amount, 0.0), first)
            mean = np.where(np.isnan(by_load), mean, by_load)
        quotient = rows.channel[first] == RATIO
        if quotient.any():
            above, below = _sum_of_known(rows.amount, first), _sum_of_known(rows.unallocated, first)
            mean = np.where(quotient, finite(above / below), mean)
    return mean


def _weighted(value: Floats, weight: Any, first: Ints) -> Floats:
    return finite(np.add.reduceat(value * weight, first) / np.add.reduceat(weight, first))
