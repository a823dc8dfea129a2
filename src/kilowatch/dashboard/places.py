"""Which data points a page over many of them is about: those of a tool, a place, a search."""

from __future__ import annotations

from starlette.requests import Request

from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.points import DataPoint


def readable(request: Request, tool: str) -> list[DataPoint]:
    """Return what the person may read where their plan has a tool."""
    rooms, who = rooms_of(request), visit_of(request).person
    with_tool = {number for number in who.standings if has_tool(who, tool, number)}
    return [p for p in rooms.registry.readable(who) if p.organisation_id in with_tool]


def in_place(points: list[DataPoint], place: str) -> list[DataPoint]:
    """Return the data points of ``o7`` (an organisation) or ``s2`` (a site); all for ""."""
    kind, number = place[:1], whole_number(place[1:])
    if kind == "o":
        return [p for p in points if p.organisation_id == number]
    if kind == "s":
        return [p for p in points if p.site_id == number]
    return points


def chosen_points(
    request: Request, points: list[DataPoint], asked: dict[str, str]
) -> list[DataPoint]:
    """Return the data points of the ``place`` that have the words of the search ``q``."""
    points = in_place(points, asked["place"])
    words = asked["q"].casefold().split()
    if words:
        names = site_names(request)
        points = [
            p
            for p in points
            for text in (f"{p.name} {p.stream_id} {' '.join(names.get(p.site_id, ()))}".casefold(),)
            if all(word in text for word in words)
        ]
    return points


def site_names(request: Request) -> dict[int, tuple[str, str]]:
    """Return site and organisation by the site's number."""
    tree = rooms_of(request).registry.tree(visit_of(request).person)
    return {site.id: (site.name, owner.name) for owner in tree for site in owner.sites}


def places_of(
    request: Request, points: list[DataPoint], *, whole: bool = False
) -> list[tuple[str, str]]:
    """Return organisations and sites to choose from, as value and text.

    Args:
        request: Behind a door.
        points: What the person may read.
        whole: Whether an organisation can be chosen where there is only one, too.
    """
    mine = {p.organisation_id for p in points}
    tree = [o for o in rooms_of(request).registry.tree(visit_of(request).person) if o.id in mine]
    found = []
    for owner in tree:
        before = ""
        if len(tree) > 1 or (whole and len(owner.sites) > 1):
            found.append((f"o{owner.id}", owner.name))
        if len(tree) > 1:
            before = f"{owner.name} \N{EM DASH} "
        found += [(f"s{site.id}", f"{before}{site.name}") for site in owner.sites]
    return found


def sites_of(
    request: Request, points: list[DataPoint], wanted: str
) -> tuple[str, list[tuple[str, str]]]:
    """Return the chosen site and those to choose from, as value and text.

    Without a choice it is the first site with data: nobody lands on an empty one while another
    has something to show.

    Args:
        request: Behind a door.
        points: What the person may read.
        wanted: ``s2``, or anything else for none.
    """
    sites = [one for one in places_of(request, points) if one[0].startswith("s")]
    if wanted in dict(sites):
        return wanted, sites
    seen = rooms_of(request).view.last_seen([point.series for point in points])
    with_data = {f"s{p.site_id}" for p in points if p.series in seen}
    first = sites[0][0] if sites else ""
    return next((one for one, _ in sites if one in with_data), first), sites
