"""What a correction or a rule would change, before anybody decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kilowatch.model.blocks import COLUMNS, IntervalBlock, Ints
from kilowatch.model.calendar import Zone
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.rollups import completeness, roll_up
from kilowatch.store.newest import sort_key

_COMPARED = tuple(name for name in COLUMNS if name not in {"series", "version", "count"})


@dataclass(frozen=True, slots=True)
class DayChange:
    """One channel on one local day, before and after; NaN where nothing is known.

    Attributes:
        channel: Channel code.
        start_ms: Start of the day [ms].
        duration_ms: Its length [ms].
        before: Total, unallocated amounts included, or the mean where there are no amounts.
        after: The same.
        before_completeness: Covered share, 0 to 1.
        after_completeness: The same.
        before_shares_ms: Covered time of each of ``blocks.SHARED`` [ms].
        after_shares_ms: The same.
    """

    channel: int
    start_ms: int
    duration_ms: int
    before: float
    after: float
    before_completeness: float
    after_completeness: float
    before_shares_ms: tuple[int, ...]
    after_shares_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change.

    Attributes:
        days: By channel and day, those that would be different.
        before: The intervals that would be different, as they are; a hole has no row.
        after: The same, as they would be.
    """

    days: tuple[DayChange, ...]
    before: IntervalBlock
    after: IntervalBlock


def preview(before: IntervalBlock, after: IntervalBlock, zone: Zone) -> Preview:
    """Compare the intervals of whole local days.

    Args:
        before: Of one stream, sorted by channel and start.
        after: The same stretch.
        zone: Of the site.
    """
    changed_before, changed_after = _different(before, after), _different(after, before)
    then, now = roll_up(before, "day", zone), roll_up(after, "day", zone)
    wanted = np.union1d(
        _keys(roll_up(before.take(changed_before), "day", zone)),
        _keys(roll_up(after.take(changed_after), "day", zone)),
    )
    days = []
    for key in wanted.tolist():
        one, other = then.take(_keys(then) == key), now.take(_keys(now) == key)
        known = other if len(other) else one
        days.append(
            DayChange(
                int(known.channel[0]),
                int(known.start_ms[0]),
                int(known.duration_ms[0]),
                _figure(one),
                _figure(other),
                _completeness(one),
                _completeness(other),
                _shares(one),
                _shares(other),
            )
        )
    days.sort(key=lambda day: (day.channel, day.start_ms))
    return Preview(tuple(days), before.take(changed_before), after.take(changed_after))


def _keys(rows: IntervalBlock) -> Ints:
    return (rows.channel << 42) | rows.start_ms


def _different(rows: IntervalBlock, others: IntervalBlock) -> Bools:
    """Return the rows that have no equal among the others, shape (n,)."""
    if not len(rows) or not len(others):
        return np.ones(len(rows), np.bool_)
    together = IntervalBlock.concatenate([rows, others])
    key = sort_key(together.series, together.channel, together.start_ms)
    mine, theirs = key[: len(rows)], key[len(rows) :]
    place = np.minimum(np.searchsorted(theirs, mine), len(theirs) - 1)
    same = theirs[place] == mine
    for name in _COMPARED:
        one, other = getattr(rows, name), getattr(others, name)[place]
        same &= (one == other) | (np.isnan(one) & np.isnan(other))
    return np.asarray(~same)


def _figure(day: IntervalBlock) -> float:
    if not len(day):
        return float("nan")
    amount, unallocated = float(day.amount[0]), float(day.unallocated[0])
    if np.isnan(amount) and not (unallocated > 0):
        return float(day.mean[0]) if np.isnan(day.unallocated[0]) else float("nan")
    return float(np.nansum([amount, unallocated]))


def _completeness(day: IntervalBlock) -> float:
    return float(completeness(day)[0]) if len(day) else 0.0


def _shares(day: IntervalBlock) -> tuple[int, ...]:
    return tuple(day.shares().sum(axis=0).tolist())
