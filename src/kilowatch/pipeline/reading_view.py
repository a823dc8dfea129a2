"""The part of the view that answers for readings as they were pushed: store and hot tail as one."""

from __future__ import annotations

from collections.abc import Sequence

from kilowatch.model.blocks import ReadingBlock
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.gap_view import GapView
from kilowatch.store.newest import newest_readings


class ReadingsView(GapView):
    """Reads readings; the tail is taken first, and the store asked afterwards."""

    def readings(
        self, point: DataPoint, from_ms: int, to_ms: int, limit: int = 1000
    ) -> ReadingBlock:
        """Return readings as pushed for instants in [from_ms, to_ms), the first ``limit``."""
        _, hot = self._streams.hot.snapshot(lambda: None)
        reads = self._streams.store.pages
        stored = reads.first_readings(point.series, from_ms, to_ms, limit)
        parts = [stored, *hot.readings(point.series, from_ms, to_ms)]
        return newest_readings(ReadingBlock.concatenate(parts)).take(slice(limit))

    def readings_many(self, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> ReadingBlock:
        """Return all readings of several data points pushed for instants in [from_ms, to_ms).

        Args:
            points: Some hundreds, or the query gets too long.
            from_ms: First pushed instant [ms since 1970, UTC].
            to_ms: First that is not wanted [ms since 1970, UTC].

        Returns:
            Rows sorted by series and instant.

        Raises:
            KilowatchError: 503 ``store_busy``: too many for one query.
        """
        if not points:
            return ReadingBlock.empty()
        _, hot = self._streams.hot.snapshot(lambda: None)
        series = [point.series for point in points]
        single = all(point.kind == "single" for point in points)
        parts = [self._streams.store.pages.readings(series, from_ms, to_ms, single=single)]
        parts += [one for key in series for one in hot.readings(key, from_ms, to_ms)]
        return newest_readings(ReadingBlock.concatenate(parts))

    def versions(self, points: Sequence[DataPoint]) -> list[tuple[object, ...]]:
        """Return what differs as soon as a figure of a data point may; from memory.

        What people set (corrections, rules) is in the catalogue's revision, not here.
        """
        found: list[tuple[object, ...]] = []
        for point in points:
            state = self._streams.states.get(point.series)
            if state is not None:
                progress = state.progress
                under_way = self._streams.recomputing.get(point.series)
                settings = repr(progress.settings)
                seen = (state.seq, state.packets, state.late_seq, progress.generation)
                found.append((point.series, *seen, settings, under_way))
        return found
