"""Dials that fell: what a person is told, and between what to decide.

The platform does not guess whether a fall was a roll-over, a reset, an exchange of the meter or
a bad reading: each gives another amount. What the person decides is a ``MeterEvent`` of the data
point; with it, the history is computed again and the finding is gone.
"""

from __future__ import annotations

from typing import Any

from kilowatch.model.dated import History
from kilowatch.model.findings import Finding
from kilowatch.model.parameters import channel_name
from kilowatch.pipeline.state import Fall, Progress


def findings_of_falls(progress: Progress) -> tuple[Finding, ...]:
    """Return one finding for each fall that nobody has decided, oldest first."""
    return tuple(
        _finding(fall, progress, progress.falls_before if number == 0 else 0)
        for number, fall in enumerate(progress.falls)
    )


def _finding(fall: Fall, progress: Progress, earlier: int) -> Finding:
    name = channel_name(fall.channel)
    return Finding(
        "register.fell",
        f"The register {name} fell from {fall.before:.10g} to {fall.after:.10g}. What was used "
        "in between is not counted until a person says whether it rolled over, was reset, "
        "belongs to another meter, or was read wrongly.",
        fall.at_ms,
        fall.channel,
        {
            "channel": name,
            "before": fall.before,
            "after": fall.after,
            "before_ms": fall.before_ms,
            "at_ms": fall.at_ms,
            "earlier_falls": earlier,
            "decisions": decisions(fall, progress),
        },
    )


def decisions(fall: Fall, progress: Progress) -> list[dict[str, Any]]:
    """Return what a person can decide, each with the fields of its ``MeterEvent`` filled in."""
    about = {"channel": channel_name(fall.channel)}
    settings = progress.settings or {}
    period = History.of_plain(settings.get("history")).at(fall.before_ms)
    width = settings.get("register_max") if period is None else period.register_max
    if width is None or width < fall.before:
        width = 10.0
        while width <= fall.before:
            width *= 10.0
    at = {"at_ms": fall.at_ms}
    return [
        {"kind": "roll_over", **about, **at, "width": width},
        {"kind": "reset", **about, **at, "first": 0.0},
        {"kind": "exchange", **about, **at, "last": fall.before, "first": fall.after},
        {"kind": "bad", **about, **at, "reading": fall.after},
        {"kind": "bad", **about, "at_ms": fall.before_ms, "reading": fall.before},
    ]
