"""The readings that the next packet of each stream rests on, kept in memory while there is room.

What is not in memory is read from the store, for some hundred streams in one query; the state of
each stream knows exactly which readings those are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import compress

import numpy as np

from kilowatch.model.blocks import ReadingBlock
from kilowatch.pipeline.grids import Bools
from kilowatch.pipeline.rows import Row, rows_of
from kilowatch.pipeline.state import Progress
from kilowatch.pipeline.streams import Streams
from kilowatch.store.newest import newest_readings

ROWS_MAX = 100_000  # about 40 MB
FOREVER_MS = 1 << 60
STREAMS_AT_A_TIME = 500
"""Read in one query. 5,000 three-phase meters after a restart took 400 MB at once, and their
instants made the query's text too long for the engine; 500 take 50 MB and are as fast."""


class Contexts:
    """Context rows by series, the least recently used ones forgotten first.

    Args:
        streams: Where states and unwritten readings are.
        rows_max: How many rows to keep.
    """

    def __init__(self, streams: Streams, rows_max: int = ROWS_MAX) -> None:
        self._streams = streams
        self._rows_max = rows_max
        self._known: OrderedDict[int, list[Row]] = OrderedDict()
        self._rows = 0

    def of(self, series: Collection[int]) -> dict[int, list[Row]]:
        """Return the context of some streams, each sorted by instant.

        Raises:
            KilowatchError: The store could not be read.
        """
        found = {}
        missing: dict[int, Progress] = {}
        for one in series:
            if one in self._known:
                self._known.move_to_end(one)
                found[one] = self._known[one]
            else:
                state = self._streams.states.get(one)
                if state is not None and state.progress.last_ms is not None:
                    missing[one] = state.progress
        return found | (self._load(missing) if missing else {})

    def put(self, series: int, rows: list[Row]) -> None:
        """Remember a stream's context."""
        self.drop(series)
        self._known[series] = rows
        self._rows += len(rows)
        while self._rows > self._rows_max and len(self._known) > 1:
            self.drop(next(iter(self._known)))

    def drop(self, series: int) -> None:
        """Forget a stream's context."""
        self._rows -= len(self._known.pop(series, ()))

    def _load(self, missing: Mapping[int, Progress]) -> dict[int, list[Row]]:
        _, hot = self._streams.hot.snapshot(lambda: None)
        own = self._streams.store.own
        since = {series: progress.context_ms for series, progress in missing.items()}
        before = {series: progress.context_before_ms for series, progress in missing.items()}
        parts = []
        for some, single in _portions(missing):
            parts += [
                own.readings_since({one: since[one] for one in some}, single=single),
                own.readings_at({one: before[one] for one in some}, single=single),
            ]
        for series in missing:
            for block in hot.readings(series, 0, FOREVER_MS):
                wanted = block.at_ms >= since[series]
                wanted |= np.isin(block.at_ms, before[series])
                parts.append(block.take(wanted))
        readings = newest_readings(ReadingBlock.concatenate(parts))
        found: dict[int, list[Row]] = {series: [] for series in missing}
        for series, row in zip(readings.series.tolist(), rows_of(readings), strict=True):
            found[series].append(row)
        return found


def _portions(missing: Mapping[int, Progress]) -> Iterator[tuple[list[int], bool]]:
    """Yield some streams that are read together, and whether they are single values."""
    by_kind: dict[bool, list[int]] = {True: [], False: []}
    for series, progress in missing.items():
        by_kind[(progress.settings or {}).get("kind") == "single"].append(series)
    for single, streams in by_kind.items():
        streams.sort()
        for first in range(0, len(streams), STREAMS_AT_A_TIME):
            yield streams[first : first + STREAMS_AT_A_TIME], single


def note_context(progress: Progress, rows: Sequence[Row], keep: Bools) -> list[Row]:
    """Note in a stream's progress which of its rows are context, and return those.

    Args:
        progress: Where to note it.
        rows: The stream's rows, sorted by instant.
        keep: Which of them are context, shape (n,); the last one always is.
    """
    marks = keep.tolist()
    first = len(marks) - marks[::-1].index(False) if False in marks else 0
    earlier = list(compress(rows[:first], marks))
    run = list(rows[first:])
    progress.context_ms = run[0].at_ms if run else rows[-1].at_ms + 1
    progress.context_before_ms = [row.at_ms for row in earlier]
    return earlier + run
