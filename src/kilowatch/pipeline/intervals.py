"""From readings to intervals, for all streams of a batch at once.

The rules in an energy manager's words, with examples: docs/reference/intervals.md. Why
they are so: docs/decisions/0006. Registers are in ``registers.py``, everything that is
averaged or summed in ``samples.py``, phases in ``electrical.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints, Quality, ReadingBlock
from kilowatch.model.parameters import (
    AP,
    APP,
    ENERGY_CHANNELS,
    FAMILIES,
    PC,
    PE,
    PF,
    RP,
    VALUE,
    Role,
)
from kilowatch.pipeline.electrical import (
    PHASES,
    first_of_stream,
    imported_and_exported,
    power_factor,
    sum_of_phases,
    total_register,
)
from kilowatch.pipeline.grids import AMOUNT, GAUGE, RATE, REGISTER, BatchGrid, Bools, PointGrid
from kilowatch.pipeline.registers import KEY_BITS, Readings, RegisterRows, keys_of, register_rows
from kilowatch.pipeline.samples import Cells, Samples

_MEASURED = tuple(
    family.total + phase
    for family in FAMILIES
    if family.role is not Role.REGISTER
    for phase in (PHASES if family.suffixes else (0,))
)
_ENERGIES = tuple(total + phase for total in ENERGY_CHANNELS for phase in PHASES)


def intervals(
    readings: ReadingBlock,
    effective_ms: Ints,
    points: Mapping[int, PointGrid],
    since_ms: Mapping[int, int] | None = None,
    fresh: Bools | None = None,
) -> IntervalBlock:
    """Compute the interval rows that readings make.

    The readings of each series must hold the context that its rows rest on: everything
    since the first interval that is wanted and, for each register channel, the last
    reading before that (``carry.py`` says which those are). Rows computed from a context
    are the same, bit for bit, as those computed from the whole history.

    Args:
        readings: Readings sorted by series and instant.
        effective_ms: Their effective instants, shape (n,) [ms].
        points: Settings by series.
        since_ms: First start wanted, by series; a series that is missing gets all.
        fresh: Which readings are new, shape (n,): only rows that one of them can have
            changed come back. None means all.

    Returns:
        Interval rows in no promised order; (series, channel, start) is unique.

    Raises:
        KeyError: A series has no settings.
    """
    if not len(readings):
        return IntervalBlock.empty()
    batch = _Batch.of(readings, effective_ms, points, since_ms, fresh)
    single = batch.grid.single[batch.stream]
    cells: list[Cells] = []
    if single.any():
        part = batch if single.all() else batch.take(np.flatnonzero(single))
        cells += _single(part)
    if not single.all():
        part = batch if not single.any() else batch.take(np.flatnonzero(~single))
        cells += _electrical(part)
    return IntervalBlock.concatenate([cell.block(batch.grid.series) for cell in cells])


@dataclass(slots=True)
class _Batch:
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
    ) -> _Batch:
        grid = BatchGrid(readings.series, points)
        since = [(since_ms or {}).get(key, 0) for key in grid.series.tolist()]
        batch = _Batch(
            grid=grid,
            stream=grid.of_row,
            at_ms=effective_ms,
            seq=readings.seq,
            fresh=np.ones(len(readings), np.bool_) if fresh is None else fresh,
            since_ms=np.array(since, np.int64),
            values=readings.values,
        )
        key = keys_of(batch.stream, batch.at_ms)
        if (key[1:] >= key[:-1]).all():
            return batch
        # A wall clock that somebody set back: instants of one stream can fall.
        return batch.take(np.lexsort((batch.seq, key)))

    def take(self, rows: Ints) -> _Batch:
        """Return the batch with these readings only."""
        return _Batch(
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

    def samples(self) -> tuple[_Batch, Samples, Bools]:
        """Group by interval what belongs to the intervals that are wanted."""
        groups = Samples(self.grid, self.stream, self.at_ms, self.seq)
        wanted = groups.start_ms >= self.since_ms[groups.stream]
        wanted &= groups.largest(self.fresh.astype(np.float64)) > 0
        return self, groups, wanted


def _single(batch: _Batch) -> list[Cells]:
    grid, value = batch.grid, batch.column(VALUE)
    behaviour = grid.behaviour[batch.stream]
    is_register = behaviour == REGISTER
    cells: list[Cells] = []
    if is_register.any():
        rows = batch if is_register.all() else batch.take(np.flatnonzero(is_register))
        cells += [_register_cells(rows, [VALUE], found) for _, found in _registers(rows, [VALUE])]
    if not is_register.all():
        rows = batch if not is_register.any() else batch.take(np.flatnonzero(~is_register))
        cells.append(_sampled_value(rows))
    assert len(value) == len(behaviour)
    return cells


def _sampled_value(batch: _Batch) -> Cells:
    grid = batch.grid
    value = batch.column(VALUE) * grid.factor[batch.stream] + grid.offset[batch.stream]
    _, groups, wanted = batch.samples()
    behaviour = grid.behaviour[groups.stream]
    mean, total = groups.mean(value), groups.total(value)
    integral = mean * groups.hours * grid.amount_factor[groups.stream]
    amount = np.select([behaviour == AMOUNT, behaviour == RATE], [total, integral], np.nan)
    return groups.cells(
        np.array([VALUE]),
        groups.count(value)[None],
        wanted,
        mean=np.where(behaviour == AMOUNT, np.nan, mean),
        low=groups.smallest(value),
        high=groups.largest(value),
        amount=amount,
        unallocated=np.where(behaviour == GAUGE, np.nan, 0.0),
    )


def _electrical(batch: _Batch) -> list[Cells]:
    _, groups, wanted = batch.samples()
    amounts = batch.grid.behaviour[batch.stream] == AMOUNT
    cells = _measured(batch, groups, wanted)
    energies = batch.carried(_ENERGIES)
    if amounts.any() and energies:
        cells += _energy_amounts(batch, groups, wanted, energies, amounts)
    if not amounts.all() and energies:
        rows = batch if not amounts.any() else batch.take(np.flatnonzero(~amounts))
        cells += _energy_registers(rows, energies)
    return cells


def _measured(batch: _Batch, groups: Samples, wanted: Bools) -> list[Cells]:
    """Means, minima and maxima of what is measured, with totals and energy from power."""
    columns = {channel: batch.values[channel] for channel in batch.carried(_MEASURED)}
    for total in (AP, RP, APP):
        phases = [columns[total + phase] for phase in PHASES if total + phase in columns]
        if phases:
            columns[total] = sum_of_phases(phases)
    cells = []
    if columns:
        values = np.stack(list(columns.values()))
        cells.append(
            groups.cells(
                np.array(list(columns)),
                groups.count(values),
                wanted,
                mean=groups.mean(values),
                low=groups.smallest(values),
                high=groups.largest(values),
            )
        )
    if any(channel // 4 == PF // 4 for channel in columns) or {AP, APP} <= columns.keys():
        cells.append(_total_power_factor(batch, groups, wanted))
    if AP in columns:
        cells += _energy_from_power(batch, groups, wanted, columns[AP])
    return cells


def _total_power_factor(batch: _Batch, groups: Samples, wanted: Bools) -> Cells:
    parts = power_factor(
        *([batch.column(total + phase) for phase in PHASES] for total in (AP, APP, PF))
    )
    each = parts.per_packet
    apparent = groups.total(parts.apparent)
    mean = groups.total(parts.active) / np.where(apparent > 0, apparent, np.nan)
    return groups.cells(
        np.array([PF]),
        groups.count(each)[None],
        wanted,
        mean=mean,
        low=groups.smallest(each),
        high=groups.largest(each),
    )


def _energy_from_power(
    batch: _Batch, groups: Samples, wanted: Bools, power_w: Floats
) -> list[Cells]:
    """Integrate total active power where the meter has sent no energy register yet."""
    grid = batch.grid
    first_import = _interval_of_first(batch, PC, grid.first_import_ms)
    first_export = np.minimum(
        first_import, _interval_of_first(batch, PE, grid.first_export_register_ms)
    )
    negative_ms = first_of_stream(batch.stream, batch.at_ms, power_w < 0, grid.first_negative_ms)
    streams = np.arange(len(grid.series))
    negative = grid.buckets(grid.sampled_ms(negative_ms, streams), streams).start_ms
    imported, exported = imported_and_exported(power_w)
    before_import = groups.start_ms < first_import[groups.stream]
    before_export = (groups.start_ms < first_export[groups.stream]) & (
        groups.start_ms >= negative[groups.stream]
    )
    return [
        groups.cells(
            np.array([channel]),
            groups.count(flow)[None],
            wanted & chosen,
            amount=groups.mean(flow) * groups.hours,
            unallocated=0.0,
            quality=int(Quality.DERIVED),
        )
        for channel, flow, chosen in (
            (PC, imported, before_import),
            (PE, exported, before_export),
        )
    ]


def _interval_of_first(batch: _Batch, total: int, known_ms: Ints) -> Ints:
    """Return the start of the interval of each stream's first packet with this energy [ms]."""
    grid = batch.grid
    carried = np.zeros(len(batch.stream), np.bool_)
    for channel in batch.carried(tuple(total + phase for phase in PHASES)):
        carried |= ~np.isnan(batch.values[channel])
    first_ms = first_of_stream(batch.stream, batch.at_ms, carried, known_ms)
    streams = np.arange(len(first_ms))
    summed = grid.behaviour == AMOUNT
    inside_ms = np.where(summed, grid.sampled_ms(first_ms, streams), first_ms)
    return grid.buckets(inside_ms, streams).start_ms


