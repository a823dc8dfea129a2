"""Histories of hours without packets: a year takes seconds, and the future lies open to be seen.

The view shows every hour of a stream at all times, also those that have not come yet. So what is
found can be shown not to rest on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.calendar import Grain
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import Follower, FollowSettings, InsightView, Knowledge
from kilowatch.pipeline.insight.columns import EVENT, decode
from kilowatch.pipeline.insight.reader import InsightReader
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.state import Progress, StreamState
from kilowatch.pipeline.streams import Streams
from tests.pipeline.insight_world import MONDAY_MS
from tests.pipeline.pipeline_world import Points


class AllHours:
    """Every hour of every stream, come or to come."""

    def __init__(self, values: Mapping[int, Floats]) -> None:
        self.values = dict(values)
        self.read = 0

    def series_many(
        self,
        points: Sequence[DataPoint],
        _channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock:
        """Return hours, or what they roll up to."""
        parts = []
        for point in points:
            own = self.values[point.series]
            first = max((from_ms - MONDAY_MS) // HOUR_MS, 0)
            last = max((to_ms - MONDAY_MS) // HOUR_MS, 0)
            parts.append(_block(point, own[first:last], MONDAY_MS + first * HOUR_MS))
            self.read += len(own[first:last])
        hours = IntervalBlock.concatenate(parts)
        return (
            hours
            if grain in ("hour", "interval")
            else roll_up(hours, grain, Zone.of(points[0].zone))
        )


def _block(point: DataPoint, values: Floats, from_ms: int) -> IntervalBlock:
    known = np.flatnonzero(np.isfinite(values))
    count = len(known)
    whole = np.full(count, HOUR_MS, np.int64)
    unknown = np.full(count, np.nan)
    gauge = point.behaviour == "gauge"
    channel = 24 if point.kind == "electrical" else 0
    return IntervalBlock(
        series=np.full(count, point.series, np.int64),
        channel=np.full(count, channel, np.int64),
        start_ms=from_ms + known * HOUR_MS,
        duration_ms=whole,
        version=np.ones(count, np.int64),
        count=np.ones(count, np.int64),
        mean=values[known] if gauge else unknown,
        low=unknown,
        high=unknown,
        amount=unknown if gauge else values[known],
        unallocated=unknown,
        covered_ms=whole,
        quality=np.zeros(count, np.int64),
    )


@dataclass
class Snapshot:
    """Everything that was found.

    Attributes:
        events: By key, all columns.
        bands: By stream and first hour: when made, by whom, the numbers.
        waste: By stream and first hour: amounts and kinds.
        openings: Learnt opening hours by stream.
        standings: What is always on, by stream.
    """

    events: dict[str, tuple[Any, ...]]
    bands: dict[tuple[int, int], tuple[int, str, Any]]
    waste: dict[tuple[int, int], tuple[Floats, list[int]]]
    openings: dict[int, bytes]
    standings: dict[int, Any]


class History:
    """Streams with a past and a future, and insights that follow them."""

    def __init__(
        self,
        folder: Path,
        points: Sequence[DataPoint],
        values: Mapping[int, Floats],
        facts: Mapping[int, SiteFacts] | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self.folder = folder
        self.points = Points({one.series: one for one in points})
        self.view = AllHours(values)
        self.streams = Streams()
        self.streams.busy = ""
        self.generation = dict.fromkeys(values, 1)
        facts = facts or {}
        self.knowledge = knowledge or Knowledge(facts=lambda: facts)
        self.follower: Follower
        self.first_ms = dict.fromkeys(values, MONDAY_MS)
        self.seconds = 0.0

    def start(self, name: str = "insights.sqlite", **settings: Any) -> Follower:
        """Start insights from what is on disk."""
        self.path = self.folder / name
        usual: dict[str, Any] = {
            "slice_s": 1e9, "train_again_s": math.inf, "clock": lambda: self.seconds
        }  # fmt: skip
        self.follower = Follower(
            view=self.view,  # type: ignore[arg-type]
            streams=self.streams,
            points=lambda: self.points,
            path=self.path,
            knowledge=self.knowledge,
            settings=FollowSettings(**(usual | settings)),
        )
        return self.follower

    def come(self, series: int, hours: int) -> None:
        """Let a stream's hours be complete up to a number of them."""
        end_ms = MONDAY_MS + hours * HOUR_MS
        settings = {"zone": self.points.points[series].zone, "interval_s": 3600}
        progress = Progress(
            generation=self.generation[series],
            settings=settings,
            since_ms=end_ms,
            first_ms=self.first_ms[series],
            last_ms=end_ms,
        )
        self.streams.states[series] = StreamState(progress=progress, packets=hours)

    def come_all(self, hours: int) -> None:
        """Let the hours of all streams be complete up to a number of them."""
        for series in self.view.values:
            self.come(series, hours)

    def follow(self) -> None:
        """Let insights catch up."""
        while self.follower.tick():
            pass

    def kill(self) -> None:
        """End as by kill -9: nothing is said good-bye to."""
        self.follower._file._connection.close()

    def read(self) -> Snapshot:
        """Return everything that was found."""
        return snapshot(self.path)

    def insights(self) -> InsightView:
        """Return what pages read."""
        return InsightView(self.path, lambda: self.follower.backlog)


