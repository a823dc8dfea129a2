"""Data points whose settings changed: one stream of the batch for each period of settings.

A reading belongs to the period that its effective instant lies in. Where a period begins an
interval is cut, as at a clock change, so that no interval rests on two kinds of settings. A
register goes on across: the time between two readings is cut there too, and each part is
converted by the factor of its own period.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kilowatch.model.blocks import Floats, Ints, ReadingBlock
from kilowatch.model.calendar import Buckets
from kilowatch.model.dated import ALWAYS_MS, MeterEvent
from kilowatch.model.parameters import AP, APP, ENERGY_CHANNELS, FAMILIES, RP
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.grids import KEY_BITS, NEVER_MS, REGISTER, BatchGrid, Bools, PointGrid

_POWERS = frozenset((AP, RP, APP, *ENERGY_CHANNELS))
_CURRENT = next(family.total for family in FAMILIES if family.name == "c")
_VOLTAGES = frozenset(family.total for family in FAMILIES if family.name == "v")


class DatedGrid(BatchGrid):
    """The settings of every period of every data point in a batch, shape (streams,).

    Attributes:
        from_ms: Where each stream's period begins [ms].
        until_ms: Where it ends [ms].
        run: A number that streams share where a register goes on from one to the next.
        unit_factor: From the unit as pushed to the canonical one.
        scale: What counts and powers are multiplied with besides.
        ct_ratio: Of currents.
        vt_ratio: Of voltages.
        energy_factor: Energy of a canonical unit of volume [Wh/m³]; NaN where it is none.
        events: What happened to the registers of each data point, by its number, in order.
        not_before: By energy, instant of each data point's first packet with it [ms].
        told: For the number of a data point and the instant of an event, whether the first
            packet after it is new, and that packet's sequence number; see ``tell``.
    """

    dated = True

    def __init__(self, series: Ints, points: Mapping[int, PointGrid]) -> None:
        super().__init__(series, points)
        self._zone_of = self._zone_of[self._owner]
        self.events: dict[int, tuple[MeterEvent, ...]] = {
            number: found
            for number, key in enumerate(self.keys.tolist())
            if (found := register_events(points[key].point))
        }
        self.not_before: dict[int, Ints] = {}
        self.told: dict[tuple[int, int], tuple[bool, int]] = {}

    def tell(self, at_ms: Ints, seq: Ints, fresh: Bools) -> None:
        """Leave out what happened after the last packet, and say what of the rest is new.

        What a person read off a register counts from the first packet after it on, whatever
        that carries: else it would be counted from too early a packet, and a later one before
        it could contradict. So the batches in which packets come make no difference.

        Args:
            at_ms: Effective instants of the batch's readings, in order, shape (n,) [ms].
            seq: Their log sequence numbers, shape (n,).
            fresh: New in this batch, shape (n,).
        """
        for point, events in list(self.events.items()):
            rows = slice(*np.searchsorted(self.of_row, [point, point + 1]))
            own_ms, old_ms = at_ms[rows], at_ms[rows][~fresh[rows]]
            known_ms = old_ms[-1] if len(old_ms) else -1
            self.events[point] = tuple(event for event in events if event.at_ms <= own_ms[-1])
            for event in self.events[point]:
                after = int(seq[rows][np.searchsorted(own_ms, event.at_ms)])
                self.told[point, event.at_ms] = bool(event.at_ms > known_ms), after

    def _take_columns(self, grids: list[PointGrid]) -> None:
        periods = [grid.columns_of_periods for grid in grids]
        counts = np.array([len(own) for own in periods], np.int64)
        self._owner = np.repeat(np.arange(len(grids)), counts)
        self._first = np.cumsum(counts) - counts
        rows = [columns for own in periods for columns in own]
        table = np.array(rows).reshape(len(rows), 17).T
        self._take(table)
        self.series = self.keys[self._owner]
        self.from_ms: Ints = table[12].astype(np.int64)
        last = np.append(self._owner[1:] != self._owner[:-1], np.True_)
        self.until_ms: Ints = np.where(last, NEVER_MS, np.append(self.from_ms[1:], NEVER_MS))
        self._begins = (self._owner << KEY_BITS) | self.from_ms
        counting = self.behaviour == REGISTER
        change = (self._owner[1:] != self._owner[:-1]) | (counting[1:] != counting[:-1])
        self.run: Ints = np.concatenate([[0], np.cumsum(change)])
        self.scale: Floats = table[13]
        self.ct_ratio: Floats = table[14]
        self.vt_ratio: Floats = table[15]
        self.energy_factor: Floats = table[16]
        self.unit_factor = self.factor
        self.factor = self.unit_factor * self.scale

    @property
    def reach_ms(self) -> Ints:
        """Longest silence that a difference is spread over, now or in a later period [ms]."""
        reach = self.gap_ms.copy()
        same = np.flatnonzero(self._owner[:-1] == self._owner[1:])
        for stream in same[::-1].tolist():
            reach[stream] = max(reach[stream], reach[stream + 1])
        return reach

    def streams_at(self, point: Ints, at_ms: Ints) -> Ints:
        """Return the stream of each data point at an instant, shape (k,)."""
        keys = (point << KEY_BITS) | np.clip(at_ms, 0, NEVER_MS - 1)
        return np.searchsorted(self._begins, keys, side="right") - 1

    def streams_about(self, stream: Ints, at_ms: Ints) -> Ints:
        """Return the stream that a sample stamped ``at_ms`` belongs to, shape (k,).

        A sample stamped with the end of its interval, just where a period begins, is about
        the period before.
        """
        before = np.maximum(stream - 1, 0)
        ended = self.stamp_end[stream] & (at_ms == self.from_ms[stream]) & (at_ms > ALWAYS_MS)
        ended &= (self._owner[before] == self._owner[stream]) & (stream > 0)
        ended &= (self.behaviour[before] == REGISTER) == (self.behaviour[stream] == REGISTER)
        return np.where(ended, before, stream)

    def sampled_ms(self, at_ms: Ints, stream: Ints) -> Ints:
        """Return an instant inside the interval that a sample stamped ``at_ms`` belongs to."""
        inside = super().sampled_ms(at_ms, stream)
        return np.clip(inside, self.from_ms[stream], self.until_ms[stream] - 1)

    def buckets(self, at_ms: Ints, stream: Ints) -> Buckets:
        """Return the interval of each instant, cut where the period begins and ends."""
        found = super().buckets(at_ms, stream)
        return Buckets(
            np.maximum(found.start_ms, self.from_ms[stream]),
            np.minimum(found.end_ms, self.until_ms[stream]),
        )

    def points_of(self, stream: Ints) -> Ints:
        """Return the data point of each stream, shape (k,)."""
        return self._owner[stream]

    def by_point(self, column: Any) -> Any:
        """Return a column of streams as one of data points, where their streams agree."""
        return column[self._first]

    def by_stream(self, column: Any) -> Any:
        """Return a column of data points as one of streams."""
        return column[self._owner]

    def starts(self, at_ms: Ints) -> Ints:
        """Return the start of the interval of one instant for each stream; see ``BatchGrid``."""
        at_ms = at_ms[self._owner]
        found = self.buckets(np.clip(at_ms, 0, NEVER_MS - 1), np.arange(len(self.series))).start_ms
        found = np.where(at_ms >= self.until_ms, self.until_ms, found)
        return np.where(at_ms < self.from_ms, self.from_ms - 1, found)

    def scaled(self, values: Mapping[int, Floats], stream: Ints) -> dict[int, Floats]:
        """Return an electrical batch's values with multiplier and transformer ratios applied.

        Registers stay as they are: their differences are scaled, part by part.
        """
        found = dict(values)
        registers = self.behaviour[stream] == REGISTER
        for channel, column in values.items():
            total = channel - channel % 4
            if total in _POWERS:
                scale = self.scale[stream]
                if total in ENERGY_CHANNELS:
                    scale = np.where(registers, 1.0, scale)
                found[channel] = column * scale
            elif total == _CURRENT:
                found[channel] = column * self.ct_ratio[stream]
            elif total in _VOLTAGES:
                found[channel] = column * self.vt_ratio[stream]
        return found


def grid_of_batch(series: Ints, points: Mapping[int, PointGrid]) -> BatchGrid:
    """Return the settings of a batch; as a ``DatedGrid`` if any data point in it needs one."""
    if [grid for grid in points.values() if grid.dated]:  # a list is made faster than asked for
        return DatedGrid(series, points)
    return BatchGrid(series, points)


def register_events(point: DataPoint) -> tuple[MeterEvent, ...]:
    """Return what happened to the registers of a data point, by instant."""
    events = point.history.events
    if not events:
        return ()
    mine = (event for event in events if event.kind != "bad")
    return tuple(sorted(mine, key=lambda event: event.at_ms))


def without_bad(
    readings: ReadingBlock, effective_ms: Ints, points: Mapping[int, PointGrid]
) -> tuple[ReadingBlock, Bools]:
    """Leave out what a person has marked as bad, as if it had never been sent.

    Args:
        readings: Readings of a batch.
        effective_ms: Their effective instants, shape (n,) [ms].
        points: Settings by series.

    Returns:
        Readings of the same length in which bad values are NaN, and which readings remain,
        shape (n,).
    """
    remain = np.ones(len(readings), np.bool_)
    values: dict[int, Floats] = {}
    for series, grid in points.items():
        for event in grid.point.history.events:
            if event.kind != "bad":
                continue
            until_ms = event.at_ms if event.until_ms is None else event.until_ms
            rows = readings.series == series
            rows &= (effective_ms >= event.at_ms) & (effective_ms <= until_ms)
            if event.channel is None:
                remain &= ~rows
            elif event.channel in readings.values:
                column = values.get(event.channel, readings.values[event.channel])
                values[event.channel] = np.where(rows, np.nan, column)
    if values:
        kept = dict(readings.values) | values
        some = np.zeros(len(readings), np.bool_)
        for column in kept.values():
            some |= ~np.isnan(column)
        remain &= some
        readings = ReadingBlock(
            readings.series, readings.at_ms, readings.offset_min, readings.flags,
            readings.seq, readings.available_ms, kept,
        )  # fmt: skip
    return readings, remain


def has_bad(points: Mapping[int, PointGrid]) -> bool:
    """Say whether anything was marked as bad in any of the data points."""
    dated = [grid for grid in points.values() if grid.dated]
    return any(event.kind == "bad" for grid in dated for event in grid.point.history.events)
