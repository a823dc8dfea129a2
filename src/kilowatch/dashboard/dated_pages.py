"""Admin, one data point: what was true when, taking back what is dated, and progress."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import formulas, meter_events, point_settings, site_zones
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import history_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.quality_forms import local_input
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import MINUTE_MS
from kilowatch.model.points import DataPoint

LOOKS = 4  # the pipeline begins within seconds; then there is nothing to wait for


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


def _row(session: Any, point: DataPoint) -> Row:
    row = session.get(Row, point.id)
    assert isinstance(row, Row), "the door found it"
    return row


def _undo(request: Request, what: str) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    kind, _, text = what.partition("-")
    number = whole_number(text)
    if number is None or kind not in ("setting", "event", "formula"):
        raise _unknown(what)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        row = _row(change.session, point)
        if kind == "setting":
            point_settings.undo(change, row, number)
        elif kind == "formula":
            formulas.take_back(change, point.id, number)
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
    page = f"/admin/data-points/{point.id}{'/formula' if point.formula else ''}"
    return RedirectResponse(f"{page}?saved={saved}#history", status_code=303)


def _progress(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    left = min(whole_number(request.query_params.get("left", "")) or 0, LOOKS)
    context = {"point": point, "progress": progress_of(rooms, point, left)}
    return rooms.templates.TemplateResponse(request, "admin_progress.html", context)


def history_context(request: Request, point: DataPoint) -> dict[str, Any]:
    """Return what the history panel of a data point shows, and what its link fills in."""
    rooms = rooms_of(request)
    register = point.kind == "electrical" or point.behaviour == "register"
    now = {
        "records_meter": "exchange" if register else "bad",
        "now_local": local_input(rooms.clock() // MINUTE_MS * MINUTE_MS, point.zone),
    }
    with rooms.registry.catalog.reading() as session:
        return history_of(session, _row(session, point)) | now


_POINT = "/admin/data-points/{point_id:number}"

DOORS: tuple[Door, ...] = (
    Door(f"{_POINT}/undo", undo, Access.MANAGE_POINT, ("POST",)),
    Door(f"{_POINT}/progress", progress, Access.MANAGE_POINT),
    Door("/admin/sites/{site_id:number}/zone/undo", undo_zone, Access.MANAGE_SITE, ("POST",)),
)
