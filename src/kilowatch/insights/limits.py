"""What an electrical data point is judged by, what was measured of it, and what was not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS

TEN_MINUTES_S = 600


@dataclass(frozen=True, slots=True)
class Limits:
    """What an electrical data point is judged by.

    Attributes:
        nominal_v: Nominal voltage between a phase and neutral [V].
        low: Lowest share of it that most means keep (EN 50160: −10 %).
        high: Highest share of it that every mean keeps (EN 50160: +10 %).
        lowest: Lowest share that every mean keeps (EN 50160: −15 %).
        share: Share of a week's means that lie between ``low`` and ``high`` (EN 50160: 95 %).
        week_covered: Share of a week that must be known before it is judged as a whole.
        unbalance: Highest deviation of a phase's current from the mean of the three, as a share
            of the mean.
        power_factor: Lowest power factor; many tariffs charge for reactive energy below 0.9.
        idle: Share of the usual load below which currents and power factors mean nothing.
        masked: Percentile of the power drawn that stands for the load of a meter that exports too:
            what is generated behind it takes the active power away and leaves the reactive one.
        lost: A phase that carries less than this share of the others' mean is lost.
        phase_sum: Highest difference of a day's register from what the powers come to, as a share
            of the larger; half of it is what samples of a power mostly miss.
        sum_wh: Least energy of a day that is compared [Wh].
        sum_known_h: Least time of a day of which both must be known [h].
        least_s: How long a state must last before it is told [s].
        alive: A phase that never had this share of the nominal voltage is not connected.
    """

    nominal_v: float = 230.0
    low: float = 0.90
    high: float = 1.10
    lowest: float = 0.85
    share: float = 0.95
    week_covered: float = 0.5
    unbalance: float = 0.30
    power_factor: float = 0.90
    idle: float = 0.10
    masked: float = 97.5
    lost: float = 0.02
    phase_sum: float = 0.05
    sum_wh: float = 1_000.0
    sum_known_h: float = 12.0
    least_s: int = 3600
    alive: float = 0.20

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= self.low < 1 < self.high:
            raise ValueError("voltage limits must rise: 0 < lowest ≤ low < 1 < high")
        if self.nominal_v <= 0:
            raise ValueError(f"nominal voltage is {self.nominal_v} V, not above 0")


def limits_of(told: Mapping[str, float | None]) -> Limits:
    """Return what a data point is judged by where people have set something else than is usual.

    Args:
        told: By the names of its settings; None, or nothing, where the usual one holds. Where the
            limit of most means is wider than that of every mean, it holds for every mean.
    """
    usual = Limits()

    def share(name: str, otherwise: float, sign: float = 0.0) -> float:
        value = told.get(name)
        if value is None:
            return otherwise
        return 1 + sign * value / 100 if sign else value / 100

    low = share("low_voltage_percent", usual.low, -1)
    return Limits(
        nominal_v=told.get("nominal_voltage_v") or usual.nominal_v,
        low=low,
        high=share("high_voltage_percent", usual.high, 1),
        lowest=min(share("lowest_voltage_percent", usual.lowest, -1), low),
        unbalance=share("unbalance_percent", usual.unbalance),
        power_factor=told.get("least_power_factor") or usual.power_factor,
        lost=share("lost_phase_percent", usual.lost),
        phase_sum=share("phase_sum_percent", usual.phase_sum),
    )


@dataclass(frozen=True, slots=True)
class Electrical:
    """Evenly spaced means of one three-phase (or single-phase) data point.

    Attributes:
        start_ms: Start of each interval, shape (n,) [ms since 1970, UTC].
        interval_s: Length of an interval [s].
        voltage_v: Phase to neutral, shape (phases, n) [V]; None where not measured.
        current_a: Shape (phases, n) [A]; None where not measured.
        active_w: Total active power, shape (n,) [W].
        reactive_var: Total reactive power, shape (n,) [var].
    """

    start_ms: Ints
    interval_s: int
    voltage_v: Floats | None = None
    current_a: Floats | None = None
    active_w: Floats | None = None
    reactive_var: Floats | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A limit that was not kept, from when to when.

    Attributes:
        kind: Which.
        start_ms: Start of the first interval [ms since 1970, UTC].
        end_ms: End of the last one [ms since 1970, UTC].
        indicative: The intervals are coarser than the standard asks for: it may be worse.
        evidence: The numbers that it rests on.
        hours: How long it was there, pauses left out; None: from start to end [h].
        known_ms: When it could be known; 0 where that is not asked [ms since 1970, UTC].
    """

    kind: EventKind
    start_ms: int
    end_ms: int
    indicative: bool
    evidence: dict[str, Any] = field(default_factory=dict)
    hours: float | None = None
    known_ms: int = 0

    @property
    def length_h(self) -> float:
        """How long it was there, pauses left out [h]."""
        return (self.end_ms - self.start_ms) / HOUR_MS if self.hours is None else self.hours
