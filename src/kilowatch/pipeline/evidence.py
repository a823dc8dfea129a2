"""What a stream's packets have shown about its registration; small, and told in ``mismatches.py``.

It depends on the order of the log alone, not on how that is cut into batches: a replay comes to
the same. Not every packet is looked at, only the first ones and then one in half a
minute of arrivals: an import of a million packets costs what a hundred cost, a stream of every
second no more than one of every minute, and live data of usual intervals is looked at whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import isfinite, log10
from typing import NamedTuple

import msgspec

from kilowatch.model.lengths import HOUR_MS, MINUTE_MS, QUARTER_MS
from kilowatch.model.packet import Form, OffsetKind
from kilowatch.model.parameters import AP, APP, PC, PF, QE, RP, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.rows import Row

PARTIAL, ZULU = int(Form.PARTIAL), int(OffsetKind.ZULU)  # an enum's members are slow to get
Bounds = tuple[tuple[int, float, float], ...]
"""Channels that cannot have every value, with the least and the largest."""

FIRST_LOOKS = 32
SIZES_MEAN = 500
SIZES_SURE = 64  # before they say what a stream's size is
LOOK_MS = 30_000
MASK = (1 << 24) - 1  # the last 24 looks
STEPS = 60
STEPS_MASK = (1 << STEPS) - 1
V, C, V_LINE, THD_V, THD_C, F = 16, 20, 28, 36, 40, 56
FINE_STEP = 0.001
QUARTER_SLACK_MS = 180_000
PHASES_SURE = 8  # looks at the same phases before they are taken for what the meter sends
OFF_BY, OFF_SLACK = 1_000.0, 1.5
MOVED = 0.05
APART = 30.0  # of the largest value so far: what lies beyond is another unit, or another world


class Run(msgspec.Struct, gc=False, omit_defaults=True):
    """How often in a row something was seen.

    Attributes:
        what: What was seen; 0 is nothing.
        count: How often in a row.
        from_ms: Pushed instant of the first of them [ms since 1970, UTC].
        to_ms: Of the last.
    """

    what: int = 0
    count: int = 0
    from_ms: int = 0
    to_ms: int = 0

    def see(self, what: int, at_ms: int) -> None:
        """Count one more, or begin anew."""
        if what != self.what:
            self.what, self.count, self.from_ms = what, 0, at_ms
        self.count += 1
        self.to_ms = at_ms

    @property
    def span_ms(self) -> int:
        """From the first to the last [ms]."""
        return self.to_ms - self.from_ms


class Evidence(msgspec.Struct, gc=False, omit_defaults=True):
    """What one stream has shown.

    Attributes:
        settings: What the data point was registered as; another registration starts anew.
        looks: Packets that were looked at.
        looked_ms: Arrival of the last one [ms since 1970, UTC].
        at_ms: Its pushed instant [ms since 1970, UTC].
        values: Its values, where the next look needs them.
        falls: Which of the last 60 steps of the dial or value fell, as bits.
        rises: Which rose.
        rising: Run of steps without a fall; ``what`` counts those that rose.
        fine: Run of rises by less than a thousandth.
        impossible: By channel, which of the last 24 looks found an impossible value, as bits.
        odd: By channel, the last impossible value.
        phases: Run of the same phases, as bits.
        more_phases: Phases that were sent for long before, as bits.
        idle_phase: Run of one phase that carries nothing while the others do.
        power_off: Run of active powers a thousand times off voltage times current.
        energy_off: Run of energies a thousand times off the power's integral.
        volts_off: Run of voltages that look like kilovolts.
        low: Smallest size so far that is not zero.
        high: Largest.
        sizes: How many made these two.
        size_log: Mean of their logarithms to base 10; the last 500 count most.
        size_from_ms: Pushed instant of the first of them [ms since 1970, UTC].
        size_off: Run of sizes a thousand times beyond them; 1 above, -1 below.
        size_off_log: Mean of the logarithms of that run.
        size_off_last: Last size of that run.
        size_off_moves: How many of them were another than the one before.
        implausible: Run of sizes that no building has.
        late_offset: Run of arrivals late by the same number of quarter-hours, by the offset.
        late_wall: Likewise, by the site's wall clock.
    """

    settings: str = ""
    looks: int = 0
    looked_ms: int = 0
    at_ms: int = 0
    values: dict[int, float] = {}
    falls: int = 0
    rises: int = 0
    rising: Run = msgspec.field(default_factory=Run)
    fine: Run = msgspec.field(default_factory=Run)
    impossible: dict[int, int] = {}
    odd: dict[int, float] = {}
    phases: Run = msgspec.field(default_factory=Run)
    more_phases: int = 0
    idle_phase: Run = msgspec.field(default_factory=Run)
    power_off: Run = msgspec.field(default_factory=Run)
    energy_off: Run = msgspec.field(default_factory=Run)
    volts_off: Run = msgspec.field(default_factory=Run)
    low: float = 0.0
    high: float = 0.0
    sizes: int = 0
    size_log: float = 0.0
    size_from_ms: int = 0
    size_off: Run = msgspec.field(default_factory=Run)
    size_off_log: float = 0.0
    size_off_last: float = 0.0
    size_off_moves: int = 0
    implausible: Run = msgspec.field(default_factory=Run)
    late_offset: Run = msgspec.field(default_factory=Run)
    late_wall: Run = msgspec.field(default_factory=Run)

    def wants(self, row: Row) -> bool:
        """Tell whether a packet is to be looked at."""
        if row.at_ms <= self.at_ms:
            return False  # merged into the one before, or put in from the past
        return self.looks < FIRST_LOOKS or row.available_ms - self.looked_ms >= LOOK_MS

    def look(self, row: Row, point: DataPoint, zone_offset_ms: int) -> None:
        """Look at a packet that is wanted.

        Args:
            row: The packet.
            point: Its data point.
            zone_offset_ms: The site's local time minus UTC at the packet's arrival [ms].
        """
        values = dict(zip(row.channels, row.values, strict=True))
        at_ms = row.at_ms
        if point.kind == "single":
            bounds: Bounds = ((VALUE, *_bounds_of(point)),)
            self._look_at_value(values.get(VALUE, 0.0), at_ms, point)
        else:
            self._look_at_dial(values, at_ms)
            shape = _shape(row.channels)
            bounds = shape.bounds
            if row.flags & 3 != PARTIAL:
                self._look_at_phases(values, shape, at_ms)
            self._look_at_power(values, shape, at_ms)
        self._look_at_bounds(values, bounds)
        self._look_at_clock(row, zone_offset_ms)
        self.values = {channel: values[channel] for channel in _REMEMBERED if channel in values}
        self.looks += 1
        self.looked_ms, self.at_ms = row.available_ms, at_ms

    def _look_at_value(self, value: float, at_ms: int, point: DataPoint) -> None:
        before = self.values.get(VALUE)
        if before is not None:
            self._step(before, value, at_ms)
        size = abs(value)
        unit = point.unit_of_value
        hours = point.interval_s / 3600
        rate = size * unit.factor
        if point.behaviour == "register":
            hours = (at_ms - self.at_ms) / HOUR_MS
            size = max(value - before, 0.0) / hours if before is not None and hours > 0 else 0.0
            rate = size * unit.factor
        elif point.behaviour == "amount":
            rate = size * unit.factor / hours
        self._look_at_size(size, at_ms)
        bound = _LARGEST.get(unit.canonical)
        if point.behaviour == "gauge" and point.utility == "temperature":
            rate, bound = abs(value * unit.factor + unit.offset), 1_500.0
        elif point.behaviour == "gauge":
            bound = None
        self.implausible.see(int(bound is not None and rate > bound), at_ms)

    def _look_at_dial(self, values: Mapping[int, float], at_ms: int) -> None:
        for channel in (PC + 1, PC + 2, PC + 3):
            if channel in values and channel in self.values:
                self._step(self.values[channel], values[channel], at_ms)
                return

    def _step(self, before: float, value: float, at_ms: int) -> None:
        fell, rose = value < before, value > before
        self.falls = (self.falls << 1 | fell) & STEPS_MASK
        self.rises = (self.rises << 1 | rose) & STEPS_MASK
        if fell:
            self.rising = Run()
            self.fine = Run()
            return
        if not self.rising.from_ms:
            self.rising.from_ms = at_ms
        self.rising.what += rose
        self.rising.count += 1
        self.rising.to_ms = at_ms
        if rose:
            self.fine.see(int(value - before < FINE_STEP * abs(before)), at_ms)

    def _look_at_phases(self, values: Mapping[int, float], shape: Shape, at_ms: int) -> None:
        sent = shape.phases
        if sent != self.phases.what:
            before = self.phases
            if before.count >= PHASES_SURE and before.what & sent == sent:
                self.more_phases = before.what
            self.phases = Run()
        self.phases.see(sent, at_ms)
        if sent == self.more_phases:
            self.more_phases = 0
        idle = [phase for phase, channel in shape.loads if values[channel] == 0.0]
        self.idle_phase.see(idle[0] if len(idle) == 1 else 0, at_ms)

    def _look_at_power(self, values: Mapping[int, float], shape: Shape, at_ms: int) -> None:
        if shape.volts:
            volts = [values[channel] for channel in shape.volts]
            self.volts_off.see(int(min(volts) > 0.05 and max(volts) < 1.2), at_ms)
        signs = set()
        for phase in shape.powers:
            product = values[V + phase] * values[C + phase]
            if product > 50.0 and not (_explained(values, phase, product)):
                signs.add(_thousand(abs(values[AP + phase]) / product))
        if signs:
            self.power_off.see(signs.pop() if len(signs) == 1 else 0, at_ms)
        self._look_at_energy(values, at_ms)

    def _look_at_energy(self, values: Mapping[int, float], at_ms: int) -> None:
        hours, known = (at_ms - self.at_ms) / HOUR_MS, self.values
        if not 0 < hours <= 1:
            return
        for phase in (1, 2, 3):
            power, dial = AP + phase, PC + phase
            if not (power in values and dial in values and power in known and dial in known):
                continue
            now_w, then_w = values[power], known[power]
            counted = values[dial] - known[dial]
            if (
                counted > 0
                and min(now_w, then_w) > 50
                and max(now_w, then_w) < 2 * min(now_w, then_w)
            ):
                self.energy_off.see(_thousand(counted / ((now_w + then_w) / 2 * hours)), at_ms)
            return

    def _look_at_size(self, size: float, at_ms: int) -> None:
        if size == 0.0 or not isfinite(size):
            return
        if self.sizes >= SIZES_SURE:
            above = size > APART * self.high
            below = size < self.low / APART
            if above or below:
                alike = size / OFF_BY if above else size * OFF_BY
                fits = self.low / OFF_SLACK <= alike <= self.high * OFF_SLACK
                self.size_off.see((1 if above else -1) * fits, at_ms)
                if self.size_off.count == 1:
                    self.size_off_log, self.size_off_moves = 0.0, 0
                elif abs(size - self.size_off_last) > MOVED * self.size_off_last:
                    self.size_off_moves += 1
                self.size_off_last = size
                self.size_off_log += (log10(size) - self.size_off_log) / self.size_off.count
                if fits or self.size_off.count < PHASES_SURE:
                    return
            self.size_off = Run()
        self.low = min(self.low, size) if self.sizes else size
        self.high = max(self.high, size)
        self.size_from_ms = self.size_from_ms or at_ms
        self.sizes += 1
        self.size_log += (log10(size) - self.size_log) / min(self.sizes, SIZES_MEAN)

    def _look_at_bounds(self, values: Mapping[int, float], bounds: Bounds) -> None:
        if self.impossible:
            kept = {channel: bits << 1 & MASK for channel, bits in self.impossible.items()}
            self.impossible = {channel: bits for channel, bits in kept.items() if bits}
        for channel, low, high in bounds:
            if not low <= values.get(channel, low) <= high:
                self.impossible = self.impossible | {channel: self.impossible.get(channel, 0) | 1}
                self.odd = self.odd | {channel: values[channel]}

    def _look_at_clock(self, row: Row, zone_offset_ms: int) -> None:
        pushed_ms = row.offset_min * MINUTE_MS
        late_ms = row.available_ms - row.at_ms
        self.late_offset.see(_quarters(late_ms), row.at_ms)
        meant = row.flags >> 2 == ZULU or 0 != pushed_ms == zone_offset_ms
        wall_ms = late_ms if meant else late_ms - pushed_ms + zone_offset_ms
        self.late_wall.see(_quarters(wall_ms), row.at_ms)


def settings_key(point: DataPoint) -> str:
    """Return what the evidence of a data point rests on."""
    return f"{point.kind}|{point.utility}|{point.unit}|{point.behaviour}|{point.zone}"


def _quarters(late_ms: int) -> int:
    """Return how many quarter-hours something is late; 0 for none, and for what is no multiple."""
    if -QUARTER_SLACK_MS <= late_ms <= QUARTER_SLACK_MS:
        return 0
    number = round(late_ms / QUARTER_MS)
    return number if abs(late_ms - number * QUARTER_MS) <= QUARTER_SLACK_MS else 0


def _thousand(ratio: float) -> int:
    """Return 1 where a ratio is about a thousand, -1 where it is about a thousandth, else 0."""
    if 300.0 < ratio < 1_100.0:
        return 1
    return -1 if 0.0003 < ratio < 0.0011 else 0


def _explained(values: Mapping[int, float], phase: int, product: float) -> bool:
    """Tell whether a phase's reactive or apparent power is as voltage and current say."""
    reactive, apparent = abs(values.get(RP + phase, 0.0)), abs(values.get(APP + phase, 0.0))
    larger = max(apparent, reactive)
    return 0.3 * product < larger < 1.2 * product


