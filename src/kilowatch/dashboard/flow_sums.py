"""Energy flow: from supply to end use along the meter tree, every part of it accounted for.

Sums in, nodes and links out. Each node's inflow is its outflow: what submeters do not see is a node
of its own, and so is what they count too much. Nothing is scaled to make it fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kilowatch.dashboard.behind import mean_shares
from kilowatch.model.blocks import Floats
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.tree_rollups import Sums, TreeRollUp

NodeKind = Literal[
    "supply", "production", "site", "point", "export", "unmetered", "unknown", "excess", "others"
]
PRODUCTION = "production"
SITES_SHOWN = 40
NO_AMOUNT = 1e-9
"""Shares below are what additions in another order leave over."""


@dataclass(slots=True)
class Node:
    """A part of the flow.

    Attributes:
        key: Its name among the nodes.
        kind: ``supply`` (from outside), ``production`` (own), ``site``, ``point``, ``export``,
            ``unmetered`` (seen by the main, by no submeter), ``unknown`` (the submeters had no
            data), ``excess`` (the submeters counted more than the main, or while it had no data)
            or ``others`` (many small ones).
        name: What people call it; empty where its kind says it all.
        amount: What goes through it [unit].
        complete: Share of the period that its figures rest on, 0 to 1; None where it has no meter.
        point: The data point's number; None for what is none.
        depth: How far below the supply.
        members: How many it stands for.
        shares: Of the known time, what is derived, edited, estimated and questionable, 0 to 1;
            None where no meter says so.
    """

    key: str
    kind: NodeKind
    name: str
    amount: float
    complete: float | None = None
    point: int | None = None
    depth: int = 0
    members: int = 1
    shares: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An amount from one node to another [unit]."""

    source: str
    target: str
    amount: float


@dataclass(frozen=True, slots=True)
class Surplus:
    """Submeters that counted more than their main.

    Attributes:
        point: The main's number.
        name: Its name.
        own: What it counted [unit].
        below: What its submeters counted [unit].
    """

    point: int
    name: str
    own: float
    below: float


@dataclass(slots=True)
class Flow:
    """The whole of it.

    Attributes:
        nodes: In the order of the table: each before what it feeds.
        links: Between them.
        supplied: From outside [unit].
        produced: Own production [unit].
        exported: Given away [unit].
        unmetered: What no submeter sees [unit].
        complete: Of what comes in, 0 to 1.
        surplus: Where submeters counted more than their main.
    """

    nodes: list[Node] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    supplied: float = 0.0
    produced: float = 0.0
    exported: float = 0.0
    unmetered: float = 0.0
    complete: float = 0.0
    surplus: list[Surplus] = field(default_factory=list)

    @property
    def used(self) -> float:
        """What stays: supplied and produced, less exported [unit]."""
        return self.supplied + self.produced - self.exported


@dataclass(frozen=True, slots=True)
class SiteTree:
    """One site's figures of one utility.

    Attributes:
        number: The site's.
        name: Its name.
        points: The data points that count the utility, by number.
        tree: What they counted, and who feeds whom.
        passed_ms: How much of each bucket has passed, shape (k,) [ms].
        exports: What data points gave away, by number [unit].
        produced: Data points that produce, with their sums.
    """

    number: int
    name: str
    points: Mapping[int, DataPoint]
    tree: TreeRollUp
    passed_ms: Floats
    exports: Mapping[int, float]
    produced: Sequence[tuple[DataPoint, Sums]] = ()


def flow_of(sites: Sequence[SiteTree], *, apart: bool, below: bool = True) -> Flow:
    """Follow a utility from its supply to where it goes.

    Args:
        sites: Their trees.
        apart: Whether each site is a node between the supply and its meters.
        below: Whether meters are shown; else a site is the end.
    """
    flow = Flow()
    supply = Node("supply", "supply", "", 0.0)
    flow.nodes.append(supply)
    known: list[float] = []
    touched: list[tuple[Floats, Floats]] = []
    for site in sites:
        maker = _Site(site, flow, depth=2 if apart else 1)
        roots = maker.roots()
        supplied = sum(maker.own(number) for number in roots)
        if not roots or not (supplied or site.produced):
            continue
        parent = "supply"
        if apart:
            parent = f"s{site.number}"
            complete = _mean([maker.complete(number) for number in roots])
            node = Node(parent, "site", site.name, supplied, complete, depth=1)
            node.shares = _shares([maker.touched(number) for number in roots])
            flow.nodes.append(node)
            _link(flow, "supply", parent, supplied)
        flow.supplied += supplied
        known += [maker.complete(number) for number in roots]
        touched += [maker.touched(number) for number in roots]
        if below:
            maker.grow(roots, parent)
        else:
            maker.count(parent)
    supply.amount = flow.supplied
    supply.complete = flow.complete = _mean(known)
    supply.shares = _shares(touched)
    if not below:
        _lump(flow)
    return flow


