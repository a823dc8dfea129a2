"""Electrical faults by limits: voltage, unbalance, power factor, a lost phase.

Unlike the rest of ``insights`` nothing is learnt here: the limits come from standards and
tariffs, and whoever runs the site may set others. The functions work on evenly spaced samples of
one data point; NaN is what is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kilowatch.insights.hours import Bools
from kilowatch.insights.limits import Electrical, Fault, Limits
from kilowatch.insights.voltage import voltage_faults
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.zones import Zone


def faults(data: Electrical, zone: Zone, limits: Limits) -> list[Fault]:
    """Return every limit that was not kept, in order of time.

    Args:
        data: What was measured.
        zone: The clock whose weeks (Monday to Sunday) the voltage is judged by.
        limits: What it is judged by.
    """
    found = [
        *voltage_faults(data, zone, limits),
        *_unbalance_faults(data, limits),
        *_power_factor_faults(data, limits),
        *lost_phases(data, limits),
    ]
    return sorted(found, key=lambda one: (one.start_ms, one.kind))


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


def usual_currents(current_a: Floats) -> Floats:
    """Return what each phase mostly carries while it carries anything, shape (phases,) [A]."""
    return np.array([np.median(one[one > 0]) if (one > 0).any() else 0.0 for one in current_a])


def lost_phase(current_a: Floats, limits: Limits, usual_a: Floats | None = None) -> Ints:
    """Return which phase carries nothing while the others do, shape (n,); −1 for none.

    The others must carry more than ``limits.idle`` of what they usually do (median of the hours
    with load), and the phase itself must have carried current at some time: a phase that was
    never connected is not lost.

    Args:
        current_a: Shape (phases, n) [A].
        limits: What it is judged by.
        usual_a: What the phases usually carry, shape (phases,); None: what they carry here [A].
    """
    usual = usual_currents(current_a) if usual_a is None else usual_a
    lost = np.full(current_a.shape[1], -1, np.int64)
    for phase, amps in enumerate(current_a):
        others = np.delete(current_a, phase, axis=0)
        busy = (others > limits.idle * np.delete(usual, phase)[:, None]).all(axis=0)
        gone = amps < limits.lost * others.mean(axis=0)
        lost[busy & gone & (usual[phase] > 0)] = phase
    return lost


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


def lost_phases(data: Electrical, limits: Limits, usual_a: Floats | None = None) -> Iterator[Fault]:
    """Give the times in which one phase carried nothing; arguments as of ``lost_phase``."""
    if data.current_a is None or len(data.current_a) != 3:
        return
    lost = lost_phase(data.current_a, limits, usual_a)
    for phase in range(3):
        for first, last in _runs(lost == phase, data, limits):
            evidence = {
                "phase": phase + 1,
                "limit": limits.lost,
                "current_a": data.current_a[:, first:last].mean(axis=1).tolist(),
            }
            yield _fault(EventKind.PHASE_LOSS, data, first, last, evidence)


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
