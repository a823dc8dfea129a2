"""A batch of readings on the grids of their streams: what the interval rules work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, Ints, ReadingBlock
from kilowatch.pipeline.dials import dated_rows, dial, signature
from kilowatch.pipeline.epochs import DatedGrid, grid_of_batch
from kilowatch.pipeline.grids import KEY_BITS, BatchGrid, Bools, PointGrid, rows_in_order
from kilowatch.pipeline.registers import (
    Falls,
    Readings,
    RegisterRows,
    falls_of,
    pairs_of,
    rows_of_pairs,
)
from kilowatch.pipeline.samples import Cells, Samples


@dataclass(slots=True)
class Batch:
    """Readings with their grid, in order of effective instants; every column shape (n,).

    Attributes:
        grid: Settings of the streams.
        stream: Number of the stream of each reading, as a dial's figure.
        about: The same, as a sample: one that ends an interval is about the time before.
        at_ms: Effective instants [ms].
        seq: Log sequence numbers.
        fresh: New in this batch.
        since_ms: First start wanted, by stream, shape (streams,) [ms].
        values: Columns by channel.
        falls: Where dials fell is noted here.
    """

    grid: BatchGrid
    stream: Ints
    about: Ints
    at_ms: Ints
    seq: Ints
    fresh: Bools
    since_ms: Ints
    values: dict[int, Floats]
    falls: list[Falls]

    @staticmethod
    def of(
        readings: ReadingBlock,
        effective_ms: Ints,
        points: Mapping[int, PointGrid],
        since_ms: Mapping[int, int] | None,
        fresh: Bools | None,
    ) -> Batch:
        """Put readings in order and look up the settings; arguments as of ``intervals``."""
        if fresh is None:
            fresh = np.ones(len(readings), np.bool_)
        order = rows_in_order(readings, effective_ms)
        if order is not None:
            readings, effective_ms = readings.take(order), effective_ms[order]
            fresh = fresh[order]
        grid = grid_of_batch(readings.series, points)
        stream = grid.streams_at(grid.of_row, effective_ms)
        about = grid.streams_about(stream, effective_ms)
        if isinstance(grid, DatedGrid):
            grid.tell(effective_ms, readings.seq, fresh)
        since = [(since_ms or {}).get(key, 0) for key in grid.series.tolist()]
        return Batch(
            grid=grid,
            stream=stream,
            about=about,
            at_ms=effective_ms,
            seq=readings.seq,
            fresh=fresh,
            since_ms=np.array(since, np.int64),
            values=readings.values,
            falls=[],
        )

    def take(self, rows: Ints) -> Batch:
        """Return the batch with these readings only."""
        return Batch(
            grid=self.grid,
            stream=self.stream[rows],
            about=self.about[rows],
            at_ms=self.at_ms[rows],
            seq=self.seq[rows],
            fresh=self.fresh[rows],
            since_ms=self.since_ms,
            values={channel: column[rows] for channel, column in self.values.items()},
            falls=self.falls,
        )

    def column(self, channel: int) -> Floats:
        """Return a channel's values; NaN throughout where no packet carries it."""
        found = self.values.get(channel)
        return np.full(len(self.stream), np.nan) if found is None else found

    def carried(self, channels: tuple[int, ...]) -> list[int]:
        """Return those of the channels that at least one packet carries."""
        return [
            channel
            for channel in channels
            if channel in self.values and not np.isnan(self.values[channel]).all()
        ]

    def samples(self) -> tuple[Batch, Samples]:
        """Return the readings of the intervals that are wanted, and their grouping."""
        groups = Samples.of(self.grid, self.about, self.at_ms, self.seq)
        wanted = groups.start_ms >= self.since_ms[groups.stream]
        wanted &= groups.largest(self.fresh)
        if wanted.all():
            return self, groups
        return self.take(groups.rows(wanted)), groups.take(wanted)


def rows_of_registers(
    batch: Batch, channels: list[int], scale: Floats | None = None
) -> list[tuple[list[int], RegisterRows]]:
    """Compute register rows, channels that the same packets carry together.

    Args:
        batch: Readings of streams with registers.
        channels: Which of them.
        scale: In place of a dated grid's own factors, shape (streams,).
    """
    grid = batch.grid
    alike: dict[object, list[int]] = {}
    for channel in channels:
        known = ~np.isnan(batch.values[channel])
        story = signature(grid, channel) if isinstance(grid, DatedGrid) else ()
        alike.setdefault((known.tobytes(), story), []).append(channel)
    found = []
    for together in alike.values():
        rows = np.flatnonzero(~np.isnan(batch.values[together[0]]))
        if not len(rows):
            continue
        stream = batch.stream[rows]
        readings = Readings(
            stream=stream,
            at_ms=batch.at_ms[rows],
            seq=batch.seq[rows],
            fresh=batch.fresh[rows],
            values=np.stack([batch.values[channel][rows] for channel in together]),
            width=grid.register_max[stream],
            factor=grid.factor[stream],
        )
        if isinstance(grid, DatedGrid):
            some = dial(readings, together, grid)
            readings, ends = some.readings, some.ends
            made, pairs = dated_rows(some, grid, grid.scale if scale is None else scale)
            pairs.fell &= ~some.unheard[pairs.first]
        else:
            pairs, ends = pairs_of(readings, grid), readings.values
            made = rows_of_pairs(readings, pairs, grid)
        if pairs.fell.any() and scale is None:
            batch.falls.append(falls_of(readings, ends, pairs, together, grid))
        found.append((together, made))
    return found


def register_cells(batch: Batch, channels: list[int], rows: RegisterRows) -> Cells:
    """Return the register rows that are wanted, as cells of the given channels."""
    stream, start_ms = rows.key >> KEY_BITS, rows.key & ((1 << KEY_BITS) - 1)
    wanted = rows.fresh & (start_ms >= batch.since_ms[stream])
    return Cells(
        channels=channels,
        present=rows.present & wanted,
        stream=stream,
        start_ms=start_ms,
        end_ms=batch.grid.buckets(start_ms, stream).end_ms,
        version=rows.version,
        figures={
            "count": rows.count,
            "mean": np.nan,
            "low": np.nan,
            "high": np.nan,
            "amount": rows.amount,
            "unallocated": rows.unallocated,
            "covered_ms": rows.covered_ms,
            "quality": rows.quality,
        },
    )
