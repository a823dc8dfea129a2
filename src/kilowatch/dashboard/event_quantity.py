"""What an electrical event is about, as a picture: voltages, currents, power factor, a sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kilowatch.dashboard.hourly import missing_of, nullable
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.offered import phase_title
from kilowatch.dashboard.periods import offsets
from kilowatch.dashboard.words import t
from kilowatch.insights.electrical import power_factor
from kilowatch.insights.limits import Limits
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import AP, PC, PE, RP, phase_of
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.insight.electrics import CURRENT, USUAL_V, VOLTAGE

ROWS_MAX = 2_100
"""More intervals than that are drawn as hours with their smallest and largest value."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is drawn of a kind of event.

    Attributes:
        show: What Breakdown calls it.
        channels: That are read.
        unit: Of what is drawn.
        near: Drawn around its values instead of from zero.
    """

    show: str
    channels: tuple[int, ...]
    unit: str
    near: bool = False


def _phases(total: int) -> tuple[int, ...]:
    return tuple(total + phase for phase in (1, 2, 3))


QUANTITIES = {
    EventKind.VOLTAGE: Quantity("v", _phases(VOLTAGE), "V", near=True),
    EventKind.UNBALANCE: Quantity("c", _phases(CURRENT), "A"),
    EventKind.PHASE_LOSS: Quantity("c", _phases(CURRENT), "A"),
    EventKind.POWER_FACTOR: Quantity("pF", (AP, RP), ""),
    EventKind.PHASE_SUM: Quantity("aP", (*_phases(AP), *_phases(PC), *_phases(PE)), "W"),
}
"""Kinds that are not about hourly use; each is seen by a quantity of its own."""


def quantity_of(view: View, point: DataPoint, event: InsightEvent) -> Quantity | None:
    """Return by what quantity an event is seen; None: by the hourly use.

    A kind alone does not say it: a phase is also called lost at a meter that sends no currents.

    Args:
        view: Measurements.
        point: The event's data point.
        event: The event.

    Raises:
        KilowatchError: 503 from the store.
    """
    about = QUANTITIES.get(event.kind)
    if about is None or set(about.channels).isdisjoint(view.channels(point)):
        return None
    return about


def quantity(
    view: View,
    point: DataPoint,
    event: InsightEvent,
    span: tuple[int, int],
    now_ms: int,
    marks: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """Return what the page of an electrical event draws; None where hourly use is what says it.

    Args:
        view: Measurements.
        point: An electrical data point.
        event: The event.
        span: Begin and end of what is drawn [ms since 1970, UTC].
        now_ms: What time it is [ms since 1970, UTC].
        marks: Events on the time axis.

    Raises:
        KilowatchError: 503 from the store.
    """
    about = quantity_of(view, point, event)
    if about is None:
        return None
    from_ms, to_ms = span
    fine = (to_ms - from_ms) // (point.interval_s * 1000) <= ROWS_MAX
    step_ms = point.interval_s * 1000 if fine else HOUR_MS
    rows = view.series_many([point], about.channels, from_ms, to_ms, "interval" if fine else "hour")
    return {
        "utility": point.utility,
        "unit": about.unit,
        "near": about.near,
        "zone": point.zone,
        "offsets": offsets(from_ms, to_ms, point.zone),
        "from_ms": from_ms,
        "to_ms": to_ms,
        "now_ms": now_ms,
        "step_ms": step_ms,
        "actual": {
            "missing": missing_of(
                view, point, rows.start_ms[rows.covered_ms > 0], span, now_ms, step_ms
            )
        },
        "lines": list(_lines(event, about, rows, spread=not fine)),
        "limits": _limits(event),
        "marks": marks,
    }


def _lines(
    event: InsightEvent, about: Quantity, rows: IntervalBlock, *, spread: bool
) -> Iterator[dict[str, Any]]:
    if event.kind is EventKind.POWER_FACTOR:
        starts, active, reactive = _beside(rows, AP, RP)
        yield _line(t("event.quantity.pf"), 0, starts, power_factor(active, reactive))
        return
    told = event.evidence
    if event.kind is EventKind.PHASE_SUM and "registers" in told:
        counted = _power(rows, told["registers"])
        if counted is not None:
            yield _line(t("event.quantity.total"), 0, *counted)
        sent = [_known(rows, AP + phase) for phase in told["phases"]]
        yield _line(t("event.quantity.sum"), 0, *_sum(sent)) | {"beside": True}
        return
    for code in about.channels:
        if about.unit == "W" and code not in _phases(AP):
            continue
        own = _known(rows, code)
        if len(own):
            line = _line(phase_title(code), phase_of(code), own.start_ms, own.mean)
            if spread:
                line |= {"low": nullable(own.low), "high": nullable(own.high)}
            yield line


def _line(name: str, phase: int, start_ms: Ints, value: Floats) -> dict[str, Any]:
    return {"name": name, "phase": phase, "start": start_ms.tolist(), "value": nullable(value)}


def _known(rows: IntervalBlock, channel: int) -> IntervalBlock:
    return rows.take((rows.channel == channel) & np.isfinite(rows.mean))


def _beside(rows: IntervalBlock, one: int, other: int) -> tuple[Ints, Floats, Floats]:
    """Return means of two channels at the intervals of which both are known."""
    first, second = _known(rows, one), _known(rows, other)
    starts, mine, theirs = np.intersect1d(first.start_ms, second.start_ms, return_indices=True)
    return starts, first.mean[mine], second.mean[theirs]


def _sum(parts: list[IntervalBlock]) -> tuple[Ints, Floats]:
    """Return the sum of the phases at the intervals of which each of them is known."""
    starts = parts[0].start_ms
    for part in parts[1:]:
        starts = np.intersect1d(starts, part.start_ms)
    return starts, sum(
        (part.mean[np.isin(part.start_ms, starts)] for part in parts), np.zeros(len(starts))
    )


def _power(rows: IntervalBlock, registers: list[int]) -> tuple[Ints, Floats] | None:
    """Return what registers counted, less what flowed back, as a mean power [W]."""
    parts = []
    for phase in registers:
        for code, sign in ((PC, 1.0), (PE, -1.0)):
            own = rows.take((rows.channel == code + phase) & np.isfinite(rows.amount))
            own = own.take(own.covered_ms > 0)
            if len(own):
                parts.append(replace(own, mean=sign * own.amount / (own.covered_ms / HOUR_MS)))
    return _sum(parts) if parts else None


def _limits(event: InsightEvent) -> list[dict[str, Any]]:
    """Return what should have been kept, with its words."""
    evidence, usual = event.evidence, Limits()
    if event.kind is EventKind.VOLTAGE:
        nominal_v = float(evidence.get("nominal_v", USUAL_V))
        low_v = float(evidence.get("low_v", usual.low * nominal_v))
        high_v = float(evidence.get("most_v", usual.high * nominal_v))
        least_v = float(evidence.get("least_v", low_v))
        kept = [("low", low_v), ("high", high_v)]
        if evidence.get("lowest_v", low_v) < least_v < low_v:
            kept.append(("least", least_v))
        return [
            {
                "value": volts,
                "text": t(
                    f"event.limit.{name}", value=f"{volts:.0f}", share=_off(volts / nominal_v)
                ),
            }
            for name, volts in kept
        ]
    if event.kind is EventKind.POWER_FACTOR:
        limit = float(evidence.get("limit", usual.power_factor))
        return [{"value": limit, "text": t("event.limit.pf", value=f"{limit:.2f}")}]
    return []


def _off(share: float) -> str:
    """Write how far a limit lies from nominal."""
    return f"{(share - 1) * 100:+.3g} %".replace("-", "\N{MINUS SIGN}")
