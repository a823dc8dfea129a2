"""Admin, one data point: what happened to its meter, taking back what is dated, and progress."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import meter_events, point_settings, site_zones
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import problems_of, section_page, texts_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import COMMENT_MAX, figure_of, history_of, instant_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME
from kilowatch.model.points import DataPoint

SECTION = "data_points"
WITH_METER = ("multiplier", "ct_ratio", "vt_ratio", "pulse_weight", "register_max")
_USUAL = ("pC_1", "pC_2", "pC_3")
LOOKS = 4  # the pipeline begins within seconds; then there is nothing to wait for


async def meter(request: Request) -> Response:
    """Show the forms for an exchange and a reset of the meter."""
    return await run_in_threadpool(_meter, request, {}, {})


async def exchange(request: Request) -> Response:
    """Record that the meter was exchanged."""
    form = await request.form()
    names = ("at", "comment", *WITH_METER, *(str(name) for name in form if _is_register(name)))
    return await run_in_threadpool(_exchange, request, texts_of(form, names))


async def reset(request: Request) -> Response:
    """Record that a register was set to a figure."""
    fields = texts_of(await request.form(), ("reset_at", "to", "channel", "reset_comment"))
    return await run_in_threadpool(_reset, request, fields)


async def undo(request: Request) -> Response:
    """Take back a dated change, or what was recorded of the meter."""
    what = str((await request.form()).get("what", ""))
    return await run_in_threadpool(_undo, request, what)


async def undo_zone(request: Request) -> Response:
    """Take back a dated change of the site's time zone."""
    what = str((await request.form()).get("what", ""))
    return await run_in_threadpool(_undo_zone, request, what)


async def progress(request: Request) -> Response:
    """Answer how far the history is computed again; asked while there is something to wait for."""
    return await run_in_threadpool(_progress, request)


def progress_of(rooms: Rooms, point: DataPoint, left: int) -> dict[str, Any]:
    """Return what the page shows of a history that is being computed again.

    Args:
        rooms: The rooms.
        point: The data point.
        left: How often to look again while nothing has begun.
    """
    try:
        share = rooms.view.status(point).recomputing
    except KilowatchError:
        share = None
    if share is not None:
        return {"share": share, "left": 1}
    return {"share": None, "left": left - 1 if left else None}


def _is_register(name: Any) -> bool:
    return str(name).startswith(("last_", "first_"))


def registers_of(rooms: Rooms, point: DataPoint) -> list[str]:
    """Return the registers that a data point has sent, or the usual ones."""
    if point.kind == "single":
        return ["value"]
    try:
        seen = set(rooms.view.channels(point))
    except KilowatchError:
        seen = set()
    found = [name for name in meter_events.REGISTERS if CHANNEL_BY_NAME[name] in seen]
    return found or list(_USUAL)


def _meter(
    request: Request, fields: dict[str, str], problems: dict[str, str], which: str = ""
) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    registers = registers_of(rooms, point)
    names = ["at", "comment", *WITH_METER, "reset_at", "to", "channel", "reset_comment"]
    names += [f"{end}_{name}" for name in registers for end in ("last", "first")]
    context: dict[str, Any] = {
        "point": point,
        "registers": registers,
        "with_meter": [name for name in WITH_METER if _fits(name, point)],
        "fields": dict.fromkeys(names, "") | fields,
        "which": which,
        "counts": point.kind == "electrical" or point.behaviour == "register",
    }
    if problems:
        context["problems"] = problems
        known = {*names, "last", "first"}
        if not known & {name for name in problems if problems[name]}:
            problems[""] = next(iter(problems.values()))
    crumbs = [
        {"name": point.name, "href": f"/admin/data-points/{point.id}"},
        {"name": t("meter.title")},
    ]
    return section_page(
        request, SECTION, "admin_meter_events.html", crumbs, context,
        current=f"point-{point.id}", status=422 if problems else 200,
    )  # fmt: skip


def _fits(name: str, point: DataPoint) -> bool:
    electrical = point.kind == "electrical"
    return (
        electrical
        if name in ("ct_ratio", "vt_ratio")
        else name != "pulse_weight" or not (electrical)
    )


