"""Import: history from a file, with its columns named, tried first and put in with a reason."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping
from copy import copy
from typing import Any

from sqlalchemy import delete, select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import import_profiles
from kilowatch.catalog.places import zones
from kilowatch.catalog.tables_imports import HistoryFile, ImportProfile
from kilowatch.client import columns as shapes
from kilowatch.client.columns import PARAMETERS, Column, Shape
from kilowatch.client.guessing import Look, look
from kilowatch.client.history import PutIn
from kilowatch.dashboard.access import Access, Door, asked_organisation, not_found, row_here
from kilowatch.dashboard.admin_frame import organisations_for, problems_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.backfilling import reason_of
from kilowatch.dashboard.import_form import shape_of, shown
from kilowatch.dashboard.import_jobs import Task
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.shell import page as shell_page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint

BYTES_MAX = 16 * 1024 * 1024  # 100,000 lines of a wide table; the catalogue keeps a tenth of it
KEPT_MS = 24 * HOUR_MS  # a file that nobody put in within a day was a try
FORM_BYTES = 16_384
MAPPING_BYTES = 65_536
PROPOSED_MAX = 500  # data points offered while typing; any other name is found too


async def first(request: Request) -> Response:
    """Show the organisations that history can be put into; go on if there is one."""
    return await run_in_threadpool(_first, request)


async def start(request: Request) -> Response:
    """Show how a file is brought, and those on trial."""
    return await run_in_threadpool(_start, request, {})


async def take(request: Request) -> Response:
    """Take a file, and go on to its columns."""
    form = await request.form()
    file, name, content = form.get("file"), "", b""
    if isinstance(file, UploadFile):
        name, content = file.filename or "", await file.read()
    profile = whole_number(str(form.get("profile", "")))
    return await run_in_threadpool(_take, request, name, content, profile)


async def mapping(request: Request) -> Response:
    """Show what each column is taken for."""
    return await run_in_threadpool(_mapping, request, {}, None)


async def check(request: Request) -> Response:
    """Keep what the columns are, and begin to look at what the file would do."""
    return await run_in_threadpool(_check, request, await request.form())


async def outcome(request: Request) -> Response:
    """Show what the file would do, or did, or how far it is."""
    return await run_in_threadpool(_outcome, request)


async def progress(request: Request) -> Response:
    """Answer how far it is; a page that waits is told to load again when it is done."""
    return await run_in_threadpool(_progress, request)


async def apply(request: Request) -> Response:
    """Put the file in."""
    return await run_in_threadpool(_apply, request, reason_of(await request.form()))


async def discard(request: Request) -> Response:
    """Forget a file."""
    return await run_in_threadpool(_discard, request)


async def remove_profile(request: Request) -> Response:
    """Forget how files of one kind are read."""
    return await run_in_threadpool(_remove_profile, request)


def _first(request: Request) -> Response:
    found = organisations_for(request, "manage")
    if len(found) == 1:
        return RedirectResponse(f"/organization/{found[0].id}/import", status_code=303)
    crumbs = [{"name": t("import.title")}]
    return shell_page(
        request, "import_first.html", crumbs, {"page": "import", "organisations": found}
    )


def _start(request: Request, problems: dict[str, str]) -> Response:
    organisation, user_id = asked_organisation(request), visit_of(request).person.id
    with rooms_of(request).registry.catalog.reading() as session:
        own = select(HistoryFile.id, HistoryFile.name).where(
            HistoryFile.organisation_id == organisation.id, HistoryFile.user_id == user_id
        )
        files = session.execute(own.order_by(HistoryFile.id.desc())).all()
        profiles = import_profiles.listing(session, organisation.id)
    context = {
        "files": files, "profiles": profiles, "fields": {"profile": ""},
        "megabytes": BYTES_MAX // 1024 // 1024,
    }  # fmt: skip
    return _page(request, "import_start.html", context, problems)


def _take(request: Request, name: str, content: bytes, profile_id: int | None) -> Response:
    rooms, visit, organisation = rooms_of(request), visit_of(request), asked_organisation(request)
    if not content:
        return _start(request, {"file": t("import.no_file")})
    streams, _ = _known(request)
    try:
        seen = look(content, streams)
    except KilowatchError as error:
        return _start(request, problems_of(error))
    shape, now_ms = seen.shape, rooms.clock()
    with rooms.registry.catalog.bookkeeping() as session:
        old = HistoryFile.created_at_ms < now_ms - KEPT_MS
        session.execute(delete(HistoryFile).where(old))
        saved = session.get(ImportProfile, profile_id or 0)
        if saved is not None and saved.organisation_id == organisation.id:
            shape = shape.fitted(Shape.of_json(saved.shape))
        row = HistoryFile(
            organisation_id=organisation.id,
            user_id=visit.person.id,
            created_at_ms=now_ms,
            name=name[:200],
            shape=shape.as_json(),
            content=zlib.compress(content),
        )
        session.add(row)
        session.flush()
        number = row.id
    return RedirectResponse(f"{_base(request)}/{number}", status_code=303)


def _mapping(request: Request, problems: dict[str, str], tried: FormData | None) -> Response:
    row = _file(request)
    streams, points = _known(request)
    seen = look(zlib.decompress(row.content), streams)
    shape = Shape.of_json(row.shape)
    names = {point.stream_id: point.name for point in points.values()}
    fields = {
        "separator": shape.separator, "decimal": shape.decimal, "order": shape.order,
        "zone": shape.zone, "stream": _called(shape.stream, names), "profile_name": "",
        "reason": "",
    }  # fmt: skip
    if tried is not None:
        fields |= {name: str(tried.get(name, "")) for name in fields}
    context = {
        "file": row, "look": seen, "shape": shape, "fields": fields,
        "columns": [
            _column(n, one, seen, names, tried) for n, one in enumerate(shape.columns)
        ],
        "parameters": PARAMETERS, "orders": shapes.ORDERS, "zones": sorted(zones()),
        "points": [*points.values()][:PROPOSED_MAX],
    }  # fmt: skip
    return _page(request, "import_columns.html", context, problems, {"name": _title(row)})


def _column(
    n: int, one: Column, seen: Look, names: Mapping[str, str], tried: FormData | None
) -> dict[str, Any]:
    role, of = one.role, _called(one.stream, names)
    if tried is not None:
        role, of = str(tried.get(f"role_{n}", role)), str(tried.get(f"of_{n}", of))
    samples = list(dict.fromkeys(row[n] for row in seen.rows if n < len(row) and row[n].strip()))
    return {"name": one.name, "role": role, "of": of, "samples": [s[:40] for s in samples[:3]]}


def _called(stream: str, names: Mapping[str, str]) -> str:
    """Return what a form calls a data point: its stream id, which no two have."""
    return stream if stream in names else ""


def _check(request: Request, form: FormData) -> Response:
    rooms, row = rooms_of(request), _file(request)
    streams, points = _known(request)
    job = rooms.jobs.of(row.id)
    if job is not None and not job.finished:
        return _to_outcome(request, row)  # pressed twice
    try:
        shape = shape_of(form, Shape.of_json(row.shape), streams)
        if kept := " ".join(str(form.get("profile_name", "")).split())[:100]:
            number = asked_organisation(request).id
            with rooms.registry.catalog.change(actor_of(request)) as change:
                import_profiles.keep(change, number, kept, shape.as_json())
    except KilowatchError as error:
        return _mapping(request, problems_of(error), form)
    with rooms.registry.catalog.bookkeeping() as session:
        session.get_one(HistoryFile, row.id).shape = shape.as_json()
    text = look(zlib.decompress(row.content), streams).text
    task = Task(text, shape, points, streams, rooms.clock())
    rooms.jobs.check(row.id, task, rooms.view)
    return _to_outcome(request, row)


def _outcome(request: Request) -> Response:
    row = _file(request)
    live = rooms_of(request).jobs.of(row.id)
    if live is None:
        return RedirectResponse(f"{_base(request)}/{row.id}", status_code=303)
    job = copy(live)  # it may end while the page is drawn
    context = {
        "file": row, "job": job, "percent": f"{job.done * 100:.0f}",
        "runs": [shown(one) for one in job.runs] if job.finished else [],
        "counts": {name: job.count(name) for name in _COUNTS} if job.finished else {},
    }  # fmt: skip
    return _page(request, "import_outcome.html", context, {}, {"name": _title(row)})


_COUNTS = ("lines", "new", "identical", "conflicting", "invalid")


def _progress(request: Request) -> Response:
    row = _file(request)
    job = rooms_of(request).jobs.of(row.id)
    if job is None or job.finished:
        return Response(status_code=204, headers={"hx-refresh": "true"})
    context = {"job": job, "percent": f"{job.done * 100:.0f}", "here": f"{_base(request)}/{row.id}"}
    return rooms_of(request).templates.TemplateResponse(request, "import_progress.html", context)


def _apply(request: Request, reason: str) -> Response:
    rooms, row, actor = rooms_of(request), _file(request), actor_of(request)
    streams, points = _known(request)
    text = look(zlib.decompress(row.content), streams).text
    task = Task(text, Shape.of_json(row.shape), points, streams, rooms.clock())
    catalog, name = rooms.registry.catalog, row.name

    def record(point: DataPoint, put_in: PutIn) -> None:
        with catalog.change(actor) as change:
            change.record(
                "imported", "data_point", point.id, point.organisation_id,
                file=name, packets=put_in.packets, reason=reason,
            )  # fmt: skip

    if rooms.jobs.apply(row.id, task, rooms.past, actor.name, reason, record) is None:
        raise KilowatchError(
            "not_looked_at",
            "This file was not looked at since its columns were named, or is under way.",
            status=409,
            remedy="Look at what it would do first.",
        )
    return _to_outcome(request, row)


def _discard(request: Request) -> Response:
    rooms, row = rooms_of(request), _file(request)
    job = rooms.jobs.of(row.id)
    if job is None or job.finished:
        rooms.jobs.forget(row.id)
        with rooms.registry.catalog.bookkeeping() as session:
            session.delete(session.get_one(HistoryFile, row.id))
    return RedirectResponse(_base(request), status_code=303)


def _remove_profile(request: Request) -> Response:
    with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
        number = request.path_params["profile_id"]
        change.session.delete(row_here(change.session, request, ImportProfile, number))
    return RedirectResponse(_base(request), status_code=303)


def _known(request: Request) -> tuple[dict[str, str], dict[str, DataPoint]]:
    """Return what a file may call a data point of the organisation, and those by stream id.

    A name that two data points have means neither.
    """
    rooms, number = rooms_of(request), visit_of(request).organisation_id
    own = [p for p in rooms.registry.directory().points.values() if p.organisation_id == number]
    own.sort(key=lambda point: (point.name.casefold(), point.id))
    named: dict[str, list[str]] = defaultdict(list)
    for point in own:
        named[point.name].append(point.stream_id)
    streams = {name: found[0] for name, found in named.items() if len(found) == 1}
    streams |= {point.stream_id: point.stream_id for point in own}
    return streams, {point.stream_id: point for point in own}


def _file(request: Request) -> HistoryFile:
    """Return the file that the path names, if the person brought it to this organisation."""
    with rooms_of(request).registry.catalog.reading() as session:
        row = row_here(session, request, HistoryFile, request.path_params["file_id"])
    if row.user_id != visit_of(request).person.id:
        raise not_found()
    return row


def _page(
    request: Request,
    template: str,
    context: dict[str, Any],
    problems: dict[str, str],
    *crumbs: dict[str, str],
) -> Response:
    organisation = asked_organisation(request)
    shown = defaultdict(str, problems)
    if problems and not shown[""]:
        shown[""] = next(iter(problems.values()))
    frame = {
        "page": "import", "organisation": organisation, "here": _base(request),
        "problems": shown if problems else defaultdict(str),
    }  # fmt: skip
    way = [
        {"name": organisation.name, "href": f"/organization/{organisation.id}"},
        {"name": t("import.title"), "href": _base(request)},
        *crumbs,
    ]
    return shell_page(request, template, way, {**frame, **context}, status=422 if problems else 200)


def _to_outcome(request: Request, row: HistoryFile) -> Response:
    return RedirectResponse(f"{_base(request)}/{row.id}/outcome", status_code=303)


def _title(row: HistoryFile) -> str:
    return row.name or t("import.file")


def _base(request: Request) -> str:
    return f"/organization/{visit_of(request).organisation_id}/import"


_BASE = "/organization/{organisation_id:number}/import"
_FILE = f"{_BASE}/{{file_id:number}}"
_MANAGE = Access.MANAGE_ORGANISATION

DOORS: tuple[Door, ...] = (
    Door("/import", first, Access.MANAGE_SOMEWHERE, tool="import"),
    Door(_BASE, start, _MANAGE, tool="import"),
    Door(
        _BASE, take, _MANAGE, ("POST",), tool="import", body_bytes_max=BYTES_MAX + FORM_BYTES
    ),
    Door(_FILE, mapping, _MANAGE, tool="import"),
    Door(_FILE, check, _MANAGE, ("POST",), tool="import", body_bytes_max=4 * MAPPING_BYTES),
    Door(f"{_FILE}/outcome", outcome, _MANAGE, tool="import"),
    Door(f"{_FILE}/progress", progress, _MANAGE, tool="import"),
    Door(f"{_FILE}/apply", apply, _MANAGE, ("POST",), tool="import"),
    Door(f"{_FILE}/discard", discard, _MANAGE, ("POST",), tool="import"),
    Door(
        f"{_BASE}/profiles/{{profile_id:number}}/remove", remove_profile, _MANAGE, ("POST",),
        tool="import",
    ),
)  # fmt: skip
