"""Sentinel: expected against actual for every circuit of a site, and its events on a time line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import Paged, asked_of, paged
from kilowatch.dashboard.answered import STATES
from kilowatch.dashboard.feedback import feedback_of
from kilowatch.dashboard.hourly import (
    actual_columns,
    band_columns,
    by_point,
    has_hours,
    hourly,
    unit_of_rate,
)
from kilowatch.dashboard.insight_period import LENGTHS, Stretch, behind, stretch
from kilowatch.dashboard.insight_rows import ORDERS, Shown, kinds_of, shown_events
from kilowatch.dashboard.needs import Insights
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import offsets
from kilowatch.dashboard.places import in_place, readable, site_names, sites_of
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.waste_spans import Spans, spans_of
from kilowatch.dashboard.waste_sums import kind_title
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import basis_of
from kilowatch.model.points import DataPoint

ASKED = ("place", "kind", "state", "days", "until", "sort")
MULTIPLES = 12  # charts on one page: what a wall screen shows without scrolling far
LISTED = 8  # events on one page: the charts of circuits are below them
BAND_DIGITS = 6
"""Of the bands of circuits: small pictures, and figures of three digits beside them."""
LANES = 20
LANE = 28
"""Height of a data point's lane on the time line [px]."""
MULTIPLE_DAYS_MAX = 31
"""Charts of circuits show no more days than that: hours would be thinner than a pixel."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event on the time line; places in percent of its width."""

    shown: Shown
    left: float
    width: float


async def sentinel(request: Request) -> Response:
    """Show the events of a site and the frame of its charts."""
    return await run_in_threadpool(_sentinel, request)


async def circuits(request: Request) -> Response:
    """Answer what was used and expected for the data points of ``points=1,2``."""
    body = await run_in_threadpool(_circuits, request)
    return Response(msgspec.json.encode(body), media_type="application/json")


