"""Peak demand of days, weeks and months that are not over, over the demand period of the site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.insights.outlook import highest
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.statistics import demand_periods, interval_demand

LOOKED_MS = 28 * DAY_MS
"""How far back days tell by how much the peak of a demand period is above that of an hour."""
HOURS_MIN = 20
"""Hours of a day that must be known for that."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """What is known of the peaks of a stream.

    Attributes:
        start_ms: Start of each demand period, shape (n,) [ms since 1970, UTC].
        demand: Its mean, shape (n,) [W or m³/h]; NaN where too little of it is covered.
        above: How many times the peak hour of a day its peak demand is, 5, 50 and 95 %, shape (3,).
    """

    start_ms: np.ndarray[tuple[int], np.dtype[np.int64]]
    demand: Floats
    above: Floats

    @classmethod
    def of(
        cls, block: IntervalBlock, demand_s: int, zone: Zone, past: Floats, now_ms: int
    ) -> Peaks:
        """Learn from the last weeks.

        Args:
            block: Interval rows of the stream, ``LOOKED_MS`` back at least.
            demand_s: The site's demand period [s].
            zone: The clock.
            past: Hours up to now, shape (hours,) [W or m³/h].
            now_ms: Now [ms since 1970, UTC].
        """
        periods = demand_periods(block, demand_s, zone)
        demand = interval_demand(periods)
        hour_ms = now_ms - np.arange(len(past), 0, -1, dtype=np.int64) * HOUR_MS
        late = (hour_ms >= now_ms - LOOKED_MS) & np.isfinite(past)
        hours, of_hours = past[late], zone.local_ms(hour_ms[late]) // DAY_MS
        known = np.isfinite(demand)
        of_periods = zone.local_ms(periods.start_ms) // DAY_MS
        times = [
            float(demand[mine].max() / hours[same].max())
            for day in np.unique(of_hours).tolist()
            if (same := of_hours == day).sum() >= HOURS_MIN
            and hours[same].max() > 0
            and (mine := known & (of_periods == day)).any()
        ]
        above = np.quantile(times, (0.05, 0.5, 0.95)) if times else np.ones(3)
        return cls(periods.start_ms, demand, np.maximum(above, 1.0))

    def until(self, start_ms: int, sure: Floats, rate: Floats, count: int) -> Floats:
        """Return the peak from an instant until ``count`` hours from now, at 5, 50 and 95 %.

        What has been is what Breakdown calls peak demand; what is to come is the highest hour, as
        many times as days have lately been above theirs.

        Args:
            start_ms: Begin of the period [ms since 1970, UTC].
            sure: Hours up to now without what no use explains, shape (hours,) [W or m³/h].
            rate: Quantiles of the next hours, shape (5, horizon).
            count: Hours until its end.

        Returns:
            Shape (3,) [W or m³/h].
        """
        low, middle, high = (highest(sure, rate, count) * self.above[1]).tolist()
        less, more = abs(middle) * np.abs(self.above[[0, 2]] / self.above[1] - 1)
        coming = np.array(
            [middle - np.hypot(middle - low, less), middle, middle + np.hypot(high - middle, more)]
        )
        been = self.demand[self.start_ms >= start_ms]
        been = been[np.isfinite(been)]
        return np.fmax(coming, been.max()) if len(been) else coming
