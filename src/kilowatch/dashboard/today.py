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
        rows = view.series_many(mine, [PC, VALUE], from_ms, to_ms, "hour")
        for point in mine:
            measure, unit, code = _telling(point)
            own = rows.take((rows.series == point.series) & (rows.channel == code))
            found[str(point.id)] = {
                "measure": measure,
                "unit": unit,
                "value": _value(own, measure),
                "from_ms": from_ms,
                "to_ms": to_ms,
                "bars": _bars(own, measure),
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
    known = np.isfinite(rows.mean) & (rows.covered_ms > 0)
    if not known.any():
        return None
    return float(np.average(rows.mean[known], weights=rows.covered_ms[known]))


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
