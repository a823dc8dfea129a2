"""The figures beside a graph: total, peak demand, load factor, baseload, power factor.

Every function takes interval rows of one series and one channel that has amounts (energy
or volume); demand is the amount of an interval over its length, in W for Wh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.rollups import roll_up

DEMAND_PERIOD_S = 900  # 15 min; a site with half-hourly settlement uses 1,800
COVERED_ENOUGH = 0.9
"""Share of a demand period that must be covered: half a period of data says nothing about
the mean of the whole, and a peak must not be found in it."""
BASELOAD_PERCENTILE = 2.5


@dataclass(frozen=True, slots=True)
class PeakDemand:
    """The highest mean over a demand period.

    Attributes:
        demand: Mean of the period [W for energy in Wh, m³/h for volume in m³].
        start_ms: When the period began [ms].
        duration_ms: How long it was [ms]; longer than asked where intervals are longer.
    """

    demand: float
    start_ms: int
    duration_ms: int


@dataclass(frozen=True, slots=True)
class PowerFactor:
    """The power factor of a period, sign after IEC: that of the active power.

    Attributes:
        value: Sum P over sum S, -1 to 1; negative for export.
        nature: ``inductive`` (lagging) where Q has the sign of P, else ``capacitive``
            (leading); None where reactive power is not known or zero.
    """

    value: float
    nature: Literal["inductive", "capacitive"] | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """The figures of one channel over a period; NaN or None where not known.

    Attributes:
        total: Amount of the period, unallocated amounts included [Wh, m³].
        unallocated: The part of it whose time is not known [Wh, m³].
        mean: Mean demand of the intervals that are covered [W, m³/h].
        low: Smallest demand of an interval [W, m³/h].
        high: Largest demand of an interval [W, m³/h].
        peak: Highest demand over the site's demand period.
        load_factor: Mean over peak demand, 0 to 1.
        baseload: What is always on [W, m³/h].
        completeness: Covered share of the period, 0 to 1.
    """

    total: float
    unallocated: float
    mean: float
    low: float
    high: float
    peak: PeakDemand | None
    load_factor: float
    baseload: float
    completeness: float


def statistics(
    block: IntervalBlock,
    from_ms: int,
    to_ms: int,
    zone: Zone,
    demand_period_s: int = DEMAND_PERIOD_S,
) -> Statistics:
    """Return the figures of interval rows over the period ``[from_ms, to_ms)``.

    Args:
        block: Interval rows of one series and channel within the period.
        from_ms: Start of the period [ms].
        to_ms: Its end, or now if that is earlier [ms].
        zone: The site's time zone.
        demand_period_s: 900 or 1,800 [s].

    Raises:
        ValueError: The period is empty.
    """
    if to_ms <= from_ms:
        raise ValueError(f"the period from {from_ms} to {to_ms} is empty")
    demand = interval_demand(block)
    known = ~np.isnan(demand)
    mean = mean_demand(block)
    peak = peak_demand(block, demand_period_s, zone)
    return Statistics(
        total=total_amount(block),
        unallocated=float(np.nansum(block.unallocated)),
        mean=mean,
        low=float(demand[known].min()) if known.any() else np.nan,
        high=float(demand[known].max()) if known.any() else np.nan,
        peak=peak,
        load_factor=_over(mean, peak.demand) if peak else np.nan,
        baseload=baseload(block),
        completeness=min(1.0, float(block.covered_ms.sum()) / (to_ms - from_ms)),
    )


def total_amount(block: IntervalBlock) -> float:
    """Return amounts and unallocated amounts together; NaN where nothing is known [Wh, m³]."""
    if np.isnan(block.amount).all() and not np.nansum(block.unallocated):
        return np.nan
    return float(np.nansum(block.amount) + np.nansum(block.unallocated))


def interval_demand(block: IntervalBlock, until_ms: int | None = None) -> Floats:
    """Return the mean demand of each row, shape (n,) [W, m³/h].

    NaN where less than ``COVERED_ENOUGH`` of the row is covered.

    Args:
        block: Interval rows of one series and channel.
        until_ms: Now, where the row that is running counts for the time that has passed
            [ms]; by default it counts for all of its length, as an extreme must.
    """
    length_ms = block.duration_ms
    if until_ms is not None:
        length_ms = np.minimum(length_ms, until_ms - block.start_ms)
    enough = (block.covered_ms > 0) & (block.covered_ms >= length_ms * COVERED_ENOUGH)
    hours = np.where(enough, block.covered_ms, np.nan) / HOUR_MS
    return block.amount / hours


def mean_demand(block: IntervalBlock, until_ms: int | None = None) -> float:
    """Return the mean demand over the rows whose demand is known [W, m³/h], else NaN.

    A total over phases is as well covered as its least known phase, while its amount holds
    what the others counted: only rows that are covered say how much flowed in how long.
    """
    known = ~np.isnan(interval_demand(block, until_ms))
    hours = float(block.covered_ms[known].sum()) / HOUR_MS
    return _over(float(block.amount[known].sum()), hours)


def peak_demand(block: IntervalBlock, demand_period_s: int, zone: Zone) -> PeakDemand | None:
    """Find the highest mean over the site's demand period, on the local clock.

    The periods are those of the tariff: they start at :00, :15, :30 and :45 (or :00 and
    :30) local time, and do not slide. Intervals that are longer than a period stand for
    themselves. The instantaneous maximum is another figure: ``high`` of the power.

    Args:
        block: Interval rows of one series and channel.
        demand_period_s: 900 or 1,800 [s].
        zone: The site's time zone.

    Returns:
        The first of the highest periods; None where no period is covered enough.
    """
    periods = demand_periods(block, demand_period_s, zone)
    demand = interval_demand(periods)
    if np.isnan(demand).all():
        return None
    row = int(np.nanargmax(demand))
    return PeakDemand(float(demand[row]), int(periods.start_ms[row]), int(periods.duration_ms[row]))


def demand_periods(block: IntervalBlock, demand_period_s: int, zone: Zone) -> IntervalBlock:
    """Return interval rows as the demand periods of the local clock; arguments as of the peak."""
    if _are_quarters(block, demand_period_s):
        return block
    return roll_up(block, demand_period_s, zone)


def _are_quarters(block: IntervalBlock, demand_period_s: int) -> bool:
    """Say whether the rows are the periods already; a year of them need not be rolled up again.

    Since 1972 every zone is whole quarter-hours away from UTC: quarters are those of every clock.
    """
    quarter_ms = 900_000
    return demand_period_s * 1000 == quarter_ms and bool(
        (block.duration_ms == quarter_ms).all() and not (block.start_ms % quarter_ms).any()
    )


def baseload(block: IntervalBlock) -> float:
    """Estimate what is always on from interval demand [W, m³/h]; NaN where nothing is known.

    A low percentile rather than the minimum: one power cut would set a minimum.

    Source:
        P. N. Price, "Methods for Analyzing Electric Load Shape and its Variability",
        LBNL-3713E, 2010: near-base load is the 2.5th percentile.
    """
    demand = interval_demand(block)
    known = demand[~np.isnan(demand)]
    return float(np.percentile(known, BASELOAD_PERCENTILE)) if len(known) else np.nan


def power_factor(
    active: IntervalBlock, apparent: IntervalBlock, reactive: IntervalBlock
) -> PowerFactor | None:
    """Return the power factor of a period: sum P over sum S, with lead or lag from Q.

    Where there is no apparent power, S is the root of P² + Q² of each interval (which
    leaves distortion out). Rows without a counterpart in time count in neither sum.

    Args:
        active: Rows of ``aP`` [W].
        apparent: Rows of ``apP`` [VA]; may be empty.
        reactive: Rows of ``rP`` [var]; may be empty.

    Returns:
        None where it is not known.

    Source:
        IEC 60375 and IEC 62053-23: active power is positive for import; in quadrants I
        and III, where P and Q have one sign, the load is inductive.
    """
    times, p = active.start_ms, active.mean
    q, s = _means_at(reactive, times), _means_at(apparent, times)
    s = np.where(np.isnan(s), np.hypot(p, q), s)
    known = ~np.isnan(p) & ~np.isnan(s)
    weight = active.covered_ms
    total_p, total_s = float((p * weight)[known].sum()), float((s * weight)[known].sum())
    if total_s <= 0:
        return None
    total_q = float(np.nansum(q * weight))
    nature: Literal["inductive", "capacitive"] | None = None
    if total_q and total_p:
        nature = "inductive" if total_q * total_p > 0 else "capacitive"
    return PowerFactor(total_p / total_s, nature)


def _means_at(block: IntervalBlock, start_ms: np.ndarray) -> Floats:
    if not len(block):
        return np.full(len(start_ms), np.nan)
    order = np.argsort(block.start_ms)
    own = block.start_ms[order]
    place = np.minimum(np.searchsorted(own, start_ms), len(own) - 1)
    return np.where(own[place] == start_ms, block.mean[order][place], np.nan)


def _over(amount: float, by: float) -> float:
    return amount / by if by > 0 else np.nan
