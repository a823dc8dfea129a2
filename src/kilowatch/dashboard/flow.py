"""Energy flow: a utility of a site or an organisation, from its supply along the meter tree.

``/data/flow`` answers what is drawn. Query, all optional: ``place`` (``s2`` a site, ``o1`` an
organisation), ``utility`` (``electricity:Wh``), ``period`` (``day``, ``week``, ``month``, ``year``,
``custom``), ``date`` and ``until``. Answer::

    unit, utility, nodes (as ``flow_sums.Node``, in the order of the table), links (source, target,
    amount), supplied, produced, exported, unmetered, used, complete, surplus (point, name, own,
    below), missing (names of data points whose intervals are longer than a day), days (the period
    in words, with its zones), intervals (what was added up), sources (the data points among the
    nodes, as in ``behind.py``)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.behind import sources_told
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.chart_period import Span, navigation, span
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.flow_sums import PRODUCTION, Flow, SiteTree, flow_of
from kilowatch.dashboard.insight_period import newest_ms
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.places import in_place, places_of, readable, site_names, sites_of
from kilowatch.dashboard.point_chart import export_href
from kilowatch.dashboard.recomputed import share_done
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.parameters import PE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import DatedFeeding, amount_of, counted_of
from kilowatch.pipeline.tree_rollups import Sums, TreeRollUp

ASKED = ("place", "utility", "period", "date", "until")
PERIODS = ("day", "week", "month", "year", "custom")
ALL_METERS = 150
"""Data points of a place up to which each of them is drawn; above, a site is the end."""
AT_ONCE = 1_000
"""Data points of a utility that are added up at once; a larger organisation is no choice."""
ELECTRICITY = "electricity:Wh"
UTILITIES = ("electricity", "gas", "heat", "cooling", "water")
"""In this order; others follow by name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for, with every choice filled in.

    Attributes:
        place: ``s2`` or ``o1``; empty where there is nothing to see.
        places: Those to choose from.
        kind: Utility and unit, as ``electricity:Wh``.
        kinds: Those that the place has.
        span: The days; None where there is nothing to see.
        points: The data points of the place.
    """

    place: str
    places: Sequence[tuple[str, str]]
    kind: str
    kinds: Sequence[str]
    span: Span | None
    points: Sequence[DataPoint]

    @property
    def query(self) -> dict[str, str]:
        """The address."""
        days = self.span.query() if self.span else {}
        return {"place": self.place, "utility": self.kind, **days}

    @property
    def doubled(self) -> frozenset[str]:
        """Utilities that the place counts in more than one unit."""
        names = [kind.partition(":")[0] for kind in self.kinds]
        return frozenset(name for name in names if names.count(name) > 1)

    @property
    def unit(self) -> str:
        """Unit of what is drawn."""
        return self.kind.partition(":")[2]


async def flow(request: Request) -> Response:
    """Show the frame; what is in it comes from ``/data/flow``."""
    return await run_in_threadpool(_page, request)


async def flow_data(request: Request) -> Response:
    """Answer ``/data/flow``; its shape stands at the top of this module."""
    return json_answer(await run_in_threadpool(_data, request))


async def flow_csv(request: Request) -> Response:
    """Answer the table as a file."""
    return await run_in_threadpool(_csv, request)


def _page(request: Request) -> Response:
    asked = read(request)
    who = visit_of(request).person
    crumbs = [{"name": t("nav.energy_flow")}]
    if asked.span is None:
        return page(request, "flow.html", crumbs, {"page": "energy_flow", "asked": asked})
    rest = {"place": asked.place, "utility": asked.kind}
    context = {
        "page": "energy_flow",
        "asked": asked,
        "place_name": dict(asked.places)[asked.place].rpartition("\N{EM DASH} ")[2],
        "produces": asked.kind == ELECTRICITY and any(_produces(p) for p in asked.points),
        "periods": PERIODS,
        "query": urlencode(asked.query),
        "exports": any(may_export(who, p) for p in asked.points),
        "recomputing": share_done(rooms_of(request).view, asked.points),
        "export_href": export_href([asked.place], asked.span, grain="day"),
        **navigation(asked.span, None, rest),
    }
    return page(request, "flow.html", crumbs, context, current=_current(asked.place))


def _current(place: str) -> str:
    return f"{'site' if place.startswith('s') else 'organization'}-{place[1:]}"


def read(request: Request, *, to_export: bool = False) -> Asked:
    """Read an address; what a person may not see is not among what they choose from.

    Args:
        request: Behind a door.
        to_export: Only what the person may take along as a file.

    Raises:
        KilowatchError: 400 ``bad_period`` or ``bad_date``.
    """
    rooms, query = rooms_of(request), asked_of(request, ASKED)
    everything = [p for p in readable(request, "energy_flow") if amount_of(p) is not None]
    if to_export:
        who = visit_of(request).person
        everything = [p for p in everything if may_export(who, p)]
    counts = Counter((p.organisation_id, kind_of(p)) for p in everything)
    large = {f"o{owner}" for (owner, _), count in counts.items() if count > AT_ONCE}
    places = [one for one in places_of(request, everything, whole=True) if one[0] not in large]
    place = query["place"]
    if place not in dict(places):
        place = sites_of(request, everything, "")[0]
    points = in_place(everything, place) if place else []
    kinds = kinds_of(points)
    if not points or not kinds:
        return Asked("", places, "", (), None, ())
    kind = query["utility"] if query["utility"] in kinds else kinds[0]
    mine = [p for p in points if kind_of(p) == kind]
    today = local_day(rooms.clock(), mine[0].zone)
    seen = newest_ms(rooms.view, mine)
    anchor = today if seen is None else min(today, local_day(seen, mine[0].zone))
    return Asked(place, places, kind, kinds, span(query, PERIODS, anchor, today, "month"), points)


def _produces(point: DataPoint) -> bool:
    return kind_of(point) == f"{PRODUCTION}:Wh"


def kinds_of(points: Sequence[DataPoint]) -> list[str]:
    """Return utilities with their units, the usual first; production is part of electricity."""
    return in_usual_order({kind_of(point) for point in points})


def in_usual_order(kinds: Iterable[str], *, with_production: bool = False) -> list[str]:
    """Return utilities with their units, the usual first.

    Args:
        kinds: As ``kind_of`` has them.
        with_production: Whether production stands for itself; in a flow it is part of electricity.
    """
    found = set(kinds)
    if not with_production and any(kind.startswith("electricity:") for kind in found):
        found.discard(f"{PRODUCTION}:Wh")
    order = {name: number for number, name in enumerate(UTILITIES)}
    return sorted(found, key=lambda kind: (order.get(kind.partition(":")[0], len(order)), kind))


def kind_of(point: DataPoint) -> str:
    """Return the utility of a data point and the unit that it counts in; empty for a gauge."""
    counted = counted_of(point)
    return f"{point.utility}:{counted[1]}" if counted else ""


def read_flow(request: Request, asked: Asked) -> tuple[Flow, list[str]]:
    """Read a flow, and the names of what is left out because its intervals are too long."""
    rooms = rooms_of(request)
    assert asked.span is not None
    names = site_names(request)
    mine = [p for p in asked.points if kind_of(p) == asked.kind]
    produced = [
        p for p in asked.points
        if asked.kind == ELECTRICITY and _produces(p)
    ]  # fmt: skip
    below = len(mine) <= ALL_METERS
    zones = {p.zone for p in mine}
    sites: list[SiteTree] = []
    coarse: list[str] = []
    for zone in sorted(zones):
        here = [p for p in mine if p.zone == zone]
        some = [p for p in produced if p.zone == zone]
        tree = _tree(rooms, here, asked.span, zone, past=below)
        made = _tree(rooms, some, asked.span, zone, past=False) if some else None
        passed = _passed(tree, rooms.clock())
        exports = _exports(rooms, here, asked.span, zone)
        coarse += [p.name for p in here if p.id in tree.too_coarse]
        by_site: dict[int, list[DataPoint]] = defaultdict(list)
        for point in here:
            if point.id not in tree.too_coarse:
                by_site[point.site_id].append(point)
        for number, own in by_site.items():
            sites.append(
                SiteTree(
                    number,
                    names.get(number, ("", ""))[0],
                    {p.id: p for p in own},
                    tree,
                    passed,
                    exports,
                    _produced(made, [p for p in some if p.site_id == number]),
                )
            )
    sites.sort(key=lambda one: one.name.casefold())
    return flow_of(sites, apart=asked.place.startswith("o"), below=below), coarse


def _tree(
    rooms: Rooms, points: Sequence[DataPoint], days: Span, zone: str, *, past: bool
) -> TreeRollUp:
    """Read sums by day, or by month where months are whole and there are many data points."""
    fed: DatedFeeding = [(0, rooms.registry.fed_by(points))]
    if past:
        fed = rooms.registry.fed_over_time(points)
    months = _by_month(days, past=past)
    from_ms, to_ms = days.ms(zone)
    return rooms.view.tree(points, fed, from_ms, to_ms, "month" if months else "day")


def _by_month(days: Span, *, past: bool) -> bool:
    return days.period in ("month", "year") and not past


def _intervals(asked: Asked) -> str:
    """Return what the amounts are sums of, in words."""
    assert asked.span is not None
    mine = sum(kind_of(p) == asked.kind for p in asked.points)
    if _by_month(asked.span, past=mine <= ALL_METERS):
        return t("why.buckets", n=12 if asked.span.period == "year" else 1, grain=t("grain.month"))
    return t("why.buckets", n=asked.span.days, grain=t("grain.day"))


def _passed(tree: TreeRollUp, now_ms: int) -> Any:
    ends = np.minimum(tree.edges_ms[1:], now_ms)
    return np.clip(ends - tree.edges_ms[:-1], 0, None).astype(np.float64)


def _produced(tree: TreeRollUp | None, points: Sequence[DataPoint]) -> list[tuple[DataPoint, Sums]]:
    if tree is None:
        return []
    return [(p, tree.points[p.id]) for p in points if p.id not in tree.too_coarse]


def _exports(rooms: Rooms, points: Sequence[DataPoint], days: Span, zone: str) -> dict[int, float]:
    """Return what electrical meters gave away, by their number [Wh]."""
    some = [p for p in points if p.kind == "electrical"]
    if not some or len(some) > ALL_METERS:
        return {}
    giving = {p.series: p.id for p in some if PE in rooms.view.channels(p)}
    if not giving:
        return {}
    chosen = [p for p in some if p.series in giving]
    rows = rooms.view.series_many(chosen, [PE], *days.ms(zone), "day")
    found: dict[int, float] = {}
    for series, number in giving.items():
        own = rows.take(rows.series == series)
        found[number] = float(np.nansum(own.amount) + np.nansum(own.unallocated))
    return found


def _data(request: Request) -> dict[str, Any]:
    asked = read(request)
    if asked.span is None:
        return {"unit": "", "utility": "", "nodes": [], "links": []}
    found, coarse = read_flow(request, asked)
    return {
        "unit": asked.unit,
        "utility": asked.kind.partition(":")[0],
        "used": found.used,
        "missing": coarse,
        "intervals": _intervals(asked),
        "days": f"{asked.span.name}, {', '.join(sorted({p.zone for p in asked.points}))}",
        "sources": sources_told(
            request, [p for p in asked.points if p.id in {node.point for node in found.nodes}]
        ),
        **asdict(found),
    }


def _csv(request: Request) -> Response:
    asked = read(request, to_export=True)
    head = [t("flow.part"), t("flow.kind"), t("flow.from"), f"{t('flow.amount')} [{asked.unit}]",
            t("flow.complete")]  # fmt: skip
    if asked.span is None:
        return csv_answer("energy flow", head, [])
    found, _ = read_flow(request, asked)
    sources: dict[str, list[str]] = defaultdict(list)
    names = {node.key: node.name or t(f"flow_kind.{node.kind}") for node in found.nodes}
    for link in found.links:
        sources[link.target].append(names[link.source])
    rows = [
        [names[node.key], t(f"flow_kind.{node.kind}"), ", ".join(sources[node.key]), node.amount,
         node.complete]
        for node in found.nodes
    ]  # fmt: skip
    place = dict(asked.places)[asked.place]
    return csv_answer(f"{place} {asked.kind.partition(':')[0]} {asked.span.first}", head, rows)


DOORS: tuple[Door, ...] = (
    Door("/flow", flow, Access.SIGNED_IN, tool="energy_flow"),
    Door("/data/flow", flow_data, Access.SIGNED_IN, tool="energy_flow"),
    Door("/data/flow.csv", flow_csv, Access.EXPORT_SOMEWHERE, tool="export"),
)
