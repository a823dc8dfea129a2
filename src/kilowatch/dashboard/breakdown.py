"""Breakdown: the frame of the graph, and the overview of a site or an organisation."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import Person, has_tool, may
from kilowatch.catalog.tree import OrganisationNode, SiteNode
from kilowatch.dashboard.access import not_found
from kilowatch.dashboard.attributes import latest_text
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.curl import curl_line
from kilowatch.dashboard.first_view import first_view
from kilowatch.dashboard.hourly import has_hours, unit_of_amount
from kilowatch.dashboard.measures import shown
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import PERIODS
from kilowatch.dashboard.pricing import CANONICAL
from kilowatch.dashboard.registry import may_export, may_point
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page, tool_test, tree_of
from kilowatch.dashboard.today import today_of
from kilowatch.dashboard.treeview import Branching, leaves_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint

GRAPH_PACKETS = 2  # fewer make no graph
CARDS_MAX = 60  # data points on one overview; a larger site is walked through its tree


async def breakdown(request: Request) -> Response:
    """Show the frame; what is in it comes from ``/data/series``."""
    return await run_in_threadpool(_breakdown, request)


async def site(request: Request) -> Response:
    """Show the data points of a site with their last values and today's figures."""
    return await run_in_threadpool(_overview, request, "site")


async def organization(request: Request) -> Response:
    """Show the data points of an organisation."""
    return await run_in_threadpool(_overview, request, "organization")


async def tree(request: Request) -> Response:
    """Answer the tree again: what a search found, or the inside of one branch."""
    return await run_in_threadpool(_tree, request)


async def today(request: Request) -> Response:
    """Answer today's totals and shapes for the cards of an overview."""
    body = await run_in_threadpool(_today, request)
    return Response(msgspec.json.encode(body), media_type="application/json")


def _breakdown(request: Request) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    wanted = request.query_params.get("period", "day")
    packets, last_ms = _come(rooms, point)
    context = {
        "page": "breakdown",
        "point": point,
        "periods": PERIODS,
        "period": wanted if wanted in PERIODS else "day",
        "first": first_view(
            f"/data/series?point={point.id}&",
            request.query_params,
            point,
            last_ms,
            rooms.clock(),
        ),
        "packets": packets,
        "curl": curl_line(
            point,
            rooms.settings,
            rooms.clock(),
            latest=latest_text(rooms.log.head(point.series)),
        ),
        "counts_in": _counts_in(rooms, point),
        "price_href": f"/admin/sites/{point.site_id}/prices"
        if _manages(visit.person, point)
        else "",
        "looked": rooms.insights is not None and has_hours(point),
        "overlays": _overlays(rooms, visit.person, point),
        "comments": may_point(visit.person, "comment", point),
        "exports": may_export(visit.person, point),
    }
    crumbs = crumbs_of(rooms, visit.person, point)
    return page(request, "breakdown.html", crumbs, context, current=f"point-{point.id}")


def _counts_in(rooms: Rooms, point: DataPoint) -> list[tuple[str, str]]:
    """Return what amounts can be counted in, as word and text; nothing for what has no price."""
    unit = unit_of_amount(point)
    if unit not in CANONICAL:
        return []
    facts = rooms.registry.facts().get(point.site_id)
    currency = facts.currency if facts is not None and facts.currency else t("worth.money")
    amount = "kWh" if unit == "Wh" else "m³"
    return [("energy", amount), ("money", currency), ("co2", t("worth.co2"))]


def _manages(who: Person, point: DataPoint) -> bool:
    return may_point(who, "manage", point) and has_tool(who, "admin", point.organisation_id)


def _come(rooms: Rooms, point: DataPoint) -> tuple[int, int | None]:
    """Return how many packets have come, and the newest one's time: the frame keeps their place."""
    try:
        extent = rooms.view.extent(point)
    except KilowatchError:
        return GRAPH_PACKETS, None  # the store opens: mostly there are some
    return (extent.packets, extent.last_ms) if extent is not None else (0, None)


