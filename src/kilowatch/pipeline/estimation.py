"""Estimates: what probably was used while nobody counted, and when a register's energy was.

An estimate never replaces what is known: it fills holes and the uncovered part of intervals. What
a register counted across a gap is a fact, and only distributed; its parts add up to it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints, Quality
from kilowatch.model.calendar import Zone
from kilowatch.model.lengths import DAY_MS, WEEK_MS
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.slots import Slots

WEEKS = 4
"""Weeks that a profile looks back on; of fewer than that, those that are known."""
REACH_MS = DAY_MS
"""How far from a gap the neighbours of a straight line may lie [ms]."""
REFERENCE_MS = 7 * DAY_MS
"""How long before a gap a sister meter is compared, to scale it [ms]: every day of the week."""

_COVERED_ENOUGH = 0.9  # as for demand (``statistics.py``): half an interval says little of the rest


@dataclass(frozen=True, slots=True)
class Estimate:
    """What slots would hold if they were known, shape (k,) each; NaN where nobody can say.

    Attributes:
        amount: Of the whole slot [canonical unit].
        mean: Of what was sampled [canonical unit].
    """

    amount: Floats
    mean: Floats

    @staticmethod
    def unknown(size: int) -> Estimate:
        """Return an estimate that says nothing."""
        return Estimate(np.full(size, np.nan), np.full(size, np.nan))


def linear(slots: Slots, around: IntervalBlock) -> Estimate:
    """Draw a straight line from the last known interval before the slots to the first after.

    With one of the two only, as while a gap is open, it is level.

    Args:
        slots: What is to be estimated.
        around: Rows of the channel, sorted by start.
    """
    rows = slots.rows
    if not len(slots):
        return Estimate.unknown(0)
    first_ms, end_ms = int(rows.start_ms[0]), int(rows.start_ms[-1] + rows.duration_ms[-1])
    known = _whole(around)
    before = known & (around.start_ms < first_ms) & (around.start_ms >= first_ms - REACH_MS)
    after = known & (around.start_ms >= end_ms) & (around.start_ms < end_ms + REACH_MS)
    # Intervals inside that are known bend the line where they are.
    inside = known & (around.start_ms >= first_ms) & (around.start_ms < end_ms)
    points = np.concatenate(
        [np.flatnonzero(before)[-1:], np.flatnonzero(inside), np.flatnonzero(after)[:1]]
    )
    if not len(points):
        return Estimate.unknown(len(slots))
    at = rows.start_ms + rows.duration_ms / 2
    middle = around.start_ms[points] + around.duration_ms[points] / 2
    rate = around.amount[points] / around.duration_ms[points]
    amount = _between(at, middle, rate) * rows.duration_ms
    return Estimate(amount, _between(at, middle, around.mean[points]))


def profile(slots: Slots, history: IntervalBlock, zone: Zone) -> Estimate:
    """Take the median of the same local time on the same weekday of the weeks before.

    Args:
        slots: What is to be estimated.
        history: Rows of the channel of ``WEEKS`` weeks before, sorted by start.
        zone: Of the site: three o'clock stays three o'clock when the clocks change.
    """
    rows = slots.rows
    usable = _whole(history) & (history.quality <= Quality.DERIVED)
    history = history.take(usable)
    amounts, means = [], []
    local_ms = zone.local_ms(rows.start_ms)
    for week in range(1, WEEKS + 1):
        then_ms = zone.wall_to_instant_ms(local_ms - week * WEEK_MS).at_ms
        place = np.searchsorted(history.start_ms, then_ms)
        inside = np.minimum(place, max(len(history) - 1, 0))
        if not len(history):
            break
        found = history.start_ms[inside] == then_ms
        scale = rows.duration_ms / history.duration_ms[inside]
        amounts.append(np.where(found, history.amount[inside] * scale, np.nan))
        means.append(np.where(found, history.mean[inside], np.nan))
    if not amounts:
        return Estimate.unknown(len(slots))
    return Estimate(_median(np.array(amounts)), _median(np.array(means)))


def sister(
    slots: Slots, own: IntervalBlock, other: IntervalBlock, *, shifted: bool = False
) -> Estimate:
    """Take another meter's figures, scaled to this one by the week before.

    Args:
        slots: What is to be estimated.
        own: Rows of the channel in the week before, sorted by start.
        other: The other meter's rows from then until the end of the slots, sorted by start.
        shifted: Add the difference rather than multiply by the ratio: a temperature.
    """
    own = own.take(_whole(own) & (own.quality <= Quality.DERIVED))
    # The other's intervals may be longer or shorter: both become sums over our own.
    counted, sampled = _over(other, own.start_ms, own.duration_ms)
    there, there_mean = _over(other, slots.rows.start_ms, slots.rows.duration_ms)
    return Estimate(
        there * _ratio(own.amount, counted),
        there_mean + _difference(own.mean, sampled)
        if shifted
        else there_mean * _ratio(own.mean, sampled),
    )


def fill(slots: Slots, estimate: Estimate, allowed: Bools | None = None) -> None:
    """Write estimates where nothing is known; the rest of an interval that is known in part.

    Args:
        slots: The stretch.
        estimate: For each slot.
        allowed: Which slots may be filled, shape (k,); None is all.
    """
    rows = slots.rows
    rest = slots.uncovered_ms / rows.duration_ms
    has_unallocated = (rows.unallocated != 0) & ~np.isnan(rows.unallocated)
    by_mean = ~np.isnan(estimate.mean)
    known = ~np.isnan(estimate.amount) | by_mean
    changed = (rest > 0) & known & ~has_unallocated
    if allowed is not None:
        changed &= allowed
    if not changed.any():
        return
    add = changed & ~np.isnan(estimate.amount)
    so_far = np.where(np.isnan(rows.amount), 0.0, rows.amount)
    rows.amount[add] = (so_far + estimate.amount * rest)[add]
    rows.unallocated[add & np.isnan(rows.unallocated)] = 0.0
    for column in (rows.mean, rows.low, rows.high):
        column[changed & by_mean] = estimate.mean[changed & by_mean]
    slots.cover(changed, Quality.ESTIMATED)


def spread(slots: Slots, estimate: Estimate | None = None, up_to_ms: int | None = None) -> None:
    """Distribute what a register counted across gaps over the intervals of each gap.

    Args:
        slots: The stretch; a gap that begins before it is distributed inside it.
        estimate: The shape; None, or where it is not known throughout a gap: evenly over the time.
        up_to_ms: Only gaps that begin in the stretch and are no longer than this [ms].
    """
    rows = slots.rows
    ends = np.flatnonzero(np.nan_to_num(rows.unallocated) != 0)
    for end in ends.tolist():
        uncovered = slots.uncovered_ms
        first = _first_of_gap(rows.count, uncovered, end)
        gap = np.arange(first, end + 1)
        if up_to_ms is not None:
            begun = rows.count[first] > 0 and first < end
            if not begun or int(uncovered[gap].sum()) > up_to_ms:
                continue
        weight = uncovered[gap].astype(np.float64)
        if estimate is not None:
            shape = estimate.amount[gap] * weight / rows.duration_ms[gap]
            if np.isfinite(shape).all() and (shape >= 0).all() and shape.sum() > 0:
                weight = shape
        if weight.sum() <= 0:
            weight[-1] = 1.0
        total = float(rows.unallocated[end])
        parts = exact_parts(total, weight)
        so_far = np.where(np.isnan(rows.amount[gap]), 0.0, rows.amount[gap])
        changed = np.zeros(len(slots), np.bool_)
        changed[gap[(weight > 0) | (uncovered[gap] > 0)]] = True
        rows.amount[changed] = (so_far + parts)[changed[gap]]
        rows.unallocated[changed & np.isnan(rows.unallocated)] = 0.0
        rows.unallocated[end] = 0.0
        slots.cover(changed, Quality.ESTIMATED)


def exact_parts(total: float, weight: Floats) -> Floats:
    """Cut a total in proportion to weights, so that the parts add up to it bit for bit.

    Every part is a whole multiple of the total's last binary digit; sums of such numbers that do
    not exceed the total are exact in any order.

    Example:
        >>> float(exact_parts(0.1, np.ones(3)).sum()) == 0.1
        True
    """
    digit = np.spacing(abs(total))
    so_far = np.cumsum(weight)
    reached = np.round(so_far / so_far[-1] * (total / digit)) * digit
    return np.diff(reached, prepend=0.0)


def _first_of_gap(count: Ints, uncovered_ms: Ints, end: int) -> int:
    """Return the slot in which the gap that ends in slot ``end`` begins.

    A reading begins it: no reading lies inside a gap.
    """
    first = end
    while first > 0 and uncovered_ms[first - 1] > 0:
        first -= 1
        if count[first] > 0:
            break
    return first


def _whole(rows: IntervalBlock) -> Bools:
    """Return which rows are known throughout, shape (n,)."""
    enough = rows.covered_ms >= rows.duration_ms * _COVERED_ENOUGH
    return np.asarray(enough & ~(np.isnan(rows.amount) & np.isnan(rows.mean)))


def _between(at: Floats, middle: Floats, figures: Floats) -> Floats:
    known = ~np.isnan(figures)
    if not known.any():
        return np.full(len(at), np.nan)
    return np.interp(at, middle[known], figures[known])


def _median(figures: Floats) -> Floats:
    """Return the median of what is known in each column, shape (k,); NaN where nothing is."""
    ordered = np.sort(figures, axis=0)  # NaN last
    count = (~np.isnan(figures)).sum(axis=0)
    column = np.arange(figures.shape[1])
    low, high = (
        ordered[(count - 1) // 2, column],
        ordered[np.minimum(count // 2, len(figures) - 1), column],
    )
    return np.where(count > 0, np.where(count % 2 == 1, low, (low + high) / 2), np.nan)


def _over(rows: IntervalBlock, start_ms: Ints, duration_ms: Ints) -> tuple[Floats, Floats]:
    """Return another meter's amount and mean over intervals; NaN unless all of one is known."""
    rows = rows.take(_whole(rows))
    if not len(rows) or not len(start_ms):
        none = np.full(len(start_ms), np.nan)
        return none, none
    ends = rows.start_ms + rows.duration_ms
    edges = np.stack([rows.start_ms, ends], axis=1).ravel()

    def within(rate: Floats) -> Floats:
        steps = np.stack([rate * rows.duration_ms, np.zeros(len(rows))], axis=1).ravel()
        reached = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
        till, since = (np.interp(at, edges, reached) for at in (start_ms + duration_ms, start_ms))
        return np.asarray(till - since, np.float64)

    covered = within(np.ones(len(rows)))
    whole = covered >= duration_ms - 1
    amount = within(rows.amount / rows.duration_ms)
    mean = within(rows.mean) / duration_ms
    return np.where(whole, amount, np.nan), np.where(whole, mean, np.nan)


def _ratio(own: Floats, other: Floats) -> float:
    both = ~np.isnan(own) & ~np.isnan(other)
    there = float(other[both].sum())
    return float(own[both].sum()) / there if there else np.nan


def _difference(own: Floats, other: Floats) -> float:
    both = ~np.isnan(own) & ~np.isnan(other)
    return float((own[both] - other[both]).mean()) if both.any() else np.nan
