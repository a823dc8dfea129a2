"""Attributes: is my data arriving, and is it right? An integrator's first hour happens here."""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch import wire
from kilowatch.catalog.credentials import holder
from kilowatch.catalog.rights import has_tool
from kilowatch.catalog.spans import interval_text
from kilowatch.dashboard.backfilling import RUNS_SHOWN, conflicts_of, runs_of, selectable
from kilowatch.dashboard.curl import PLACEHOLDER, curl_line
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.formula_names import formula_context
from kilowatch.dashboard.needs import PointStatus
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import clock_text, iso_local
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.remedies import changed_text, leads_to_site, split
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page, tool_test
from kilowatch.dashboard.streams import request_filter
from kilowatch.dashboard.stuck import corrected, curl_with, stuck_on
from kilowatch.dashboard.words import catalogue, t
from kilowatch.log.records import Counters, Head, KeptPacket, kind_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.wire.likely import likely

KEPT_AT_ONCE = 20
KEPT_LOOKED_AT = 100  # the newest, for a sender that is stuck
REQUESTS_SHOWN = 50
REQUESTS_LOOKED_AT = 500  # the organisation's, before those of one data point are picked


async def attributes(request: Request) -> Response:
    """Show everything that is known of a stream."""
    return await run_in_threadpool(_attributes, request)


async def panels(request: Request) -> Response:
    """Answer the parts that change with each packet again."""
    return await run_in_threadpool(_panels, request)


async def requests(request: Request) -> Response:
    """Answer the last requests that a person may see, newest first: ``{"requests": [...]}``.

    Query: ``point``, and ``all=1`` for everything of its organisation.
    """
    rooms, point, who = rooms_of(request), point_of(request), visit_of(request).person
    found = await rooms.requests.recent(point.organisation_id, REQUESTS_LOOKED_AT)
    sees = await run_in_threadpool(request_filter, rooms.registry, who)
    everything = request.query_params.get("all") == "1"
    mine = [one for one in found if sees(one) and (everything or concerns(one, point))]
    return json_answer({"requests": mine[:REQUESTS_SHOWN]})


def latest_text(head: Head | None) -> str:
    """Return the latest packet as it came, or an empty text."""
    return wire.text_of(head.entry.body) if head is not None else ""


def concerns(event: dict[str, Any], point: DataPoint) -> bool:
    """Tell whether a request's event is about a data point, or about none that we know."""
    return event.get("series") == point.series or (
        event.get("series") is None and event.get("stream_id") in (None, point.stream_id)
    )


def _attributes(request: Request) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    crumbs = [*crumbs_of(rooms, visit.person, point), {"name": t("nav.attributes")}]
    shown = has_tool(visit.person, "breakdown", point.organisation_id)
    crumbs[-2] = {"name": point.name, "href": f"/breakdown/{point.id}" if shown else ""}
    if point.formula:
        told = formula_context(request, point) | {
            "page": "attributes",
            "point": point,
            "interval": interval_text(point.interval_s),
            "manages": may_point(visit.person, "manage", point),
        }
        here = f"point-{point.id}"
        return page(request, "attributes_formula.html", crumbs, told, current=here)
    context = {
        "page": "attributes",
        "point": point,
        "changed": changed_text(request.query_params.get("changed", ""), point)
        or _done_text(request),
        "environment": rooms.settings.environment,
        "everything": request.query_params.get("requests") == "all",
        **_changing(rooms, point, request),
    }
    return page(request, "attributes.html", crumbs, context, current=f"point-{point.id}")


