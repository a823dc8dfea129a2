"""What readers see of a stream's state: how far roll-ups reach, its last value, its findings."""

from __future__ import annotations

from dataclasses import replace

from kilowatch.model.findings import Finding
from kilowatch.model.parameters import AP, PC, VALUE, family_of
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.closing import changed_ms, reach_ms
from kilowatch.pipeline.events import editing_failed, finding_of
from kilowatch.pipeline.falls import findings_of_falls
from kilowatch.pipeline.figures import Shown
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.state import StreamState, shortest_interval_s


def trusted(shown: Shown, first_ms: int | None) -> Shown:
    """Return a stream with its roll-ups as far as hot rows leave them true."""
    if first_ms is not None:
        first_ms = changed_ms(shown.frame, first_ms)
    if first_ms is None or first_ms >= max(shown.hour_ms, shown.day_ms):
        return shown
    return replace(
        shown,
        hour_ms=reach_ms(shown.hour_ms, first_ms, "hour", shown.zone),
        day_ms=reach_ms(shown.day_ms, first_ms, "day", shown.zone),
    )


def shown_of(state: StreamState) -> Shown:
    """Return a stream as readers see it at one moment."""
    progress = state.progress
    settings = progress.settings or {}
    frame = Frame.of(settings)
    return Shown(
        progress.generation,
        shortest_interval_s(settings),
        Zone.of(settings["zone"]),
        progress.hour_ms,
        progress.day_ms,
        frame,
        frozenset() if frame is None else frozenset(progress.channels),
    )


def headline(point: DataPoint, values: dict[int, float]) -> tuple[int, float, str]:
    """Return the quantity that stands for a packet: its power, else its energy, else the first."""
    if VALUE in values:
        return VALUE, values[VALUE], point.unit
    for total in (AP, PC):
        phases = [values[total + phase] for phase in (1, 2, 3) if total + phase in values]
        if phases:
            family = family_of(total)
            assert family is not None
            return total, sum(phases), family.unit
    channel, value = next(iter(values.items()))
    family = family_of(channel)
    return channel, value, family.unit if family else ""


def findings_of(state: StreamState, point: DataPoint) -> tuple[Finding, ...]:
    """Return what violated rules, dials that fell and a failure have to say."""
    falls = findings_of_falls(state.progress)
    violations = tuple(finding_of(event, point) for event in state.progress.events)
    if failure := state.progress.editing_failure:
        violations = (*violations, editing_failed(failure))
    if not state.failure:
        return (*violations, *falls)
    if point.formula:
        return (
            Finding(
                "formula.stopped",
                f"This formula is not computed any more: {state.failure} What it gave before is "
                "still shown.",
                data={"reason": state.failure},
            ),
        )
    return (
        *violations,
        *falls,
        Finding(
            "stream.failed",
            f"This stream's packets could not be processed: {state.failure}. They are kept, and "
            "its figures will be computed as soon as that is possible.",
            state.failed_at_ms,
            data={"reason": state.failure},
        ),
    )
