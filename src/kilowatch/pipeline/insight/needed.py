"""What streams needed, hour by hour: what waste is told from, for those who look at an event.

Of the hours in which something was wasted it is kept beside the waste, as it was when they were
judged. Of the quiet hours around them it is read from what was learnt, where that was learnt
before they began: what a building needs is learnt several times in its first year, and an hour
was not judged by what was learnt after it.
"""

from __future__ import annotations

import threading

import numpy as np

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.calendar import grain_start_ms
from kilowatch.model.insight import Needed
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import states
from kilowatch.pipeline.insight.reader import InsightReader
from kilowatch.pipeline.insight.subjects import Subject, subject_of
from kilowatch.pipeline.insight.surroundings import Surroundings

DAY_H = 25  # the longest local day
LEAD_MS = DAY_MS
"""The temperature that counts is that of the 24 hours before."""


class Needs:
    """Tells what streams needed; thread-safe.

    Args:
        reader: What was found and learnt so far.
        surroundings: Reads temperatures and closed days, for this alone; None where there are none.
    """

    def __init__(self, reader: InsightReader, surroundings: Surroundings | None) -> None:
        self._reader = reader
        self._surroundings = surroundings
        self._lock = threading.Lock()

    def of(self, point: DataPoint, from_ms: int, to_ms: int) -> Needed:
        """Return what a stream needed in the hours that start in [from_ms, to_ms).

        Raises:
            KilowatchError: 503 from the store.
        """
        first_ms = int(grain_start_ms([from_ms], "hour", Zone.of(point.zone))[0])
        rate = np.full(max(0, -(-(to_ms - first_ms) // HOUR_MS)), np.nan)
        subject = subject_of(point)
        if subject is not None and len(rate):
            self._learnt(subject, first_ms, rate)
        self._kept(point.series, first_ms, rate)
        starts: Ints = first_ms + np.arange(len(rate), dtype=np.int64) * HOUR_MS
        known = np.isfinite(rate) & (starts >= from_ms)
        return Needed(starts[known], rate[known])

    def _kept(self, series: int, first_ms: int, rate: Floats) -> None:
        """Lay what was kept beside the waste on a grid of hours, in place."""
        rows = self._reader.rows(
            "SELECT start_ms, needs FROM waste"
            " WHERE series = ? AND start_ms > ? AND start_ms < ? AND needs IS NOT NULL",
            (series, first_ms - DAY_H * HOUR_MS, first_ms + len(rate) * HOUR_MS),
        )
        for start_ms, packed in rows:
            own = np.frombuffer(packed, np.float32).astype(np.float64)
            at = (start_ms - first_ms) // HOUR_MS + np.arange(len(own))
            inside = (at >= 0) & (at < len(rate)) & np.isfinite(own)
            rate[at[inside]] = own[inside]

    def _learnt(self, subject: Subject, first_ms: int, rate: Floats) -> None:
        """Lay what is read from what was learnt on a grid of hours, in place."""
        rows = self._reader.rows(
            "SELECT reference.packed, stream.zone, stream.cursor_ms FROM reference"
            " JOIN stream USING (series) WHERE series = ?",
            (subject.series,),
        )
        if self._surroundings is None or not rows:
            return
        ((packed, zone, cursor_ms),) = rows
        reference = states.references([packed])
        until_ms = min(first_ms + len(rate) * HOUR_MS, cursor_ms)
        begin_ms = max(first_ms, reference.to_ms)
        if until_ms <= begin_ms or reference.feeds_in.any():
            return
        with self._lock:
            self._surroundings.refresh()
            hours = self._surroundings.hours(
                [subject], Zone.of(zone), begin_ms - LEAD_MS, until_ms, until_ms
            )
        own = reference.expected(hours)[0, LEAD_MS // HOUR_MS :]
        place = (begin_ms - first_ms) // HOUR_MS
        rate[place : place + len(own)] = own
