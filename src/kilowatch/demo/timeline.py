"""Quarter-hours of the simulation, with everything about them that buildings live by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import holidays
import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone

Bools = npt.NDArray[np.bool_]

ZONE_NAME = "Europe/Dublin"
COUNTRY = "IE"
SLOT_S = 900
SLOT_MS = SLOT_S * 1000
SLOT_H = SLOT_S / 3600


@dataclass(frozen=True, slots=True)
class Timeline:
    """Quarter-hours from ``at_ms[0]`` on, each array of shape (n,).

    Attributes:
        at_ms: Their starts [ms since 1970, UTC].
        hour: Local time of day [h], 0 to 24.
        weekday: 0 is Monday.
        day: Local date, in days since 1970-01-01.
        day_of_year: 1 to 366.
        holiday: True on a public holiday of Ireland.
        school: True on a day with lessons.
    """

    at_ms: Ints
    hour: Floats
    weekday: Ints
    day: Ints
    day_of_year: Ints
    holiday: Bools
    school: Bools

    @staticmethod
    def between(from_ms: int, to_ms: int) -> Timeline:
        """Return the quarter-hours that start in [from_ms, to_ms); both are multiples."""
        at_ms = np.arange(from_ms, to_ms, SLOT_MS, dtype=np.int64)
        local_ms = Zone.of(ZONE_NAME).local_ms(at_ms)
        day = local_ms // DAY_MS
        first, last = int(day[0]), int(day[-1])
        dates = [date(1970, 1, 1) + timedelta(days=d) for d in range(first, last + 1)]
        index = day - first
        return Timeline(
            at_ms=at_ms,
            hour=(local_ms % DAY_MS) / HOUR_MS,
            weekday=(day + 3) % 7,  # 1970-01-01 was a Thursday
            day=day,
            day_of_year=np.array([d.timetuple().tm_yday for d in dates])[index],
            holiday=np.array([d in _holidays(d.year) for d in dates])[index],
            school=np.array([is_school_day(d) for d in dates])[index],
        )

    def between_hours(self, start: float, end: float) -> Bools:
        """Return where the local time of day lies in [start, end), shape (n,)."""
        return (self.hour >= start) & (self.hour < end)

    def rises(self, start: float, end: float) -> Floats:
        """Return a ramp over the day from 0 at ``start`` to 1 at ``end`` [h], shape (n,)."""
        return np.clip((self.hour - start) / (end - start), 0.0, 1.0)

    @property
    def workday(self) -> Bools:
        """True from Monday to Friday, except on public holidays, shape (n,)."""
        return (self.weekday < 5) & ~self.holiday

    def within(self, from_ms: int, to_ms: int) -> Bools:
        """Return which quarter-hours start in [from_ms, to_ms), shape (n,)."""
        return (self.at_ms >= from_ms) & (self.at_ms < to_ms)


@lru_cache(maxsize=8)
def _holidays(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays(COUNTRY, years=year)


def _easter_monday(year: int) -> date:
    return next(d for d, name in _holidays(year).items() if name == "Easter Monday")


def is_school_day(day: date) -> bool:
    """Tell whether there are lessons: the usual year of an Irish primary school.

    1 September to 30 June, without two weeks each at Christmas and Easter and a week
    each at the end of October and in the middle of February.
    """
    if day.weekday() >= 5 or day.month in {7, 8} or day in _holidays(day.year):
        return False
    easter = _easter_monday(day.year)
    october = max(d for d in (date(day.year, 10, n) for n in range(25, 32)) if d.weekday() == 0)
    february = date(day.year, 2, 14) - timedelta(days=date(day.year, 2, 14).weekday())
    breaks = (
        (easter - timedelta(days=9), easter + timedelta(days=5)),
        (october, october + timedelta(days=4)),
        (february, february + timedelta(days=4)),
    )
    if (day.month, day.day) >= (12, 21) or (day.month, day.day) <= (1, 4):
        return False
    return not any(start <= day <= end for start, end in breaks)