def _panels(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    context = {"point": point, **_changing(rooms, point, request)}
    return rooms.templates.TemplateResponse(request, "attributes_panels.html", context)


def _changing(rooms: Rooms, point: DataPoint, request: Request) -> dict[str, Any]:
    head = rooms.log.head(point.series)
    counters = rooms.log.counters([point.series]).get(point.series, Counters())
    start = whole_number(request.query_params.get("kept", "")) or 0
    kept = rooms.log.kept(point.series, KEPT_AT_ONCE + 1, start)
    numbers = {one.credential_id for one in kept}
    numbers |= {one.credential_id for one in rooms.log.backfills(point.series, RUNS_SHOWN)}
    if head is not None:
        numbers.add(head.entry.credential_id)
    with rooms.registry.catalog.reading() as session:
        names = {number: holder(session, number) for number in numbers if number}
    username = PLACEHOLDER
    if head is not None and names.get(head.entry.credential_id):
        username = names[head.entry.credential_id].split(" (")[0]
    status, busy = _status(rooms, point)
    curl = curl_line(point, rooms.settings, rooms.clock(), username, latest_text(head))
    return {
        "status": status,
        **_found(rooms, point, status),
        **conflicts_of(rooms, point),
        "runs": runs_of(rooms, point, names),
        "stuck": _stuck(rooms, point, head, curl),
        "manages": may_point(visit_of(request).person, "manage", point),
        "uses": tool_test(visit_of(request)),
        "manages_site": leads_to_site(request, point),
        "csrf": visit_of(request).csrf,
        "busy": busy,
        "observed": _observed(status),
        "finer": _finer(status, point),
        "interval": interval_text(point.interval_s),
        "latest": _latest(head, point, names) if head else None,
        "counts": _counts(counters, point.zone),
        "discarded": any(selectable(one) for one in kept),
        "kept": [_kept(one, point, names) for one in kept[:KEPT_AT_ONCE]],
        "kept_start": start,
        "kept_more": start + KEPT_AT_ONCE if len(kept) > KEPT_AT_ONCE else None,
        "kept_back": max(0, start - KEPT_AT_ONCE) if start else None,
        "curl": curl,
    }


def _done_text(request: Request) -> str:
    """Return what a page says after an action, or an empty string for a word it did not send."""
    word = request.query_params.get("done", "")[:30]
    number = whole_number(request.query_params.get("n", "")) or 0
    return t(f"done.{word}", n=number) if f"done.{word}" in catalogue() else ""


def _found(rooms: Rooms, point: DataPoint, status: PointStatus | None) -> dict[str, Any]:
    """Return open findings, dismissed ones, and unknown names, each said once."""
    if status is None:
        return {"offers": [], "dismissed": [], "ignored": []}
    every = rooms.view.findings([point], with_dismissed=True).get(point.series, ())
    found = {(one.code, one.data.get("mark")) for one in status.findings}
    dismissed = [one for one in every if (one.code, one.data.get("mark")) not in found]
    put_away = {name for one in dismissed for name in one.data.get("names", ())}
    ignored = [one for one in _ignored(status) if one["name"] not in put_away]
    offers, gone, by_name = split(status.findings, dismissed, [one["name"] for one in ignored])
    for one in ignored:
        one["offer"] = by_name.get(one["name"])
    return {"offers": offers, "dismissed": gone, "ignored": ignored}


def _stuck(rooms: Rooms, point: DataPoint, head: Head | None, curl: str) -> dict[str, Any] | None:
    one = stuck_on(rooms.log.kept(point.series, KEPT_LOOKED_AT), head)
    if one is None:
        return None
    better = corrected(one, point, rooms.clock())
    return {
        "repeats": one.repeats,
        "since": clock_text(one.received_ms, point.zone),
        "last_ms": one.last_received_ms,
        "last": clock_text(one.last_received_ms, point.zone),
        "reason": one.detail,
        "raw": wire.text_of(one.body),
        "corrected": bool(better),
        "curl": curl_with(curl, better) if better else curl,
    }


def _status(rooms: Rooms, point: DataPoint) -> tuple[PointStatus | None, str]:
    try:
        return rooms.view.status(point), ""
    except KilowatchError as error:
        return None, f"{error.detail} {error.remedy}".strip()


def _observed(status: PointStatus | None) -> str:
    if status is None or status.observed_interval_s is None:
        return ""
    return interval_text(max(1, round(status.observed_interval_s)))


def _finer(status: PointStatus | None, point: DataPoint) -> bool:
    """Tell whether packets come so often that several of them make one registered interval."""
    seen_s = status.observed_interval_s if status is not None else None
    return seen_s is not None and 2 * seen_s <= point.interval_s


def _ignored(status: PointStatus | None) -> list[dict[str, Any]]:
    if status is None:
        return []
    named = sorted(status.ignored.items(), key=lambda one: -one[1])
    return [{"name": name, "packets": packets, "likely": likely(name)} for name, packets in named]


def _latest(head: Head, point: DataPoint, names: dict[int, str]) -> dict[str, Any]:
    entry = head.entry
    raw = wire.text_of(entry.body)
    return {
        "raw": raw,
        "pretty": _pretty(raw),
        "at": wire.format_timestamp(entry.at_ms, entry.offset_min, kind_of(entry.flags)),
        "received": clock_text(entry.received_ms, point.zone),
        "received_ms": entry.received_ms,
        "credential": names.get(entry.credential_id, ""),
        "seq": entry.seq,
        "bytes": len(entry.body),
    }


def _pretty(raw: str) -> str:
    """Return JSON with a line for each parameter; as it came where it is not JSON."""
    try:
        return json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except ValueError:
        return raw


def _counts(counters: Counters, zone: str) -> list[dict[str, Any]]:
    return [
        {
            "outcome": outcome,
            "number": getattr(counters, outcome),
            "last": clock_text(at_ms, zone) if at_ms else "",
            "last_ms": at_ms,
        }
        for outcome in ("accepted", "backfilled", "duplicate", "discarded", "refused")
        if outcome != "backfilled" or counters.backfilled
        for at_ms in (getattr(counters, f"last_{outcome}_ms"),)
    ]


def _kept(one: KeptPacket, point: DataPoint, names: dict[int, str]) -> dict[str, Any]:
    raw = wire.text_of(one.body)
    kind = kind_of(one.flags)
    reason = one.detail
    if one.status == "discarded":
        latest = iso_local(one.latest_at_ms, point.zone) if one.latest_at_ms is not None else ""
        reason = t("kept.not_chronological", latest=latest)
    return {
        "id": one.id,
        "status": one.status,
        "selectable": selectable(one),
        "code": one.code,
        "reason": reason,
        "at": wire.format_timestamp(one.at_ms, one.offset_min, kind) if one.at_ms else "",
        "received": clock_text(one.received_ms, point.zone),
        "received_ms": one.received_ms,
        "last": clock_text(one.last_received_ms, point.zone) if one.repeats > 1 else "",
        "last_ms": one.last_received_ms,
        "repeats": one.repeats,
        "credential": names.get(one.credential_id, ""),
        "raw": raw,
        "cut": one.body_bytes > len(one.body),
        "bytes": one.body_bytes,
    }
