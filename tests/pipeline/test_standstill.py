"""Between two writes the pipeline's file and the store fit each other: a backup is taken there."""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from kilowatch.backup import Held
from kilowatch.model.blocks import IntervalBlock, Ints, ReadingBlock
from tests.journeys.waiting import until
from tests.pipeline.pipeline_world import START_MS, MemoryStore, World
from tests.pipeline.test_consumer import all_figures, office_and_gas, world_of


class SlowStore(MemoryStore):
    """A store that takes its time for each write, and knows when it is at it."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = 0

    def _slowly(self) -> None:
        self.writing += 1
        time.sleep(0.02)
        self.writing -= 1

    def write_readings(self, block: ReadingBlock) -> None:
        """Keep readings, slowly."""
        self._slowly()
        super().write_readings(block)

    def write_intervals(self, block: IntervalBlock, generation: Ints) -> None:
        """Keep interval rows, slowly."""
        super().write_intervals(block, generation)
        self._slowly()


def running(folder: Path) -> tuple[World, SlowStore, threading.Thread]:
    """Return a world whose pipeline runs in a thread and writes all the time."""
    world = world_of(folder)
    store = world.store = SlowStore()
    world.settings = world.settings.__class__(flush_rows=20, flush_s=0.05, batch_rows=15)
    world.start()
    thread = threading.Thread(target=world.consumer.run, daemon=True)
    thread.start()
    return world, store, thread


def test_what_is_taken_between_writes_leads_to_the_same_figures(tmp_path: Path) -> None:
    """Restored beside the log as it is later, nothing is missing and nothing counts twice."""
    expected = world_of(tmp_path / "whole")
    world, store, thread = running(tmp_path / "running")
    taken: list[tuple[Path, MemoryStore]] = []

    def take() -> None:
        assert not store.writing, "something is being written"
        held = Held(tmp_path / "running" / "pipeline.sqlite")
        to = tmp_path / f"taken-{len(taken)}"
        to.mkdir()
        held.copy(to / "pipeline.sqlite")
        held.close()
        frozen = MemoryStore()
        frozen.rows, frozen.figures = list(store.rows), copy.deepcopy(store.figures)
        taken.append((to, frozen))

    for round_ in range(6):
        office_and_gas(world, 60, 60 * round_)
        world.log.push(1, START_MS - 60_000 * (10 - round_), {"aP_1": 5.0})  # history: recomputed
        world.consumer.between_writes(take).result(30)
    world.consumer.stop()
    thread.join()
    expected.log = world.log
    expected.start().catch_up()
    figures = all_figures(expected)
    assert len(taken) == 6
    assert any(frozen.rows for _, frozen in taken)
    for folder, frozen in taken:
        again = World(folder, list(world.points.points.values()))
        again.log, again.store = world.log, frozen
        again.start().catch_up()
        assert all_figures(again) == figures


def test_what_fails_is_the_askers_to_know_and_a_stopped_pipeline_does_nothing(
    tmp_path: Path,
) -> None:
    """A backup that fails stops no packet; one that comes too late is told so."""
    world, _, thread = running(tmp_path / "running")

    def fail() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        world.consumer.between_writes(fail).result(30)
    office_and_gas(world, 30)
    done: list[bool] = []
    world.consumer.between_writes(lambda: done.append(True)).result(30)
    assert done
    until(lambda: world.streams.seq == world.log.last_seq())
    world.consumer.stop()
    thread.join()
    late = world.consumer.between_writes(lambda: done.append(True))
    with pytest.raises(CancelledError):
        late.result(30)
    assert len(done) == 1
