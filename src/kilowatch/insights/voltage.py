"""Voltage by the limits of EN 50160: means of ten minutes, hour by hour and over a week."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kilowatch.insights.limits import TEN_MINUTES_S, Electrical, Fault, Limits
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.zones import Zone

_WEEK_DAYS = 7


def ten_minute_means(
    start_ms: Ints, voltage_v: Floats, interval_s: int = 60
) -> tuple[Ints, Floats]:
    """Return r.m.s. means over the full ten minutes of the clock.

    Args:
        start_ms: Shape (n,) [ms].
        interval_s: Length of an interval, less than ten minutes [s].
        voltage_v: Shape (phases, n) [V].

    Returns:
        Starts, shape (m,) [ms], and means, shape (phases, m) [V]; NaN where less than half of the
        ten minutes is known: one minute's dip is not the mean of ten.

    Source:
        IEC 61000-4-30: aggregation is the square root of the mean of the squared values.
    """
    slots, index = np.unique(start_ms // (TEN_MINUTES_S * 1000), return_inverse=True)
    means = np.full((len(voltage_v), len(slots)), np.nan)
    for phase, values in enumerate(voltage_v):
        there = ~np.isnan(values)
        count = np.bincount(index[there], minlength=len(slots))
        square = np.bincount(index[there], values[there] ** 2, minlength=len(slots))
        enough = 2 * count * interval_s >= TEN_MINUTES_S
        means[phase] = np.where(enough, np.sqrt(square / np.maximum(count, 1)), np.nan)
    return slots * TEN_MINUTES_S * 1000, means


def voltage_means(data: Electrical) -> tuple[Ints, Floats, int, Ints]:
    """Return the means that the voltage is judged by: of ten minutes, or longer where it must be.

    Returns:
        Starts, shape (m,) [ms]; means, shape (phases, m) [V]; their length [s]; and when each of
        them can be known, shape (m,) [ms].
    """
    if data.voltage_v is None:
        nothing = np.empty(0, np.int64)
        return nothing, np.empty((0, 0)), TEN_MINUTES_S, nothing
    if data.interval_s >= TEN_MINUTES_S:
        known_ms = data.start_ms + data.interval_s * 1000
        return data.start_ms, data.voltage_v, data.interval_s, known_ms
    starts, means = ten_minute_means(data.start_ms, data.voltage_v, data.interval_s)
    known_ms = starts + TEN_MINUTES_S * 1000
    if TEN_MINUTES_S % data.interval_s:  # the last interval that begins in them ends later
        known_ms = known_ms + data.interval_s * 1000
    return starts, means, TEN_MINUTES_S, known_ms


def beyond(data: Electrical, limits: Limits, after_ms: int, hours_ms: Sequence[int]) -> list[Fault]:
    """Return the hours in which a mean left what every mean keeps: one fault an hour.

    Nobody has to wait for the week to end for them.

    Args:
        data: Its voltage.
        limits: What it is judged by.
        after_ms: What could be known by then has been judged [ms since 1970, UTC].
        hours_ms: Ends of hours, rising; each has what became known in it [ms since 1970, UTC].
    """
    starts, means, length_s, known_ms = voltage_means(data)
    part = means / limits.nominal_v
    out = (part < limits.lowest) | (part > limits.high)
    found = []
    for hour_ms in hours_ms:
        new = np.flatnonzero((known_ms > after_ms) & (known_ms <= hour_ms) & out.any(axis=0))
        after_ms = hour_ms
        if not len(new):
            continue
        own = out[:, new]
        far = np.where(own, np.abs(part[:, new] - 1), 0.0).max(axis=1)
        phase = int(far.argmax())
        volts = means[:, new][own]
        evidence = {
            "phase": phase + 1,
            "phases": (np.flatnonzero(own.any(axis=1)) + 1).tolist(),
            "lowest_v": float(volts.min()),
            "highest_v": float(volts.max()),
        } | _kept(limits, length_s)
        end_ms = int(starts[new[-1]]) + length_s * 1000
        hours = len(new) * length_s / 3600
        coarse = length_s > TEN_MINUTES_S
        found.append(
            Fault(EventKind.VOLTAGE, int(starts[new[0]]), end_ms, coarse, evidence, hours, hour_ms)
        )
    return found


def _kept(limits: Limits, length_s: int) -> dict[str, Any]:
    """Return what a voltage should have kept."""
    return {
        "nominal_v": limits.nominal_v,
        "low_v": limits.low * limits.nominal_v,
        "least_v": limits.lowest * limits.nominal_v,
        "most_v": limits.high * limits.nominal_v,
        "interval_s": length_s,
    }


def voltage_faults(data: Electrical, zone: Zone, limits: Limits) -> Iterator[Fault]:
    """Give the weeks whose voltage was not what it should be, with the phase that was worst.

    ``hours`` of such a fault leaves out those that ``beyond`` has told.
    """
    starts, means, length_s, _ = voltage_means(data)
    weeks = (zone.local_ms(starts) // DAY_MS + 3) // _WEEK_DAYS
    part = means / limits.nominal_v
    beyond_it = (part < limits.lowest) | (part > limits.high)
    outside = (part < limits.low) | (part > limits.high)
    for week in np.unique(weeks):
        at = np.flatnonzero(weeks == week)
        count = (~np.isnan(part[:, at])).sum(axis=1)
        inside = 1 - outside[:, at].sum(axis=1) / np.maximum(count, 1)
        whole = count * length_s >= limits.week_covered * _WEEK_DAYS * 86_400
        told = beyond_it[:, at].any(axis=1) | (whole & (inside < limits.share))
        if not told.any():
            continue
        phase = int(np.where(told, inside, np.inf).argmin())
        far = at[outside[told][:, at].any(axis=0)]
        volts = means[told][:, at]
        evidence = {
            "phase": phase + 1,
            "phases": (np.flatnonzero(told) + 1).tolist(),
            "lowest_v": float(np.nanmin(volts)),
            "highest_v": float(np.nanmax(volts)),
            "share_inside": float(inside[phase]),
            "share_phase": phase + 1,
            "share_asked": limits.share,
            "means": int(count[phase]),
            "outside_h": len(far) * length_s / 3600,
        } | _kept(limits, length_s)
        beyond_h = int(beyond_it[:, at].any(axis=0).sum()) * length_s / 3600
        yield Fault(
            EventKind.VOLTAGE,
            int(starts[far[0]]),
            int(starts[far[-1]]) + length_s * 1000,
            length_s > TEN_MINUTES_S,
            evidence,
            len(far) * length_s / 3600 - beyond_h,
        )


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
