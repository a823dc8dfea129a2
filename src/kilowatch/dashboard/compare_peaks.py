"""Peak demand of what is compared: the highest mean over the site's demand period, with its time.

``/data/compare/peaks`` answers by key, ``{"s2": {"peak", "unit", "day", "clock", "minutes",
"complete"}}``; of what counts nothing fine enough, or too much to be read, ``null`` with ``why``
(``long``: choose a shorter period). Of a site it is the peak of the sum of its supplies, each
energy once. Apart from the other figures: it rests on quarter-hours, they on days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.compare_read import WITH_PAST, Asked, Item, read
from kilowatch.dashboard.compare_sums import laid, roots_of
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.demand import demand_grain, demand_length_s
from kilowatch.dashboard.periods import iso_local
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.calendar import bucket_edges_ms
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.units import rate_unit
from kilowatch.model.zones import Zone
from kilowatch.pipeline.statistics import COVERED_ENOUGH
from kilowatch.pipeline.tree_eras import DatedFeeding
from kilowatch.pipeline.tree_rollups import TreeRollUp

ROWS_MAX = 250_000
"""Demand periods that are read for an item: a year of seven supplies, a month of eighty."""
LONGEST_S = 3600
"""Intervals that a peak can still be told from."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest demand of an item.

    Attributes:
        demand: Mean over the demand period [W, m³/h, …].
        start_ms: When the period began [ms].
        length_s: How long it was [s].
        complete: Share of what has passed that it rests on, 0 to 1.
    """

    demand: float
    start_ms: int
    length_s: int
    complete: float


async def peaks(request: Request) -> Response:
    """Answer ``/data/compare/peaks``; its shape stands at the top of this module."""
    return json_answer(await run_in_threadpool(_peaks, request))


def _peaks(request: Request) -> dict[str, Any]:
    asked = read(request)
    found = peaks_of(rooms_of(request), asked)
    unit = rate_unit(asked.unit)
    return {one.key: _told(one, found[one.key], unit) for one in asked.items if one.key in found}


def _told(item: Item, found: Peak | str, unit: str) -> dict[str, Any]:
    if isinstance(found, str):
        return {"peak": None, "why": found}
    at = iso_local(found.start_ms, item.zone)
    return {
        "peak": found.demand, "unit": unit, "day": at[:10], "clock": at[11:16],
        "minutes": found.length_s // 60, "complete": found.complete, "why": "",
    }  # fmt: skip


def peaks_of(rooms: Rooms, asked: Asked) -> dict[str, Peak | str]:
    """Return the peak of each item, or why it has none: ``long``, ``coarse`` or ``none``.

    Raises:
        KilowatchError: 503 from the store.
    """
    if asked.span is None or asked.level:
        return {}
    facts = rooms.registry.facts()
    found: dict[str, Peak | str] = {}
    for item in asked.items:
        length_s = demand_length_s(facts.get(item.site_id), rooms.settings)
        found[item.key] = _peak(rooms, item, asked.span.ms(item.zone), length_s)
    return found


def _peak(rooms: Rooms, item: Item, span: tuple[int, int], length_s: int) -> Peak | str:
    now_ms = rooms.clock()
    points = list(item.points)
    fed: DatedFeeding = [(0, {} if points[0].formula else rooms.registry.fed_by(points))]
    if 1 < len(points) <= WITH_PAST:
        fed = rooms.registry.fed_over_time(points)
    mine = {point.id for point in points}
    # What another one of an item always feeds is in that one's figure: it is not read.
    supplies = [p for p in points if any(by.get(p.id) not in mine for _, by in fed)]
    usual = [p for p in supplies if p.interval_s <= LONGEST_S]
    if not usual or len(usual) < len(supplies):
        return "coarse"
    grain = demand_grain(max(p.interval_s for p in usual), length_s)
    bucket_s = (
        max(p.interval_s for p in usual) if grain == "interval"
        else grain if isinstance(grain, int) else LONGEST_S
    )  # fmt: skip
    passed_ms = min(span[1], now_ms) - span[0]
    if passed_ms // (bucket_s * 1000) * len(usual) > ROWS_MAX:
        return "long"
    if points[0].formula:
        edges, amount, complete = _of_formula(rooms, points[0], span, bucket_s)
    else:
        (tree,) = rooms.view.trees(usual, fed, [span], bucket_s)
        numbers = [p.id for p in usual if p.id not in tree.too_coarse]
        edges = tree.edges_ms
        amount, complete = _together(tree, numbers) if numbers else (np.empty(0), np.empty(0))
    return _highest(edges, amount, complete, bucket_s, max(1, passed_ms))


def _together(tree: TreeRollUp, numbers: Sequence[int]) -> tuple[Floats, Floats]:
    """Return what supplies counted in each bucket, and how much of it is known, shape (k,).

    What a register counted across a gap is left out: it would make a peak of one bucket.
    """
    root = roots_of(tree, numbers)
    sums = [tree.points[number] for number in numbers]
    amounts = np.array([one.amount - np.nan_to_num(one.unallocated) for one in sums])
    known = root & np.isfinite(amounts)
    amount = np.where(known.any(axis=0), np.where(known, amounts, 0.0).sum(axis=0), np.nan)
    complete = np.where(root, np.array([one.completeness for one in sums]), 0.0).sum(axis=0)
    return amount, complete / np.maximum(root.sum(axis=0), 1)


def _of_formula(
    rooms: Rooms, formula: DataPoint, span: tuple[int, int], bucket_s: int
) -> tuple[Ints, Floats, Floats]:
    """Return edges, amounts and known shares of a formula, which stands in no tree."""
    edges = bucket_edges_ms(*span, bucket_s, Zone.of(formula.zone))
    rows = rooms.view.series(formula, [VALUE], int(edges[0]), int(edges[-1]), bucket_s)
    found = laid(rows, edges, int(edges[-1]))  # a bucket that is not over is no whole one
    return edges, found.column(found.rows.amount), found.complete


def _highest(
    edges: Ints, amount: Floats, complete: Floats, bucket_s: int, passed_ms: int
) -> Peak | str:
    whole = np.isfinite(amount) & (complete >= COVERED_ENOUGH)
    if not whole.any():
        return "none"
    long_ms = np.diff(edges)
    demand = np.where(whole, amount / (long_ms / HOUR_MS), -np.inf)
    at = int(np.argmax(demand))
    if demand[at] <= 0:
        return "none"
    rests = float((complete * long_ms)[whole].sum()) / passed_ms
    return Peak(float(demand[at]), int(edges[at]), bucket_s, min(1.0, rests))


DOORS: tuple[Door, ...] = (Door("/data/compare/peaks", peaks, Access.SIGNED_IN, tool="compare"),)
