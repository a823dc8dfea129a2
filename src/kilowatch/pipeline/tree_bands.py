"""A total as a stack of bands: what each submeter took, and the rest that none of them saw.

The bands of a bucket add up to the total of that bucket wherever the mains are known: each data
point counts once, in the tree as it was when the bucket began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kilowatch.model.blocks import SHARED, Floats
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import amount_of
from kilowatch.pipeline.tree_rollups import TreeRollUp


@dataclass(slots=True)
class Band:
    """One band of a stack, one element a bucket, shape (k,).

    Attributes:
        point: Whose; of a remainder, the main that saw it.
        amount: NaN where nothing is known, or where it is no band; may be negative for a
            remainder: its submeters counted more than the main [Wh, m³].
        unallocated: The part of it whose time is not known.
        completeness: Covered share of what has passed of the bucket, 0 to 1.
        remainder: Whether it is what no submeter of the main saw.
        opens: Whether submeters hang below it, so that it can be broken down itself.
        shares: Of the covered time, what each of ``blocks.SHARED`` has, shape (k, 4), 0 to 1.
        below: Numbers of the data points whose amounts a remainder lacks.
    """

    point: DataPoint
    amount: Floats
    unallocated: Floats
    completeness: Floats
    shares: Floats
    remainder: bool = False
    opens: bool = False
    below: tuple[int, ...] = ()


@dataclass(slots=True)
class Stack:
    """The bands of a total.

    Attributes:
        bands: Submeters in the order of the tree, then the remainders.
        total: What the mains counted together, shape (k,); NaN where nothing is known.
        unallocated: The part of it whose time is not known, shape (k,).
        completeness: Of the total: the mean over the mains, shape (k,).
        shares: Of the covered time of the mains, what each of ``blocks.SHARED`` has, shape (k, 4).
        mains: Those that are not fed by another one within what was asked.
    """

    bands: list[Band]
    total: Floats
    unallocated: Floats
    completeness: Floats
    shares: Floats
    mains: list[DataPoint] = field(default_factory=list)


def stack_of(
    tree: TreeRollUp,
    points: Sequence[DataPoint],
    kind: tuple[str, str],
    tops: frozenset[int] | None = None,
) -> Stack:
    """Break the total of one utility and unit down by what is right below its mains.

    Args:
        tree: The data points' sums over the period.
        points: Those that the tree was asked about.
        kind: Utility and unit of the amounts.
        tops: Numbers of the mains, for the level of a meter; None for those of the site, that
            nobody feeds.
    """
    mine = {
        point.id: point
        for point in points
        if (counted := amount_of(point)) is not None and (point.utility, counted[1]) == kind
    }
    size = len(tree.edges_ms) - 1
    bands: dict[tuple[int, bool], Band] = {}
    stack = Stack([], np.full(size, np.nan), np.zeros(size), np.zeros(size), _no_shares(size))
    mains: dict[int, DataPoint] = {}
    for era in tree.eras:
        below: dict[int | None, list[int]] = {}
        for number in mine:
            below.setdefault(era.parents[number], []).append(number)
        heads = heads_of(mine, era.parents, tops)
        mains |= {number: mine[number] for number in heads}
        _add(stack, tree, heads, era.buckets)
        for head in heads:
            children = below.get(head, [])
            for number in children or [head]:
                band = _band(bands, mine[number], size, remainder=False)
                band.opens |= bool(below.get(number)) and number != head
                own = tree.points[number]
                for name in ("amount", "unallocated", "completeness", "shares"):
                    getattr(band, name)[era.buckets] = getattr(own, name)[era.buckets]
            if children:
                _rest(_band(bands, mine[head], size, remainder=True), tree, head, era.buckets)
    order = sorted(bands.items(), key=lambda item: item[0][1])
    stack.bands = [band for _, band in order]
    stack.mains = list(mains.values())
    return stack


def heads_of(
    numbers: Iterable[int], parents: Mapping[int, int | None], tops: frozenset[int] | None
) -> list[int]:
    """Return those that are the total: nobody feeds them, or they are the tops asked for.

    Args:
        numbers: Data points of one utility and unit.
        parents: Who feeds whom among them.
        tops: As in ``stack_of``.
    """
    return [
        number
        for number in numbers
        if (parents[number] is None if tops is None else number in tops)
        and not _within(number, parents, tops)
    ]


def _within(number: int, parents: Mapping[int, int | None], tops: frozenset[int] | None) -> bool:
    """Say whether one of several mains is fed by another of them: it is in that one's figure."""
    at = parents[number] if tops else None
    seen = {number}
    while at is not None and at not in seen:
        if at in (tops or ()):
            return True
        seen.add(at)
        at = parents[at]
    return False


def _band(
    bands: dict[tuple[int, bool], Band], point: DataPoint, size: int, *, remainder: bool
) -> Band:
    key = (point.id, remainder)
    if key not in bands:
        bands[key] = Band(
            point,
            np.full(size, np.nan),
            np.zeros(size),
            np.zeros(size),
            _no_shares(size),
            remainder,
        )
    return bands[key]


def _no_shares(size: int) -> Floats:
    return np.zeros((size, len(SHARED)))


def _rest(band: Band, tree: TreeRollUp, head: int, buckets: np.ndarray) -> None:
    main = tree.mains[head]
    # Where no submeter is known, nobody saw what the main counted: it stands in the rest, which
    # says that nothing of it is known.
    rest = np.where(np.isnan(main.remainder), main.own.amount, main.remainder)
    band.amount[buckets] = rest[buckets]
    below = np.where(np.isnan(main.remainder), 0.0, main.submeters.unallocated)
    band.unallocated[buckets] = np.maximum(main.own.unallocated - below, 0.0)[buckets]
    band.completeness[buckets] = main.completeness[buckets]
    band.shares[buckets] = np.maximum(main.own.shares, main.submeters.shares)[buckets]
    band.below = tuple(dict.fromkeys([*band.below, *(child.id for child in main.children)]))


def _add(stack: Stack, tree: TreeRollUp, heads: list[int], buckets: np.ndarray) -> None:
    """Add the mains of some buckets up; what one of them does not know is not zero."""
    if not heads:
        return
    amounts = np.array([tree.points[number].amount for number in heads])
    known = ~np.isnan(amounts)
    total = np.where(known.any(axis=0), np.where(known, amounts, 0.0).sum(axis=0), np.nan)
    unallocated = np.sum([tree.points[number].unallocated for number in heads], axis=0)
    each = np.array([tree.points[number].completeness for number in heads])
    complete = each.mean(axis=0)
    touched = np.array([tree.points[number].shares for number in heads]) * each[:, :, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = touched.sum(axis=0) / each.sum(axis=0)[:, None]
    stack.shares[buckets] = np.nan_to_num(shares)[buckets]
    stack.total[buckets] = total[buckets]
    stack.unallocated[buckets] = unallocated[buckets]
    stack.completeness[buckets] = complete[buckets]
