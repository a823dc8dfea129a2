"""Blocks to Arrow and back: the store's column names, types and NULLs meet ours here only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kilowatch.model.blocks import Floats, IntervalBlock, Ints, ReadingBlock
from kilowatch.store.schema import FIGURES, READING_KEYS, READING_VALUES, SHARES

ROWS_A_WRITE = 100_000  # 250,000 write a fifth faster and take 180 MB more

_TYPES = {
    "UInt8": np.uint8,
    "UInt32": np.uint32,
    "UInt64": np.uint64,
    "Int16": np.int16,
    "Int64": np.int64,
    "Nullable(Float64)": np.float64,
}

_READING_FIELDS = {"at": "at_ms", "available": "available_ms"}
_INTERVAL_FIELDS = {"start": "start_ms", "duration": "duration_ms", "covered": "covered_ms"}


def reading_batches(block: ReadingBlock) -> Iterator[pa.RecordBatch]:
    """Cut readings into batches to write; a channel without a column in the block is left out."""
    for rows in _slices(len(block)):
        columns = {
            name: _column(getattr(block, _READING_FIELDS.get(name, name))[rows], kind)
            for name, kind in READING_KEYS.items()
        }
        for channel, values in block.values.items():
            columns[READING_VALUES[channel]] = _column(values[rows], "Nullable(Float64)")
        yield pa.RecordBatch.from_pydict(columns)


def interval_batches(
    block: IntervalBlock, generation: Ints, grain: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Cut interval or roll-up rows into batches to write."""
    for rows in _slices(len(block)):
        columns = {}
        for name, kind in FIGURES.items():
            columns[name] = _column(_figure(block, name, generation)[rows], kind)
        if grain is not None:
            columns["grain"] = _column(np.full(len(columns["series"]), grain), "UInt8")
            shares = block.take(rows).shares()
            for number, name in enumerate(SHARES):
                columns[name] = _column(shares[:, number], "UInt32")
        yield pa.RecordBatch.from_pydict(columns)


def readings_of(table: pa.Table) -> ReadingBlock:
    """Return the readings of a result; channels that are NULL in every row are left out."""
    fields = {_READING_FIELDS.get(name, name): _ints(table, name) for name in READING_KEYS}
    present = {
        channel: table.column(name)
        for channel, name in READING_VALUES.items()
        if name in table.column_names
    }
    values = {
        channel: np.asarray(column.to_numpy(), np.float64)
        for channel, column in present.items()
        if column.null_count < len(column)
    }
    return ReadingBlock(**fields, values=values)


def intervals_of(table: pa.Table) -> IntervalBlock:
    """Return the interval or roll-up rows of a result."""
    mean = _floats(table, "mean")
    return IntervalBlock(
        series=_ints(table, "series"),
        channel=_ints(table, "channel"),
        start_ms=_ints(table, "start"),
        duration_ms=_ints(table, "duration"),
        version=_ints(table, "version"),
        count=_ints(table, "count"),
        mean=mean,
        low=_unspread(_floats(table, "low"), mean),
        high=_unspread(_floats(table, "high"), mean),
        amount=_floats(table, "amount"),
        unallocated=_floats(table, "unallocated"),
        covered_ms=_ints(table, "covered"),
        quality=_ints(table, "quality"),
        share_ms=_shares(table),
    )


def _shares(table: pa.Table) -> Ints | None:
    """Return the time of each quality in roll-ups; None for intervals, which have one each."""
    if SHARES[0] not in table.column_names:
        return None
    return np.stack([_ints(table, name) for name in SHARES], axis=1)


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_A_WRITE) for start in range(0, rows, ROWS_A_WRITE))


def _column(values: npt.NDArray[np.generic], kind: str) -> pa.Array:
    typed = np.ascontiguousarray(values, _TYPES[kind])
    return pa.array(typed, from_pandas=kind.startswith("Nullable"))  # NaN becomes NULL


def _ints(table: pa.Table, name: str) -> Ints:
    return np.asarray(table.column(name).to_numpy(), np.int64)


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(table.column(name).to_numpy(), np.float64)  # NULL becomes NaN


def _figure(block: IntervalBlock, name: str, generation: Ints) -> npt.NDArray[np.generic]:
    """Return what the store keeps in a column of figures."""
    if name == "generation":
        return generation
    if name == "low":
        return _spread(block.low, block.mean)
    if name == "high":
        return _spread(block.high, block.mean)
    return np.asarray(getattr(block, _INTERVAL_FIELDS.get(name, name)))


def _spread(extreme: Floats, mean: Floats) -> Floats:
    """Leave out an extreme that equals the mean, as in every interval of a single packet.

    An extreme that is not known beside a mean that is becomes infinite, which no reading is.
    """
    spread = np.where(extreme == mean, np.nan, extreme)
    return np.where(np.isnan(extreme) & ~np.isnan(mean), np.inf, spread)


def _unspread(stored: Floats, mean: Floats) -> Floats:
    extreme = np.where(np.isnan(stored), mean, stored)
    extreme[np.isinf(extreme)] = np.nan
    return extreme
