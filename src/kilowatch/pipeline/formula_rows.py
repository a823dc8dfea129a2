"""Rows of a formula: its inputs brought onto its intervals, then computed, all at once.

Amounts are added up to the formula's interval and means are averaged over it. An amount that covers
only a part of the interval is missing: what was used in ten minutes is no quarter of an hour's
energy, and beside a whole one it would make a difference that nobody had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.formulas import Checked, Figures, Reference, Why, evaluate
from kilowatch.model.formulas.checking import amounts
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import RATIO, VALUE
from kilowatch.pipeline.compiled import Compiled, Input
from kilowatch.pipeline.formula_view import channels_behind
from kilowatch.pipeline.rollups import roll_up

WHOLE = 0.999  # an amount that covers less of its interval is not the interval's


@dataclass(frozen=True, slots=True)
class Grid:
    """Intervals in which some input says something.

    Attributes:
        start_ms: Shape (n,), rising [ms].
        duration_ms: Shape (n,) [ms].
        inputs: The inputs on it.
    """

    start_ms: Ints
    duration_ms: Ints
    inputs: Mapping[Reference, Figures]

    def between(self, first: int, last: int) -> Grid:
        """Return the intervals from one place on, until another."""
        if (first, last) == (0, len(self.start_ms)):
            return self
        cut = slice(first, last)
        inputs = {key: figures.take(cut) for key, figures in self.inputs.items()}
        return Grid(self.start_ms[cut], self.duration_ms[cut], inputs)


def by_part(formula: Compiled, grid: Grid) -> list[tuple[Checked, Grid]]:
    """Return a formula's intervals with the formula that holds in them, as time goes on.

    One that holds in none of them is left out, unless that leaves nothing.
    """
    bounds = np.searchsorted(grid.start_ms, [part.from_ms for part in formula.parts]).tolist()
    bounds[0] = 0
    spans = zip(formula.parts, bounds, [*bounds[1:], len(grid.start_ms)], strict=True)
    found = [(part.checked, grid.between(low, high)) for part, low, high in spans if low < high]
    return found or [(formula.parts[-1].checked, grid)]


def brought_together(formula: Compiled, rows: IntervalBlock) -> Grid:
    """Return a formula's inputs on its intervals.

    Args:
        formula: The formula.
        rows: Edited intervals of its inputs; of others too, which are left out.
    """
    parts = [_on_grid(formula, rows, one) for one in formula.inputs]
    starts = [part.start_ms for part, _ in parts] + [longer for _, longer in parts]
    start_ms = np.unique(np.concatenate(starts)) if starts else np.empty(0, np.int64)
    duration_ms = grain_end_ms(start_ms, formula.interval_s, formula.zone) - start_ms
    inputs = {
        one.reference: _figures(number, one, part, longer, start_ms)
        for number, (one, (part, longer)) in enumerate(zip(formula.inputs, parts, strict=True))
    }
    return Grid(start_ms, duration_ms, inputs)


def channels_of(one: Input) -> list[int]:
    """Return the channels that an input's rows can have."""
    return channels_behind(one.measure.channel)


def _on_grid(formula: Compiled, rows: IntervalBlock, one: Input) -> tuple[IntervalBlock, Ints]:
    """Return an input's rows on the formula's intervals, and where it has longer ones."""
    own = rows.take((rows.series == one.series) & np.isin(rows.channel, channels_of(one)))
    start_ms = grain_start_ms(own.start_ms, formula.interval_s, formula.zone)
    end_ms = grain_end_ms(own.start_ms, formula.interval_s, formula.zone)
    fits = own.start_ms + own.duration_ms <= end_ms
    value = own.amount if one.measure.column == "amount" else own.mean
    known = own.take(fits & np.isfinite(value))
    return roll_up(known, formula.interval_s, formula.zone), np.unique(start_ms[~fits])


