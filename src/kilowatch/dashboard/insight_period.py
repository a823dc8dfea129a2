"""The stretch of days that a page of insights is about, counted back from the newest data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kilowatch.dashboard.needs import Insights, View
from kilowatch.dashboard.periods import day_of, local_day, midnight_ms
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.model.points import DataPoint

LENGTHS = (7, 30, 90, 365)
"""Days on offer."""
YEARS = range(1971, 2101)
"""An address with another year is a slip."""

BEHIND_H = 24
"""Hours a stream for which insights are called behind: now and then an hour is due."""


def behind(insights: Insights) -> str:
    """Return ``behind`` while history is still worked through, ``fault`` where it stands, or "".

    ``starting`` after a start, until somebody has counted what is due: after an update that may be
    every hour there is.
    """
    backlog = insights.backlog()
    if backlog.fault:
        return "fault"
    if backlog.starting:
        return "starting"
    return "behind" if backlog.hours > BEHIND_H * max(1, backlog.streams) else ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some local days, the last one included.

    Attributes:
        days: How many.
        last: The last one.
        newest: The local day of the newest data; None where there is none.
        today: What day it is.
    """

    days: int
    last: date
    newest: date | None
    today: date

    @property
    def first(self) -> date:
        """The first day."""
        return self.last - timedelta(self.days - 1)

    @property
    def stale(self) -> bool:
        """Whether the newest data is not of these days: of yesterday at least."""
        return self.newest is not None and self.newest < self.today - timedelta(1)

    @property
    def newest_name(self) -> str:
        """The day of the newest data in words; empty where there is none."""
        return "" if self.newest is None else day_text(self.newest)

    @property
    def name(self) -> str:
        """First and last day in words."""
        return f"{day_text(self.first)} \N{EN DASH} {day_text(self.last)}"

    def ms(self, zone: str) -> tuple[int, int]:
        """Return where the days begin and end in a zone [ms since 1970, UTC]."""
        return midnight_ms(self.first, zone), midnight_ms(self.last + timedelta(1), zone)

    def moved(self, direction: int) -> date:
        """Return the last day of the stretch before (-1) or after (+1)."""
        return self.last + timedelta(direction * self.days)


def newest_ms(view: View, points: Sequence[DataPoint]) -> int | None:
    """Return the instant of the newest packet of some data points; None before the first."""
    seen = view.last_seen([point.series for point in points])
    return max(seen.values(), default=None)


def stretch(
    query: Mapping[str, str],
    view: View,
    points: Sequence[DataPoint],
    now_ms: int,
    *,
    usual: int = 30,
) -> Stretch:
    """Read the days out of an address: ``days`` and ``until``, both optional.

    Without ``until`` they end today, or where the data ends: a history that was put in, or a site
    that fell silent, is shown with its last days and not with empty ones.

    Raises:
        KilowatchError: 400 ``bad_date``.
    """
    zone = points[0].zone if points else "UTC"
    today = local_day(now_ms, zone)
    at_ms = newest_ms(view, points)
    newest = None if at_ms is None else min(today, local_day(at_ms, zone))
    days = next((one for one in LENGTHS if str(one) == query.get("days")), usual)
    if text := query.get("until", ""):
        return Stretch(days, min(day_of(text, YEARS), today), newest, today)
    return Stretch(days, newest or today, newest, today)
