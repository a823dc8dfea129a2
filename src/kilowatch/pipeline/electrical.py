"""Electrical data points: every parameter, its total over phases, and energy from power."""

from __future__ import annotations

import numpy as np

from kilowatch.model.blocks import Ints, Quality
from kilowatch.model.parameters import (
    AP,
    APP,
    ENERGY_CHANNELS,
    FAMILIES,
    PC,
    PE,
    PF,
    RP,
    Role,
    phase_of,
)
from kilowatch.pipeline.batch import Batch, register_cells, rows_of_registers
from kilowatch.pipeline.epochs import DatedGrid
from kilowatch.pipeline.grids import AMOUNT, KEY_BITS, BatchGrid, Bools
from kilowatch.pipeline.phases import (
    PHASES,
    apparent_power,
    first_of_stream,
    imported_and_exported,
    power_factor,
    ratio,
    sum_of_phases,
    total_register,
)
from kilowatch.pipeline.registers import RegisterRows
from kilowatch.pipeline.samples import Cells, Samples

_MEASURED = tuple(
    family.total + phase
    for family in FAMILIES
    if family.role is not Role.REGISTER
    for phase in (PHASES if family.suffixes else (0,))
)
_FACTORS = tuple(PF + phase for phase in PHASES)
_POWERS = tuple(AP + phase for phase in PHASES)
_ENERGIES = tuple(total + phase for total in ENERGY_CHANNELS for phase in PHASES)


def electrical_cells(batch: Batch) -> list[Cells]:
    """Return the interval rows of electrical data points.

    Totals are rows of their own. Energies are registers, or amounts where the data point
    says so; without either they are the integral of the total active power.
    """
    wanted, groups = batch.samples()
    cells = _measured(wanted, groups)
    ended: dict[int, Ints] = {}
    if any(channel in wanted.values for channel in _POWERS):
        derived, ended = _energy_from_power(batch, wanted, groups)
        cells += derived
    energies = batch.carried(_ENERGIES)
    if isinstance(batch.grid, DatedGrid):
        grid = batch.grid
        grid.not_before = {
            PC: _first_of(batch, PC, grid.first_import_ms),
            PE: _first_of(batch, PE, grid.first_export_register_ms),
        }
    amounts = batch.grid.behaviour[batch.stream] == AMOUNT
    if amounts.any() and energies:
        cells.append(_energy_amounts(wanted, groups, energies))
    if not amounts.all() and energies:
        dials = batch if not amounts.any() else batch.take(np.flatnonzero(~amounts))
        cells += _energy_registers(dials, energies, groups, ended)
    return cells


def _measured(batch: Batch, groups: Samples) -> list[Cells]:
    """Means, minima and maxima of what is measured, and of its totals."""
    carried = batch.carried(_MEASURED)
    factors = [channel for channel in carried if channel in _FACTORS]
    columns = {channel: batch.values[channel] for channel in carried if channel not in factors}
    for total in (AP, RP, APP):
        phases = [columns[total + phase] for phase in PHASES if total + phase in columns]
        if phases:
            columns[total] = sum_of_phases(phases)
    cells = []
    if columns:
        values = np.stack(list(columns.values()))
        cells.append(
            groups.cells(
                list(columns),
                groups.count(values),
                mean=groups.mean(values),
                low=groups.smallest(values),
                high=groups.largest(values),
            )
        )
    if factors:
        cells.append(_power_factors(batch, groups, factors))
    if factors or {AP, APP} <= columns.keys():
        cells.append(_total_power_factor(batch, groups))
    return cells


