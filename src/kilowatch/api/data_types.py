"""What raw data of a data point can be asked for, by the words of ``data_type``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kilowatch.api.problems import impossible
from kilowatch.model.parameters import (
    FAMILIES,
    GAS_ENERGY,
    PC,
    PE,
    VALUE,
    Role,
    family_of,
    phase_of,
)
from kilowatch.model.points import DataPoint

Source = Literal["mean", "amount", "derived"]
"""``derived``: the mean power of what was counted."""

WORDS = {
    "aP": "active_power", "rP": "reactive_power", "apP": "apparent_power", "v": "voltage",
    "c": "current", "pC": "active_energy", "pF": "power_factor", "thdV": "voltage_distortion",
    "thdC": "current_distortion", "pE": "exported_energy", "qC": "reactive_energy",
    "qE": "exported_reactive_energy", "f": "frequency",
}  # fmt: skip
LINE_TO_LINE = 7  # number of the family that shares its prefix with the phase voltages
POWER, SINGLE = "active_power", "value"
DATA_TYPES = (
    *WORDS.values(), "line_voltage", SINGLE, "rate", "energy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that raw data can be asked for.

    Attributes:
        word: What ``data_type`` calls it.
        unit: Of its numbers.
        source: Which column of the intervals it is.
        total: Channel of the total; None where a sum over phases means nothing.
        phases: Channels of the phases, at most three.
        less: Channel whose amounts are taken off, for power that flows both ways; None for none.
    """

    word: str
    unit: str
    source: Source
    total: int | None
    phases: tuple[int, ...] = ()
    less: int | None = None

    @property
    def channels(self) -> list[int]:
        """Every channel that it is read from."""
        every = (self.total, *self.phases, self.less)
        return sorted({one for one in every if one is not None})


def quantities(point: DataPoint, channels: Sequence[int]) -> list[Quantity]:
    """Return what a data point has.

    Args:
        point: The data point.
        channels: Channels that have ever had data.
    """
    if point.kind == "single":
        return _single(point, channels)
    found = []
    for family in FAMILIES:
        mine = [code for code in channels if family_of(code) is family]
        if not mine:
            continue
        phases = tuple(code for code in mine if phase_of(code))
        sums = family.role is not Role.GAUGE and family.total in mine
        total = family.total if sums or not phases else phases[0] if len(mine) == 1 else None
        found.append(
            Quantity(
                "line_voltage" if family.number == LINE_TO_LINE else WORDS[family.name],
                family.unit,
                "amount" if family.role is Role.REGISTER else "mean",
                total,
                phases,
            )
        )
    if PC in channels and not any(one.word == POWER for one in found):
        phases = tuple(code for code in channels if PC < code < PC + 4)
        both = PE in channels
        found.insert(
            0, Quantity(POWER, "W", "derived", PC, () if both else phases, PE if both else None)
        )
    return found


def asked(point: DataPoint, channels: Sequence[int], word: str | None) -> Quantity:
    """Return what a request means: active power where there is some, else the value.

    Args:
        point: The data point.
        channels: Channels that have ever had data.
        word: ``data_type``; None where it was not sent.

    Raises:
        KilowatchError: 422 ``data_type_absent``.
    """
    there = {one.word: one for one in quantities(point, channels)}
    found = there.get(word) if word else there.get(POWER) or there.get(SINGLE)
    if found is not None:
        return found
    if word is None or (not channels and word in (POWER, *WORDS.values(), "line_voltage")):
        return Quantity(word or POWER, "", "mean", None)  # nothing has come yet: no rows
    raise impossible(
        "data_type",
        "data_type_absent",
        f"This data point has no {word}.",
        f"It has {', '.join(there)}.",
    )


def _single(point: DataPoint, channels: Sequence[int]) -> list[Quantity]:
    unit = point.unit_of_value
    found = []
    if point.behaviour == "gauge" or not unit.amount:
        found.append(Quantity(SINGLE, unit.canonical, "mean", VALUE))
        if unit.canonical == "W":
            found.append(Quantity(POWER, "W", "mean", VALUE))
    elif point.behaviour == "rate":
        found.append(Quantity(SINGLE, unit.amount, "amount", VALUE))
        found.append(Quantity("rate", unit.canonical, "mean", VALUE))
        if unit.amount == "Wh":
            found.append(Quantity(POWER, "W", "mean", VALUE))
    else:
        found.append(Quantity(SINGLE, unit.amount, "amount", VALUE))
        if unit.amount == "Wh":
            found.append(Quantity(POWER, "W", "derived", VALUE))
    if GAS_ENERGY in channels:
        found.append(Quantity("energy", "Wh", "amount", GAS_ENERGY))
        found.append(Quantity(POWER, "W", "derived", GAS_ENERGY))
    return found
