"""Registers that fell and are not counted: an event for whoever has to say what it was.

The pipeline notes each fall and waits for a person (``register.fell``). Of a data point it is one
event, however many of its registers fell, and however often within a week. It stays open: with the
decision the history is computed again, and the event is gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.parameters import channel_name
from kilowatch.pipeline.insight.fault_runs import FaultRun
from kilowatch.pipeline.insight.records import event_key
from kilowatch.pipeline.state import Fall
from kilowatch.pipeline.streams import Streams

PAUSE_MS = 7 * DAY_MS
"""What falls again within so long is of the same event."""

FallsOf = Callable[[int], Sequence[Fall]]
"""Returns the undecided falls of a stream's registers, in order of time."""


def falls_in(streams: Streams) -> FallsOf:
    """Return where the pipeline's undecided falls are looked up."""

    def find(series: int) -> Sequence[Fall]:
        state = streams.states.get(series)
        return () if state is None else tuple(state.progress.falls)

    return find


def fell(
    series: int, runs: list[FaultRun], falls: Sequence[Fall], from_ms: int, until_ms: int
) -> tuple[list[FaultRun], list[InsightEvent]]:
    """Return what may go on, and the events that are new or have grown.

    Args:
        series: The stream.
        runs: What may go on; that of a register is changed.
        falls: Undecided ones.
        from_ms: First of the hours that are looked at [ms since 1970, UTC].
        until_ms: End of the last [ms since 1970, UTC].
    """
    new = sorted(
        (one for one in falls if from_ms < one.at_ms <= until_ms),
        key=lambda one: (one.at_ms, one.channel),
    )
    others = [run for run in runs if run.kind != EventKind.NEGATIVE]
    run = next((run for run in runs if run.kind == EventKind.NEGATIVE), None)
    events: dict[str, InsightEvent] = {}
    for fall in new:
        if run is None or fall.before_ms - run.end_ms > PAUSE_MS:
            found_ms = from_ms - (from_ms - fall.at_ms) // HOUR_MS * HOUR_MS
            run = FaultRun(EventKind.NEGATIVE, fall.before_ms, fall.at_ms, found_ms, 0.0, {})
        run.end_ms = max(run.end_ms, fall.at_ms)
        run.hours += 1
        names = {*run.evidence.get("registers", ()), channel_name(fall.channel)}
        run.evidence = {
            "fell": int(run.hours),
            "registers": sorted(names),
            "register": channel_name(fall.channel),
            "before": fall.before,
            "after": fall.after,
        }
        events[event_key(series, run.kind, run.start_ms)] = _event(series, run)
    return (others if run is None else [*others, run]), list(events.values())


def _event(series: int, run: FaultRun) -> InsightEvent:
    return InsightEvent(
        id=event_key(series, run.kind, run.start_ms),
        series=series,
        kind=EventKind.NEGATIVE,
        start_ms=run.start_ms,
        end_ms=run.end_ms,
        open=True,
        found_ms=run.found_ms,
        amount=math.nan,
        confidence=0.99,
        evidence=dict(run.evidence),
    )
