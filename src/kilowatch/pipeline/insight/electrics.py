"""Electrical checks at each local midnight: voltage, unbalance, power factor, a lost phase.

They look at the intervals themselves, of the last eight days, so that a state that has lasted for
days is seen as one; voltage is judged by whole local weeks. What comes back within a day is one
event, not one for each hour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from kilowatch.insights.electrical import Electrical, Fault, Limits, faults
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.parameters import AP, RP
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.records import event_key
from kilowatch.pipeline.insight.subjects import Subject
from kilowatch.pipeline.view import View

VOLTAGE, CURRENT = 16, 20  # totals' channel codes of the families of phases
CHANNELS = (
    AP, RP, *(code + phase for code in (VOLTAGE, CURRENT, AP) for phase in (1, 2, 3)),
)  # fmt: skip
WINDOW_MS = 8 * DAY_MS
PAUSE_MS = {EventKind.VOLTAGE: 7 * DAY_MS, EventKind.POWER_FACTOR: 7 * DAY_MS}
"""How long a fault may pause and still be the same one; a day unless it is said here. What
compensates a power factor is missing all week, and shows on the days on which enough runs."""
USUAL_V = 230.0

Nominal = Callable[[Subject, int], float | None]
"""Returns a data point's nominal voltage at an instant; None where nobody has set one [V]."""


class FaultRun(msgspec.Struct, array_like=True):
    """A fault that may go on.

    Attributes:
        kind: What it is.
        start_ms: When it began [ms since 1970, UTC].
        end_ms: Until when it is known [ms since 1970, UTC].
        found_ms: When it was found [ms since 1970, UTC].
        hours: How long it was there, pauses left out [h].
        evidence: The numbers of its longest part.
    """

    kind: str
    start_ms: int
    end_ms: int
    found_ms: int
    hours: float
    evidence: dict[str, Any]


def check(
    view: View,
    subject: Subject,
    runs: list[FaultRun],
    midnight_ms: int,
    zone: Zone,
    nominal: Nominal,
) -> tuple[list[FaultRun], list[InsightEvent]]:
    """Look at a data point's days before a midnight.

    Args:
        view: The measurements.
        subject: An electrical data point.
        runs: What may go on.
        midnight_ms: Everything before it is complete [ms since 1970, UTC].
        zone: The site's clock.
        nominal: Nominal voltages.

    Returns:
        What may go on after them, and the events that are new, have grown or are over.

    Raises:
        KilowatchError: 503 from the store.
    """
    from_ms = midnight_ms - WINDOW_MS
    block = view.series_many([subject.point], CHANNELS, from_ms, midnight_ms, "interval")
    found: list[Fault] = []
    day_ms = int(grain_start_ms([midnight_ms - 1], "day", zone)[0])
    if len(block):
        monday = (int(zone.day_index([midnight_ms])[0]) + 3) % 7 == 0
        data = _laid(block, subject.point.interval_s)
        limits, judged = _limits(nominal(subject, midnight_ms), data)
        if judged and monday:
            week_ms = int(zone.day_starts_within(midnight_ms - WINDOW_MS, midnight_ms)[-7])
            found += [
                one
                for one in faults(_since(data, week_ms, voltage=True), zone, limits)
                if one.kind is EventKind.VOLTAGE
            ]
        others = faults(_since(data, from_ms, voltage=False), zone, limits)
        found += [one for one in others if one.end_ms > day_ms]
    return _go_on(subject.series, runs, found, day_ms, midnight_ms)


