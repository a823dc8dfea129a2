"""One row for each instant, one column for each value: what people and spreadsheets like best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from kilowatch.exports.definition import GRAINS
from kilowatch.exports.long_rows import Owned, divisors, matched, told
from kilowatch.exports.plan import Plan, headings
from kilowatch.exports.slices import CELLS_A_SLICE, Reader, along_time
from kilowatch.exports.tables import Heading, Table, instants, numbers, qualities, schema_of, times
from kilowatch.model.blocks import Floats, IntervalBlock, Ints, ReadingBlock
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.zones import Zone


def wide_table(plan: Plan, reader: Reader, cells: int = CELLS_A_SLICE) -> Table:
    """Return the table; nothing is read before its batches are."""
    fields = plan.fields
    source = plan.asked.grain == "source"  # as packets say it: it can be imported again
    plain, people = headings(fields, people=False), headings(fields, people=not source)
    heads = times(plan)
    for n, (_, field) in enumerate(fields):
        heads.append(Heading(plain[n], "number", field.unit, people[n]))
        if _has_gaps(plan, field.measure):
            heads.append(Heading(f"{plain[n]} across_gap", "number", field.unit))
    if "quality" in plan.asked.extras and plan.asked.grain != "source":
        heads += [Heading("quality", "text"), Heading("completeness", "share")]
    return Table(heads, _batches(plan, reader, cells, heads), plan.zones[0])


def _has_gaps(plan: Plan, measure: str) -> bool:
    return "gaps" in plan.asked.extras and measure == "amount"


def _batches(
    plan: Plan, reader: Reader, cells: int, heads: Sequence[Heading]
) -> Iterator[pa.RecordBatch]:
    schema, fields = schema_of(heads, coded=True), plan.fields
    for from_ms, to_ms in along_time(plan, cells):
        subjects = [one for one in plan.subjects if one.from_ms < to_ms and one.to_ms > from_ms]
        if not subjects:
            continue
        if plan.asked.grain == "source":
            columns = _of_readings(plan, reader.readings(subjects, from_ms, to_ms), fields)
        else:
            block = reader.figures(subjects, from_ms, to_ms, plan.asked.grain)
            columns = _of_figures(plan, block, fields, (from_ms, to_ms))
        if len(columns[0]):
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _of_figures(
    plan: Plan, block: IntervalBlock, fields: Sequence[Owned], span: tuple[int, int]
) -> list[pa.Array]:
    row, number = matched(block.series, block.channel, fields)
    at_ms = np.union1d(block.start_ms[row], _every(plan, *span))
    place = np.searchsorted(at_ms, block.start_ms[row])
    columns = instants(plan, at_ms, Zone.of(plan.zones[0]))
    values = _spread(told(block, row, number, fields), place, number, len(at_ms), len(fields))
    lost = block.unallocated[row] / divisors(fields)[number]
    gaps = _spread(np.where(lost == 0, np.nan, lost), place, number, len(at_ms), len(fields))
    for n, (_, field) in enumerate(fields):
        columns.append(numbers(values[n]))
        if _has_gaps(plan, field.measure):
            columns.append(numbers(gaps[n]))
    if "quality" in plan.asked.extras:
        worst, covered = np.full(len(at_ms), -1), np.zeros(len(at_ms))
        np.maximum.at(worst, place, block.quality[row])
        np.add.at(covered, place, block.covered_ms[row] / block.duration_ms[row])
        columns.append(qualities(worst))
        columns.append(pa.array(covered / len(fields)))
    return columns


def _of_readings(plan: Plan, block: ReadingBlock, fields: Sequence[Owned]) -> list[pa.Array]:
    at_ms = np.unique(block.at_ms)
    columns = instants(plan, at_ms, Zone.of(plan.zones[0]))
    for one, field in fields:
        first, last = np.searchsorted(block.series, (one.point.series, one.point.series + 1))
        column = np.full(len(at_ms), np.nan)
        if field.channel in block.values:
            place = np.searchsorted(at_ms, block.at_ms[first:last])
            column[place] = block.values[field.channel][first:last]
        columns.append(numbers(column))
    return columns


def _spread(values: Floats, place: Ints, number: Ints, rows: int, columns: int) -> Floats:
    """Return values in the cells that they belong to, shape (columns, rows); the rest is NaN."""
    cells = np.full((columns, rows), np.nan)
    cells[number, place] = values
    return cells


def _every(plan: Plan, from_ms: int, to_ms: int) -> Ints:
    """Return the start of every bucket in a slice, those without data too.

    Only where all data points keep the same time: where one had another interval before, rows
    between its own would be empty without anything missing.
    """
    points = [one.point for one in plan.subjects]
    grain = GRAINS[plan.asked.grain]
    if grain == "interval":
        grain = points[0].interval_s
    assert grain is not None
    plain = all(
        point.zone == plan.zones[0] and not point.history.zones and not point.history.periods
        for point in points
    )
    alike = plan.asked.grain != "interval" or len({point.interval_s for point in points}) == 1
    longer = isinstance(grain, int) and any(point.interval_s > grain for point in points)
    first = min(one.extent.first_ms for one in plan.subjects if one.extent is not None)
    first = max(from_ms, first)
    if not plain or not alike or longer or first >= to_ms:
        return np.empty(0, np.int64)
    edges = bucket_edges_ms(first, to_ms, grain, Zone.of(plan.zones[0]))[:-1]
    return edges[(edges >= from_ms) & (edges < to_ms)]
