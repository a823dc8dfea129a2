"""Interval rows as they were computed, before anybody edited them: from the store and the tail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.pipeline.frames import Spans
from kilowatch.pipeline.hot import HotView
from kilowatch.pipeline.streams import Streams
from kilowatch.store.newest import newest_intervals
from kilowatch.store.store import Reads

Other = Callable[[int, int, int], IntervalBlock]
"""Rows of one stream in [from_ms, to_ms) [ms], all channels: what a sister meter counted."""


def computed_rows(
    reads: Reads,
    hot: HotView,
    generations: Mapping[int, int],
    channels: Collection[int] | None,
    spans: Spans,
) -> IntervalBlock:
    """Return rows of some streams, each in its own span, sorted by series, channel and start.

    Args:
        reads: The store.
        hot: The tail, taken before.
        generations: By series.
        channels: Which; None is all.
        spans: By series, where.
    """
    spans = {series: span for series, span in spans.items() if span[0] < span[1]}
    if not spans:
        return IntervalBlock.empty()
    asked = {series: generations[series] for series in spans}
    from_ms = {series: span[0] for series, span in spans.items()}
    to_ms = {series: span[1] for series, span in spans.items()}
    tail = hot.intervals(asked, channels, min(from_ms.values()), max(to_ms.values()))
    chosen = None if channels is None else list(channels)
    stored = reads.intervals(asked, chosen, from_ms, to_ms)
    return newest_intervals(IntervalBlock.concatenate([stored, within(tail, spans)]))


def within(rows: IntervalBlock, spans: Spans) -> IntervalBlock:
    """Return the rows that start in the span of their stream."""
    series = np.array(sorted(spans), np.int64)
    bounds = np.array([spans[one] for one in series.tolist()], np.int64).reshape(-1, 2)
    own = bounds[np.searchsorted(series, rows.series)]
    mine = (rows.start_ms >= own[:, 0]) & (rows.start_ms < own[:, 1])
    return rows if mine.all() else rows.take(mine)


def other_rows(streams: Streams, reads: Reads) -> Other:
    """Return what reads another stream's rows at its present generation."""

    def read(series: int, from_ms: int, to_ms: int) -> IntervalBlock:
        def generation() -> int | None:
            state = streams.states.get(series)
            return None if state is None else state.progress.generation

        present, hot = streams.hot.snapshot(generation)
        if present is None:
            return IntervalBlock.empty()
        return computed_rows(reads, hot, {series: present}, None, {series: (from_ms, to_ms)})

    return read


def no_other(_series: int, _from_ms: int, _to_ms: int) -> IntervalBlock:
    """Return nothing: where no estimate rests on a sister meter."""
    return IntervalBlock.empty()
