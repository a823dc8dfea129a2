"""What the pipeline counts about itself, for metrics; nothing in it depends on these numbers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kilowatch.model.durations import Durations


@dataclass(slots=True)
class Meters:
    """Counts since the start; the pipeline's threads write, anybody reads.

    Attributes:
        readings: Readings written to the store.
        intervals: Interval rows written to the store.
        flushes: How long writing took, roll-ups and cursor included.
        flushes_failed: Writes that failed and were tried again.
        recomputed: Streams whose history was computed again.
        recomputations_failed: Those that failed.
        turned_s: When the loop last went round, on the clock that never goes back [s].
    """

    readings: int = 0
    intervals: int = 0
    flushes: Durations = field(default_factory=Durations)
    flushes_failed: int = 0
    recomputed: int = 0
    recomputations_failed: int = 0
    turned_s: float = field(default_factory=time.monotonic)

    def turn_age_s(self) -> float:
        """Return how long ago the loop last went round [s]."""
        return time.monotonic() - self.turned_s
