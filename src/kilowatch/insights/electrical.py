"""Electrical faults by limits: voltage, unbalance, power factor, a lost phase, sums that differ.

Unlike the rest of ``insights`` nothing is learnt here: the limits come from standards and
tariffs, and whoever runs the site may set others. The functions work on evenly spaced samples of
one data point; NaN is what is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kilowatch.insights.hours import Bools
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.zones import Zone

TEN_MINUTES_S = 600
_WEEK_DAYS = 7


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
        phase_sum: Highest difference of a total from the sum of its phases, as a share of it.
        least_s: How long a state must last before it is told [s].
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
    least_s: int = 3600

    def __post_init__(self) -> None:
        if not 0 < self.lowest <= self.low < 1 < self.high:
            raise ValueError("voltage limits must rise: 0 < lowest ≤ low < 1 < high")
        if self.nominal_v <= 0:
            raise ValueError(f"nominal voltage is {self.nominal_v} V, not above 0")


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
        phases_w: Active power of the phases, shape (phases, n) [W].
    """

    start_ms: Ints
    interval_s: int
    voltage_v: Floats | None = None
    current_a: Floats | None = None
    active_w: Floats | None = None
    reactive_var: Floats | None = None
    phases_w: Floats | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A limit that was not kept, from when to when.

    Attributes:
        kind: Which.
        start_ms: Start of the first interval [ms since 1970, UTC].
        end_ms: End of the last one [ms since 1970, UTC].
        indicative: The intervals are coarser than the standard asks for: it may be worse.
        evidence: The numbers that it rests on.
    """

    kind: EventKind
    start_ms: int
    end_ms: int
    indicative: bool
    evidence: dict[str, Any] = field(default_factory=dict)


def faults(data: Electrical, zone: Zone, limits: Limits) -> list[Fault]:
    """Return every limit that was not kept, in order of time.

    Args:
        data: What was measured.
        zone: The clock whose weeks (Monday to Sunday) the voltage is judged by.
        limits: What it is judged by.
    """
    found = [
        *_voltage_faults(data, zone, limits),
        *_unbalance_faults(data, limits),
        *_power_factor_faults(data, limits),
        *_lost_phases(data, limits),
        *_sum_faults(data, limits),
    ]
    return sorted(found, key=lambda one: (one.start_ms, one.kind))


def ten_minute_means(start_ms: Ints, voltage_v: Floats) -> tuple[Ints, Floats]:
    """Return r.m.s. means over the full ten minutes of the clock.

    Args:
        start_ms: Shape (n,) [ms].
        voltage_v: Shape (phases, n) [V].

    Returns:
        Starts, shape (m,) [ms], and means, shape (phases, m) [V]; NaN where nothing is known.

    Source:
        IEC 61000-4-30: aggregation is the square root of the mean of the squared values.
    """
    slots, index = np.unique(start_ms // (TEN_MINUTES_S * 1000), return_inverse=True)
    means = np.full((len(voltage_v), len(slots)), np.nan)
    for phase, values in enumerate(voltage_v):
        there = ~np.isnan(values)
        count = np.bincount(index[there], minlength=len(slots))
        square = np.bincount(index[there], values[there] ** 2, minlength=len(slots))
        means[phase] = np.where(count > 0, np.sqrt(square / np.maximum(count, 1)), np.nan)
    return slots * TEN_MINUTES_S * 1000, means


def current_unbalance(current_a: Floats) -> Floats:
    """Return the largest deviation of a phase from the mean, over the mean, shape (n,).

    Source:
        NEMA MG 1, 14.36 (the same definition is used for voltage and current).

    Example:
        >>> current_unbalance(np.array([[10.0], [10.0], [4.0]])).tolist()
        [0.5]
    """
    mean = current_a.mean(axis=0)
    found: Floats = np.abs(current_a - mean).max(axis=0) / np.where(mean > 0, mean, np.nan)
    return found


def voltage_unbalance(voltage_v: Floats) -> Floats:
    """Return negative over positive sequence from three voltages between lines, shape (n,).

    EN 50160 asks that 95 % of a week's ten-minute means stay within 2 %.

    Args:
        voltage_v: Between lines, shape (3, n) [V].

    Source:
        CIGRE formula, IEC 61000-2-1: with β = Σu⁴ / (Σu²)²,
        unbalance = √((1 − √(3 − 6β)) / (1 + √(3 − 6β))).

    Example:
        >>> voltage_unbalance(np.full((3, 1), 400.0)).tolist()
        [0.0]
    """
    square = voltage_v**2
    beta = (square**2).sum(axis=0) / square.sum(axis=0) ** 2
    root = np.sqrt(np.clip(3 - 6 * beta, 0, 1))
    found: Floats = np.sqrt((1 - root) / (1 + root))
    return found


def power_factor(active_w: Floats, reactive_var: Floats) -> Floats:
    """Return |P| / √(P² + Q²), shape (n,); NaN without load.

    Source:
        IEEE 1459-2010, power factor of sinusoidal quantities.

    Example:
        >>> power_factor(np.array([3.0]), np.array([-4.0])).tolist()
        [0.6]
    """
    apparent = np.hypot(active_w, reactive_var)
    found: Floats = np.abs(active_w) / np.where(apparent > 0, apparent, np.nan)
    return found


def lost_phase(current_a: Floats, limits: Limits) -> Ints:
    """Return which phase carries nothing while the others do, shape (n,); −1 for none.

    The others must carry more than ``limits.idle`` of what they usually do (median of the hours
    with load), and the phase itself must have carried current at some time: a phase that was
    never connected is not lost.
    """
    usual = np.array([np.median(one[one > 0]) if (one > 0).any() else 0.0 for one in current_a])
    lost = np.full(current_a.shape[1], -1, np.int64)
    for phase, amps in enumerate(current_a):
        others = np.delete(current_a, phase, axis=0)
        busy = (others > limits.idle * np.delete(usual, phase)[:, None]).all(axis=0)
        gone = amps < limits.lost * others.mean(axis=0)
        lost[busy & gone & (usual[phase] > 0)] = phase
    return lost


def _voltage_faults(data: Electrical, zone: Zone, limits: Limits) -> Iterator[Fault]:
    if data.voltage_v is None or not len(data.start_ms):
        return
    starts, means, length_s = data.start_ms, data.voltage_v, data.interval_s
    if length_s < TEN_MINUTES_S:
        starts, means = ten_minute_means(starts, means)
        length_s = TEN_MINUTES_S
    weeks = (zone.local_ms(starts) // DAY_MS + 3) // _WEEK_DAYS
    for week in np.unique(weeks):
        at = np.flatnonzero(weeks == week)
        for phase, volts in enumerate(means):
            known = at[~np.isnan(volts[at])]
            if not len(known):
                continue
            part = volts[known] / limits.nominal_v
            inside = float(((part >= limits.low) & (part <= limits.high)).mean())
            outside = bool((part < limits.lowest).any() or (part > limits.high).any())
            whole = len(known) * length_s >= limits.week_covered * _WEEK_DAYS * 86_400
            if outside or (whole and inside < limits.share):
                far = known[(part < limits.low) | (part > limits.high)]
                yield Fault(
                    EventKind.VOLTAGE,
                    int(starts[far[0]]),
                    int(starts[far[-1]]) + length_s * 1000,
                    length_s > TEN_MINUTES_S,
                    {
                        "phase": phase + 1,
                        "nominal_v": limits.nominal_v,
                        "lowest_v": float(volts[known].min()),
                        "highest_v": float(volts[known].max()),
                        "share_inside": inside,
                        "share_asked": limits.share,
                        "means": len(known),
                        "interval_s": length_s,
                    },
                )


def _unbalance_faults(data: Electrical, limits: Limits) -> Iterator[Fault]:
    if data.current_a is None or len(data.current_a) != 3:
        return
    mean = data.current_a.mean(axis=0)
    busy = mean > limits.idle * _usual(mean)
    off = current_unbalance(data.current_a)
    known = busy & (lost_phase(data.current_a, limits) < 0)
    for first, last in _runs(known & (off > limits.unbalance), data, limits):
        evidence = {
            "unbalance": float(np.nanmean(off[first:last])),
            "limit": limits.unbalance,
            "current_a": data.current_a[:, first:last].mean(axis=1).tolist(),
        }
        yield _fault(EventKind.UNBALANCE, data, first, last, evidence)


def _power_factor_faults(data: Electrical, limits: Limits) -> Iterator[Fault]:
    if data.active_w is None or data.reactive_var is None:
        return
    size, load_w = np.abs(data.active_w), data.active_w
    least_w = limits.idle * _usual(size)
    if (data.active_w > least_w).any() and (data.active_w < -least_w).any():
        drawn = data.active_w[data.active_w > 0]
        load_w = np.maximum(data.active_w, float(np.percentile(drawn, limits.masked)))
        size = np.maximum(data.active_w, 0.0)
    factor = power_factor(load_w, data.reactive_var)
    poor = (size > least_w) & (factor < limits.power_factor)
    for first, last in _runs(poor, data, limits):
        part = slice(first, last)
        whole = power_factor(
            np.array([data.active_w[part].sum()]), np.array([data.reactive_var[part].sum()])
        )
        evidence = {"power_factor": float(whole[0]), "limit": limits.power_factor}
        yield _fault(EventKind.POWER_FACTOR, data, first, last, evidence)


def _lost_phases(data: Electrical, limits: Limits) -> Iterator[Fault]:
    if data.current_a is None or len(data.current_a) != 3:
        return
    lost = lost_phase(data.current_a, limits)
    for phase in range(3):
        for first, last in _runs(lost == phase, data, limits):
            evidence = {
                "phase": phase + 1,
                "current_a": data.current_a[:, first:last].mean(axis=1).tolist(),
            }
            yield _fault(EventKind.PHASE_LOSS, data, first, last, evidence)


def _sum_faults(data: Electrical, limits: Limits) -> Iterator[Fault]:
    if data.active_w is None or data.phases_w is None:
        return
    total = data.phases_w.sum(axis=0)
    size = np.maximum(np.abs(data.active_w), np.abs(total))
    off = np.abs(data.active_w - total) / np.where(size > 0, size, np.nan)
    busy = size > limits.idle * _usual(size)
    for first, last in _runs(busy & (off > limits.phase_sum), data, limits):
        evidence = {
            "total_w": float(data.active_w[first:last].mean()),
            "phases_w": data.phases_w[:, first:last].mean(axis=1).tolist(),
            "difference": float(np.nanmean(off[first:last])),
            "limit": limits.phase_sum,
        }
        yield _fault(EventKind.PHASE_SUM, data, first, last, evidence)


def _usual(size: Floats) -> float:
    """Return the median of what is above zero; 0 if nothing is."""
    loaded = size[size > 0]
    return float(np.median(loaded)) if len(loaded) else 0.0


def _runs(bad: Bools, data: Electrical, limits: Limits) -> Iterator[tuple[int, int]]:
    """Give each run of neighbouring bad intervals that lasts long enough: first, last + 1."""
    near = np.diff(data.start_ms) <= data.interval_s * 1500
    index = np.flatnonzero(bad)
    if not len(index):
        return
    joined = (np.diff(index) == 1) & near[index[:-1]]
    for part in np.split(index, np.flatnonzero(~joined) + 1):
        if len(part) * data.interval_s >= limits.least_s:
            yield int(part[0]), int(part[-1]) + 1


def _fault(
    kind: EventKind, data: Electrical, first: int, last: int, evidence: dict[str, Any]
) -> Fault:
    end_ms = int(data.start_ms[last - 1]) + data.interval_s * 1000
    return Fault(kind, int(data.start_ms[first]), end_ms, indicative=False, evidence=evidence)
