"""Figures as a page first shows them: as the browser would write them for an English reader.

``static/js/numbers.js`` writes them again by the reader's own locale and units. Where both write
the same, nothing moves when it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from kilowatch.model.changes import ALMOST_NOTHING

PREFIXED = frozenset({"Wh", "varh", "W", "var", "VA", "Pa"})
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
SIGNS = {"m3": "m³", "m3/h": "m³/h", "W/m2": "W/m²"}
MINUS = "\N{MINUS SIGN}"
"""A hyphen is shorter than a plus, and a line may break behind it."""

LONG = 10_000
"""From here on a figure has five digits before its unit."""

MANY_TIMES = 1 + ALMOST_NOTHING
"""So many times as much, and more, is not told in percent."""

CURRENCY_SIGNS = {"EUR": "€", "GBP": "£", "USD": "$"}


def shown(value: float | None, unit: str, like: float | None = None) -> str:
    """Return a value in three digits with the unit that fits.

    Args:
        value: The figure; None where nothing is known.
        unit: Its canonical unit.
        like: A figure beside it, whose unit it gets (``alike``); None for its own.

    Example:
        >>> shown(20_355.7, "W"), shown(1284.5, "m3"), shown(0.05, "m3"), shown(None, "W")
        ('20.4 kW', '1,285 m³', '50 L', '–')
        >>> shown(0.0, "Wh", like=15_600.0), shown(0.028, "m3", like=0.765)
        ('0 kWh', '0.028 m³')
    """
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    factor, sign = _scale(value if like is None else like, unit)
    return f"{_three_digits(value * factor)} {sign}".strip().replace("-", MINUS, 1)


def alike(values: Iterable[float], unit: str) -> float:
    """Return that one of some figures in one line whose unit suits them all.

    The smallest decides, so that none is told in thousandths, unless the largest then has five
    digits.

    Example:
        >>> alike([283e3, 1.35e6], "Wh"), alike([0.0, 15_600.0], "Wh"), alike([22.0, 48e6], "Wh")
        (283000.0, 15600.0, 48000000.0)
    """
    sizes = sorted(size for value in values if (size := abs(value)) > 0)
    fits = (size for size in sizes if sizes[-1] * _scale(size, unit)[0] < LONG)
    return next(fits, 0.0)


def _scale(value: float, unit: str) -> tuple[float, str]:
    """Return what a value is multiplied with, and the unit that it then has."""
    size = abs(value)
    if unit in PREFIXED:
        found = ((1 / least, f"{prefix}{unit}") for least, prefix in PREFIXES if size >= least)
        return next(found, (1.0, unit))
    if unit == "kg" and size >= 1e3:
        return 1e-3, "t"
    if unit in ("m3", "m3/h") and 0 < size < 0.1:
        return 1e3, unit.replace("m3", "L")
    return 1.0, SIGNS.get(unit, unit)


def change(value: float) -> str:
    """Return a relative change in whole percent; what rounds to nothing has no sign.

    Example:
        >>> change(-0.081) == f"{MINUS}8 %", change(0.126), change(-0.004), change(0.004)
        (True, '+13 %', '0 %', '0 %')
    """
    percent = round(100 * value)
    return f"{percent:+d} %".replace("-", MINUS) if percent else "0 %"


def part(value: float) -> str:
    """Return a share of something in whole percent; where that is little, not by how many times.

    Example:
        >>> part(0.714), part(0.002), part(53.83)
        ('71 %', '1 %', '> 1,000 %')
    """
    if value > MANY_TIMES:
        return f"> {100 * MANY_TIMES:,.0f} %"
    return f"{max(1, round(100 * value)) if value > 0 else 0} %"


def money(value: float | None, currency: str) -> str:
    r"""Return an amount of money in three digits.

    Example:
        >>> money(47.3, "EUR"), money(-1284.4, "EUR") == f"{MINUS}€1,284", money(0.264, "CHF")
        ('€47.30', True, 'CHF\xa00.26')
    """
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    size = abs(value)
    amount = f"{size:,.0f}" if size >= 100 or size == 0 else f"{size:,.2f}"
    sign = CURRENCY_SIGNS.get(currency, f"{currency}\N{NO-BREAK SPACE}")
    return f"{MINUS if value < 0 else ''}{sign}{amount}"


def _three_digits(value: float) -> str:
    """Return three significant digits, and never fewer than the whole part has."""
    if abs(value) >= 1000:
        return f"{math.copysign(math.floor(abs(value) + 0.5), value):,.0f}"  # as a browser rounds
    digits = f"{value:.3g}"
    return f"{float(digits):f}".rstrip("0").rstrip(".") if "e" in digits else digits