def _sentinel(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    asked = asked_of(request, ASKED)
    everything = readable(request, "sentinel")
    crumbs = [{"name": t("nav.sentinel")}]
    place, places = sites_of(request, everything, asked["place"])
    points = in_place(everything, place) if place else []
    asked["place"] = place
    if rooms.insights is None or not points:
        why = "off" if rooms.insights is None else "none"
        return page(request, "insight_nothing.html", crumbs, {"page": "sentinel", "why": why})
    names = site_names(request)
    days, everyone, events = events_asked(request, points, asked, names)
    from_ms, to_ms = days.ms(points[0].zone)
    listed = paged(request, events, asked, LISTED)
    seen = rooms.view.last_seen([point.series for point in points])
    hourly_points = [p for p in points if has_hours(p) and p.series in seen]
    late = behind(rooms.insights)
    multiples = _multiples(request, hourly_points, events, asked, days)
    learning, ended = _unexpected(rooms, [p for p, _ in multiples.rows], from_ms, to_ms)
    context: dict[str, Any] = {
        "page": "sentinel",
        "asked": asked,
        "places": places,
        "site": names.get(points[0].site_id, ("", ""))[0],
        "days": days,
        "lengths": LENGTHS,
        "kinds": [(kind, kind_title(kind)) for kind in kinds_of(everyone)],
        "states": [(state, t(f"event_state.{state}")) for state in STATES],
        "lanes": lanes_of(events, from_ms, to_ms),
        "lane": LANE,
        "ticks": ticks_of(days, points[0].zone),
        "events": listed,
        "basis": basis_of(one.worth for one in listed.rows),
        "hidden": len(everyone) - len(events),
        "exports": any(may_export(who, p) for p in points),
        "exportable": {p.id for p, _ in multiples.rows if may_export(who, p)},
        "circuit_days": urlencode(
            {
                "date": max(days.first, days.last - timedelta(MULTIPLE_DAYS_MAX - 1)),
                "until": days.last,
            }
        ),
        "query": urlencode({**asked, "days": days.days, "until": days.last.isoformat()}),
        "feedback": feedback_of(everyone),
        "multiples": multiples,
        "span": span_of(days, points[0].zone),
        "coarse": [p for p in points if p.interval_s > 3600],
        "silent": [p for p in points if p.series not in seen],
        "behind": late,
        "learning": [] if late else learning,
        "ended": ended,
    }
    return page(request, "sentinel.html", crumbs, context, current=f"site-{points[0].site_id}")


def events_asked(
    request: Request,
    points: list[DataPoint],
    asked: dict[str, str],
    names: Mapping[int, tuple[str, str]],
) -> tuple[Stretch, list[Shown], list[Shown]]:
    """Return the days of an address, all events in them, and those that it asks for, in order.

    Args:
        request: Behind a door.
        points: Of one site; that the person may read them has been seen to.
        asked: A ``kind`` (or ``waste``, ``anomaly``) and a ``state``, "" for all; ``days``,
            ``until`` and ``sort``.
        names: Of sites and organisations by the site's number.
    """
    rooms = rooms_of(request)
    days = stretch(asked, rooms.view, points, rooms.clock())
    everyone = shown_events(request, points, *days.ms(points[0].zone), names)
    kind, state = asked["kind"], asked["state"]
    events = [
        one
        for one in everyone
        if kind in ("", one.tone, one.event.kind) and state in ("", one.state)
    ]
    return days, everyone, sorted(events, key=ORDERS.get(asked["sort"], ORDERS["money"]))


def lanes_of(events: Sequence[Shown], from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Return the time line: a lane for each data point with events, the costliest first.

    Args:
        events: Ranked.
        from_ms: Left end [ms since 1970, UTC].
        to_ms: Right end [ms since 1970, UTC].
    """
    by_point: dict[int, list[Mark]] = {}
    points: dict[int, DataPoint] = {}
    span = max(1, to_ms - from_ms)
    for one in events:
        start, end = max(one.event.start_ms, from_ms), min(one.event.end_ms, to_ms)
        left = 100 * (start - from_ms) / span
        width = 100 * max(end - start, 0) / span
        by_point.setdefault(one.point.id, []).append(Mark(one, round(left, 3), round(width, 3)))
        points[one.point.id] = one.point
    lanes = [{"point": points[key], "marks": marks} for key, marks in by_point.items()]
    return lanes[:LANES]


def ticks_of(days: Stretch, zone: str) -> list[tuple[float, str]]:
    """Return places in percent and texts of a time line's axis: days, or months."""
    from_ms, to_ms = days.ms(zone)
    step = 1 if days.days <= 7 else 7 if days.days <= 31 else 14 if days.days <= 92 else 61
    found = []
    for back in range(0, days.days, step):
        day = replace(days, days=days.days - back).first
        start = replace(days, days=days.days - back).ms(zone)[0]
        at = 100 * (start - from_ms) / (to_ms - from_ms)
        found.append((round(at, 3), f"{day.day} {t(f'month.{day.month}')[:3]}"))
    return found


def span_of(days: Stretch, zone: str) -> tuple[int, int]:
    """Return the days that the charts of circuits show: the last ones [ms]."""
    return replace(days, days=min(days.days, MULTIPLE_DAYS_MAX)).ms(zone)


def _multiples(
    request: Request,
    points: list[DataPoint],
    events: Sequence[Shown],
    asked: dict[str, str],
    days: Stretch,
) -> Paged:
    """Return the charts of one page, each with how many events lie in the days that it shows.

    Where something was found comes first, then by name.
    """
    order: dict[int, int] = {}
    for place, one in enumerate(events):
        order.setdefault(one.point.id, place)
    since = {p.id: span_of(days, p.zone)[0] for p in points}
    counts = dict.fromkeys(since, 0)
    for one in events:
        if one.event.end_ms > since.get(one.point.id, one.event.end_ms):
            counts[one.point.id] += 1
    ranked = sorted(points, key=lambda p: (order.get(p.id, len(events)), p.name.casefold()))
    number = whole_number(request.query_params.get("circuits", "1")) or 1
    pages = max(1, -(-len(ranked) // MULTIPLES))
    number = min(number, pages)
    first = (number - 1) * MULTIPLES
    rows = [(p, counts[p.id]) for p in ranked[first : first + MULTIPLES]]
    return Paged(rows, number, pages, len(ranked), first + 1, request.url.path, asked)


def _unexpected(
    rooms: Rooms, points: Sequence[DataPoint], from_ms: int, to_ms: int
) -> tuple[list[DataPoint], list[DataPoint]]:
    """Return data points of which nothing was expected in these days: new ones, and stopped ones.

    One whose data ended before these days learns nothing in them.
    """
    assert rooms.insights is not None
    some = [p for p in points if not len(rooms.insights.expected(p, from_ms, to_ms).start_ms)]
    extents = {p.id: rooms.view.extent(p) for p in some}
    ended = [p for p in some if (known := extents[p.id]) is not None and known.last_ms < from_ms]
    return [p for p in some if p not in ended], ended


def _circuits(request: Request) -> dict[str, Any]:
    rooms = rooms_of(request)
    query = request.query_params
    numbers = [whole_number(part) for part in query.get("points", "").split(",")[:MULTIPLES]]
    mine = {p.id: p for p in readable(request, "sentinel")}
    points = [mine[number] for number in numbers if number in mine]
    if rooms.insights is None or not points:
        return {"circuits": []}
    days = stretch(query, rooms.view, points, rooms.clock())
    found = []
    for zone in dict.fromkeys(p.zone for p in points):
        some = [p for p in points if p.zone == zone]
        from_ms, to_ms = span_of(days, zone)
        actual = hourly(rooms.view, some, from_ms, to_ms)
        events = shown_events(request, some, from_ms, to_ms, {})
        found += [
            circuit(
                rooms.insights,
                p,
                (from_ms, to_ms),
                actual_columns(rooms.view, p, by_point(actual, p), (from_ms, to_ms), rooms.clock()),
                [one for one in events if one.point.id == p.id],
            )
            for p in some
        ]
    return {"now_ms": rooms.clock(), "circuits": found}


def circuit(
    insights: Insights,
    point: DataPoint,
    span: tuple[int, int],
    actual: dict[str, Any],
    events: Sequence[Shown],
) -> dict[str, Any]:
    """Return what ``band.js`` draws of a data point."""
    from_ms, to_ms = span
    spans = spans_of(insights, events, from_ms, to_ms)
    return {
        "id": point.id,
        "name": point.name,
        "utility": point.utility,
        "unit": unit_of_rate(point),
        "zone": point.zone,
        "offsets": offsets(from_ms, to_ms, point.zone),
        "from_ms": from_ms,
        "to_ms": to_ms,
        "actual": actual,
        "band": band_columns(insights.expected(point, from_ms, to_ms), BAND_DIGITS),
        "marks": [mark_of(one, spans) for one in events],
    }


def mark_of(one: Shown, spans: Spans, *, strong: bool = False) -> dict[str, Any]:
    """Return an event as a mark on a chart's time axis.

    Args:
        one: The event.
        spans: Wasted hours by event; one that has none there is shown over its whole time.
        strong: Whether it is what the chart is about.
    """
    return {
        "id": one.event.id,
        "from": one.event.start_ms,
        "to": one.event.end_ms,
        "spans": spans.get(one.event.id),
        "tone": one.tone,
        "title": one.title,
        "href": one.href,
        "fill": 0 if one.amount is None else -1 if one.amount < 0 else 1,
        "strong": strong,
    }


DOORS: tuple[Door, ...] = (
    Door("/sentinel", sentinel, Access.SIGNED_IN, tool="sentinel"),
    Door("/data/circuits", circuits, Access.SIGNED_IN, tool="sentinel"),
)