def _energy_amounts(
    batch: _Batch, groups: Samples, wanted: Bools, energies: list[int], amounts: Bools
) -> list[Cells]:
    """Sum energies that are the amounts of their interval."""
    columns = {c: np.where(amounts, batch.values[c], np.nan) for c in energies}
    for total in ENERGY_CHANNELS:
        phases = [columns[total + phase] for phase in PHASES if total + phase in columns]
        if phases:
            columns[total] = sum_of_phases(phases)
    values = np.stack(list(columns.values()))
    return [
        groups.cells(
            np.array(list(columns)),
            groups.count(values),
            wanted,
            low=groups.smallest(values),
            high=groups.largest(values),
            amount=groups.total(values),
            unallocated=0.0,
        )
    ]


def _registers(batch: _Batch, channels: list[int]) -> list[tuple[list[int], RegisterRows]]:
    """Compute register rows, channels that the same packets carry together."""
    alike: dict[bytes, list[int]] = {}
    for channel in channels:
        known = ~np.isnan(batch.values[channel])
        alike.setdefault(known.tobytes(), []).append(channel)
    found = []
    factor = batch.grid.factor[batch.stream]
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
            values=values * factor[rows],
            width=batch.grid.register_max[stream] * factor[rows],
        )
        found.append((together, register_rows(readings, batch.grid)))
    return found


def _energy_registers(batch: _Batch, energies: list[int]) -> list[Cells]:
    found = _registers(batch, energies)
    cells = [_register_cells(batch, channels, rows) for channels, rows in found]
    where = {
        channel: (rows, position)
        for channels, rows in found
        for position, channel in enumerate(channels)
    }
    for total in ENERGY_CHANNELS:
        parts = [where[total + phase] for phase in PHASES if total + phase in where]
        if parts:
            cells.append(_register_cells(batch, [total], total_register(parts)))
    return cells


def _register_cells(batch: _Batch, channels: list[int], rows: RegisterRows) -> Cells:
    stream, start_ms = rows.key >> KEY_BITS, rows.key & ((1 << KEY_BITS) - 1)
    wanted = rows.fresh & (start_ms >= batch.since_ms[stream])
    return Cells(
        channels=np.array(channels),
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
