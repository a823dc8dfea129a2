"""One row for each value: what programs that group and filter like best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from kilowatch.exports.fields import Field
from kilowatch.exports.plan import Plan, Subject
from kilowatch.exports.slices import ROWS_A_SLICE, Reader, along_points
from kilowatch.exports.tables import (
    Heading,
    Table,
    instants,
    numbers,
    qualities,
    schema_of,
    texts,
    times,
)
from kilowatch.model.blocks import Floats, IntervalBlock, Ints, ReadingBlock
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.zones import Zone

Owned = tuple[Subject, Field]
CHANNEL_BITS = 8

_NAMES: tuple[tuple[str, Callable[[Owned], str]], ...] = (
    ("organisation", lambda own: own[0].organisation),
    ("site", lambda own: own[0].site),
    ("stream_id", lambda own: own[0].point.stream_id),
    ("data_point", lambda own: own[0].point.name),
    ("parameter", lambda own: own[1].word),
    ("unit", lambda own: own[1].unit),
)


def long_table(plan: Plan, reader: Reader, rows: int = ROWS_A_SLICE) -> Table:
    """Return the table; nothing is read before its batches are."""
    zone = plan.zones[0] if len(plan.zones) == 1 else ""
    headings = [*times(plan), *([] if zone else [Heading("time_zone", "text")])]
    extras, source = plan.asked.extras, plan.asked.grain == "source"
    if not source:
        headings.append(Heading("duration_s", "count", "s"))
    headings += [Heading(name, "text") for name, _ in _NAMES]
    headings.append(Heading("value", "number"))
    if not source:
        if "gaps" in extras:
            headings.append(Heading("across_gap", "number"))
        if "extremes" in extras:
            headings += [Heading("minimum", "number"), Heading("maximum", "number")]
        if "quality" in extras:
            headings += [Heading("quality", "text"), Heading("completeness", "share")]
    return Table(headings, _batches(plan, reader, rows, headings), zone)


def _batches(
    plan: Plan, reader: Reader, rows: int, headings: Sequence[Heading]
) -> Iterator[pa.RecordBatch]:
    schema = schema_of(headings, coded=True)
    for part in along_points(plan, rows):
        fields = [(one, field) for one in part.subjects for field in one.fields]
        zone = part.subjects[0].zone
        if plan.asked.grain == "source":
            read = reader.readings(part.subjects, part.from_ms, part.to_ms)
            columns = _of_readings(plan, read, fields, zone)
        else:
            block = reader.figures(part.subjects, part.from_ms, part.to_ms, plan.asked.grain)
            columns = _of_figures(plan, block, fields, zone)
        if columns and len(columns[0]):
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def matched(series: Ints, channel: Ints, fields: Sequence[Owned]) -> tuple[Ints, Ints]:
    """Return which rows belong to which fields.

    A channel may give two fields (what a rate amounts to, and its mean): its rows come twice.

    Args:
        series: Of each row, shape (n,).
        channel: Of each row, shape (n,).
        fields: What is wanted.

    Returns:
        Row numbers and field numbers, shape (m,) each, by field and then as the rows were.
    """
    keys = series << CHANNEL_BITS | channel
    groups: list[tuple[list[int], list[int]]] = []
    for number, (one, field) in enumerate(fields):
        key = one.point.series << CHANNEL_BITS | field.channel
        for known, owners in groups:
            if key not in known:
                known.append(key)
                owners.append(number)
                break
        else:
            groups.append(([key], [number]))
    rows, numbers_of = [], []
    for known, owners in groups:
        order = np.argsort(known)
        wanted, owner = np.array(known)[order], np.array(owners)[order]
        place = np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)
        mine = np.flatnonzero(wanted[place] == keys)
        rows.append(mine)
        numbers_of.append(owner[place[mine]])
    row, number_of = np.concatenate(rows), np.concatenate(numbers_of)
    order = np.argsort(number_of, kind="stable")
    return row[order], number_of[order]


def told(block: IntervalBlock, row: Ints, number: Ints, fields: Sequence[Owned]) -> Floats:
    """Return the value of each row for its field, shape (m,) [its unit]."""
    amounts = np.array([field.measure == "amount" for _, field in fields])
    divisor = divisors(fields)
    values = np.where(amounts[number], block.amount[row], block.mean[row])
    return np.asarray(values / divisor[number])


def divisors(fields: Sequence[Owned]) -> Floats:
    """Return what the canonical numbers of each field are divided by, shape (fields,)."""
    return np.array([field.divisor for _, field in fields])


def _of_figures(
    plan: Plan, block: IntervalBlock, fields: Sequence[Owned], zone: str
) -> list[pa.Array]:
    row, number = matched(block.series, block.channel, fields)
    columns = instants(plan, block.start_ms[row], Zone.of(zone))
    columns += _zone_column(plan, zone, len(row))
    columns.append(pa.array(block.duration_ms[row] // 1000))
    columns += _names(fields, number)
    columns.append(numbers(told(block, row, number, fields)))
    extras, divisor = plan.asked.extras, divisors(fields)[number]
    if "gaps" in extras:
        amounts = np.array([field.measure == "amount" for _, field in fields])[number]
        lost = block.unallocated[row] / divisor
        columns.append(numbers(np.where(amounts & (lost != 0), lost, np.nan)))
    if "extremes" in extras:
        means = np.array([field.measure == "mean" for _, field in fields])[number]
        for extreme in (block.low, block.high):
            columns.append(numbers(np.where(means, extreme[row] / divisor, np.nan)))
    if "quality" in extras:
        columns.append(qualities(block.quality[row]))
        columns.append(numbers(block.covered_ms[row] / block.duration_ms[row]))
    return columns


def _of_readings(
    plan: Plan, block: ReadingBlock, fields: Sequence[Owned], zone: str
) -> list[pa.Array]:
    """Return one row for each value of each reading, those of one reading together."""
    row, number, values = [], [], []
    by_series: dict[int, list[int]] = {}
    for n, (one, _) in enumerate(fields):
        by_series.setdefault(one.point.series, []).append(n)
    for series, own in by_series.items():
        first, last = np.searchsorted(block.series, (series, series + 1))
        some = np.arange(first, last)
        nothing = np.full(len(block), np.nan)
        cells = np.stack(
            [block.values.get(fields[n][1].channel, nothing)[some] for n in own], axis=1
        )
        there = ~np.isnan(cells)
        row.append(np.repeat(some, len(own))[there.ravel()])
        number.append(np.tile(own, len(some))[there.ravel()])
        values.append(cells[there])
    rows, numbers_of = np.concatenate(row), np.concatenate(number)
    offset_ms = block.offset_min[rows] * MINUTE_MS if not plan.asked.zone else None
    columns = instants(plan, block.at_ms[rows], Zone.of(zone), offset_ms)
    columns += _zone_column(plan, zone, len(rows))
    columns += _names(fields, numbers_of)
    return [*columns, numbers(np.concatenate(values))]


def _zone_column(plan: Plan, zone: str, rows: int) -> list[pa.Array]:
    return [] if len(plan.zones) == 1 else [texts(np.zeros(rows, np.int64), [zone])]


def _names(fields: Sequence[Owned], number: Ints) -> list[pa.Array]:
    codes = pa.array(number, pa.int32())
    return [texts(codes, [name(own) for own in fields]) for _, name in _NAMES]
