"""Data quality of one data point: gaps, findings to decide, totals with what they rest on, history.

The panels are fetched again while figures are being computed, and when a packet came.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality import calendar_of
from kilowatch.dashboard.quality_figures import SHARE_NAMES
from kilowatch.dashboard.quality_findings import findings, gaps
from kilowatch.dashboard.quality_history import history_of
from kilowatch.dashboard.quality_periods import Hrefs, chosen
from kilowatch.dashboard.quality_totals import intervals, totals, totals_file
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

APPLIED = (
    "accept", "confirm", "comment", "fill", "spread", "edit", "exchange", "reset", "roll_over",
    "bad", "rules", "undone",
)  # fmt: skip
"""What a page can be told to say that it has done."""


async def quality(request: Request) -> Response:
    """Show a data point's quality."""
    return await run_in_threadpool(_quality, request)


async def panels(request: Request) -> Response:
    """Answer the parts that change again."""
    return await run_in_threadpool(_panels, request)


def crumbs_to(request: Request, last: str = "") -> list[dict[str, str]]:
    """Return the way to a data point's quality, or to a form below it."""
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    crumbs = crumbs_of(rooms, visit.person, point)
    shown = has_tool(visit.person, "breakdown", point.organisation_id)
    crumbs[-1] = {"name": point.name, "href": f"/breakdown/{point.id}" if shown else ""}
    if not last:
        return [*crumbs, {"name": t("nav.quality")}]
    return [*crumbs, {"name": t("nav.quality"), "href": f"/quality/{point.id}"}, {"name": last}]


def _quality(request: Request) -> Response:
    point = point_of(request)
    context = {
        "page": "quality",
        "applied": _applied(request),
        "point": point,
        **_context(request),
    }
    return page(
        request, "quality_point.html", crumbs_to(request), context, current=f"point-{point.id}"
    )


def _panels(request: Request) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    context = {"point": point, "static": rooms.static, "csrf": visit.csrf, **_context(request)}
    return rooms.templates.TemplateResponse(request, "quality_panels.html", context)


def _applied(request: Request) -> str:
    word = request.query_params.get("applied", "")
    return t(f"applied.{word}") if word in APPLIED else ""


def _context(request: Request) -> dict[str, Any]:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    today = local_day(rooms.clock(), point.zone)
    asked = {name: request.query_params.get(name, "")[:20] for name in ("year", "month", "day")}
    period = chosen(asked, today)
    query = {name: word for name, word in asked.items() if word}

    def href(anchor: str = "", **changes: str) -> str:
        text = urlencode({name: word for name, word in {**query, **changes}.items() if word})
        return f"/quality/{point.id}{'?' if text else ''}{text}{anchor}"

    hrefs = Hrefs(
        lambda number: href(month=str(number), day=""),
        lambda day: href("#gaps", day=day.isoformat(), year=str(day.year)),
    )
    manages = may_point(visit.person, "manage", point)
    acts = may_point(visit.person, "act", point)
    context: dict[str, Any] = {
        "period": period,
        "href": href,
        "query": urlencode(query),
        "today": today,
        "years": (str(period.year - 1), str(period.year + 1) if period.year < today.year else ""),
        "manages": manages,
        "acts": acts,
        "share_names": SHARE_NAMES,
        "share_words": {name: t(f"share.{name}") for name in SHARE_NAMES},
        "now_ms": rooms.clock(),
        "history": history_of(rooms, point, visit.person, manages=manages, acts=acts),
        "findings": [],
        "totals": None,
        "totals_file": "",
        "intervals": None,
        "status": None,
        "settling": False,
        "busy": "",
    }
    try:
        extent = rooms.view.extent(point)
        context |= {
            "extent": extent,
            "calendar": calendar_of(rooms, [point], period, today, hrefs),
            "gaps": gaps(request, point, period, manages=manages, acts=acts),
            "status": rooms.view.status(point),
            "settling": not rooms.view.is_current(point),
        }
        context["findings"] = findings(rooms, point, period, manages=manages, acts=acts)
        if extent is not None:
            context["totals"] = totals(request, point, period)
            context["totals_file"] = totals_file(request, point, period)
            context["intervals"] = intervals(request, point, period) if period.day else None
    except KilowatchError as error:
        if error.status != 503:
            raise
        context["busy"] = f"{error.detail} {error.remedy}".strip()
        context.setdefault("calendar", None)
        context.setdefault("gaps", None)
        context.setdefault("extent", None)
    return context


def done(request: Request, about_ms: int, word: str) -> Response:
    """Lead back to a data point's quality, which says what was applied.

    Args:
        request: What applied it.
        about_ms: Where the figures begin that it concerns: the page opens at that month.
        word: One of ``APPLIED``.
    """
    rooms, point = rooms_of(request), point_of(request)
    rooms.registry.directory(fresh=True)
    day = local_day(about_ms, point.zone)
    about = urlencode({"year": day.year, "month": day.month, "applied": word})
    return RedirectResponse(f"/quality/{point.id}?{about}", status_code=303)


DOORS: tuple[Door, ...] = (
    Door("/quality/{point_id:number}", quality, Access.READ_POINT, tool="data_quality"),
    Door("/quality/{point_id:number}/panels", panels, Access.READ_POINT, tool="data_quality"),
)
