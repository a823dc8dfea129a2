"""One channel's intervals of a stretch of time, holes included: what estimates are written into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.model.blocks import COLUMNS, FLOAT_COLUMNS, IntervalBlock, Ints, Quality
from kilowatch.pipeline.grids import Bools


@dataclass(slots=True)
class Slots:
    """Every interval that starts in [from_ms, to_ms), shape (k,) each.

    A slot without a row has no count, no covered time, and figures that are not known.

    Attributes:
        rows: The slots as interval rows, in order of time.
        present: Which of them are rows; the others are holes.
    """

    rows: IntervalBlock
    present: Bools

    @staticmethod
    def of(rows: IntervalBlock, from_ms: int, to_ms: int, edges: tuple[Ints, Ints]) -> Slots:
        """Lay rows of one channel, sorted by start, out on the grid.

        Args:
            rows: At least those that start in the stretch.
            from_ms: First start [ms].
            to_ms: First start that is not wanted [ms].
            edges: Starts and ends of the grid's intervals that touch the stretch [ms].
        """
        inside = rows.take((rows.start_ms >= from_ms) & (rows.start_ms < to_ms))
        start_ms, end_ms = edges
        # Rows stay as long as they are, also those of a grid that the data point had before.
        free = (start_ms >= from_ms) & (start_ms < to_ms)
        before = np.searchsorted(rows.start_ms, end_ms) - 1
        if len(rows):
            row_end_ms = (rows.start_ms + rows.duration_ms)[np.maximum(before, 0)]
            free &= (before < 0) | (row_end_ms <= start_ms)
        start_ms, end_ms = start_ms[free], end_ms[free]
        columns: dict[str, Any] = {}
        for name in COLUMNS:
            unknown: float = np.nan if name in FLOAT_COLUMNS else 0
            columns[name] = np.full(len(start_ms), unknown, getattr(rows, name).dtype)
        columns["start_ms"], columns["duration_ms"] = start_ms, end_ms - start_ms
        together = IntervalBlock.concatenate([inside, IntervalBlock(**columns)])
        present = np.arange(len(together)) < len(inside)
        order = np.argsort(together.start_ms, kind="stable")
        return Slots(together.take(order), present[order])

    def __len__(self) -> int:
        return len(self.present)

    @property
    def uncovered_ms(self) -> Ints:
        """How much of each slot nothing is known about, shape (k,) [ms].

        The total over phases of which one is silent counts as known: its amount is what the
        others counted, and nobody can say how much of it is missing.
        """
        rows = self.rows
        rest = np.maximum(rows.duration_ms - rows.covered_ms, 0)
        known = (rows.covered_ms == 0) & ~(np.isnan(rows.amount) & np.isnan(rows.mean))
        return np.where(known, 0, rest)

    def cover(self, changed: Bools, quality: Quality) -> None:
        """Mark slots as known throughout, of this quality or a worse one that they had."""
        rows = self.rows
        rows.covered_ms[changed] = rows.duration_ms[changed]
        worse = np.maximum(rows.quality, quality)
        rows.quality[changed] = worse[changed]
        self.present = self.present | changed

    def block(self, series: int, channel: int) -> IntervalBlock:
        """Return the slots that are rows."""
        self.rows.series[:], self.rows.channel[:] = series, channel
        return self.rows.take(self.present)