def _power_factors(batch: Batch, groups: Samples, channels: list[int]) -> Cells:
    """The power factors of phases, weighted by apparent power where that is known."""
    factor = np.stack([batch.values[channel] for channel in channels])
    active, apparent = (
        np.stack([batch.column(total + phase_of(channel)) for channel in channels])
        for total in (AP, APP)
    )
    apparent = apparent_power(active, apparent, factor)
    apparent = np.where(~np.isnan(factor) & (apparent > 0), apparent, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        weighted = ratio(groups.total(factor * apparent), groups.total(apparent))
    count = groups.count(factor)
    return groups.cells(
        channels,
        count,
        mean=np.where((count == 1) | np.isnan(weighted), groups.mean(factor), weighted),
        low=groups.smallest(factor),
        high=groups.largest(factor),
        amount=groups.mean(apparent) * groups.hours,
    )


def _total_power_factor(batch: Batch, groups: Samples) -> Cells:
    parts = power_factor(
        *([batch.column(total + phase) for phase in PHASES] for total in (AP, APP, PF))
    )
    each = parts.per_packet
    return groups.cells(
        [PF],
        groups.count(each)[None],
        mean=ratio(groups.total(parts.active), groups.total(parts.apparent)),
        low=groups.smallest(each),
        high=groups.largest(each),
        amount=groups.mean(parts.apparent) * groups.hours,
    )


def _energy_from_power(
    batch: Batch, wanted: Batch, groups: Samples
) -> tuple[list[Cells], dict[int, Ints]]:
    """Integrate total active power where the meter has sent no energy register yet.

    Export is written from the first interval with power flowing out, so that a meter that
    only ever imports has no column of zeros.

    Returns:
        The rows, and by energy for each interval in which packets came before the register's
        first the largest sequence number of those, else 0, shape (g,): a row may have been written
        of them, which does not hold any more.
    """
    grid = batch.grid
    power_w = sum_of_phases([batch.column(channel) for channel in _POWERS])
    negative_ms = _first(batch, power_w < 0, grid.first_negative_ms)
    negative = grid.starts(_sampled_ms(grid, negative_ms))
    import_ms = _first_of(batch, PC, grid.first_import_ms)
    export_ms = _first_of(batch, PE, grid.first_export_register_ms)
    first_import = _interval_of_first(grid, import_ms)
    first_export = _interval_of_first(grid, export_ms)
    before_import = groups.start_ms < first_import[groups.stream]
    # A register of imports ends the export from power too, one interval later: its first
    # packet may come after a row of that interval has been written.
    may_export = groups.start_ms <= first_import[groups.stream]
    may_export &= groups.start_ms >= negative[groups.stream]
    before_export = groups.start_ms < first_export[groups.stream]
    flows = imported_and_exported(
        power_w
        if wanted is batch
        else sum_of_phases([wanted.column(channel) for channel in _POWERS])
    )
    cells = [
        groups.cells(
            [channel],
            np.where(chosen, groups.count(flow), 0)[None],
            amount=groups.mean(flow) * groups.hours,
            unallocated=0.0,
            quality=int(Quality.DERIVED),
        )
        for channel, flow, chosen in zip(
            (PC, PE), flows, (before_import, before_export & may_export), strict=True
        )
    ]
    ended: dict[int, Ints] = {}
    for channel, first_ms, not_derived in (
        (PC, import_ms, ~before_import),
        (PE, export_ms, ~before_export & may_export),
    ):
        begins_ms = first_ms[grid.points_of(groups.stream)]
        over = not_derived & (groups.start_ms <= begins_ms) & (begins_ms < groups.end_ms)
        if over.any():
            early = wanted.at_ms < first_ms[grid.points_of(wanted.stream)]
            some = groups.count(np.where(early, flows[0], np.nan)) > 0
            some &= over & (grid.behaviour[groups.stream] != AMOUNT)
            ended[channel] = np.where(some, groups.largest(np.where(early, wanted.seq, 0)), 0)
    return cells, ended


def _outrank(grid: BatchGrid, groups: Samples, ended: Ints, rows: RegisterRows) -> None:
    """Let rows of a register's total be newer than rows that were derived of the same interval.

    A packet of power that came after the register's first one in the log, and before it in time,
    would have the last word.

    Args:
        grid: Settings of the streams.
        groups: Intervals that are wanted, as of samples.
        ended: Largest version of a derived row that may have been written of each, else 0,
            shape (g,).
        rows: Of one total; their versions are changed.
    """
    owner = grid.points_of(rows.key >> KEY_BITS) << KEY_BITS
    key = owner | (rows.key & ((1 << KEY_BITS) - 1))
    some = np.flatnonzero(ended)
    there = (grid.points_of(groups.stream[some]) << KEY_BITS) | groups.start_ms[some]
    order = np.argsort(key, kind="stable")
    place = order[np.minimum(np.searchsorted(key[order], there), len(key) - 1)]
    same = key[place] == there
    np.maximum.at(rows.version, place[same], ended[some][same])


def _interval_of_first(grid: BatchGrid, first_ms: Ints) -> Ints:
    """Return the start of the interval of each stream's first packet with an energy [ms].

    Args:
        grid: Settings of the streams.
        first_ms: Instants of these packets, by data point [ms].
    """
    summed = grid.behaviour[grid.streams_at(np.arange(len(first_ms)), first_ms)] == AMOUNT
    return grid.starts(np.where(summed, _sampled_ms(grid, first_ms), first_ms))


def _first_of(batch: Batch, total: int, known_ms: Ints) -> Ints:
    """Return the instant of each data point's first packet with this energy [ms]."""
    carried = np.zeros(len(batch.stream), np.bool_)
    for channel in batch.carried(tuple(total + phase for phase in PHASES)):
        carried |= ~np.isnan(batch.values[channel])
    return _first(batch, carried, known_ms)


def _first(batch: Batch, where: Bools, known_ms: Ints) -> Ints:
    """Return each data point's first instant at which something was so [ms]."""
    grid = batch.grid
    point = grid.points_of(batch.stream)
    return first_of_stream(point, batch.at_ms, where, grid.by_point(known_ms))


def _sampled_ms(grid: BatchGrid, at_ms: Ints) -> Ints:
    """Return an instant in the interval of a sample of each data point [ms]."""
    about = grid.streams_about(grid.streams_at(np.arange(len(at_ms)), at_ms), at_ms)
    return grid.sampled_ms(at_ms, about)


def _energy_amounts(batch: Batch, groups: Samples, energies: list[int]) -> Cells:
    """Sum energies that are the amounts of their interval."""
    summed = batch.grid.behaviour[batch.about] == AMOUNT
    columns = {c: np.where(summed, batch.values[c], np.nan) for c in energies}
    for total in ENERGY_CHANNELS:
        phases = [columns[total + phase] for phase in PHASES if total + phase in columns]
        if phases:
            columns[total] = sum_of_phases(phases)
    values = np.stack(list(columns.values()))
    return groups.cells(
        list(columns),
        groups.count(values),
        low=groups.smallest(values),
        high=groups.largest(values),
        amount=groups.total(values),
        unallocated=0.0,
    )


def _energy_registers(
    batch: Batch, energies: list[int], groups: Samples, ended: dict[int, Ints]
) -> list[Cells]:
    found = rows_of_registers(batch, energies)
    cells = [register_cells(batch, channels, rows) for channels, rows in found]
    where = {
        channel: (rows, position)
        for channels, rows in found
        for position, channel in enumerate(channels)
    }
    for total in ENERGY_CHANNELS:
        parts = [where[total + phase] for phase in PHASES if total + phase in where]
        if parts:
            rows = total_register(parts)
            if total in ended and ended[total].any() and len(rows.key):
                _outrank(batch.grid, groups, ended[total], rows)
            cells.append(register_cells(batch, [total], rows))
    return cells
