"""Validation: which intervals are odd by a data point's rules, and one event for each run of them.

A rule sees intervals as they were computed, some before and some after the one in question, and
nothing else. So its answer is the same live, after a restart and when history is computed again;
``ahead_ms`` says when it is final.
"""

from __future__ import annotations

import msgspec
import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.editing import Rules
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.grids import Bools

DEMAND_MAX, SPIKE, ZERO_RUN, NEGATIVE = 1, 2, 4, 8
"""Bits of what ``judged`` returns; stored in events, never changed."""
VIOLATIONS = (DEMAND_MAX, SPIKE, ZERO_RUN, NEGATIVE)

NEIGHBOURS = 4
"""Intervals on each side that a spike is compared with; a median of four bears one other spike."""
NEIGHBOURS_MIN = 3  # of them known, or nothing is said

_COVERED_ENOUGH = 0.9  # five minutes of an hour say nothing about its mean


class Event(msgspec.Struct, array_like=True):
    """A run of neighbouring intervals that violate the same rule.

    Attributes:
        rule: One of ``VIOLATIONS``.
        channel: Channel code.
        from_ms: Start of the first interval [ms].
        until_ms: End of the last one [ms].
        intervals: How many.
        worst: The figure furthest from what is plausible [canonical unit of demand or gauge].
        worst_ms: Start of its interval [ms].
        limit: What the rule allows: the same unit, or seconds for a run of zeros.
    """

    rule: int
    channel: int
    from_ms: int
    until_ms: int
    intervals: int
    worst: float
    worst_ms: int
    limit: float


def behind_ms(rules: Rules, interval_ms: int) -> int:
    """Return how far before an interval its rules look [ms]."""
    back_ms = NEIGHBOURS * interval_ms if rules.spike_factor is not None else 0
    if rules.zero_run_s is not None:
        back_ms = max(back_ms, rules.zero_run_s * 1000 + interval_ms)
    return back_ms


def ahead_ms(rules: Rules, interval_ms: int) -> int:
    """Return how long after an interval its verdict is final [ms]."""
    return NEIGHBOURS * interval_ms if rules.spike_factor is not None else 0


def demand_of(rows: IntervalBlock) -> Floats:
    """Return what rules compare, shape (n,): mean demand where there are amounts, else the mean.

    NaN where too little of the interval is covered.
    """
    enough = (rows.covered_ms > 0) & (rows.covered_ms >= rows.duration_ms * _COVERED_ENOUGH)
    hours = np.where(enough, rows.covered_ms, np.nan) / HOUR_MS
    return np.where(np.isnan(rows.amount), np.where(enough, rows.mean, np.nan), rows.amount / hours)


def judged(rows: IntervalBlock, rules: Rules, interval_ms: int | Ints) -> Ints:
    """Return which rules each row violates, as bits, shape (n,).

    Args:
        rows: Rows of one channel as they were computed, sorted by start, with the neighbours
            that ``behind_ms`` and ``ahead_ms`` ask for.
        rules: The data point's.
        interval_ms: Of its grid, for all rows or for each [ms].
    """
    found = np.zeros(len(rows), np.int64)
    if not len(rows) or not rules.judge:
        return found
    demand = demand_of(rows)
    if rules.demand_max is not None:
        found[demand > rules.demand_max] |= DEMAND_MAX
    if rules.negative:
        found[rows.amount < 0] |= NEGATIVE
    if rules.spike_factor is not None:
        found[_spikes(rows.start_ms, demand, rules.spike_factor, interval_ms)] |= SPIKE
    if rules.zero_run_s is not None:
        found[_zero_for_long(rows, demand, rules.zero_run_s * 1000)] |= ZERO_RUN
    return found


def _spikes(start_ms: Ints, demand: Floats, factor: float, interval_ms: int | Ints) -> Bools:
    """Return the rows that exceed the median of the rows before them and that of those after.

    Both, since a machine that was switched on exceeds what was before it, and one that will be
    switched off what comes after.
    """
    before = _median_beside(start_ms, demand, interval_ms, -1)
    after = _median_beside(start_ms, demand, interval_ms, 1)
    level = np.maximum(before, after)  # NaN where one of them is
    # Beside nothing at all everything is many times more: that says nothing.
    return np.asarray((level > 0) & (demand > factor * level))


