"""Values and sums against their limits, for the series that changed and for no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import structlog

from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.calendar import grain_end_ms, grain_start_ms
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.notify.needs import LastValue, Measurements
from kilowatch.notify.quantities import QUANTITIES, Quantity
from kilowatch.notify.rules import Period, Rule, Rules, Terms

log = structlog.get_logger("notify")

STALE_MS = 2 * DAY_MS
"""History that is put in later raises no alert: a rule tells what is, not what was."""
NEAR = 16  # intervals: streams whose last packets are closer are asked for together
WH_PER_KWH = 1000.0
COMPLETE = 0.999  # of an interval: a sum of seconds may miss one to rounding


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says about a data point now.

    Attributes:
        past: Past the limit for as many readings as the rule asks; False: back for as many.
        since_ms: The first of those readings [ms since 1970, UTC].
        value: The last reading, or the sum [the rule's unit, or money].
        until_ms: End of the period that a sum is counted over, else None.
    """

    rule: Rule
    point: DataPoint
    past: bool
    since_ms: int
    value: float
    until_ms: int | None = None


def thresholds(
    view: Measurements, rules: Rules, points: Iterable[DataPoint], now_ms: int
) -> Iterator[Verdict]:
    """Yield what the threshold rules say about data points; nothing where it is undecided.

    Args:
        view: The measurements.
        rules: The rules in force.
        points: Data points that have new readings.
        now_ms: What time it is [ms since 1970, UTC].
    """
    watched = {
        point: found
        for point in points
        if (found := [r for r in rules.watching_point(point, "threshold") if r.fits(point)])
    }
    lasts = view.last_values(list(watched))
    for group in _neighbours(watched, lasts, now_ms):
        interval_ms = group[0].interval_s * 1000
        latest = [lasts[point.series].at_ms for point in group]
        longest = max(rule.terms.consecutive for point in group for rule in watched[point])
        channels = {
            channel
            for point in group
            for rule in watched[point]
            for channel in QUANTITIES[rule.terms.quantity].channels(point)
        }
        block = view.series_many(
            group,
            sorted(channels),
            min(latest) - (longest + 1) * interval_ms,
            max(latest) + interval_ms + 1,
            "interval",
        )
        for point, rows in _by_series(block, group):
            for rule in watched[point]:
                verdict = _threshold(rule, point, rows)
                if verdict is not None:
                    yield verdict


def sums(
    view: Measurements, rules: Rules, points: Iterable[DataPoint], now_ms: int
) -> Iterator[Verdict]:
    """Yield what the rules about sums so far say about data points."""
    groups: dict[tuple[str, Period, str], list[tuple[DataPoint, Rule]]] = defaultdict(list)
    for point in points:
        for rule in rules.watching_point(point, "cumulated"):
            if rule.fits(point):
                terms = rule.terms
                groups[point.zone, terms.period, terms.quantity].append((point, rule))
    for (zone_name, period, key), wanted in groups.items():
        zone = Zone.of(zone_name)
        start = int(grain_start_ms([now_ms], period, zone)[0])
        until = int(grain_end_ms([now_ms], period, zone)[0])
        group = list(dict.fromkeys(point for point, _ in wanted))
        channels = {channel for point in group for channel in QUANTITIES[key].channels(point)}
        block = view.series_many(group, sorted(channels), start, now_ms + 1, period)
        found = dict(_by_series(block, group))
        for point, rule in wanted:
            rows = found.get(point)
            if rows is not None:
                # As on the pages: what a register counted across a gap belongs to the total.
                amounts = np.concatenate([rows.amount, rows.unallocated])
                if not np.isnan(amounts).all():
                    value = _priced(float(np.nansum(amounts)), rule.terms)
                    past = value > rule.terms.limit
                    yield Verdict(rule, point, past, start, value, until)


def _neighbours(
    watched: Mapping[DataPoint, list[Rule]], lasts: Mapping[int, LastValue], now_ms: int
) -> list[list[DataPoint]]:
    """Return groups of data points that one query can answer."""
    groups: dict[tuple[int, int], list[DataPoint]] = defaultdict(list)
    for point in watched:
        last = lasts.get(point.series)
        if last is not None and last.at_ms >= now_ms - STALE_MS - point.gap_ms:
            near = last.at_ms // (NEAR * point.interval_s * 1000)
            groups[point.interval_s, near].append(point)
    return list(groups.values())


def _by_series(
    block: IntervalBlock, points: list[DataPoint]
) -> Iterator[tuple[DataPoint, IntervalBlock]]:
    order = np.argsort(block.series, kind="stable")
    ordered = block.take(order)
    for point in points:
        first, end = np.searchsorted(ordered.series, [point.series, point.series + 1])
        if first < end:
            yield point, ordered.take(slice(int(first), int(end)))


def _threshold(rule: Rule, point: DataPoint, rows: IntervalBlock) -> Verdict | None:
    terms, quantity = rule.terms, QUANTITIES[rule.terms.quantity]
    starts, values = _readings(rows, quantity, point, above=terms.above)
    if len(starts) < terms.consecutive:
        return None
    starts, values = starts[-terms.consecutive :], values[-terms.consecutive :]
    if (np.diff(starts) > 1.5 * point.interval_s * 1000).any() and point.interval_s < 86_400:
        return None  # a hole: these readings do not follow one another
    past = values > terms.limit if terms.above else values < terms.limit
    if not terms.hours.always:
        zone = Zone.of(point.zone)
        past &= np.array([terms.hours.holds(int(start), zone) for start in starts])
    if not past.all() and past.any():
        return None
    return Verdict(rule, point, bool(past.all()), int(starts[0]), float(values[-1]))


def _readings(
    rows: IntervalBlock, quantity: Quantity, point: DataPoint, *, above: bool
) -> tuple[Ints, Floats]:
    """Return the starts and values to compare, the phase that is furthest out at each.

    A mean counts as soon as the interval's first packet is there; an amount when the interval is
    complete, since half an interval's energy is no sign of anything.
    """
    rows = rows.take(np.isin(rows.channel, quantity.channels(point)))
    if quantity.measure(point) == "amount":
        rows = rows.take(rows.covered_ms >= COMPLETE * rows.duration_ms)
        values = rows.amount
    else:
        values = rows.mean
    known = np.isfinite(values)
    starts, place = np.unique(rows.start_ms[known], return_inverse=True)
    furthest = np.full(len(starts), -np.inf if above else np.inf)
    (np.maximum if above else np.minimum).at(furthest, place, values[known])
    return starts, furthest


def _priced(amount: float, terms: Terms) -> float:
    if terms.price_per_kwh is None:
        return amount
    return amount / WH_PER_KWH * terms.price_per_kwh
