"""A pipeline in a box: a log, a catalogue and a store that a test can crash at any step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from kilowatch.log import Entry
from kilowatch.model.blocks import COLUMNS, IntervalBlock, Ints, ReadingBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import WIRE_CHANNELS
from kilowatch.model.points import DataPoint
from kilowatch.pipeline import Consumer, PipelineSettings, Streams, View
from kilowatch.store.newest import newest_intervals, newest_readings
from kilowatch.store.store import GRAINS, Bound, Generations, Reads, RollUp, StoredStream

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
FOREVER = 1 << 60
START_MS = 1_709_251_200_000  # 2024-03-01T00:00:00Z: the clocks change on the 31st


class KilledError(BaseException):
    """The process ends here, as by kill -9: nothing after it happens."""


def point(series: int, **changes: object) -> DataPoint:
    """Return a data point with plain settings."""
    plain = DataPoint(
        id=series,
        series=series,
        stream_id=f"meter-{series}",
        name=f"Meter {series}",
        organisation_id=1,
        site_id=1,
        zone="Europe/Dublin",
        kind="electrical",
        utility="electricity",
        unit="W",
        interval_s=300,
        tolerance_s=150.0,
        behaviour="register",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def single(series: int, **changes: object) -> DataPoint:
    """Return a single-value data point: a gas meter's dial in m³."""
    plain: dict[str, object] = {"kind": "single", "utility": "gas", "unit": "m3"}
    return point(series, **(plain | changes))


@dataclass
class Points:
    """The catalogue's snapshot."""

    points: dict[int, DataPoint]
    revision: int = 1

    def by_series(self, series: int) -> DataPoint | None:
        """Return a data point."""
        return self.points.get(series)

    def change(self, series: int, **changes: object) -> None:
        """Change a data point's settings, as an administrator does."""
        self.points[series] = replace(self.points[series], **changes)  # type: ignore[arg-type]
        self.revision += 1

    def add(self, new: DataPoint) -> None:
        """Register a data point."""
        self.points[new.series] = new
        self.revision += 1


