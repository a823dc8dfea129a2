"""Dates on a site's calendar as the catalogue keeps them, and when they begin."""

from __future__ import annotations

from datetime import date

import numpy as np

from kilowatch.model.errors import KilowatchError
from kilowatch.model.zones import FIRST_DAY, Zone

FIRST = date(1971, 1, 1)  # no packet is older
LAST = date(2100, 12, 31)
_EPOCH = date(1970, 1, 1).toordinal()


def check_day(day: date, field: str) -> date:
    """Return a date that the platform can know anything of.

    Raises:
        KilowatchError: ``invalid_date`` with ``data["field"]``.
    """
    if not FIRST <= day <= LAST:
        raise KilowatchError(
            "invalid_date",
            f"{day.isoformat()} is not between {FIRST.year} and {LAST.year}.",
            data={"field": field},
        )
    return day


def day_of_text(text: str, field: str) -> date | None:
    """Return a date as people and browsers write it, ``2026-03-01``; None for an empty text.

    Raises:
        KilowatchError: ``invalid_date`` with ``data["field"]``.
    """
    if not text.strip():
        return None
    try:
        return check_day(date.fromisoformat(text.strip()), field)
    except ValueError:
        raise KilowatchError(
            "invalid_date",
            f"{text!r} is not a date.",
            remedy="Write it like 2026-03-01.",
            data={"field": field},
        ) from None


def start_ms(day: date | None, zone: Zone) -> int:
    """Return when a local date begins [ms since 1970, UTC]; 0 without one: always."""
    if day is None:
        return 0
    return int(zone.day_starts_ms[np.int64(day.toordinal() - _EPOCH - FIRST_DAY)])
