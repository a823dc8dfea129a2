"""A data folder of an earlier release opens, and its figures are brought up to date once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.pipeline_world import (
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    KilledError,
    World,
    point,
    single,
)

STATE = Path(__file__).with_name("state_of_d3dda4a.sql")
"""What the code of commit d3dda4a wrote for the packets below: no gaps, no falls, no events."""

HOURLY = {"interval_s": 3600, "tolerance_s": 1800.0}
TOTALS = {1: (2 * 3680.0, 2 * 310.0), 2: (165_000.0, 9_000.0), 3: (112.0, 0.0)}
"""Amounts and unallocated amounts of all channels, as that code showed them."""


def before(folder: Path) -> World:
    """Return the folder as that release left it: three streams with gaps, a fall, a negative."""
    world = World(
        folder,
        [
            point(1),
            single(2, unit="kWh", utility="electricity", **HOURLY),
            single(3, behaviour="amount", **HOURLY),
        ],
    )
    world.start()
    for number in [*range(200), *range(230, 400)]:
        values = {"aP_1": 100.0 + number % 50, "pC_1": number * 10.0}
        world.log.push(1, START_MS + number * 5 * MINUTE_MS, values)
    for number in [*range(20), *range(22, 60)]:
        at_ms = START_MS + number * HOUR_MS
        world.log.push(2, at_ms, {"value": (number if number < 40 else number - 40) * 3.0})
        world.log.push(3, at_ms, {"value": -2.0 if number == 30 else 2.0})
    world.catch_up().consumer.flush()
    world.kill()
    for name in ("pipeline.sqlite", "pipeline.sqlite-wal", "pipeline.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    with sqlite3.connect(folder / "pipeline.sqlite") as state:
        state.executescript(STATE.read_text())
    return world


def generations(world: World) -> list[int]:
    """Return which grid readers see of each stream."""
    return [world.streams.states[series].progress.generation for series in (1, 2, 3)]


def state(world: World) -> dict[int, tuple[object, object, list[str]]]:
    """Return everything that people see of the streams."""
    found: dict[int, tuple[object, object, list[str]]] = {}
    for series, one in world.points.points.items():
        codes = sorted(finding.code for finding in world.view.findings([one]).get(series, ()))
        figures = {grain: world.everything(series, grain) for grain in ("interval", "hour", "day")}
        found[series] = (figures, world.view.gaps(one, 0, FOREVER), codes)
    return found


def totals(world: World) -> dict[int, tuple[float, float]]:
    """Return amounts and unallocated amounts of each stream."""
    found = {}
    for series, one in world.points.points.items():
        rows = world.view.series(one, world.view.channels(one), 0, FOREVER >> 18, "month")
        found[series] = (float(np.nansum(rows.amount)), float(np.nansum(rows.unallocated)))
    return found


def test_a_folder_of_an_earlier_release_is_brought_up_to_date_exactly_once(tmp_path: Path) -> None:
    """Its totals stay, gaps and findings appear, and the next start has nothing more to do."""
    world = before(tmp_path)
    world.start()
    assert generations(world) == [1, 1, 1]
    assert totals(world) == TOTALS, "shown at once, before anything was computed again"
    assert world.streams.gaps.of(1).tolist() == []
    world.catch_up().consumer.flush()
    assert generations(world) == [2, 2, 2]
    assert totals(world) == TOTALS
    shown = state(world)
    gaps = {series: len(world.streams.gaps.of(series)) for series in (1, 2, 3)}
    assert gaps == {1: 1, 2: 1, 3: 1}
    assert [codes for _, _, codes in shown.values()] == [
        [],
        ["register.fell"],
        ["interval.negative"],
    ]
    for _ in range(2):
        world.kill()
        world.start().catch_up().consumer.flush()
        assert generations(world) == [2, 2, 2], "once is enough"
        assert state(world) == shown
    world.log.push(2, START_MS + 60 * HOUR_MS, {"value": 60.0})
    world.catch_up()
    assert generations(world) == [2, 2, 2]


@pytest.mark.parametrize("step", range(0, 40, 3))
def test_a_crash_on_the_way_changes_nothing_in_the_end(tmp_path: Path, step: int) -> None:
    """Killed at any write of it, the next start goes on and comes to the same."""
    (tmp_path / "whole").mkdir()
    whole = before(tmp_path / "whole")
    whole.start().catch_up().consumer.flush()
    (tmp_path / "cut").mkdir()
    world = before(tmp_path / "cut")
    world.start()
    world.store.steps_left = step
    try:
        world.catch_up().consumer.flush()
    except KilledError:
        world.kill()
        world.store.steps_left = None
        world.start().catch_up().consumer.flush()
    world.store.steps_left = None
    assert state(world) == state(whole)
    seen = generations(world)
    world.kill()
    world.start().catch_up().consumer.flush()
    assert generations(world) == seen
