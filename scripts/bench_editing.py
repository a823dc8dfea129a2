"""Measure what rules, estimates and the tree cost: python scripts/bench_editing.py.

Rows are in memory, so that the figures are those of the rules alone. Prints microseconds of
processor time an interval, the least of several runs, on one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.editing import Correction, Editing, Rules, encoded
from kilowatch.model.parameters import PC
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.computed import no_other, within
from kilowatch.pipeline.editing import Computed, edited
from kilowatch.pipeline.events import finding_of
from kilowatch.pipeline.frames import Frame
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.tree_rollups import tree_roll_up
from kilowatch.pipeline.validation import DEMAND_MAX, Event

START_MS = 1_750_000_200_000 // 3_600_000 * 3_600_000
INTERVAL_MS = 300_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
RUNS = 7


def rows_of(streams: int, each: int, interval_ms: int = INTERVAL_MS) -> IntervalBlock:
    """Return as many streams of one channel, all covered."""
    size = streams * each
    series = np.repeat(np.arange(1, streams + 1), each)
    ones = np.ones(size, np.int64)
    unknown = np.full(size, np.nan)
    amount = np.random.default_rng(1).random(size) * 100 + 50
    return IntervalBlock(
        series=series,
        channel=ones * PC,
        start_ms=START_MS + np.tile(np.arange(each), streams) * interval_ms,
        duration_ms=ones * interval_ms,
        version=ones,
        count=ones,
        mean=unknown,
        low=unknown,
        high=unknown,
        amount=amount,
        unallocated=np.zeros(size),
        covered_ms=ones * interval_ms,
        quality=ones * 0,
    )


def least_s(work: Callable[[], object]) -> float:
    """Return the least processor time of a piece of work [s]."""
    took = []
    for _ in range(RUNS):
        begin = time.process_time()
        work()
        took.append(time.process_time() - begin)
    return min(took)


def measure_rules(title: str, editing: Editing, streams: int, hours: int) -> None:
    """Print what editing costs for the hours of as many streams."""
    settings = {
        "interval_s": 300, "zone": "Europe/Dublin", "kind": "electrical", "behaviour": "register",
        "unit": "Wh", "editing": encoded(editing),
    }  # fmt: skip
    frame = Frame.of(settings)
    assert frame is not None
    span = (START_MS + DAY_MS, START_MS + DAY_MS + hours * HOUR_MS)
    low, high = frame.window(*span)
    rows = rows_of(streams, (high - START_MS) // INTERVAL_MS + 1)
    rows = rows.take(rows.start_ms >= max(low, START_MS))
    series = range(1, streams + 1)
    frames, spans = dict.fromkeys(series, frame), dict.fromkeys(series, span)
    computed = Computed(lambda some: within(rows, some), no_other)
    channels = dict.fromkeys(series, (PC,))
    wanted = streams * hours * HOUR_MS // INTERVAL_MS
    took_s = least_s(lambda: edited(computed, frames, spans, channels))
    print(
        f"{title:<44}{took_s / wanted * 1e6:8.2f} µs an interval,"
        f"{took_s / streams * 1e6:8.0f} µs a stream"
    )


def measure_tree(size: int) -> None:
    """Print what the tree of a day of hours costs."""
    points = [
        DataPoint(
            id=number, series=number, stream_id=str(number), name=str(number), organisation_id=1,
            site_id=1, zone="Europe/Dublin", kind="electrical", utility="electricity", unit="Wh",
            interval_s=300, tolerance_s=150.0, behaviour="register",
        )
        for number in range(1, size + 1)
    ]  # fmt: skip
    fed_by = {number: number // 10 or None for number in range(1, size + 1)}
    rows = rows_of(size, 24, HOUR_MS)
    period = (START_MS, START_MS + DAY_MS)
    took_s = least_s(
        lambda: tree_roll_up(lambda _p, _c: rows, points, fed_by, period, "hour", period[1])
    )
    print(f"{f'tree of {size:,} meters, 24 hours':<44}{took_s * 1e3:8.0f} ms")
    event = Event(DEMAND_MAX, PC, START_MS, START_MS + HOUR_MS, 12, 9e3, START_MS, 5e3)
    took_s = least_s(lambda: [finding_of(event, point) for point in points])
    print(f"{f'{size:,} findings in words':<44}{took_s * 1e3:8.0f} ms")


def main() -> None:
    """Measure and print."""
    validation = Rules(demand_max=9_000.0, spike_factor=20.0, zero_run_s=6 * 3600)
    estimation = Rules(estimate_up_to_s=6 * 3600)
    starts = [START_MS + DAY_MS + number * 600_000 for number in range(100)]
    edits = tuple(Correction(n, "edit", PC, at, at + 1, 1.0) for n, at in enumerate(starts))
    measure_rules("maximum demand, one hour", Editing(Rules(demand_max=9_000.0)), 500, 1)
    measure_rules("demand, spike and zero run, one hour", Editing(validation), 500, 1)
    measure_rules("demand, spike and zero run, a month", Editing(validation), 5, 720)
    measure_rules("estimation by rule, nothing to do, one hour", Editing(estimation), 500, 1)
    measure_rules("100 edits, a month", Editing(corrections=edits), 5, 720)
    rows = rows_of(500, 12)
    valid_s = least_s(lambda: roll_up(rows, "hour", Zone.of("Europe/Dublin")))
    rows.quality[::2] = 1
    mixed_s = least_s(lambda: roll_up(rows, "hour", Zone.of("Europe/Dublin")))
    print(
        f"{'hours of valid and of mixed quality':<44}{valid_s / len(rows) * 1e6:8.2f} and "
        f"{mixed_s / len(rows) * 1e6:.2f} µs an interval"
    )
    measure_tree(10_000)


if __name__ == "__main__":
    main()
