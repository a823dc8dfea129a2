"""An alarm: what it says, and the groups of kinds that are told independently of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from kilowatch.model.insight import EventKind


class Group(IntEnum):
    """Kinds that a stream can show at the same time; the index of an array, never stored."""

    SUDDEN = 0
    LASTING = 1


GROUP_OF = {
    EventKind.SPIKE: Group.SUDDEN,
    EventKind.DROPOUT: Group.SUDDEN,
    EventKind.STUCK: Group.SUDDEN,
    EventKind.NEGATIVE: Group.SUDDEN,
    EventKind.NIGHT_LOAD: Group.LASTING,
    EventKind.MISSED_SHUTDOWN: Group.LASTING,
    EventKind.CLOCK_SHIFT: Group.LASTING,
    EventKind.LEVEL_SHIFT: Group.LASTING,
    EventKind.PHASE_LOSS: Group.LASTING,
    EventKind.DRIFT: Group.LASTING,
}
"""The kinds that this package tells apart."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is wrong with a stream, or has stopped to be.

    The first alarm of a fault is told as soon as it is seen; one more with the same stream, kind
    and ``start_ms`` follows when it is over, with its whole length and amount.

    Attributes:
        stream: Index into the streams of the state.
        kind: What is wrong.
        start_ms: First hour that it covers, as far as that can be told [ms since 1970, UTC].
        end_ms: End of the last hour that it covers so far [ms since 1970, UTC].
        at_ms: End of the hour that told it [ms since 1970, UTC].
        open: Whether it was still going on.
        score: How far beyond what streams do by themselves: 0 is reached once a month on a
            stream without faults, 1 once in ten months, and so on (common logarithm).
        amount: More (+) or less (−) than expected since ``start_ms`` [the stream's unit × h].
        confidence: How sure we are, 0 to 1.
        evidence: The numbers that it rests on: ``expected`` and ``actual`` [mean of the hours
            compared], ``ratio``, ``z``, ``hours``, and those of its kind.
    """

    stream: int
    kind: EventKind
    start_ms: int
    end_ms: int
    at_ms: int
    open: bool
    score: float
    amount: float
    confidence: float
    evidence: dict[str, Any] = field(default_factory=dict)
