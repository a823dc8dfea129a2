"""From readings to intervals, for all streams of a batch at once.

The rules in an energy manager's words, with examples: docs/reference/intervals.md. Why
they are so: docs/decisions/0006. Registers are in ``registers.py``, everything that is
averaged or summed in ``samples.py``, electrical data points in ``electrical.py``, settings
that change in ``epochs.py`` and ``dials.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.parameters import GAS_ENERGY, VALUE
from kilowatch.pipeline.batch import Batch, register_cells, rows_of_registers
from kilowatch.pipeline.electrical import electrical_cells
from kilowatch.pipeline.epochs import DatedGrid
from kilowatch.pipeline.grids import AMOUNT, GAUGE, RATE, REGISTER, Bools, PointGrid
from kilowatch.pipeline.registers import Falls
from kilowatch.pipeline.samples import Cells


def intervals(
    readings: ReadingBlock,
    effective_ms: Ints,
    points: Mapping[int, PointGrid],
    since_ms: Mapping[int, int] | None = None,
    fresh: Bools | None = None,
    falls: list[Falls] | None = None,
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
        falls: Where dials fell, in context too, is added here.

    Returns:
        Interval rows in no promised order; (series, channel, start) is unique.

    Raises:
        KeyError: A series has no settings.
    """
    if not len(readings):
        return IntervalBlock.empty()
    told = [key for key, grid in points.items() if grid.dated and grid.point.history.events]
    if told and len(told) < len(points):
        # Registers with the same story are one matrix: those without any go together.
        mine = np.isin(readings.series, told)
        parts = []
        for rows in (np.flatnonzero(~mine), np.flatnonzero(mine)):
            own = told if mine[rows].any() else points.keys() - told
            rest = intervals(
                readings.take(rows),
                effective_ms[rows],
                {series: points[series] for series in own},
                since_ms,
                None if fresh is None else fresh[rows],
                falls,
            )
            parts.append(rest)
        return IntervalBlock.concatenate(parts)
    with np.errstate(over="ignore", invalid="ignore"):  # see ``samples.finite``
        batch = Batch.of(readings, effective_ms, points, since_ms, fresh)
        single = batch.grid.single[batch.stream]
        cells: list[Cells] = []
        if single.any():
            part = batch if single.all() else batch.take(np.flatnonzero(single))
            cells += _single(part)
        if not single.all():
            part = batch if not single.any() else batch.take(np.flatnonzero(~single))
            cells += electrical_cells(_transformed(part))
    if falls is not None:
        falls += batch.falls
    return IntervalBlock.concatenate([cell.block(batch.grid.series) for cell in cells])


def _transformed(batch: Batch) -> Batch:
    """Return an electrical batch with the ratios of its transformers applied."""
    if isinstance(batch.grid, DatedGrid):
        return replace(batch, values=batch.grid.scaled(batch.values, batch.about))
    return batch


def _single(batch: Batch) -> list[Cells]:
    is_register = batch.grid.behaviour[batch.stream] == REGISTER
    cells: list[Cells] = []
    if is_register.any():
        dials = batch if is_register.all() else batch.take(np.flatnonzero(is_register))
        cells += [
            register_cells(dials, [VALUE], rows) for _, rows in rows_of_registers(dials, [VALUE])
        ]
        if isinstance(batch.grid, DatedGrid):
            cells += _energy_of_registers(dials, batch.grid)
    if not is_register.all():
        sampled = batch if not is_register.any() else batch.take(np.flatnonzero(~is_register))
        cells.append(_sampled_value(sampled))
        if isinstance(batch.grid, DatedGrid):
            cells.append(_energy_of(cells[-1], batch.grid))
    return cells


def _energy_of_registers(dials: Batch, grid: DatedGrid) -> list[Cells]:
    """Energy of gas whose volume is on a dial: each part by the calorific value of its period."""
    if np.isnan(grid.energy_factor).all():
        return []
    scale = grid.scale * grid.energy_factor
    found = rows_of_registers(dials, [VALUE], scale)
    cells = [register_cells(dials, [GAS_ENERGY], rows) for _, rows in found]
    for one in cells:
        one.present = one.present & ~np.isnan(grid.energy_factor[one.stream])
    return cells


def _energy_of(volume: Cells, grid: DatedGrid) -> Cells:
    """Energy of gas whose volume or flow is sampled."""
    factor = grid.energy_factor[volume.stream]
    figures = {
        name: volume.figures[name] * factor
        for name in ("mean", "low", "high", "amount", "unallocated")
    }
    return replace(
        volume,
        channels=[GAS_ENERGY],
        present=volume.present & ~np.isnan(factor),
        figures=volume.figures | figures,
    )


def _sampled_value(batch: Batch) -> Cells:
    wanted, groups = batch.samples()
    grid = batch.grid
    value = wanted.column(VALUE) * grid.factor[wanted.about] + grid.offset[wanted.about]
    behaviour = grid.behaviour[groups.stream]
    mean, total = groups.mean(value), groups.total(value)
    integral = mean * groups.hours * grid.amount_factor[groups.stream]
    return groups.cells(
        [VALUE],
        groups.count(value)[None],
        mean=np.where(behaviour == AMOUNT, np.nan, mean),
        low=groups.smallest(value),
        high=groups.largest(value),
        amount=np.select([behaviour == AMOUNT, behaviour == RATE], [total, integral], np.nan),
        unallocated=np.where(behaviour == GAUGE, np.nan, 0.0),
    )
