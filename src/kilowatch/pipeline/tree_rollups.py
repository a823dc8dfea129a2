"""Totals along the tree: submeters counted once, what no submeter sees, and how complete it all is.

A main meter sees what its submeters see. So the total of a site is the sum of those that nobody
feeds, and the difference of a main and the meters right below it is the remainder: used, and seen
by no submeter. It is shown as it is, also below zero: then a factor, a clock or the tree is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import SHARED, Floats, IntervalBlock, Ints
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.calendar import Zone, bucket_edges_ms
from kilowatch.model.editing import SUM_TOLERANCE
from kilowatch.model.errors import KilowatchError
from kilowatch.model.findings import Finding
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.cutting import cuts
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.tree_eras import (
    DatedFeeding,
    Era,
    Feeding,
    amount_of,
    children_of,
    counted_in_tree,
    eras_by_bucket,
)

COVERED_ENOUGH = 0.9
"""Of a day, of main and submeters, before their sums are held against each other."""

Rows = Callable[[Sequence[DataPoint], Sequence[int]], IntervalBlock]
"""Returns the rows of data points and channels over the period, at its granularity."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Amounts of a meter or of several together, one element a bucket, shape (k,).

    Attributes:
        amount: Unallocated amounts included; NaN where nothing is known [Wh, m³, …].
        unallocated: The part of it whose time is not known.
        completeness: Covered share of what has passed of the bucket, 0 to 1.
        shares: Of the covered time, what each of ``blocks.SHARED`` has, shape (k, 4), 0 to 1.
    """

    amount: Floats
    unallocated: Floats
    completeness: Floats
    shares: Floats


@dataclass(frozen=True, slots=True)
class Main:
    """A meter with submeters.

    Attributes:
        point: The data point.
        own: What it counted.
        submeters: What those right below it counted, together.
        children: Their data points.
        remainder: Own minus submeters, where both are known, shape (k,); may be negative.
        completeness: Of the remainder: the smaller of both.
    """

    point: DataPoint
    own: Sums
    submeters: Sums
    children: tuple[DataPoint, ...]
    remainder: Floats
    completeness: Floats


@dataclass(frozen=True, slots=True)
class TreeRollUp:
    """The tree over a period.

    Attributes:
        edges_ms: Bucket starts and the end of the last, shape (k + 1,) [ms].
        points: What each data point counted, by its number.
        mains: By the data point's number.
        too_coarse: Data points whose intervals are longer than the buckets: in no sum.
        eras: Who feeds whom, in which buckets.
    """

    edges_ms: Ints
    points: Mapping[int, Sums]
    mains: Mapping[int, Main]
    too_coarse: frozenset[int] = frozenset()
    eras: tuple[Era, ...] = ()


def tree_roll_up(
    rows: Rows,
    points: Sequence[DataPoint],
    fed_by: Feeding | DatedFeeding,
    period: tuple[int, int],
    grain: Bucket,
    now_ms: int,
) -> TreeRollUp:
    """Add up data points of one time zone along the tree.

    A bucket belongs to the tree as it was when the bucket began. Where the period cuts the first
    or the last bucket, that is shorter (``cutting.py``).

    Args:
        rows: Reads the rows of the period at the granularity, cut to it.
        points: Which; those outside count as if they were not there, and formulas do not count.
        fed_by: Who feeds whom, always or from when on (``catalog.feeding``).
        period: First bucket start, and first that is not wanted [ms].
        grain: Length of the buckets.
        now_ms: What is later has not passed yet [ms].

    Raises:
        KilowatchError: 400 ``several_zones``; 503 from the store.
    """
    zones = {point.zone for point in points}
    if len(zones) > 1:
        raise KilowatchError(
            "several_zones",
            f"Days in {' and '.join(sorted(zones))} are not the same days.",
            remedy="Ask for each site by itself.",
        )
    zone = Zone.of(next(iter(zones), "UTC"))
    edges = bucket_edges_ms(*period, grain, zone)
    if cuts(period, grain, zone):
        edges = np.unique(np.clip(edges, *period))
    counting = {point.id: point for point in points if amount_of(point) is not None}
    by_series = {point.series: point for point in counting.values()}
    channels = sorted({channel for channel, _ in map(counted_in_tree, counting.values())})
    found = rows(list(counting.values()), channels)
    sums, too_coarse = _sums(found, by_series, edges, now_ms)
    eras = eras_by_bucket(counting, fed_by, edges[:-1])
    mains = {
        number: _main(counting[number], below, counting, sums)
        for number, below in children_of(eras).items()
    }
    return TreeRollUp(edges, sums, mains, too_coarse, tuple(eras))


def sum_findings(
    tree: TreeRollUp, tolerances: Mapping[int, float] | None = None
) -> dict[int, tuple[Finding, ...]]:
    """Return where submeters count more than their main, by the main's number.

    One finding for each run of buckets, which should be days: over an hour, two clocks a minute
    apart are 2 % already. Only where both are nearly complete.

    Args:
        tree: Of days.
        tolerances: By how much submeters may exceed, by the main's number; 0 is no check.
    """
    found = {}
    for number, main in tree.mains.items():
        tolerance = (tolerances or {}).get(number, SUM_TOLERANCE)
        with np.errstate(invalid="ignore"):
            beyond = -main.remainder > tolerance * main.own.amount
        beyond &= main.completeness >= COVERED_ENOUGH
        if tolerance <= 0 or not beyond.any():
            continue
        places = np.flatnonzero(beyond)
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        found[number] = tuple(_finding(tree, main, run, tolerance) for run in runs)
    return found


def _finding(tree: TreeRollUp, main: Main, run: Ints, tolerance: float) -> Finding:
    own = float(main.own.amount[run].sum())
    below = float(main.submeters.amount[run].sum())
    channel, unit = counted_in_tree(main.point)
    shown, factor = ("kWh", 1e-3) if unit == "Wh" else (unit, 1.0)
    more = f", {below / own - 1:.1%} more" if own > 0 else ""
    return Finding(
        "meter.sum_exceeded",
        f"The meters below {main.point.name} counted {below * factor:,.4g} {shown} together, it "
        f"only {own * factor:,.4g} {shown}{more}.",
        int(tree.edges_ms[run[0]]),
        channel,
        {
            "until_ms": int(tree.edges_ms[run[-1] + 1]),
            "main": own,
            "submeters": below,
            "unit": unit,
            "tolerance": tolerance,
            "children": [child.id for child in main.children],
        },
    )


def _sums(
    rows: IntervalBlock, by_series: Mapping[int, DataPoint], edges: Ints, now_ms: int
) -> tuple[dict[int, Sums], frozenset[int]]:
    """Return each data point's sums, and those whose intervals do not fit into the buckets.

    All of them are put into their buckets at once: one by one, a hundred took 40 ms.
    """
    size = len(edges) - 1
    keys = np.array(sorted(by_series), np.int64)
    points = [by_series[series] for series in keys.tolist()]
    counted = np.array([counted_in_tree(point)[0] for point in points], np.int64)
    owner = np.searchsorted(keys, rows.series)
    own = np.flatnonzero(rows.channel == counted[owner]) if len(keys) else np.empty(0, np.int64)
    rows, owner = rows.take(own), owner[own]
    bucket = np.searchsorted(edges, rows.start_ms, side="right") - 1
    inside = (bucket >= 0) & (bucket < size)
    place = np.clip(bucket, 0, size - 1)
    fits = (edges[place] == rows.start_ms) & (edges[place + 1] - edges[place] == rows.duration_ms)
    too_coarse = frozenset(points[one].id for one in np.unique(owner[inside & ~fits]).tolist())
    chosen = np.flatnonzero(inside & fits)
    rows, at = rows.take(chosen), (owner[chosen], bucket[chosen])
    found = _summed(rows, at, (len(keys), size), edges, now_ms)
    names = ("amount", "unallocated", "completeness", "shares")
    columns = [getattr(found, name) for name in names]
    sums = {
        point.id: Sums(*(column[row] for column in columns)) for row, point in enumerate(points)
    }
    return sums, too_coarse


def _summed(
    rows: IntervalBlock, at: tuple[Ints, Ints], shape: tuple[int, int], edges: Ints, now_ms: int
) -> Sums:
    """Return the sums of several meters, shape (meters, buckets), from rows at their places."""
    passed_ms = np.clip(np.minimum(edges[1:], now_ms) - edges[:-1], 0, None)
    amount, unallocated = np.full(shape, np.nan), np.zeros(shape)
    covered_ms, shares_ms = np.zeros(shape, np.int64), np.zeros((*shape, len(SHARED)), np.int64)
    late = np.nan_to_num(rows.unallocated)
    known = ~np.isnan(rows.amount) | (late != 0)
    amount[at] = np.where(known, np.nan_to_num(rows.amount) + late, np.nan)
    unallocated[at], covered_ms[at], shares_ms[at] = late, rows.covered_ms, rows.shares()
    with np.errstate(invalid="ignore", divide="ignore"):
        complete = np.where(passed_ms > 0, covered_ms / passed_ms, 0.0)
        shares = shares_ms / covered_ms[..., None]
    there = covered_ms[..., None] > 0
    return Sums(amount, unallocated, np.minimum(complete, 1.0), np.where(there, shares, 0.0))


def _together(parts: Sequence[Sums]) -> Sums:
    """Return several meters as one: completeness and qualities are the mean over the meters."""
    complete = np.array([part.completeness for part in parts])
    shares = np.array([part.shares for part in parts])
    weight = complete.sum(axis=0)
    mixed = (shares * complete[:, :, None]).sum(axis=0) / np.where(weight > 0, weight, 1.0)[:, None]
    return Sums(
        _sum_of_known([part.amount for part in parts]),
        np.sum([part.unallocated for part in parts], axis=0),
        weight / len(parts),
        mixed,
    )


def _in_turn(parts: Sequence[tuple[Bools, Sequence[Sums]]]) -> Sums:
    """Return several meters as one, in each of some buckets other ones; nothing in the rest."""
    found = [(own, _together(some)) for own, some in parts if some]
    if len(found) == 1 and found[0][0].all():
        return found[0][1]
    size = len(parts[0][0])
    mixed = Sums(
        np.full(size, np.nan), np.zeros(size), np.zeros(size), np.zeros((size, len(SHARED)))
    )
    for own, some in found:
        for name in ("amount", "unallocated", "completeness", "shares"):
            getattr(mixed, name)[own] = getattr(some, name)[own]
    return mixed


def _main(
    point: DataPoint,
    children: Sequence[tuple[Bools, list[int]]],
    points: Mapping[int, DataPoint],
    sums: Mapping[int, Sums],
) -> Main:
    own = sums[point.id]
    below = _in_turn([(buckets, [sums[one] for one in some]) for buckets, some in children])
    remainder = own.amount - below.amount
    return Main(
        point,
        own,
        below,
        tuple(points[one] for one in dict.fromkeys(one for _, some in children for one in some)),
        remainder,
        np.minimum(own.completeness, below.completeness),
    )


def _sum_of_known(parts: Sequence[Floats]) -> Floats:
    figures = np.array(parts)
    known = ~np.isnan(figures)
    return np.where(known.any(axis=0), np.where(known, figures, 0.0).sum(axis=0), np.nan)
