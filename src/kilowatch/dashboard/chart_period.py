"""The days that a page of charts is about: a year, the last twelve months, any others.

Whole local days of the site, like those of Breakdown (``periods.py``), and from the same words in
the address, so that a link from one page to the other keeps its days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from kilowatch.dashboard.periods import bounds, day_of, midnight_ms
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

ROLLING = "12m"
"""The word for the twelve months that end with the newest data."""

DAYS_MAX = 366
YEARS = range(1972, 2101)  # of which a day may be asked for


@dataclass(frozen=True, slots=True)
class Span:
    """Some local days, the last one included.

    Attributes:
        period: What the person chose: ``day``, ``week``, ``month``, ``year``, ``12m``, ``custom``.
        first: First day.
        last: Last day.
        today: What day it is at the site.
    """

    period: str
    first: date
    last: date
    today: date

    @property
    def days(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def name(self) -> str:
        """The days in words."""
        if self.period == "year":
            return str(self.first.year)
        if self.period == "month":
            return f"{t(f'month.{self.first.month}')} {self.first.year}"
        if self.first == self.last:
            return day_text(self.first)
        return f"{day_text(self.first)} \N{EN DASH} {day_text(self.last)}"

    def ms(self, zone: str) -> tuple[int, int]:
        """Return where the days begin and end in a zone [ms since 1970, UTC]."""
        return midnight_ms(self.first, zone), midnight_ms(self.last + timedelta(1), zone)

    def moved(self, direction: int) -> Span:
        """Return the period before (-1) or after (+1)."""
        if self.period == ROLLING:
            first, last = _year_on(self.first, direction), _year_on(self.last, direction)
            return Span(self.period, first, last, self.today)
        if self.period == "custom":
            days = timedelta(direction * self.days)
            return Span(self.period, self.first + days, self.last + days, self.today)
        outside = self.first - timedelta(1) if direction < 0 else self.last + timedelta(1)
        return Span(self.period, *bounds(self.period, outside), self.today)

    def shifted(self, days: int) -> Span:
        """Return as many days, so many days earlier."""
        back = timedelta(days)
        return Span("custom", self.first - back, self.last - back, self.today)

    def query(self) -> dict[str, str]:
        """Return the period as an address has it."""
        anchor = self.last if self.period == ROLLING else self.first
        found = {"period": self.period, "date": anchor.isoformat()}
        return found | ({"until": self.last.isoformat()} if self.period == "custom" else {})


def span(
    query: Mapping[str, str], offered: Sequence[str], anchor: date, today: date, usual: str
) -> Span:
    """Read the days out of an address.

    Args:
        query: ``period``, ``date`` and ``until``, all optional; ``until`` for ``custom`` only.
        offered: The periods of this page.
        anchor: The day that counts where the address names none: that of the newest data.
        today: What day it is at the site.
        usual: The period that counts where the address names none.

    Raises:
        KilowatchError: 400 ``bad_period`` or ``bad_date``.
    """
    period = query.get("period") or usual
    if period not in offered:
        raise KilowatchError(
            "bad_period", f"{period!r} is not a period.", remedy=f"Use {', '.join(offered)}."
        )
    day = day_of(query["date"], YEARS) if query.get("date") else anchor
    if period == "custom":
        until = day_of(query["until"], YEARS) if query.get("until") else day
        first, last = min(day, until), max(day, until)
        if (last - first).days >= DAYS_MAX:
            raise KilowatchError(
                "bad_date",
                f"The period is longer than {DAYS_MAX} days.",
                remedy="Choose a shorter one.",
            )
        return Span(period, first, last, today)
    if period == ROLLING:
        return Span(period, _year_on(day, -1) + timedelta(1), day, today)
    return Span(period, *bounds(period, day), today)


def navigation(chosen: Span, begin: date | None, rest: Mapping[str, str]) -> dict[str, Any]:
    """Return what the form and the arrows of a page of charts need.

    Args:
        chosen: The days shown.
        begin: The first day with data; None where nobody knows.
        rest: What else stands in the address.
    """
    before, after = chosen.moved(-1), chosen.moved(1)
    return {
        "span": chosen,
        "previous": None if begin and before.last < begin else {**rest, **before.query()},
        "next": None if after.first > chosen.today else {**rest, **after.query()},
    }


def _year_on(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return day.replace(year=day.year + years, day=28)
