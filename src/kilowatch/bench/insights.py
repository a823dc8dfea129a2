"""The insights bench: what a stream costs, in hours through all detectors and in models.

Streams are made up (weekdays, nights, seasons, noise) and lie in memory; the store's part is not
in the figures, the insights' own file is.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from kilowatch.insights import forecasting
from kilowatch.insights.hours import WEEK_H, Hours
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import Follower, FollowSettings
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.records import Commit, Kept
from kilowatch.pipeline.insight.states import LAYOUT, Remembered, encode
from kilowatch.pipeline.state import Progress, StreamState
from kilowatch.pipeline.streams import Streams

ZONE = "Europe/Dublin"
FIRST_MS = 1_672_531_200_000  # 2023-01-01
LEARNT_ON = 300
LIVE_H = 3


@dataclass(frozen=True, slots=True)
class Costs:
    """What insights cost on one core.

    Attributes:
        streams: Streams.
        live_hours_s: Hours a second through everything, one hour of all streams at a time
            [stream-hours per second of processor time].
        midnight_ms: What a midnight costs beside its hour: the band of the day [ms a stream].
        history_hours_s: The same for history, three days at a time.
        predict_ms: A forecast of 24 h from the model [ms a stream].
        learn_ms: Learning what a stream needs from a year [ms a stream].
        train_s: The first training, from the shipped model and a year of at most ``LEARNT_ON``
            streams [s].
        again_s: Each week's, from the model before it and a week of as many [s].
        state_bytes: The insights' own file, by stream [bytes].
    """

    streams: int
    live_hours_s: float
    midnight_ms: float
    history_hours_s: float
    predict_ms: float
    learn_ms: float
    train_s: float
    again_s: float
    state_bytes: float

    @property
    def train_ms(self) -> float:
        """The first training, by stream of the installation [ms]."""
        return 1000 * self.train_s / self.streams

    @property
    def again_ms(self) -> float:
        """Each week's training, by stream of the installation [ms]."""
        return 1000 * self.again_s / self.streams


