"""What the consumer writes and readers read: the hot tail, each stream's state, who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from kilowatch.log import Entry
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.compiled import Book
from kilowatch.pipeline.conflicts import Conflicts
from kilowatch.pipeline.gaps import Gaps
from kilowatch.pipeline.hot import HotTail
from kilowatch.pipeline.meters import Meters
from kilowatch.pipeline.state import StreamState
from kilowatch.pipeline.subscription import Hub
from kilowatch.store.store import Store


class Log(Protocol):
    """What the pipeline needs of the log (``kilowatch.log.LogReader`` is one)."""

    def read(self, after_seq: int, limit: int = 20_000) -> list[Entry]:
        """Return entries after a sequence number, oldest first."""

    def last_seq(self) -> int:
        """Return the largest sequence number, or 0."""


class Points(Protocol):
    """What the pipeline needs of the catalogue (``Directory`` is one)."""

    @property
    def revision(self) -> int:
        """Rises with every change."""

    @property
    def points(self) -> Mapping[int, DataPoint]:
        """Present data points by series."""

    def by_series(self, series: int) -> DataPoint | None:
        """Return the data point that a series belongs or has belonged to."""


PointsNow = Callable[[], Points]


class Streams:
    """Shared by the consumer, which alone changes it, and its readers.

    Attributes:
        hot: Rows that are not stored yet.
        states: By series. Readers take what belongs together inside ``hot.snapshot``.
        conflicts: Readings that contradict stored ones, until a person decides.
        gaps: Of each stream.
        hub: Tells subscribers which series have changed.
        seq: Everything up to this log sequence number is visible to readers.
        recomputing: Share of history done, by series that is or waits to be computed again.
        recomputed: Series that are done since nothing was waiting.
        busy: Why nothing can be read yet, or an empty string.
        fault: Why the pipeline does not go on, or an empty string.
        meters: What is counted for metrics.
        formulas: The formulas of the present data points.
    """

    def __init__(self) -> None:
        self.hot = HotTail()
        self.conflicts = Conflicts()
        self.states: dict[int, StreamState] = {}
        self.gaps = Gaps()
        self.hub = Hub()
        self.seq = 0
        self.recomputing: dict[int, float] = {}
        self.recomputed: set[int] = set()
        self.busy = "the store is opening"
        self.fault = ""
        self.meters = Meters()
        self.formulas = Book()
        self._store: Store | None = None

    def open(self, store: Store, seq: int, states: dict[int, StreamState]) -> None:
        """Begin to serve readers."""
        self.states.update(states)
        self.seq = seq
        self._store = store
        self.busy = ""

    @property
    def store(self) -> Store:
        """The open store.

        Raises:
            KilowatchError: 503 ``store_busy`` while it is opening.
        """
        if self._store is None or self.busy:
            raise KilowatchError(
                "store_busy",
                f"Measurements can't be read yet: {self.busy}.",
                status=503,
                remedy="Try again in some seconds.",
                retry_helps=True,
            )
        return self._store
