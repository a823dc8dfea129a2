"""The page of one event: its sentence, its evidence, what it costs, and what people say of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import verdicts
from kilowatch.catalog.verdicts import COMMENT_MAX, About
from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.answered import tell_desk
from kilowatch.dashboard.asking import actor_of, problems_of, said
from kilowatch.dashboard.event_evidence import evidence, window
from kilowatch.dashboard.event_quantity import Quantity, quantity_of
from kilowatch.dashboard.insight_rows import Shown, shown_event, shown_events, when_text
from kilowatch.dashboard.periods import local_day, midnight_ms
from kilowatch.dashboard.places import site_names
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.registry import may_export, may_point
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import basis_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import InsightEvent, Verdict
from kilowatch.model.lengths import WEEK_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import LASTS, Lasts

SNOOZES = (1, 7, 30)
"""Days on offer."""


async def event(request: Request) -> Response:
    """Show an event."""
    return await run_in_threadpool(_page, request, {}, {})


async def event_data(request: Request) -> Response:
    """Answer the hours that the page of an event draws."""
    body = await run_in_threadpool(_data, request)
    return Response(msgspec.json.encode(body), media_type="application/json")


async def say(request: Request) -> Response:
    """Take down what a person says of an event."""
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    return await run_in_threadpool(_say, request, form)


async def take_back(request: Request) -> Response:
    """Take back what was said."""
    return await run_in_threadpool(_take_back, request)


def event_of(request: Request) -> InsightEvent:
    """Return the event that a path names, at the data point that it names.

    Raises:
        KilowatchError: 404: no such event, or it is another data point's.
    """
    rooms, point = rooms_of(request), point_of(request)
    found = rooms.insights.event(request.path_params["event_id"]) if rooms.insights else None
    if found is None or found.series != point.series:
        raise not_found()
    return found


def _page(
    request: Request, fields: dict[str, str], problems: dict[str, str], status: int = 200
) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    found = event_of(request)
    shown = shown_event(request, found, point, site_names(request))
    quantity = quantity_of(rooms.view, point, found)
    with rooms.registry.catalog.reading() as session:
        story = verdicts.story(session, point.organisation_id, found.id)
    today = local_day(rooms.clock(), point.zone)
    first = local_day(found.start_ms, point.zone)
    last = local_day(max(found.end_ms - 1, found.start_ms), point.zone)
    whole = found.end_ms - found.start_ms >= WEEK_MS
    from_ms, _ = window(found.start_ms, found.end_ms, point.zone, rooms.clock())
    context = {
        "page": "event",
        "drawn_from": day_text(local_day(from_ms, point.zone)) if from_ms > found.start_ms else "",
        "point": point,
        "shown": shown,
        "electrical": quantity is not None,
        "said": said(request, "event"),
        "story": [(one, t(f"verdict.{one.verdict or 'comment'}")) for one in reversed(story)],
        "acts": may_point(visit.person, "act", point),
        "others": _others(request, found),
        "basis": basis_of([shown.worth]),
        "fields": defaultdict(str, fields),
        "problems": problems,
        "snoozes": [
            ((today + timedelta(days)).isoformat(), t(f"event_snooze.{days}")) for days in SNOOZES
        ],
        "lasts": [
            (word, t("event.always") if word == "weekly" and whole else t(f"event_lasts.{word}"))
            for word in LASTS
        ],
        "week_ms": WEEK_MS,
        "tomorrow": (today + timedelta(1)).isoformat(),
        "comment_max": COMMENT_MAX,
        "exports": may_export(visit.person, point),
        "hours": hours_query(point, found, rooms.clock()),
        "breakdown": _breakdown_query(quantity, first, last),
        "found_at": when_text(found.found_ms, point.zone),
        "day_of": lambda at_ms: day_text(local_day(at_ms, point.zone)),
        "sentinel": f"/sentinel?place=s{point.site_id}&until={last + timedelta(7)}",
    }
    crumbs = crumbs_of(rooms, visit.person, point)
    crumbs[-1]["href"] = f"/breakdown/{point.id}"
    crumbs.append({"name": shown.title})
    return page(request, "event.html", crumbs, context, current=f"point-{point.id}", status=status)


def _breakdown_query(quantity: Quantity | None, first: date, last: date) -> str:
    """Return what Breakdown is asked to show of an event: its days."""
    query = f"period=custom&date={first}&until={last}"
    return f"{query}&show={quantity.show}" if quantity else query


def hours_query(point: DataPoint, found: InsightEvent, now_ms: int) -> str:
    """Return what the file of the hours around an event is asked for."""
    from_ms, to_ms = window(found.start_ms, found.end_ms, point.zone, now_ms)
    first, last = local_day(from_ms, point.zone), local_day(to_ms - 1, point.zone)
    need = "&need=1" if found.is_waste else ""
    return f"point={point.id}&date={first}&until={last}{need}"


def _others(request: Request, found: InsightEvent) -> list[Any]:
    """Return the data points at which the same cause was seen, those that the person may read."""
    rooms, person = rooms_of(request), visit_of(request).person
    directory = rooms.registry.directory()
    return [
        point
        for series in found.others
        if (point := directory.points.get(series)) is not None and may_point(person, "read", point)
    ]


def _data(request: Request) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    found = event_of(request)
    assert rooms.insights is not None
    names = site_names(request)
    shown = shown_event(request, found, point, names)
    now_ms = rooms.clock()
    span = window(found.start_ms, found.end_ms, point.zone, now_ms)
    others: list[Shown] = shown_events(request, [point], *span, names)
    return evidence(rooms.view, rooms.insights, shown, others, now_ms)


def _say(request: Request, form: dict[str, str]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    found = event_of(request)
    about = About(found.id, point.id, found.kind, found.start_ms, found.end_ms)
    try:
        verdict, lasts, until_ms = _verdict_of(form, point.zone)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            verdicts.give(
                change, about, verdict,
                lasts=lasts, until_ms=until_ms, comment=form.get("comment", ""),
            )  # fmt: skip
    except KilowatchError as error:
        return _page(request, form, problems_of(error), status=422)
    if verdict is not None:
        tell_desk(rooms, point.organisation_id, found.id, visit_of(request).person.name)
    done = verdict or "comment"
    address = f"/event/{point.id}/{found.id}?said={done}"
    return RedirectResponse(address, status_code=303)


def _verdict_of(form: dict[str, str], zone: str) -> tuple[Verdict | None, Lasts, int | None]:
    """Read a form: what is said, for how long, and until when.

    Raises:
        KilowatchError: 400 for what no form of ours sends.
    """
    word = form.get("verdict", "")
    if word and word != "comment" and word not in set(Verdict):
        raise KilowatchError("bad_verdict", f"{word!r} is no verdict.", data={"field": "comment"})
    verdict = Verdict(word) if word in set(Verdict) else None
    lasts = form.get("lasts", "once") if verdict is Verdict.EXPECTED else "once"
    text = form.get("snooze_until" if verdict is Verdict.SNOOZED else "until", "")
    until_ms = None
    if verdict is Verdict.SNOOZED or lasts == "until":
        try:
            day = date.fromisoformat(text)
            until_ms = midnight_ms(day, zone) if 1971 <= day.year <= 2100 else None
        except ValueError:
            until_ms = None
    return verdict, lasts, until_ms  # type: ignore[return-value]


def _take_back(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    found = event_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        verdicts.take_back(change, request.path_params["said_id"], event_id=found.id)
    tell_desk(rooms, point.organisation_id, found.id, visit_of(request).person.name)
    return RedirectResponse(f"/event/{point.id}/{found.id}?said=taken_back", status_code=303)


PATH = "/event/{point_id:number}/{event_id}"
DOORS: tuple[Door, ...] = (
    Door(PATH, event, Access.READ_POINT, tool="sentinel"),
    Door(f"{PATH}/data", event_data, Access.READ_POINT, tool="sentinel"),
    Door(f"{PATH}/say", say, Access.ACT_ON_POINT, ("POST",), tool="sentinel"),
    Door(
        f"{PATH}/{{said_id:number}}/take-back",
        take_back,
        Access.ACT_ON_POINT,
        ("POST",),
        tool="sentinel",
    ),
)
