"""Insights without a pipeline: bands of the same hour of the week, and events that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kilowatch.dashboard.hourly import Hourly, has_hours, hourly
from kilowatch.model.insight import (
    QUANTILES,
    Ahead,
    EventBrief,
    EventKind,
    Expected,
    InsightEvent,
    Needed,
    Outlook,
    Standing,
    WasteChanges,
    WasteHours,
)
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.knowledge import Backlog
from tests.dashboard.fakes import FakeView

WEEK_MS = 168 * HOUR_MS


def event(
    series: int, kind: EventKind, start_ms: int, hours: int, **changes: object
) -> InsightEvent:
    """Return an event of some hours; its id tells series and kind."""
    whole = start_ms // HOUR_MS * HOUR_MS
    made = InsightEvent(
        id=f"{series}-{kind}-{whole // HOUR_MS}",
        series=series,
        kind=kind,
        start_ms=whole,
        end_ms=whole + hours * HOUR_MS,
        open=False,
        found_ms=whole + 2 * HOUR_MS,
        amount=40_000.0,
        confidence=0.9,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class FakeInsights:
    """Answers from what the view has; causal: a band rests on the weeks before its hour."""

    view: FakeView
    found: dict[int, list[InsightEvent]] = field(default_factory=dict)
    wasted: WasteHours | None = None
    standings: dict[int, Standing] = field(default_factory=dict)
    openings: dict[int, tuple[bool, ...]] = field(default_factory=dict)
    behind: Backlog = field(default_factory=Backlog)
    error: float = 0.71
    knows_need: bool = True

    def backlog(self) -> Backlog:
        """Return how far it is: as a test says."""
        return self.behind

    def put(self, *events: InsightEvent) -> None:
        """Add events."""
        for one in events:
            self.found.setdefault(one.series, []).append(one)

    def events(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool = False
    ) -> Mapping[int, tuple[InsightEvent, ...]]:
        """Return the events that touch a stretch."""
        wanted = {point.series for point in points}
        return {
            series: some
            for series, events in self.found.items()
            if series in wanted
            and (
                some := tuple(
                    e
                    for e in events
                    if e.end_ms > from_ms and e.start_ms < to_ms and (e.is_waste or not waste)
                )
            )
        }

    def briefs(
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int, *, waste: bool = False
    ) -> Sequence[EventBrief]:
        """Return what the events that touch a stretch are ranked by."""
        found = self.events(points, from_ms, to_ms, waste=waste).values()
        return [EventBrief(e.id, e.series, e.start_ms, e.size) for some in found for e in some]

    def event(self, event_id: str) -> InsightEvent | None:
        """Return one event."""
        everything = (one for events in self.found.values() for one in events)
        return next((one for one in everything if one.id == event_id), None)

    def expected(self, point: DataPoint, from_ms: int, to_ms: int) -> Expected:
        """Return quantiles of the same hour of up to six weeks before."""
        first = from_ms // HOUR_MS * HOUR_MS
        count = max(0, (to_ms - first) // HOUR_MS)
        back = hourly(self.view, [point], first - 6 * WEEK_MS, to_ms).get(point.series)
        if back is None or not count:
            none = np.empty(0, np.int64)
            return Expected(none, none, np.empty((5, 0)), ())
        before = np.stack(
            [
                Hourly(back.start_ms + week * WEEK_MS, back.rate).on_grid(first, count)
                for week in range(1, 7)
            ]
        )
        known = np.isfinite(before).sum(axis=0) >= 2
        starts = first + np.arange(count, dtype=np.int64)[known] * HOUR_MS
        rate = (
            np.nanquantile(before[:, known], QUANTILES, axis=0) if known.any() else np.empty((5, 0))
        )
        return Expected(starts, starts - 24 * HOUR_MS, rate, ("prior",) * len(starts))

    def needed(self, point: DataPoint, from_ms: int, to_ms: int) -> Needed:
        """Return what was used but for what was wasted, where a test does not say otherwise."""
        own = hourly(self.view, [point], from_ms, to_ms).get(point.series)
        if own is None or self.wasted is None or not self.knows_need:
            return Needed(np.empty(0, np.int64), np.empty(0))
        waste = self.waste([point], from_ms, to_ms)
        wasted = dict(zip(waste.start_ms.tolist(), waste.amount.tolist(), strict=True))
        less = np.array([wasted.get(at_ms, 0.0) for at_ms in own.start_ms.tolist()])
        return Needed(own.start_ms, own.rate - less)

    def outlook(self, point: DataPoint) -> Outlook | None:
        """Return the next 48 hours after the last one, and the sums that follow from them."""
        if not has_hours(point) or point.series not in self.view.rows:
            return None
        newest = int(self.view.rows[point.series].start_ms.max()) // HOUR_MS * HOUR_MS
        hours = self.expected(point, newest, newest + 48 * HOUR_MS)
        if not len(hours.start_ms):
            return None
        ends = []
        for period, grain in (("day", "day"), ("week", "week"), ("month", "month")):
            ends.append(self._ahead(point, period, grain, newest))
        return Outlook(newest, "prior-1", hours, tuple(ends), self.error, 0.9)

    def _ahead(self, point: DataPoint, period: str, grain: str, newest: int) -> Ahead:
        from kilowatch.model.calendar import grain_end_ms, grain_start_ms  # noqa: PLC0415

        zone = Zone.of(point.zone)
        begin = int(grain_start_ms([newest], grain, zone)[0])  # type: ignore[arg-type]
        end = int(grain_end_ms([newest], grain, zone)[0])  # type: ignore[arg-type]
        known = hourly(self.view, [point], begin, newest)[point.series]
        so_far = float(known.rate.sum())
        rest = self.expected(point, newest, end).rate
        sums = rest.sum(axis=1)[[0, 2, 4]] if rest.size else np.zeros(3)
        peaks = rest.max(axis=1)[[0, 2, 4]] if rest.size else np.zeros(3)
        most = float(known.rate.max()) if len(known.rate) else 0.0
        days = np.array([begin, *zone.day_starts_within(begin + 1, end)], np.int64)
        coming = self.expected(point, newest, end)
        starts = np.concatenate([known.start_ms, coming.start_ms])
        hours = np.concatenate([known.rate, coming.rate[2]])
        place = np.searchsorted(days, starts, side="right") - 1
        daily = np.bincount(place, weights=hours, minlength=len(days)).astype(np.float64)
        return Ahead(period, end, so_far, so_far + sums, np.maximum(peaks, most), days, daily)

    def waste(self, points: Sequence[DataPoint], from_ms: int, to_ms: int) -> WasteHours:
        """Return the wasted hours that were given."""
        none = np.empty(0, np.int64)
        if self.wasted is None:
            return WasteHours(none, none, np.empty(0), none)
        inside = np.isin(self.wasted.series, [p.series for p in points])
        inside &= (self.wasted.start_ms >= from_ms) & (self.wasted.start_ms < to_ms)
        return WasteHours(
            self.wasted.series[inside],
            self.wasted.start_ms[inside],
            self.wasted.amount[inside],
            self.wasted.kind[inside],
        )

    def waste_changes(self, after: int | None) -> WasteChanges:
        """Return that anything may have changed: a test sets what was wasted at any time."""
        none = np.empty(0, np.int64)
        return WasteChanges((after or 0) + 1, none, none, none, everything=True)

    def standing(self, points: Sequence[DataPoint]) -> dict[int, Standing]:
        """Return what was given."""
        found = {point.series: self.standings.get(point.series) for point in points}
        return {series: one for series, one in found.items() if one is not None}

    def opening(self, point: DataPoint) -> tuple[bool, ...] | None:
        """Return what was given."""
        return self.openings.get(point.series)
