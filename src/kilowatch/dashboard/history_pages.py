"""Admin, history: who changed what, taking it back, and all of it as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import history, people, undoing
from kilowatch.catalog.history import PAGE, Filter
from kilowatch.catalog.rights import has_tool
from kilowatch.catalog.tables import AuditEntry
from kilowatch.catalog.tables_sites import EventVerdict
from kilowatch.dashboard.access import Access, Door, asked_organisation, not_in_plan
from kilowatch.dashboard.answered import tell_desk
from kilowatch.dashboard.asking import actor_of, problems_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.history_words import Teller, known_subjects, subject_word
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.people_shared import first_of, organisation_id_of, people_page
from kilowatch.dashboard.periods import iso_local
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

FILE_ENTRIES_MAX = 100_000
"""Importing a table of ten thousand data points makes 40,000: more than two such have dates."""

READ_TOGETHER = 2_000
ASKED = ("person", "subject", "from", "until")


async def first(request: Request) -> Response:
    """Go to the history of the first organisation that the person administers."""
    return await run_in_threadpool(first_of, request, "history")


async def listing(request: Request) -> Response:
    """Show a page of the history."""
    return await run_in_threadpool(_listing, request)


async def file(request: Request) -> Response:
    """Answer every entry that the page lists, in its own sentences, not only one page of them."""
    return await run_in_threadpool(_file, request)


async def undo(request: Request) -> Response:
    """Take a change back."""
    return await run_in_threadpool(_undo, request)


def _listing(request: Request, problems: dict[str, str] | None = None) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    asked, wanted = _asked(request.query_params)
    with rooms.registry.catalog.reading() as session:
        found = history.entries(session, number, wanted, PAGE + 1)
        shown = found[:PAGE]
        taken_back = history.undone_by(session, [entry.id for entry in shown])
        teller = Teller(session)
        rows = [
            {
                "entry": entry,
                "sentence": teller.sentence(entry),
                "undone": taken_back.get(entry.id),
                "why_not": undoing.why_not(session, entry),
            }
            for entry in shown
        ]
        members = [user for user, _ in people.members(session, number)]
    subjects = [(one, subject_word(one)) for one in known_subjects()]
    filters = {name: value for name, value in asked.items() if value}
    older = {**filters, "before": str(shown[-1].id)} if len(found) > PAGE else None
    context = {
        "rows": rows,
        "asked": asked,
        "members": members,
        "subjects": sorted(subjects, key=lambda one: one[1]),
        "older": urlencode(older) if older else "",
        "newest": urlencode(filters) if wanted.before_id else None,
        "file": f"/organization/{number}/history.csv?{urlencode(filters)}",
        "exports": has_tool(visit_of(request).person, "export", number),
        "filtered": bool(filters),
        "problems": problems or {},
    }
    return people_page(request, "history", context, status=409 if problems else 200)


def _asked(query: QueryParams) -> tuple[dict[str, str], Filter]:
    """Return what an address asks for: as its words, and as a filter."""
    asked = {name: query.get(name, "")[:40] for name in ASKED}
    return asked, Filter(
        user_id=whole_number(asked["person"]),
        subject=asked["subject"],
        from_ms=_day_ms(asked["from"]),
        until_ms=_day_ms(asked["until"], later_days=1),
        before_id=whole_number(query.get("before", "")),
    )


def _file(request: Request) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    if not has_tool(visit_of(request).person, "admin", number):
        raise not_in_plan()
    _, wanted = _asked(request.query_params)
    wanted = replace(wanted, before_id=None)
    head = [t(f"history_file.{word}") for word in (
        "number", "when", "who", "subject", "what", "undoes", "undone_by",
    )]  # fmt: skip
    with rooms.registry.catalog.reading() as session:
        rows = list(_rows(session, number, wanted))
    return csv_answer(f"history {asked_organisation(request).name}", head, rows)


def _rows(session: Session, number: int, wanted: Filter) -> Iterator[list[object]]:
    """Yield entries as the page tells them, the newest first.

    Raises:
        KilowatchError: ``too_many`` for one file.
    """
    teller, count = Teller(session), 0
    while found := history.entries(session, number, wanted, READ_TOGETHER):
        count += len(found)
        if count > FILE_ENTRIES_MAX:
            raise KilowatchError(
                "too_many",
                f"The history has more than {FILE_ENTRIES_MAX:,} such entries.",
                status=422,
                remedy="Choose dates, a person or a subject, and take several files.",
            )
        taken_back = history.undone_by(session, [entry.id for entry in found])
        for entry in found:
            yield _row(teller, entry, taken_back.get(entry.id))
        wanted = replace(wanted, before_id=found[-1].id)


def _row(teller: Teller, entry: AuditEntry, undone: AuditEntry | None) -> list[object]:
    return [
        entry.id, iso_local(entry.at_ms, "UTC"), entry.actor, subject_word(entry.subject),
        teller.sentence(entry), entry.undoes_id, undone.actor if undone else "",
    ]  # fmt: skip


def _undo(request: Request) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            entry = history.find(change.session, number, request.path_params["entry_id"])
            history.undo(change, visit_of(request).person, entry)
            verdict = (
                change.session.get(EventVerdict, entry.subject_id)
                if entry.subject == "event_verdict"
                else None
            )
            of_event = verdict.event_id if verdict is not None else ""
    except KilowatchError as error:
        if error.code == "gives_too_much":
            return _listing(request, {"": f"{error.detail} {error.remedy}"})
        return _listing(request, {"": next(iter(problems_of(error).values()))})
    rooms.registry.directory(fresh=True)
    if of_event:
        tell_desk(rooms, number, of_event, visit_of(request).person.name)
    return RedirectResponse(f"/organization/{number}/history?said=undone", status_code=303)


def _day_ms(text: str, *, later_days: int = 0) -> int | None:
    """Return when a day begins in UTC [ms]; None for what is no date."""
    try:
        day = date.fromisoformat(text) + timedelta(days=later_days)
    except (ValueError, OverflowError):
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


_ADMIN = Access.ADMINISTER_ORGANISATION
_HOME = "/organization/{organisation_id:number}/history"

DOORS: tuple[Door, ...] = (
    Door("/admin/history", first, Access.ADMINISTER_SOMEWHERE, tool="admin"),
    Door(_HOME, listing, _ADMIN, tool="admin"),
    Door(_HOME + ".csv", file, _ADMIN, tool="export"),
    Door(_HOME + "/{entry_id:number}/undo", undo, _ADMIN, ("POST",), tool="admin"),
)
