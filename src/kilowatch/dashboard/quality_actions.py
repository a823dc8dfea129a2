"""Correcting a data point: fill in, look at the days before and after, apply; and take it back.

What is applied is what the person saw: when the figures have changed between the preview and the
button, nothing is applied and the new preview is shown.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import corrections, meter_events
from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint as PointRow
from kilowatch.catalog.tables_corrections import Correction as CorrectionRow
from kilowatch.catalog.tables_settings import RecordedEvent
from kilowatch.dashboard.access import Access, Door, not_allowed
from kilowatch.dashboard.admin_frame import problems_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.needs import DayChange, Preview
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.offered import register_title
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality_figures import SHARE_NAMES, percent, unit_of
from kilowatch.dashboard.quality_forms import (
    COMMENT_MAX,
    COMMENT_NEEDED,
    KINDS,
    WITH_METER,
    Filled,
    Group,
    as_tried,
    channels_of_kind,
    filled,
    prefilled,
    record,
    registers_of,
    sent,
    value_unit,
    with_meter,
)
from kilowatch.dashboard.quality_history import JUDGING, readable
from kilowatch.dashboard.quality_periods import counted, local_text
from kilowatch.dashboard.quality_point import back_to, channels_to_choose, crumbs_to
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import COLUMNS, IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME, channel_name
from kilowatch.model.points import DataPoint

DAYS_SHOWN = 60
SISTERS_SHOWN = 300
CHANGING = frozenset({"fill", "spread", "edit", "confirm"})
"""Corrections that nobody needs when they would change no figure."""


class _TriedError(Exception):
    """Ends a change that was only tried: everything in it is rolled back."""


def show(group: Group) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that shows one of the forms."""

    async def handler(request: Request) -> Response:
        fields = prefilled(point_of(request), request.query_params)
        return await run_in_threadpool(_form, request, group, fields, {})

    handler.__name__ = f"quality_{group}"
    return handler


def send(group: Group) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of one of the forms: ``step`` is ``preview``, ``apply`` or ``back``."""

    async def handler(request: Request) -> Response:
        form = await request.form()
        return await run_in_threadpool(_send, request, group, dict(form))

    handler.__name__ = f"quality_{group}_send"
    return handler


def take_back(group: Group) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler that takes something back, after a preview."""

    async def handler(request: Request) -> Response:
        form = await request.form()
        return await run_in_threadpool(_undo, request, group, dict(form))

    handler.__name__ = f"quality_{group}_undo"
    return handler