@dataclass
class FakeLog:
    """The log, as the pipeline reads it."""

    entries: list[Entry] = field(default_factory=list)

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number."""
        return self.entries[after_seq : after_seq + limit]

    def last_seq(self) -> int:
        """Return the last sequence number."""
        return len(self.entries)

    def push(
        self,
        series: int,
        at_ms: int,
        values: Mapping[str, float],
        *,
        offset_min: int = 0,
        zulu: bool = False,
        received_ms: int | None = None,
    ) -> int:
        """Append a packet and return its sequence number.

        ``values`` by parameter; names that are not in the contract are ignored ones.
        """
        zone = timezone(timedelta(minutes=offset_min))
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
        text = local.isoformat(timespec="milliseconds")
        if zulu:
            text = text.removesuffix("+00:00") + "Z"
        assert any(name in WIRE_CHANNELS or name == "value" for name in values)
        body = {"id": f"meter-{series}", "tsISO8601": text, **values}
        seq = len(self.entries) + 1
        self.entries.append(
            Entry(
                seq,
                series,
                at_ms,
                offset_min,
                4 if zulu else 0,
                at_ms + 700 if received_ms is None else received_ms,
                1,
                json.dumps(body).encode(),
            )
        )
        return seq


class MemoryStore:
    """A store in memory that can die before or after any write."""

    def __init__(self) -> None:
        self.rows: list[ReadingBlock] = []
        self.figures: dict[str, dict[int, list[IntervalBlock]]] = {}
        self.steps_left: int | None = None
        self.steps = 0
        self.full = False
        self.tries = 0

    @property
    def pages(self) -> Reads:
        """Everything that was written can be read."""
        return self

    @property
    def own(self) -> Reads:
        """The same."""
        return self

    def step(self) -> None:
        """Die here if this is the step to die at."""
        self.steps += 1
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise KilledError
            self.steps_left -= 1

    def _write(self, table: str, block: IntervalBlock, generation: Ints) -> None:
        self.step()
        for number in np.unique(generation).tolist():
            rows = block.take(generation == number)
            self.figures.setdefault(table, {}).setdefault(number, []).append(rows)
        self.step()

    def write_readings(self, block: ReadingBlock) -> None:
        """Keep readings."""
        self.tries += 1
        if self.full:
            raise KilowatchError("store_failed", "No space left on device", status=503)
        self.step()
        self.rows.append(block)
        self.step()

    def write_intervals(self, block: IntervalBlock, generation: Ints) -> None:
        """Keep interval rows."""
        self._write("interval", block, generation)

    def write_rollups(self, grain: RollUp, block: IntervalBlock, generation: Ints) -> None:
        """Keep hours or days."""
        assert grain in GRAINS
        self._write(grain, block, generation)

    def _all(self) -> ReadingBlock:
        return newest_readings(ReadingBlock.concatenate(self.rows))

    def first_readings(self, series: int, from_ms: int, to_ms: int, limit: int) -> ReadingBlock:
        """Return the first readings."""
        return self.readings([series], from_ms, to_ms).take(slice(limit))

    def readings(
        self, series: Sequence[int], from_ms: int, to_ms: int, **_columns: bool
    ) -> ReadingBlock:
        """Return readings."""
        found = self._all()
        mine = np.isin(found.series, list(series))
        mine &= (found.at_ms >= from_ms) & (found.at_ms < to_ms)
        return found.take(mine)

    def readings_since(self, since_ms: Mapping[int, int], **_columns: bool) -> ReadingBlock:
        """Return readings from each one's instant on."""
        parts = [self.readings([one], at_ms, FOREVER) for one, at_ms in since_ms.items()]
        return newest_readings(ReadingBlock.concatenate(parts))

    def readings_at(self, at_ms: Mapping[int, Sequence[int]], **_columns: bool) -> ReadingBlock:
        """Return readings at instants."""
        parts = [self.readings([one], at, at + 1) for one, some in at_ms.items() for at in some]
        return newest_readings(ReadingBlock.concatenate(parts))

    def instants_there(self, at_ms: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """Return which instants have a reading."""
        there = {one: self.readings([one], 0, FOREVER).at_ms.tolist() for one in at_ms}
        return {one: [at for at in some if at in there[one]] for one, some in at_ms.items()}

    def _read(
        self,
        table: str,
        generations: Generations,
        channels: Sequence[int] | None,
        bounds: tuple[Bound, Bound],
    ) -> IntervalBlock:
        parts = []
        for series, generation in generations.items():
            low, high = (b if isinstance(b, int) else b[series] for b in bounds)
            for block in self.figures.get(table, {}).get(generation, []):
                mine = (block.series == series) & (block.start_ms >= low) & (block.start_ms < high)
                if channels is not None:
                    mine &= np.isin(block.channel, list(channels))
                parts.append(block.take(mine))
        return newest_intervals(IntervalBlock.concatenate(parts))

    def intervals(
        self, generations: Generations, channels: Sequence[int] | None, from_ms: Bound, to_ms: Bound
    ) -> IntervalBlock:
        """Return interval rows."""
        return self._read("interval", generations, channels, (from_ms, to_ms))

    def rollups(
        self,
        grain: RollUp,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        to_ms: Bound,
    ) -> IntervalBlock:
        """Return hours or days."""
        return self._read(grain, generations, channels, (from_ms, to_ms))

    def days_then_hours(
        self,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        middle_ms: Bound,
        to_ms: Bound,
    ) -> tuple[IntervalBlock, IntervalBlock]:
        """Return days, and hours after them."""
        days = self._read("day", generations, channels, (from_ms, middle_ms))
        return days, self._read("hour", generations, channels, (middle_ms, to_ms))

    def streams(self) -> dict[int, StoredStream]:
        """Return what there is."""
        found = self._all()
        grids = self.figures.get("interval", {})
        without = {
            series: StoredStream(0, 0, 0, max(g for g, b in grids.items() for x in b
                                              if series in x.series))
            for blocks in grids.values() for block in blocks
            for series in np.unique(block.series).tolist()
        }  # fmt: skip
        return without | {
            series: StoredStream(
                int((found.series == series).sum()),
                int(found.at_ms[found.series == series].max()),
                int(found.seq[found.series == series].max()),
                max((g for g, b in grids.items() if any(series in x.series for x in b)), default=0),
            )
            for series in np.unique(found.series).tolist()
        }

    def days(self, series: int, generation: int, from_ms: int, to_ms: int) -> Ints:
        """Return starts of days."""
        rows = self._read("day", {series: generation}, None, (from_ms, to_ms))
        return np.unique(rows.start_ms)

    def close(self) -> None:
        """Do nothing."""


class World:
    """A folder, a log, a catalogue, a store, and a pipeline that can be started and killed."""

    def __init__(self, folder: Path, points: Sequence[DataPoint]) -> None:
        self.folder = folder
        self.log = FakeLog()
        self.points = Points({one.series: one for one in points})
        self.store = MemoryStore()
        self.time_s = 0.0
        self.stored: list[int] = []
        self.settings = PipelineSettings(
            flush_in_background=False,
            clock=lambda: self.time_s,
            slice_rows=50,
            late_quiet_s=0.0,
            formulas_s=0.0,
        )
        self.consumer: Consumer
        self.view: View
        self.streams: Streams

    def start(self, **settings: object) -> World:
        """Start the pipeline from what is on disk, as after a crash."""
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]
        self.streams = Streams()
        self.view = View(self.streams, self.log, now=lambda: self.time_s)
        self.consumer = Consumer(
            log=self.log,
            store=self.store,
            state_path=self.folder / "pipeline.sqlite",
            points=lambda: self.points,
            streams=self.streams,
            on_stored=self.stored.append,
            settings=self.settings,
        )
        return self

    def kill(self) -> None:
        """Forget all that is in memory; the files stay as they are."""
        self.consumer._file.close()

    def catch_up(self) -> World:
        """Take in the whole log and finish every recomputation."""
        while self.consumer.step() or self.streams.seq < self.log.last_seq():
            pass
        return self

    def everything(self, series: int, grain: str | int = "interval") -> list[tuple[object, ...]]:
        """Return all figures of a stream, comparable; unknown is None."""
        one = self.points.points[series]
        channels = self.view.channels(one)
        rows = self.view.series(one, channels, 0, 4_102_444_800_000, grain)  # type: ignore[arg-type]
        return comparable(rows)


def comparable(rows: IntervalBlock) -> list[tuple[object, ...]]:
    """Return rows as tuples in which unknown equals unknown."""
    columns = [
        [None if value != value else value for value in getattr(rows, name).tolist()]  # noqa: PLR0124
        for name in COLUMNS
    ]
    columns.append([tuple(shares) for shares in rows.shares().tolist()])
    return list(zip(*columns, strict=True))
