"""Samples: powers, voltages, temperatures and amounts, aggregated by interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.pipeline.grids import BatchGrid, Bools


@dataclass(slots=True)
class Cells:
    """Interval rows before they are laid out: one column an interval, one row a channel.

    Attributes:
        channels: Channel codes, shape (c,).
        present: Which cells become interval rows, shape (c, g).
        stream: Number of the stream of each interval, shape (g,).
        start_ms: Start of each interval, shape (g,) [ms].
        end_ms: End of each interval, shape (g,) [ms].
        version: Largest sequence number, shape (g,).
        figures: The other columns of ``IntervalBlock`` by name, each of a shape that
            broadcasts to (c, g).
    """

    channels: Ints
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
            return wide.reshape(-1) if everything else wide[self.present]

        return IntervalBlock(
            series=column(series[self.stream]),
            channel=column(self.channels[:, None]),
            start_ms=column(self.start_ms),
            duration_ms=column(self.end_ms - self.start_ms),
            version=column(self.version),
            **{name: column(figures) for name, figures in self.figures.items()},
        )


class Samples:
    """The readings of a batch, grouped by the interval that each belongs to.

    Attributes:
        stream: Number of the stream of each group, shape (g,).
        start_ms: Start of the interval, shape (g,) [ms].
        end_ms: End of the interval, shape (g,) [ms].
        version: Largest sequence number, shape (g,).
    """

    def __init__(self, grid: BatchGrid, stream: Ints, at_ms: Ints, seq: Ints) -> None:
        where = grid.buckets(grid.sampled_ms(at_ms, stream), stream)
        change = (stream[1:] != stream[:-1]) | (where.start_ms[1:] != where.start_ms[:-1])
        self._first = np.flatnonzero(np.concatenate([[True], change]))
        self._alone = len(self._first) == len(stream)
        self.stream = stream[self._first]
        self.start_ms = where.start_ms[self._first]
        self.end_ms = where.end_ms[self._first]
        self.version = self.largest(seq)

    @property
    def duration_ms(self) -> Ints:
        """Length of each interval, shape (g,) [ms]."""
        return self.end_ms - self.start_ms

    @property
    def hours(self) -> Floats:
        """Length of each interval, shape (g,) [h]."""
        return self.duration_ms / 3_600_000

    def largest(self, figures: np.ndarray) -> np.ndarray:
        """Return the largest of each group; NaN only where all are NaN."""
        return figures if self._alone else np.fmax.reduceat(figures, self._first, axis=-1)

    def smallest(self, figures: np.ndarray) -> np.ndarray:
        """Return the smallest of each group; NaN only where all are NaN."""
        return figures if self._alone else np.fmin.reduceat(figures, self._first, axis=-1)

    def count(self, figures: np.ndarray) -> Ints:
        """Return how many of each group are not NaN, shape (…, g)."""
        known = (~np.isnan(figures)).astype(np.int64)
        return known if self._alone else np.add.reduceat(known, self._first, axis=-1)

    def total(self, figures: np.ndarray) -> np.ndarray:
        """Return the sum of each group; NaN counts as nothing, and none at all is 0."""
        known = np.where(np.isnan(figures), 0.0, figures)
        return known if self._alone else np.add.reduceat(known, self._first, axis=-1)

    def mean(self, figures: np.ndarray) -> np.ndarray:
        """Return the mean of each group; NaN where nothing is known."""
        count = self.count(figures)
        return np.where(count > 0, self.total(figures) / np.maximum(count, 1), np.nan)

    def cells(
        self,
        channels: Ints,
        count: Ints,
        chosen: Bools,
        **figures: Any,
    ) -> Cells:
        """Return the cells of channels that have samples in chosen intervals.

        Args:
            channels: Channel codes, shape (c,).
            count: Samples, shape (c, g).
            chosen: Intervals wanted, shape (g,).
            figures: Columns that differ from "nothing known"; see ``Cells.figures``.
        """
        columns: dict[str, Any] = {
            "mean": np.nan,
            "low": np.nan,
            "high": np.nan,
            "amount": np.nan,
            "unallocated": np.nan,
            "covered_ms": self.duration_ms,
            "quality": 0,
        }
        columns |= {"count": count, **figures}
        return Cells(
            channels=channels,
            present=(count > 0) & chosen,
            stream=self.stream,
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            version=self.version,
            figures=columns,
        )
