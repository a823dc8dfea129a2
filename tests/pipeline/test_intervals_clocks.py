"""Clocks of many streams at once: what is shown, and how live packets decide it."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from kilowatch.model.blocks import ReadingBlock
from kilowatch.model.clock import ClockWitness
from kilowatch.pipeline.grids import PointGrid, effective_of, watch_clocks
from tests.pipeline.interval_cases import data_point


def readings(rows: list[tuple[int, str, str]]) -> ReadingBlock:
    """Return readings of (series, stamp, received)."""
    at = [datetime.fromisoformat(stamp) for _, stamp, _ in rows]
    offsets = [moment.utcoffset() for moment in at]
    return ReadingBlock(
        series=np.array([series for series, _, _ in rows]),
        at_ms=np.array([round(moment.timestamp() * 1000) for moment in at]),
        offset_min=np.array([round(o.total_seconds() / 60) for o in offsets if o is not None]),
        flags=np.array([4 if stamp.endswith("Z") else 0 for _, stamp, _ in rows]),
        seq=np.arange(1, len(rows) + 1),
        available_ms=np.array(
            [round(datetime.fromisoformat(received).timestamp() * 1000) for _, _, received in rows]
        ),
        values={0: np.zeros(len(rows))},
    )


POINTS = {
    1: PointGrid.of(data_point(1, zone="Europe/Berlin", clock="auto", interval_s=300)),
    2: PointGrid.of(data_point(2, zone="America/New_York", clock="wall")),
    3: PointGrid.of(data_point(3, zone="Europe/Berlin", clock="offset")),
    4: PointGrid.of(data_point(4, zone="Asia/Kathmandu", clock="auto", interval_s=300)),
}


def test_each_stream_is_read_by_its_own_clock_and_zone() -> None:
    """Noon with +00:00 is another instant in Berlin, New York and where the offset is meant."""
    noon = "2025-07-01T12:00+00:00"
    block = readings([(series, noon, noon) for series in (1, 2, 3, 4)])
    hours = (effective_of(block, POINTS) - block.at_ms) / 3_600_000
    assert hours.tolist() == [-2.0, 4.0, 0.0, -5.75]


def test_a_person_who_sets_the_clock_overrules_what_packets_have_shown() -> None:
    """The decision of `auto` counts only while the data point says `auto`."""
    assert PointGrid.of(data_point(clock="wall"), "offset").clock == "wall"
    assert PointGrid.of(data_point(clock="auto"), "offset").clock == "offset"


def test_three_live_packets_decide_for_the_streams_that_are_open() -> None:
    """Berlin sends local time with +00:00, Kathmandu true UTC; the others are not asked."""
    live = [f"2025-07-01T12:{minute:02}:03Z" for minute in (0, 5, 10)]
    rows = [(1, f"2025-07-01T14:{at[14:16]}+00:00", at) for at in live]
    rows += [(2, at, at) for at in live] + [(3, at, at) for at in live]
    rows += [(4, at.replace("Z", "+00:00"), at) for at in live]
    witnesses = watch_clocks(readings(rows), POINTS, {})
    assert {series: w.decision for series, w in witnesses.items()} == {1: "wall", 4: "offset"}


def test_a_decided_clock_is_not_asked_again() -> None:
    """Ten thousand streams cost nothing once each has shown what it means."""
    at = "2025-07-01T14:00+00:00"
    decided = {1: ClockWitness(decision="offset")}
    assert watch_clocks(readings([(1, at, "2025-07-01T12:00Z")]), POINTS, decided) == {}


def test_history_is_no_evidence_and_the_past_is_not_moved() -> None:
    """A year of history with +00:00 leaves the clock open: it is shown as it was sent."""
    rows = [(1, f"2024-07-{day:02}T12:00+00:00", "2025-07-01T12:00Z") for day in range(1, 29)]
    assert watch_clocks(readings(rows), POINTS, {}) == {}


@pytest.mark.parametrize("sizes", [(6,), (1, 1, 1, 1, 1, 1), (2, 4), (5, 1)])
def test_batches_of_any_size_decide_at_the_same_packet(sizes: tuple[int, ...]) -> None:
    """The decision depends on the order of the log, not on how the pipeline read it."""
    live = [f"2025-07-01T12:{minute:02}:03Z" for minute in range(0, 30, 5)]
    local = [at.replace("T12", "T14").replace("Z", "+00:00") for at in live]
    block = readings([(1, stamp, at) for stamp, at in zip(local, live, strict=True)])
    witnesses: dict[int, ClockWitness] = {}
    first = 0
    for size in sizes:
        part = block.take(slice(first, first + size))
        witnesses |= watch_clocks(part, POINTS, witnesses)
        first += size
    assert witnesses[1].decision == "wall"
    assert "3 live packets" in witnesses[1].reason
