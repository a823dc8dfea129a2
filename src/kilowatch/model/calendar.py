"""Local days, weeks, months and intervals of a site: the only place that knows them.

Everything is an integer of milliseconds since 1970 (UTC) and every function takes
arrays. Three rules decide where an interval begins (docs/reference/intervals.md):

1. Intervals of less than a day are counted on the wall clock from local midnight:
   a quarter of an hour starts at :00, :15, :30 and :45 in every time zone, also
   where the offset from UTC is 5 h 45 min. One that does not divide the day (7 min)
   starts anew at midnight, and its last interval of the day is short.
2. A clock change always starts a new interval. So the repeated hour of autumn is
   an hour of its own, and two-hour intervals stay on even hours all year; only the
   one that the change falls into is cut.
3. Days, weeks (from Monday), months and years are the site's local ones: a day has
   23 or 25 hours when the clock changes, and starts when its date first appears.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt

from kilowatch.model.blocks import Ints
from kilowatch.model.lengths import DAY_MS, DAY_S
from kilowatch.model.points import MONTH_S
from kilowatch.model.zones import FIRST_DAY, Zone

Grain = int | Literal["hour", "day", "week", "month", "year"]
"""Length of buckets: seconds, or a word. 604,800 is a week and ``MONTH_S`` a month."""

_FIRST_MONDAY = 4  # 1970-01-05, counted in days from 1970-01-01
_SECONDS = {"hour": 3_600, "day": DAY_S, "week": 7 * DAY_S, "month": MONTH_S}


@dataclass(frozen=True, slots=True)
class Buckets:
    """Start and end of the bucket of each instant [ms], shape (n,)."""

    start_ms: Ints
    end_ms: Ints


def bucket_start_ms(at_ms: npt.ArrayLike, interval_s: int | Ints, zone: Zone) -> Ints:
    """Return the start of the interval that each instant falls in.

    Args:
        at_ms: Instants, shape (n,) [ms].
        interval_s: Length [s], one for all or shape (n,); ``MONTH_S`` is a local month,
            a whole number of days is counted in local days from a Monday.
        zone: The site's time zone.

    Returns:
        Starts, shape (n,) [ms].

    Example:
        >>> zone = Zone.of("Asia/Kolkata")  # 5 h 30 min ahead of UTC
        >>> int(bucket_start_ms([0], 3600, zone)[0])  # 05:30 there: the hour from 05:00
        -1800000
    """
    return buckets(np.asarray(at_ms, np.int64), interval_s, zone).start_ms


def bucket_end_ms(at_ms: npt.ArrayLike, interval_s: int | Ints, zone: Zone) -> Ints:
    """Return the end of the interval that each instant falls in; see ``bucket_start_ms``."""
    return buckets(np.asarray(at_ms, np.int64), interval_s, zone).end_ms


def grain_start_ms(at_ms: npt.ArrayLike, grain: Grain, zone: Zone) -> Ints:
    """Return the start of the bucket of each instant, shape (n,) [ms].

    Raises:
        ValueError: ``grain`` is neither seconds nor a known word.
    """
    return _grain(np.asarray(at_ms, np.int64), grain, zone).start_ms


def grain_end_ms(at_ms: npt.ArrayLike, grain: Grain, zone: Zone) -> Ints:
    """Return the end of the bucket of each instant, shape (n,) [ms].

    Raises:
        ValueError: ``grain`` is neither seconds nor a known word.
    """
    return _grain(np.asarray(at_ms, np.int64), grain, zone).end_ms


def bucket_edges_ms(from_ms: int, to_ms: int, grain: Grain, zone: Zone) -> Ints:
    """Return every bucket start from ``from_ms`` to ``to_ms``, and the end of the last one.

    The first edge is the start of the bucket that holds ``from_ms``; the last is the
    end of the bucket that holds the moment before ``to_ms``.

    Raises:
        ValueError: The period is empty, or ``grain`` is unknown.
    """
    if to_ms <= from_ms:
        raise ValueError(f"the period from {from_ms} to {to_ms} is empty")
    ends = _grain(np.array([from_ms, to_ms - 1]), grain, zone)
    first, last = int(ends.start_ms[0]), int(ends.end_ms[1])
    seconds = grain if isinstance(grain, int) else _SECONDS.get(grain)
    if seconds is None or seconds >= DAY_S:
        starts = _grain(zone.day_starts_within(first, last), grain, zone).start_ms
        return np.append(np.unique(starts), last)
    steps = np.arange(0, DAY_MS, seconds * 1000)
    parts = []
    for start, end, offset in zone.segments_within(first, last):
        days = np.arange((start + offset) // DAY_MS, (end - 1 + offset) // DAY_MS + 1)
        wall = (days[:, None] * DAY_MS + steps).ravel() - offset
        parts += [np.array([start]), wall[(wall > start) & (wall < end)]]
    return np.append(np.concatenate(parts), last)


def day_start_ms(day: date, zone: Zone) -> int:
    """Return the first instant of a local day [ms]; for a day that a zone skipped, of the next."""
    index = (day - date(1970, 1, 1)).days
    return int(zone.day_starts_ms[index - FIRST_DAY])


def _grain(at_ms: Ints, grain: Grain, zone: Zone) -> Buckets:
    if isinstance(grain, int):
        return buckets(at_ms, grain, zone)
    if grain == "year":
        return _months(at_ms, zone, "Y")
    if grain not in _SECONDS:
        raise ValueError(f"unknown length of buckets {grain!r}: use seconds or hour … year")
    return buckets(at_ms, _SECONDS[grain], zone)


def buckets(at_ms: Ints, interval_s: int | Ints, zone: Zone) -> Buckets:
    """Return start and end of the interval that each instant falls in, shape (n,).

    Raises:
        ValueError: An interval is shorter than a second.
    """
    if isinstance(interval_s, np.ndarray):
        return _mixed(at_ms, interval_s, zone)
    if interval_s < 1:
        raise ValueError(f"an interval of {interval_s} s is too short: the least is 1 s")
    if interval_s < DAY_S:
        return _parts_of_days(at_ms, interval_s * 1000, zone)
    if interval_s == MONTH_S:
        return _months(at_ms, zone, "M")
    return _whole_days(at_ms, -(-interval_s // DAY_S), zone)


def _mixed(at_ms: Ints, interval_s: Ints, zone: Zone) -> Buckets:
    """Take each instant's own interval: one pass for those below a day, one for each other."""
    short = interval_s < DAY_S
    if short.all():
        return _parts_of_days(at_ms, interval_s * 1000, zone)
    start, end = np.empty_like(at_ms), np.empty_like(at_ms)
    kinds = [(short, 0), *((interval_s == s, int(s)) for s in np.unique(interval_s[~short]))]
    for rows, seconds in kinds:
        some = at_ms[rows]
        part = (
            buckets(some, seconds, zone)
            if seconds
            else _parts_of_days(some, interval_s[rows] * 1000, zone)
        )
        start[rows], end[rows] = part.start_ms, part.end_ms
    return Buckets(start, end)


