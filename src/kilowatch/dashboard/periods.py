"""The stretch of time on the page: from the URL's words to instants, on the site's calendar.

A period is made of whole local days of the site. Their bounds are instants, so a day
has 23 to 25 hours, and nothing here adds 24 hours to anything.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_S, MINUTE_MS
from kilowatch.model.points import DataPoint

Period = Literal["day", "week", "month", "year", "custom"]
Grain = Literal["interval", "hour", "day", "week", "month", "year"] | int

PERIODS: tuple[Period, ...] = ("day", "week", "month", "year", "custom")
LONGEST_GRAIN_S = 366 * DAY_S  # a bucket that began before 1970 has no calendar
LONGEST_DAYS = 3660  # ten years: what a custom period may span
YEARS = range(1971, 2101)  # of which a day may be asked for; calendars end with 2110

# Granularities on offer, finest first: word in the URL, what the view is asked, length [s].
GRAINS: tuple[tuple[str, Grain, int], ...] = (
    ("1m", 60, 60),
    ("5m", 300, 300),
    ("15m", 900, 900),
    ("30m", 1800, 1800),
    ("hour", "hour", 3600),
    ("day", "day", DAY_S),
    ("week", "week", 7 * DAY_S),
    ("month", "month", 30 * DAY_S),
)
_LENGTH_S = {word: length for word, _, length in GRAINS}
_ASKED: dict[str, Grain] = {word: grain for word, grain, _ in GRAINS}

BUCKETS_OFFERED = 9_000  # a month of 5-minute intervals; finer than that says nothing more
BUCKETS_FIRST = 320  # what a page opens with: a day of 5 minutes, or a year of days below
_FIRST: dict[str, int] = {"week": 3600, "month": DAY_S, "year": DAY_S}


@dataclass(frozen=True, slots=True)
class Window:
    """A period of whole local days, and how finely it is cut.

    Attributes:
        period: What the person chose.
        first: First local day.
        last: Last local day, included.
        from_ms: Start of the first day [ms since 1970, UTC].
        to_ms: End of the last day [ms since 1970, UTC].
        grain: Word for the granularity, as in the URL.
        grains: Words that are sensible for this period and data point, finest first.
    """

    period: Period
    first: date
    last: date
    from_ms: int
    to_ms: int
    grain: str
    grains: tuple[str, ...]

    @property
    def asked(self) -> Grain:
        """The granularity as the view understands it."""
        return asked_grain(self.grain)

    def step(self, direction: int) -> tuple[date, date]:
        """Return the first and last day of the period before (-1) or after (+1)."""
        if self.period == "custom":
            days = timedelta((self.last - self.first).days + 1)
            return self.first + direction * days, self.last + direction * days
        outside = self.first - timedelta(1) if direction < 0 else self.last + timedelta(1)
        return bounds(self.period, outside)


def asked_grain(word: str) -> Grain:
    """Return what the view calls a granularity of the URL.

    Raises:
        KilowatchError: 400 ``bad_grain``, the word is none.
    """
    if word in ("interval", "year"):
        return word  # type: ignore[return-value]
    if word in _ASKED:
        return _ASKED[word]
    if found := re.fullmatch(r"([1-9][0-9]{0,5})([smh])", word):
        length_s = int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
        if length_s <= LONGEST_GRAIN_S:
            return length_s
    raise KilowatchError(
        "bad_grain",
        f"{word!r} is not a granularity.",
        remedy="Use interval, 15m, hour, day, week, month or year.",
    )


def midnight_ms(day: date, zone: str) -> int:
    """Return the instant at which a local day begins [ms since 1970, UTC]."""
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return round(local.timestamp() * 1000)


def local_day(at_ms: int, zone: str) -> date:
    """Return the local day that an instant lies in."""
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()


def iso_local(at_ms: int, zone: str) -> str:
    """Return an instant as ISO 8601 in local time with its offset."""
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).isoformat()


def clock_text(at_ms: int, zone: str) -> str:
    """Return an instant on the local clock, to the second, for a person to read."""
    local = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    return local.replace(tzinfo=None).isoformat(" ")


def bounds(period: str, day: date) -> tuple[date, date]:
    """Return the first and last day of the day, week (Monday), month or year of ``day``."""
    if period == "week":
        monday = day - timedelta(day.weekday())
        return monday, monday + timedelta(6)
    if period == "month":
        return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])
    if period == "year":
        return date(day.year, 1, 1), date(day.year, 12, 31)
    return day, day


def window(query: Mapping[str, str], point: DataPoint, anchor: date) -> Window:
    """Read a period out of the URL.

    Args:
        query: ``period``, ``date``, ``until`` (custom only) and ``grain``, all optional.
        point: The data point; its zone and interval matter.
        anchor: The day shown when the URL names none.

    Raises:
        KilowatchError: 400 ``bad_period``, ``bad_date`` or ``bad_grain``.
    """
    period = query.get("period", "day")
    if period not in PERIODS:
        raise KilowatchError(
            "bad_period", f"{period!r} is not a period.", remedy=f"Use {', '.join(PERIODS)}."
        )
    day = day_of(query["date"], YEARS) if query.get("date") else anchor
    if period == "custom":
        first, last = day, day_of(query["until"], YEARS) if query.get("until") else day
        first, last = min(first, last), max(first, last)
        if (last - first).days >= LONGEST_DAYS:
            raise KilowatchError(
                "bad_date", "The period is longer than ten years.", remedy="Choose a shorter one."
            )
    else:
        first, last = bounds(period, day)
    grains = sensible_grains((last - first).days + 1, point.interval_s)
    grain = query.get("grain") or first_grain(period, grains, point.interval_s, first, last)
    asked_grain(grain)
    return Window(
        period=period,
        first=first,
        last=last,
        from_ms=midnight_ms(first, point.zone),
        to_ms=midnight_ms(last + timedelta(1), point.zone),
        grain=grain,
        grains=grains,
    )


def sensible_grains(days: int, interval_s: int) -> tuple[str, ...]:
    """Return the granularities worth offering for a period of so many days.

    Not finer than the data point's own interval, not so fine that nobody can read it,
    and never a single bucket for the whole period.
    """
    span_s = days * DAY_S
    words = ["interval"] if span_s / interval_s <= BUCKETS_OFFERED else []
    words += [
        word
        for word, _, length_s in GRAINS
        if length_s > interval_s
        and (length_s >= DAY_S or length_s % interval_s == 0)
        and 1 < span_s / length_s <= BUCKETS_OFFERED
    ]
    return tuple(words) or ("interval",)


def first_grain(
    period: str, grains: tuple[str, ...], interval_s: int, first: date, last: date
) -> str:
    """Return the granularity a page opens with: readable, not the finest at any price."""
    span_s = ((last - first).days + 1) * DAY_S
    wanted_s = _FIRST.get(period, span_s / BUCKETS_FIRST)
    for word in grains:
        if (interval_s if word == "interval" else _LENGTH_S[word]) >= wanted_s:
            return word
    return grains[-1]


def offsets(from_ms: int, to_ms: int, zone: str) -> list[tuple[int, int]]:
    """Return the zone's UTC offsets over a stretch, for a browser that may not know the zone.

    Returns:
        Pairs of (from this instant on [ms], offset [min]), the first at ``from_ms``.
    """
    return list(_offsets(from_ms, to_ms, zone))


@lru_cache(maxsize=1_000)  # a year's days are looked at one by one, and many ask for the same year
def _offsets(from_ms: int, to_ms: int, zone: str) -> tuple[tuple[int, int], ...]:
    tz = ZoneInfo(zone)

    def offset_min(at_ms: int) -> int:
        delta = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(tz).utcoffset()
        assert delta is not None
        return round(delta.total_seconds() / 60)

    found = [(from_ms, offset_min(from_ms))]
    day_ms = DAY_S * 1000
    for at_ms in range(from_ms, to_ms, day_ms):
        end_ms = min(at_ms + day_ms, to_ms)
        if offset_min(end_ms) != found[-1][1]:
            low, high = at_ms, end_ms
            while high - low > MINUTE_MS:  # transitions fall on whole minutes
                middle = (low + high) // 120_000 * MINUTE_MS
                low, high = (low, middle) if offset_min(middle) != found[-1][1] else (middle, high)
            found.append((high, offset_min(high)))
    return tuple(found)


def day_of(text: str, years: range) -> date:
    """Read a day of an address.

    Args:
        text: As ``2026-11-09``.
        years: Those that make sense.

    Raises:
        KilowatchError: 400 ``bad_date``.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise KilowatchError(
            "bad_date", f"{text!r} is not a date.", remedy="Write it like 2026-11-09."
        ) from error
    if day.year not in years:
        raise KilowatchError("bad_date", f"{text} lies outside {years[0]} to {years[-1]}.")
    return day
