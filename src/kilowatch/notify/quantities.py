"""What a rule can watch, in the words of its form: quantities, units, numbers with their unit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import FAMILIES, VALUE, Family, Role, channel_name
from kilowatch.model.points import UTILITIES, DataPoint
from kilowatch.model.units import UNITS

Measure = Literal["mean", "amount"]

_MORE_UNITS = {
    "var": ("var", 1.0), "kvar": ("var", 1e3), "VA": ("VA", 1.0), "kVA": ("VA", 1e3),
    "varh": ("varh", 1.0), "kvarh": ("varh", 1e3), "m³": ("m3", 1.0), "m³/h": ("m3/h", 1.0),
    "GWh": ("Wh", 1e9), "GW": ("W", 1e9), "MVA": ("VA", 1e6), "Mvar": ("var", 1e6),
}  # fmt: skip
_USUAL = {"W": "kW", "var": "kvar", "VA": "kVA", "Wh": "kWh", "varh": "kvarh"}
_USUAL_OF_UTILITY = {
    "electricity": "kWh", "heat": "kWh", "cooling": "kWh", "production": "kWh", "gas": "m3",
    "water": "m3", "temperature": "°C", "humidity": "%",
}  # fmt: skip
_NUMBER = re.compile(r"\s*([-+−]?\d[\d  _]*(?:[.,]\d+)?)\s*(.*?)\s*")
_SCALED = frozenset({"W", "Wh", "var", "varh", "VA"})
_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_WRITTEN = {"m3": "m³", "m3/h": "m³/h", "W/m2": "W/m²"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that data points measure.

    Attributes:
        key: What the rule keeps: a parameter without its phase, or a utility.
        title: What people call it.
        group: Heading in the form's list.
        usual: Unit that a bare number is in.
        family: The electrical parameter; None for single-value data points.
    """

    key: str
    title: str
    group: str
    usual: str
    family: Family | None = None

    def channels(self, point: DataPoint) -> tuple[int, ...]:
        """Return the channels of a data point that show it; empty if it has none.

        Powers and energies count as the sum over phases; of voltages and the like each phase.
        """
        if self.family is None:
            return (VALUE,) if point.kind == "single" and point.utility == self.key else ()
        if point.kind != "electrical":
            return ()
        total = self.family.total
        if self.family.role is not Role.GAUGE or not self.family.suffixes:
            return (total,)
        return tuple(total + phase for phase in range(1, len(self.family.suffixes) + 1))

    def measure(self, point: DataPoint) -> Measure:
        """Return whether an interval's amount is meant, or its mean."""
        if self.family is not None:
            return "amount" if self.family.role is Role.REGISTER else "mean"
        return "amount" if point.behaviour in ("register", "amount") else "mean"

    def unit(self, point: DataPoint, measure: Measure) -> str:
        """Return the canonical unit of a measure at a data point."""
        if self.family is not None:
            return self.family.unit
        unit = point.unit_of_value
        return unit.amount if measure == "amount" and unit.amount else unit.canonical


def _quantities() -> dict[str, Quantity]:
    found = [
        Quantity(
            channel_name(family.total),
            family.title,
            family.group,
            _USUAL.get(family.unit, family.unit),
            family,
        )
        for family in FAMILIES
    ]
    found += [
        Quantity(utility, utility.capitalize(), "Single values", _USUAL_OF_UTILITY.get(utility, ""))
        for utility in UTILITIES
    ]
    return {quantity.key: quantity for quantity in found}


QUANTITIES: dict[str, Quantity] = _quantities()
SUMMED: tuple[str, ...] = (
    "pC", "pE", "electricity", "gas", "water", "heat", "cooling", "production"
)  # fmt: skip
"""Those of which a sum so far means something."""


def parse_limit(text: str, usual: str) -> tuple[float, str]:
    """Return a number and its canonical unit; a bare number is in the usual unit.

    Raises:
        KilowatchError: ``invalid_limit``.

    Example:
        >>> parse_limit("50 kW", "kW"), parse_limit("7,5", "°C"), parse_limit("3 kWh/pcs", "")
        ((50000.0, 'W'), (7.5, '°C'), (3.0, 'kWh/pcs'))
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise _invalid(f"{text!r} is not a number with a unit.")
    digits = re.sub(r"[\s _]", "", match[1]).replace("−", "-").replace(",", ".")
    symbol = match[2] or usual
    factor_offset = _unit(symbol)
    if factor_offset is None:
        raise _invalid(f"{symbol!r} is not a unit that is known.")
    canonical, factor, offset = factor_offset
    return float(digits) * factor + offset, canonical


def _unit(symbol: str) -> tuple[str, float, float] | None:
    if symbol in _MORE_UNITS:
        canonical, factor = _MORE_UNITS[symbol]
        return canonical, factor, 0.0
    try:
        unit = UNITS[symbol]  # of a formula's result too
    except KeyError:
        return None
    return unit.canonical, unit.factor, unit.offset


def shown(value: float, unit: str) -> str:
    """Return a number with the unit that fits it, to three significant digits.

    Example:
        >>> shown(61_234.0, "W"), shown(512_400.0, "Wh"), shown(21.46, "°C"), shown(0.0, "m3")
        ('61.2 kW', '512 kWh', '21.5 °C', '0 m³')
    """
    if unit in _SCALED:
        for step, prefix in _STEPS:
            if abs(value) >= step * 0.9995:  # 999.6 W is written 1 kW
                return f"{digits(value / step)} {prefix}{unit}"
    return f"{digits(value)} {_WRITTEN.get(unit, unit)}".strip()


def digits(value: float) -> str:
    """Return a number to three significant digits, never in powers of ten.

    Example:
        >>> digits(1234.5), digits(0.04567), digits(100.0)
        ('1234', '0.0457', '100')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _invalid(detail: str) -> KilowatchError:
    return KilowatchError(
        "invalid_limit",
        detail,
        remedy="Write it as 50 kW, 230 V, 30 °C or 500 kWh.",
        data={"field": "limit"},
    )