def _figures(number: int, one: Input, part: IntervalBlock, longer: Ints, start_ms: Ints) -> Figures:
    count = len(start_ms)
    found = Figures.missing(count, number)
    found.why[np.isin(start_ms, longer)] = Why.LONGER
    if not len(part):
        return found
    place = np.searchsorted(start_ms, part.start_ms)
    amount = one.measure.column == "amount"
    share = np.minimum(part.covered_ms / part.duration_ms, 1.0)
    why = np.where(share < WHOLE, Why.INCOMPLETE, Why.KNOWN) if amount else np.zeros_like(place)
    why = np.where(found.why[place] == Why.LONGER, Why.LONGER, why)
    value = part.amount if amount else part.mean
    found.why[place] = why
    found.blame[place] = np.where(why == Why.KNOWN, -1, number)
    found.value[place] = np.where(why == Why.KNOWN, value, np.nan)
    found.quality[place] = part.quality
    found.share[place] = share
    found.version[place] = part.version
    return found


def rows_of_formula(formula: Compiled, rows: IntervalBlock, version: int) -> IntervalBlock:
    """Return the rows of a formula for the intervals in which some input says something.

    Those without a result too: such a row replaces the one that may have been there before, and
    sums are made of the same rows in the same order however the packets came.

    Args:
        formula: The formula; one that can be computed.
        rows: Edited intervals of its inputs, whole intervals of the formula.
        version: What the rows rest on: everything up to this log sequence number.
    """
    grid = brought_together(formula, rows)
    if not len(grid.start_ms):
        return IntervalBlock.empty()
    parts = by_part(formula, grid)
    return IntervalBlock.concatenate(
        [_block(formula.point.series, checked, some, version) for checked, some in parts]
    )


def _block(series: int, checked: Checked, grid: Grid, version: int) -> IntervalBlock:
    count = len(grid.start_ms)
    outcome = spread(evaluate(checked.tree, grid.inputs), count)
    value, share, quality = outcome.value * checked.factor, outcome.share, outcome.quality
    unknown = np.full(count, np.nan)
    mean, amount, below = value, unknown, unknown
    known = np.isfinite(value)
    hours = grid.duration_ms * share / HOUR_MS
    if checked.behaviour == "amount":
        mean, amount, below = unknown, value, np.where(known, 0.0, np.nan)
    elif checked.behaviour == "rate":
        amount, below = value * hours * checked.unit.amount_factor, np.where(known, 0.0, np.nan)
    elif checked.ratio is not None:
        sides = _sides(checked, grid)
        amount, below, known, share, quality = sides
    extreme = mean
    return IntervalBlock(
        series=np.full(count, series),
        channel=np.full(count, VALUE if checked.ratio is None else RATIO),
        start_ms=grid.start_ms,
        duration_ms=grid.duration_ms,
        version=np.full(count, version),
        count=known.astype(np.int64),
        mean=mean,
        low=extreme,
        high=extreme,
        amount=amount,
        unallocated=below,
        covered_ms=np.where(known, np.rint(grid.duration_ms * share), 0).astype(np.int64),
        quality=np.where(known, quality, 0),
    )


def _sides(checked: Checked, grid: Grid) -> tuple[Floats, Floats, Ints, Floats, Ints]:
    """Return above and below of a quotient as sums over each interval, and how known they are."""
    ratio = checked.ratio
    assert ratio is not None
    count = len(grid.start_ms)
    above, below = (
        spread(evaluate(side, grid.inputs), count) for side in (ratio.above, ratio.below)
    )
    measures = dict(zip(checked.inputs, checked.measures, strict=True))
    share = np.minimum(above.share, below.share)
    by_time = 1.0 if amounts(ratio, measures) else grid.duration_ms * share / HOUR_MS
    known = (above.why == Why.KNOWN) & (below.why == Why.KNOWN)
    return (
        np.where(known, above.value * checked.factor * by_time, np.nan),
        np.where(known, below.value * by_time, np.nan),
        known,
        share,
        np.maximum(above.quality, below.quality),
    )


def spread(figures: Figures, count: int) -> Figures:
    """Return figures of every interval, also where a branch was a number only."""
    if len(figures.value) == count:
        return figures
    return replace(
        figures,
        **{
            name: np.broadcast_to(getattr(figures, name), count).copy()
            for name in ("value", "why", "blame", "quality", "share", "version")
        },
    )
