"""Admin, plans: a table of which tools each plan has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import giving, plans
from kilowatch.catalog.tables import Membership
from kilowatch.catalog.tools import FULL, TOOLS
from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.asking import actor_of, problems_of, text
from kilowatch.dashboard.people_shared import organisation_id_of, people_page
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.errors import KilowatchError


async def listing(request: Request) -> Response:
    """Show the plans with their tools."""
    return await run_in_threadpool(_listing, request)


async def create(request: Request) -> Response:
    """Add a plan."""
    return await run_in_threadpool(_create, request, await request.form())


async def change(request: Request) -> Response:
    """Change a plan, or remove it."""
    return await run_in_threadpool(_change, request, await request.form())


def _listing(
    request: Request,
    problems: dict[str, str] | None = None,
    wrong: int | None = None,
    fields: dict[str, Any] | None = None,
) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.reading() as session:
        counted = select(Membership.plan_id, func.count()).where(
            Membership.organisation_id == number
        )
        counts = {row[0]: row[1] for row in session.execute(counted.group_by(Membership.plan_id))}
        rows = [
            {
                "id": plan.id,
                "name": plan.name,
                "tools": set(plan.tools.split()),
                "people": counts.get(plan.id, 0),
            }
            for plan in plans.plans(session, number)
        ]
    rows.append({"id": 0, "name": "", "tools": set(), "people": 0})
    for row in rows:
        if fields is not None and row["id"] == wrong:
            row.update(fields)
    context = {
        "rows": rows,
        "full": FULL,
        "full_people": counts.get(None, 0),
        "tools": TOOLS,
        "problems": problems or {},
        "wrong": wrong,
    }
    return people_page(request, "plans", context, status=422 if problems else 200)


def _create(request: Request, form: FormData) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    name, tools = text(form, "name"), {str(one) for one in form.getlist("tool")}
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change_:
            giving.check_tools(visit_of(request).person, number, frozenset(tools))
            plans.add(change_, number, name, tools)
    except KilowatchError as error:
        return _listing(request, _beside(error), 0, {"name": name, "tools": tools})
    return RedirectResponse(f"/organization/{number}/plans?said=saved", status_code=303)


def _change(request: Request, form: FormData) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    plan_id = request.path_params["plan_id"]
    name, tools = text(form, "name"), {str(one) for one in form.getlist("tool")}
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change_:
            plan = plans.find(change_.session, number, plan_id)
            if plan is None:
                raise not_found()
            if text(form, "do") == "delete":
                plans.remove(change_, plan)
            else:
                added = frozenset(tools) - frozenset(plan.tools.split())
                giving.check_tools(visit_of(request).person, number, added)
                plans.alter(change_, plan, name, tools)
                giving.still_administered(change_.session, number)
    except KilowatchError as error:
        return _listing(request, _beside(error), plan_id, {"name": name, "tools": tools})
    return RedirectResponse(f"/organization/{number}/plans?said=saved", status_code=303)


def _beside(error: KilowatchError) -> dict[str, str]:
    if error.code == "gives_too_much":
        return {"": f"{error.detail} {error.remedy}"}
    return problems_of(error)


_ADMIN = Access.ADMINISTER_ORGANISATION
_HOME = "/organization/{organisation_id:number}/plans"

DOORS: tuple[Door, ...] = (
    Door(_HOME, listing, _ADMIN, tool="admin"),
    Door(_HOME, create, _ADMIN, ("POST",), tool="admin"),
    Door(_HOME + "/{plan_id:number}", change, _ADMIN, ("POST",), tool="admin"),
)