def _go_on(
    series: int, runs: list[FaultRun], found: list[Fault], day_ms: int, midnight_ms: int
) -> tuple[list[FaultRun], list[InsightEvent]]:
    going = {run.kind: run for run in runs}
    events: dict[str, InsightEvent] = {}
    for fault in sorted(found, key=lambda one: (one.start_ms, one.kind)):
        run = going.get(fault.kind)
        pause_ms = PAUSE_MS.get(fault.kind, DAY_MS)
        lost = going.get(EventKind.PHASE_LOSS)
        if fault.kind is EventKind.UNBALANCE and lost and fault.start_ms - lost.end_ms <= DAY_MS:
            # After eight days without it, a lost phase looks as if it had never been there.
            fresh_ms = fault.end_ms - max(fault.start_ms, lost.end_ms)
            lost.hours += max(fresh_ms, 0) / HOUR_MS
            lost.end_ms = max(lost.end_ms, fault.end_ms)
            continued = _event(series, lost, is_open=True)
            events[continued.id] = continued
            continue
        if run is not None and fault.start_ms - run.end_ms > pause_ms:
            ended = _event(series, run, is_open=False)
            events[ended.id] = ended
            run = None
        fresh_ms = fault.end_ms - max(fault.start_ms, day_ms if run else fault.start_ms)
        length_h = fresh_ms / HOUR_MS
        told = fault.evidence | {"indicative": fault.indicative}
        if run is None:
            run = FaultRun(fault.kind, fault.start_ms, fault.end_ms, midnight_ms, length_h, told)
            going[fault.kind] = run
        elif fault.end_ms > run.end_ms:
            run.end_ms = fault.end_ms
            run.hours += length_h
            run.evidence = told
        event = _event(series, run, is_open=True)
        events[event.id] = event
    for kind, run in list(going.items()):
        pause_ms = PAUSE_MS.get(EventKind(kind), DAY_MS)
        # Voltage is judged once a week: until the next time nobody knows that it is over.
        judged_ms = 7 * DAY_MS if kind == EventKind.VOLTAGE else 0
        if midnight_ms - run.end_ms > pause_ms + judged_ms:
            event = _event(series, run, is_open=False)
            events[event.id] = event
            del going[kind]
    return list(going.values()), list(events.values())


def _event(series: int, run: FaultRun, *, is_open: bool) -> InsightEvent:
    return InsightEvent(
        id=event_key(series, run.kind, run.start_ms),
        series=series,
        kind=EventKind(run.kind),
        start_ms=run.start_ms,
        end_ms=run.end_ms,
        open=is_open,
        found_ms=run.found_ms,
        amount=float("nan"),
        confidence=0.6 if run.evidence.get("indicative") else 0.95,
        evidence=run.evidence | {"hours": run.hours},
    )


def _laid(block: IntervalBlock, interval_s: int) -> Electrical:
    """Lay means of channels beside each other; NaN where one is missing."""
    starts = np.unique(block.start_ms)
    place = np.searchsorted(starts, block.start_ms)

    def column(channel: int) -> Floats | None:
        rows = block.channel == channel
        if not rows.any():
            return None
        laid = np.full(len(starts), np.nan)
        laid[place[rows]] = block.mean[rows]
        return laid

    def phases(total: int) -> Floats | None:
        found = [one for phase in (1, 2, 3) if (one := column(total + phase)) is not None]
        return np.stack(found) if found else None

    return Electrical(
        starts, interval_s, phases(VOLTAGE), phases(CURRENT), column(AP), column(RP), phases(AP)
    )


def _limits(nominal_v: float | None, data: Electrical) -> tuple[Limits, bool]:
    """Return what a data point is judged by, and whether its voltage can be judged at all."""
    if data.voltage_v is None:
        return Limits(), False
    if nominal_v is not None:
        return Limits(nominal_v=nominal_v), True
    known = data.voltage_v[np.isfinite(data.voltage_v)]
    usual = float(np.median(known)) if len(known) else 0.0
    return Limits(), 0.8 * USUAL_V < usual < 1.2 * USUAL_V


def _since(data: Electrical, from_ms: int, *, voltage: bool) -> Electrical:
    part = slice(int(np.searchsorted(data.start_ms, from_ms)), None)

    def cut(of: Floats | None) -> Floats | None:
        return None if of is None else of[..., part]

    if voltage:
        return Electrical(data.start_ms[part], data.interval_s, cut(data.voltage_v))
    return Electrical(
        data.start_ms[part], data.interval_s, None, cut(data.current_a), cut(data.active_w),
        cut(data.reactive_var), cut(data.phases_w),
    )  # fmt: skip
