"""A year or a month of Data quality, and its gaps as a calendar: months of days."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import iso_local, midnight_ms
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.gaps import GapDay
from kilowatch.model.lengths import HOUR_MS, MINUTE_MS

LEVELS = (0.01, 0.1, 0.5)
"""Shares of a day's time that is lost, all data points together: above each a day is one darker."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a page is about: a year, or one month or day of it.

    Attributes:
        year: The year of the calendar.
        month: 1 to 12; None for all of the year.
        day: A day whose gaps are shown; None for none.
    """

    year: int
    month: int | None
    day: date | None

    @property
    def first(self) -> date:
        """First local day."""
        return date(self.year, self.month or 1, 1)

    @property
    def last(self) -> date:
        """Last local day, included."""
        month = self.month or 12
        return date(self.year, month, calendar.monthrange(self.year, month)[1])

    @property
    def name(self) -> str:
        """The period in words."""
        return f"{month_name(self.month)} {self.year}" if self.month else str(self.year)

    def bounds_ms(self, zone: str) -> tuple[int, int]:
        """Return where the period begins and ends in a zone [ms since 1970, UTC]."""
        return days_ms(self.first, self.last, zone)

    def year_ms(self, zone: str) -> tuple[int, int]:
        """Return where the year begins and ends in a zone [ms since 1970, UTC]."""
        return days_ms(date(self.year, 1, 1), date(self.year, 12, 31), zone)


def chosen(query: Mapping[str, str], today: date) -> Chosen:
    """Read the period out of an address: ``year``, ``month`` and ``day``, all optional.

    Raises:
        KilowatchError: 400 ``bad_date``.
    """
    day = None
    if text := query.get("day", ""):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise _bad(text) from None
    month = whole_number(query.get("month") or "0")
    year = whole_number(query.get("year") or str((day or today).year))
    if year is None or not 1971 <= year <= 2100 or month is None or month > 12:
        raise _bad(f"{query.get('year', '')}-{query.get('month', '')}")
    if day is not None and day.year != year:
        day = None
    return Chosen(year, month or None, day)


def days_ms(first: date, last: date, zone: str) -> tuple[int, int]:
    """Return from where to where some local days reach [ms since 1970, UTC]."""
    return midnight_ms(first, zone), midnight_ms(last + timedelta(1), zone)


def month_name(number: int) -> str:
    """Return what a month is called."""
    return t(f"month.{number}")


def day_text(day: date) -> str:
    """Return a day as a person reads it: ``9 November 2026``."""
    return f"{day.day} {month_name(day.month)} {day.year}"


def lost_text(lost_ms: int) -> str:
    """Return a length of time in two words.

    Example:
        >>> lost_text(90 * 60_000), lost_text(40_000), lost_text(3_000 * 3_600_000)
        ('1 h 30 min', '40 s', '3,000 h')
    """
    if lost_ms < MINUTE_MS:
        return f"{round(lost_ms / 1000)} s"
    if lost_ms < HOUR_MS:
        return f"{lost_ms // MINUTE_MS} min"
    hours, minutes = divmod(round(lost_ms / MINUTE_MS), 60)
    return f"{hours:,} h" if hours >= 48 or not minutes else f"{hours} h {minutes} min"


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of the calendar.

    Attributes:
        day: The local day.
        level: 0 for no gap, 1 to 4 by the share of time that is lost.
        points: Data points with a gap on it.
        text: All of it in words.
        href: Where its gaps are listed; empty where there are none.
        future: Whether it has not begun yet.
        selected: Whether it is the day that is shown.
    """

    day: date
    level: int
    points: int
    text: str
    href: str
    future: bool
    selected: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar, as weeks from Monday on."""

    name: str
    href: str
    selected: bool
    empty: bool
    weeks: list[list[Cell | None]]


@dataclass(frozen=True, slots=True)
class Hrefs:
    """Where the calendar leads: by month, and by day."""

    month: Callable[[int], str]
    day: Callable[[date], str]


def months_of(
    period: Chosen, days: Sequence[GapDay], points: int, today: date, hrefs: Hrefs
) -> list[Month]:
    """Lay a year out as months of days.

    Args:
        period: The year, with what is selected in it.
        days: Its days with gaps.
        points: How many data points are looked at: what a day's lost time is a share of.
        today: Later days have not been yet.
        hrefs: Where cells lead.
    """
    by_day = {one.day: one for one in days}

    def cell(day: date) -> Cell | None:
        if day.month != number:
            return None
        found = by_day.get(day)
        if found is None:
            text = day_text(day) if day > today else t("data_quality.no_gap", day=day_text(day))
            return Cell(day, 0, 0, text, "", future=day > today, selected=day == period.day)
        return Cell(
            day, level(found, points), found.points, words_of(found, points), hrefs.day(day),
            future=False, selected=day == period.day,
        )  # fmt: skip

    found = []
    for number in range(1, 13):
        weeks = calendar.Calendar().monthdatescalendar(period.year, number)
        found.append(
            Month(
                month_name(number),
                hrefs.month(number),
                number == period.month,
                not any(one.day.month == number for one in days),
                [[cell(day) for day in week] for week in weeks],
            )
        )
    return found


def level(found: GapDay, points: int) -> int:
    """Return how dark a day is: 1 to 4."""
    share = found.missing_ms / (max(points, 1) * 24 * HOUR_MS)
    return 1 + sum(share >= limit for limit in LEVELS)


def words_of(found: GapDay, points: int) -> str:
    """Return a day of the calendar in words."""
    several = "many" if points > 1 else "one"
    return t(
        f"day_words.{several}",
        day=day_text(found.day),
        points=found.points,
        gaps=counted("gaps", found.gaps),
        lost=lost_text(found.missing_ms),
    )


def counted(word: str, number: int) -> str:
    """Return a number of things: ``1 gap``, ``3 gaps``."""
    return t(f"count.{word}{'' if number != 1 else '_one'}", n=f"{number:,}")


def local_text(at_ms: int, zone: str) -> str:
    """Return an instant on the site's clock, with its offset where an hour comes twice.

    Example:
        >>> local_text(1_793_493_000_500, "Europe/Dublin")
        '2026-11-01 00:30'
        >>> local_text(1_792_888_200_000, "Europe/Dublin")
        '2026-10-25 01:30 (+01:00)'
    """
    text = iso_local(at_ms, zone)
    shown = text[:19].replace("T", " ").removesuffix(":00")
    twice = any(iso_local(at_ms + shift, zone)[:19] == text[:19] for shift in (-HOUR_MS, HOUR_MS))
    return f"{shown} ({text[-6:]})" if twice else shown


def _bad(text: str) -> KilowatchError:
    return KilowatchError(
        "bad_date", f"{text!r} is no period.", remedy="Choose a year from 1971 to 2100 and a month."
    )
