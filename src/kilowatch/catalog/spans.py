"""Intervals as people write them: ``5m``, ``1 h``, ``30 s``, ``1 month``."""

from __future__ import annotations

import re

from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_S, WEEK_S
from kilowatch.model.points import INTERVAL_S_MIN, MONTH_S

_SECONDS = {
    1: ("s", "sec", "secs", "second", "seconds"),
    60: ("m", "min", "mins", "minute", "minutes"),
    3600: ("h", "hr", "hour", "hours"),
    DAY_S: ("d", "day", "days"),
    WEEK_S: ("w", "week", "weeks"),
    MONTH_S: ("mo", "month", "months"),
}
_UNIT_S = {word: seconds for seconds, words in _SECONDS.items() for word in words}
_SHAPE = re.compile(r"\s*(\d{1,9})\s*([A-Za-z]+)\s*")
_EXAMPLES = "Write it as a number and a unit: 30s, 5m, 15m, 1h, 1d, 7d or 1 month."


def parse_interval(text: str) -> int:
    """Return an interval in seconds; a month is ``MONTH_S``.

    Raises:
        KilowatchError: ``invalid_interval``, when the text is no interval, or not one between a
            second and a month. Between a day and a month there is only the week: intervals are
            aligned to local days, and three days would begin anywhere.
    """
    return check_interval(_seconds(text), text)


def parse_span(text: str) -> int:
    """Return a length of time in seconds, zero included, such as a tolerance.

    Raises:
        KilowatchError: ``invalid_interval``, when the text is no length of time.
    """
    return _seconds(text)


def check_interval(interval_s: int, shown: str | None = None) -> int:
    """Return the interval [s] if a data point can have it.

    Raises:
        KilowatchError: ``invalid_interval``.
    """
    shown = shown or f"{interval_s} s"
    if not INTERVAL_S_MIN <= interval_s <= MONTH_S:
        raise _invalid(f"{shown!r} is not between one second and one month.")
    if interval_s > DAY_S and interval_s not in {WEEK_S, MONTH_S}:
        raise _invalid(f"{shown!r} is longer than a day, and is neither a week nor a month.")
    return interval_s


def interval_text(interval_s: int) -> str:
    """Return an interval as people say it: ``5 min``, ``1 h``, ``1 month``.

    Example:
        >>> interval_text(900), interval_text(86_400), interval_text(90)
        ('15 min', '1 day', '90 s')
    """
    if interval_s == MONTH_S:
        return "1 month"
    for unit_s, word in ((WEEK_S, "week"), (DAY_S, "day"), (3600, "h"), (60, "min")):
        if interval_s >= unit_s and interval_s % unit_s == 0:
            count = interval_s // unit_s
            return f"{count} {word}{'s' if count > 1 and unit_s >= DAY_S else ''}"
    return f"{interval_s} s"


def _seconds(text: str) -> int:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise _invalid(f"{text!r} is not an interval.")
    number, unit = match.groups()
    if unit == "M":
        raise _invalid(f"{text!r} could be minutes or months.")
    if unit.lower() not in _UNIT_S:
        raise _invalid(f"{text!r} has a unit that is not known.")
    return int(number) * _UNIT_S[unit.lower()]


def _invalid(detail: str) -> KilowatchError:
    return KilowatchError("invalid_interval", detail, remedy=_EXAMPLES, data={"field": "interval"})
