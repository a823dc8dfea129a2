"""What insights are given besides measurements, how they follow, and how far behind they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kilowatch.model.insight import InsightEvent
from kilowatch.pipeline.insight.electrics import LimitsSet
from kilowatch.pipeline.insight.subjects import Subject
from kilowatch.pipeline.insight.surroundings import FactsNow, Faults


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How insights follow.

    Attributes:
        tick_s: Between two looks at who is due [s].
        slice_s: Longest work before looking again, so that live hours do not wait for
            history [s].
        streams: Most streams that are looked at together.
        retry_s_max: Longest wait after a failure [s].
        train_again_s: Least time between two trainings; infinite for none at all [s].
        clock: Seconds that never go back.
        wall_ms: The clock on the wall [ms since 1970, UTC].
    """

    tick_s: float = 5.0
    slice_s: float = 2.0
    streams: int = 256
    retry_s_max: float = 60.0
    train_again_s: float = 3_600.0
    clock: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What insights know besides measurements; each is asked for as it is now.

    Attributes:
        facts: Facts of sites by number; the same object while nothing changed.
        above: Of a site's streams, the stream that feeds each one.
        expects: Whether somebody has said that an event is to be expected.
        faults: Which hours of some streams somebody has called faulty; None where nobody can.
        limits: What people have set of a data point's nominal voltage and limits, at an instant.
    """

    facts: FactsNow = dict
    above: Callable[[int], Mapping[int, int | None]] = lambda _site: {}
    expects: Callable[[InsightEvent, Subject], bool] = lambda _event, _subject: False
    faults: Faults | None = None
    limits: LimitsSet = lambda _subject, _at_ms: {}


@dataclass(frozen=True, slots=True)
class Backlog:
    """How far insights are behind.

    Attributes:
        streams: Streams with hours that are due.
        hours: Those hours, summed over streams.
        looked_at: Hours looked at since the start, summed over streams.
        training: Whether a model is being trained.
        training_fault: Why the last one could not be, or an empty string.
        fault: Why insights do not go on, or an empty string.
        starting: Whether nobody has counted yet: a server that has just started.
    """

    streams: int = 0
    hours: int = 0
    looked_at: int = 0
    training: bool = False
    training_fault: str = ""
    fault: str = ""
    starting: bool = False
