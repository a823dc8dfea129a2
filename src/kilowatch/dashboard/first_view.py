"""What a page of Breakdown knows before its numbers come: what it asks for, and its days.

The browser asks for the numbers while it still fetches the scripts, and the heading stands before
they are there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from kilowatch.dashboard.periods import local_day, window
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

STATE = ("period", "date", "until", "grain", "show", "phases", "utility", "compare", "worth")
"""What the page asks for its numbers with, in the order of ``breakdown/state.js``."""
PLAIN = re.compile(r"[\w.,:-]*", re.ASCII)
"""Words of an address that scripts and the server write alike."""


@dataclass(frozen=True, slots=True)
class FirstView:
    """What is known when the page is sent.

    Attributes:
        asks: The address that the scripts will ask; empty if it may be another.
        period: ``day``, ``week``, ``month``, ``year`` or ``custom``; empty if the days are not
            known.
        first: First local day, ISO 8601.
        last: Last local day, included, ISO 8601.
    """

    asks: str = ""
    period: str = ""
    first: str = ""
    last: str = ""


def first_view(
    source: str,
    query: Mapping[str, str],
    point: DataPoint | None,
    last_ms: int | None,
    now_ms: int,
) -> FirstView:
    """Return what is known of a page before its numbers.

    Args:
        source: The address that answers the numbers, up to the page's own words.
        query: What is in the page's address.
        point: The data point, or one with the site's zone; None where there is none.
        last_ms: When the newest packet is dated [ms since 1970, UTC]; None if none came.
        now_ms: What time it is [ms since 1970, UTC].
    """
    asks = _question(source, query)
    if point is None:
        return FirstView(asks)
    shown_ms = now_ms if last_ms is None else min(now_ms, last_ms)
    try:
        days = window(query, point, local_day(shown_ms, point.zone))
    except KilowatchError:
        return FirstView(asks)  # the numbers will say what is wrong
    return FirstView(asks, days.period, days.first.isoformat(), days.last.isoformat())


def _question(source: str, query: Mapping[str, str]) -> str:
    words = {key: query[key] for key in STATE if query.get(key)}
    if not all(PLAIN.fullmatch(word) for word in words.values()):
        return ""
    return source + urlencode(words)
