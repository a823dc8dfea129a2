"""Which hours of an event of waste were wasted: it lasts over the quiet ones between them.

A weekend event goes on until a week has passed without any, so that the next weekend can be more
of it; what was used then, as needed, is no waste and must not look so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kilowatch.dashboard.insight_rows import Shown
from kilowatch.dashboard.needs import Insights
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.insight import EventKind, InsightEvent, WasteHours
from kilowatch.model.lengths import HOUR_MS

KINDS = tuple(EventKind)
SHOWN_MS_MAX = 62 * 24 * HOUR_MS
"""Of a longer stretch an hour is thinner than a pixel, and the event's whole time is shown."""

SMALL = 0.1
"""Part of an event's mean hour below which an hour is not shown: what the signs of a wasted weekend
still say of the next Saturday is no picture of waste, though it is in the sums."""

Spans = Mapping[str, list[list[int]]]
"""By an event's name: from when to when it wasted something in a stretch, rising [ms]; events of
which no hour is known are not among them."""


def spans_of(insights: Insights, events: Sequence[Shown], from_ms: int, to_ms: int) -> Spans:
    """Return the wasted hours of events within a stretch, those that follow each other as one.

    Args:
        insights: What was found.
        events: Which; those that are no waste are left out.
        from_ms: Start of the stretch [ms since 1970, UTC].
        to_ms: Its end [ms since 1970, UTC].
    """
    wasted = [one for one in events if one.event.is_waste]
    if not wasted or to_ms - from_ms > SHOWN_MS_MAX:
        return {}
    points = {one.point.series: one.point for one in wasted}
    # As far as the events reach: what an hour of one is like is not told by a quiet stretch of it.
    begin = max(from_ms - SHOWN_MS_MAX, min(one.event.start_ms for one in wasted))
    end = min(to_ms + SHOWN_MS_MAX, max(one.event.end_ms for one in wasted))
    hours = insights.waste(list(points.values()), min(begin, from_ms), max(end, to_ms))
    found: dict[str, list[list[int]]] = {}
    for one in wasted:
        starts = _hours_of(one.event, hours)
        if len(starts):
            found[one.event.id] = _runs(starts[(starts >= from_ms) & (starts < to_ms)])
    return found


def counted_of(insights: Insights, shown: Shown, from_ms: int, to_ms: int) -> tuple[Ints, Floats]:
    """Return what is counted as waste of an event, hour by hour: its sum is made of these.

    Args:
        insights: What was found.
        shown: Which; of one that is no waste there is nothing.
        from_ms: Start of the stretch [ms since 1970, UTC].
        to_ms: Its end [ms since 1970, UTC].

    Returns:
        Starts of the hours, rising [ms], and the waste in each [Wh or m³].
    """
    hours = insights.waste([shown.point], from_ms, to_ms)
    mine = _rows_of(shown.event, hours) if shown.event.is_waste else np.empty(0, np.int64)
    return hours.start_ms[mine], hours.amount[mine]


def _hours_of(event: InsightEvent, hours: WasteHours) -> Ints:
    """Return the hours of an event that are worth a picture, rising [ms]."""
    mine = _rows_of(event, hours)
    amount, starts = hours.amount[mine], hours.start_ms[mine]
    return np.unique(starts[amount >= SMALL * amount.mean()]) if len(starts) else starts


def _rows_of(event: InsightEvent, hours: WasteHours) -> Ints:
    """Return which hours are of an event, as an index."""
    parts = event.evidence.get("parts", ())
    kinds = {event.kind.value, *(part["kind"] for part in parts)}
    numbers = [number for number, kind in enumerate(KINDS) if kind.value in kinds]
    mine = (hours.series == event.series) & np.isin(hours.kind, numbers)
    mine &= (hours.start_ms >= event.start_ms) & (hours.start_ms < event.end_ms)
    return np.flatnonzero(mine)


def _runs(starts: Ints) -> list[list[int]]:
    """Return hours that follow each other as stretches [ms]."""
    if not len(starts):
        return []
    cuts = np.flatnonzero(np.diff(starts) > HOUR_MS) + 1
    return [[int(one[0]), int(one[-1]) + HOUR_MS] for one in np.split(starts, cuts)]
