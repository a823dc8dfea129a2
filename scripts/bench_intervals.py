"""Measure what intervals cost a packet: python scripts/bench_intervals.py.

Two loads: a live second (2,500 packets of as many electrical data points with 18 channels,
each with the context that the pipeline keeps) and history (20,000 packets of five data
points). Prints microseconds a packet, the median of several runs, on one core.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from kilowatch.model.blocks import ReadingBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.parameters import CHANNEL_BY_PARAMETER
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.carry import carry
from kilowatch.pipeline.grids import PointGrid, effective_of, watch_clocks
from kilowatch.pipeline.intervals import intervals
from kilowatch.pipeline.rollups import roll_up

PARAMETERS = [
    f"{name}_{phase}" for name in ("aP", "rP", "apP", "v", "c", "pC") for phase in (1, 2, 3)
]
ZONES = ("Europe/Dublin", "Europe/Berlin", "America/New_York")
START_MS = 1_750_000_200_000
RUNS = 15


def grids(streams: int, interval_s: int) -> dict[int, PointGrid]:
    """Return as many electrical data points on the wall clock, in three time zones."""
    points = [
        DataPoint(
            id=series,
            series=series,
            stream_id=str(series),
            name="Main meter",
            organisation_id=1,
            site_id=1,
            zone=ZONES[series % len(ZONES)],
            kind="electrical",
            utility="electricity",
            unit="Wh",
            interval_s=interval_s,
            tolerance_s=interval_s / 2,
            behaviour="register",
        )
        for series in range(streams)
    ]
    return {point.series: PointGrid.of(point) for point in points}


def packets(streams: int, each: int, interval_s: int) -> ReadingBlock:
    """Return packets with all phases, a few seconds beside the interval's boundary."""
    random = np.random.default_rng(1)
    size = streams * each
    nth = np.tile(np.arange(each), streams)
    at_ms = START_MS + nth * interval_s * 1000 + random.integers(0, 5000, size)
    values = {CHANNEL_BY_PARAMETER[name]: random.random(size) * 1e3 for name in PARAMETERS}
    for phase in (1, 2, 3):
        values[CHANNEL_BY_PARAMETER[f"pC_{phase}"]] = nth * 100.0 + random.random(size)
    zeros = np.zeros(size, np.int64)
    return ReadingBlock(
        series=np.repeat(np.arange(streams), each),
        at_ms=at_ms,
        offset_min=zeros,
        flags=zeros,
        seq=np.arange(1, size + 1),
        available_ms=at_ms + 200,
        values=values,
    )


def cost_us(work: Callable[[], object], packets_each: int) -> float:
    """Return the median time of a piece of work [µs a packet]."""
    took = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return statistics.median(took) / packets_each * 1e6


def measure(title: str, block: ReadingBlock, points: dict[int, PointGrid], new: int) -> None:
    """Print what each step of the pipeline's numbers costs."""
    effective = effective_of(block, points)
    fresh = np.zeros(len(block), np.bool_)
    fresh[
        np.arange(len(block)) % (len(block) // len(points)) >= len(block) // len(points) - new
    ] = 1
    count = int(fresh.sum())
    rows = intervals(block, effective, points, fresh=fresh)
    latest = block.take(fresh)
    zones = {series: grid.zone for series, grid in points.items()}
    print(
        f"{title}: {count:,} packets of {len(points):,} streams, {len(rows) / count:.1f} rows each"
    )
    for name, work in (
        ("clock: evidence", lambda: watch_clocks(latest, points, {})),
        ("clock: effective instants", lambda: effective_of(block, points)),
        ("intervals", lambda: intervals(block, effective, points, fresh=fresh)),
        ("context for the next packet", lambda: carry(block, effective, points)),
        ("hours from the rows", lambda: roll_up(rows, "hour", zones)),
    ):
        print(f"  {name:<28} {cost_us(work, count):6.1f} µs a packet")


if __name__ == "__main__":
    for zone in ZONES:
        Zone.of(zone).day_starts_ms  # noqa: B018 - the tables are made once, before the clock runs
    measure("live", packets(2500, 3, 300), grids(2500, 300), 1)
    measure("history", packets(5, 4001, 900), grids(5, 900), 4000)
