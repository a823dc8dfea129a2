"""Today so far, for the cards of an overview: one total and one shape for each data point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from kilowatch.dashboard.needs import View
from kilowatch.dashboard.offered import Measure
from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.parameters import PC, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.formula_view import as_seen, channels_behind
from kilowatch.pipeline.rollups import mean_of


def today_of(view: View, points: Sequence[DataPoint], now_ms: int) -> dict[str, Any]:
    """Return today's figures by data point number, by the hour on each site's calendar.

    Returns:
        ``measure``, ``unit``, ``value`` (the total of amounts, the mean of gauges; null when
        there is no data today), ``from_ms``, ``to_ms`` and ``bars``: rows of start, end, value.
    """
    by_zone: dict[str, list[DataPoint]] = defaultdict(list)
    for point in points:
        by_zone[point.zone].append(point)
    found: dict[str, Any] = {}
    for zone, mine in by_zone.items():
        day = local_day(now_ms, zone)
        from_ms, to_ms = midnight_ms(day, zone), midnight_ms(day + timedelta(1), zone)
        rows = view.to_average(mine, [PC, VALUE], from_ms, to_ms, "hour")
        for point in mine:
            measure, unit, code = _telling(point)
            behind = np.isin(rows.channel, channels_behind(code))
            own = rows.take((rows.series == point.series) & behind)
            found[str(point.id)] = {
                "measure": measure,
                "unit": unit,
                "value": _value(own, measure),
                "from_ms": from_ms,
                "to_ms": to_ms,
                "bars": _bars(as_seen(own, [point]), measure),
            }
    return found


def _telling(point: DataPoint) -> tuple[Measure, str, int]:
    if point.kind == "electrical":
        return "amount", "Wh", PC
    unit = point.unit_of_value
    if point.behaviour == "gauge" or not unit.amount:
        return "mean", unit.canonical, VALUE
    return "amount", unit.amount, VALUE


def _value(rows: IntervalBlock, measure: Measure) -> float | None:
    if measure == "amount":
        parts = np.concatenate([rows.amount, rows.unallocated])
        known = parts[np.isfinite(parts)]
        return float(known.sum()) if np.isfinite(rows.amount).any() else None
    mean = mean_of(rows)
    return mean if np.isfinite(mean) else None


def _bars(rows: IntervalBlock, measure: Measure) -> list[list[float]]:
    values = rows.amount if measure == "amount" else rows.mean
    ends = rows.start_ms + rows.duration_ms
    return [
        [start, end, value]
        for start, end, value in zip(
            rows.start_ms.tolist(), ends.tolist(), values.tolist(), strict=True
        )
        if np.isfinite(value)
    ]
