"""What the next batch must know of the past, so that nothing older is ever read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.model.blocks import Ints, ReadingBlock
from kilowatch.model.parameters import AP, ENERGY_CHANNELS, VALUE
from kilowatch.pipeline.epochs import DatedGrid, grid_of_batch
from kilowatch.pipeline.grids import (
    AMOUNT,
    NEVER_MS,
    REGISTER,
    BatchGrid,
    Bools,
    PointGrid,
    rows_in_order,
)
from kilowatch.pipeline.phases import PHASES, first_of_stream, sum_of_phases

_POWERS = tuple(AP + phase for phase in PHASES)
_ENERGIES = tuple(total + phase for total in ENERGY_CHANNELS for phase in PHASES)


@dataclass(frozen=True, slots=True)
class Carry:
    """What to keep of readings and settings until the next packet of each stream.

    Attributes:
        keep: Readings that are context of the next one, shape (n,).
        since_ms: By series, first interval start that a packet in order can still change.
        first_register_ms: By series and energy, for the next ``PointGrid``.
        first_export_ms: By series, for the next ``PointGrid``; missing while none was seen.
    """

    keep: Bools
    since_ms: dict[int, int]
    first_register_ms: dict[int, Mapping[int, int]]
    first_export_ms: dict[int, int]


def carry(readings: ReadingBlock, effective_ms: Ints, points: Mapping[int, PointGrid]) -> Carry:
    """Return what the intervals of later packets rest on.

    That is everything since the interval of the last packet, or since the interval of a
    register channel's last reading where a next one would be spread back to it; and each
    register channel's last reading before that.

    Args:
        readings: Readings sorted by series and instant, with their own context.
        effective_ms: Their effective instants, shape (n,) [ms].
        points: Settings by series.
    """
    if not len(readings):
        return Carry(np.empty(0, np.bool_), {}, {}, {})
    order = rows_in_order(readings, effective_ms)
    if order is not None:
        found = carry(readings.take(order), effective_ms[order], points)
        keep = np.zeros(len(readings), np.bool_)
        keep[order] = found.keep
        return replace(found, keep=keep)
    grid = grid_of_batch(readings.series, points)
    stream, streams = grid.of_row, np.arange(len(grid.keys))
    last_ms = np.zeros(len(streams), np.int64)
    np.maximum.at(last_ms, stream, effective_ms)
    about = grid.streams_about(grid.streams_at(streams, last_ms), last_ms)
    since_ms = grid.buckets(grid.sampled_ms(last_ms, about), about).start_ms
    periods = grid.streams_at(stream, effective_ms)
    registers = _register_readings(readings, grid, periods)
    reach_ms = grid.reach_ms
    for rows in registers:
        final = _last_of_streams(rows, stream)
        own = stream[final]
        read_ms = effective_ms[final]
        # What a person read may be of another register: the packet's own moment counts too.
        for final_ms in (read_ms, *_told_ms(grid, own, read_ms, last_ms[own])):
            period = grid.streams_at(own, final_ms)
            starts = grid.buckets(final_ms, period).start_ms
            near = last_ms[own] - final_ms <= reach_ms[period]
            since_ms[own[near]] = np.minimum(since_ms[own[near]], starts[near])
    keep = effective_ms >= since_ms[stream]
    for rows in registers:
        before = rows[effective_ms[rows] < since_ms[stream[rows]]]
        keep[_last_of_streams(before, stream)] = True
    return Carry(
        keep,
        dict(zip(grid.keys.tolist(), since_ms.tolist(), strict=True)),
        _first_registers(readings, effective_ms, grid, points),
        _first_exports(readings, effective_ms, grid),
    )


def _told_ms(grid: BatchGrid, point: Ints, read_ms: Ints, last_ms: Ints) -> list[Ints]:
    """Return each moment since the packet at which a person read some register [ms]."""
    if not isinstance(grid, DatedGrid) or not grid.events:
        return []
    told = [grid.events.get(one, ()) for one in point.tolist()]
    found = []
    for number in range(max(len(events) for events in told)):
        known_ms = read_ms.copy()
        for row, events in enumerate(told):
            if number < len(events) and read_ms[row] < events[number].at_ms <= last_ms[row]:
                known_ms[row] = events[number].at_ms
        found.append(known_ms)
    return found


def _register_readings(readings: ReadingBlock, grid: BatchGrid, periods: Ints) -> list[Ints]:
    """Return, for each set of register channels that come together, the readings with them."""
    register = grid.behaviour[periods] == REGISTER
    electrical = ~grid.single[periods]
    energies = electrical & (grid.behaviour[periods] != AMOUNT)
    found: dict[bytes, Ints] = {}
    for channel in (VALUE, *_ENERGIES):
        if channel in readings.values:
            counts = register & ~electrical if channel == VALUE else energies
            known = counts & ~np.isnan(readings.values[channel])
            found.setdefault(known.tobytes(), np.flatnonzero(known))
    return [rows for rows in found.values() if len(rows)]


def _last_of_streams(rows: Ints, stream: Ints) -> Ints:
    """Return, of some readings in order, the last one of each stream."""
    own = stream[rows]
    return rows[np.append(own[1:] != own[:-1], np.True_)] if len(rows) else rows


def _first_registers(
    readings: ReadingBlock, effective_ms: Ints, grid: BatchGrid, points: Mapping[int, PointGrid]
) -> dict[int, Mapping[int, int]]:
    electrical = ~grid.by_point(grid.single)[grid.of_row]
    keys = grid.keys.tolist()
    first: dict[int, Mapping[int, int]] = {key: points[key].first_register_ms for key in keys}
    for total in ENERGY_CHANNELS:
        known = np.full(len(grid.keys), NEVER_MS)
        for phase in PHASES:
            if total + phase in readings.values:
                carried = electrical & ~np.isnan(readings.values[total + phase])
                known = first_of_stream(grid.of_row, effective_ms, carried, known)
        some = np.flatnonzero(known < NEVER_MS)
        for key, at_ms in zip(grid.keys[some].tolist(), known[some].tolist(), strict=True):
            if at_ms < first[key].get(total, NEVER_MS):  # hardly ever: nothing is copied else
                first[key] = {**first[key], total: at_ms}
    return first


def _first_exports(readings: ReadingBlock, effective_ms: Ints, grid: BatchGrid) -> dict[int, int]:
    phases = [readings.values[channel] for channel in _POWERS if channel in readings.values]
    known = grid.by_point(grid.first_negative_ms)
    if phases:
        with np.errstate(over="ignore", invalid="ignore"):  # see ``samples.finite``
            exporting = ~grid.by_point(grid.single)[grid.of_row] & (sum_of_phases(phases) < 0)
        known = first_of_stream(grid.of_row, effective_ms, exporting, known)
    some = np.flatnonzero(known < NEVER_MS)
    return dict(zip(grid.keys[some].tolist(), known[some].tolist(), strict=True))
