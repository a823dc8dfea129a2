"""Totals of an electrical data point where people have corrected what they are made of.

A total is never pushed: it is the sum of the phases of each packet, and energy from power is the
integral of such a sum. So where a phase is corrected, its total is that of the corrected phases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kilowatch.model.blocks import COLUMNS, FLOAT_COLUMNS, Floats, IntervalBlock, Ints, Quality
from kilowatch.model.editing import Correction
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.parameters import AP, APP, ENERGY_CHANNELS, PC, PE, RP
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.phases import PHASES, imported_and_exported
from kilowatch.pipeline.samples import finite

SUMMED = (AP, RP, APP, *ENERGY_CHANNELS)
CHANGING = frozenset({"edit", "fill", "spread", "confirm"})
"""Corrections that can change what a total is made of."""


def phases_of(channel: int) -> tuple[int, ...]:
    """Return the channels that a total is the sum of; empty for everything else."""
    return tuple(channel + phase for phase in PHASES) if channel in SUMMED else ()


def parts_of(channel: int) -> frozenset[int]:
    """Return every channel that a total can rest on, directly or as energy from power."""
    powers = (AP, *phases_of(AP)) if channel in {PC, PE} else ()
    return frozenset((*phases_of(channel), *powers))


def touching(corrections: Iterable[Correction], channels: Iterable[int]) -> list[Correction]:
    """Return the corrections that name one of the channels and can change it.

    What is meant for all channels is done to a total itself as well.
    """
    some = frozenset(channels)
    return [c for c in corrections if c.kind in CHANGING and c.channel in some]


def changed(before: IntervalBlock, after: IntervalBlock, corrections: Sequence[Correction]) -> Ints:
    """Return where one channel's rows are others in the ranges of corrections, sorted [ms]."""
    starts = np.union1d(before.start_ms, after.start_ms)
    within = np.zeros(len(starts), np.bool_)
    for correction in corrections:
        within |= (starts >= correction.from_ms) & (starts < correction.to_ms)
    starts = starts[within]
    one, there = _placed(before, starts)
    other, here = _placed(after, starts)
    same = there == here
    for name in COLUMNS:
        mine, theirs = getattr(one, name), getattr(other, name)
        alike = mine == theirs
        if name in FLOAT_COLUMNS:
            alike |= np.isnan(mine) & np.isnan(theirs)
        same &= alike | ~there | ~here
    return np.asarray(starts[~same])


def summed(rows: IntervalBlock, phases: Sequence[IntervalBlock], starts: Ints) -> IntervalBlock:
    """Return a total's rows with those of some starts made of its phases.

    As of packets: the sum over the phases that are known, as well covered as the least of them,
    with the worst quality. A power's smallest and largest value are the sums of those of its
    phases, which are the limits that the total cannot have left.

    Args:
        rows: The total as it was computed, sorted by start.
        phases: Its phases with what people have corrected, each sorted by start.
        starts: Which intervals [ms].
    """
    placed = [_placed(phase, starts) for phase in phases if len(phase)]
    placed = [(block, there) for block, there in placed if there.any()]
    some = np.zeros(len(starts), np.bool_)
    for _, there in placed:
        some |= there
    starts = starts[some]
    placed = [(block.take(some), there[some]) for block, there in placed]
    if not len(starts):
        return rows
    made, old = _placed(rows, starts)
    first = {name: _first(name, placed) for name in ("series", "duration_ms")}
    columns: dict[str, Any] = {
        name: _sum([getattr(block, name) for block, _ in placed], [there for _, there in placed])
        for name in ("mean", "amount", "unallocated")
    }
    for name in ("low", "high"):
        sums = _sum([getattr(block, name) for block, _ in placed], [there for _, there in placed])
        # Of energies that are sums of packets, the extremes are those of packets.
        columns[name] = np.where(np.isnan(columns["mean"]), getattr(made, name), sums)
    worst = [np.where(there, block.quality, 0) for block, there in placed]
    covered = [np.where(there, block.covered_ms, 1 << 60) for block, there in placed]
    version = [np.where(there, block.version, 0) for block, there in placed]
    count = [np.where(there, block.count, 0) for block, there in placed]
    total = replace(
        made,
        series=first["series"],
        channel=np.full(len(starts), _total(phases), np.int64),
        start_ms=starts,
        duration_ms=first["duration_ms"],
        version=np.maximum(np.max(version, axis=0), np.where(old, made.version, 0)),
        count=np.where(old, made.count, np.max(count, axis=0)),
        covered_ms=np.min(covered, axis=0),
        quality=np.max(worst, axis=0),
        **columns,
    )
    return _replaced(rows, total)


def integrated(
    rows: IntervalBlock, power: IntervalBlock, starts: Ints, *, exported: bool
) -> IntervalBlock:
    """Return rows of an energy with that from power following the corrected power.

    Of a corrected interval only the mean is known, so that all of it is import, or all export.

    Args:
        rows: The energy as it is so far, sorted by start.
        power: Total active power with what people have corrected [W].
        starts: Where that has changed [ms].
        exported: The energy is that of the negative part.
    """
    starts = np.intersect1d(starts, rows.start_ms[rows.quality == Quality.DERIVED])
    placed, there = _placed(power, starts)
    placed, starts = placed.take(there), starts[there]
    if not len(starts):
        return rows
    energy, _ = _placed(rows, starts)
    flow = imported_and_exported(placed.mean)[int(exported)]
    made = replace(
        energy,
        amount=flow * (placed.duration_ms / HOUR_MS),
        covered_ms=placed.covered_ms,
        quality=np.maximum(placed.quality, Quality.DERIVED),
    )
    return _replaced(rows, made)


def _total(phases: Sequence[IntervalBlock]) -> int:
    channel = next(int(phase.channel[0]) for phase in phases if len(phase))
    return channel - channel % 4


def _first(name: str, placed: Sequence[tuple[IntervalBlock, Bools]]) -> Ints:
    """Return a column that is the same in every phase that is there."""
    found = np.zeros(len(placed[0][1]), np.int64)
    for block, there in reversed(placed):
        found = np.where(there, getattr(block, name), found)
    return found


def _sum(parts: Sequence[Floats], there: Sequence[Bools]) -> Floats:
    """Return the sum of what is known, in the order of the phases; NaN where nothing is."""
    total, known = np.zeros(len(parts[0])), np.zeros(len(parts[0]), np.bool_)
    for part, here in zip(parts, there, strict=True):
        counts = here & ~np.isnan(part)
        with np.errstate(over="ignore"):
            total += np.where(counts, part, 0.0)
        known |= counts
    return finite(np.where(known, total, np.nan))


def _placed(rows: IntervalBlock, starts: Ints) -> tuple[IntervalBlock, Bools]:
    """Return the row of each start, and whether it is there; another or an unknown one if not."""
    place = np.searchsorted(rows.start_ms, starts)
    there = place < len(rows)
    there[there] = rows.start_ms[place[there]] == starts[there]
    if len(rows):
        return rows.take(np.minimum(place, len(rows) - 1)), there
    unknown: dict[str, Any] = {
        name: np.full(len(starts), np.nan) if name in FLOAT_COLUMNS else np.zeros_like(starts)
        for name in COLUMNS
    }
    return IntervalBlock(**unknown), there


def _replaced(rows: IntervalBlock, made: IntervalBlock) -> IntervalBlock:
    """Return rows sorted by start, some of them replaced or added."""
    kept = rows.take(~np.isin(rows.start_ms, made.start_ms))
    together = IntervalBlock.concatenate([kept, made])
    return together.take(np.argsort(together.start_ms, kind="stable"))
