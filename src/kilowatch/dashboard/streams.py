"""``/live``: who may hear what. The streaming itself is in ``live.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from kilowatch.catalog import sessions
from kilowatch.catalog.rights import Person, may
from kilowatch.dashboard.access import not_found
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.live import Listener
from kilowatch.dashboard.needs import LastValue
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.readers import reader_of
from kilowatch.dashboard.registry import Registry
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint


async def live(request: Request) -> Response:
    """Open the page's one live stream.

    Query: ``point`` names the data point that the page is about, ``requests=1`` asks for the
    requests that come in. With ``site`` comments on any data point of the site are told.

    Raises:
        KilowatchError: 503 ``too_many_pages``; 404, ``point`` is not a number.
    """
    rooms, visit = rooms_of(request), visit_of(request)
    if rooms.hub.full(visit.person.id):
        raise KilowatchError(
            "too_many_pages",
            "Too many pages are open for live updates.",
            status=503,
            remedy="The page works on; reload it to see new values.",
            retry_helps=True,
        )
    listener = await run_in_threadpool(_listener, rooms, request, visit.person)

    def still_valid(one: Listener) -> bool:
        found = sessions.look_up(rooms.registry.catalog, rooms.settings.server_key, visit.token)
        if found is None:
            return False
        one.allowed = _series(rooms.registry, found.person)
        if one.sees_request is not None:
            one.sees_request = request_filter(rooms.registry, found.person)
        return True

    def values_of(series: list[int]) -> dict[str, Any]:
        directory = rooms.registry.directory()
        points = [point for one in series if (point := directory.points.get(one)) is not None]
        judge = Judge(rooms.view, rooms.settings, rooms.clock())
        last = rooms.view.last_values(points)
        return {
            str(point.series): _told(point, last[point.series], judge)
            for point in points
            if point.series in last
        }

    def alerts_of() -> int:
        return rooms.desk.waiting(reader_of(rooms, visit.person))

    return StreamingResponse(
        rooms.hub.stream(listener, values_of, still_valid, alerts_of),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


def _told(point: DataPoint, last: LastValue, judge: Judge) -> dict[str, Any]:
    """Return what a page is told of a data point that said something."""
    fresh = judge.one(point, last)
    return {
        "at_ms": last.at_ms,
        "value": last.value,
        "unit": last.unit,
        "came_ms": fresh.came_ms,
        "late_after_ms": fresh.late_after_ms,
        "live": fresh.heard,
        "stamp": judge.stamp(point, fresh),
    }


def request_filter(registry: Registry, who: Person) -> Callable[[dict[str, Any]], bool]:
    """Return whether a person may see a request's event.

    A request for a data point: whoever may read that data point. One that names none of ours
    (a 401, a mistyped id) belongs to whoever manages the whole organisation that it is
    attributed to; one that nobody can attribute is shown to nobody.
    """
    allowed = _series(registry, who)

    def sees(event: dict[str, Any]) -> bool:
        series, organisation_id = event.get("series"), event.get("organization_id")
        if series is not None:
            return series in allowed
        return organisation_id is not None and may(who, "manage", organisation_id=organisation_id)

    return sees


def _listener(rooms: Rooms, request: Request, who: Person) -> Listener:
    text = request.query_params.get("point", "")
    number = whole_number(text)
    if text and number is None:
        raise not_found()
    point = rooms.registry.point(who, number) if number is not None else None
    site = whole_number(request.query_params.get("site", ""))
    here = [p for p in rooms.registry.readable(who) if p.site_id == site] if site else []
    wants_requests = request.query_params.get("requests") == "1"
    return Listener(
        person_id=who.id,
        allowed=_series(rooms.registry, who),
        first=point.series if point else None,
        about=frozenset(one.series for one in here),
        sees_request=request_filter(rooms.registry, who) if wants_requests else None,
    )


def _series(registry: Registry, who: Person) -> frozenset[int]:
    return frozenset(point.series for point in registry.readable(who))
