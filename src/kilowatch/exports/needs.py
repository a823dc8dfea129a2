"""What exports need of the measurements, and no more than that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from kilowatch.model.blocks import IntervalBlock, ReadingBlock
from kilowatch.model.calendar import Grain as Bucket
from kilowatch.model.points import DataPoint

Grain = Bucket | Literal["interval"]
"""Buckets of the local calendar or of so many seconds, or each data point's own intervals."""


class Extent(Protocol):
    """From when to when a data point has data, and how many packets."""

    @property
    def first_ms(self) -> int: ...  # noqa: D102
    @property
    def last_ms(self) -> int: ...  # noqa: D102
    @property
    def packets(self) -> int: ...  # noqa: D102


class Grid(Protocol):
    """How a data point's intervals are computed."""

    @property
    def first_register_ms(self) -> Mapping[int, int]: ...  # noqa: D102


class Measurements(Protocol):
    """The measurements: ``kilowatch.pipeline.view.View``. Called in threads."""

    def series_many(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock: ...
    def cut_many(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Bucket,
    ) -> IntervalBlock: ...
    def readings_many(  # noqa: D102
        self, points: Sequence[DataPoint], from_ms: int, to_ms: int
    ) -> ReadingBlock: ...
    def channels(self, point: DataPoint) -> list[int]: ...  # noqa: D102
    def extent(self, point: DataPoint) -> Extent | None: ...  # noqa: D102
    def grid(self, point: DataPoint) -> Grid: ...  # noqa: D102
