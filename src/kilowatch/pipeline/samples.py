"""Samples: powers, voltages, temperatures and amounts, aggregated by interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints, Quality
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.grids import BatchGrid, Bools


def finite(figures: Floats) -> Floats:
    """Return figures with NaN for infinity: a sum that no double can hold is not known.

    A packet may carry 1e308, three phases of which have no sum; a page must survive that.
    """
    return np.where(np.isinf(figures), np.nan, figures)


@dataclass(slots=True)
class Cells:
    """Interval rows before they are laid out: one column an interval, one row a channel.

    Attributes:
        channels: Channel codes, c of them.
        present: Which cells become interval rows, shape (c, g).
        stream: Number of the stream of each interval, shape (g,).
        start_ms: Start of each interval, shape (g,) [ms].
        end_ms: End of each interval, shape (g,) [ms].
        version: Largest sequence number, shape (g,).
        figures: The other columns of ``IntervalBlock`` by name, each of a shape that
            broadcasts to (c, g).
    """

    channels: list[int]
    present: Bools
    stream: Ints
    start_ms: Ints
    end_ms: Ints
    version: Ints
    figures: dict[str, Any]

    def block(self, series: Ints) -> IntervalBlock:
        """Lay out the present cells as interval rows; ``series`` holds the keys of streams."""
        shape = self.present.shape
        everything = bool(self.present.all())

        def column(figures: Any) -> Any:
            wide = np.broadcast_to(figures, shape)
            flat = wide.reshape(-1) if everything else wide[self.present]
            return finite(flat) if flat.dtype == np.float64 else flat

        return IntervalBlock(
            series=column(series[self.stream]),
            channel=column(np.array(self.channels, np.int64)[:, None]),
            start_ms=column(self.start_ms),
            duration_ms=column(self.end_ms - self.start_ms),
            version=column(self.version),
            **{name: column(figures) for name, figures in self.figures.items()},
        )


@dataclass(slots=True)
class Samples:
    """The readings of a batch, grouped by the interval that each belongs to.

    Attributes:
        stream: Number of the stream of each group, shape (g,).
        start_ms: Start of the interval, shape (g,) [ms].
        end_ms: End of the interval, shape (g,) [ms].
        version: Largest sequence number, shape (g,).
        first: First reading of each group, shape (g,).
        size: How many readings each group has, shape (g,).
    """

    stream: Ints
    start_ms: Ints
    end_ms: Ints
    version: Ints
    first: Ints
    size: Ints

    @staticmethod
    def of(grid: BatchGrid, stream: Ints, at_ms: Ints, seq: Ints) -> Samples:
        """Group readings, shape (n,), that are sorted by stream and effective instant."""
        where = grid.buckets(grid.sampled_ms(at_ms, stream), stream)
        change = (stream[1:] != stream[:-1]) | (where.start_ms[1:] != where.start_ms[:-1])
        first = np.flatnonzero(np.concatenate([[True], change]))
        return Samples(
            stream=stream[first],
            start_ms=where.start_ms[first],
            end_ms=where.end_ms[first],
            version=np.maximum.reduceat(seq, first),
            first=first,
            size=np.diff(first, append=len(stream)),
        )

    def rows(self, groups: Bools) -> Ints:
        """Return the readings of the groups that a mask of shape (g,) selects."""
        return np.flatnonzero(np.repeat(groups, self.size))

    def take(self, groups: Bools) -> Samples:
        """Return some of the groups, over the readings that ``rows`` returns for them."""
        size = self.size[groups]
        return Samples(
            stream=self.stream[groups],
            start_ms=self.start_ms[groups],
            end_ms=self.end_ms[groups],
            version=self.version[groups],
            first=np.cumsum(size) - size,
            size=size,
        )

    @property
    def duration_ms(self) -> Ints:
        """Length of each interval, shape (g,) [ms]."""
        return self.end_ms - self.start_ms

    @property
    def hours(self) -> Floats:
        """Length of each interval, shape (g,) [h]."""
        return self.duration_ms / HOUR_MS

    def largest(self, figures: Any) -> Any:
        """Return the largest of each group, shape (…, g); NaN only where all are NaN."""
        return self._each(np.fmax, figures)

    def smallest(self, figures: Any) -> Any:
        """Return the smallest of each group, shape (…, g); NaN only where all are NaN."""
        return self._each(np.fmin, figures)

    def count(self, figures: Floats) -> Ints:
        """Return how many of each group are not NaN, shape (…, g)."""
        counted: Ints = self._each(np.add, (~np.isnan(figures)).astype(np.int64))
        return counted

    def total(self, figures: Floats) -> Floats:
        """Return the sum of each group; NaN counts as nothing, and none at all is 0."""
        added: Floats = self._each(np.add, np.where(np.isnan(figures), 0.0, figures))
        return added

    def mean(self, figures: Floats) -> Floats:
        """Return the mean of each group; NaN where nothing is known."""
        count = self.count(figures)
        return np.where(count > 0, self.total(figures) / np.maximum(count, 1), np.nan)

    def _each(self, combine: np.ufunc, figures: Any) -> Any:
        if len(self.first) == figures.shape[-1]:
            return figures  # one reading an interval
        return combine.reduceat(figures, self.first, axis=-1)

    def cells(self, channels: list[int], count: Ints, **figures: Any) -> Cells:
        """Return the cells of channels that have samples.

        Args:
            channels: Channel codes, c of them.
            count: Samples, shape (c, g); an interval with none has no row.
            figures: Columns that differ from "nothing known"; see ``Cells.figures``.
        """
        unknown = dict.fromkeys(("mean", "low", "high", "amount", "unallocated"), np.nan)
        known = {"count": count, "covered_ms": self.duration_ms, "quality": int(Quality.VALID)}
        return Cells(
            channels=channels,
            present=count > 0,
            stream=self.stream,
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            version=self.version,
            figures=unknown | known | figures,
        )