def _parts_of_days(at_ms: Ints, interval_ms: int | Ints, zone: Zone) -> Buckets:
    """Count on the wall clock from local midnight, cut at clock changes and at midnight."""
    segment = zone.segment(at_ms)
    since_midnight = (at_ms + zone.segment_offset_ms[segment]) % DAY_MS
    floor = at_ms - since_midnight % interval_ms
    next_midnight = at_ms - since_midnight + DAY_MS
    end = np.minimum(floor + interval_ms, next_midnight)
    return Buckets(
        np.maximum(floor, zone.segment_start_ms[segment]),
        np.minimum(end, zone.segment_start_ms[segment + 1]),
    )


def _whole_days(at_ms: Ints, days: int, zone: Zone) -> Buckets:
    day = zone.day_index(at_ms)
    first = day - (day - _FIRST_MONDAY) % days if days > 1 else day
    return _between_days(first, first + days, zone)


def _months(at_ms: Ints, zone: Zone, unit: Literal["M", "Y"]) -> Buckets:
    period = zone.dates(at_ms).astype(f"datetime64[{unit}]")
    first = period.astype("datetime64[D]").astype(np.int64)
    after = (period + 1).astype("datetime64[D]").astype(np.int64)
    return _between_days(first, after, zone)


def _between_days(first: Ints, after: Ints, zone: Zone) -> Buckets:
    table = zone.day_starts_ms
    return Buckets(table[first - FIRST_DAY], table[after - FIRST_DAY])


__all__ = [
    "DAY_MS",
    "DAY_S",
    "Buckets",
    "Grain",
    "Zone",
    "bucket_edges_ms",
    "bucket_end_ms",
    "bucket_start_ms",
    "buckets",
    "day_start_ms",
    "grain_end_ms",
    "grain_start_ms",
]
