"""Notifications: what is wrong now, what was, and what went out to whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import alerts as catalogue
from kilowatch.catalog import verdicts
from kilowatch.catalog.rights import Person, has_tool, may
from kilowatch.dashboard.access import Access, Door, not_allowed, not_found
from kilowatch.dashboard.answered import state_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.insight_rows import Shown as Finding
from kilowatch.dashboard.insight_rows import shown_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.readers import reader_of
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.insight import Verdict
from kilowatch.model.zones import Zone
from kilowatch.notify.book import Member
from kilowatch.notify.desk import Reader, Shown
from kilowatch.notify.texts import clock

OVER_LISTED = 50
MEMBERS_LISTED = 20
STATES = ("pending", "sent", "failed", "dropped")


async def notifications(request: Request) -> Response:
    """Show the alerts that last, and the last ones that are over."""
    return await run_in_threadpool(_notifications, request, "notifications.html")


async def alerts(request: Request) -> Response:
    """Show the same without the frame, for a page that is open."""
    return await run_in_threadpool(_notifications, request, "alerts_list.html")


async def acknowledge(request: Request) -> Response:
    """Note that somebody takes care of an alert."""
    return await run_in_threadpool(_acknowledge, request)


async def history(request: Request) -> Response:
    """Show what went out to whom, with every attempt."""
    return await run_in_threadpool(_history, request)


def managed(rooms: Rooms, who: Person) -> list[dict[str, Any]]:
    """Return the organisations whose rules and channels a person may change."""
    return [
        {"id": node.id, "name": node.name}
        for node in rooms.registry.tree(who)
        if may(who, "manage", organisation_id=node.id)
    ]


def frame(request: Request, tab: str, organisation_id: int | None = None) -> dict[str, Any]:
    """Return what the tabs of these pages need."""
    rooms, who = rooms_of(request), visit_of(request).person
    organisations = managed(rooms, who)
    known = {one["id"] for one in organisations}
    chosen = organisation_id if organisation_id in known else None
    if chosen is None and organisations:
        chosen = organisations[0]["id"]
    return {"page": "alerts", "tab": tab, "managed": organisations, "organisation_id": chosen}


def _notifications(request: Request, template: str) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    reader = reader_of(rooms, who)
    lasting = rooms.desk.alerts(reader, lasting=True)
    over = rooms.desk.alerts(reader, lasting=False, limit=OVER_LISTED)
    findings = _findings(request, [*lasting, *over])

    def line(one: Shown) -> dict[str, Any]:
        told = _line(rooms, who, one)
        if one.alert.subject:
            told |= _finding(reader, who, one, findings.get(one.alert.subject))
        return told

    context = frame(request, "alerts") | {
        "unruled": _unruled(rooms, who),
        "lasting": [line(one) for one in lasting],
        "over": [line(one) for one in over],
    }
    if template == "alerts_list.html":
        context["csrf"] = visit_of(request).csrf
        return rooms.templates.TemplateResponse(request, template, context)
    return page(request, template, [{"name": t("nav.notifications")}], context)


def _unruled(rooms: Rooms, who: Person) -> bool:
    """Tell whether no rule is on in any organisation of which a person sees something."""
    theirs = {node.id for node in rooms.registry.tree(who)}
    with rooms.registry.catalog.reading() as session:
        every = catalogue.rules(session)
        return not any(row.enabled and row.organisation_id in theirs for row in every)


def _findings(request: Request, alerts: Sequence[Shown]) -> dict[str, Finding]:
    """Return what alerts are about that tell a finding, as it is known now, by its id."""
    rooms = rooms_of(request)
    if rooms.insights is None:
        return {}
    directory, pairs = rooms.registry.directory(), []
    for one in alerts:
        if one.alert.subject and (event := rooms.insights.event(one.alert.subject)) is not None:
            point = directory.by_series(event.series)
            if point is not None and point.id == one.members[0].data_point_id:
                pairs.append((event, point))
    return {one.event.id: one for one in shown_of(request, pairs, {})}


def _finding(reader: Reader, who: Person, shown: Shown, found: Finding | None) -> dict[str, Any]:
    """Return the words of a finding as its own page has them.

    The message that went out names every data point at which it was seen; here stand those that
    the person may read.
    """
    if found is None:
        return {} if shown.alert.organisation_id in reader.whole else {"line": ""}
    told = {"line": found.sentence}
    if shown.state != "over":
        told["title"] = found.headline
    if has_tool(who, "sentinel", found.point.organisation_id):
        told["finding"] = found.href
    return told


def _line(rooms: Rooms, who: Person, shown: Shown) -> dict[str, Any]:
    alert, now_ms = shown.alert, rooms.clock()
    zone = _zone(rooms, shown.members[0])
    directory = rooms.registry.directory()
    points = [
        {
            "id": member.data_point_id,
            "name": point.name,
            "since": clock(member.since_ms, zone, now_ms),
            "ended": clock(member.ended_ms, zone, now_ms) if member.ended_ms else "",
        }
        for member in shown.members[:MEMBERS_LISTED]
        if (point := directory.by_id(member.data_point_id)) is not None
    ]
    acts = shown.whole and all(
        may_point(who, "act", point)
        for member in shown.members
        if (point := directory.by_id(member.data_point_id)) is not None
    )
    return {
        "id": alert.id,
        "title": shown.title,
        "line": shown.lines[0].removeprefix(f"{shown.title}. ") if shown.lines else "",
        "place": shown.lines[-1] if len(shown.members) == 1 and len(shown.lines) > 1 else "",
        "state": shown.state,
        "kind": alert.kind,
        "rule": alert.rule_name,
        "since": clock(shown.members[0].since_ms, zone, now_ms),
        "told": clock(alert.told_ms, zone, now_ms) if alert.told_ms else "",
        "tell": clock(alert.tell_ms, zone, now_ms),
        "ended": clock(alert.ended_ms, zone, now_ms) if alert.ended_ms else "",
        "why": alert.ended_why,
        "by": alert.acknowledged_by,
        "by_at": clock(alert.acknowledged_ms, zone, now_ms) if alert.acknowledged_ms else "",
        "points": points,
        "more": max(0, shown.count - len(points)),
        "point_id": shown.members[0].data_point_id,
        "acts": acts and shown.state in ("open", "waiting"),
        "finding": "",
    }


def _zone(rooms: Rooms, member: Member) -> Zone:
    point = rooms.registry.directory().by_id(member.data_point_id)
    return Zone.of(point.zone if point is not None else "UTC")


def _acknowledge(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    number = number_in(request, "alert_id")
    if not rooms.desk.has_member(number, point_of(request).id):
        raise not_found()
    shown = rooms.desk.alert(number, reader_of(rooms, visit.person))
    if shown is None:
        raise not_found()
    if not _line(rooms, visit.person, shown)["acts"] and shown.state != "acknowledged":
        raise not_allowed()
    rooms.desk.acknowledge(number, visit.person.name)
    if shown.alert.subject:
        _answer(request, shown.alert.subject)
    return RedirectResponse("/notifications", status_code=303)


def _answer(request: Request, event_id: str) -> None:
    """Note at a finding that it was seen, unless somebody has answered it already."""
    rooms, point = rooms_of(request), point_of(request)
    event = rooms.insights.event(event_id) if rooms.insights is not None else None
    if event is None or event.series != point.series:
        return
    about = verdicts.About(event.id, point.id, event.kind, event.start_ms, event.end_ms)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        said = verdicts.of_events(change.session, point.organisation_id, [event.id])
        if state_of(said.get(event.id), rooms.clock()) == "open":  # also what was put off until now
            verdicts.give(change, about, Verdict.ACKNOWLEDGED)


def _history(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    number, state, channel_id = asked_history(request)
    context = frame(request, "history", number)
    zone = zone_of(rooms, who, number)
    found = rooms.desk.history([number], state=state, channel_id=channel_id)
    filters = {"organisation": number, "state": state, "channel": channel_id or ""}
    context |= {
        "rows": [
            {
                "delivery": delivery,
                "at": on_clock(delivery.created_ms, zone),
                "attempts": [
                    {
                        "at": on_clock(one.started_ms, zone),
                        "outcome": one.outcome,
                        "reason": one.reason,
                        "took": one.took_ms,
                    }
                    for one in attempts
                ],
            }
            for delivery, attempts in found
        ],
        "states": STATES,
        "exports": has_tool(who, "export", number),
        "file": f"/notifications/history.csv?{urlencode(filters)}",
        "zone": zone.name,
        "state": state,
        "channel": channel_id,
        "channels": rooms.desk.channels(number),
    }
    crumbs = [
        {"name": t("nav.notifications"), "href": "/notifications"},
        {"name": t("alerts.history")},
    ]
    return page(request, "alerts_history.html", crumbs, context)


def asked_history(request: Request) -> tuple[int, str, int | None]:
    """Return whose messages are asked for, in which state, and through which channel.

    Raises:
        KilowatchError: 403, the person manages no organisation.
    """
    query = request.query_params
    chosen = frame(request, "history", whole_number(query.get("organisation", "")))
    if chosen["organisation_id"] is None:
        raise not_allowed()
    state = query.get("state", "")
    channel_id = whole_number(query.get("channel", ""))
    return chosen["organisation_id"], state if state in STATES else "", channel_id


def number_in(request: Request, name: str) -> int:
    """Return a number of the path.

    Raises:
        KilowatchError: 404, it is none.
    """
    number = whole_number(str(request.path_params[name]))
    if number is None:
        raise not_found()
    return number


def zone_of(rooms: Rooms, who: Person, organisation_id: int) -> Zone:
    """Return the clock of an organisation: that of its first site."""
    for node in rooms.registry.tree(who):
        if node.id == organisation_id and node.sites:
            return Zone.of(node.sites[0].zone)
    return Zone.of("UTC")


def on_clock(at_ms: int, zone: Zone) -> str:
    """Return an instant on a zone's clock, to the second."""
    there = datetime.fromtimestamp(int(zone.local_ms([at_ms])[0]) / 1000, UTC)
    return f"{there.day} {there:%b %Y, %H:%M:%S}"


DOORS: tuple[Door, ...] = (
    Door("/notifications", notifications, Access.SIGNED_IN, tool="notifications"),
    Door("/notifications/alerts", alerts, Access.SIGNED_IN, tool="notifications"),
    Door("/notifications/history", history, Access.MANAGE_SOMEWHERE, tool="notifications"),
    Door(
        "/breakdown/{point_id:number}/alerts/{alert_id:number}/acknowledge",
        acknowledge,
        Access.ACT_ON_POINT,
        ("POST",),
        tool="notifications",
    ),
)
