"""Columns of readings and intervals: how numbers travel between pipeline, store and pages."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Quality(IntEnum):
    """How much an interval's figures can be trusted; stored. A larger one is worse."""

    VALID = 0
    DERIVED = 1  # energy from power, where the meter has no register
    EDITED = 2
    ESTIMATED = 3
    QUESTIONABLE = 4  # a register fell and nobody has said why
    FORECAST = 5


@dataclass(slots=True)
class ReadingBlock:
    """Readings as they were pushed, one row a packet, units untouched.

    Every array has shape (n,). ``values`` maps a channel code to its column [unit as
    pushed]; NaN where the packet did not carry the channel.

    Attributes:
        series: Key of the data stream.
        at_ms: Pushed instant [ms since 1970, UTC].
        offset_min: Pushed UTC offset [min].
        flags: ``Form + 4 * OffsetKind`` of the packet.
        seq: Log sequence number; of two rows with equal (series, at_ms) the larger counts.
        available_ms: When the packet was received [ms since 1970, UTC].
        values: Columns by channel.
    """

    series: Ints
    at_ms: Ints
    offset_min: Ints
    flags: Ints
    seq: Ints
    available_ms: Ints
    values: dict[int, Floats]

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: npt.NDArray[np.bool_] | Ints | slice) -> ReadingBlock:
        """Return the rows that a mask, an index or a slice selects."""
        columns = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "values"}
        return ReadingBlock(**columns, values={c: v[rows] for c, v in self.values.items()})

    @staticmethod
    def empty() -> ReadingBlock:
        """Return a block without rows or channels."""
        none = np.empty(0, np.int64)
        return ReadingBlock(none, none, none, none, none, none, {})

    @staticmethod
    def concatenate(blocks: list[ReadingBlock]) -> ReadingBlock:
        """Join blocks; a channel that a block lacks is NaN in its rows."""
        blocks = [block for block in blocks if len(block)]
        if not blocks:
            return ReadingBlock.empty()
        columns = {
            f.name: np.concatenate([getattr(block, f.name) for block in blocks])
            for f in fields(ReadingBlock)
            if f.name != "values"
        }
        channels = sorted({channel for block in blocks for channel in block.values})
        values = {
            channel: np.concatenate(
                [block.values.get(channel, np.full(len(block), np.nan)) for block in blocks]
            )
            for channel in channels
        }
        return ReadingBlock(**columns, values=values)


@dataclass(slots=True)
class IntervalBlock:
    """Figures of intervals or of roll-ups, one row for each (series, channel, start).

    Every array has shape (n,). NaN means "not known", never zero.

    Attributes:
        series: Key of the data stream.
        channel: Channel code (``parameters.py``).
        start_ms: Start of the interval [ms since 1970, UTC], effective instants.
        duration_ms: Length of the interval [ms]; a local day has 23 to 25 hours.
        version: Largest log sequence number that it rests on.
        count: Packets in the interval.
        mean: Mean of the values [canonical unit]; NaN for registers and amounts.
        low: Smallest value [canonical unit].
        high: Largest value [canonical unit].
        amount: Energy or volume of the interval [canonical unit], NaN for gauges.
        unallocated: Amount that a register counted across a gap that ends in this
            interval: known, but not when it was used [canonical unit].
        covered_ms: How much of the interval the figures rest on [ms].
        quality: ``Quality``.
        share_ms: How much of the covered time has each of ``SHARED``, shape (n, 4) [ms]; the
            rest is valid. None where each row has its own quality throughout, as intervals
            have: they do not pay for it. ``shares`` answers for both.
    """

    series: Ints
    channel: Ints
    start_ms: Ints
    duration_ms: Ints
    version: Ints
    count: Ints
    mean: Floats
    low: Floats
    high: Floats
    amount: Floats
    unallocated: Floats
    covered_ms: Ints
    quality: Ints
    share_ms: Ints | None = None

    def __len__(self) -> int:
        return len(self.series)

    def shares(self) -> Ints:
        """Return how much of the covered time has each of ``SHARED``, shape (n, 4) [ms]."""
        if self.share_ms is not None:
            return self.share_ms
        return np.where(self.quality[:, None] == SHARED, self.covered_ms[:, None], 0)

    def take(self, rows: npt.NDArray[np.bool_] | Ints | slice) -> Self:
        """Return the rows that a mask, an index or a slice selects."""
        share_ms = None if self.share_ms is None else self.share_ms[rows]
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return type(self)(**columns, share_ms=share_ms)

    @classmethod
    def empty(cls) -> Self:
        """Return a block without rows."""
        empty: dict[bool, Any] = {True: np.empty(0, np.float64), False: np.empty(0, np.int64)}
        return cls(*(empty[name in FLOAT_COLUMNS] for name in COLUMNS))

    @classmethod
    def concatenate(cls, blocks: list[IntervalBlock]) -> Self:
        """Join blocks in the order given; rows are shared where nothing has to be joined."""
        blocks = [block for block in blocks if len(block)]
        if len(blocks) == 1 and isinstance(blocks[0], cls):
            return blocks[0]
        if not blocks:
            return cls.empty()
        mixed = any(block.share_ms is not None for block in blocks)
        share_ms = np.concatenate([block.shares() for block in blocks]) if mixed else None
        columns = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in COLUMNS}
        return cls(**columns, share_ms=share_ms)


FLOAT_COLUMNS = frozenset({"mean", "low", "high", "amount", "unallocated"})

COLUMNS = tuple(field.name for field in fields(IntervalBlock) if field.name != "share_ms")
"""The columns of a block that every row has, shape (n,)."""

SHARED = np.array(
    [Quality.DERIVED, Quality.EDITED, Quality.ESTIMATED, Quality.QUESTIONABLE], np.int64
)
"""The qualities whose time is kept beside covered time, in the order of ``share_ms``."""
