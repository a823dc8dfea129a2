"""Units that meters speak, and the one that each becomes in the interval layer.

From the interval layer on we hold Wh, W, °C, m³, m³/h and so on; readings hold what
was pushed. The conversion is linear: ``canonical = factor * pushed + offset``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit a data point can be registered with.

    Attributes:
        symbol: As registered and shown (``kWh``).
        canonical: Unit of the interval layer's ``mean`` for rates and gauges, and of
            ``amount`` for registers and amounts.
        factor: Multiplier from pushed to canonical.
        offset: Added after the multiplier (temperatures).
        amount: Unit of the integral over time of a rate, else the canonical unit
            of an amount; empty for a gauge.
        amount_factor: For a rate, canonical rate times hours times this is the amount.
        behaviour: What ``avg`` of the older interface means for this unit.
    """

    symbol: str
    canonical: str
    factor: float = 1.0
    offset: float = 0.0
    amount: str = ""
    amount_factor: float = 1.0
    behaviour: str = "gauge"


def _amount(symbol: str, canonical: str, factor: float) -> Unit:
    return Unit(symbol, canonical, factor, amount=canonical, behaviour="amount")


def _rate(symbol: str, canonical: str, factor: float, amount: str) -> Unit:
    return Unit(symbol, canonical, factor, amount=amount, behaviour="rate")


_ALL = (
    _amount("Wh", "Wh", 1.0),
    _amount("kWh", "Wh", 1e3),
    _amount("MWh", "Wh", 1e6),
    _amount("MJ", "Wh", 1e6 / 3600),
    _amount("GJ", "Wh", 1e9 / 3600),
    _amount("BTU", "Wh", 1055.05585262 / 3600),  # International Table BTU, ISO 31-4
    _amount("m3", "m3", 1.0),
    _amount("L", "m3", 1e-3),
    _amount("ft3", "m3", 0.3048**3),
    _amount("kg", "kg", 1.0),
    _amount("pcs", "pcs", 1.0),
    _rate("W", "W", 1.0, "Wh"),
    _rate("kW", "W", 1e3, "Wh"),
    _rate("MW", "W", 1e6, "Wh"),
    _rate("m3/h", "m3/h", 1.0, "m3"),
    _rate("L/s", "m3/h", 3.6, "m3"),
    _rate("L/min", "m3/h", 0.06, "m3"),
    _rate("L/h", "m3/h", 1e-3, "m3"),
    Unit("°C", "°C"),
    Unit("°F", "°C", 5 / 9, -160 / 9),
    Unit("K", "°C", 1.0, -273.15),
    Unit("%", "%"),
    Unit("ppm", "ppm"),
    Unit("Pa", "Pa"),
    Unit("bar", "Pa", 1e5),
    Unit("lx", "lx"),
    Unit("V", "V"),
    Unit("A", "A"),
    Unit("Hz", "Hz"),
    Unit("W/m2", "W/m2"),
    Unit("m/s", "m/s"),
    Unit("", ""),
)

_PARTS = frozenset(unit.symbol for unit in _ALL if unit.symbol and "/" not in unit.symbol) | {
    "1", "h", "m2", "kvar", "kvarh", "kVA", "kVAh"
}  # fmt: skip
"""What the unit of a formula's result can be made of."""


class _Units(dict[str, Unit]):
    """Units that data points can be registered with; looked up, also those of results."""

    def __missing__(self, symbol: str) -> Unit:
        """Return a unit made of others, such as kWh/m2; it is held as it is shown.

        Raises:
            KeyError: It is not.
        """
        if not set(symbol.replace("·", "/").split("/")) <= _PARTS:
            raise KeyError(symbol)
        return Unit(symbol, symbol, amount=symbol)


UNITS: dict[str, Unit] = _Units({unit.symbol: unit for unit in _ALL})
"""Every unit by its symbol; the empty symbol is a plain number.

``UNITS[…]`` also knows units of formulas' results (kWh/m2); ``in`` and ``get`` do not.
"""

RATE_UNIT = {"Wh": "W", "varh": "var", "m3": "m3/h", "kg": "kg/h", "pcs": "pcs/h"}
"""Unit of an amount per hour."""


def rate_unit(unit: str) -> str:
    """Return the unit of an amount per hour.

    Example:
        >>> rate_unit("Wh"), rate_unit("kWh/m2")
        ('W', 'kWh/m2/h')
    """
    return RATE_UNIT.get(unit, f"{unit}/h")
