"""How numbers, days and times are written in a sentence."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Protocol

from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone

_MINUS = "\N{MINUS SIGN}"
_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_WRITTEN = {"m3": "m³", "m3/h": "m³/h"}
_LITRES = {"m3": "L", "m3/h": "L/h"}


class Words(Protocol):
    """How numbers and times are written; a page brings its reader's own."""

    def quantity(self, value: float, unit: str) -> str:
        """Write a value in a canonical unit: Wh, W, m3, m3/h or another."""
        ...

    def money(self, value: float, currency: str) -> str:
        """Write an amount of money."""
        ...

    def share(self, value: float) -> str:
        """Write a share, 1 being all."""
        ...

    def day(self, at_ms: int, zone: Zone, *, month: bool) -> str:
        """Write a day of the week and the month, with the month's name or without it."""
        ...

    def clock(self, at_ms: int, zone: Zone) -> str:
        """Write a time of day."""
        ...


class PlainWords:
    """English, to three significant digits."""

    def quantity(self, value: float, unit: str) -> str:
        """Write a value with the prefix that fits it.

        Example:
            >>> PlainWords().quantity(214_300.0, "Wh"), PlainWords().quantity(24_774.0, "m3")
            ('214 kWh', '24,774 m³')
        """
        if unit in {"W", "Wh", "var", "varh", "VA"}:
            for step, prefix in _STEPS:
                if abs(value) >= step * 0.9995:
                    return f"{_digits(value / step)} {prefix}{unit}"
        return f"{_digits(value)} {_WRITTEN.get(unit, unit)}".strip()

    def money(self, value: float, currency: str) -> str:
        """Write an amount of money; cents below ten only."""
        return f"{value:.2f} {currency}" if abs(value) < 10 else f"{value:,.0f} {currency}"

    def share(self, value: float) -> str:
        """Write a share in percent."""
        return f"{100 * value:.0f} %"

    def day(self, at_ms: int, zone: Zone, *, month: bool) -> str:
        """Write a day, as in ``Saturday 14 September``."""
        there = _wall(at_ms, zone)
        return f"{there:%A} {there.day}{f' {there:%B}' if month else ''}"

    def clock(self, at_ms: int, zone: Zone) -> str:
        """Write a time of day, as in ``09:15``."""
        return f"{_wall(at_ms, zone):%H:%M}"


class WaterWords(PlainWords):
    """The same where little is told in litres, as on pages; of gas nobody reads litres."""

    def quantity(self, value: float, unit: str) -> str:
        """Write a value; below a tenth of a cubic metre in litres.

        Example:
            >>> WaterWords().quantity(0.0508, "m3"), WaterWords().quantity(0.23, "m3/h")
            ('50.8 L', '0.23 m³/h')
        """
        if unit in _LITRES and 0 < abs(value) < 0.1:
            return f"{_digits(1000 * value)} {_LITRES[unit]}"
        return super().quantity(value, unit)


PLAIN, WATER = PlainWords(), WaterWords()


def span_text(
    span_ms: tuple[int, int], zone: Zone, words: Words, *, lasts: bool, today_ms: int | None
) -> str:
    """Write from when to when something was: days, and the time of day of what was short.

    Args:
        span_ms: First instant, and the one behind the last [ms since 1970, UTC].
        zone: The site's clock.
        words: How days and times are written.
        lasts: Whether it goes on.
        today_ms: Years other than that of this instant are named; None names one only where the
            span lies in two [ms since 1970, UTC].
    """
    start_ms, end_ms = span_ms
    last_ms = max(end_ms - 1, start_ms)
    days = int(zone.day_index([last_ms])[0] - zone.day_index([start_ms])[0])
    begun, last = (_wall(at_ms, zone) for at_ms in (start_ms, last_ms))
    now_year = last.year if today_ms is None else _wall(today_ms, zone).year
    of_last = year_text(last_ms, zone, today_ms)
    of_first = f" {begun.year}" if begun.year != last.year else ""
    if lasts and end_ms - start_ms > 2 * DAY_MS:
        year = f" {begun.year}" if begun.year != now_year else ""
        return f"Since {words.day(start_ms, zone, month=True)}{year}"
    if not days:
        span = f"{words.day(start_ms, zone, month=True)}{of_last}"
        if end_ms - start_ms < 23 * HOUR_MS:
            end = words.clock(end_ms, zone).replace("00:00", "24:00")
            span += f", {words.clock(start_ms, zone)} to {end}"
        return span
    same = begun.month == last.month and not of_first
    first = words.day(start_ms, zone, month=not same)
    return f"{first}{of_first} to {words.day(last_ms, zone, month=True)}{of_last}"


def year_text(at_ms: int, zone: Zone, today_ms: int | None) -> str:
    """Write an instant's year behind a space; nothing where it is that of today, or that is None.

    Example:
        >>> zone = Zone.of("Europe/Dublin")
        >>> year_text(0, zone, 1_794_009_600_000), year_text(0, zone, 86_400_000)
        (' 1970', '')
    """
    year = _wall(at_ms, zone).year
    return "" if today_ms is None or year == _wall(today_ms, zone).year else f" {year}"


def _digits(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}".replace("-", _MINUS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _wall(at_ms: int, zone: Zone) -> datetime:
    return datetime.fromtimestamp(int(zone.local_ms([at_ms])[0]) / 1000, UTC)
