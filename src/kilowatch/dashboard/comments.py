"""Comments beside a chart: who reads the data point sees them, who analyses it writes them.

``/data/comments`` wants ``point``, ``from`` and ``to`` [ms since 1970, UTC] and answers::

    comments    by time: id, point (id and name of the data point that it is about), from, to, text,
                author, at_ms, changed_ms, event (id, title, href; or null), may_edit, may_remove
    may_comment whether the person may write one

The forms answer the same list's entry, or 204; other open pages are told over their live stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import comments
from kilowatch.catalog.rights import has_tool
from kilowatch.catalog.tables import User
from kilowatch.catalog.tables_comments import ChartComment
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import texts_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.insight_rows import shown_event
from kilowatch.dashboard.overlays import stretch_of
from kilowatch.dashboard.places import site_names
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

FIELDS = ("start", "end", "text", "event")


async def shown(request: Request) -> Response:
    """Answer the comments of a stretch."""
    return json_answer(await run_in_threadpool(_shown, request))


async def add(request: Request) -> Response:
    """Write a comment."""
    fields = texts_of(await request.form(), FIELDS)
    return json_answer(await run_in_threadpool(_add, request, fields))


async def edit(request: Request) -> Response:
    """Change one's own comment."""
    fields = texts_of(await request.form(), FIELDS)
    return json_answer(await run_in_threadpool(_edit, request, fields))


async def remove(request: Request) -> Response:
    """Remove a comment: one's own, or as a manager anybody's."""
    await run_in_threadpool(_remove, request)
    return Response(status_code=204)


def of_stretch(
    request: Request, point: DataPoint, from_ms: int, to_ms: int
) -> list[dict[str, Any]]:
    """Return the comments of a stretch as the page has them."""
    with rooms_of(request).registry.catalog.reading() as session:
        rows = comments.of_point(session, point.id, from_ms, to_ms)
        return _entries(request, session, point, rows)


def of_points(
    request: Request, points: Sequence[DataPoint], from_ms: int, to_ms: int
) -> list[dict[str, Any]]:
    """Return the comments of several data points as the page has them, by time."""
    with rooms_of(request).registry.catalog.reading() as session:
        rows = comments.of_points(session, [point.id for point in points], from_ms, to_ms)
        by_point = {row.data_point_id for row in rows}
        found = [
            entry
            for point in points
            if point.id in by_point
            for entry in _entries(
                request, session, point, [row for row in rows if row.data_point_id == point.id]
            )
        ]
    return sorted(found, key=lambda one: (one["from"], one["id"]))


def _shown(request: Request) -> dict[str, Any]:
    point = point_of(request)
    return {
        "comments": of_stretch(request, point, *stretch_of(request)),
        "may_comment": may_point(visit_of(request).person, "comment", point),
    }


def _add(request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    span = _span(fields, point.zone)
    event = _event(request, point, fields["event"]) if fields["event"] else None
    with rooms.registry.catalog.change(actor_of(request)) as change:
        row = comments.add(
            change, point.id, span, fields["text"], event_id=event["id"] if event else ""
        )
        (found,) = _entries(request, change.session, point, [row])
    rooms.hub.tell_comments(point.series)
    return found


def _edit(request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    number = int(request.path_params["comment_id"])
    with rooms.registry.catalog.change(actor_of(request)) as change:
        comments.find(change.session, point.id, number)  # what is not here has no fields to mend
        span = _span(fields, point.zone)
        row = comments.edit(change, point.id, number, span, fields["text"])
        (found,) = _entries(request, change.session, point, [row])
    rooms.hub.tell_comments(point.series)
    return found


def _remove(request: Request) -> None:
    rooms, point = rooms_of(request), point_of(request)
    number = int(request.path_params["comment_id"])
    manages = may_point(visit_of(request).person, "manage", point)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        comments.remove(change, point.id, number, manages=manages)
    rooms.hub.tell_comments(point.series)


def _entries(
    request: Request, session: Session, point: DataPoint, rows: Sequence[ChartComment]
) -> list[dict[str, Any]]:
    who = visit_of(request).person
    writes, manages = may_point(who, "comment", point), may_point(who, "manage", point)
    authors = {row.user_id for row in rows if row.user_id is not None}
    people = select(User.id, User.name).where(User.id.in_(authors))
    names = {row.id: row.name for row in session.execute(people)}
    return [
        {
            "id": row.id,
            "point": {"id": point.id, "name": point.name},
            "from": row.start_ms,
            "to": row.end_ms,
            "text": row.text,
            "author": names.get(row.user_id or 0) or row.created_by,
            "at_ms": row.created_at_ms,
            "changed_ms": row.changed_at_ms,
            "event": _event(request, point, row.event_id) if row.event_id else None,
            "may_edit": writes and comments.is_of(row, who.id),
            "may_remove": manages or (writes and comments.is_of(row, who.id)),
        }
        for row in rows
    ]


def _event(request: Request, point: DataPoint, event_id: str) -> dict[str, Any] | None:
    """Return the event that a comment speaks of, if it is this data point's and theirs to see."""
    rooms, who = rooms_of(request), visit_of(request).person
    if rooms.insights is None or not has_tool(who, "sentinel", point.organisation_id):
        return None
    found = rooms.insights.event(event_id)
    if found is None or found.series != point.series:
        return None
    told = shown_event(request, found, point, site_names(request))
    return {"id": found.id, "title": told.title, "href": told.href}


def _span(fields: Mapping[str, str], zone: str) -> tuple[int, int]:
    start_ms = _instant(fields["start"], zone, "start")
    return start_ms, _instant(fields["end"], zone, "end") if fields["end"] else start_ms


def _instant(text: str, zone: str, field: str) -> int:
    """Read a local time of the site, such as ``2026-11-09T11:15``; its first instant [ms]."""
    try:
        local = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise KilowatchError(
            "bad_date",
            "That is no time.",
            remedy="Write it like 2026-11-09T11:15, on the site's clock.",
            data={"field": field},
        ) from None
    if not 1971 <= local.year <= 2100:
        raise KilowatchError(
            "bad_date", "That time lies outside 1971 to 2100.", data={"field": field}
        )
    return int(Zone.of(zone).wall_to_instant_ms(round(local.timestamp() * 1000)).at_ms)


_POINT = "/breakdown/{point_id:number}/comments"

DOORS: tuple[Door, ...] = (
    Door("/data/comments", shown, Access.READ_POINT, tool="breakdown"),
    Door(_POINT, add, Access.COMMENT_POINT, ("POST",), tool="breakdown"),
    Door(
        f"{_POINT}/{{comment_id:number}}", edit, Access.COMMENT_POINT, ("POST",), tool="breakdown"
    ),
    Door(
        f"{_POINT}/{{comment_id:number}}/remove",
        remove,
        Access.COMMENT_POINT,
        ("POST",),
        tool="breakdown",
    ),
)