def _exchange(request: Request, fields: dict[str, str]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    try:
        registers = {}
        for name in registers_of(rooms, point):
            last, first = (
                figure_of(fields.get(f"{end}_{name}", ""), f"{end}_{name}")
                for end in ("last", "first")
            )
            if last is not None or first is not None:
                registers[name] = (last, first)
        settings = {name: figure_of(fields[name], name) for name in WITH_METER if fields[name]}
        at_ms = _instant(fields, "at", point)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            meter_events.exchange(
                change, _row(change.session, point), at_ms, registers,
                settings=settings, comment=fields["comment"][:COMMENT_MAX],
            )  # fmt: skip
    except KilowatchError as error:
        return _meter(request, fields, problems_of(error), "exchange")
    return _done(rooms, point, "event")


def _reset(request: Request, fields: dict[str, str]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    try:
        to = figure_of(fields["to"], "to")
        at_ms = _instant(fields, "reset_at", point)
        channel = "" if fields["channel"] == "value" else fields["channel"]
        with rooms.registry.catalog.change(actor_of(request)) as change:
            meter_events.reset(
                change, _row(change.session, point), at_ms, to=0.0 if to is None else to,
                channel=channel, comment=fields["reset_comment"][:COMMENT_MAX],
            )  # fmt: skip
    except KilowatchError as error:
        if error.data.get("field") == "at":
            error.data["field"] = "reset_at"
        return _meter(request, fields, problems_of(error), "reset")
    return _done(rooms, point, "event")


def _instant(fields: dict[str, str], field: str, point: DataPoint) -> int:
    if not fields[field]:
        raise KilowatchError("wrong_time", "When did it happen?", data={"field": field})
    return instant_of(fields[field], point.zone, field)


def _row(session: Any, point: DataPoint) -> Row:
    row = session.get(Row, point.id)
    assert isinstance(row, Row), "the door found it"
    return row


def _undo(request: Request, what: str) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    kind, _, text = what.partition("-")
    number = whole_number(text)
    if number is None or kind not in ("setting", "event"):
        raise _unknown(what)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        row = _row(change.session, point)
        if kind == "setting":
            point_settings.undo(change, row, number)
        else:
            meter_events.undo(change, row, number)
    return _done(rooms, point, "undone")


def _undo_zone(request: Request, what: str) -> Response:
    rooms, site_id = rooms_of(request), visit_of(request).site_id
    kind, _, text = what.partition("-")
    number = whole_number(text)
    if number is None or kind != "zone":
        raise _unknown(what)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        site = change.session.get(Site, site_id)
        assert site is not None, "the door found it"
        site_zones.undo_zone(change, site, number)
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/sites/{site_id}?saved=zone", status_code=303)


def _unknown(what: str) -> KilowatchError:
    return KilowatchError(
        "unknown_change",
        f"{what[:40]!r} is nothing that could be taken back.",
        remedy="Use the buttons of the page.",
    )


def _done(rooms: Rooms, point: DataPoint, saved: str) -> Response:
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/admin/data-points/{point.id}?saved={saved}#history", status_code=303)


def _progress(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    left = min(whole_number(request.query_params.get("left", "")) or 0, LOOKS)
    context = {"point": point, "progress": progress_of(rooms, point, left)}
    return rooms.templates.TemplateResponse(request, "admin_progress.html", context)


def history_context(request: Request, point: DataPoint) -> dict[str, Any]:
    """Return what the history panel of a data point shows."""
    with rooms_of(request).registry.catalog.reading() as session:
        return history_of(session, _row(session, point))


_POINT = "/admin/data-points/{point_id:number}"

DOORS: tuple[Door, ...] = (
    Door(f"{_POINT}/meter", meter, Access.MANAGE_POINT),
    Door(f"{_POINT}/meter/exchange", exchange, Access.MANAGE_POINT, ("POST",)),
    Door(f"{_POINT}/meter/reset", reset, Access.MANAGE_POINT, ("POST",)),
    Door(f"{_POINT}/undo", undo, Access.MANAGE_POINT, ("POST",)),
    Door(f"{_POINT}/progress", progress, Access.MANAGE_POINT),
    Door("/admin/sites/{site_id:number}/zone/undo", undo_zone, Access.MANAGE_SITE, ("POST",)),
)