def _lump(flow: Flow) -> None:
    """Put all but the largest sites into one node: a hundred bars of nothing tell nothing."""
    sites = sorted((n for n in flow.nodes if n.kind == "site"), key=lambda n: -n.amount)
    small = {node.key: node for node in sites[SITES_SHOWN:]}
    if not small:
        return
    complete = _mean([node.complete or 0.0 for node in small.values()])
    amount = sum(node.amount for node in small.values())
    others = Node("others", "others", "", amount, complete, depth=1, members=len(small))
    flow.nodes = [n for n in flow.nodes if n.key not in small]
    flow.nodes.append(others)
    merged: dict[tuple[str, str], float] = {}
    for link in flow.links:
        ends = ["others" if key in small else key for key in (link.source, link.target)]
        merged[ends[0], ends[1]] = merged.get((ends[0], ends[1]), 0.0) + link.amount
    flow.links = [Link(source, target, amount) for (source, target), amount in merged.items()]


def _mean(parts: Sequence[float]) -> float:
    return sum(parts) / len(parts) if parts else 0.0


def _shares(parts: Sequence[tuple[Floats, Floats]]) -> dict[str, float]:
    """Return shares by quality of several meters: their shares, and how much of each is known."""
    return mean_shares([shares for shares, _ in parts], [known for _, known in parts])


def _link(flow: Flow, source: str, target: str, amount: float) -> None:
    if amount > 0:
        flow.links.append(Link(source, target, amount))


