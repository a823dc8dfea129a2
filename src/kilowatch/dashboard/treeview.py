"""The tree as it is drawn: branches open where we are, far ones fetched when they are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from kilowatch.catalog.directory import Directory
from kilowatch.catalog.tree import Leaf, MeterNode, OrganisationNode, SiteNode
from kilowatch.dashboard.contact import Freshness, Judge
from kilowatch.dashboard.measures import shown
from kilowatch.dashboard.needs import LastValue
from kilowatch.dashboard.numbers import whole_number
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import amount_of

DRAWN_AT_ONCE = 150  # data points; a larger tree fetches the branches that are opened
FOUND_MAX = 100

Node = dict[str, Any]
LastOf = Callable[[list[DataPoint]], Mapping[int, LastValue]]
Opens = Callable[[int, int], bool]
"""Whether the person has Breakdown of a whole site, by organisation and site."""


@dataclass(frozen=True, slots=True)
class Branching:
    """What of the tree is wanted.

    Attributes:
        current: Key of the node that is shown on the page.
        search: Only data points whose name, id or site has these words.
        branch: Only what is below this node.
    """

    current: str = ""
    search: str = ""
    branch: str = ""


def branches(
    organisations: list[OrganisationNode],
    directory: Directory,
    last_of: LastOf,
    judge: Judge,
    wanted: Branching,
    opens: Opens = lambda _organisation, _site: False,
) -> list[Node]:
    """Return the nodes to draw.

    Args:
        organisations: What the person may see.
        directory: Settings of the data points.
        last_of: Looks up last values by series, for what is drawn.
        judge: Says which are late.
        wanted: Which part of the tree.
        opens: Of which sites meters lead to their Breakdown.
    """
    if wanted.search:
        organisations = _matching(organisations, wanted.search)
    elif wanted.branch.startswith("site-"):
        organisations = _only(organisations, wanted.branch)
    count = sum(len(site.leaves()) for one in organisations for site in one.sites)
    everything = bool(wanted.search) or count <= DRAWN_AT_ONCE
    drawer = _Drawer(directory, last_of, judge, wanted, everything, opens)
    nodes = [drawer.organisation(node, alone=len(organisations) == 1) for node in organisations]
    return _below(nodes, wanted.branch) if wanted.branch else nodes


def leaves_of(node: OrganisationNode | SiteNode | MeterNode) -> Iterable[Leaf]:
    """Yield every data point below a node."""
    if isinstance(node, OrganisationNode):
        for site in node.sites:
            yield from site.leaves()
    elif isinstance(node, SiteNode):
        yield from node.leaves()
    else:
        yield from node.points
        for appliance in node.appliances:
            yield from appliance.points


@dataclass
class _Drawer:
    directory: Directory
    last_of: LastOf
    judge: Judge
    wanted: Branching
    everything: bool
    opens: Opens
    last: Mapping[int, LastValue] = field(default_factory=dict)
    meter_page: str = ""

    def organisation(self, node: OrganisationNode, *, alone: bool) -> Node:
        children = [self.site(site, node.id) for site in node.sites]
        inside = any(child["holds_current"] for child in children)
        return self._branch(
            "organization", node.id, node.name, children, opened=alone or inside or self._searching
        )

    def site(self, node: SiteNode, organisation_id: int) -> Node:
        points = node.points(self.directory.streams)
        wanted_id, wanted_key = self.current_id, self.wanted.current
        holds = wanted_id is not None and any(point.id == wanted_id for point in points)
        if not holds and wanted_key.startswith("meter-"):
            holds = any(f"meter-{meter.id}" == wanted_key for meter in node.meters)
        key = f"site-{node.id}"
        wanted = key in (self.wanted.branch, self.wanted.current)
        shown = self.everything or holds or wanted
        self.last = self.last_of(points) if shown else {}
        self.meter_page = (
            f"/breakdown/site/{node.id}/meter"
            if shown and self.opens(organisation_id, node.id)
            else ""
        )
        children = self.meters(node) if shown else []
        found = self._branch(
            "site", node.id, node.name, children, opened=shown and (self.everything or holds)
        )
        found.update(
            lazy=not shown,
            late=self.judge.late(points),
            holds_current=holds or key == self.wanted.current,
        )
        return found

    def meters(self, site: SiteNode) -> list[Node]:
        """Return a site's meters, each below the one that feeds it."""
        here = {meter.id for meter in site.meters}
        fed: dict[int | None, list[MeterNode]] = {}
        for meter in site.meters:
            fed.setdefault(meter.parent_id if meter.parent_id in here else None, []).append(meter)
        return [child for meter in fed.get(None, []) for child in self.meter(meter, fed)]

    def meter(self, node: MeterNode, fed: dict[int | None, list[MeterNode]]) -> list[Node]:
        own = [self.leaf(leaf) for leaf in node.points]
        own += [
            self._branch(
                "appliance", one.id, one.name, [self.leaf(leaf) for leaf in one.points], opened=True
            )
            if len(one.points) != 1
            else self.leaf(one.points[0])
            for one in node.appliances
        ]
        below = [child for meter in fed.get(node.id, []) for child in self.meter(meter, fed)]
        if not below and not node.appliances and len(own) <= 1:
            return own  # a meter with one reading is that reading
        found = self._branch("meter", node.id, node.name, own + below, opened=True)
        if self.meter_page and any(self._counts(leaf) for leaf in leaves_of(node)):
            found["href"] = f"{self.meter_page}/{node.id}"
        return [found]

    def _counts(self, leaf: Leaf) -> bool:
        """Say whether a data point counts something that can be broken down."""
        point = self.directory.by_id(leaf.id)
        return point is not None and amount_of(point) is not None

    @cached_property
    def current_id(self) -> int | None:
        """Number of the data point that is shown on the page."""
        kind, _, number = self.wanted.current.partition("-")
        return whole_number(number) if kind == "point" else None

    def leaf(self, leaf: Leaf) -> Node:
        point = self.directory.by_id(leaf.id)
        last = self.last.get(point.series) if point else None
        fresh = self.judge.one(point, last) if point else Freshness()
        return {
            "kind": "point",
            "id": leaf.id,
            "key": f"point-{leaf.id}",
            "series": point.series if point else "",
            "name": leaf.name,
            "utility": leaf.utility,
            "current": f"point-{leaf.id}" == self.wanted.current,
            "fresh": fresh,
            "value": last.value if last else None,
            "unit": last.unit if last else "",
            "text": shown(last.value, last.unit) if last else "",
            "state": fresh.state,
            "holds_current": f"point-{leaf.id}" == self.wanted.current,
        }

    @property
    def _searching(self) -> bool:
        return bool(self.wanted.search)

    def _branch(
        self, kind: str, number: int, name: str, nodes: list[Node], *, opened: bool
    ) -> Node:
        key = f"{kind}-{number}"
        holds = any(child["holds_current"] for child in nodes)
        pages = ("organization", "site")
        return {
            "kind": kind,
            "key": key,
            "name": name,
            "href": f"/{kind}/{number}" if kind in pages else "",
            "children": nodes,
            "open": opened or holds or self._searching,
            "current": key == self.wanted.current,
            "holds_current": holds or key == self.wanted.current,
            "lazy": False,
            "late": 0,
        }


