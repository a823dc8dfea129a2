"""From readings to intervals, for all streams of a batch at once.

The rules in an energy manager's words, with examples: docs/reference/intervals.md. Why
they are so: docs/decisions/0006. Registers are in ``registers.py``, everything that is
averaged or summed in ``samples.py``, electrical data points in ``electrical.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from kilowatch.model.parameters import VALUE
from kilowatch.pipeline.batch import Batch, register_cells, rows_of_registers
from kilowatch.pipeline.electrical import electrical_cells
from kilowatch.pipeline.grids import AMOUNT, GAUGE, RATE, REGISTER, Bools, PointGrid
from kilowatch.pipeline.samples import Cells


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
    with np.errstate(over="ignore", invalid="ignore"):  # see ``samples.finite``
        batch = Batch.of(readings, effective_ms, points, since_ms, fresh)
        single = batch.grid.single[batch.stream]
        cells: list[Cells] = []
        if single.any():
            part = batch if single.all() else batch.take(np.flatnonzero(single))
            cells += _single(part)
        if not single.all():
            part = batch if not single.any() else batch.take(np.flatnonzero(~single))
            cells += electrical_cells(part)
    return IntervalBlock.concatenate([cell.block(batch.grid.series) for cell in cells])


def _single(batch: Batch) -> list[Cells]:
    is_register = batch.grid.behaviour[batch.stream] == REGISTER
    cells: list[Cells] = []
    if is_register.any():
        dials = batch if is_register.all() else batch.take(np.flatnonzero(is_register))
        cells += [
            register_cells(dials, [VALUE], rows) for _, rows in rows_of_registers(dials, [VALUE])
        ]
    if not is_register.all():
        sampled = batch if not is_register.any() else batch.take(np.flatnonzero(~is_register))
        cells.append(_sampled_value(sampled))
    return cells


def _sampled_value(batch: Batch) -> Cells:
    wanted, groups = batch.samples()
    grid = batch.grid
    value = wanted.column(VALUE) * grid.factor[wanted.stream] + grid.offset[wanted.stream]
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
