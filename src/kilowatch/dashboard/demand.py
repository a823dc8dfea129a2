"""Peak demand and what belongs to it: load factor, baseload, power factor, the highest reading.

Each says how much of the period it rests on. Definitions are those of ``pipeline.statistics`` and
of docs/use/breakdown.md.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.dashboard.drawn import Drawn, read
from kilowatch.dashboard.needs import Measured
from kilowatch.dashboard.periods import Grain, Window
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.model.blocks import COLUMNS, IntervalBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.parameters import AP, PC, PF, RP, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.units import rate_unit
from kilowatch.pipeline.rollups import mean_of
from kilowatch.pipeline.statistics import statistics

REMEMBERED_MAX = 500
"""Periods of data points; one is half a kilobyte."""
REMEMBERED_ROWS_MAX = 4_000
"""Of finer buckets than a year's days there is little to save, and as much to compare."""


def demand_length_s(facts: SiteFacts | None, settings: DashboardSettings) -> int:
    """Return over how long peak demand is a mean at a site: its own, or the installation's [s]."""
    return (facts.demand_period_s if facts else None) or settings.demand_period_s


@dataclass(frozen=True, slots=True)
class Period:
    """What figures of demand are asked of.

    Attributes:
        view: Measurements.
        point: Whose.
        frame: The days that are shown.
        until_ms: Until when there can be data by now [ms].
        demand_s: Over how long peak demand is a mean, on the local clock [s].
    """

    view: Measured
    point: DataPoint
    frame: Window
    until_ms: int
    demand_s: int

    @property
    def span(self) -> tuple[int, int]:
        """The days as instants [ms]."""
        return self.frame.from_ms, self.frame.to_ms

    def complete(self, rows: IntervalBlock) -> float:
        """Return the share of what has passed that rows rest on, 0 to 1."""
        passed = self.until_ms - self.frame.from_ms
        return min(1.0, float(rows.covered_ms.sum()) / passed) if passed > 0 else 0.0