def _only(organisations: list[OrganisationNode], key: str) -> list[OrganisationNode]:
    """Return the one site whose inside is wanted."""
    return [
        replace(organisation, sites=[site])
        for organisation in organisations
        for site in organisation.sites
        if f"site-{site.id}" == key
    ]


def _matching(organisations: list[OrganisationNode], search: str) -> list[OrganisationNode]:
    words = search.casefold().split()
    left = FOUND_MAX
    found = []
    for organisation in organisations:
        sites = []
        for site in organisation.sites:
            meters = []
            for meter in site.meters:
                above = f"{organisation.name} {site.name} {meter.name}"
                own = [leaf for leaf in meter.points if _has(leaf, above, words)][:left]
                left -= len(own)
                appliances = []
                for appliance in meter.appliances:
                    mine = [
                        leaf
                        for leaf in appliance.points
                        if _has(leaf, f"{above} {appliance.name}", words)
                    ][:left]
                    left -= len(mine)
                    if mine:
                        appliances.append(type(appliance)(appliance.id, appliance.name, mine))
                if own or appliances:
                    meters.append(MeterNode(meter.id, meter.name, meter.parent_id, own, appliances))
            if meters:
                sites.append(SiteNode(site.id, site.name, site.zone, meters))
        if sites:
            found.append(
                OrganisationNode(
                    organisation.id, organisation.name, organisation.live, organisation.demo, sites
                )
            )
    return found


def _has(leaf: Leaf, above: str, words: list[str]) -> bool:
    text = f"{above} {leaf.name} {leaf.stream_id} {leaf.utility}".casefold()
    return all(word in text for word in words)


def _below(nodes: list[Node], key: str) -> list[Node]:
    for node in nodes:
        if node["key"] == key:
            children: list[Node] = node["children"]
            return children
        if found := _below(node.get("children", []), key):
            return found
    return []