def _overlays(rooms: Rooms, who: Person, point: DataPoint) -> list[str]:
    """Return the overlays that there are, and that a person's plan has."""
    looked = rooms.insights is not None and has_hours(point)
    return overlays_of(who, point.organisation_id, looked=looked)


def overlays_of(who: Person, organisation_id: int, *, looked: bool) -> list[str]:
    """Return the overlays of a graph; those of insights where it is looked at, and by the plan."""
    always = ["gap", "comment"]
    if not looked:
        return always
    tools = {"expected": "breakdown", "forecast": "forecast", "anomaly": "sentinel"}
    tools["waste"] = "sentinel"
    mine = [name for name, tool in tools.items() if has_tool(who, tool, organisation_id)]
    return [*mine, *always]


def _overview(request: Request, kind: str) -> Response:
    rooms = rooms_of(request)
    organisation, place = _find(rooms, request, kind)
    points = _points(rooms, place)
    now_ms = rooms.clock()
    last = rooms.view.last_values(points[:CARDS_MAX])
    judge = Judge(rooms.view, rooms.settings, now_ms)
    cards: dict[int, list[dict[str, Any]]] = {}
    for point in points[:CARDS_MAX]:
        found = last.get(point.series)
        fresh = judge.one(point, found)
        cards.setdefault(point.site_id, []).append(
            {
                "point": point,
                "value": found.value if found else None,
                "unit": found.unit if found else "",
                "text": shown(found.value, found.unit) if found else "",
                "fresh": fresh,
                "state": fresh.state,
            }
        )
    crumbs = [{"name": organisation.name, "href": f"/organization/{organisation.id}"}]
    if isinstance(place, SiteNode):
        crumbs.append({"name": place.name})
    context = {
        "page": "overview",
        "place": place,
        "kind": kind,
        "stacked": kind == "site"
        and has_tool(visit_of(request).person, "breakdown", organisation.id)
        and may(
            visit_of(request).person, "read", organisation_id=organisation.id, site_id=place.id
        ),
        "groups": [(one, cards[one.id]) for one in _sites(place) if one.id in cards],
        "more": max(0, len(points) - CARDS_MAX),
    }
    return page(request, "overview.html", crumbs, context, current=f"{kind}-{place.id}")


def _today(request: Request) -> dict[str, Any]:
    rooms, visit = rooms_of(request), visit_of(request)
    text = request.query_params.get("points", "")
    numbers = [whole_number(part) for part in text.split(",")[:CARDS_MAX]]
    points = [
        p
        for number in numbers
        if number is not None and (p := rooms.registry.point(visit.person, number))
    ]
    return {"points": today_of(rooms.view, points, rooms.clock())}


def _tree(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    query = request.query_params
    wanted = Branching(
        current=query.get("current", "")[:40],
        search=query.get("q", "").strip()[:100],
        branch=query.get("branch", "")[:40],
    )
    context = {
        "tree": tree_of(rooms, visit.person, rooms.clock(), wanted),
        "current": wanted.current,
        "inside": bool(wanted.branch),
        "searching": bool(wanted.search),
        "uses": tool_test(visit),
    }
    return rooms.templates.TemplateResponse(request, "tree.html", context)


def _find(
    rooms: Rooms, request: Request, kind: str
) -> tuple[OrganisationNode, OrganisationNode | SiteNode]:
    number = request.path_params["number"]
    for organisation in rooms.registry.tree(visit_of(request).person):
        if kind == "organization" and organisation.id == number:
            return organisation, organisation
        for one in organisation.sites:
            if kind == "site" and one.id == number:
                return organisation, one
    raise not_found()


def _sites(place: OrganisationNode | SiteNode) -> list[SiteNode]:
    return place.sites if isinstance(place, OrganisationNode) else [place]


def _points(rooms: Rooms, place: OrganisationNode | SiteNode) -> list[DataPoint]:
    directory = rooms.registry.directory()
    return [p for leaf in leaves_of(place) if (p := directory.by_id(leaf.id)) is not None]
