"""Wasted hours that somebody has called expected: they are use, and no waste."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kilowatch.catalog import verdicts
from kilowatch.dashboard.needs import Insights
from kilowatch.dashboard.registry import Registry
from kilowatch.dashboard.waste_sums import KINDS
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import WASTE_KINDS, EventKind, InsightEvent, Verdict, WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import Said, hours_of_week
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools

ABOUT_USE = WASTE_KINDS | {
    EventKind.MISSED_SHUTDOWN, EventKind.NIGHT_LOAD, EventKind.LEVEL_SHIFT, EventKind.DRIFT,
    EventKind.SPIKE,
}  # fmt: skip
"""Kinds that say that more was used; that a voltage was expected says nothing of use."""

Expectation = tuple[Said, InsightEvent | None]
"""What is expected, and the event that it was said of, as it is known now; None if it is gone."""


def wasted(
    insights: Insights, registry: Registry, points: Sequence[DataPoint], from_ms: int, to_ms: int
) -> WasteHours:
    """Return wasted hours as the page of waste has them: without what people called expected.

    Args:
        insights: What was found.
        registry: Knows what was said of it.
        points: Whose hours.
        from_ms: First start [ms since 1970, UTC].
        to_ms: First start that is not wanted [ms since 1970, UTC].
    """
    hours = insights.waste(points, from_ms, to_ms)
    return without_expected(insights, registry, points, hours)[0]


def without_expected(
    insights: Insights, registry: Registry, points: Sequence[DataPoint], hours: WasteHours
) -> tuple[WasteHours, dict[int, int]]:
    """Return wasted hours without what is expected, and how many hours that took away, by site.

    Args:
        insights: What was found.
        registry: Knows what was said of it.
        points: Whose hours.
        hours: What was wasted, hour by hour.
    """
    told = expectations(insights, registry, points) if len(hours.series) else []
    kept, gone = parted(hours, told, points)
    sites = {point.series: point.site_id for point in points}
    return kept, dict(Counter(sites[one] for one in gone.series.tolist()))


def parted(
    hours: WasteHours, told: Sequence[Expectation], points: Sequence[DataPoint]
) -> tuple[WasteHours, WasteHours]:
    """Return wasted hours without what is expected, and those that are wholly expected.

    Args:
        hours: What was wasted, hour by hour.
        told: What is expected.
        points: Whose hours.
    """
    if not told:
        return hours, hours.take(np.zeros(0, np.int64))
    events = {one.event_id: event for one, event in told}
    amount = unexpected([one for one, _ in told], events, points, hours)
    kept = amount > 0
    return replace(hours, amount=amount).take(kept), hours.take(~kept)


def expectations(
    insights: Insights, registry: Registry, points: Sequence[DataPoint]
) -> list[Expectation]:
    """Return what is expected of data points, each with the event that it was said of.

    Args:
        insights: What was found.
        registry: Knows what was said of it.
        points: Which data points.
    """
    mine = {point.id for point in points}
    with registry.catalog.reading() as session:
        said = [
            one
            for owner in {point.organisation_id for point in points}
            for one in verdicts.of_events(session, owner).values()
            if one.verdict is Verdict.EXPECTED and one.data_point_id in mine
        ]
    return [(one, insights.event(one.event_id)) for one in said]


def unexpected(
    said: Iterable[Said],
    events: Mapping[str, InsightEvent | None],
    points: Sequence[DataPoint],
    hours: WasteHours,
) -> Floats:
    """Return what of wasted hours is not expected, shape (n,) [Wh or m³]; 0 where all of it is.

    The hours of the event itself are expected, however long it goes on; where that is so until a
    date, those before it, and where it is so every week at this time, later ones too: of the same
    kind and at the same data point. What was taken away there is taken away where the same cause
    was seen too, as at the supply: as much of it, and no more.

    Args:
        said: What is expected, each as it stands.
        events: The events that it was said of, by name, as they are known now.
        points: Whose hours.
        hours: What was wasted.
    """
    by_id = {point.id: point for point in points}
    amount = hours.amount.astype(np.float64)
    for one in said:
        event, point = events.get(one.event_id), by_id.get(one.data_point_id)
        if point is None or one.kind not in ABOUT_USE:
            continue
        start_ms = one.start_ms if event is None else event.start_ms
        end_ms = one.end_ms if event is None else event.end_ms
        if one.lasts == "until" and one.until_ms is not None:
            end_ms = min(end_ms, one.until_ms)
        own = (hours.series == point.series) & (amount > 0)
        of_event = (hours.start_ms >= start_ms) & (hours.start_ms < end_ms)
        own &= of_event | _later(one, hours.start_ms, hours.kind, Zone.of(point.zone))
        if event is not None and event.others and own.any():
            at_ms, first = np.unique(hours.start_ms[own], return_index=True)
            taken = amount[own][first]
            there = np.isin(hours.series, event.others) & np.isin(hours.start_ms, at_ms)
            place = np.searchsorted(at_ms, hours.start_ms[there])
            amount[there] = np.maximum(amount[there] - taken[place], 0.0)
        amount[own] = 0.0
    return amount


def _later(one: Said, start_ms: Ints, kind: Ints, zone: Zone) -> Bools:
    """Tell which hours after the event are like it, as long as that was said to last."""
    later: Bools = (start_ms >= one.start_ms) & (kind == KINDS.index(one.kind))
    if one.lasts == "until" and one.until_ms is not None:
        later &= start_ms < one.until_ms
        return later
    if one.lasts == "weekly":
        later &= np.isin(hours_of_week(start_ms, zone), one.hours_of_week(zone))
        return later
    return np.zeros(len(start_ms), np.bool_)
