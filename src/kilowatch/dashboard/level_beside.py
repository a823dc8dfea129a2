"""What lies over a site's or a meter's stack: expected and forecast, events, comments, others.

``/breakdown/site/{site}/overlays`` answers what ``overlays.py`` does, for the total (its
``parameters`` are ``total``). Of several mains the middles are added up where all are known; bands
can't be added up, so there is one only where a single main is the total. Events are those of all
data points of the utility; ``more_events`` says how many of them are not there.

``/breakdown/site/{site}/comments`` answers what ``comments.py`` does, of all those data points,
with ``points``: those that the person may write about.

``/breakdown/site/{site}/others`` answers what the total can be compared with, those with the words
of ``q`` in their name, sites first: ``{"points": [{"id": "s3", "label": "Claddagh School"}]}``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool, may
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.comments import of_points
from kilowatch.dashboard.data import OFFERED_MAX, json_answer
from kilowatch.dashboard.hourly import has_hours
from kilowatch.dashboard.insight_rows import shown_events
from kilowatch.dashboard.level import Place, asked_kind, place_of, unit_of
from kilowatch.dashboard.level_total import Totals
from kilowatch.dashboard.needs import Insights
from kilowatch.dashboard.overlays import HOURS_SHOWN_MS, NOTHING, columns, stretch_of
from kilowatch.dashboard.places import readable, site_names
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.sentinel import mark_of
from kilowatch.dashboard.waste_spans import spans_of
from kilowatch.model.insight import Expected
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import amount_of

EVENTS_MAX = 12
"""Of a site so many, the costliest: the others are in Sentinel."""


async def overlays(request: Request) -> Response:
    """Answer what lies over a stretch of the stack."""
    return json_answer(await run_in_threadpool(_overlays, request))


async def comments(request: Request) -> Response:
    """Answer the comments on the data points of a stack."""
    return json_answer(await run_in_threadpool(_comments, request))


async def others(request: Request) -> Response:
    """Answer what the total can be compared with."""
    return json_answer(await run_in_threadpool(_others, request))


def points_of(request: Request, place: Place) -> list[DataPoint]:
    """Return the data points of the utility that an address asks for, mains first.

    Of a meter those on it and whatever is below them now.
    """
    points = place.of_kind(asked_kind(place, request.query_params.get("utility", "")))
    mains = place.mains(points)
    first = {one.id for one in mains}
    if place.tops is not None:
        points = [one for one in points if _below(one, place)]
    return [*mains, *(one for one in points if one.id not in first)]


def _below(point: DataPoint, place: Place) -> bool:
    """Say whether a data point is on a meter or fed from there, in the tree as it is now."""
    feeds, at, seen = place.fed_by[-1][1], point.id, set[int]()
    while at not in seen:
        if at in (place.tops or ()):
            return True
        seen.add(at)
        at = feeds.get(at) or point.id
    return False


def _overlays(request: Request) -> dict[str, Any]:
    rooms, person = rooms_of(request), visit_of(request).person
    place = place_of(request)
    from_ms, to_ms = stretch_of(request)
    if rooms.insights is None:
        return NOTHING
    kind = asked_kind(place, request.query_params.get("utility", ""))
    whole = Totals(rooms.view, rooms.clock()).add(place, kind)
    mains = whole.mains(from_ms, to_ms)
    owner = whole.proxy.organisation_id
    body: dict[str, Any] = {
        "parameters": ["total"], "expected": None, "forecast": None, "events": [],
    }  # fmt: skip
    if mains and all(has_hours(one) for one in mains):
        expected = together([rooms.insights.expected(one, from_ms, to_ms) for one in mains])
        body["expected"] = columns(expected, mains[0], long=to_ms - from_ms > HOURS_SHOWN_MS)
        if has_tool(person, "forecast", owner) and to_ms > rooms.clock() - DAY_MS:
            coming = _forecast(rooms, rooms.insights, mains, from_ms, to_ms)
            body["forecast"] = columns(coming, mains[0], long=False) if coming else None
    if has_tool(person, "sentinel", owner):
        looked = [one for one in points_of(request, place) if has_hours(one)]
        events = shown_events(request, looked, from_ms, to_ms, site_names(request))
        spans = spans_of(rooms.insights, events[:EVENTS_MAX], from_ms, to_ms)
        body["events"] = [
            {**mark_of(one, spans), "title": f"{one.title}, {one.point.name}",
             "sentence": one.sentence, "state": one.state}
            for one in events[:EVENTS_MAX]
        ]  # fmt: skip
        body["more_events"] = max(0, len(events) - EVENTS_MAX)
    return body


def _forecast(
    rooms: Rooms, insights: Insights, mains: Sequence[DataPoint], from_ms: int, to_ms: int
) -> Expected | None:
    outlooks = [rooms.outlooks.of(insights, one) for one in mains]
    hours = [one.hours for one in outlooks if one is not None]
    if len(hours) < len(mains):
        return None
    whole = together(hours)
    inside = (whole.start_ms >= from_ms) & (whole.start_ms < to_ms)
    return Expected(
        whole.start_ms[inside], whole.made_ms[inside], whole.rate[:, inside], whole.source
    )


def together(parts: Sequence[Expected]) -> Expected:
    """Return the hours of several mains added up: those that all have, and only the middles."""
    if len(parts) == 1:
        return parts[0]
    common = parts[0].start_ms
    for one in parts[1:]:
        common = np.intersect1d(common, one.start_ms)
    rate = np.full((5, len(common)), np.nan)
    at = [np.searchsorted(one.start_ms, common) for one in parts]
    rate[2] = np.sum([one.rate[2][own] for one, own in zip(parts, at, strict=True)], axis=0)
    made = np.max([one.made_ms[own] for one, own in zip(parts, at, strict=True)], axis=0)
    return Expected(common, made, rate, parts[0].source)


def _comments(request: Request) -> dict[str, Any]:
    place, who = place_of(request), visit_of(request).person
    points = points_of(request, place)
    return {
        "comments": of_points(request, points, *stretch_of(request)),
        "may_comment": any(may_point(who, "comment", one) for one in points),
        "points": [
            {"id": one.id, "name": one.name} for one in points if may_point(who, "comment", one)
        ],
    }


def _others(request: Request) -> dict[str, Any]:
    rooms, who, place = rooms_of(request), visit_of(request).person, place_of(request)
    kind = asked_kind(place, request.query_params.get("utility", ""))
    words = request.query_params.get("q", "")[:100].casefold().replace(",", " ").split()
    points = [p for p in readable(request, "breakdown") if amount_of(p) and unit_of(p) == kind[1]]
    with_kind = {p.site_id for p in points if p.utility == kind[0]}
    found = [
        (0, site.name, f"s{site.id}", site.name)
        for organisation in rooms.registry.tree(who)
        for site in organisation.sites
        if site.id in with_kind
        and (site.id != place.site.id or place.meter is not None)
        and may(who, "read", organisation_id=organisation.id, site_id=site.id)
        and has_tool(who, "breakdown", organisation.id)
    ]
    names = site_names(request)
    found += [
        (1 if one.site_id == place.site.id else 2, f"{one.name}, {names[one.site_id][0]}",
         f"p{one.id}", f"{one.name} {one.stream_id} {names[one.site_id][0]}")
        for one in points
        if one.site_id in names
    ]  # fmt: skip
    hits = [
        (rank, label, key)
        for rank, label, key, text in found
        if all(word in text.casefold() for word in words)
    ]
    return {"points": [{"id": key, "label": label} for _, label, key in sorted(hits)[:OFFERED_MAX]]}


_SITE = "/breakdown/site/{site_id:number}"

DOORS: tuple[Door, ...] = (
    Door(f"{_SITE}/overlays", overlays, Access.READ_SITE, tool="breakdown"),
    Door(f"{_SITE}/comments", comments, Access.READ_SITE, tool="breakdown"),
    Door(f"{_SITE}/others", others, Access.READ_SITE, tool="breakdown"),
)
