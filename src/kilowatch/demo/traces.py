"""What a simulated meter would show at any instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from kilowatch.demo.events import Event
from kilowatch.demo.noise import smooth, white
from kilowatch.demo.timeline import SLOT_H, SLOT_MS, Bools, Timeline
from kilowatch.demo.weather import Town, temperature_c
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import HOUR_MS

LIVE_RIPPLE = 0.03
"""Live powers swing by so much around the quarter-hour's mean; the registers do not."""


class Trace(Protocol):
    """A meter: its readings at instants, and when it sends none."""

    outages: tuple[Event, ...]

    def rows(self, at_ms: Ints) -> Floats:
        """Return the readings at instants, shape (n, columns of the packet)."""
        ...


def sends(trace: Trace, at_ms: Ints) -> Bools:
    """Return at which instants the meter sends a packet, shape (n,)."""
    quiet = np.zeros(len(at_ms), dtype=bool)
    for outage in trace.outages:
        quiet |= (at_ms >= outage.from_ms) & (at_ms < outage.to_ms)
    return ~quiet


@dataclass(slots=True)
class Load:
    """What something draws, per quarter-hour and phase; loads add up.

    Attributes:
        active_w: Mean active power, shape (n, 3) [W]; negative when it generates.
        reactive_var: Mean reactive power, shape (n, 3) [var].
    """

    active_w: Floats
    reactive_var: Floats

    def __add__(self, other: Load) -> Load:
        return Load(self.active_w + other.active_w, self.reactive_var + other.reactive_var)

    def without_phase(self, phase: int, where: Bools) -> Load:
        """Return the load with one phase (1 to 3) dead where the mask is true."""
        alive = np.ones((len(where), 3))
        alive[where, phase - 1] = 0.0
        return Load(self.active_w * alive, self.reactive_var * alive)


