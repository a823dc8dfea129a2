"""The part of the view that answers for intervals and their roll-ups: store and hot tail as one."""

from __future__ import annotations

from collections.abc import Sequence

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.answers import Grain
from kilowatch.pipeline.computed import Other, other_rows
from kilowatch.pipeline.cutting import cut_rows
from kilowatch.pipeline.figures import Shown, Span, figures
from kilowatch.pipeline.formula_view import as_seen, asked_of_rows
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.reading_view import ReadingsView
from kilowatch.pipeline.showing import shown_of, trusted


class BucketView(ReadingsView):
    """Reads buckets of one data point or many."""

    def series(
        self, point: DataPoint, channels: Sequence[int], from_ms: int, to_ms: int, grain: Grain
    ) -> IntervalBlock:
        """Return a data point's buckets that start in [from_ms, to_ms).

        Args:
            point: The data point.
            channels: Channel codes.
            from_ms: First start [ms since 1970, UTC].
            to_ms: First start that is not wanted [ms since 1970, UTC].
            grain: ``interval``, ``hour`` … ``year`` or seconds; one that is shorter than the
                data point's interval gives the intervals.

        Returns:
            Rows sorted by channel and start, canonical units; a hole has no row.

        Raises:
            KilowatchError: 400 ``bad_grain``; 503 ``store_busy`` or ``store_failed``.
        """
        return self.series_many([point], channels, from_ms, to_ms, grain)

    def series_many(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock:
        """Return the same for several data points at once, sorted by series first."""
        return as_seen(self._rows(points, channels, from_ms, to_ms, grain), points)

    def to_average(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain = "day",
    ) -> IntervalBlock:
        """Return what ``series_many`` does, for ``rollups.mean_of`` over any of the rows.

        A formula that is a quotient has its rows with what is divided and what it is divided by,
        which pages do not see (``RATIO``): its mean over a month divides sums, too.

        Args:
            points: The data points.
            channels: Channel codes.
            from_ms: First start [ms since 1970, UTC].
            to_ms: First start that is not wanted [ms since 1970, UTC].
            grain: As of ``series``.

        Raises:
            KilowatchError: 503 from the store.
        """
        return self._rows(points, channels, from_ms, to_ms, grain)

    def _rows(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock:
        shown, hot = self._look(points)
        span = Span(asked_of_rows(channels, points), from_ms, to_ms, grain)
        return figures(self._streams.store.pages, hot, shown, span, self._other())

    def cut_many(
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Bucket,
    ) -> IntervalBlock:
        """Return buckets of whole days, the first and the last of them cut to these.

        Args:
            points: Of one time zone.
            channels: Channel codes.
            from_ms: Start of the first day [ms since 1970, UTC].
            to_ms: End of the last one [ms since 1970, UTC].
            grain: Of a day or longer.

        Raises:
            KilowatchError: 503 from the store.
        """
        found = cut_rows(
            lambda each: self.to_average(points, channels, from_ms, to_ms, each),
            (from_ms, to_ms),
            grain,
            Zone.of(points[0].zone),
        )
        return as_seen(found, points)

    def _other(self) -> Other:
        return other_rows(self._streams, self._streams.store.pages)

    def _look(self, points: Sequence[DataPoint]) -> tuple[dict[int, Shown], HotView]:
        def now() -> dict[int, Shown]:
            states = self._streams.states
            return {
                point.series: shown_of(state)
                for point in points
                if (state := states.get(point.series)) is not None
                and state.progress.settings is not None
            }

        shown, hot = self._streams.hot.snapshot(now)
        first_ms = hot.first_starts(shown)
        return {key: trusted(one, first_ms.get(key)) for key, one in shown.items()}, hot
