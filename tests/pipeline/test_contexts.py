"""After a restart each stream's context is read anew, thousands of streams in small questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from kilowatch.model.blocks import ReadingBlock
from kilowatch.pipeline import contexts
from kilowatch.pipeline.contexts import Contexts
from kilowatch.pipeline.state import Progress, StreamState
from kilowatch.pipeline.streams import Streams


@dataclass
class Asked:
    """A store that notes what it is asked, and has one reading of every stream."""

    since: list[tuple[list[int], bool]] = field(default_factory=list)

    @property
    def own(self) -> Asked:
        """The pipeline's own way to it."""
        return self

    def readings_since(self, since_ms: Mapping[int, int], *, single: bool = False) -> ReadingBlock:
        """Return one reading of each."""
        series = np.array(sorted(since_ms), np.int64)
        self.since.append((series.tolist(), single))
        zeros = np.zeros(len(series), np.int64)
        return ReadingBlock(
            series=series, at_ms=zeros + 1_000, offset_min=zeros, flags=zeros, seq=zeros,
            available_ms=zeros, values={0: series.astype(np.float64)},
        )  # fmt: skip

    def readings_at(self, _at_ms: object, **_columns: bool) -> ReadingBlock:
        """Return nothing."""
        return ReadingBlock.empty()


def test_ten_thousand_meters_are_read_in_small_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question about all of them took 400 MB, and its text was longer than the engine takes.

    Single values, nearly all of an estate, are asked for without the sixty columns of three-phase
    meters; and every stream gets its own row, however the questions were cut.
    """
    monkeypatch.setattr(contexts, "STREAMS_AT_A_TIME", 4)
    streams, store = Streams(), Asked()
    for series in range(1, 12):
        kind = "electrical" if series % 5 == 0 else "single"
        progress = Progress(settings={"kind": kind}, last_ms=1_000, context_ms=1_000)
        streams.states[series] = StreamState(progress=progress)
    streams.open(store, 0, {})  # type: ignore[arg-type]
    found = Contexts(streams).of(range(1, 12))
    assert store.since == [
        ([1, 2, 3, 4], True), ([6, 7, 8, 9], True), ([11], True), ([5, 10], False),
    ]  # fmt: skip
    assert [[list(row.values) for row in found[series]] for series in range(1, 12)] == [
        [[float(series)]] for series in range(1, 12)
    ]