def load(
    timeline: Timeline,
    total_kw: Floats,
    power_factor: float,
    shares: tuple[float, float, float],
    seed: int,
) -> Load:
    """Spread a power over three phases, with the unrest that real loads have.

    Args:
        timeline: The quarter-hours, n of them.
        total_kw: Power of all phases, shape (n,) [kW].
        power_factor: Of the load, 0 to 1.
        shares: Part of each phase; their sum is 1.
        seed: Of the unrest.
    """
    unrest = 1 + 0.05 * smooth(timeline.at_ms, 5400, seed)
    unrest += 0.025 * white(timeline.at_ms // SLOT_MS, seed)
    wander = np.stack([smooth(timeline.at_ms, 7200, seed + p) for p in (1, 2, 3)], axis=1)
    part = np.array(shares) * (1 + 0.06 * wander)
    part /= part.sum(axis=1, keepdims=True)
    active_w = 1000.0 * (total_kw * unrest)[:, None] * part
    return Load(active_w, active_w * np.tan(np.arccos(power_factor)))


@dataclass(slots=True)
class Supply:
    """The mains of a building: what every meter in it sees.

    Attributes:
        voltage_v: Phase voltage per quarter-hour, shape (n, 3) [V].
        seed: Of the ripple of live packets, the same for all meters of the building.
    """

    voltage_v: Floats
    seed: int

    @staticmethod
    def of(timeline: Timeline, whole: Load, lost: Bools, seed: int) -> Supply:
        """Return the mains under the building's load; ``lost`` is where phase 2 is dead."""
        wander = np.stack([smooth(timeline.at_ms, 4 * 3600, seed)] * 3, axis=1) * 2.2 + np.stack(
            [smooth(timeline.at_ms, 1200, seed + p) for p in (1, 2, 3)], axis=1
        )
        voltage_v = 233.5 + wander - 0.00012 * whole.active_w
        voltage_v[lost, 1] = 2.4 + 0.3 * wander[lost, 1]
        return Supply(voltage_v, seed)


def registers_wh(total_mwh: float) -> Floats:
    """Return what a meter that has counted so much shows per phase, shape (3,) [Wh]."""
    return np.array([0.36, 0.33, 0.31]) * total_mwh * 1e6


@dataclass(slots=True)
class Electrical:
    """An electricity meter with a register per phase.

    Attributes:
        origin_ms: Start of the first quarter-hour [ms since 1970, UTC].
        draws: What it measures, n quarter-hours.
        supply: The mains it hangs on.
        parameters: Columns of its packets.
        first_wh: Registers at the origin, shape (3,) [Wh].
        outages: When it sends nothing.
        imported_wh: Registers of import at each quarter-hour, by phase [Wh].
        exported_wh: Registers of export, likewise [Wh].
    """

    origin_ms: int
    draws: Load
    supply: Supply
    parameters: tuple[str, ...]
    first_wh: Floats
    outages: tuple[Event, ...] = ()
    imported_wh: Floats = field(init=False)
    exported_wh: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.imported_wh = self.first_wh + _dial(np.maximum(self.draws.active_w, 0.0))
        self.exported_wh = 0.2 * self.first_wh + _dial(np.maximum(-self.draws.active_w, 0.0))

    def rows(self, at_ms: Ints) -> Floats:
        """Return the parameters at instants, shape (n, len(parameters))."""
        slot = (at_ms - self.origin_ms) // SLOT_MS
        hours = (at_ms - self.origin_ms - slot * SLOT_MS) / HOUR_MS
        mean_w = self.draws.active_w[slot]
        ripple = np.where(hours > 0, LIVE_RIPPLE * smooth(at_ms, 40, self.supply.seed), 0.0)
        active_w = mean_w * (1 + ripple)[:, None]
        reactive = self.draws.reactive_var[slot] * (1 + ripple)[:, None]
        apparent = np.hypot(active_w, reactive)
        volts = self.supply.voltage_v[slot]
        turn = hours[:, None]
        columns = {
            "aP": active_w,
            "rP": reactive,
            "apP": apparent,
            "v": volts,
            "c": apparent / volts,
            "pC": self.imported_wh[slot] + np.maximum(mean_w, 0.0) * turn,
            "pE": self.exported_wh[slot] + np.maximum(-mean_w, 0.0) * turn,
            "pF": np.divide(active_w, apparent, out=np.ones_like(apparent), where=apparent > 0),
            "f": 50 + 0.03 * smooth(at_ms, 240, 9)[:, None],
            "line": _line_to_line(volts),
        }
        return np.column_stack([_column(columns, name) for name in self.parameters])


def _dial(power_w: Floats) -> Floats:
    """Return a register that starts at zero, at the start of each quarter-hour and the end."""
    return np.vstack([np.zeros((1, 3)), np.cumsum(power_w * SLOT_H, axis=0)])


def _line_to_line(volts: Floats) -> Floats:
    """Return v_12, v_23, v_31 of phase voltages 120° apart (law of cosines), shape (n, 3)."""
    other = np.roll(volts, -1, axis=1)
    return np.sqrt(volts**2 + other**2 + volts * other)


def _column(columns: dict[str, Floats], parameter: str) -> Floats:
    family, _, phase = parameter.partition("_")
    if phase in {"12", "23", "31"}:
        return columns["line"][:, int(phase[0]) - 1]
    return columns[family][:, int(phase or 1) - 1]


@dataclass(slots=True)
class Dial:
    """A single register: gas, water, production.

    Attributes:
        origin_ms: Start of the first quarter-hour [ms since 1970, UTC].
        flow_per_h: Mean flow of each quarter-hour, shape (n,) [unit/h].
        first: Register at the origin [unit].
        outages: When it sends nothing.
        register: Reading at each quarter-hour [unit].
    """

    origin_ms: int
    flow_per_h: Floats
    first: float
    outages: tuple[Event, ...] = ()
    register: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.register = self.first + np.concatenate([[0.0], np.cumsum(self.flow_per_h * SLOT_H)])

    def rows(self, at_ms: Ints) -> Floats:
        """Return the register at instants, shape (n, 1) [unit]."""
        slot = (at_ms - self.origin_ms) // SLOT_MS
        hours = (at_ms - self.origin_ms - slot * SLOT_MS) / HOUR_MS
        return (self.register[slot] + self.flow_per_h[slot] * hours)[:, None]


@dataclass(slots=True)
class Thermometer:
    """An outdoor sensor; while ``stuck`` it repeats the value it had at the beginning."""

    town: Town
    stuck: Event | None = None
    outages: tuple[Event, ...] = ()

    def rows(self, at_ms: Ints) -> Floats:
        """Return the temperature at instants, shape (n, 1) [°C]."""
        seen_ms = at_ms
        if self.stuck is not None:
            held = (at_ms >= self.stuck.from_ms) & (at_ms < self.stuck.to_ms)
            seen_ms = np.where(held, self.stuck.from_ms, at_ms)
        return temperature_c(seen_ms, self.town)[:, None]
