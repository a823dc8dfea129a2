"""What a store must do: the seam between one machine (chDB) and a ClickHouse cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock

RollUp = Literal["hour", "day"]
GRAINS: dict[RollUp, int] = {"hour": 1, "day": 2}
"""Codes of the stored roll-ups; stored, never changed."""

Generations = Mapping[int, int]
"""Series to the generation of its interval grid: rows of other generations are not read."""

Bound = int | Mapping[int, int]
"""An instant [ms] for all series, or each one's own."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """What the store has of one stream.

    Attributes:
        packets: Readings with distinct instants.
        at_ms: Pushed instant of the last one [ms].
        seq: Largest log sequence number among them.
        generation: Largest generation of its interval rows; 0 if it has none.
    """

    packets: int
    at_ms: int
    seq: int
    generation: int


class Reads(Protocol):
    """What can be asked; safe from any thread.

    Blocks come back without superseded rows, sorted by series, then channel, then time.
    Every method raises ``KilowatchError``: 503 ``store_busy`` when a query met its limit of time
    or memory, 503 ``store_failed`` when the engine could not do it.
    """

    def readings(
        self, series: Sequence[int], from_ms: int, to_ms: int, *, single: bool = False
    ) -> ReadingBlock:
        """Return readings pushed for instants in [from_ms, to_ms).

        Args:
            series: Some hundreds, or the query gets too long.
            from_ms: First instant [ms].
            to_ms: First that is not wanted [ms].
            single: All of them are single values: six columns are read in place of sixty.
        """

    def first_readings(self, series: int, from_ms: int, to_ms: int, limit: int) -> ReadingBlock:
        """Return the first ``limit`` of a stream's readings in [from_ms, to_ms)."""

    def readings_since(self, since_ms: Mapping[int, int], *, single: bool = False) -> ReadingBlock:
        """Return, for each series, its readings at or after its own instant [ms], in one query.

        Args:
            since_ms: By series; some hundreds, or the query gets too long.
            single: All of them are single values: six columns are read in place of sixty.
        """

    def readings_at(
        self, at_ms: Mapping[int, Sequence[int]], *, single: bool = False
    ) -> ReadingBlock:
        """Return, for each series, its readings at some instants [ms], likewise."""

    def instants_there(self, at_ms: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """Return which of each series' instants [ms] have a reading: no value is looked at."""

    def intervals(
        self, generations: Generations, channels: Sequence[int] | None, from_ms: Bound, to_ms: Bound
    ) -> IntervalBlock:
        """Return interval rows that start in [from_ms, to_ms); all channels if None."""

    def rollups(
        self,
        grain: RollUp,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        to_ms: Bound,
    ) -> IntervalBlock:
        """Return hours or local days that start in [from_ms, to_ms); all channels if None."""

    def days_then_hours(
        self,
        generations: Generations,
        channels: Sequence[int] | None,
        from_ms: Bound,
        middle_ms: Bound,
        to_ms: Bound,
    ) -> tuple[IntervalBlock, IntervalBlock]:
        """Return local days that start in [from_ms, middle_ms) and hours in [middle_ms, to_ms).

        In one query: a look into the store costs more than a year of days.
        """

    def streams(self) -> dict[int, StoredStream]:
        """Return what there is of every stream; looks at all readings, so not for a page."""

    def days(self, series: int, generation: int, from_ms: int, to_ms: int) -> Ints:
        """Return the starts of stored local days with data in [from_ms, to_ms), shape (n,) [ms]."""


class Store(Protocol):
    """Durable columns of readings, intervals and roll-ups.

    A write that failed with 503 ``store_failed`` (a full disk) left nothing behind that
    repeating it would not mend.
    """

    @property
    def pages(self) -> Reads:
        """For people: limited in time and memory, some queries side by side."""

    @property
    def own(self) -> Reads:
        """For the pipeline: never waits for a page, no limit of time."""

    def write_readings(self, block: ReadingBlock) -> None:
        """Store readings; durable on return."""

    def write_intervals(self, block: IntervalBlock, generation: Ints) -> None:
        """Store interval rows of the grid generations given, shape (n,); durable on return."""

    def write_rollups(self, grain: RollUp, block: IntervalBlock, generation: Ints) -> None:
        """Store hours or local days of the generations given, shape (n,); durable on return."""

    def close(self) -> None:
        """Let running queries end and release the folder."""
