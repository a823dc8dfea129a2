"""Correcting a data point: fill in, look at the days before and after, apply.

What is applied is what the person saw: when the figures have changed between the preview and the
button, nothing is applied and the new preview is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import problems_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.offered import register_title
from kilowatch.dashboard.quality_figures import channels_to_choose
from kilowatch.dashboard.quality_forms import (
    COMMENT_MAX,
    COMMENT_NEEDED,
    KINDS,
    WITH_METER,
    Filled,
    Group,
    channels_of_kind,
    filled,
    prefilled,
    record,
    registers_of,
    sent,
    value_unit,
    with_meter,
)
from kilowatch.dashboard.quality_history import readable
from kilowatch.dashboard.quality_periods import local_text
from kilowatch.dashboard.quality_point import crumbs_to, done
from kilowatch.dashboard.quality_preview import changes, digest, preview, preview_page
from kilowatch.dashboard.quality_undoing import take_back
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

SISTERS_SHOWN = 300
CHANGING = frozenset({"fill", "spread", "edit", "confirm"})
"""Corrections that nobody needs when they would change no figure."""


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


def _send(request: Request, group: Group, form: dict[str, Any]) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    registers = registers_of(point, rooms.view.channels(point))
    fields = sent(form, registers)
    step = str(form.get("step", "preview"))
    if step == "back":
        return _form(request, group, fields, {})
    try:
        wanted = filled(point, group, fields, registers)
        found = preview(request, point, wanted)
    except KilowatchError as error:
        return _form(request, group, fields, problems_of(error))
    if wanted.kind in CHANGING and not changes(found):
        return _form(request, group, fields, {"": t(f"unchanged.{wanted.kind}")})
    mark = digest(found)
    if step == "apply" and (mark == form.get("mark") or wanted.kind == "comment"):
        try:
            with rooms.registry.catalog.change(actor_of(request)) as change:
                record(change, point.id, wanted)
        except KilowatchError as error:
            return _form(request, group, fields, problems_of(error))
        return done(request, wanted.from_ms, wanted.kind)
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
    return preview_page(request, found, context)


def _form(
    request: Request, group: Group, fields: dict[str, str], problems: dict[str, str]
) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    fitting = [one for one in KINDS[group] if _fits(one, point)]
    kind = fields.get("kind", "")
    if kind not in fitting:
        kind = fitting[0]
    channels = channels_to_choose(rooms.view, point)
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
