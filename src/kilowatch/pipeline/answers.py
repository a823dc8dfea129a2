"""What the view answers about a stream, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kilowatch.model.findings import Finding

Grain = Literal["interval", "hour", "day", "week", "month", "year"] | int
"""``interval`` is the data point's own; a number is seconds."""


@dataclass(frozen=True, slots=True)
class Extent:
    """From when to when a stream has data.

    Attributes:
        first_ms: Effective instant of the first reading [ms since 1970, UTC].
        last_ms: Effective instant of the last reading [ms since 1970, UTC].
        packets: Readings with distinct instants.
    """

    first_ms: int
    last_ms: int
    packets: int


@dataclass(frozen=True, slots=True)
class LastValue:
    """What a stream said last.

    Attributes:
        at_ms: Effective instant of the packet [ms since 1970, UTC].
        channel: Which quantity is shown.
        value: Its value as pushed, phases summed [``unit``].
        unit: Unit as pushed.
    """

    at_ms: int
    channel: int
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How far readers are behind what was acknowledged.

    Attributes:
        packets: In the log and not visible yet.
        seconds: Age of the oldest of them [s].
        fault: Why the pipeline does not go on, or an empty string.
    """

    packets: int
    seconds: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PointStatus:
    """What the pipeline has found out about a stream.

    Attributes:
        series: The stream.
        generation: Of its interval grid; rises when its history was computed again.
        clock: How its instants are read now: ``offset``, ``wall`` or ``undecided``.
        clock_reason: Why, in one sentence.
        observed_interval_s: Median of the last distances [s]; None until three packets.
        interval_s: As registered [s].
        interval_matches: False when another interval should be offered.
        join_interval_s: Points in a chart that lie no further apart are joined by a line [s]:
            the registered interval, or a longer one that packets keep to.
        ignored: Names that are not in the contract, with how many packets carried them.
        findings: What a person should know.
        recomputing: Share of the history computed again so far, 0 to 1; None if none is due.
        first_ms: Effective instant of the first reading; None before it.
        last_ms: Effective instant of the last reading; None before the first.
        packets: Readings with distinct instants.
    """

    series: int
    generation: int
    clock: str
    clock_reason: str
    observed_interval_s: float | None
    interval_s: int
    interval_matches: bool
    join_interval_s: int
    ignored: dict[str, int]
    findings: tuple[Finding, ...]
    recomputing: float | None
    first_ms: int | None
    last_ms: int | None
    packets: int
