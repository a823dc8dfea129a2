"""The frame of every page: the tree, the way to where we are, who is logged in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import Person, has_tool, may, may_anywhere
from kilowatch.catalog.tree import OrganisationNode, SiteNode
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.help import help_of
from kilowatch.dashboard.readers import reader_of
from kilowatch.dashboard.rooms import Rooms, Visit, rooms_of, visit_of
from kilowatch.dashboard.treeview import Branching, branches
from kilowatch.dashboard.words import locale, words_json
from kilowatch.model.points import DataPoint


def page(
    request: Request,
    template: str,
    crumbs: list[dict[str, str]],
    context: dict[str, Any],
    *,
    current: str = "",
    status: int = 200,
) -> Response:
    """Render a page in the frame. Blocks on the catalogue: call it in a thread.

    Args:
        request: A request behind a door that asked for a log-in.
        template: Name of the page's template.
        crumbs: The way to this page, each with ``name`` and perhaps ``href``.
        context: What the page itself shows; ``point`` adds freshness.
        current: Key of the node in the tree that is shown (``point-7``, ``site-2``).
        status: HTTP status.
    """
    rooms, visit = rooms_of(request), visit_of(request)
    now_ms = rooms.clock()
    frame = {
        "locale": visit.person.reading.locale or locale(request.headers.get("accept-language", "")),
        "reading": visit.person.reading,
        "static": rooms.static,
        "words_json": words_json(),
        "now_ms": now_ms,
        "csrf": visit.csrf,
        "current": current,
        "crumbs": crumbs,
        "help": help_of(template),
        "person": {
            "name": visit.person.name,
            "email": visit.person.email,
            "registers": may_anywhere(visit.person, "manage") and has_tool(visit.person, "admin"),
            "imports": may_anywhere(visit.person, "manage") and has_tool(visit.person, "import"),
            "exports": may_anywhere(visit.person, "export") and has_tool(visit.person, "export"),
            "administers": may_anywhere(visit.person, "administer")
            and has_tool(visit.person, "admin"),
        },
        "uses": tool_test(visit),
        "alerts_waiting": rooms.desk.waiting(reader_of(rooms, visit.person)),
        "estate_pages": _sections(visit, rooms, str(context.get("page", ""))),
        "point": None,
        "freshness": None,
        "inside": False,
        "searching": False,
        "tree": tree_of(rooms, visit.person, now_ms, Branching(current=current)),
    }
    point = context.get("point")
    if isinstance(point, DataPoint):
        frame["freshness"] = freshness(rooms, point, now_ms)
    return rooms.templates.TemplateResponse(
        request, template, {**frame, **context}, status_code=status
    )


PAGES: tuple[tuple[str, str, str], ...] = (
    ("home", "/", "home"),
    ("sentinel", "/sentinel", "eye"),
    ("waste", "/waste", "waste"),
    ("forecast", "/forecast", "forecast"),
    ("energy_flow", "/flow", "flow"),
    ("compare", "/compare", "compare"),
)
"""Pages of the whole estate: key, address and icon. All but the first are tools of a plan."""

WITHOUT_INSIGHTS = frozenset({"energy_flow", "compare"})
"""Those that are there where nobody looks for insights too."""


def _sections(visit: Visit, rooms: Rooms, current: str) -> list[dict[str, Any]]:
    """Return the pages of the estate that a person has, without insights only those of sums."""
    return [
        {"key": key, "href": href, "icon": icon, "current": key == current}
        for key, href, icon in PAGES
        if (key == "home" or has_tool(visit.person, key))
        and (rooms.insights is not None or key in WITHOUT_INSIGHTS)
    ]


def tool_test(visit: Visit) -> Callable[[str], bool]:
    """Return how a template asks whether a tool is in the person's plan, where they are."""
    point = visit.point
    here = point.organisation_id if point is not None else visit.organisation_id
    return lambda tool: has_tool(visit.person, tool, here)


def tree_of(rooms: Rooms, who: Person, now_ms: int, branching: Branching) -> list[dict[str, Any]]:
    """Return the tree as the template draws it."""
    judge = Judge(rooms.view, rooms.settings, now_ms)
    directory, last_of = rooms.registry.directory(), rooms.view.last_values

    def opens(organisation_id: int, site_id: int) -> bool:
        return has_tool(who, "breakdown", organisation_id) and may(
            who, "read", organisation_id=organisation_id, site_id=site_id
        )

    return branches(rooms.registry.tree(who), directory, last_of, judge, branching, opens)


def freshness(rooms: Rooms, point: DataPoint, now_ms: int) -> dict[str, Any]:
    """Return how fresh a data point is, for the bar on top."""
    judge = Judge(rooms.view, rooms.settings, now_ms)
    found = judge.of([point])[point.series]
    return {"series": point.series, "fresh": found, "stamp": judge.stamp(point, found)}


def crumbs_of(rooms: Rooms, who: Person, point: DataPoint) -> list[dict[str, str]]:
    """Return organisation, site and data point, as the way to its page."""
    organisation, site = place_of(rooms.registry.tree(who), point)
    found = []
    if organisation is not None:
        found.append({"name": organisation.name, "href": f"/organization/{organisation.id}"})
    if site is not None:
        found.append({"name": site.name, "href": f"/site/{site.id}"})
    return [*found, {"name": point.name}]


def place_of(
    organisations: list[OrganisationNode], point: DataPoint
) -> tuple[OrganisationNode | None, SiteNode | None]:
    """Return the organisation and the site that a data point hangs under."""
    for organisation in organisations:
        if organisation.id == point.organisation_id:
            sites = [site for site in organisation.sites if site.id == point.site_id]
            return organisation, sites[0] if sites else None
    return None, None
