"""Opening hours of a week: 168 hours from Monday 00:00, and the text that people write for them.

``Mon-Fri 08-18, Sat 09-13`` is open from 8 to 18 on weekdays and from 9 to 13 on Saturdays.
"""

from __future__ import annotations

import re

WEEK_H = 168
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLOSED = "closed"

Week = tuple[bool, ...]

_PART = re.compile(r"(?P<days>[A-Za-z]{3,9}(?:\s*[-–]\s*[A-Za-z]{3,9})?)\s+(?P<hours>[\d\s:+–-]+)")
_SPAN = re.compile(r"(\d{1,2})(?::00)?\s*[-–]\s*(\d{1,2})(?::00)?")


def week_of_text(text: str) -> Week:
    """Return the hours in which a place is open.

    Args:
        text: Parts with commas between them, each with days and full hours:
            ``Mon-Fri 08-12+13-18``. Several parts for a day add up; ``closed`` is never open.

    Raises:
        ValueError: What is not understood, in a sentence.

    Example:
        >>> sum(week_of_text("Mon-Fri 08-18, Sat 09-13"))
        54
    """
    week = [False] * WEEK_H
    if text.strip().casefold() == CLOSED:
        return tuple(week)
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part.strip()!r} is not days and hours such as 'Mon-Fri 08-18'")
        for day in _days(found["days"]):
            for first, last in _spans(found["hours"]):
                week[day * 24 + first : day * 24 + last] = [True] * (last - first)
    return tuple(week)


def text_of_week(week: Week) -> str:
    """Return the text of some opening hours; ``week_of_text`` reads it back.

    Example:
        >>> text_of_week(week_of_text("Sat 9-13, Mon-Thu 8-18, Fri 8-18"))
        'Mon-Fri 08-18, Sat 09-13'

    Raises:
        ValueError: Not 168 hours.
    """
    if len(week) != WEEK_H:
        raise ValueError(f"a week has {WEEK_H} hours, not {len(week)}")
    hours = [_hours(week[day * 24 : day * 24 + 24]) for day in range(7)]
    parts: list[str] = []
    day = 0
    while day < 7:
        last = day
        while last < 6 and hours[last + 1] == hours[day]:
            last += 1
        if hours[day]:
            name = DAYS[day] if last == day else f"{DAYS[day]}-{DAYS[last]}"
            parts.append(f"{name} {hours[day]}")
        day = last + 1
    return ", ".join(parts) or CLOSED


def _days(text: str) -> range | list[int]:
    names = [_day(word.strip()) for word in re.split(r"[-–]", text)]
    if len(names) == 1:
        return names
    first, last = names
    return [(first + step) % 7 for step in range((last - first) % 7 + 1)]


def _day(word: str) -> int:
    for number, name in enumerate(DAYS):
        if word[:3].casefold() == name.casefold():
            return number
    raise ValueError(f"{word!r} is not a day of the week such as Mon or Sat")


def _spans(text: str) -> list[tuple[int, int]]:
    spans = []
    for part in text.split("+"):
        found = _SPAN.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part.strip()!r} are not full hours such as 08-18")
        first, last = int(found[1]), int(found[2])
        if not 0 <= first < last <= 24:
            raise ValueError(f"{part.strip()!r} does not go forward within a day of 0 to 24")
        spans.append((first, last))
    return spans


def _hours(day: Week) -> str:
    edges = [
        hour for hour in range(25) if (hour < 24 and day[hour]) != (hour > 0 and day[hour - 1])
    ]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return "+".join(f"{first:02d}-{last:02d}" for first, last in pairs)
