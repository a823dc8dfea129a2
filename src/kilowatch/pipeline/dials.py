"""Registers whose settings changed, or whose meter was exchanged: pairs across a boundary.

What a person has read off a meter at its exchange stands between the packets like a reading of
the old register and one of the new; nothing is counted between those two. Only data points with
such a history come here (``intervals.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.dated import MeterEvent
from kilowatch.pipeline.epochs import DatedGrid
from kilowatch.pipeline.grids import KEY_BITS, REGISTER, SPREAD_MAX, Bools
from kilowatch.pipeline.registers import (
    Pairs,
    Readings,
    RegisterRows,
    rows_of_pairs,
    steps_between,
)

Signature = tuple[tuple[int, int, str], ...]


@dataclass(slots=True)
class Dial:
    """Readings and what persons read, in order, n of them.

    Attributes:
        readings: All of them; ``values`` are what the next difference begins with.
        ends: What a difference ends with, shape (channels, n) [as pushed].
        end_stream: Stream of the moment before each, where a difference ends, shape (n,).
        real: Those that are packets, shape (n,).
        rolled: Width of a roll-over that ends with each, shape (channels, n); NaN elsewhere.
        end_seq: Sequence number that a difference rests on where it ends with each, shape (n,).
        unheard: What was read off before the register's first packet, shape (n,).
    """

    readings: Readings
    ends: Floats
    end_stream: Ints
    real: Bools
    rolled: Floats
    end_seq: Ints
    unheard: Bools


def events_of(grid: DatedGrid, point: int, channel: int) -> tuple[MeterEvent, ...]:
    """Return what happened to one register: what was recorded for it, else for all of them.

    Where energy came from power before the register's first packet, nothing counts up to it.
    """
    found: dict[tuple[int, str], MeterEvent] = {}
    first_ms = grid.not_before.get(channel - channel % 4)
    for event in grid.events.get(point, ()):
        if first_ms is not None and event.at_ms <= first_ms[point]:
            continue
        key = (event.at_ms, event.kind)
        if event.channel == channel or (event.channel is None and key not in found):
            found[key] = event
    return tuple(sorted(found.values(), key=lambda event: (event.at_ms, event.kind)))


def signature(grid: DatedGrid, channel: int) -> Signature:
    """Return what happened when, so that channels with the same story are one matrix."""
    return tuple(
        (point, event.at_ms, event.kind)
        for point in grid.events
        for event in events_of(grid, point, channel)
    )


def dial(readings: Readings, channels: list[int], grid: DatedGrid) -> Dial:
    """Put what persons have read among the readings of channels with the same story."""
    owner = grid.points_of(readings.stream)
    key = (owner << KEY_BITS) | readings.at_ms
    rolled = np.full(readings.values.shape, np.nan)
    place: list[int] = []
    points: list[int] = []
    at_ms: list[int] = []
    begins: list[list[float]] = []
    ends: list[list[float]] = []
    for point in sorted(grid.events.keys() & set(owner.tolist())) if grid.events else ():
        stories = [events_of(grid, point, channel) for channel in channels]
        for events in zip(*stories, strict=True):
            where = int(np.searchsorted(key, (point << KEY_BITS) | events[0].at_ms))
            if events[0].kind == "roll_over":
                if where < len(key) and owner[where] == point:
                    rolled[:, where] = [_number(event.width) for event in events]
                continue
            place.append(where)
            points.append(point)
            at_ms.append(events[0].at_ms)
            begins.append([_number(event.first) for event in events])
            ends.append([_number(event.last) for event in events])
    if not place:
        real = np.ones(len(key), np.bool_)
        return Dial(readings, readings.values, readings.stream, real, rolled, readings.seq, ~real)
    real = np.insert(np.ones(len(key), np.bool_), place, np.False_)
    # What goes on from what a person read rests on the packet before it, else on the one after;
    # what goes up to it is there since the first packet of any kind that came after it.
    before, own = np.array(place, np.int64), np.array(points, np.int64)
    heard = (before > 0) & (owner[before - 1] == own)
    rests_on = np.where(heard, before - 1, before)
    when = np.array(at_ms, np.int64)
    told = [grid.told[moment] for moment in zip(points, at_ms, strict=True)]
    fresh = readings.fresh[rests_on] | np.array([news for news, _ in told], np.bool_)
    stream = np.insert(readings.stream, place, grid.streams_at(own, when))
    joined = Readings(
        stream=stream,
        at_ms=np.insert(readings.at_ms, place, when),
        seq=np.insert(readings.seq, place, readings.seq[rests_on]),
        fresh=np.insert(readings.fresh, place, fresh),
        values=np.insert(readings.values, place, np.array(begins).T, axis=1),
        width=grid.register_max[stream],
        factor=grid.unit_factor[stream],
    )
    return Dial(
        joined,
        np.insert(readings.values, place, np.array(ends).T, axis=1),
        np.insert(readings.stream, place, grid.streams_at(own, when - 1)),
        real,
        np.insert(rolled, place, np.nan, axis=1),
        np.insert(readings.seq, place, [seq for _, seq in told]),
        np.insert(np.zeros(len(key), np.bool_), place, ~heard),
    )


def dated_rows(some: Dial, grid: DatedGrid, scale: Floats) -> tuple[RegisterRows, Pairs]:
    """Spread the differences of registers over intervals and periods of settings."""
    pairs = _pairs(some, grid, scale)
    return rows_of_pairs(some.readings, pairs, grid, some.real), pairs


def _pairs(some: Dial, grid: DatedGrid, scale: Floats) -> Pairs:
    readings = some.readings
    counts = grid.behaviour[readings.stream[:-1]] == REGISTER
    counts &= grid.run[readings.stream[:-1]] == grid.run[some.end_stream[1:]]
    first = np.flatnonzero(counts)
    begin, end = readings.stream[first], some.end_stream[first + 1]
    unit, end_unit = grid.unit_factor[begin], grid.unit_factor[end]
    begins, ends = readings.values[:, first], some.ends[:, first + 1]
    # Figures in another unit are on the same dial; only there does the conversion come first.
    ends = np.where(unit == end_unit, ends, ends * (end_unit / unit))
    steps, fell = steps_between(begins, ends, grid.register_max[begin])
    rolled = some.rolled[:, first + 1]
    decided = fell & (begins <= rolled)
    steps = np.where(decided, ends + (rolled - begins), steps)
    fell &= ~decided
    broken = np.isnan(steps)
    begin_ms, close_ms = readings.at_ms[first], readings.at_ms[first + 1]
    lasted_ms = close_ms - begin_ms
    gap = lasted_ms > np.maximum(grid.gap_ms[begin], grid.gap_ms[end])
    at_once = (lasted_ms == 0) & ~some.real[first]
    across = scale[end]
    for number in np.flatnonzero(begin != end).tolist():
        spans = range(int(begin[number]), int(end[number]) + 1)
        parts_ms = [
            min(int(grid.until_ms[stream]), int(close_ms[number]))
            - max(int(grid.from_ms[stream]), int(begin_ms[number]))
            for stream in spans
        ]
        many = sum(
            part / (1000.0 * grid.interval_s[stream])
            for stream, part in zip(spans, parts_ms, strict=True)
        )
        gap[number] |= many > SPREAD_MAX
        if lasted_ms[number] > 0 and len({float(scale[stream]) for stream in spans}) > 1:
            across[number] = sum(
                scale[stream] * (part / int(lasted_ms[number]))
                for stream, part in zip(spans, parts_ms, strict=True)
                if not np.isnan(scale[stream])
            )
    closing_ms = np.where(at_once, close_ms - 1, np.maximum(close_ms - 1, begin_ms))
    gap |= at_once
    closing = grid.streams_at(grid.points_of(end), closing_ms)
    # Before a register began there is no interval of it: then it is the one that it begins with.
    elsewhere = grid.run[closing] != grid.run[end]
    closing = np.where(elsewhere, end, closing)
    closing_ms = np.where(elsewhere, close_ms, closing_ms)
    return Pairs(
        first=first,
        steps=steps * unit,
        fell=fell,
        broken=broken,
        gap=gap,
        closing_ms=closing_ms,
        closing=closing,
        scale=scale,
        across=np.where(np.isnan(across), 0.0, across),
        end_seq=some.end_seq[first + 1],
    )


def _number(figure: float | None) -> float:
    return np.nan if figure is None else figure
