"""Events of waste, hour by hour: what ``insights.waste.events`` finds in the whole history."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from kilowatch.insights.waste.events import (
    FIRST_GAP_H,
    GAP_H,
    KINDS,
    MIN_BESIDE_PEAK,
    MIN_H,
    MIN_SHARE,
)
from kilowatch.insights.waste.habits import NIGHT
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.insight.records import event_key
from kilowatch.pipeline.insight.states import WasteRun

WIDEST_RANGE = 100.0
"""A need that falls to nothing differs without bounds; this much says it."""


def go_on(
    series: int,
    runs: list[WasteRun],
    hours: tuple[Ints, Ints, Ints],
    waste: tuple[Floats, Floats, Ints],
    scale: float,
    *,
    weather_range: float = math.nan,
) -> tuple[list[WasteRun], list[InsightEvent]]:
    """Take in the next hours of a stream.

    Args:
        series: The stream.
        runs: What may go on.
        hours: Start [ms since 1970, UTC], local day and hour of the day of each, shape (hours,).
        waste: Waste, need, and kind as an index into ``list(EventKind)`` or −1,
            shape (hours,) [W or m³/h].
        scale: Mean load of the stream in its reference period [W or m³/h].
        weather_range: Times by which its need differs between temperatures; NaN: not known.

    Returns:
        What may go on after them, and the events that are new, have grown or are over.
    """
    start_ms, day, hour = hours
    rate, need, kind = waste
    by_kind = {run.kind: run for run in runs}
    changed: dict[tuple[int, int], tuple[WasteRun, bool]] = {}
    for at in np.flatnonzero(kind >= 0).tolist():
        number = int(kind[at])
        run = by_kind.get(number)
        now_ms = int(start_ms[at])
        if run is None or now_ms - run.last_ms > _gap_h(run) * HOUR_MS:
            if run is not None and run.found_ms:
                changed[number, run.start_ms] = (run, False)
            run = by_kind[number] = WasteRun(number, now_ms, now_ms, 0, 0, 0, -1, 0.0, 0.0, 0.0)
        run.last_ms = now_ms
        run.hours += 1
        run.nights += int(hour[at]) < NIGHT.stop
        run.days += int(day[at]) != run.day
        run.day = int(day[at])
        run.amount += float(rate[at])
        run.expected += float(need[at])
        run.highest = max(run.highest, float(rate[at]))
        enough = run.hours >= MIN_H.get(KINDS[number], 3) and run.amount > MIN_SHARE * scale
        enough = enough and run.amount - run.highest > MIN_BESIDE_PEAK * scale
        if enough and not run.found_ms:
            run.found_ms = now_ms + HOUR_MS
        if run.found_ms:
            changed[number, run.start_ms] = (run, True)
    last_ms = int(start_ms[-1])
    for number, run in list(by_kind.items()):
        if last_ms - run.last_ms > GAP_H[KINDS[number]] * HOUR_MS:
            if run.found_ms:
                changed[number, run.start_ms] = (run, False)
            del by_kind[number]
    events = [_event(series, run, scale, is_open=is_open) for run, is_open in changed.values()]
    return list(by_kind.values()), [_in_weather(one, weather_range) for one in events]


def ended(series: int, runs: list[WasteRun], scale: float) -> list[InsightEvent]:
    """Return the events of a stream of which nothing is called waste any more: they are over."""
    return [_event(series, run, scale, is_open=False) for run in runs if run.found_ms]


def _in_weather(event: InsightEvent, weather_range: float) -> InsightEvent:
    """Say of use in mild weather how much this stream goes by the weather at all."""
    if event.kind is not EventKind.OVER_CONDITIONING or math.isnan(weather_range):
        return event
    known = {"weather_range": round(min(weather_range, WIDEST_RANGE), 2)}
    return replace(event, evidence=event.evidence | known)


def of_water(waste: tuple[Floats, Floats, Ints]) -> tuple[Floats, Floats, Ints]:
    """Return waste, need and kinds of some hours of water.

    No weather calls for it, and nothing starts up before people come: it runs at quiet hours.
    """
    rate, need, kinds = waste
    number = list(EventKind).index
    there = kinds == number(EventKind.OVER_CONDITIONING)
    early = kinds == number(EventKind.EARLY_START)
    kinds = np.where(early, number(EventKind.AFTER_HOURS), np.where(there, -1, kinds))
    return np.where(there, 0.0, rate), need, kinds


def _gap_h(run: WasteRun) -> int:
    """Return after how many hours without any it is another event."""
    most = GAP_H[KINDS[run.kind]]
    return most if run.found_ms else min(most, FIRST_GAP_H)


def _event(series: int, run: WasteRun, scale: float, *, is_open: bool) -> InsightEvent:
    kind = KINDS[run.kind]
    size = run.amount / run.hours / max(scale, 1e-12)
    sure = (1 - 0.5 ** (run.days / 2)) * min(1.0, 0.5 + size / 0.4)
    evidence: dict[str, Any] = {
        "expected": run.expected / run.hours,
        "actual": (run.expected + run.amount) / run.hours,
        "hours": run.hours,
        "days": run.days,
        "scale": scale,
    }
    if kind is EventKind.BASELOAD_CREEP:
        evidence["night_hours"] = run.nights
    return InsightEvent(
        id=event_key(series, kind, run.start_ms),
        series=series,
        kind=kind,
        start_ms=run.start_ms,
        end_ms=run.last_ms + HOUR_MS,
        open=is_open,
        found_ms=run.found_ms,
        amount=run.amount,
        confidence=round(sure, 3),
        evidence=evidence,
    )
