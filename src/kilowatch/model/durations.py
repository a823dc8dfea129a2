"""How long something took, counted in classes: what a histogram of Prometheus is made of."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes [s]: from a fast commit to the longest query."""


class Durations:
    """Counts durations by class; any thread may note one.

    Args:
        bounds_s: Upper bounds of the classes, rising [s]; longer ones have a class of their own.

    Example:
        >>> took = Durations((0.01, 1.0))
        >>> took.note(0.004)
        >>> took.note(3.0)
        >>> took.told()
        {'bounds_s': [0.01, 1.0], 'counts': [1, 0, 1], 'sum_s': 3.004}
    """

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0
        self._lock = threading.Lock()

    def note(self, seconds: float, count: int = 1) -> None:
        """Count something that took so long, or several that did [s]."""
        place = bisect_left(self._bounds_s, seconds)
        with self._lock:
            self._counts[place] += count
            self._sum_s += seconds * count

    def note_ms(self, times: Mapping[int, int]) -> None:
        """Count many at once: how many took so many whole milliseconds."""
        for milliseconds, count in times.items():
            self.note(max(0, milliseconds) / 1000, count)

    def told(self) -> dict[str, Any]:
        """Return bounds, counts by class and the sum, ready for JSON."""
        with self._lock:
            return {
                "bounds_s": list(self._bounds_s),
                "counts": list(self._counts),
                "sum_s": self._sum_s,
            }
