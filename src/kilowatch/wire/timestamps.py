"""Timestamps of packets: ISO 8601 with an offset, to an instant and back.

What is read: ``yyyy-mm-ddThh:mm``, then seconds and a fraction or not, then ``Z``,
``±hh:mm``, ``±hhmm`` or ``±hh``. RFC 3339's latitude is allowed too: ``t``, ``z`` and a
space for ``T``; so are ISO 8601's comma before the fraction, its minus sign (U+2212) and
24:00 for the end of a day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.packet import Form, OffsetKind

DAY_MINUTES: Final = 1440
OFFSET_MIN_MAX: Final = 18 * 60  # java.time's bound; civil offsets are -12:00 to +14:00
SECOND_LAST: Final = 59
SECOND_LEAP: Final = 60
HOUR_END: Final = 24
EXAMPLE: Final = "2026-03-29T14:05:00.000+02:00"
EXAMPLE_UTC: Final = "2026-03-29T12:05:00.000Z"

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
# The usual ways to write what follows the minute, ready to be looked up: parsing a
# timestamp by look-up takes a third of the time that ``datetime`` takes.
_SECONDS: Final = {"": 0} | {f":{second:02}": second * 1000 for second in range(60)}
_MILLIS: Final = {"": 0} | {f".{milli:03}": milli for milli in range(1000)}
_OFFSETS: Final = {
    f"{sign}{minutes // 60:02}:{minutes % 60:02}": minutes if sign == "+" else -minutes
    for sign in "+-"
    for minutes in range(OFFSET_MIN_MAX + 1)
}
_MINUTE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_SHAPE: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?:([Zz])|([+\-\u2212])(\d\d)(?::?(\d\d))?)?",
    re.ASCII,
)
_LOST_PLUS: Final = re.compile(r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)? \d\d(?::?\d\d)?$", re.ASCII)


def parse_timestamp(text: str, form: Form) -> tuple[int, int, OffsetKind]:
    """Read a packet's timestamp.

    Digits beyond the millisecond are cut off, not rounded: rounding could move a packet
    past its successor. A leap second (``:60``) becomes the last millisecond of its
    minute, so that it stays between its neighbours.

    In the UTC form a timestamp needs no offset. One that is there is honoured: it names
    an instant, and ``12:00+02:00`` is 10:00 UTC under either address.

    Args:
        text: ``tsISO8601`` of the packet.
        form: Where it was pushed to.

    Returns:
        The instant [ms since 1970, UTC], the offset [min] and how it was named. The UTC
        form always gives offset 0 and ``ZULU``.

    Raises:
        KilowatchError: ``missing_offset`` or ``invalid_timestamp``.

    Example:
        >>> parse_timestamp("1970-01-01T01:00:00.5+01:00", Form.LOCAL)
        (500, 60, <OffsetKind.NUMERIC: 0>)
    """
    local_ms, rest = _minute_ms(text[:16]), _rest(text[16:])
    if local_ms is None or rest is None:
        return _parse_slowly(text, form)
    rest_ms, offset_min, kind = rest
    if form is Form.UTC:
        return local_ms + rest_ms, 0, OffsetKind.ZULU
    return local_ms + rest_ms, offset_min, kind


@lru_cache(maxsize=8_192)  # live packets share their minutes; a backfill runs along them
def _minute_ms(text: str) -> int | None:
    """Return ``yyyy-mm-ddThh:mm`` as if it were UTC [ms since 1970]; None for the slow path."""
    if _MINUTE.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    days = moment.toordinal() - _EPOCH_DAY
    return (days * DAY_MINUTES + moment.hour * 60 + moment.minute) * MINUTE_MS


@lru_cache(maxsize=8_192)  # most gateways send whole seconds, or one of few
def _rest(text: str) -> tuple[int, int, OffsetKind] | None:
    """Read what follows the minute; None for the slow path.

    Returns:
        Milliseconds to add to the minute for the instant, offset [min] and its kind.
    """
    if text[-1:] == "Z":
        offset_min: int | None = 0
        kind, clock = OffsetKind.ZULU, text[:-1]
    else:
        offset_min = _OFFSETS.get(text[-6:])
        kind, clock = OffsetKind.NUMERIC, text[:-6]
    second_ms, milli = _SECONDS.get(clock[:3]), _MILLIS.get(clock[3:])
    if offset_min is None or second_ms is None or milli is None:
        return None
    return second_ms + milli - offset_min * MINUTE_MS, offset_min, kind


def _parse_slowly(text: str, form: Form) -> tuple[int, int, OffsetKind]:
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise _invalid(text, _why_not(text), form)
    year, month, day, hour, minute, second, fraction, zulu, sign, off_h, off_m = match.groups()
    offset_min = int(off_h or 0) * 60 + int(off_m or 0)
    if zulu is None and sign is None and form is not Form.UTC:
        raise KilowatchError(
            "missing_offset",
            f"tsISO8601 {_shown(text)} has no UTC offset.",
            remedy=f'Send local time with its offset, such as "{EXAMPLE}", '
            "or push UTC times to /measurements/v2/unifiedjson_utc/.",
            data={"parameter": "tsISO8601", "value": _shown(text)},
        )
    if int(off_m or 0) > SECOND_LAST or offset_min > OFFSET_MIN_MAX:
        raise _invalid(text, "its UTC offset is not between -18:00 and +18:00", form)
    if sign not in (None, "+"):
        offset_min = -offset_min
    at_ms = _local_ms(text, form, (year, month, day), (hour, minute, second, fraction))
    at_ms -= offset_min * MINUTE_MS
    if (
        second is not None
        and int(second) == SECOND_LEAP
        and _minute_of_day(at_ms) != DAY_MINUTES - 1
    ):
        raise _invalid(text, "a second 60 (leap second) exists at 23:59 UTC only", form)
    if form is Form.UTC:
        return at_ms, 0, OffsetKind.ZULU
    return at_ms, offset_min, OffsetKind.ZULU if zulu else OffsetKind.NUMERIC


def _minute_of_day(at_ms: int) -> int:
    return at_ms // MINUTE_MS % DAY_MINUTES


def _local_ms(
    text: str,
    form: Form,
    day: tuple[str, str, str],
    time: tuple[str, str, str | None, str | None],
) -> int:
    """Return the local part as if it were UTC [ms since 1970]."""
    try:
        days = date(int(day[0]), int(day[1]), int(day[2])).toordinal() - _EPOCH_DAY
    except ValueError:
        raise _invalid(text, "there is no such day", form) from None
    hour, minute, second = int(time[0]), int(time[1]), int(time[2] or 0)
    milli = int(((time[3] or "") + "000")[:3])
    if minute > SECOND_LAST or second > SECOND_LEAP or hour > HOUR_END:
        raise _invalid(text, "there is no such time of day", form)
    if hour == HOUR_END and (minute or second or (time[3] or "").strip("0")):
        raise _invalid(text, "after 24:00 the next day has begun", form)
    if second == SECOND_LEAP:
        second, milli = SECOND_LAST, 999
    return ((days * 24 + hour) * 60 + minute) * MINUTE_MS + second * 1000 + milli


def format_timestamp(at_ms: int, offset_min: int, kind: OffsetKind) -> str:
    """Write an instant as a packet would carry it.

    Args:
        at_ms: The instant [ms since 1970, UTC].
        offset_min: Offset of the local part [min].
        kind: ``ZULU`` writes ``Z`` and UTC.

    Example:
        >>> format_timestamp(500, 60, OffsetKind.NUMERIC)
        '1970-01-01T01:00:00.500+01:00'
    """
    zone = UTC if kind is OffsetKind.ZULU else timezone(timedelta(minutes=offset_min))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    text = moment.astimezone(zone).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z") if kind is OffsetKind.ZULU else text


def _why_not(text: str) -> str:
    if _LOST_PLUS.search(text):
        return "there is a space where the sign of the offset belongs (a + lost in URL decoding?)"
    return "it is not ISO 8601 as yyyy-mm-ddThh:mm:ss with a UTC offset"


def _shown(text: str) -> str:
    short = text if len(text) <= 64 else text[:64] + "…"
    return '"' + short.encode("utf-8", "backslashreplace").decode() + '"'


def _invalid(text: str, why: str, form: Form) -> KilowatchError:
    example = EXAMPLE_UTC if form is Form.UTC else EXAMPLE
    return KilowatchError(
        "invalid_timestamp",
        f"tsISO8601 {_shown(text)} cannot be read: {why}.",
        remedy=f'A right one is "{example}".',
        data={"parameter": "tsISO8601", "value": _shown(text)},
    )