class Demands:
    """Figures of demand that were just worked out, each with what it rested on.

    The demand periods of a year are 105,000 rows of a 5-minute point; its days are 365. As long as
    the buckets shown are the same to the bit (their versions, amounts, covered time, quality), and
    the data point's settings and corrections too, so are the periods within them. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Any, ...], tuple[DataPoint, bytes, dict[str, Any]]]
        self._known = OrderedDict()

    def of(
        self, period: Period, drawn: Drawn, known: Mapping[int, IntervalBlock]
    ) -> dict[str, Any] | None:
        """Return what ``demand_of`` does, asking the store only where something is new."""
        code, _ = _counted(period.point, drawn)
        rows = sum(len(some) for some in known.values())
        if code is None or code not in known or rows > REMEMBERED_ROWS_MAX:
            return demand_of(period, drawn, known)
        if period.until_ms <= period.frame.from_ms:
            return None
        key = (period.point.series, *period.span, period.demand_s, period.frame.grain)
        mark = _mark(known[one] for one in levels_of(period.point, drawn))
        with self._lock:
            found = self._known.get(key)
            if found is not None and found[1] == mark and found[0] == period.point:
                self._known.move_to_end(key)
                return _as_of_now(period, found[2], known[code], known.get(PF))
        body = demand_of(period, drawn, known)
        if body is not None:
            with self._lock:
                self._known[key] = (period.point, mark, dict(body))
                while len(self._known) > REMEMBERED_MAX:
                    self._known.popitem(last=False)
        return body


def _as_of_now(
    period: Period, body: Mapping[str, Any], counted: IntervalBlock, factor: IntervalBlock | None
) -> dict[str, Any]:
    """Return figures with what they rest on by now: time passes while nothing comes."""
    found = {**body, "complete": period.complete(counted)}
    if found["power_factor"] is not None and factor is not None:
        found["power_factor"] = {**found["power_factor"], "complete": period.complete(factor)}
    return found


def _mark(blocks: Iterable[IntervalBlock]) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for block in blocks:
        for name in COLUMNS:
            found.update(getattr(block, name).tobytes())
        if block.share_ms is not None:
            found.update(block.share_ms.tobytes())
    return found.digest()


def levels_of(point: DataPoint, drawn: Drawn) -> list[int]:
    """Return the channels that ``demand_of`` wants at the granularity that is shown."""
    code, _ = _counted(point, drawn)
    if code is None:
        return []
    return [code, AP, RP, PF] if point.kind == "electrical" else [code]


def demand_of(
    period: Period, drawn: Drawn, known: Mapping[int, IntervalBlock]
) -> dict[str, Any] | None:
    """Return the figures of demand; None where what is shown counts nothing.

    ``answer.py`` documents them. Blocks on the store.

    Args:
        period: Of what and when.
        drawn: What is shown.
        known: Rows of the period at the granularity that is shown, by channel; those of
            ``levels_of`` are among them, so that they cost no question of their own.

    Raises:
        KilowatchError: 503 from the store.
    """
    point, frame = period.point, period.frame
    code, unit = _counted(point, drawn)
    if code is None or period.until_ms <= frame.from_ms:
        return None
    grain = demand_grain(point.interval_s, period.demand_s)
    if code in known and grain == frame.asked:
        rows = known[code]
    else:
        rows = read(period.view, point, [code], period.span, grain)[code]
    found = statistics(rows, frame.from_ms, period.until_ms, Zone.of(point.zone), period.demand_s)
    if found.peak is None or found.peak.demand <= 0:
        return None
    body = {
        "unit": rate_unit(unit),
        "peak": found.peak.demand,
        "peak_ms": found.peak.start_ms,
        "period_s": found.peak.duration_ms // 1000,
        "asked_s": period.demand_s,
        "load_factor": _known(found.load_factor),
        "baseload": _known(found.baseload),
        "mean": _known(found.mean),
        "complete": found.completeness,
        "high": None,
        "high_ms": None,
        "power_factor": None,
    }
    if point.kind == "electrical":
        body |= _highest(period, known[AP])
        body["power_factor"] = _power_factor(period, known)
    return body


def demand_grain(interval_s: int, demand_s: int) -> Grain:
    """Return the granularity that gives the demand periods of a data point.

    Intervals as long as a period, or longer, stand for themselves.
    """
    if interval_s >= demand_s:
        return "interval"
    for length_s in (demand_s, 1800):
        if length_s % interval_s == 0:
            return length_s
    return "hour"


def _counted(point: DataPoint, drawn: Drawn) -> tuple[int | None, str]:
    """Return the channel that peak demand is taken from: the energy, or the single amount."""
    shown_codes = {code for _, code in drawn}
    if point.kind == "electrical":
        groups = {parameter.group for parameter, _ in drawn}
        return (PC, "Wh") if groups & {"Energy", "Power"} else (None, "")
    if VALUE in shown_codes and point.behaviour != "gauge" and point.unit_of_value.amount:
        return VALUE, point.unit_of_value.amount
    return None, ""


def _highest(period: Period, power: IntervalBlock) -> dict[str, Any]:
    """Return the highest reading of active power with the start of its interval."""
    if not np.isfinite(power.high).any():
        return {}
    at = int(np.nanargmax(power.high))
    begin_ms, end_ms = int(power.start_ms[at]), int(power.start_ms[at] + power.duration_ms[at])
    if power.duration_ms[at] > period.point.interval_s * 1000:
        fine = read(period.view, period.point, [AP], (begin_ms, end_ms), "interval")[AP]
        if np.isfinite(fine.high).any():
            begin_ms = int(fine.start_ms[int(np.nanargmax(fine.high))])
    return {"high": float(power.high[at]), "high_ms": begin_ms}


def _power_factor(period: Period, levels: Mapping[int, IntervalBlock]) -> dict[str, Any] | None:
    """Return the power factor of the period, and whether the load leads or lags.

    The rows of the factor are weighted by apparent energy, so their mean is the sum of P over the
    sum of S, exactly, at any granularity. After IEC the sign is that of the active power, and the
    load is inductive (it lags) where reactive and active power have one sign.
    """
    value = mean_of(levels[PF])
    if not math.isfinite(value):
        return None
    active, reactive = _mean(levels[AP]), _mean(levels[RP])
    nature = None
    if math.isfinite(active * reactive) and active * reactive:
        nature = "inductive" if active * reactive > 0 else "capacitive"
    return {"value": value, "nature": nature, "complete": period.complete(levels[PF])}


def _mean(rows: IntervalBlock) -> float:
    return mean_of(rows) if len(rows) else math.nan


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
