"""Local days and times of a site: as clients write them, and as answers have them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from kilowatch.api.declaring import Parameter
from kilowatch.api.problems import impossible
from kilowatch.model.blocks import Ints
from kilowatch.model.calendar import day_start_ms
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

YEARS = range(1971, 2101)  # as on pages: calendars end with 2110
DAYS_MAX = 90
WRITTEN = "DD/MM/YYYY, YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, in the local time of the meter's site"
PATTERN = r"^([0-9]{2}/[0-9]{2}/[0-9]{4}|[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}(:[0-9]{2}){2})?)$"
"""The same for the description; whether there is such a day is another question."""
_SHAPE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}:\d{2}))?")
_DAY_FIRST = re.compile(r"(\d{2})/(\d{2})/(\d{4})")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Written:
    """A local day, or a time of it.

    Attributes:
        clock: The wall clock, as if it were UTC; midnight for a whole day.
        whole_day: Whether only the day was given.
    """

    clock: datetime
    whole_day: bool

    def begin_ms(self, zone: Zone) -> int:
        """Return its first instant [ms]; of a time that occurs twice, the first."""
        if self.whole_day:
            return day_start_ms(self.clock.date(), zone)
        return int(zone.wall_to_instant_ms([round(self.clock.timestamp() * 1000)]).at_ms[0])

    def end_ms(self, zone: Zone) -> int:
        """Return the instant that a period up to it ends with [ms]: a whole day is part of it."""
        if self.whole_day:
            return day_start_ms(self.clock.date() + timedelta(1), zone)
        return self.begin_ms(zone)


def written(text: str) -> Written:
    """Read a local day or time.

    Raises:
        ValueError: It is none; with what was expected.

    Example:
        >>> written("09/11/2026").clock == written("2026-11-09").clock
        True
    """
    day_first = _DAY_FIRST.fullmatch(text)
    if day_first:
        text = f"{day_first[3]}-{day_first[2]}-{day_first[1]}"
    found = _SHAPE.fullmatch(text)
    if found is None or not text.isascii():
        raise ValueError(WRITTEN)
    try:
        clock = datetime.fromisoformat(f"{found[1]} {found[2] or '00:00:00'}+00:00")
    except ValueError:
        raise ValueError(WRITTEN) from None  # the 30th of February
    if clock.year not in YEARS:
        raise ValueError(f"within {YEARS[0]} to {YEARS[-1]}")
    return Written(clock, found[2] is None)


def moment(name: str, about: str) -> Parameter:
    """Return a parameter that is a local day or time, and has to be sent."""
    schema = {"type": "string", "pattern": PATTERN}
    return Parameter(name, f"{about} {WRITTEN}.", schema, written, required=True)


SPAN = (
    moment("from", "First day, or first instant of the period, itself included:"),
    moment(
        "to",
        f"Last day, itself included, or the instant at which the period ends; at most {DAYS_MAX} "
        "days after the first:",
    ),
)


def clock_of(point: DataPoint) -> Zone:
    """Return the clock of a data point's site, over time."""
    return Zone.of(point.history.zone_name(point.zone))


def span_of(first: Written, last: Written, zone: Zone) -> tuple[int, int]:
    """Return the period that ``from`` and ``to`` mean [ms since 1970, UTC].

    Raises:
        KilowatchError: 422 ``period_empty`` or ``period_too_long``.
    """
    from_ms, to_ms = first.begin_ms(zone), last.end_ms(zone)
    if to_ms <= from_ms:
        raise impossible("to", "period_empty", "The period ends before it begins.")
    longest = Written(first.clock + timedelta(DAYS_MAX), first.whole_day)
    if to_ms > longest.begin_ms(zone):
        raise impossible(
            "to",
            "period_too_long",
            f"The period is longer than {DAYS_MAX} days, the most that is answered at a time.",
            "Ask for the rest with further requests.",
        )
    return from_ms, to_ms


def timestamps(at_ms: Ints, zone: Zone) -> list[str]:
    """Return instants as ISO 8601 in local time with their offset from UTC.

    Example:
        >>> timestamps(np.array([1_794_234_140_000]), Zone.of("Europe/Dublin"))
        ['2026-11-09T14:22:20+00:00']
    """
    if not len(at_ms):
        return []
    offset_ms = zone.offsets_ms(at_ms)
    clocks = np.datetime_as_string(((at_ms + offset_ms) // 1000).astype("datetime64[s]"))
    ends = {one: _offset(one) for one in np.unique(offset_ms).tolist()}
    return [
        clock + ends[one] for clock, one in zip(clocks.tolist(), offset_ms.tolist(), strict=True)
    ]


def timestamp(at_ms: int, zone: Zone) -> str:
    """Return one instant as ``timestamps`` does."""
    return timestamps(np.array([at_ms], np.int64), zone)[0]


def days(at_ms: Ints, zone: Zone) -> list[date]:
    """Return the local day of each instant."""
    found: list[date] = zone.dates(at_ms).astype(object).tolist()
    return found


def times_of_day(at_ms: Ints, zone: Zone) -> list[str]:
    """Return instants as ``00h15m`` on the local clock; both of a doubled hour have one name."""
    local = (zone.local_ms(at_ms) // MINUTE_MS % (24 * 60)).tolist()
    return [f"{one // 60:02}h{one % 60:02}m" for one in local]


def month_of(month: int, year: int, zone: Zone, now_ms: int) -> tuple[int, int]:
    """Return the days of a month, up to today's end [ms since 1970, UTC]; none if it is to come."""
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    today = datetime.fromtimestamp(int(zone.local_ms([now_ms])[0]) / 1000, UTC).date()
    last = min(after, today + timedelta(1))
    return day_start_ms(first, zone), max(day_start_ms(last, zone), day_start_ms(first, zone))


def _offset(offset_ms: int) -> str:
    hours, minutes = divmod(abs(offset_ms) // MINUTE_MS, 60)
    return f"{'-' if offset_ms < 0 else '+'}{hours:02}:{minutes:02}"
