"""What this room needs of others, and no more than that.

Rules and channels come from the catalogue as it is; what is watched is named here by what is
called on it, so that a test, or another engine, can stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain as Buckets
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence

Grain = Buckets | Literal["interval"]


class SilenceFeed(Protocol):
    """Broken communication as it is found and as it ends; called in a thread."""

    def open(self) -> list[Silence]:
        """Return every silence that lasts."""
        ...

    def changes(self, after: int, limit: int) -> list[tuple[int, Silence]]:
        """Return what changed after a number, in its order.

        Numbers rise and are durable. A silence appears when it is found, and again, with
        ``ended_ms``, when it has ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tiding:
    """Something that the insights found and that is worth a person's attention, or its end.

    Attributes:
        event_id: The event; one event is told once, however often it is heard of.
        organisation_id: Whose it is.
        site_id: Where.
        data_point_id: At which data point it was seen first.
        is_waste: Whether it is energy that need not have been used.
        over: Whether it is over.
        since_ms: When it began [ms since 1970, UTC].
        title: One line.
        lines: What was expected, what happened, and what it costs, in one line; then what names
            other data points, for those who may read all of them.
    """

    event_id: str
    organisation_id: int
    site_id: int
    data_point_id: int
    is_waste: bool
    over: bool
    since_ms: int
    title: str
    lines: tuple[str, ...] = ()


class InsightFeed(Protocol):
    """What the insights found, as it is found and as it ends; called in a thread."""

    def changes(self, after: int, limit: int) -> list[tuple[int, Tiding]]:
        """Return what changed after a number, in its order; numbers rise and are durable."""
        ...

    def over(self, event_ids: Collection[str]) -> Mapping[str, Tiding | None]:
        """Return those of some findings that are over, with their last words.

        None stands for one that is no more: its history was computed again, and it is not in it.
        """
        ...


class LastValue(Protocol):
    """What a stream said last."""

    @property
    def at_ms(self) -> int: ...  # noqa: D102


class Measurements(Protocol):
    """The measurements: ``kilowatch.pipeline.view.View``. Called in a thread.

    Raises:
        KilowatchError: 503 while the store opens or a query takes too long.
    """

    def series_many(  # noqa: D102
        self,
        points: Sequence[DataPoint],
        channels: Sequence[int],
        from_ms: int,
        to_ms: int,
        grain: Grain,
    ) -> IntervalBlock: ...
    def last_values(self, points: Sequence[DataPoint]) -> Mapping[int, LastValue]: ...  # noqa: D102


class Points(Protocol):
    """A snapshot of the registered data points: ``kilowatch.catalog.directory.Directory``."""

    @property
    def revision(self) -> int: ...  # noqa: D102
    @property
    def points(self) -> Mapping[int, DataPoint]: ...  # noqa: D102
    def by_series(self, series: int) -> DataPoint | None: ...  # noqa: D102
    def by_id(self, data_point_id: int) -> DataPoint | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Sources:
    """What is watched.

    Attributes:
        points: Returns the registered data points of now.
        feed: Silences.
        view: Measurements.
        insights: Findings; None where nobody looks.
    """

    points: Callable[[], Points]
    feed: SilenceFeed
    view: Measurements
    insights: InsightFeed | None = None


class NoSilences:
    """Stands where nobody looks for silences."""

    def open(self) -> list[Silence]:
        """Return nothing."""
        return []

    def changes(self, after: int, limit: int) -> list[tuple[int, Silence]]:  # noqa: ARG002
        """Return nothing."""
        return []