class MadeUp:
    """A view of streams that are made up."""

    def __init__(self, streams: int, days: int) -> None:
        chance = np.random.default_rng(1)
        hours = np.arange(days * 24)
        hour, weekday = hours % 24, (hours // 24 + 6) % 7  # 2023 begins on a Sunday
        one = (streams, 1)
        works = (hour >= chance.integers(6, 10, one)) & (hour < chance.integers(16, 22, one))
        works &= weekday < chance.integers(5, 8, one)
        base = chance.lognormal(8, 1, one)
        use = base * (1 + works * chance.uniform(0.5, 4, one))
        use *= 1 + 0.1 * np.cos(hours / 8760 * 2 * np.pi)
        self.use = use * np.exp(0.08 * chance.standard_normal(use.shape))

    def series_many(
        self, points: Sequence[DataPoint], _channels: Sequence[int], from_ms: int, to_ms: int,
        _grain: object,
    ) -> IntervalBlock:  # fmt: skip
        """Return hours."""
        rows = np.array([point.series for point in points]) - 1
        first = max((from_ms - FIRST_MS) // HOUR_MS, 0)
        part = self.use[rows, first : max((to_ms - FIRST_MS) // HOUR_MS, 0)]
        count = part.size
        starts = FIRST_MS + (first + np.arange(part.shape[1], dtype=np.int64)) * HOUR_MS
        whole, unknown = np.full(count, HOUR_MS, np.int64), np.full(count, np.nan)
        zeros = np.zeros(count, np.int64)
        return IntervalBlock(
            np.repeat(rows + 1, part.shape[1]), zeros, np.tile(starts, len(rows)), whole, zeros,
            zeros, unknown, unknown, unknown, part.ravel(), unknown, whole, zeros,
        )  # fmt: skip


@dataclass(slots=True)
class _Points:
    points: Mapping[int, DataPoint]
    revision: int = 1

    def by_series(self, series: int) -> DataPoint | None:
        return self.points.get(series)


@contextmanager
def _following(
    streams: int, view: MadeUp, born_ms: int, cursor_ms: int
) -> Iterator[tuple[Follower, Callable[[int], None], Path]]:
    """Yield insights that have come as far as the cursor, and what lets hours come."""
    points = {series: _point(series) for series in range(1, streams + 1)}
    shown = Streams()
    shown.busy = ""

    def come(until_ms: int) -> None:
        for series in points:
            progress = Progress(
                settings={"zone": ZONE, "interval_s": 3600}, since_ms=until_ms, first_ms=born_ms
            )
            shown.states[series] = StreamState(progress=progress, packets=1)

    with tempfile.TemporaryDirectory(prefix="kilowatch-bench-") as folder:
        path = Path(folder) / "insights.sqlite"
        file = InsightFile(path)
        file.note("layout", LAYOUT)
        kept = Kept("1", ZONE, born_ms, cursor_ms)
        state = encode(Remembered(LAYOUT))
        file.commit(Commit(kept=dict.fromkeys(points, (kept, state))))
        file.close()
        follower = Follower(
            view=cast("Any", view),
            streams=shown,
            points=lambda: _Points(points),
            path=path,
            settings=FollowSettings(slice_s=1e9, train_again_s=math.inf),
        )
        yield follower, come, path
        follower.close()


def _point(series: int) -> DataPoint:
    return DataPoint(
        id=series, series=series, stream_id=f"bench-{series}", name="", organisation_id=1,
        site_id=series // 20, zone=ZONE, kind="single", utility="electricity", unit="Wh",
        interval_s=3600, tolerance_s=1800.0, behaviour="amount",
    )  # fmt: skip


def costs(streams: int, note: Callable[[str], None] = lambda _text: None) -> Costs:
    """Measure what insights cost at a number of streams; minutes at 10,000.

    Args:
        streams: How many.
        note: Told what is being measured.
    """
    days = 365 + 6
    note(f"making up {streams} streams")
    view = MadeUp(streams, days)
    year_ms = FIRST_MS + 365 * DAY_MS  # 2024-01-01: the first of a month
    note("training")
    trained, again, model, hours = _train(view, streams)
    predict = _cpu_s(lambda: _predict(model, hours)) / hours.streams
    with _following(streams, view, FIRST_MS, year_ms - 2 * DAY_MS) as (follower, come, path):
        come(year_ms)
        follower.tick()  # everything is loaded by now
        note("learning what each stream needs")
        come(year_ms + HOUR_MS)
        learnt_s = _cpu_s(follower.tick)
        note("hour by hour")
        live_s: list[float] = []
        for hour in range(LIVE_H):
            come(year_ms + (hour + 2) * HOUR_MS)
            live_s.append(_cpu_s(follower.tick))
        come(year_ms + DAY_MS)
        follower.tick()
        come(year_ms + DAY_MS + HOUR_MS)
        midnight_s = _cpu_s(follower.tick) - sum(live_s) / LIVE_H
        note("history")
        left = 3 * 24
        come(year_ms + DAY_MS + (left + 1) * HOUR_MS)
        history_s = _cpu_s(follower.tick)
        size = path.stat().st_size / streams
    return Costs(
        streams=streams,
        live_hours_s=streams * len(live_s) / sum(live_s),
        midnight_ms=1000 * midnight_s / streams,
        history_hours_s=streams * left / history_s,
        predict_ms=1000 * predict,
        learn_ms=1000 * learnt_s / streams,
        train_s=trained,
        again_s=again,
        state_bytes=size,
    )


def _train(view: MadeUp, streams: int) -> tuple[float, float, forecasting.Model, Hours]:
    count = min(streams, LEARNT_ON)
    values: Floats = view.use[:count, : 365 * 24]
    hours = Hours(FIRST_MS, values, Zone.of(ZONE), np.zeros(values.shape, np.bool_))
    made: list[forecasting.Model] = []
    groups = [hours.only(slice(first, first + 50)) for first in range(0, count, 50)]
    before = [one.hours(0, one.count - WEEK_H) for one in groups]
    base = forecasting.shipped()
    took_s = _cpu_s(lambda: made.append(forecasting.adapt(base, before)))
    again_s = _cpu_s(lambda: made.append(forecasting.adapt(made[0], groups)))
    return took_s, again_s, made[1], replace(hours, values=values)


def _predict(model: forecasting.Model, hours: Hours) -> None:
    forecasting.predict(model, hours, hours.count - 48, 24)


def _cpu_s(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s