def snapshot(path: Path) -> Snapshot:
    """Return everything that a file holds."""
    reader = InsightReader(path)
    events = {
        row[0]: (*row[1:10], decode(row[10]), *row[11:])
        for row in reader.rows(f"SELECT key, {EVENT}, cause FROM event")
    }
    bands = {
        (series, start): (made, f"{source} {model}", np.frombuffer(band, np.float32))
        for series, start, made, source, model, band in reader.rows("SELECT * FROM expected")
    }
    waste = {
        (series, start): (np.frombuffer(amounts), np.frombuffer(kinds, np.int8).tolist())
        for series, start, amounts, kinds in reader.rows(
            "SELECT series, start_ms, amounts, kinds FROM waste"
        )
    }
    openings = dict(reader.rows("SELECT series, hours FROM opening"))
    standings = {s: decode(p) for s, p in reader.rows("SELECT series, packed FROM standing")}
    reader.close()
    return Snapshot(events, bands, waste, openings, standings)


def assert_same(one: Snapshot, other: Snapshot) -> None:
    """Check that two runs found the same, numbers to 1e-9 (bands to their single precision)."""
    assert one.events.keys() == other.events.keys()
    for key, event in one.events.items():
        _close(event, other.events[key])
    assert one.bands.keys() == other.bands.keys()
    for at, (made, source, band) in one.bands.items():
        assert (made, source) == other.bands[at][:2]
        np.testing.assert_allclose(band, other.bands[at][2], rtol=1e-6)
    wasted = [_by_hour(run) for run in (one, other)]
    assert wasted[0].keys() == wasted[1].keys()
    for at, (amount, kind) in wasted[0].items():
        assert kind == wasted[1][at][1]
        assert abs(amount - wasted[1][at][0]) <= 1e-9 * max(1.0, abs(amount))
    assert one.openings == other.openings
    for series, figures in one.standings.items():
        _close(figures, other.standings[series])


def _by_hour(run: Snapshot) -> dict[tuple[int, int], tuple[float, int]]:
    """Return the wasted hours one by one: a day's may be kept in one piece or in several."""
    return {
        (series, start + place * HOUR_MS): (float(amount), kind)
        for (series, start), (amounts, kinds) in run.waste.items()
        for place, (amount, kind) in enumerate(zip(amounts, kinds, strict=True))
        if kind >= 0
    }


def _close(one: Any, other: Any) -> None:
    if isinstance(one, float):
        assert np.isclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True), (one, other)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            _close(mine, theirs)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name, value in one.items():
            _close(value, other[name])
    else:
        assert one == other
