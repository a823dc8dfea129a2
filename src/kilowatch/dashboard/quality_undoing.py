"""Taking back a correction, a judgement or a record of the meter, after a look at its effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import corrections, meter_events
from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint as PointRow
from kilowatch.catalog.tables_corrections import Correction as CorrectionRow
from kilowatch.catalog.tables_settings import RecordedEvent
from kilowatch.dashboard.access import not_allowed
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.needs import Preview
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.quality_forms import Group
from kilowatch.dashboard.quality_history import JUDGING
from kilowatch.dashboard.quality_periods import local_text
from kilowatch.dashboard.quality_point import done
from kilowatch.dashboard.quality_preview import digest, events_preview, preview_page
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint


def take_back(group: Group) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that takes something back, after a preview."""

    async def handler(request: Request) -> Response:
        form = await request.form()
        return await run_in_threadpool(_undo, request, group, dict(form))

    handler.__name__ = f"quality_{group}_undo"
    return handler


def _undo(request: Request, group: Group, form: dict[str, Any]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    number = whole_number(str(form.get("number", "")))
    if number is None:
        raise KilowatchError("nothing_chosen", t("undo.nothing"), remedy=t("undo.reload"))
    found: Preview
    if group == "meter":
        event = _event(rooms, point, number)
        first_ms, title = event.at_ms, t(f"did.{event.kind}")
        last_ms = event.until_ms if event.until_ms is not None else event.at_ms
        comment = event.comment

        def act(change: Change) -> None:
            row = change.session.get(PointRow, point.id)
            assert row is not None
            meter_events.undo(change, row, number)

        found = events_preview(request, point, act, (first_ms, last_ms))
    else:
        one = _correction(rooms, point, number)
        if group == "judge" and one.kind not in JUDGING:
            raise not_allowed()
        first_ms, last_ms, comment = one.from_ms, one.to_ms, one.comment
        title = t(f"correct.{one.kind}")
        editing = corrections.without(point.editing, number)
        found = rooms.view.preview(point, editing, first_ms, last_ms)

        def act(change: Change) -> None:
            corrections.undo(change, point.id, number)

    mark = digest(found)
    if form.get("step") == "apply" and mark == form.get("mark"):
        with rooms.registry.catalog.change(actor_of(request)) as change:
            act(change)
        return done(request, first_ms, "undone")
    about = local_text(first_ms, point.zone)
    if last_ms != first_ms:
        about = f"{about} – {local_text(last_ms, point.zone)}"
    context = {
        "title": t("undo.title", what=title),
        "action": f"/quality/{point.id}/{group}/undo",
        "fields": {"number": str(number)},
        "about": about,
        "comment": comment,
        "moved": form.get("step") == "apply",
        "undoing": True,
        "mark": mark,
    }
    return preview_page(request, found, context)


def _event(rooms: Rooms, point: DataPoint, number: int) -> RecordedEvent:
    with rooms.registry.catalog.reading() as session:
        row = session.get(RecordedEvent, number)
        if row is None or row.data_point_id != point.id:
            raise KilowatchError("not_found", t("undo.gone"), status=404, remedy=t("undo.reload"))
        session.expunge(row)
        return row


def _correction(rooms: Rooms, point: DataPoint, number: int) -> CorrectionRow:
    with rooms.registry.catalog.reading() as session:
        row = session.get(CorrectionRow, number)
        if row is None or row.data_point_id != point.id or row.undone_at_ms is not None:
            raise KilowatchError("not_found", t("undo.gone"), status=404, remedy=t("undo.reload"))
        session.expunge(row)
        return row
