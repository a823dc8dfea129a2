"""Admin, many data points from a file: template, dry run line by line, and then all or nothing."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from typing import Any

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import bulk, bulk_apply, bulk_plan, sheets
from kilowatch.catalog.bulk import Action, Plan
from kilowatch.catalog.sheets import Sheet
from kilowatch.catalog.tables_estate import ImportDraft
from kilowatch.dashboard.access import Access, Door, asked_organisation, not_found, row_here
from kilowatch.dashboard.admin_frame import paged, problems_of, section_page
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS

SECTION = "data_points"
KEPT_MS = 24 * HOUR_MS  # a file that nobody applied within a day was a try
SHOWN = 100
SEPARATORS = {"": ",", "comma": ",", "semicolon": ";"}
FORM_BYTES = 16_384  # what a file's form brings beside the file


async def page(request: Request) -> Response:
    """Show how a table is brought in, with template and export."""
    return await run_in_threadpool(_page, request, {})


async def take(request: Request) -> Response:
    """Take a file, and go on to what it would do."""
    file = (await request.form()).get("file")
    name, content = "", b""
    if isinstance(file, UploadFile):
        name, content = file.filename or "", await file.read()
    return await run_in_threadpool(_take, request, name, content)


async def look(request: Request) -> Response:
    """Show line by line what a file would do."""
    return await run_in_threadpool(_look, request, {})


async def apply(request: Request) -> Response:
    """Do what was shown, all of it or nothing."""
    digest = str((await request.form()).get("digest", ""))
    return await run_in_threadpool(_apply, request, digest)


async def discard(request: Request) -> Response:
    """Forget a file that was looked at."""
    return await run_in_threadpool(_discard, request)


async def export(request: Request) -> Response:
    """Answer every data point of the organisation as a table that can be brought in again."""
    return await run_in_threadpool(_export, request)


async def template(request: Request) -> Response:
    """Answer an empty table with two examples."""
    content = bulk.template(SEPARATORS.get(request.query_params.get("separator", ""), ","))
    return _file(content, "data-points-template.csv")


def _page(request: Request, problems: dict[str, str]) -> Response:
    organisation = asked_organisation(request)
    context: dict[str, Any] = {
        "organisation": organisation,
        "columns": bulk.COLUMNS,
        "lines_max": sheets.LINES_MAX,
    }
    if problems:
        context["problems"] = defaultdict(str, problems)
    crumbs = [{"name": organisation.name}, {"name": t("bulk.title")}]
    return section_page(
        request, SECTION, "admin_import.html", crumbs, context, status=422 if problems else 200
    )


def _take(request: Request, name: str, content: bytes) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    if not content:
        return _page(request, {"file": t("bulk.no_file")})
    try:
        bulk.read(content)
    except KilowatchError as error:
        return _page(request, problems_of(error))
    now_ms = rooms.clock()
    with rooms.registry.catalog.bookkeeping() as session:
        old = ImportDraft.created_at_ms < now_ms - KEPT_MS
        mine = ImportDraft.user_id == visit.person.id
        session.execute(delete(ImportDraft).where(or_(old, mine)))
        draft = ImportDraft(
            organisation_id=visit.organisation_id,
            user_id=visit.person.id,
            created_at_ms=now_ms,
            name=name[:200],
            content=zlib.compress(content),
        )
        session.add(draft)
        session.flush()
        address = f"{_base(request)}/{draft.id}"
    return RedirectResponse(address, status_code=303)


def _look(request: Request, problems: dict[str, str]) -> Response:
    organisation = asked_organisation(request)
    with rooms_of(request).registry.catalog.reading() as session:
        draft, sheet = _draft(session, request)
        plan = bulk_plan.plan(session, organisation.id, sheet, rooms_of(request).clock())
    wanted = request.query_params.get("show", "")
    shown = wanted if wanted in bulk.ACTIONS else _first(plan)
    lines = [line for line in plan.lines if line.action == shown]
    context: dict[str, Any] = {
        "organisation": organisation,
        "draft": draft,
        "sheet": sheet,
        "plan": plan,
        "todo": plan.counts["create"] + plan.counts["change"],
        "shown": shown,
        "actions": bulk.ACTIONS,
        "table": paged(request, lines, {"show": shown}, SHOWN),
    }
    if problems:
        context["problems"] = problems
    crumbs = [
        {"name": organisation.name},
        {"name": t("bulk.title"), "href": _base(request)},
        {"name": draft.name or t("bulk.file")},
    ]
    return section_page(
        request, SECTION, "admin_import_plan.html", crumbs, context,
        status=409 if problems else 200,
    )  # fmt: skip


def _apply(request: Request, digest: str) -> Response:
    rooms, organisation_id = rooms_of(request), asked_organisation(request).id
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            draft, sheet = _draft(open_change.session, request)
            plan = bulk_apply.apply(open_change, organisation_id, sheet, digest)
            open_change.record(
                "applied a table", "data_point", None, organisation_id,
                file=draft.name, **{k: v for k, v in plan.counts.items() if k != "refuse"},
            )  # fmt: skip
            open_change.session.delete(draft)
    except KilowatchError as error:
        return _look(request, problems_of(error))
    rooms.registry.directory(fresh=True)
    context = {"organisation": asked_organisation(request), "plan": plan}
    crumbs = [{"name": t("bulk.title"), "href": _base(request)}, {"name": t("bulk.done")}]
    return section_page(request, SECTION, "admin_import_done.html", crumbs, context)


def _discard(request: Request) -> Response:
    with rooms_of(request).registry.catalog.bookkeeping() as session:
        draft, _ = _draft(session, request)
        session.delete(draft)
    return RedirectResponse(_base(request), status_code=303)


def _export(request: Request) -> Response:
    organisation = asked_organisation(request)
    separator = SEPARATORS.get(request.query_params.get("separator", ""), ",")
    with rooms_of(request).registry.catalog.reading() as session:
        content = bulk.export(session, organisation.id, separator)
    name = re.sub(r"[^A-Za-z0-9]+", "-", organisation.name).strip("-").lower() or "organization"
    return _file(content, f"{name}-data-points.csv")


def _file(content: bytes, name: str) -> Response:
    return Response(
        content,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _first(plan: Plan) -> str:
    """Return what a person looks at first: what is wrong, then what would be done."""
    order: tuple[Action, ...] = ("refuse", "create", "change", "same")
    return next((action for action in order if plan.counts[action]), "create")


def _draft(session: Session, request: Request) -> tuple[ImportDraft, Sheet]:
    """Return the file that the path names, if the person brought it to this organisation."""
    draft = row_here(session, request, ImportDraft, request.path_params["draft_id"])
    if draft.user_id != visit_of(request).person.id:
        raise not_found()
    return draft, bulk.read(zlib.decompress(draft.content))


def _base(request: Request) -> str:
    return f"/admin/organizations/{visit_of(request).organisation_id}/import"


_ORGANISATION = "/admin/organizations/{organisation_id:number}"
_IMPORT = f"{_ORGANISATION}/import"
_DRAFT = f"{_IMPORT}/{{draft_id:number}}"

DOORS: tuple[Door, ...] = (
    Door(f"{_ORGANISATION}/data-points.csv", export, Access.MANAGE_ORGANISATION),
    Door(f"{_ORGANISATION}/data-points-template.csv", template, Access.MANAGE_ORGANISATION),
    Door(_IMPORT, page, Access.MANAGE_ORGANISATION),
    Door(
        _IMPORT,
        take,
        Access.MANAGE_ORGANISATION,
        ("POST",),
        body_bytes_max=sheets.BYTES_MAX + FORM_BYTES,
    ),
    Door(_DRAFT, look, Access.MANAGE_ORGANISATION),
    Door(_DRAFT, apply, Access.MANAGE_ORGANISATION, ("POST",)),
    Door(f"{_DRAFT}/discard", discard, Access.MANAGE_ORGANISATION, ("POST",)),
)
