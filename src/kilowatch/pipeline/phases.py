"""Electrical totals: phases summed where that means something, and energy from power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import Floats, Ints, Quality
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.registers import RegisterRows

PHASES = (1, 2, 3)


@dataclass(slots=True)
class PowerFactor:
    """What the power factor of a total is made of, per packet, shape (n,).

    Attributes:
        active: Sum of P over the phases that are known [W].
        apparent: Sum of S over the same phases [VA].
    """

    active: Floats
    apparent: Floats

    @property
    def per_packet(self) -> Floats:
        """The power factor of each packet; NaN where it is not known."""
        return ratio(self.active, self.apparent)


def ratio(over: Floats, under: Floats) -> Floats:
    """Return ``over / under``; NaN where that is no number (no load, or next to none)."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        quotient = over / under
    return np.where(np.isfinite(quotient), quotient, np.nan)


def sum_of_phases(phases: Sequence[Floats]) -> Floats:
    """Return the sum of the phases that a packet carries, shape (n,); NaN where none.

    A meter that sends its total in ``_1`` only is its own sum.
    """
    stacked = np.stack(phases)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total, np.nan)


def apparent_power(active: Floats, apparent: Floats, factor: Floats) -> Floats:
    """Return apparent power, where it is not known from the power factor [VA]; else NaN."""
    return np.where(np.isnan(apparent), np.abs(ratio(active, factor)), apparent)


def power_factor(
    active: Sequence[Floats], apparent: Sequence[Floats], factor: Sequence[Floats]
) -> PowerFactor:
    """Return sum P and sum S of each packet, for the power factor of the total.

    A phase without apparent power gets it from its own power factor (S = abs(P / PF)); a
    phase where neither is known counts in neither sum. A packet with ``pF_1`` alone is a
    meter that sends its total there: it stands for itself, with a weight of 1 VA.

    Args:
        active: ``aP`` of phases 1 to 3, each shape (n,) [W].
        apparent: ``apP`` of phases 1 to 3, each shape (n,) [VA].
        factor: ``pF`` of phases 1 to 3, each shape (n,).
    """
    p, s, pf = np.stack(active), np.stack(apparent), np.stack(factor)
    s = apparent_power(p, s, pf)
    both = ~np.isnan(p) & ~np.isnan(s)
    total_p, total_s = np.where(both, p, 0.0).sum(axis=0), np.where(both, s, 0.0).sum(axis=0)
    alone = ~np.isnan(pf[0]) & np.isnan(pf[1:]).all(axis=0) & np.isnan(p).all(axis=0)
    known = both.any(axis=0) & (total_s > 0)
    return PowerFactor(
        active=np.where(alone, pf[0], np.where(known, total_p, np.nan)),
        apparent=np.where(alone, 1.0, np.where(known, total_s, np.nan)),
    )


def total_register(parts: Sequence[tuple[RegisterRows, int]]) -> RegisterRows:
    """Add up the register rows of an energy's phases.

    Args:
        parts: For each phase, rows and which of their channels it is.

    Returns:
        Rows of one channel: amounts are summed over the phases that are known, the
        coverage is that of the phase least known, the quality that of the worst.
    """
    if all(rows.key is parts[0][0].key for rows, _ in parts):
        key = parts[0][0].key
        places: list[Ints | slice] = [slice(None)] * len(parts)
    else:
        key = np.unique(np.concatenate([rows.key for rows, _ in parts]))
        places = [np.searchsorted(key, rows.key) for rows, _ in parts]
    size = len(key)
    version, fresh = np.zeros(size, np.int64), np.zeros(size, np.bool_)
    count, quality = np.zeros(size, np.int64), np.full(size, int(Quality.VALID))
    amount, unallocated = np.zeros(size), np.zeros(size)
    known, present = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    covered_ms = np.full(size, np.iinfo(np.int64).max)
    for (rows, channel), at in zip(parts, places, strict=True):
        here, part = rows.present[channel], rows.amount[channel]
        version[at] = np.maximum(version[at], np.where(here, rows.version, 0))
        fresh[at] |= rows.fresh & here
        count[at] = np.maximum(count[at], rows.count[channel])
        quality[at] = np.maximum(quality[at], rows.quality[channel])
        amount[at] += np.where(np.isnan(part), 0.0, part)
        known[at] |= ~np.isnan(part)
        unallocated[at] += rows.unallocated[channel]
        covered_ms[at] = np.minimum(
            covered_ms[at], np.where(here, rows.covered_ms[channel], covered_ms[at])
        )
        present[at] |= here
    return RegisterRows(
        key=key,
        version=version,
        fresh=fresh,
        count=count[None],
        amount=np.where(known, amount, np.nan)[None],
        unallocated=unallocated[None],
        covered_ms=np.where(present, covered_ms, 0)[None],
        quality=quality[None],
        present=present[None],
    )


def imported_and_exported(power_w: Floats) -> tuple[Floats, Floats]:
    """Split total active power into what flows in and what flows out, shape (n,) [W]."""
    return np.maximum(power_w, 0.0), np.maximum(-power_w, 0.0)


def first_of_stream(stream: Ints, at_ms: Ints, where: Bools, known_ms: Ints) -> Ints:
    """Return each stream's first instant at which something was so.

    Args:
        stream: Number of the stream of each reading, rising, shape (n,).
        at_ms: Effective instants, shape (n,) [ms].
        where: It was so in this reading, shape (n,).
        known_ms: What was known before, shape (streams,) [ms].
    """
    out = known_ms.copy()
    rows = np.flatnonzero(where)
    if len(rows):
        some, first = np.unique(stream[rows], return_index=True)
        out[some] = np.minimum(out[some], at_ms[rows[first]])
    return out
