"""Events of violated rules, kept beside a stream's state, and the findings that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kilowatch.model.findings import Finding
from kilowatch.model.parameters import VALUE, channel_name
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.frames import Spans
from kilowatch.pipeline.state import Progress
from kilowatch.pipeline.validation import DEMAND_MAX, NEGATIVE, SPIKE, ZERO_RUN, Event, joined

EVENTS_MAX = 100
"""Newest events of a stream that are kept: a limit that is set too low must not fill the memory."""

CODES = {
    DEMAND_MAX: "interval.demand_implausible",
    SPIKE: "interval.spike",
    ZERO_RUN: "interval.zero_for_long",
    NEGATIVE: "interval.negative",
}


def note_events(
    progresses: Mapping[int, Progress],
    spans: Spans,
    events: Mapping[int, list[Event]],
    again: Callable[[Spans], Mapping[int, list[Event]]],
) -> None:
    """Note what was found in spans that are closed by now.

    A span that reaches back behind what was noted replaces it: events that it cuts are found
    again as a whole, so that they do not depend on when what was closed.

    Args:
        progresses: Where to note it, by series.
        spans: What was judged, by series.
        events: What was found in it.
        again: Judges other spans.
    """
    for series, (since_ms, until_ms) in spans.items():
        progress = progresses[series]
        found = events.get(series, [])
        if not found and not progress.events:
            continue
        from_ms = since_ms
        while cut := [e for e in progress.events if e.from_ms < from_ms < e.until_ms]:
            from_ms = min(event.from_ms for event in cut)
        if from_ms < since_ms:
            found = again({series: (from_ms, until_ms)}).get(series, [])
        kept = [event for event in progress.events if event.until_ms <= from_ms]
        progress.events = joined(kept, found)[-EVENTS_MAX:]


def finding_of(event: Event, point: DataPoint) -> Finding:
    """Return an event in words that a person can act on."""
    unit = _unit(point, event.channel)
    worst, limit = _figure(event.worst, unit), _figure(event.limit, unit)
    texts = {
        DEMAND_MAX: f"{worst} is more than the {limit} that are plausible here.",
        SPIKE: f"{worst} is more than {event.limit:g} times what came before and after it.",
        ZERO_RUN: f"Nothing has been counted for longer than {event.limit / 3600:g} h.",
        NEGATIVE: f"{worst} is less than nothing, of something that nobody gives back.",
    }
    return Finding(
        CODES[event.rule],
        texts[event.rule],
        event.from_ms,
        event.channel,
        {
            "until_ms": event.until_ms,
            "intervals": event.intervals,
            "channel": channel_name(event.channel),
            "worst": event.worst,
            "worst_ms": event.worst_ms,
            "limit": event.limit,
            "unit": unit,
        },
    )


def editing_failed(why: str) -> Finding:
    """Return what is said about a stream whose rules or corrections can't be applied."""
    return Finding(
        "editing.failed",
        f"Rules and corrections could not be applied: {why}. The figures are those that were "
        "computed from the readings.",
        data={"reason": why},
    )


def _unit(point: DataPoint, channel: int) -> str:
    """Return the unit of what rules compare: a demand, or a gauge's own."""
    if channel != VALUE:
        return "W"
    unit = point.unit_of_value
    if point.behaviour in {"gauge", "rate"}:
        return unit.canonical
    return {"Wh": "W"}.get(unit.canonical, f"{unit.canonical}/h")


def _figure(value: float, unit: str) -> str:
    if unit == "W" and abs(value) >= 1000:
        value, unit = value / 1000, "kW"
    return f"{value:,.4g} {unit}".strip()
