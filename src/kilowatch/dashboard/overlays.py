"""What insights lay over Breakdown's graph: what was expected, the forecast, and events.

``/data/overlays`` wants ``point``, ``from`` and ``to`` [ms since 1970, UTC] and answers::

    parameters  names of the parameters that it belongs to (``aP``, ``pC``; ``value``, ``rate``)
    expected    columns start, end, low, q25, mid, q75, high; rates [W, m3/h, ...]. Hours, or local
                days with a middle only where the stretch is longer than two months
    forecast    the same, hours after the newest data; null where none lies in the stretch
    days_ahead  columns start, end, mid of the local days from that of the newest data to the end of
                its week or month, the first with what was measured of it: rates; null where none
                lies in the stretch
    events      id, from, to, tone (``waste``, ``anomaly``), title, sentence, href, state
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.hourly import band_columns, has_hours, nullable
from kilowatch.dashboard.insight_rows import shown_events
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import LONGEST_DAYS
from kilowatch.dashboard.places import site_names
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.sentinel import mark_of
from kilowatch.dashboard.waste_spans import spans_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import Expected, Outlook
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

HOURS_SHOWN_MS = 62 * DAY_MS
"""In a longer stretch an hour is thinner than a pixel: days are answered."""
DAY_KNOWN_H = 20
"""Hours that must be known of a day for its middle to stand for it."""
NOTHING: dict[str, Any] = {
    "parameters": [], "expected": None, "forecast": None, "days_ahead": None, "events": [],
}  # fmt: skip


async def overlays(request: Request) -> Response:
    """Answer what lies over a stretch of a data point's graph."""
    body = await run_in_threadpool(_overlays, request)
    return Response(msgspec.json.encode(body), media_type="application/json")


def _overlays(request: Request) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    person = visit_of(request).person
    from_ms, to_ms = stretch_of(request)
    if rooms.insights is None or not has_hours(point):
        return NOTHING
    electrical = point.kind == "electrical"
    body: dict[str, Any] = {
        "parameters": ["aP", "pC"] if electrical else ["value", "rate"],
        "expected": None,
        "forecast": None,
        "days_ahead": None,
        "events": [],
    }
    expected = rooms.insights.expected(point, from_ms, to_ms)
    body["expected"] = columns(expected, point, long=to_ms - from_ms > HOURS_SHOWN_MS)
    if has_tool(person, "forecast", point.organisation_id) and to_ms > rooms.clock() - DAY_MS:
        outlook = rooms.outlooks.of(rooms.insights, point)
        if outlook is not None:
            inside = (outlook.hours.start_ms >= from_ms) & (outlook.hours.start_ms < to_ms)
            body["forecast"] = columns(_only(outlook.hours, inside), point, long=False)
            body["days_ahead"] = days_ahead(outlook, from_ms, to_ms)
    if has_tool(person, "sentinel", point.organisation_id):
        events = shown_events(request, [point], from_ms, to_ms, site_names(request))
        spans = spans_of(rooms.insights, events, from_ms, to_ms)
        body["events"] = [
            {**mark_of(one, spans), "sentence": one.sentence, "state": one.state} for one in events
        ]
    return body


def stretch_of(request: Request) -> tuple[int, int]:
    """Read ``from`` and ``to`` of an address [ms since 1970, UTC].

    Raises:
        KilowatchError: 400 ``bad_date``.
    """
    query = request.query_params
    from_ms, to_ms = whole_number(query.get("from", "")), whole_number(query.get("to", ""))
    if from_ms is None or to_ms is None or not 0 < to_ms - from_ms <= (LONGEST_DAYS + 2) * DAY_MS:
        raise KilowatchError(
            "bad_date",
            "That is no stretch of time.",
            remedy="Ask with from and to in milliseconds since 1970, at most ten years apart.",
        )
    return from_ms, to_ms


def _only(hours: Expected, chosen: np.ndarray) -> Expected:
    return Expected(
        hours.start_ms[chosen], hours.made_ms[chosen], hours.rate[:, chosen], hours.source
    )


def days_ahead(outlook: Outlook, from_ms: int, to_ms: int) -> dict[str, Any] | None:
    """Return what each day takes that is not over, of those that begin in a stretch; None for none.

    A graph of days has no bucket for tomorrow, and 48 hours cover the day after it in part alone:
    the sums at the end of the week and the month say what each day of them takes.
    """
    middles: dict[int, tuple[int, float]] = {}
    for end in outlook.ends:
        ends_ms = [*end.days_ms.tolist()[1:], end.end_ms]
        for start, until, amount in zip(
            end.days_ms.tolist(), ends_ms, end.daily.tolist(), strict=True
        ):
            if until > outlook.made_ms and from_ms <= start < to_ms and until > start:
                middles[start] = (until, amount * HOUR_MS / (until - start))
    if not middles:
        return None
    starts = sorted(middles)
    return {
        "start": starts,
        "end": [middles[one][0] for one in starts],
        "mid": nullable(np.array([middles[one][1] for one in starts])),
    }


def columns(expected: Expected, point: DataPoint, *, long: bool) -> dict[str, Any] | None:
    """Return expected hours, or the middles of local days, as columns; None where there are none.

    Args:
        expected: Hours.
        point: Whose; its zone has the days.
        long: Whether days are wanted.
    """
    if not long:
        found = band_columns(expected)
        if found is not None:
            found["end"] = [start + HOUR_MS for start in found["start"]]
        return found
    known = np.isfinite(expected.rate[2]) if len(expected.start_ms) else np.empty(0, np.bool_)
    starts, middle = expected.start_ms[known], expected.rate[2][known]
    if not len(starts):
        return None
    zone = Zone.of(point.zone)
    day = zone.local_ms(starts) // DAY_MS
    unique, inverse, counts = np.unique(day, return_inverse=True, return_counts=True)
    means = np.bincount(inverse, weights=middle) / counts
    whole = counts >= DAY_KNOWN_H
    edges = zone.day_starts_within(int(starts[0]) - 26 * HOUR_MS, int(starts[-1]) + 50 * HOUR_MS)
    number = zone.local_ms(edges) // DAY_MS
    at = np.searchsorted(number, unique[whole])
    nothing = [None] * int(whole.sum())
    return {
        "start": edges[at].tolist(),
        "end": edges[at + 1].tolist(),
        "low": nothing,
        "q25": nothing,
        "mid": nullable(means[whole]),
        "q75": nothing,
        "high": nothing,
    }


DOORS: tuple[Door, ...] = (Door("/data/overlays", overlays, Access.READ_POINT, tool="breakdown"),)