def _send(request: Request, group: Group, form: dict[str, Any]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    registers = registers_of(point, rooms.view.channels(point))
    fields = sent(form, registers)
    step = str(form.get("step", "preview"))
    if step == "back":
        return _form(request, group, fields, {})
    try:
        wanted = filled(point, group, fields, registers)
        found = _preview(request, point, wanted)
    except KilowatchError as error:
        return _form(request, group, fields, problems_of(error))
    if wanted.kind in CHANGING and not _changes(found):
        return _form(request, group, fields, {"": t(f"unchanged.{wanted.kind}")})
    mark = digest(found)
    if step == "apply" and (mark == form.get("mark") or wanted.kind == "comment"):
        try:
            with rooms.registry.catalog.change(actor_of(request)) as change:
                record(change, point.id, wanted)
        except KilowatchError as error:
            return _form(request, group, fields, problems_of(error))
        return _done(request, wanted.from_ms, wanted.kind)
    context = {
        "title": t(f"{'record' if group == 'meter' else 'correct'}.{wanted.kind}"),
        "action": f"/quality/{point.id}/{group}",
        "fields": fields,
        "about": _about(point, wanted),
        "comment": wanted.comment,
        "moved": step == "apply",
        "undoing": False,
        "mark": mark,
    }
    return _preview_page(request, found, context)


def _form(
    request: Request, group: Group, fields: dict[str, str], problems: dict[str, str]
) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    fitting = [one for one in KINDS[group] if _fits(one, point)]
    kind = fields.get("kind", "")
    if kind not in fitting:
        kind = fitting[0]
    channels = channels_to_choose(rooms, point)
    registers = registers_of(point, rooms.view.channels(point))
    word = "record" if group == "meter" else "correct"
    context: dict[str, Any] = {
        "point": point,
        "group": group,
        "kind": kind,
        "kinds": [(one, t(f"{word}.{one}")) for one in fitting],
        "title": t(f"{word}.{kind}"),
        "hint": t(f"about.{kind}"),
        "fields": defaultdict(str, fields | {"kind": kind}),
        "problems": defaultdict(str, _beside(problems, kind)),
        "channels": channels_of_kind(kind, channels),
        "registers": [(one, register_title(point.utility, one)) for one in registers],
        "with_meter": with_meter(point) if kind == "exchange" else [],
        "units": {name: _shown_unit(point, name) for name, _ in channels},
        "sisters": _sisters(request, point) if kind in {"fill", "spread"} else [],
        "comment_needed": kind in COMMENT_NEEDED,
        "comment_max": COMMENT_MAX[group],
        "page": "quality",
    }
    return page(
        request, "quality_form.html", crumbs_to(request, context["title"]), context,
        current=f"point-{point.id}", status=422 if problems else 200,
    )  # fmt: skip


def _beside(problems: dict[str, str], kind: str) -> dict[str, str]:
    """Return problems by the field that the form shows; above the form where it shows none."""
    shown = {"from", "to", "comment", "channel"}
    shown |= {"edit": {"value"}, "reset": {"first"}, "roll_over": {"width"}}.get(kind, set())
    shown |= {"method", "sister"} if kind in {"fill", "spread"} else set()
    if kind == "exchange":
        shown |= {*WITH_METER, *(name for name in problems if name.startswith(("last_", "first_")))}
    also = {"at": "from", "until": "to"}
    named = {also.get(field, field): text for field, text in problems.items()}
    return {field if field in shown else "": text for field, text in named.items()}


def _fits(kind: str, point: DataPoint) -> bool:
    """Tell whether there can be such a thing at a data point."""
    register = point.kind == "electrical" or point.behaviour == "register"
    return register or kind not in {"spread", "exchange", "reset", "roll_over"}


def _shown_unit(point: DataPoint, channel: str) -> str:
    return readable(1.0, value_unit(point, channel))[1]


def _sisters(request: Request, point: DataPoint) -> list[DataPoint]:
    """Return the meters whose shape can be taken: of the same unit, those of the site first."""
    rooms, who = rooms_of(request), visit_of(request).person
    same = [
        one
        for one in rooms.registry.readable(who)
        if one.id != point.id
        and (one.organisation_id, one.utility, one.kind, one.unit_of_value.canonical)
        == (point.organisation_id, point.utility, point.kind, point.unit_of_value.canonical)
    ]
    same.sort(key=lambda one: (one.site_id != point.site_id, one.name.casefold(), one.id))
    return same[:SISTERS_SHOWN]


def _about(point: DataPoint, wanted: Filled) -> str:
    begin = local_text(wanted.from_ms, point.zone)
    if wanted.to_ms == wanted.from_ms:
        return begin
    return f"{begin} – {local_text(wanted.to_ms, point.zone)}"


def _preview(request: Request, point: DataPoint, wanted: Filled) -> Preview:
    rooms = rooms_of(request)
    if wanted.draft is not None:
        if wanted.draft.sister_id is not None:
            _check_sister(request, wanted.draft.sister_id)
        with rooms.registry.catalog.reading() as session:
            editing = corrections.with_draft(session, point, wanted.draft, rooms.clock())
        return rooms.view.preview(point, editing, wanted.from_ms, wanted.to_ms)
    return _events_preview(
        request, point, lambda change: record(change, point.id, wanted),
        (wanted.from_ms, wanted.to_ms),
    )  # fmt: skip


def _check_sister(request: Request, number: int) -> None:
    """Refuse the shape of a meter that the person may not read."""
    if rooms_of(request).registry.point(visit_of(request).person, number) is None:
        raise KilowatchError("invalid_correction", t("form.no_sister"), data={"field": "sister"})


def _events_preview(
    request: Request, point: DataPoint, act: Callable[[Change], None], about: tuple[int, int]
) -> Preview:
    """Return what a change of the meter's records would change in the figures.

    The change is made as it will be, and rolled back: what refuses it refuses the preview.
    """
    rooms = rooms_of(request)
    tried: list[DataPoint] = []

    def try_out() -> None:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            act(change)
            tried.append(as_tried(change.session, point))
            raise _TriedError

    with contextlib.suppress(_TriedError):
        try_out()
    beside = point.gap_ms  # the readings on both sides count differently too
    span = (about[0] - beside, min(about[1] + beside, max(rooms.clock(), about[1])))
    return rooms.view.preview_events(point, tried[0], span)


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

        found = _events_preview(request, point, act, (first_ms, last_ms))
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
        return _done(request, first_ms, "undone")
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
    return _preview_page(request, found, context)


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


def _done(request: Request, about_ms: int, word: str) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    rooms.registry.directory(fresh=True)
    return RedirectResponse(back_to(point, local_day(about_ms, point.zone), word), status_code=303)


def _changes(found: Preview) -> bool:
    return bool(found.days) or bool(len(found.before)) or bool(len(found.after))


def digest(found: Preview) -> str:
    """Return a mark of what a preview shows: equal for equal ones."""
    made = hashlib.blake2b(digest_size=12)
    for block in (found.before, found.after):
        for name in COLUMNS:
            if name not in {"series", "version"}:
                made.update(np.ascontiguousarray(getattr(block, name)).tobytes())
        made.update(b"|")
    return made.hexdigest()


def _preview_page(request: Request, found: Preview, context: dict[str, Any]) -> Response:
    point = point_of(request)
    frame = {"point": point, "page": "quality", **preview_context(point, found), **context}
    return page(
        request, "quality_preview.html", crumbs_to(request, context["title"]), frame,
        current=f"point-{point.id}",
    )  # fmt: skip


def preview_context(point: DataPoint, found: Preview) -> dict[str, Any]:
    """Return the days and intervals that a preview shows, headline channels first."""
    days = sorted(found.days, key=lambda day: (_rank(day.channel), day.start_ms))
    changed = np.unique(np.concatenate([_keys(found.before), _keys(found.after)]).astype(np.int64))
    return {
        "days": [_day(point, day) for day in days[:DAYS_SHOWN]],
        "more_days": max(len(days) - DAYS_SHOWN, 0),
        "intervals": counted("intervals", len(changed)),
        "changes": _changes(found),
    }


def _keys(rows: IntervalBlock) -> Any:
    return (rows.channel << 42) | rows.start_ms


def _rank(channel: int) -> tuple[bool, int]:
    """Return the order of channels: the value, the energy, the power, then the others."""
    first = [CHANNEL_BY_NAME[name] for name in ("value", "pC", "aP")]
    return (channel not in first, first.index(channel) if channel in first else channel)


def _day(point: DataPoint, day: DayChange) -> dict[str, Any]:
    return {
        "day": local_day(day.start_ms, point.zone),
        "channel": channel_name(day.channel) if point.kind == "electrical" else "",
        "unit": unit_of(point, day.channel),
        "before": day.before if math.isfinite(day.before) else None,
        "after": day.after if math.isfinite(day.after) else None,
        "before_complete": percent(day.before_completeness),
        "after_complete": percent(day.after_completeness),
        "before_shares": _shares(day.before_shares_ms, day.duration_ms),
        "after_shares": _shares(day.after_shares_ms, day.duration_ms),
    }


def _shares(shares_ms: Sequence[int], duration_ms: int) -> str:
    """Return the qualities of a day in words: ``estimated 16.7 %``."""
    return ", ".join(
        f"{t(f'share.{name}').lower()} {percent(share_ms / duration_ms)}"
        for name, share_ms in zip(SHARE_NAMES, shares_ms, strict=True)
        if share_ms
    )


def _doors() -> tuple[Door, ...]:
    who: dict[Group, Access] = {
        "judge": Access.ACT_ON_POINT,
        "correct": Access.MANAGE_POINT,
        "meter": Access.MANAGE_POINT,
    }
    found = []
    for group, access in who.items():
        path = f"/quality/{{point_id:number}}/{group}"
        tool = "data_quality"
        found += [
            Door(path, show(group), access, tool=tool),
            Door(path, send(group), access, ("POST",), tool=tool),
            Door(f"{path}/undo", take_back(group), access, ("POST",), tool=tool),
        ]
    return tuple(found)


DOORS: tuple[Door, ...] = _doors()
