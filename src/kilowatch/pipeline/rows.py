"""Packets as rows, and rows as columns."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kilowatch.log import Entry
from kilowatch.model.blocks import Floats, Ints, ReadingBlock
from kilowatch.model.packet import Packet


class Row(NamedTuple):
    """One reading in memory, about 400 bytes.

    Attributes:
        at_ms: Pushed instant [ms since 1970, UTC].
        offset_min: Pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind``.
        seq: Log sequence number.
        available_ms: When it was received [ms since 1970, UTC].
        channels: Channels that it carries.
        values: Their values, in the same order [unit as pushed].
    """

    at_ms: int
    offset_min: int
    flags: int
    seq: int
    available_ms: int
    channels: tuple[int, ...]
    values: array[float]


class Shapes:
    """Sets of channels, each kept once: a stream's packets nearly all carry the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}

    def row(self, packet: Packet, entry: Entry) -> Row:
        """Return a packet of the log as a row."""
        if len(self._known) > 10_000:  # someone varies them without end
            self._known.clear()
        channels = tuple(packet.values)
        return Row(
            entry.at_ms,
            entry.offset_min,
            entry.flags,
            entry.seq,
            entry.received_ms,
            self._known.setdefault(channels, channels),
            array("d", packet.values.values()),
        )


def block_of(series: Sequence[int] | Ints, rows: Sequence[Row]) -> ReadingBlock:
    """Return rows as columns, in the order given.

    Args:
        series: Stream of each row, shape (n,).
        rows: The rows.
    """
    if not rows:
        return ReadingBlock.empty()
    at_ms, offset_min, flags, seq, available_ms, channels, values = zip(*rows, strict=True)
    return ReadingBlock(
        series=np.asarray(series, np.int64),
        at_ms=np.array(at_ms, np.int64),
        offset_min=np.array(offset_min, np.int64),
        flags=np.array(flags, np.int64),
        seq=np.array(seq, np.int64),
        available_ms=np.array(available_ms, np.int64),
        values=_columns(channels, values),
    )


def _columns(
    channels: Sequence[tuple[int, ...]], values: Sequence[array[float]]
) -> dict[int, Floats]:
    shapes: dict[tuple[int, ...], int] = {}
    shape_of = [shapes.setdefault(shape, len(shapes)) for shape in channels]
    if len(shapes) == 1:
        matrix = np.frombuffer(b"".join(values)).reshape(len(values), -1)
        columns = np.ascontiguousarray(matrix.T)
        return dict(zip(channels[0], columns, strict=True))
    found: dict[int, Floats] = {}
    place = np.array(shape_of)
    for shape, number in shapes.items():
        rows = np.flatnonzero(place == number)
        matrix = np.frombuffer(b"".join([values[row] for row in rows.tolist()]))
        for channel, column in zip(shape, matrix.reshape(len(rows), -1).T, strict=True):
            if channel not in found:
                found[channel] = np.full(len(values), np.nan)
            found[channel][rows] = column
    return found


def rows_of(readings: ReadingBlock) -> list[Row]:
    """Return columns as rows, in the same order; a NaN is a channel that is not carried."""
    if not len(readings):
        return []
    codes = tuple(sorted(readings.values))
    matrix = np.array([readings.values[code] for code in codes]).reshape(len(codes), -1).T
    known = ~np.isnan(matrix)
    shapes: dict[bytes, tuple[int, ...]] = {}
    rows = []
    for number in range(len(readings)):
        mask = known[number]
        key = mask.tobytes()
        if key not in shapes:
            shapes[key] = tuple(np.array(codes)[mask].tolist())
        rows.append(
            Row(
                int(readings.at_ms[number]),
                int(readings.offset_min[number]),
                int(readings.flags[number]),
                int(readings.seq[number]),
                int(readings.available_ms[number]),
                shapes[key],
                array("d", matrix[number][mask].tobytes()),
            )
        )
    return rows
