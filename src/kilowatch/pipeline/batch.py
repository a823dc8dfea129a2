"""A batch of readings on the grids of their streams: what the interval rules work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, Ints, ReadingBlock
from kilowatch.pipeline.grids import KEY_BITS, BatchGrid, Bools, PointGrid, rows_in_order
from kilowatch.pipeline.registers import Readings, RegisterRows, register_rows
from kilowatch.pipeline.samples import Cells, Samples


@dataclass(slots=True)
class Batch:
    """Readings with their grid, in order of effective instants; every column shape (n,)."""

    grid: BatchGrid
    stream: Ints
    at_ms: Ints
    seq: Ints
    fresh: Bools
    since_ms: Ints
    values: dict[int, Floats]

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
        grid = BatchGrid(readings.series, points)
        since = [(since_ms or {}).get(key, 0) for key in grid.series.tolist()]
        return Batch(
            grid=grid,
            stream=grid.of_row,
            at_ms=effective_ms,
            seq=readings.seq,
            fresh=fresh,
            since_ms=np.array(since, np.int64),
            values=readings.values,
        )

    def take(self, rows: Ints) -> Batch:
        """Return the batch with these readings only."""
        return Batch(
            grid=self.grid,
            stream=self.stream[rows],
            at_ms=self.at_ms[rows],
            seq=self.seq[rows],
            fresh=self.fresh[rows],
            since_ms=self.since_ms,
            values={channel: column[rows] for channel, column in self.values.items()},
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
        groups = Samples.of(self.grid, self.stream, self.at_ms, self.seq)
        wanted = groups.start_ms >= self.since_ms[groups.stream]
        wanted &= groups.largest(self.fresh)
        if wanted.all():
            return self, groups
        return self.take(groups.rows(wanted)), groups.take(wanted)


def rows_of_registers(batch: Batch, channels: list[int]) -> list[tuple[list[int], RegisterRows]]:
    """Compute register rows, channels that the same packets carry together."""
    alike: dict[bytes, list[int]] = {}
    for channel in channels:
        known = ~np.isnan(batch.values[channel])
        alike.setdefault(known.tobytes(), []).append(channel)
    found = []
    for known_bytes, together in alike.items():
        rows = np.flatnonzero(np.frombuffer(known_bytes, np.bool_))
        if not len(rows):
            continue
        stream = batch.stream[rows]
        values = np.stack([batch.values[channel][rows] for channel in together])
        readings = Readings(
            stream=stream,
            at_ms=batch.at_ms[rows],
            seq=batch.seq[rows],
            fresh=batch.fresh[rows],
            values=values,
            width=batch.grid.register_max[stream],
            factor=batch.grid.factor[stream],
        )
        found.append((together, register_rows(readings, batch.grid)))
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
