"""Who feeds whom over a period, among data points that count the same.

The tree of meters changes on a date: an era is a stretch of buckets in which it stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from kilowatch.model.blocks import Ints
from kilowatch.model.calendar import Zone, bucket_edges_ms
from kilowatch.model.parameters import PC, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.units import UNITS
from kilowatch.pipeline.grids import Bools

Feeding = Mapping[int, int | None]
"""By a data point's number, the one that feeds it."""

DatedFeeding = Sequence[tuple[int, Feeding]]
"""From when on who feeds whom, rising; the first from the beginning of time."""


@dataclass(frozen=True, slots=True)
class Era:
    """Buckets, shape (k,), in which the tree is the same, and who feeds whom in it."""

    buckets: Bools
    parents: Mapping[int, int | None]


def amount_of(point: DataPoint) -> tuple[int, str] | None:
    """Return what a data point adds to the tree: channel and unit.

    None for a gauge, and for a formula: what that is made of is counted already.
    """
    return None if point.formula else counted_of(point)


def counted_of(point: DataPoint) -> tuple[int, str] | None:
    """Return the channel of what a data point counts, and its unit; None for a gauge."""
    return _counted(point.kind, point.behaviour, point.unit)


@cache
def _counted(kind: str, behaviour: str, unit: str) -> tuple[int, str] | None:
    if kind == "electrical":
        return PC, "Wh"
    amount = UNITS[unit].amount
    return None if behaviour == "gauge" or not amount else (VALUE, amount)


def counted_in_tree(point: DataPoint) -> tuple[int, str]:
    """Return what ``amount_of`` does, of a data point that adds something to the tree."""
    found = amount_of(point)
    assert found is not None, point.stream_id
    return found


def eras_of(
    points: Mapping[int, DataPoint],
    fed_by: Feeding | DatedFeeding,
    period: tuple[int, int],
    zone: Zone,
) -> list[Era]:
    """Return the trees of a period without reading a figure: as its days, or its first one, begin.

    Args:
        points: Those that count, by number.
        fed_by: Who feeds whom, always or from when on.
        period: First instant, and first that is not wanted [ms].
        zone: Whose days.
    """
    edges = bucket_edges_ms(*period, "day", zone)
    begins = np.concatenate([[period[0]], edges[(edges > period[0]) & (edges < period[1])]])
    return eras_by_bucket(points, fed_by, begins)


def eras_by_bucket(
    points: Mapping[int, DataPoint], fed_by: Feeding | DatedFeeding, start_ms: Ints
) -> list[Era]:
    """Return the trees of some buckets, one after the other."""
    dated = [(0, fed_by)] if isinstance(fed_by, Mapping) else list(fed_by)
    begins = np.array([from_ms for from_ms, _ in dated], np.int64)
    number = np.maximum(np.searchsorted(begins, start_ms, side="right") - 1, 0)
    some = sorted(set(number.tolist())) or [len(dated) - 1]
    return [Era(number == era, _parents(points, dated[era][1])) for era in some]


def children_of(eras: Sequence[Era]) -> dict[int, list[tuple[Bools, list[int]]]]:
    """Return whom each main feeds, in which buckets."""
    found: dict[int, list[tuple[Bools, list[int]]]] = {}
    for era in eras:
        below: dict[int, list[int]] = {}
        for number, parent in era.parents.items():
            if parent is not None:
                below.setdefault(parent, []).append(number)
        for main, some in below.items():
            found.setdefault(main, []).append((era.buckets, some))
    return found


def _parents(points: Mapping[int, DataPoint], fed_by: Feeding) -> dict[int, int | None]:
    """Return who feeds whom among the points that count the same; of a circle nobody is fed.

    Who is fed by something that counts another thing, or is not there, is fed by whoever feeds
    that: a submeter stays below its main, also where the meter between has no figures.
    """
    parents = {number: _feeder(number, points, fed_by) for number in points}
    loops: set[int] = set()
    for number in points:
        way, at = [number], parents[number]
        while at is not None and at not in way:
            way.append(at)
            at = parents[at]
        if at is not None:
            loops.update(way[way.index(at) :])
    for number in loops:
        parents[number] = None
    return parents


def _feeder(number: int, points: Mapping[int, DataPoint], fed_by: Feeding) -> int | None:
    """Return who feeds a point, of those that count the same; itself where that is a circle."""
    kind = _kind(points[number])
    seen: set[int] = set()
    parent = fed_by.get(number)
    while parent is not None and parent not in seen:
        if parent in points and _kind(points[parent]) == kind:
            return parent
        seen.add(parent)
        parent = fed_by.get(parent)
    return None


def _kind(point: DataPoint) -> tuple[str, str]:
    return point.utility, counted_in_tree(point)[1]
