"""What a unit measures, so that a formula can't add kilowatt-hours to degrees.

A dimension is a product of powers of base units. Those are the units of the interval layer (Wh,
m3, °C, …) and time in hours, so that a figure needs no conversion: W is Wh per h. Per cent, parts
per million and pieces are bases of their own: nobody means 0.6 by 60 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from kilowatch.model.units import UNITS, Unit

Dimension = tuple[tuple[str, int], ...]
"""Base units with their powers, sorted by name; empty for a plain number."""

PLAIN: Dimension = ()
EXPONENT_MAX = 6

_MADE_OF: dict[str, dict[str, int]] = {
    "": {},
    "W": {"Wh": 1, "h": -1},
    "var": {"varh": 1, "h": -1},
    "VA": {"VAh": 1, "h": -1},
    "m3/h": {"m3": 1, "h": -1},
    "W/m2": {"Wh": 1, "h": -1, "m2": -1},
}

_LITERALS: dict[str, tuple[str, float]] = {
    "m2": ("m2", 1.0), "h": ("h", 1.0), "min": ("h", 1 / 60), "s": ("h", 1 / 3600),
    "d": ("h", 24.0), "var": ("var", 1.0), "kvar": ("var", 1e3), "varh": ("varh", 1.0),
    "kvarh": ("varh", 1e3), "VA": ("VA", 1.0), "kVA": ("VA", 1e3), "kV": ("V", 1e3),
    "mA": ("A", 1e-3), "GWh": ("Wh", 1e9), "t": ("kg", 1e3),
}  # fmt: skip
"""Units that numbers can have besides those that data points can be registered with."""

SPELLINGS = {"m³": "m3", "m²": "m2", "m³/h": "m3/h", "W/m²": "W/m2", "l": "L", "ft³": "ft3"}
"""Other ways to write a unit."""


@cache
def dimension_of(canonical: str) -> Dimension:
    """Return what a unit of the interval layer measures."""
    return normal(_MADE_OF.get(canonical, {canonical: 1}))


def normal(powers: dict[str, int]) -> Dimension:
    """Return powers of base units as a dimension."""
    return tuple(sorted((base, power) for base, power in powers.items() if power))


def product(one: Dimension, other: Dimension, power: int = 1) -> Dimension:
    """Return ``one * other ** power``."""
    powers = dict(one)
    for base, own in other:
        powers[base] = powers.get(base, 0) + own * power
    return normal(powers)


@dataclass(frozen=True, slots=True)
class Literal:
    """What a unit behind a number means: ``factor * number + offset`` in base units."""

    dimension: Dimension
    factor: float
    offset: float = 0.0


@cache
def literals() -> dict[str, Literal]:
    """Return every unit that a number can have, by the way it is written."""
    found = {
        symbol: Literal(dimension_of(unit.canonical), unit.factor, unit.offset)
        for symbol, unit in UNITS.items()
        if symbol
    }
    for symbol, (canonical, factor) in _LITERALS.items():
        found[symbol] = Literal(dimension_of(canonical), factor)
    for spelling, symbol in SPELLINGS.items():
        found[spelling] = found[symbol]
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """How a figure of a dimension is shown: ``unit``, of which ``factor`` are a base unit."""

    unit: str
    factor: float


_SHOWN = {"Wh": ("kWh", 1e-3), "varh": ("kvarh", 1e-3), "VAh": ("kVAh", 1e-3)}
_RATES = {"Wh": ("kW", 1e-3), "varh": ("kvar", 1e-3), "VAh": ("kVA", 1e-3)}


def shown(dimension: Dimension) -> Shown:
    """Return the unit that people read, and its size.

    Example:
        >>> shown(normal({"Wh": 1, "m2": -1}))
        Shown(unit='kWh/m2', factor=0.001)
    """
    powers, factor = dict(dimension), 1.0
    above: list[str] = []
    below: list[str] = []
    for base, (symbol, size) in _RATES.items():
        if powers.get(base) == 1 and powers.get("h") == -1:
            del powers[base], powers["h"]
            above.append(symbol)
            factor *= size
    for base, power in powers.items():
        symbol, size = _SHOWN.get(base, (base, 1.0))
        factor *= size ** max(-20, min(power, 20))  # of more no page can show the unit
        raised = symbol + (f"^{abs(power)}" if abs(power) > 1 else "")
        (above if power > 0 else below).append(raised)
    unit = "·".join(above) or ("1" if below else "")
    return Shown(unit + "".join(f"/{one}" for one in below), factor)


def name_of(dimension: Dimension) -> str:
    """Return what a figure is measured in, for a sentence."""
    return shown(dimension).unit or "a plain number"


def unit_of(dimension: Dimension) -> Unit:
    """Return the unit of the interval layer for a formula's result.

    What data points can be registered with has its own; any other is held as it is shown.
    """
    symbol = shown(dimension).unit
    known = UNITS.get(symbol)
    return known or UNITS[symbol] if "^" not in symbol else Unit(symbol, symbol, amount=symbol)
