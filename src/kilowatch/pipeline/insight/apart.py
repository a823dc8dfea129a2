"""Streams that can't be looked at, kept apart so that all others go on.

A step looks at many streams together. Where one has data that nobody thought of, the step fails
as a whole: its streams are then looked at one by one, and whichever still fails waits, longer
each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from kilowatch.pipeline.insight.subjects import Subject

logger = structlog.get_logger("insights")

OF_A_STREAM = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What the data of a stream can bring about. A store, disk or memory that fails concerns all."""
WAIT_S, WAIT_S_MAX = 60.0, 3_600.0


@dataclass(slots=True)
class _Waiting:
    stream_id: str
    reason: str
    wait_s: float
    until_s: float


class Apart:
    """Which streams are looked at alone, and which wait.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._alone: set[int] = set()
        self._waiting: dict[int, _Waiting] = {}

    def is_alone(self, series: int) -> bool:
        """Tell whether a stream is looked at without others."""
        return series in self._alone

    def waits(self, series: int) -> bool:
        """Tell whether a stream is left out for now."""
        one = self._waiting.get(series)
        return one is not None and self._clock() < one.until_s

    def failed(self, subjects: Sequence[Subject], error: Exception) -> None:
        """Note that streams could not be looked at together, or one not even alone."""
        reason = str(error) or type(error).__name__
        streams = [one.point.stream_id for one in subjects]
        logger.error("insights.failed", streams=streams[:20], exc_info=error)
        if len(subjects) > 1:
            self._alone.update(one.series for one in subjects)
            return
        (series, stream_id) = subjects[0].series, streams[0]
        before = self._waiting.get(series)
        wait_s = WAIT_S if before is None else min(2 * before.wait_s, WAIT_S_MAX)
        self._waiting[series] = _Waiting(stream_id, reason, wait_s, self._clock() + wait_s)

    def went_well(self, subjects: Sequence[Subject]) -> None:
        """Let streams be looked at with others again."""
        for one in subjects:
            self._alone.discard(one.series)
            self._waiting.pop(one.series, None)

    @property
    def fault(self) -> str:
        """What is the matter, for the operator; empty when nothing is."""
        if not self._waiting:
            return ""
        first = next(iter(self._waiting.values()))
        more = len(self._waiting) - 1
        others = f" and {more} more" if more else ""
        return f"those of {first.stream_id!r}{others} alone, {first.reason}"
