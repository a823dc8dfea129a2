"""Registers of a day against what its powers come to, and phases that run backwards.

A packet has no total beside its phases: where it carries both registers and powers, or powers of
three phases and one register for all of them, two ways of knowing one energy can be compared. They
differ where a transformer is turned round, missing, or has another ratio than the other way has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilowatch.insights.hours import Bools
from kilowatch.insights.limits import Fault, Limits
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind

STEADY = 0.95
"""A phase that is turned round runs backwards in this share of the intervals, day and night: what
generates on one phase alone stops at some time."""
CHANCE = 4.0
"""A difference is no chance beyond so many standard errors: powers are mostly samples."""


@dataclass(frozen=True, slots=True)
class Energies:
    """Evenly spaced intervals of a day of one electrical data point; NaN is what is not known.

    Attributes:
        start_ms: Shape (n,) [ms since 1970, UTC].
        interval_s: Length of an interval [s].
        power_w: Mean active power of each phase, shape (3, n) [W].
        imported_wh: Counted by each phase's register, shape (3, n) [Wh].
        exported_wh: The same of export, shape (3, n) [Wh].
    """

    start_ms: Ints
    interval_s: int
    power_w: Floats
    imported_wh: Floats
    exported_wh: Floats

    @property
    def hours(self) -> float:
        """Length of an interval [h]."""
        return self.interval_s / 3600


def sum_faults(data: Energies, limits: Limits) -> list[Fault]:
    """Return what does not fit on a day: a phase that runs backwards, or else the worst difference.

    A total is compared where registers or powers come as one figure for all phases (a meter without
    readings by phase sends its total as phase 1), each phase where both come by phase.

    Args:
        data: A day.
        limits: ``phase_sum``, the least energy and the least known time.
    """
    if not len(data.start_ms):
        return []
    powered = np.asarray(np.isfinite(data.power_w).any(axis=1), np.bool_)
    if (turned := _turned(data, powered, limits)) is not None:
        return [turned]
    counted = np.asarray(np.isfinite(data.imported_wh).any(axis=1), np.bool_)
    fed_in = np.asarray(np.isfinite(data.exported_wh).any(axis=1), np.bool_)
    found = [
        fault
        for registers, exporters, powers in _pairs(counted, fed_in, powered)
        if (fault := _difference(data, registers, exporters, powers, limits)) is not None
    ]
    return [max(found, key=lambda one: float(one.evidence["difference"]))] if found else []


def _pairs(
    counted: Bools, fed_in: Bools, powered: Bools
) -> Iterator[tuple[list[int], list[int], list[int]]]:
    """Give which registers count what came in and what went out, and which powers they count.

    Where import comes by phase and export as one figure, or the other way, all are one total; and
    without powers by phase nobody can tell what the one that comes by phase left out.
    """
    registers, exporters, powers = (
        np.flatnonzero(one).tolist() for one in (counted, fed_in, powered)
    )
    if not registers or not powers:
        return
    if _mixed(registers, exporters):
        if powers != [0]:
            yield registers, exporters, powers
        return
    if registers != powers and [0] in (registers, powers):
        yield registers, exporters, powers
        return
    for phase in sorted({*registers} & {*powers}):
        yield [phase], [phase] if phase in exporters else [], [phase]


def _mixed(registers: list[int], exporters: list[int]) -> bool:
    """Tell whether one of import and export comes by phase, and the other as one figure."""
    return bool(exporters) and registers != exporters and [0] in (registers, exporters)


def _turned(data: Energies, powered: Bools, limits: Limits) -> Fault | None:
    """Return the phase whose power flows out all day while both others flow in."""
    if not powered.all():
        return None
    known = np.asarray(np.isfinite(data.power_w).all(axis=0), np.bool_)
    power = data.power_w[:, known]
    if power.shape[1] * data.hours < limits.sum_known_h:
        return None
    out, into = (power < 0).mean(axis=1), (power > 0).mean(axis=1)
    backwards = out >= STEADY
    wh = power.sum(axis=1) * data.hours
    if backwards.sum() != 1 or not (into[~backwards] >= STEADY).all():
        return None
    phase = int(backwards.argmax())
    if -wh[phase] < limits.sum_wh:
        return None
    evidence = {"turned": True, "phase": phase + 1, "phases_wh": _plain(wh)}
    return _fault(data, known, evidence)


def _difference(
    data: Energies,
    registers: list[int],
    exporters: list[int],
    powers: list[int],
    limits: Limits,
) -> Fault | None:
    power = data.power_w[powers]
    counted, fed_in = data.imported_wh[registers], data.exported_wh[exporters]
    known = np.asarray(np.isfinite([*power, *counted, *fed_in]).all(axis=0), np.bool_)
    power, counted = power[:, known] * data.hours, counted[:, known].sum(axis=0)
    if known.sum() * data.hours < limits.sum_known_h:
        return None
    net = power.sum(axis=0)
    counted = counted - fed_in[:, known].sum(axis=0)
    least = most = net
    # Meters add phases up before or after they leave out what flows back.
    into = np.maximum(net, 0.0), np.maximum(power, 0.0).sum(axis=0)
    if not exporters:
        least, most = into
    elif _mixed(registers, exporters):
        out = np.maximum(-net, 0.0), np.maximum(-power, 0.0).sum(axis=0)
        least, most = into[0] - out[1], into[1] - out[0]
    nearest = least if counted.sum() < least.sum() else most
    off = counted - nearest
    if least.sum() <= counted.sum() <= most.sum():
        return None
    size = max(abs(float(counted.sum())), float(np.abs(power).sum()))
    # A register may count in steps, and another minute than the powers: one interval says nothing.
    step = max(float(np.abs(counted).max()), float(np.abs(power).sum(axis=0).max()))
    chance = CHANCE * float(off.std()) * len(off) ** 0.5
    difference = abs(float(off.sum()))
    if size < limits.sum_wh or difference <= max(limits.phase_sum * size + step, chance):
        return None
    evidence: dict[str, Any] = {
        "registers": [one + 1 for one in registers],
        "phases": [one + 1 for one in powers],
        "counted_wh": float(counted.sum()),
        "powered_wh": float(nearest.sum()),
        "phases_wh": _plain(power.sum(axis=1)),
        "difference": difference / size,
        "limit": limits.phase_sum,
    }
    if len(powers) == len(registers) == 1:
        evidence["phase"] = powers[0] + 1
    return _fault(data, known, evidence)


def _plain(values: Floats) -> list[float]:
    return [float(one) for one in values]


def _fault(data: Energies, known: Bools, evidence: dict[str, Any]) -> Fault:
    starts = data.start_ms[known]
    end_ms = int(starts[-1]) + data.interval_s * 1000
    hours = len(starts) * data.hours
    return Fault(EventKind.PHASE_SUM, int(starts[0]), end_ms, False, evidence, hours)  # noqa: FBT003
