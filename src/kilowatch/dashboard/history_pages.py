"""Admin, history: who changed what, and taking it back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import history, people, undoing
from kilowatch.catalog.history import PAGE, Filter
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.asking import actor_of, problems_of
from kilowatch.dashboard.history_words import Teller, known_subjects, subject_word
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.people_shared import first_of, organisation_id_of, people_page
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.errors import KilowatchError


async def first(request: Request) -> Response:
    """Go to the history of the first organisation that the person administers."""
    return await run_in_threadpool(first_of, request, "history")


async def listing(request: Request) -> Response:
    """Show a page of the history."""
    return await run_in_threadpool(_listing, request)


async def undo(request: Request) -> Response:
    """Take a change back."""
    return await run_in_threadpool(_undo, request)


def _listing(request: Request, problems: dict[str, str] | None = None) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    query = request.query_params
    asked = {name: query.get(name, "")[:40] for name in ("person", "subject", "from", "until")}
    wanted = Filter(
        user_id=whole_number(asked["person"]),
        subject=asked["subject"],
        from_ms=_day_ms(asked["from"]),
        until_ms=_day_ms(asked["until"], later_days=1),
        before_id=whole_number(query.get("before", "")),
    )
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
        "filtered": bool(filters),
        "problems": problems or {},
    }
    return people_page(request, "history", context, status=409 if problems else 200)


def _undo(request: Request) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            entry = history.find(change.session, number, request.path_params["entry_id"])
            history.undo(change, visit_of(request).person, entry)
    except KilowatchError as error:
        if error.code == "gives_too_much":
            return _listing(request, {"": f"{error.detail} {error.remedy}"})
        return _listing(request, {"": next(iter(problems_of(error).values()))})
    rooms.registry.directory(fresh=True)
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
    Door(_HOME + "/{entry_id:number}/undo", undo, _ADMIN, ("POST",), tool="admin"),
)
