"""Buildings whose hours are pushed through the pipeline while insights follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kilowatch.model.blocks import Floats
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import Follower, FollowSettings, InsightView
from tests.pipeline.pipeline_world import HOUR_MS, World, point

MONDAY_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z, a Monday
DAY_H, WEEK_H = 24, 168


def meter(series: int, **changes: object) -> DataPoint:
    """Return a meter that pushes the energy of each hour [Wh]."""
    plain: dict[str, object] = {
        "kind": "single", "utility": "electricity", "unit": "Wh", "behaviour": "amount",
        "interval_s": 3600, "tolerance_s": 1800.0,
    }  # fmt: skip
    return point(series, **(plain | changes))


def office(weeks: int, seed: int = 0, *, zone: str = "Europe/Dublin") -> Floats:
    """Return the hourly use of an office: weekdays from 8 to 18, with a base [Wh]."""
    chance = np.random.default_rng(seed)
    start_ms = MONDAY_MS + np.arange(weeks * WEEK_H, dtype=np.int64) * HOUR_MS
    local = Zone.of(zone).local_ms(start_ms) // HOUR_MS
    hour, weekday = local % 24, (local // 24 + 3) % 7
    working = (weekday < 5) & (hour >= 8) & (hour < 18)
    use = np.where(working, 30_000.0, 9_000.0)
    return np.asarray(use * (1 + 0.03 * chance.standard_normal(len(use))))


class Building:
    """A world with meters of hourly energy, and insights that follow it."""

    def __init__(self, folder: Path, points: Sequence[DataPoint]) -> None:
        self.folder = folder
        self.world = World(folder, points).start()
        self.pushed: dict[int, int] = {}
        self.start()

    def start(self, name: str = "insights.sqlite", **settings: object) -> None:
        """Start insights from what is on disk."""
        self.path = self.folder / name
        self.follower = Follower(
            view=self.world.view,
            streams=self.world.streams,
            points=lambda: self.world.points,
            path=self.path,
            settings=FollowSettings(slice_s=1e9, **settings),  # type: ignore[arg-type]
        )
        self.view = InsightView(self.path, lambda: self.follower.backlog)

    def push(self, use: Mapping[int, Floats], hours: int | None = None) -> None:
        """Push the next hours of some meters, one packet an hour, as gateways do."""
        first = {series: self.pushed.get(series, 0) for series in use}
        count = hours or max(len(one) - first[series] for series, one in use.items())
        for hour in range(count):
            for series, one in use.items():
                index = first[series] + hour
                if index < len(one):
                    at_ms = MONDAY_MS + index * HOUR_MS
                    if np.isfinite(one[index]):
                        self.world.log.push(series, at_ms, {"value": float(one[index])})
                    self.pushed[series] = index + 1
        self.world.catch_up()

    def follow(self) -> None:
        """Let insights catch up."""
        while self.follower.tick():
            pass