class Shape(NamedTuple):
    """What follows from the channels of a packet alone: worked out once, not for each packet.

    Attributes:
        phases: Phases that have any power, current, voltage or energy, as bits.
        loads: Phase and channel of each load, where all three phases are sent.
        volts: Channels of phase voltages.
        powers: Phases with active power, voltage and current.
        bounds: Channels that cannot have every value, with the least and the largest.
    """

    phases: int
    loads: tuple[tuple[int, int], ...]
    volts: tuple[int, ...]
    powers: tuple[int, ...]
    bounds: Bounds


@lru_cache(maxsize=1_000)
def _shape(channels: tuple[int, ...]) -> Shape:
    there = set(channels)
    phases = 0
    for channel in channels:
        if channel // 4 in _BY_PHASE:
            phases |= 1 << (channel % 4)
    loads = next(
        (own for own in (_three(AP), _three(C)) if {channel for _, channel in own} <= there), ()
    )
    return Shape(
        phases,
        loads if phases == _ALL_PHASES else (),
        tuple(channel for _, channel in _three(V) if channel in there),
        tuple(phase for phase in (1, 2, 3) if {AP + phase, V + phase, C + phase} <= there),
        tuple((one, *_BOUNDS[one // 4]) for one in channels if one // 4 in _BOUNDS),
    )


def _three(total: int) -> tuple[tuple[int, int], ...]:
    return tuple((phase, total + phase) for phase in (1, 2, 3))


def _bounds_of(point: DataPoint) -> tuple[float, float]:
    """Return what ``value`` can be."""
    if point.unit in ("°C", "°F", "K") and point.behaviour == "gauge":
        unit = point.unit_of_value
        return (-273.15 - unit.offset) / unit.factor - 1e-6, _MUCH
    if point.utility == "humidity" and point.unit == "%":
        return -2.0, 102.0
    return (0.0, _MUCH) if point.unit in ("Pa", "ppm", "lx", "Hz") else _ANY


_MUCH = 1e300
_ANY = (-float("inf"), float("inf"))
_NEVER_NEGATIVE = (0.0, _MUCH)
_BOUNDS: dict[int, tuple[float, float]] = {
    V // 4: _NEVER_NEGATIVE,
    V_LINE // 4: _NEVER_NEGATIVE,
    PF // 4: (-1.005, 1.005),
    THD_V // 4: _NEVER_NEGATIVE,
    THD_C // 4: _NEVER_NEGATIVE,
    F // 4: (0.0, 1_000.0),
}
"""By family: what its values can be. A current may be signed; a factor is rounded."""

_LARGEST = {"Wh": 5e7, "W": 5e7, "m3": 5e4, "m3/h": 5e4}
"""By canonical unit: the largest mean flow of one data point, 50 MW or 50,000 m³/h."""

_BY_PHASE = frozenset(range(1, 7)) | {PF // 4, 11, 12, QE // 4}
_ALL_PHASES = 0b1110
_REMEMBERED = (VALUE, *(one + phase for one in (AP, PC) for phase in (1, 2, 3)))
