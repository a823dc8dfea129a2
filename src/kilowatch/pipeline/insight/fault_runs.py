"""Electrical faults that may go on: what comes back soon is one event, not one for each hour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kilowatch.insights.limits import Fault
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.pipeline.insight.records import event_key

PAUSE_MS = dict.fromkeys(
    (EventKind.VOLTAGE, EventKind.POWER_FACTOR, EventKind.PHASE_SUM), 7 * DAY_MS
)
"""How long a fault may pause and still be the same one; a day unless it is said here. What
compensates a power factor is missing all week, and shows on the days on which enough runs; and a
wrong ratio is there all week, and shows on the days that are steady enough to be sure of it."""


class FaultRun(msgspec.Struct, array_like=True):
    """A fault that may go on.

    Attributes:
        kind: What it is.
        start_ms: When it began [ms since 1970, UTC].
        end_ms: Until when it is known [ms since 1970, UTC].
        found_ms: When it was found [ms since 1970, UTC].
        hours: How long it was there, pauses left out [h].
        evidence: The numbers of its longest part; of voltage, of the worst phase so far.
    """

    kind: str
    start_ms: int
    end_ms: int
    found_ms: int
    hours: float
    evidence: dict[str, Any]


class Supply(msgspec.Struct, array_like=True):
    """What is known of a supply by the last midnight, for the hours that follow.

    Attributes:
        usual: Whether its voltage has been near 230 V.
        phases: Which phases have had a voltage, one bit each.
        amps: What each phase usually carries; empty where nobody can say [A].
        judged_ms: Until when its voltage was judged hour by hour [ms since 1970, UTC].
    """

    usual: bool = False
    phases: int = 0
    amps: list[float] = []
    judged_ms: int = 0


def go_on(
    series: int, runs: list[FaultRun], found: Iterable[Fault], now_ms: int
) -> tuple[list[FaultRun], list[InsightEvent]]:
    """Continue what goes on with what was found, and begin what is new.

    Args:
        series: The stream.
        runs: What may go on; its parts are changed.
        found: New faults, and those that were told before.
        now_ms: When they were found [ms since 1970, UTC].

    Returns:
        What may go on, and the events that are new, have grown or have ended.
    """
    going = {run.kind: run for run in runs}
    events: dict[str, InsightEvent] = {}

    def tell(run: FaultRun, *, is_open: bool) -> None:
        event = _event(series, run, is_open=is_open)
        events[event.id] = event

    for fault in sorted(found, key=lambda one: (one.start_ms, one.kind)):
        run = going.get(fault.kind)
        lost = going.get(EventKind.PHASE_LOSS)
        if fault.kind is EventKind.UNBALANCE and lost and fault.start_ms - lost.end_ms <= DAY_MS:
            # After eight days without it, a lost phase looks as if it had never been there.
            lost.hours += max(fault.end_ms - max(fault.start_ms, lost.end_ms), 0) / HOUR_MS
            lost.end_ms = max(lost.end_ms, fault.end_ms)
            tell(lost, is_open=True)
            continue
        if run is not None and fault.start_ms - run.end_ms > PAUSE_MS.get(fault.kind, DAY_MS):
            tell(run, is_open=False)
            run = None
        told = fault.evidence | {"indicative": fault.indicative}
        if run is None:
            hours = told.get("outside_h", fault.length_h)
            run = FaultRun(fault.kind, fault.start_ms, fault.end_ms, now_ms, hours, told)
            going[fault.kind] = run
        elif fault.kind is EventKind.VOLTAGE:
            run.hours += fault.length_h
            run.end_ms = max(run.end_ms, fault.end_ms)
            run.evidence = _of_both(run.evidence, told)
        elif fault.end_ms > run.end_ms:
            by_day = fault.kind is EventKind.PHASE_SUM  # days of their own, with some between
            new_h = (fault.end_ms - max(fault.start_ms, run.end_ms)) / HOUR_MS
            run.hours += fault.length_h if by_day else new_h
            run.end_ms = fault.end_ms
            run.evidence = told
        tell(run, is_open=True)
    return list(going.values()), list(events.values())


def end(
    series: int, runs: list[FaultRun], midnight_ms: int
) -> tuple[list[FaultRun], list[InsightEvent]]:
    """Return what still may go on at a midnight, and what has ended."""
    going, ended = [], []
    for run in runs:
        if run.kind == EventKind.NEGATIVE:  # a register that fell: until somebody decides
            going.append(run)
            continue
        pause_ms = PAUSE_MS.get(EventKind(run.kind), DAY_MS)
        # A week's share is judged once a week: until the next time nobody knows that it is over.
        by_week = run.kind == EventKind.VOLTAGE and _missed(run.evidence)
        if midnight_ms - run.end_ms > pause_ms + (7 * DAY_MS if by_week else 0):
            ended.append(_event(series, run, is_open=False))
        else:
            going.append(run)
    return going, ended


def _missed(evidence: dict[str, Any]) -> bool:
    """Tell whether too few of a week's means were where they should be."""
    return bool(evidence.get("share_inside", 1.0) < evidence.get("share_asked", 0.0))


def _of_both(before: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of a voltage fault with those that were found since.

    A week is about all of its means, an hour about those beyond what each must keep: the phase is
    the week's, or else the one that was furthest off; the extremes are of all that are named.
    """
    phases = sorted({*before.get("phases", ()), *told.get("phases", ())})
    of_week = "share_inside" in told
    merged = before | told if of_week or _off(told) > _off(before) else dict(before)
    merged["lowest_v"] = min(before["lowest_v"], told["lowest_v"])
    merged["highest_v"] = max(before["highest_v"], told["highest_v"])
    return merged | {"phases": phases}


def _off(told: dict[str, Any]) -> float:
    """Return how far a voltage was from nominal, at most [V]."""
    nominal_v = float(told["nominal_v"])
    return max(float(told["highest_v"]) - nominal_v, nominal_v - float(told["lowest_v"]))


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
