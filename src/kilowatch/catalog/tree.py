"""The tree on the left of every page: organisation, site, meter, appliance, data point.

It holds what a person may see and nothing else; an organisation without anything visible is
there only for those who belong to all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import rights
from kilowatch.catalog.streams import Streams
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Organisation, Site
from kilowatch.model.points import DataPoint as Point


@dataclass(slots=True)
class Leaf:
    """A data point; its settings are in ``Directory.by_id``."""

    id: int
    stream_id: str
    name: str
    utility: str
    unit: str
    parent_id: int | None


@dataclass(slots=True)
class ApplianceNode:
    """A channel of a meter."""

    id: int
    name: str
    points: list[Leaf] = field(default_factory=list)


@dataclass(slots=True)
class MeterNode:
    """A meter with its own data points and its appliances."""

    id: int
    name: str
    parent_id: int | None
    points: list[Leaf] = field(default_factory=list)
    appliances: list[ApplianceNode] = field(default_factory=list)


@dataclass(slots=True)
class SiteNode:
    """A site with its meters."""

    id: int
    name: str
    zone: str
    meters: list[MeterNode] = field(default_factory=list)
    _leaves: list[Leaf] | None = field(default=None, init=False, repr=False, compare=False)
    _points: tuple[Streams, list[Point]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def leaves(self) -> list[Leaf]:
        """Return every data point of the site; kept, since a tree is asked for at each page."""
        if self._leaves is None:
            self._leaves = [
                leaf
                for meter in self.meters
                for leaves in (meter.points, *(one.points for one in meter.appliances))
                for leaf in leaves
            ]
        return self._leaves

    def points(self, streams: Streams) -> list[Point]:
        """Return the settings of every data point of the site; kept until data points change."""
        kept = self._points
        if kept is None or kept[0] is not streams:
            by_id = streams.by_id
            found = [point for leaf in self.leaves() if (point := by_id(leaf.id)) is not None]
            kept = self._points = (streams, found)
        return kept[1]


@dataclass(slots=True)
class OrganisationNode:
    """An organisation with its sites."""

    id: int
    name: str
    live: bool
    demo: bool
    sites: list[SiteNode] = field(default_factory=list)


def tree(session: Session, who: rights.Person) -> list[OrganisationNode]:
    """Return what a person may see, in the order of names; 10,000 data points take 0.1 s."""
    organisations = {
        row.id: OrganisationNode(row.id, row.name, row.live_at_ms is not None, row.demo)
        for row in session.scalars(
            select(Organisation)
            .where(Organisation.id.in_(who.standings))
            .order_by(Organisation.name_key)
        )
    }
    sites = _sites(session, organisations)
    meters = _meters(session, organisations, sites)
    _hang_data_points(session, who, organisations, meters)
    for organisation in organisations.values():
        if not who.standings[organisation.id].whole:
            _prune(organisation, who.sites)
    return [o for o in organisations.values() if o.sites or who.standings[o.id].whole]


def _sites(session: Session, organisations: dict[int, OrganisationNode]) -> dict[int, SiteNode]:
    statement = select(Site.id, Site.organisation_id, Site.name, Site.zone)
    nodes: dict[int, SiteNode] = {}
    ours = statement.where(Site.organisation_id.in_(organisations)).order_by(Site.name, Site.id)
    for number, organisation_id, name, zone in session.execute(ours):
        nodes[number] = SiteNode(number, name, zone)
        organisations[organisation_id].sites.append(nodes[number])
    return nodes


def _meters(
    session: Session, organisations: dict[int, OrganisationNode], sites: dict[int, SiteNode]
) -> dict[int, MeterNode]:
    nodes: dict[int, MeterNode] = {}
    ours = (
        select(Meter.id, Meter.site_id, Meter.name, Meter.parent_id)
        .where(Meter.organisation_id.in_(organisations))
        .order_by(Meter.name, Meter.id)
    )
    for number, site_id, name, parent_id in session.execute(ours):
        nodes[number] = MeterNode(number, name, parent_id)
        sites[site_id].meters.append(nodes[number])
    appliances = (
        select(Appliance.id, Appliance.meter_id, Appliance.name)
        .where(Appliance.organisation_id.in_(organisations))
        .order_by(Appliance.name, Appliance.id)
    )
    for number, meter_id, name in session.execute(appliances):
        nodes[meter_id].appliances.append(ApplianceNode(number, name))
    return nodes


def _hang_data_points(
    session: Session,
    who: rights.Person,
    organisations: dict[int, OrganisationNode],
    meters: dict[int, MeterNode],
) -> None:
    appliances = {a.id: a for meter in meters.values() for a in meter.appliances}
    statement = (
        select(
            DataPoint.id, DataPoint.stream_id, DataPoint.name, DataPoint.utility, DataPoint.unit,
            DataPoint.parent_id, DataPoint.organisation_id, DataPoint.site_id, DataPoint.meter_id,
            DataPoint.appliance_id,
        )
        .where(DataPoint.organisation_id.in_(organisations))
        .order_by(DataPoint.name, DataPoint.id)
    )  # fmt: skip
    for *leaf, organisation_id, site_id, meter_id, appliance_id in session.execute(statement):
        if not rights.may(
            who, "read", organisation_id=organisation_id, site_id=site_id, data_point_id=leaf[0]
        ):
            continue
        place = meters[meter_id] if appliance_id is None else appliances[appliance_id]
        place.points.append(Leaf(*leaf))


def _prune(organisation: OrganisationNode, granted_sites: frozenset[int]) -> None:
    for site in organisation.sites:
        if site.id in granted_sites:
            continue
        for meter in site.meters:
            meter.appliances = [a for a in meter.appliances if a.points]
        site.meters = [m for m in site.meters if m.points or m.appliances]
    organisation.sites = [s for s in organisation.sites if s.meters or s.id in granted_sites]
