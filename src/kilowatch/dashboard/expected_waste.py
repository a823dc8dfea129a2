"""Wasted hours that somebody has called expected: they are use, and no waste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from kilowatch.catalog import verdicts
from kilowatch.dashboard.rooms import Rooms
from kilowatch.model.blocks import Ints
from kilowatch.model.insight import EventKind, InsightEvent, Verdict, WasteHours
from kilowatch.model.points import DataPoint
from kilowatch.model.verdicts import Said, hours_of_week
from kilowatch.model.zones import Zone
from kilowatch.pipeline.grids import Bools

KINDS = list(EventKind)


def without_expected(
    rooms: Rooms, points: Sequence[DataPoint], hours: WasteHours
) -> tuple[WasteHours, int]:
    """Return wasted hours without those that are expected, and how many that were.

    Args:
        rooms: What the dashboard was given.
        points: Whose hours.
        hours: What was wasted, hour by hour.
    """
    owners = {point.organisation_id for point in points}
    with rooms.registry.catalog.reading() as session:
        said = [
            one
            for owner in owners
            for one in verdicts.of_events(session, owner).values()
            if one.verdict is Verdict.EXPECTED
        ]
    if not said or rooms.insights is None:
        return hours, 0
    events = {one.event_id: rooms.insights.event(one.event_id) for one in said}
    dropped = expected_hours(said, events, points, hours)
    kept = ~dropped
    left = WasteHours(
        hours.series[kept], hours.start_ms[kept], hours.amount[kept], hours.kind[kept]
    )
    return left, int(dropped.sum())


def expected_hours(
    said: Iterable[Said],
    events: Mapping[str, InsightEvent | None],
    points: Sequence[DataPoint],
    hours: WasteHours,
) -> Bools:
    """Tell of wasted hours which are expected, shape (n,).

    The hours of the event itself are; where that is so until a date, or every week at this time,
    later ones of the same kind too. What was seen at the supply of the same cause goes along.

    Args:
        said: What is expected, each as it stands.
        events: The events that it was said of, by name, as they are known now.
        points: Whose hours.
        hours: What was wasted.
    """
    by_id = {point.id: point for point in points}
    dropped = np.zeros(len(hours.series), np.bool_)
    for one in said:
        event, point = events.get(one.event_id), by_id.get(one.data_point_id)
        if event is None and point is None:
            continue
        series = [] if point is None else [point.series]
        series += [] if event is None else [event.series, *event.others]
        here = np.isin(hours.series, series)
        if not here.any():
            continue
        start_ms = one.start_ms if event is None else event.start_ms
        end_ms = one.end_ms if event is None else event.end_ms
        of_event = (hours.start_ms >= start_ms) & (hours.start_ms < end_ms)
        zone = Zone.of((point or points[0]).zone)
        dropped |= here & (of_event | _later(one, hours.start_ms, hours.kind, zone))
    return dropped


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
