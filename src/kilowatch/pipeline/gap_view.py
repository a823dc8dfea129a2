"""The part of the view that answers for gaps: from memory, also for ten thousand data points."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kilowatch.model.gaps import Gap, GapDay, PointGaps
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.pipeline.gaps import Missing, covered_ms, days_of, gaps_of, missing_of, totals_of
from kilowatch.pipeline.streams import Streams


class GapView:
    """Reads gaps; those that last end now.

    Args:
        streams: What the consumer shows.
        now: Seconds since 1970.
        silences: Returns the silences that last: their gaps have no end yet.
    """

    def __init__(
        self, streams: Streams, now: Callable[[], float], silences: Callable[[], list[Silence]]
    ) -> None:
        self._streams = streams
        self._now = now
        self._silences = silences

    def gaps(self, point: DataPoint, from_ms: int, to_ms: int) -> list[Gap]:
        """Return a data point's gaps that touch [from_ms, to_ms), sorted; the last may be open."""
        return self.gaps_many([point], from_ms, to_ms).get(point.series, [])

    def gaps_many(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> dict[int, list[Gap]]:
        """Return the same for several data points, by series; those without a gap are left out."""
        gaps = self._streams.gaps
        found = {p.series: gaps_of(p, gaps.of(p.series), from_ms, to_ms) for p in points}
        now_ms = round(self._now() * 1000)
        for series, (row, silent_ms) in self._open_gaps(points, now_ms).items():
            if row[0] < to_ms and now_ms > from_ms:
                found[series].append(Gap(series, row[0], None, row[2], row[3], silent_ms))
        return {series: some for series, some in found.items() if some}

    def gap_days(self, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> list[GapDay]:
        """Return, for each local day with a gap in [from_ms, to_ms), what is missing; sorted.

        From memory: 10,000 data points over a year take a fraction of a second.
        """
        return days_of(points, self._missing(points), from_ms, to_ms)

    def gap_totals(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> dict[int, PointGaps]:
        """Return, by series, what each data point with a gap misses in [from_ms, to_ms)."""
        return totals_of(points, self._missing(points), from_ms, to_ms)

    def _missing(self, points: Sequence[DataPoint]) -> Missing:
        gaps = self._streams.gaps
        still = self._open_gaps(points, round(self._now() * 1000))
        rows = [
            np.concatenate([gaps.of(point.series), [still[point.series][0]]])
            if point.series in still
            else gaps.of(point.series)
            for point in points
        ]
        return missing_of(points, rows)

    def _open_gaps(
        self, points: Sequence[DataPoint], now_ms: int
    ) -> dict[int, tuple[list[int], int]]:
        """Return the gap of each silence that lasts, as if it ended now, and where that began."""
        asked = {point.series: point for point in points}
        found: dict[int, tuple[list[int], int]] = {}
        for silence in self._silences():
            point, state = asked.get(silence.series), self._streams.states.get(silence.series)
            if point is None:
                continue
            # History that was put in meanwhile ends no silence, but it is data.
            known_ms = None if state is None else state.progress.last_ms
            last_ms = max(silence.last_ms, known_ms or 0)
            if last_ms < now_ms:
                missing_ms = max(now_ms - last_ms - covered_ms(point), 0)
                found[silence.series] = ([last_ms, now_ms, 1, missing_ms], silence.last_ms)
        return found
