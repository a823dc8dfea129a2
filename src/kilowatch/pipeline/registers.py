"""Registers: what a cumulative dial counted between two readings, and in which interval.

The difference of two readings is spread evenly over the time between them, so that a
reading at 12:00:07 needs no reading at 12:00:00. Differences are distributed rather than
interpolated dial values subtracted: the parts of a pair then add up to its difference with
an error relative to that difference, however large the dial's figure is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, Ints, Quality
from kilowatch.pipeline.grids import KEY_BITS, BatchGrid, Bools

_ROLL_OVER_SHARE = 0.5
"""A dial that falls has rolled over if it moved on by at most this share of its width; a
larger step forward is more likely a step back (an exchange, a reset, a bad reading)."""


@dataclass(slots=True)
class Readings:
    """Readings of a batch that carry a set of register channels, in order.

    Attributes:
        stream: Number of the stream of each, shape (n,).
        at_ms: Effective instants, shape (n,) [ms].
        seq: Log sequence numbers, shape (n,).
        fresh: New in this batch, shape (n,).
        values: Dial values, shape (channels, n) [unit as pushed]; none is NaN.
        width: First value that the dial does not reach, shape (n,) [unit as pushed].
        factor: From the unit as pushed to the canonical one, shape (n,). Differences are
            converted, not dial values: those have no digits to spare.
    """

    stream: Ints
    at_ms: Ints
    seq: Ints
    fresh: Bools
    values: Floats
    width: Floats
    factor: Floats


@dataclass(slots=True)
class RegisterRows:
    """What registers counted, by interval: shape (g,), or (channels, g) for figures.

    Attributes:
        key: Number of the stream and start of the interval; rising.
        version: Largest sequence number that the interval rests on.
        fresh: A new reading has a part in it.
        count: Readings in the interval.
        amount: Counted in the interval [canonical unit]; NaN where nothing is known.
        unallocated: Counted across a gap that ends here [canonical unit].
        covered_ms: Time that ``amount`` rests on [ms].
        quality: ``Quality``.
        present: There is something to say about this channel in this interval.
    """

    key: Ints
    version: Ints
    fresh: Bools
    count: Ints
    amount: Floats
    unallocated: Floats
    covered_ms: Ints
    quality: Ints
    present: Bools


@dataclass(slots=True)
class Pairs:
    """Readings that follow each other on one dial, p of them.

    Attributes:
        first: The earlier reading of each, shape (p,).
        steps: What was counted, shape (channels, p) [canonical unit, before ``scale``].
        fell: Where the dial fell and nobody has said why, the same shape.
        broken: Where nothing is known about the difference, the same shape; None if nowhere.
        gap: Where the time between is too long to spread the difference over it, shape (p,).
        closing_ms: An instant in the interval that ends with the later reading, shape (p,).
        closing: Number of that interval's stream, shape (p,).
        scale: Factor of each stream, shape (streams,); None if it is 1 throughout.
        across: Factor over the whole time of a pair, shape (p,); likewise.
        end_seq: Sequence number that the later reading of each rests on, shape (p,); None where
            it is its own.
    """

    first: Ints
    steps: Floats
    fell: Bools
    broken: Bools | None
    gap: Bools
    closing_ms: Ints
    closing: Ints
    scale: Floats | None = None
    across: Floats | None = None
    end_seq: Ints | None = None


@dataclass(frozen=True, slots=True)
class Falls:
    """Where dials fell in the readings given and nobody has said why, shape (f,).

    Attributes:
        series: Of the data point.
        channel: Which register.
        before_ms: Effective instant of the reading before [ms].
        at_ms: Effective instant of the one that is lower [ms].
        before: Figure before [as pushed].
        after: Figure after [as pushed].
    """

    series: Ints
    channel: Ints
    before_ms: Ints
    at_ms: Ints
    before: Floats
    after: Floats


@dataclass(slots=True)
class _Parts:
    """Parts of pairs of readings, in order, shape (p,)."""

    pair: Ints
    stream: Ints
    key: Ints
    share: Floats
    covered_ms: Ints


def keys_of(stream: Ints, start_ms: Ints) -> Ints:
    """Return one sortable number for each (stream, start of interval), shape (n,)."""
    return (stream << KEY_BITS) | start_ms


def differences(values: Floats, width: Floats) -> tuple[Floats, Bools]:
    """Return what a dial counted between readings that follow each other.

    Args:
        values: Dial values, shape (channels, n).
        width: First value that the dial does not reach, infinite if unknown, shape (n,).

    Returns:
        Differences, shape (channels, n - 1), roll-overs resolved; and where the dial fell
        without a plausible roll-over, the same shape.

    Example:
        >>> differences(np.array([[999_990.0, 15.0, 5.0]]), np.full(3, 1e6))[0][0, 0]
        np.float64(25.0)
    """
    return steps_between(values[:, :-1], values[:, 1:], width[1:])


def steps_between(before: Floats, after: Floats, limit: Floats) -> tuple[Floats, Bools]:
    """Return what a dial counted from one figure to another; see ``differences``."""
    steps = after - before
    fell = steps < 0
    if not fell.any():
        return steps, fell
    rolled = after + (limit - before)
    plausible = fell & (before <= limit) & (rolled <= limit * _ROLL_OVER_SHARE)
    return np.where(plausible & np.isfinite(rolled), rolled, steps), fell & ~(
        plausible & np.isfinite(rolled)
    )


def pairs_of(readings: Readings, grid: BatchGrid) -> Pairs:
    """Return what was counted between readings that follow each other.

    Pairs further apart than the stream's longest silence are not spread: their difference
    is ``unallocated`` in the interval that ends with the later reading. A dial that fell
    counts nothing and makes that interval questionable.
    """
    first = np.flatnonzero(readings.stream[1:] == readings.stream[:-1])
    steps, fell = differences(readings.values, readings.width)
    stream = readings.stream[first]
    begin_ms, close_ms = readings.at_ms[first], readings.at_ms[first + 1]
    return Pairs(
        first=first,
        steps=steps[:, first] * readings.factor[first],
        fell=fell[:, first],
        broken=None,
        gap=close_ms - begin_ms > grid.gap_ms[stream],
        closing_ms=np.maximum(close_ms - 1, begin_ms),
        closing=stream,
    )


def falls_of(
    readings: Readings, ends: Floats, pairs: Pairs, channels: list[int], grid: BatchGrid
) -> Falls:
    """Return where dials fell, in new readings and in their context."""
    channel, pair = np.nonzero(pairs.fell)
    first = pairs.first[pair]
    return Falls(
        series=grid.series[readings.stream[first]],
        channel=np.array(channels, np.int64)[channel],
        before_ms=readings.at_ms[first],
        at_ms=readings.at_ms[first + 1],
        before=readings.values[channel, first],
        after=ends[channel, first + 1],
    )


def rows_of_pairs(
    readings: Readings, pairs: Pairs, grid: BatchGrid, real: Bools | None = None
) -> RegisterRows:
    """Lay out what was counted by interval; ``real`` tells packets from what a person said."""
    first, steps, fell, gap = pairs.first, pairs.steps, pairs.fell, pairs.gap
    own = grid.buckets(readings.at_ms, readings.stream)
    own_key = keys_of(readings.stream, own.start_ms)
    end_seq = readings.seq[first + 1] if pairs.end_seq is None else pairs.end_seq
    version = np.maximum(readings.seq[first], end_seq)
    fresh = readings.fresh[first] | readings.fresh[first + 1]
    silent = fell if pairs.broken is None else fell | pairs.broken

    parts = _parts(readings, first, ~gap, grid)
    known = ~silent[:, parts.pair]
    shares = steps[:, parts.pair] * parts.share
    if pairs.scale is not None:
        shares = shares * pairs.scale[parts.stream]
    shares = np.where(known, shares, 0.0)

    marked = np.flatnonzero(fell.any(axis=0) | gap)
    stream = pairs.closing[marked]
    mark_key = keys_of(stream, grid.buckets(pairs.closing_ms[marked], stream).start_ms)
    mark_fell = fell[:, marked]
    across = steps[:, marked] if pairs.across is None else (steps * pairs.across)[:, marked]
    across = np.where(gap[marked] & ~silent[:, marked], across, 0.0)

    key = np.unique(np.concatenate([own_key, parts.key, mark_key]))
    rows = _empty(key, len(readings.values))
    group = _Group(own_key, key)
    counted = np.ones(len(own_key), np.int64) if real is None else real.astype(np.int64)
    rows.count[:] = group.spread(group.total(counted), 0)
    if real is None:
        _touch(rows, group, readings.seq, readings.fresh)
    else:
        _touch(rows, group, np.where(real, readings.seq, 0), readings.fresh & real)
    if len(parts.key):
        group = _Group(parts.key, key)
        is_known = group.spread(group.total(known.astype(np.int64)), 0) > 0
        rows.amount[is_known] = group.spread(group.total(shares), 0.0)[is_known]
        rows.covered_ms += group.spread(group.total(known * parts.covered_ms), 0)
        _touch(rows, group, version[parts.pair], fresh[parts.pair])
    if len(marked):
        group = _Group(mark_key, key)
        rows.unallocated += group.spread(group.total(across), 0.0)
        fallen = group.spread(group.total(mark_fell.astype(np.int64)), 0) > 0
        rows.quality[fallen] = Quality.QUESTIONABLE
        _touch(rows, group, version[marked], fresh[marked])
    rows.present = (
        (rows.count > 0)
        | ~np.isnan(rows.amount)
        | (rows.unallocated != 0)
        | (rows.quality == Quality.QUESTIONABLE)
    )
    return rows


def _parts(readings: Readings, first: Ints, spread: Bools, grid: BatchGrid) -> _Parts:
    """Cut the time of each pair at interval boundaries."""
    pair = np.flatnonzero(spread)
    stream = readings.stream[first][pair]
    begin_ms, close_ms = readings.at_ms[first], readings.at_ms[first + 1]
    now_ms = begin_ms[pair]
    found: list[tuple[Ints, Ints, Ints, Floats, Ints]] = []
    while len(pair):
        here = grid.buckets(now_ms, stream)
        until_ms = np.minimum(here.end_ms, close_ms[pair])
        lasted_ms = close_ms[pair] - begin_ms[pair]
        covered_ms = until_ms - now_ms
        share = np.where(lasted_ms > 0, covered_ms / np.maximum(lasted_ms, 1), 1.0)
        found.append((pair, stream, keys_of(stream, here.start_ms), share, covered_ms))
        more = here.end_ms < close_ms[pair]
        pair, now_ms, stream = pair[more], here.end_ms[more], stream[more]
        if grid.dated:
            stream = grid.streams_at(grid.points_of(stream), now_ms)
    if not found:
        none = np.empty(0, np.int64)
        return _Parts(none, none, none, np.empty(0), none)
    if len(found) == 1:
        return _Parts(*found[0])
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return _Parts(*(column[order] for column in columns))


class _Group:
    """Neighbours with the same key, and where their key stands among all keys."""

    def __init__(self, own: Ints, everything: Ints) -> None:
        self._start = np.flatnonzero(np.r_[True, own[1:] != own[:-1]])
        self._at = np.searchsorted(everything, own[self._start])
        self._size = len(everything)

    def total(self, figures: np.ndarray) -> np.ndarray:
        return np.add.reduceat(figures, self._start, axis=-1)

    def largest(self, figures: np.ndarray) -> np.ndarray:
        return np.maximum.reduceat(figures, self._start, axis=-1)

    def spread(self, figures: np.ndarray, nothing: float) -> np.ndarray:
        out = np.full((*figures.shape[:-1], self._size), nothing, figures.dtype)
        out[..., self._at] = figures
        return out


def _touch(rows: RegisterRows, group: _Group, version: Ints, fresh: Bools) -> None:
    np.maximum(rows.version, group.spread(group.largest(version), 0), out=rows.version)
    rows.fresh |= group.spread(group.largest(fresh), False)  # noqa: FBT003 - the value of "no"


def _empty(key: Ints, channels: int) -> RegisterRows:
    shape = (channels, len(key))
    return RegisterRows(
        key=key,
        version=np.zeros(len(key), np.int64),
        fresh=np.zeros(len(key), np.bool_),
        count=np.zeros(shape, np.int64),
        amount=np.full(shape, np.nan),
        unallocated=np.zeros(shape),
        covered_ms=np.zeros(shape, np.int64),
        quality=np.zeros(shape, np.int64),
        present=np.zeros(shape, np.bool_),
    )
