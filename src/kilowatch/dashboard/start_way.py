"""How far a new installation is: which steps of the first hour have really happened.

Nothing is remembered: each step is read off the catalogue and the log, so that whoever comes back
after a week, or has done half of it on the command line, goes on where things stand.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from starlette.requests import Request

from kilowatch.catalog.rights import has_tool, may, may_anywhere
from kilowatch.catalog.tables import Credential
from kilowatch.catalog.tree import OrganisationNode, SiteNode
from kilowatch.dashboard.admin_frame import organisations_for
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.security import cookie_name
from kilowatch.log.records import Counters
from kilowatch.model.points import DataPoint

STEPS = ("organization", "site", "data_point", "credential", "packet", "graph")
"""In the order in which they can be done."""
LATER_COOKIE = "kilowatch-start-later"
POINTS_LOOKED_AT = 50
"""Who has registered more than this has left the first hour behind."""
PACKETS_OF_A_GRAPH = 2


@dataclass(frozen=True, slots=True)
class Way:
    """Where an organisation stands on its way to the first graph.

    Attributes:
        organisation: The one that is set up; None where the person manages none as a whole.
        site: The first one, or that of ``point``.
        point: What the first packet is for.
        username: Of a credential that reaches it; empty for none.
        administers: Whether the person may issue credentials.
        accepted: Packets that were taken for ``point``.
        refused: Packets of ``point`` that were refused.
        discarded: Packets of ``point`` that were not after its latest.
    """

    organisation: OrganisationNode | None
    site: SiteNode | None
    point: DataPoint | None
    username: str
    administers: bool
    accepted: int
    refused: int
    discarded: int = 0

    @property
    def done(self) -> dict[str, bool]:
        """Tell for each step whether it has happened."""
        arrived = self.accepted > 0
        return {
            "organization": self.organisation is not None,
            "site": self.site is not None,
            "data_point": self.point is not None,
            "credential": bool(self.username) or arrived,
            "packet": arrived,
            "graph": self.accepted >= PACKETS_OF_A_GRAPH,
        }

    @property
    def current(self) -> str:
        """Return the first step that has not happened; empty when all have."""
        return next((step for step, done in self.done.items() if not done), "")


def way_of(request: Request, point_id: int | None = None) -> Way:
    """Return how far an organisation is. Blocks on the catalogue.

    Query: ``point`` or ``organization`` choose, where there are several; so does a path that
    names an organisation or a site.

    Args:
        request: A request behind a door that asked for a log-in.
        point_id: The data point, where a form names it.
    """
    rooms, visit = rooms_of(request), visit_of(request)
    who = visit.person
    nodes = organisations_for(request, "manage")
    asked = point_id or whole_number(request.query_params.get("point", "")) or 0
    point = rooms.registry.point(who, asked)
    wanted = whole_number(request.query_params.get("organization", "")) or 0
    owner = point.organisation_id if point is not None else visit.organisation_id or wanted
    node = next((one for one in nodes if one.id == owner), nodes[0] if nodes else None)
    if node is None:
        return Way(None, None, None, "", administers=False, accepted=0, refused=0)
    if point is None or point.organisation_id != node.id:
        point = _first_point(rooms, request, node)
    site_id = point.site_id if point is not None else None
    site = next((s for s in node.sites if s.id == site_id), node.sites[0] if node.sites else None)
    counted = Counters()
    if point is not None:
        counted = rooms.log.counters([point.series]).get(point.series, Counters())
    return Way(
        node,
        site,
        point,
        _username(rooms, node.id, point),
        administers=may(who, "administer", organisation_id=node.id),
        accepted=counted.accepted + counted.backfilled,
        refused=counted.refused,
        discarded=counted.discarded,
    )


def first_hour(request: Request) -> bool:
    """Tell whether somebody who opens the first page is led through the first hour instead.

    That is who may set things up, where nothing has ever arrived, until they say "later".
    """
    rooms, who = rooms_of(request), visit_of(request).person
    said_later = cookie_name(request, rooms.settings, LATER_COOKIE) in request.cookies
    if said_later or not may_anywhere(who, "manage") or not has_tool(who, "admin"):
        return False
    points = rooms.registry.readable(who)
    if len(points) > POINTS_LOOKED_AT:
        return False
    series = [point.series for point in points]
    if rooms.view.last_seen(series):
        return False
    return not any(one.accepted or one.backfilled for one in rooms.log.counters(series).values())


def _first_point(rooms: Rooms, request: Request, node: OrganisationNode) -> DataPoint | None:
    """Return the data point that has data, or else the first that was registered."""
    mine = [
        p for p in rooms.registry.readable(visit_of(request).person) if p.organisation_id == node.id
    ]
    seen = rooms.view.last_seen([p.series for p in mine])
    return min(mine, key=lambda p: (p.series not in seen, p.id), default=None)


def _username(rooms: Rooms, organisation_id: int, point: DataPoint | None) -> str:
    """Return the newest credential of this environment that reaches a data point, or ""."""
    if point is None:
        return ""
    mine = select(Credential.username).where(
        Credential.organisation_id == organisation_id,
        Credential.environment == rooms.settings.environment,
        Credential.revoked_at_ms.is_(None),
    )
    with rooms.registry.catalog.reading() as session:
        names = list(session.scalars(mine.order_by(Credential.id.desc()).limit(POINTS_LOOKED_AT)))
    directory = rooms.registry.directory()
    for name in names:
        record = directory.credential(name)
        if record is not None and record.allowed(point):
            return name
    return ""
