"""Outlooks that pages have just asked for: they cost a read of the store, and a site shows many."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from kilowatch.dashboard.needs import Insights
from kilowatch.model.insight import Outlook
from kilowatch.model.points import DataPoint

KEPT_S = 60.0
"""The grain of insights is the hour: a minute later nothing else is coming."""
KEPT = 2_000


class Outlooks:
    """Keeps outlooks for a minute; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, tuple[float, Outlook | None]] = OrderedDict()

    def of(self, insights: Insights, point: DataPoint) -> Outlook | None:
        """Return what is coming at a data point; None before there is anything to tell it from.

        Raises:
            KilowatchError: 503 from the store.
        """
        now_s = time.monotonic()
        with self._lock:
            known = self._kept.get(point.series)
        if known is not None and now_s - known[0] < KEPT_S:
            return known[1]
        found = insights.outlook(point)
        with self._lock:
            self._kept[point.series] = (now_s, found)
            self._kept.move_to_end(point.series)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found
