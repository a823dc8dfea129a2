"""What a formula can take of a data point: its figures by the names that people use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kilowatch.model.formulas.dimensions import Dimension, dimension_of
from kilowatch.model.parameters import (
    CHANNEL_BY_PARAMETER,
    GAS_ENERGY,
    VALUE,
    Role,
    family_of,
)
from kilowatch.model.points import DataPoint

Column = Literal["amount", "mean"]

_ELECTRICAL = {
    "energy": 24, "exported": 44, "reactive_energy": 48, "power": 4, "reactive_power": 8,
    "apparent_power": 12, "power_factor": 32, "voltage": 16, "current": 20, "frequency": 56,
}  # fmt: skip
"""Names of totals, with their channels; phases go by the names in a packet (``aP_1``)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a data point in each interval.

    Attributes:
        channel: Of its rows.
        column: Which figure of a row.
        dimension: What it measures, in base units.
    """

    channel: int
    column: Column
    dimension: Dimension


def measures_of(point: DataPoint) -> dict[str, Measure]:
    """Return the figures of a data point by name; ``""`` is what stands without a name."""
    if point.kind == "electrical":
        found = {name: _channel(code) for name, code in _ELECTRICAL.items()}
        return found | {name: _channel(code) for name, code in CHANNEL_BY_PARAMETER.items()}
    unit = point.unit_of_value
    if point.behaviour == "gauge":
        one = Measure(VALUE, "mean", dimension_of(unit.canonical))
        return {"": one, _name(unit.canonical): one}
    amount = Measure(VALUE, "amount", dimension_of(unit.amount))
    counted = {"Wh": "energy", "m3": "volume"}.get(unit.amount, "amount")
    if point.behaviour == "rate":
        rate = Measure(VALUE, "mean", dimension_of(unit.canonical))
        return {"": rate, "power" if unit.canonical == "W" else "flow": rate, counted: amount}
    found = {"": amount, counted: amount}
    if point.utility == "gas" and unit.amount == "m3":
        found["energy"] = Measure(GAS_ENERGY, "amount", dimension_of("Wh"))
    return found


def _channel(code: int) -> Measure:
    family = family_of(code)
    assert family is not None
    column: Column = "amount" if family.role is Role.REGISTER else "mean"
    return Measure(code, column, dimension_of(family.unit))


def _name(canonical: str) -> str:
    named = {"°C": "temperature", "%": "percentage", "Pa": "pressure", "lx": "light"}
    return named.get(canonical, "value")