class _Site:
    """Puts one site's part into the flow."""

    def __init__(self, site: SiteTree, flow: Flow, depth: int) -> None:
        self.site, self.flow, self.depth = site, flow, depth
        self._nodes: dict[int, Node] = {}
        self._below: dict[int, dict[int, float]] = {}
        self._root: dict[int, bool] = dict.fromkeys(site.points, False)
        for era in site.tree.eras:
            for number, parent in era.parents.items():
                if number not in site.points:
                    continue
                if parent is None:
                    self._root[number] = True
                    continue
                part = self._known(site.tree.points[number].amount, era.buckets)
                mine = self._below.setdefault(parent, {})
                mine[number] = mine.get(number, 0.0) + part

    def _known(self, amounts: Floats, buckets: Bools | None = None) -> float:
        chosen = amounts if buckets is None else amounts[buckets]
        return float(chosen[np.isfinite(chosen)].sum())

    def own(self, number: int) -> float:
        """Return what a data point counted as a supply, or altogether where it always was one."""
        eras = [era for era in self.site.tree.eras if era.parents.get(number, 0) is None]
        amounts = self.site.tree.points[number].amount
        if not self._root[number]:
            return self._known(amounts)
        return sum((self._known(amounts, era.buckets) for era in eras), 0.0)

    def complete(self, number: int) -> float:
        """Return how much of what has passed a data point's figures rest on, 0 to 1."""
        passed = self.site.passed_ms
        total = float(passed.sum())
        return (
            float((self.site.tree.points[number].completeness * passed).sum() / total)
            if total
            else 0.0
        )

    def touched(self, number: int) -> tuple[Floats, Floats]:
        """Return a data point's shares by quality, and how much of each bucket is known [ms]."""
        sums = self.site.tree.points[number]
        return sums.shares, sums.completeness * self.site.passed_ms

    def roots(self) -> list[int]:
        """Return the data points that nobody feeds, the largest first."""
        found = [number for number, root in self._root.items() if root]
        return sorted(found, key=lambda number: (-self.own(number), number))

    def count(self, parent: str) -> None:
        """Count production and export of a site whose meters are not shown."""
        site, flow = self.site, self.flow
        exported = sum(site.exports.values())
        for point, sums in site.produced:
            amount = self._known(sums.amount)
            flow.produced += amount
            key = f"p{point.id}"
            flow.nodes.append(Node(key, "production", point.name, amount, None, point.id, 0))
            _link(flow, key, parent, amount)
        if exported > 0:
            flow.exported += exported
            key = f"{parent}-export"
            flow.nodes.append(Node(key, "export", "", exported, None, depth=2))
            _link(flow, parent, key, exported)

    def grow(self, roots: Sequence[int], parent: str) -> None:
        """Add the site's supplies and what is below them."""
        site = self.site
        shared = bool(site.produced) or any(amount > 0 for amount in site.exports.values())
        pooled = [
            number
            for number in roots
            if shared and (number in self._below or site.exports.get(number, 0) > 0)
        ]
        if shared and not pooled:
            pooled = list(roots)
        if pooled:
            self._busbar(pooled, parent)
        for number in roots:
            if number not in pooled:
                amount = self.own(number)
                self._point(number, amount, self.depth)
                _link(self.flow, parent, f"p{number}", amount)
                self._split(number, self.depth, frozenset({number}))

    def _busbar(self, pooled: Sequence[int], parent: str) -> None:
        """Add where imports and own production meet, and what goes out from there."""
        site, flow, depth = self.site, self.flow, self.depth
        key = f"p{pooled[0]}" if len(pooled) == 1 else f"b{site.number}"
        imported = sum(self.own(number) for number in pooled)
        name = site.points[pooled[0]].name if len(pooled) == 1 else site.name
        complete = _mean([self.complete(number) for number in pooled])
        node = Node(key, "point", name, imported, complete, pooled[0] if len(pooled) == 1 else None,
                    depth, len(pooled))  # fmt: skip
        node.shares = _shares([self.touched(number) for number in pooled])
        flow.nodes.append(node)
        _link(flow, parent, key, imported)
        into = imported
        for point, sums in site.produced:
            amount = self._known(sums.amount)
            into += amount
            flow.produced += amount
            share = float((sums.completeness * site.passed_ms).sum() / max(site.passed_ms.sum(), 1))
            own = f"p{point.id}"
            made = Node(own, "production", point.name, amount, share, point.id, depth - 1)
            made.shares = _shares([(sums.shares, sums.completeness * site.passed_ms)])
            flow.nodes.append(made)
            _link(flow, own, key, amount)
        node.amount = into
        exported = sum(max(0.0, site.exports.get(number, 0.0)) for number in pooled)
        if exported > 0:
            flow.exported += exported
            flow.nodes.append(Node(f"{key}-export", "export", "", exported, None, depth=depth + 1))
            _link(flow, key, f"{key}-export", exported)
        below: dict[int, float] = {}
        for number in pooled:
            for child, amount in self._below.pop(number, {}).items():
                below[child] = below.get(child, 0.0) + amount
        for child, amount in _ordered(below):
            self._point(child, amount, depth + 1)
            _link(flow, key, f"p{child}", amount)
            self._split(child, depth + 1, frozenset({*pooled, child}))
        rest = into - exported - sum(below.values())
        if below or site.produced:
            main = pooled[0]
            self._rest(key, rest, into, depth, ("unmetered", "excess"), pooled)
            if rest < -NO_AMOUNT * max(into, 1.0):
                flow.surplus.append(Surplus(main, name, into - exported, sum(below.values())))

    def _split(self, number: int, depth: int, above: frozenset[int]) -> None:
        """Add what a main feeds, what no submeter sees, and what they count too much."""
        below = self._below.pop(number, None)
        if not below:
            return
        site, flow, key = self.site, self.flow, f"p{number}"
        for child, amount in _ordered(below):
            if child in above:
                continue
            self._point(child, amount, depth + 1)
            _link(flow, key, f"p{child}", amount)
            self._split(child, depth + 1, above | {child})
        own, total = self._through(number), sum(below.values())
        main = site.tree.mains.get(number)
        both = np.isfinite(main.remainder) if main else np.zeros(0, np.bool_)
        seen = float(main.remainder[both].sum()) if main else own - total
        self._rest(key, seen, own, depth, ("unmetered", "excess"), [number])
        self._rest(key, own - total - seen, own, depth, ("unknown", "late"), [number])
        if seen < -NO_AMOUNT * max(own, 1.0):
            flow.surplus.append(Surplus(number, site.points[number].name, own, total))

    def _through(self, number: int) -> float:
        return self._known(self.site.tree.points[number].amount)

    def _rest(
        self, key: str, amount: float, own: float, depth: int, kinds: tuple[str, str],
        mains: Sequence[int],
    ) -> None:  # fmt: skip
        """Add what is over or missing at a main as a node of its own, with the mains' quality."""
        if abs(amount) <= NO_AMOUNT * max(abs(own), 1.0):
            return
        flow = self.flow
        name = f"{key}-{kinds[amount < 0]}"
        if amount > 0:
            if kinds[0] == "unmetered":
                flow.unmetered += amount
            flow.nodes.append(Node(name, kinds[0], "", amount, None, depth=depth + 1))  # type: ignore[arg-type]
            _link(flow, key, name, amount)
        else:
            flow.nodes.append(Node(name, "excess", "", -amount, None, depth=depth - 1))
            _link(flow, name, key, -amount)
        flow.nodes[-1].shares = _shares([self.touched(one) for one in mains])

    def _point(self, number: int, amount: float, depth: int) -> None:
        """Add a data point; one that was moved in the tree is there once, fed twice."""
        if number in self._nodes:
            self._nodes[number].amount += amount
            return
        point = self.site.points[number]
        node = Node(f"p{number}", "point", point.name, amount, self.complete(number), number, depth)
        node.shares = _shares([self.touched(number)])
        self._nodes[number] = node
        self.flow.nodes.append(node)


def _ordered(amounts: Mapping[int, float]) -> list[tuple[int, float]]:
    return sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