def _median_beside(start_ms: Ints, demand: Floats, interval_ms: int | Ints, side: int) -> Floats:
    """Return the median of the neighbours on one side of each row; NaN where too few are known."""
    size = len(demand)
    beside = np.full((NEIGHBOURS, size), np.nan)
    reach_ms = np.broadcast_to(NEIGHBOURS * np.asarray(interval_ms), size)
    for step in range(1, min(NEIGHBOURS, size - 1) + 1):
        here, there = slice(step, None), slice(None, size - step)
        if side > 0:
            here, there = there, here
        reached_ms = np.maximum(reach_ms[here], reach_ms[there])  # also across a change of it
        near = np.abs(start_ms[there] - start_ms[here]) <= reached_ms
        beside[step - 1, here] = np.where(near, demand[there], np.nan)
    known = (~np.isnan(beside)).sum(axis=0)
    ordered = np.sort(beside, axis=0)  # NaN last
    median = np.where(known == NEIGHBOURS, (ordered[1] + ordered[2]) / 2, ordered[1])
    return np.where(known >= NEIGHBOURS_MIN, median, np.nan)


def _zero_for_long(rows: IntervalBlock, demand: Floats, longest_ms: int) -> Bools:
    """Return the rows by whose end nothing has been counted for longer than allowed.

    Only those: at the time of the earlier ones nobody could know. A hole ends a run.
    """
    zero = (demand == 0) & ~(rows.unallocated > 0)
    end_ms = rows.start_ms + rows.duration_ms
    begins = zero.copy()
    begins[1:] &= ~zero[:-1] | (rows.start_ms[1:] != end_ms[:-1])
    since_ms = np.maximum.accumulate(np.where(begins, rows.start_ms, 0))
    return np.asarray(zero & (end_ms - since_ms > longest_ms))


def events_of(rows: IntervalBlock, bits: Ints, rules: Rules) -> list[Event]:
    """Return the runs of violations in rows of one channel, sorted by start.

    Args:
        rows: As they were computed.
        bits: Which rules they violate, shape (n,).
        rules: The data point's.
    """
    if not bits.any():
        return []
    demand = demand_of(rows)
    demand = np.where(np.isnan(demand), rows.amount, demand)
    limits = {
        DEMAND_MAX: rules.demand_max,
        SPIKE: rules.spike_factor,
        ZERO_RUN: rules.zero_run_s,
        NEGATIVE: 0.0,
    }
    found = []
    for rule in VIOLATIONS:
        places = np.flatnonzero(bits & rule)
        if not len(places):
            continue
        chosen = rows.take(places)
        end_ms = chosen.start_ms + chosen.duration_ms
        apart = np.flatnonzero(chosen.start_ms[1:] != end_ms[:-1]) + 1
        for run in np.split(np.arange(len(places)), apart):
            figures = demand[places[run]]
            worst = int(np.argmin(figures) if rule == NEGATIVE else np.argmax(figures))
            limit = limits[rule]
            assert limit is not None
            found.append(
                Event(
                    rule,
                    int(chosen.channel[0]),
                    int(chosen.start_ms[run[0]]),
                    int(end_ms[run[-1]]),
                    len(run),
                    float(figures[worst]),
                    int(chosen.start_ms[run[worst]]),
                    float(limit),
                )
            )
    return found


def joined(events: list[Event], later: list[Event]) -> list[Event]:
    """Return events with later ones added; a run that goes on where one ended is one event.

    Args:
        events: Of a stream.
        later: Of the same stream, of intervals after those.
    """
    found = list(events)
    last = {(event.rule, event.channel): place for place, event in enumerate(found)}
    for event in later:
        key = (event.rule, event.channel)
        place = last.get(key)
        if place is None or found[place].until_ms != event.from_ms:
            last[key] = len(found)
            found.append(event)
            continue
        before = found[place]
        sign = -1 if event.rule == NEGATIVE else 1
        worst = before if sign * before.worst >= sign * event.worst else event
        found[place] = Event(
            event.rule,
            event.channel,
            before.from_ms,
            event.until_ms,
            before.intervals + event.intervals,
            worst.worst,
            worst.worst_ms,
            event.limit,
        )
    return sorted(found, key=lambda event: (event.from_ms, event.rule, event.channel))
