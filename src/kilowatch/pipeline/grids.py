"""The settings of a batch's data points, as columns, and the time grid that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Floats, Ints, ReadingBlock
from kilowatch.model.calendar import Buckets, Zone, buckets
from kilowatch.model.clock import (
    NO_EVIDENCE,
    NOT_ON_THE_WALL,
    ClockWitness,
    Decision,
    effective_ms,
    evidence,
    live_window_ms,
)
from kilowatch.model.dated import ALWAYS_MS, Period
from kilowatch.model.lengths import DAY_S, HOUR_MS
from kilowatch.model.packet import OffsetKind
from kilowatch.model.parameters import PC, PE
from kilowatch.model.points import DataPoint

Bools = npt.NDArray[np.bool_]

REGISTER, AMOUNT, RATE, GAUGE = 0, 1, 2, 3
_BEHAVIOUR = {"register": REGISTER, "amount": AMOUNT, "rate": RATE, "gauge": GAUGE}

SPREAD_MAX = 1_000
"""A difference is spread over at most this many intervals, whatever the tolerance: a typing
error in a setting must not make a year of seconds out of two readings."""

NEVER_MS = 1 << 42  # after every instant that a packet can carry (year 2109)
_NO_FACTORS = (ALWAYS_MS, 1.0, 1.0, 1.0, np.nan)
"""Beginning of the only period, scale, CT and VT ratio, energy of a volume."""

KEY_BITS = 42  # so instants fit; above them is the number of the stream


@dataclass(frozen=True, slots=True)
class PointGrid:
    """What the interval rules must know about one data stream.

    Attributes:
        point: Its settings.
        zone: The site's time zone.
        clock: Which part of its timestamps to believe.
        first_register_ms: For ``PC``, ``PE``, ``QC`` and ``QE``: effective instant of the
            first packet that carried any phase of that energy; missing while none has.
        first_export_ms: Effective instant of the first negative total active power.
        dated: Whether its settings have periods, or something happened to its registers.
    """

    point: DataPoint
    zone: Zone
    clock: Decision = "undecided"
    first_register_ms: Mapping[int, int] = field(default_factory=dict)
    first_export_ms: int | None = None
    dated: bool = field(init=False, repr=False, compare=False)
    _columns: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _periods: tuple[tuple[float, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        history = self.point.history
        object.__setattr__(self, "dated", bool(history.periods or history.events))
        object.__setattr__(self, "_columns", self._columns_of(self.point))
        periods = tuple(map(self._columns_of_period, history.periods)) if self.dated else ()
        object.__setattr__(self, "_periods", periods)

    @property
    def columns_of_periods(self) -> tuple[tuple[float, ...], ...]:
        """The settings of each period as numbers, at least one."""
        return self._periods or ((*self._columns, *_NO_FACTORS),)

    @staticmethod
    def of(point: DataPoint, decision: Decision = "undecided") -> PointGrid:
        """Return the grid of a data point; ``decision`` counts when its clock is ``auto``."""
        clock = decision if point.clock == "auto" else point.clock
        if point.history.periods:
            point = replace(point, history=point.history.with_clock(decision))
        return PointGrid(point, Zone.of(point.history.zone_name(point.zone)), clock)

    def _columns_of(self, settings: DataPoint | Period) -> tuple[float, ...]:
        """Return the settings of the data point, or of one of its periods, as numbers."""
        unit = settings.unit_of_value
        single = self.point.kind == "single"
        # A month or a day is as long as the calendar says: up to an hour more than registered.
        calendar_ms = HOUR_MS if settings.interval_s >= DAY_S else 0
        return (
            settings.interval_s,
            min(settings.gap_ms, SPREAD_MAX * settings.interval_s * 1000) + calendar_ms,
            single,
            _BEHAVIOUR[settings.behaviour],
            settings.stamp == "end",
            unit.factor if single else 1.0,
            unit.offset if single else 0.0,
            unit.amount_factor,
            np.inf if settings.register_max is None else settings.register_max,
            self.first_register_ms.get(PC, NEVER_MS),
            self.first_register_ms.get(PE, NEVER_MS),
            NEVER_MS if self.first_export_ms is None else self.first_export_ms,
        )

    def _columns_of_period(self, period: Period) -> tuple[float, ...]:
        energy = period.energy_wh_per_m3 if period.unit_of_value.amount == "m3" else None
        return (
            *self._columns_of(period),
            period.from_ms,
            period.scale(self.point.kind),
            period.ct_ratio,
            period.vt_ratio,
            np.nan if energy is None else energy,
        )


class BatchGrid:
    """The settings of every stream in a batch, one element each, shape (streams,).

    ``epochs.DatedGrid`` is one in which a data point has several streams, one for each period
    of its settings; the methods that tell them apart do nothing here.

    Attributes:
        keys: Series of the data points, rising.
        of_row: For each reading, the number of its data point, shape (n,).
        series: Series of each stream, shape (streams,).
        dated: Whether data points and streams differ.
    """

    dated = False

    def __init__(self, series: Ints, points: Mapping[int, PointGrid]) -> None:
        self.keys, self.of_row = np.unique(series, return_inverse=True)
        self.series: Ints = self.keys
        grids = [points[key] for key in self.keys.tolist()]
        self._take_columns(grids)
        self.zones = list({id(grid.zone): grid.zone for grid in grids}.values())
        number = {id(zone): position for position, zone in enumerate(self.zones)}
        self._zone_of = np.array([number[id(grid.zone)] for grid in grids], np.int64)

    def _take_columns(self, grids: list[PointGrid]) -> None:
        self._take(np.array([grid._columns for grid in grids]).reshape(len(grids), 12).T)  # noqa: SLF001

    def _take(self, table: Floats) -> None:
        self.interval_s: Ints = table[0].astype(np.int64)
        self.gap_ms: Ints = table[1].astype(np.int64)
        self.single: Bools = table[2] != 0
        self.behaviour: Ints = table[3].astype(np.int64)
        self.stamp_end: Bools = table[4] != 0
        self.factor: Floats = table[5]
        self.offset: Floats = table[6]
        self.amount_factor: Floats = table[7]
        self.register_max: Floats = table[8]
        self.first_import_ms: Ints = table[9].astype(np.int64)
        self.first_export_register_ms: Ints = table[10].astype(np.int64)
        self.first_negative_ms: Ints = table[11].astype(np.int64)

    @property
    def reach_ms(self) -> Ints:
        """Longest silence that a difference is spread over, now or in a later period [ms]."""
        return self.gap_ms

    def streams_at(self, point: Ints, at_ms: Ints) -> Ints:  # noqa: ARG002
        """Return the stream of each data point at an instant, shape (k,)."""
        return point

    def streams_about(self, stream: Ints, at_ms: Ints) -> Ints:  # noqa: ARG002
        """Return the stream that a sample stamped ``at_ms`` belongs to, shape (k,)."""
        return stream

    def points_of(self, stream: Ints) -> Ints:
        """Return the data point of each stream, shape (k,)."""
        return stream

    def by_point(self, column: Any) -> Any:
        """Return a column of streams as one of data points, where their streams agree."""
        return column

    def by_stream(self, column: Any) -> Any:
        """Return a column of data points as one of streams."""
        return column

    def starts(self, at_ms: Ints) -> Ints:
        """Return the interval's start of one instant of each data point, shape (streams,).

        Where the instant lies in another period of the settings, it is the stream's end, or
        the moment before it begins.

        Args:
            at_ms: Effective instants, shape (points,) [ms].
        """
        return self.buckets(at_ms, np.arange(len(self.series))).start_ms

    def buckets(self, at_ms: Ints, stream: Ints) -> Buckets:
        """Return the interval of each instant on the grid of its stream.

        Args:
            at_ms: Effective instants, shape (k,) [ms].
            stream: Numbers of their streams, shape (k,).
        """
        interval_s = self.interval_s[stream]
        if len(self.zones) == 1:
            return buckets(at_ms, interval_s, self.zones[0])
        start, end = np.empty_like(at_ms), np.empty_like(at_ms)
        zone_of = self._zone_of[stream]
        for number, zone in enumerate(self.zones):
            rows = np.flatnonzero(zone_of == number)
            part = buckets(at_ms[rows], interval_s[rows], zone)
            start[rows], end[rows] = part.start_ms, part.end_ms
        return Buckets(start, end)

    def sampled_ms(self, at_ms: Ints, stream: Ints) -> Ints:
        """Return an instant inside the interval that a sample stamped ``at_ms`` belongs to."""
        return at_ms - self.stamp_end[stream]


def rows_in_order(readings: ReadingBlock, effective_ms: Ints) -> Ints | None:
    """Return the readings that count, by series and effective instant; None if all do, so.

    Of two readings with the same series and pushed instant the one with the larger
    sequence number counts: it is the merged packet of a partial push. Effective instants
    of one series can fall only where somebody set a wall clock back.
    """
    same = readings.series[1:] == readings.series[:-1]
    risen = effective_ms[1:] >= effective_ms[:-1]
    later = readings.at_ms[1:] > readings.at_ms[:-1]
    rising = readings.series[1:] > readings.series[:-1]
    if (rising | (same & risen & later)).all():
        return None
    order = np.lexsort((readings.seq, readings.at_ms, readings.series))
    series, at_ms = readings.series[order], readings.at_ms[order]
    replaced = (series[1:] == series[:-1]) & (at_ms[1:] == at_ms[:-1])
    order = order[~np.append(replaced, np.False_)]
    order = order[np.lexsort((readings.at_ms[order], effective_ms[order], readings.series[order]))]
    if len(order) == len(readings) and (order[1:] > order[:-1]).all():
        return None  # in order by effective instants, though pushed ones fall in autumn
    return np.asarray(order, np.int64)


def effective_of(
    readings: ReadingBlock, points: Mapping[int, PointGrid], clock: Decision | None = None
) -> Ints:
    """Return the effective instant of each reading, shape (n,) [ms].

    Args:
        readings: The readings.
        points: Grids of their series.
        clock: What to believe in place of the grids' own clocks.

    Raises:
        KeyError: A series has no grid.
    """
    series, of_row = np.unique(readings.series, return_inverse=True)
    kinds: dict[tuple[str, Decision], int] = {}
    grids = [points[key] for key in series.tolist()]
    kind_of = np.array(
        [kinds.setdefault((grid.zone.name, clock or grid.clock), len(kinds)) for grid in grids],
        np.int64,
    )
    at_ms = readings.at_ms.copy()
    for (zone_name, decision), kind in kinds.items():
        if decision == "offset":
            continue
        rows = slice(None) if len(kinds) == 1 else np.flatnonzero(kind_of[of_row] == kind)
        at_ms[rows] = effective_ms(
            readings.at_ms[rows],
            readings.offset_min[rows],
            readings.flags[rows],
            decision,
            Zone.of(zone_name),
        )
    for number, grid in enumerate(grids):
        if grid.dated and len({period.clock for period in grid.point.history.periods}) > 1:
            rows = np.flatnonzero(of_row == number)
            at_ms[rows] = _by_dated_clocks(readings.take(rows), grid)
    return at_ms


def _by_dated_clocks(readings: ReadingBlock, grid: PointGrid) -> Ints:
    """Return effective instants where the clock is another one from a date on, shape (n,) [ms].

    A packet is read by the latest clock that puts it into that clock's own time, and never
    happens after that time ends: so the order of packets stays.
    """
    found = np.zeros(len(readings), np.int64)
    open_rows = np.ones(len(readings), np.bool_)
    until_ms = NEVER_MS
    for period in reversed(grid.point.history.periods):
        clock: Decision = "undecided" if period.clock == "auto" else period.clock
        read_ms = effective_ms(
            readings.at_ms, readings.offset_min, readings.flags, clock, grid.zone
        )
        mine = open_rows & (read_ms >= period.from_ms)
        found[mine] = np.minimum(read_ms[mine], until_ms - 1)
        open_rows &= ~mine
        until_ms = period.from_ms
    return found


def watch_clocks(
    readings: ReadingBlock,
    points: Mapping[int, PointGrid],
    witnesses: Mapping[int, ClockWitness],
    overtaken: Bools | None = None,
) -> dict[int, ClockWitness]:
    """Let new packets speak about the clocks that are not decided yet.

    Args:
        readings: New packets only, in the order of their instants within each series.
        points: Grids of their series.
        witnesses: What earlier packets said, by series.
        overtaken: Which of them came after a newer one, shape (n,): when they came says nothing
            of ``+00:00``. None where all came in order.

    Returns:
        The witnesses that have changed, by series.
    """
    series, of_row = np.unique(readings.series, return_inverse=True)
    undecided = np.array(
        [
            points[key].point.clock == "auto"
            and witnesses.get(key, _NEW_WITNESS).decision == "undecided"
            for key in series.tolist()
        ],
        np.bool_,
    )
    if not undecided.any():
        return {}
    window_ms = np.array([live_window_ms(points[key].point.gap_ms) for key in series.tolist()])
    zones = [points[key].zone for key in series.tolist()]
    says = np.full(len(readings), NO_EVIDENCE, np.int64)
    for zone in set(zones):
        here = undecided & np.array([own is zone for own in zones])
        rows = np.flatnonzero(here[of_row])
        says[rows] = evidence(
            readings.at_ms[rows],
            readings.offset_min[rows],
            readings.flags[rows],
            readings.available_ms[rows],
            window_ms[of_row[rows]],
            zone,
        )
    if overtaken is not None:
        zero = (readings.offset_min == 0) & ((readings.flags >> 2 & 1) != OffsetKind.ZULU)
        says[overtaken & zero & (says != NOT_ON_THE_WALL)] = NO_EVIDENCE
    pieces: dict[int, list[int]] = {}
    for row in np.flatnonzero(says != NO_EVIDENCE).tolist():
        pieces.setdefault(int(readings.series[row]), []).append(int(says[row]))
    return {
        key: witnesses.get(key, _NEW_WITNESS).with_evidence(some) for key, some in pieces.items()
    }


_NEW_WITNESS = ClockWitness()
