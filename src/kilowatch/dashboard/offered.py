"""What a data point can show: its parameters by group, and the channels behind each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import (
    CHANNEL_BY_NAME,
    FAMILIES,
    GAS_ENERGY,
    VALUE,
    Role,
    channel_name,
    family_of,
    phase_of,
)
from kilowatch.model.points import DataPoint, Utility

Measure = Literal["amount", "mean"]

GROUPS = ("Power", "Energy", "Current", "Voltage", "Power factor", "THD", "Frequency")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of the control panel.

    Attributes:
        name: Word in the URL (``aP``, ``pC``, ``v_LL``, ``value``, ``rate``).
        title: What people call it.
        group: Heading that it stands under.
        unit: Canonical unit of the numbers.
        measure: Whether it is shown as amounts (bars) or as means (lines).
        total: Channel of the sum over phases, or None where a sum means nothing.
        phases: Channels of the phases that have data, in order.
    """

    name: str
    title: str
    group: str
    unit: str
    measure: Measure
    total: int | None
    phases: tuple[int, ...]


def parameters_of(point: DataPoint, channels: Sequence[int]) -> list[Parameter]:
    """Return what a data point can show, given the channels that have had data."""
    if point.kind == "single":
        return _single(point, channels)
    found = []
    for family in FAMILIES:
        mine = [code for code in channels if family_of(code) is family]
        if not mine:
            continue
        summable = family.role in (Role.POWER, Role.REGISTER, Role.RATIO)
        found.append(
            Parameter(
                name=channel_name(family.total),
                title=family.title,
                group=family.group,
                unit=family.unit,
                measure="amount" if family.role is Role.REGISTER else "mean",
                total=family.total if summable and family.total in mine else None,
                phases=tuple(code for code in mine if phase_of(code)) or (family.total,),
            )
        )
    return sorted(found, key=lambda parameter: GROUPS.index(parameter.group))


def shown(parameters: Sequence[Parameter], wanted: str | None) -> list[Parameter]:
    """Return the parameters that the URL names, or those that a page opens with.

    Raises:
        KilowatchError: 400 ``bad_parameter``, a name that nothing has.
    """
    if wanted is None:
        names = {parameter.name for parameter in parameters}
        first = [name for name in ("aP", "pC", "value") if name in names]
        chosen = [parameter for parameter in parameters if parameter.name in first]
        return chosen or list(parameters[:1])
    known = {*CHANNEL_BY_NAME, "rate"}
    chosen_names = [name for name in wanted.split(",") if name]
    for name in chosen_names:
        if name not in known:
            raise KilowatchError(
                "bad_parameter",
                f"{name!r} is not a parameter.",
                remedy=f"This data point has {', '.join(p.name for p in parameters)}.",
            )
    return [parameter for parameter in parameters if parameter.name in chosen_names]


def channels_of(parameter: Parameter, *, apart: bool) -> tuple[int, ...]:
    """Return the channels to draw: the sum where there is one, else the phases."""
    if parameter.total is not None and not apart:
        return (parameter.total,)
    return parameter.phases


def phase_title(channel: int) -> str:
    """Return ``L1`` or ``L1–L2``, or an empty string for a total."""
    family, phase = family_of(channel), phase_of(channel)
    if family is None or phase == 0:
        return ""
    return "–".join(f"L{digit}" for digit in family.suffixes[phase - 1])


def register_title(utility: Utility, name: str) -> str:
    """Return what people call a register: "Active energy, imported, L1".

    Args:
        utility: Of its data point; a single value goes by it.
        name: The channel's name in URLs and exports, as ``pC_1`` or ``value``.
    """
    channel = CHANNEL_BY_NAME[name]
    family, phase = family_of(channel), phase_title(channel)
    if family is None:
        return _SINGLE_TITLE[utility]
    return f"{family.title}, {phase}" if phase else family.title


_SINGLE_TITLE = {
    "electricity": "Electricity", "gas": "Gas", "water": "Water", "heat": "Heat",
    "cooling": "Cooling", "temperature": "Temperature", "humidity": "Humidity",
    "production": "Production", "environmental": "Value", "other": "Value",
}  # fmt: skip


def _single(point: DataPoint, channels: Sequence[int]) -> list[Parameter]:
    title = _SINGLE_TITLE[point.utility]
    found = _single_value(point, title)
    if GAS_ENERGY in channels:
        found.append(
            Parameter("energy", f"{title}, energy", "", "Wh", "amount", None, (GAS_ENERGY,))
        )
    return found


def _single_value(point: DataPoint, title: str) -> list[Parameter]:
    unit = point.unit_of_value
    if point.behaviour == "gauge":
        return [Parameter("value", title, "", unit.canonical, "mean", None, (VALUE,))]
    if point.behaviour == "rate":
        found = [Parameter("rate", f"{title}, rate", "", unit.canonical, "mean", None, (VALUE,))]
        if unit.amount:
            found.insert(0, Parameter("value", title, "", unit.amount, "amount", None, (VALUE,)))
        return found
    return [Parameter("value", title, "", unit.canonical, "amount", None, (VALUE,))]
