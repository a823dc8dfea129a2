"""What becomes of packets between the log and the store."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kilowatch.model.errors import KilowatchError
from kilowatch.pipeline import Consumer, PipelineSettings, Streams, View
from kilowatch.store import ChdbStore
from tests.pipeline.pipeline_world import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    KilledError,
    World,
    point,
    single,
)

YEAR_2030 = 1_893_456_000_000
GRAINS: tuple[str | int, ...] = ("interval", 900, "hour", 7200, "day", "week", "month", "year")


def office_and_gas(world: World, count: int, first: int = 0, seed: int = 1) -> None:
    """Push electricity of five minutes with gaps, a merged packet now and then, and gas."""
    random = Random(seed)
    for number in range(first, first + count):
        at_ms = START_MS + number * 5 * MINUTE_MS
        if number % 37 in (5, 6, 7):
            continue  # three packets in three hours are missing
        power = random.randint(-500, 5_000)
        world.log.push(1, at_ms, {"aP_1": power, "aP_2": 800.5, "pC_1": number * 100})
        if number % 11 == 0:  # a partial packet, merged into the one before it
            merged = {"aP_1": power, "aP_2": 801.5, "pC_1": number * 100, "v_1": 231.5}
            world.log.push(1, at_ms, merged)
        if number % 3 == 0:
            world.log.push(2, at_ms + 1234, {"value": number * 0.25})


def world_of(folder: Path) -> World:
    """Return an office's electricity and gas."""
    folder.mkdir(parents=True, exist_ok=True)
    return World(folder, [point(1), single(2, interval_s=900)])


def all_figures(world: World) -> dict[tuple[int, str | int], list[tuple[object, ...]]]:
    """Return every figure of every stream at every granularity."""
    return {
        (series, grain): world.everything(series, grain)
        for series in world.points.points
        for grain in GRAINS
    }


def test_a_packet_is_visible_before_it_is_in_the_store(tmp_path: Path) -> None:
    """A page shows a packet as soon as the pipeline has read it, not when a block is full."""
    world = world_of(tmp_path).start()
    world.log.push(1, START_MS, {"aP_1": 1500.0})
    world.consumer.step()
    assert [row[6] for row in world.everything(1)] == [1500.0, 1500.0, None], "phase, total, energy"
    assert not world.store.rows
    one = world.points.points[1]
    assert world.view.extent(one) is not None
    assert world.view.last_values([one])[1].value == 1500.0
    assert world.view.readings(one, 0, FOREVER).values[5].tolist() == [1500.0]
    assert world.stored == [0], "and the cursor has not moved"


def test_rows_are_written_when_there_are_enough_or_they_are_old(tmp_path: Path) -> None:
    """Blocks are big under load, and nothing waits longer than ten seconds."""
    world = world_of(tmp_path).start(flush_rows=100)
    office_and_gas(world, 30)
    world.consumer.step()
    assert not world.store.rows
    world.time_s += 9.9
    world.consumer.step()
    assert not world.store.rows
    world.time_s += 0.2
    world.consumer.step()
    assert world.stored == [0, world.log.last_seq()]
    office_and_gas(world, 300, 30)
    world.consumer.step()
    assert world.stored[-1] == world.log.last_seq()


def test_an_answer_is_the_same_before_and_after_each_flush(tmp_path: Path) -> None:
    """Whether a row is in memory or on disk must not show in any total."""
    world = world_of(tmp_path).start()
    for first in range(0, 700, 70):
        office_and_gas(world, 70, first, seed=first)
        world.catch_up()
        before = all_figures(world)
        days = world.view.days_with_data(world.points.points[1], 0, YEAR_2030)
        world.consumer.flush()
        assert all_figures(world) == before
        again = world.view.days_with_data(world.points.points[1], 0, YEAR_2030)
        assert again == days
        assert world.streams.hot.readings == 0


@given(
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=12),
    flush_after=st.sets(st.integers(0, 11)),
    restart_after=st.sets(st.integers(0, 11)),
)
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_how_the_log_is_cut_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    cuts: list[int],
    flush_after: set[int],
    restart_after: set[int],
) -> None:
    """Batches of any size, flushes and restarts anywhere give the same figures as one go."""
    whole = world_of(tmp_path_factory.mktemp("whole"))
    office_and_gas(whole, 400)
    whole.start(flush_in_background=False).catch_up()
    expected = all_figures(whole)
    whole.kill()

    pieces = world_of(tmp_path_factory.mktemp("pieces"))
    pieces.log = whole.log
    pieces.start()
    for number, cut in enumerate(cuts):
        pieces.consumer._settings = replace(pieces.settings, batch_rows=cut)
        pieces.consumer.step()
        if number in flush_after:
            pieces.consumer.flush()
        if number in restart_after:
            pieces.kill()
            pieces.start()
    pieces.start(batch_rows=150).catch_up()
    assert all_figures(pieces) == expected
    assert pieces.view.extent(pieces.points.points[1]) == whole.view.extent(whole.points.points[1])
    pieces.consumer.flush()
    assert all_figures(pieces) == expected
    pieces.kill()


def test_dying_between_any_two_steps_changes_nothing(tmp_path: Path) -> None:
    """Killed before or after each write, also between the store and the cursor: all is there."""
    reference = world_of(tmp_path / "reference")
    office_and_gas(reference, 330)
    reference.start().catch_up()
    reference.consumer.flush()
    steps = reference.store.steps
    assert steps > 6
    for dies_at in range(steps):
        world = world_of(tmp_path / str(dies_at))
        office_and_gas(world, 200)
        world.start(batch_rows=40).catch_up()
        world.store.steps_left = dies_at
        try:
            world.consumer.flush()
        except KilledError:
            pass
        else:
            assert dies_at >= world.store.steps, "a step that the flush does not reach"
        world.store.steps_left = None
        world.kill()
        office_and_gas(world, 130, 200, seed=9)
        world.start(batch_rows=64).catch_up()
        straight = world_of(tmp_path / f"{dies_at}-straight")
        straight.log = world.log
        straight.start().catch_up()
        assert all_figures(world) == all_figures(straight)
        world.consumer.flush()
        assert all_figures(world) == all_figures(straight)
        assert world.view.extent(world.points.points[1]) == straight.view.extent(
            straight.points.points[1]
        )


def test_dying_before_the_cursor_moves_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are durable, the cursor is not: the replay writes the same rows again."""
    world = world_of(tmp_path).start()
    office_and_gas(world, 300)
    world.catch_up()
    expected = all_figures(world)

    def die(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(world.consumer._file, "save", die)
    with pytest.raises(KilledError):
        world.consumer.flush()
    monkeypatch.undo()
    world.kill()
    world.start(batch_rows=17)
    assert world.streams.seq == 0
    world.catch_up()
    assert all_figures(world) == expected
    world.consumer.flush()
    assert all_figures(world) == expected
    assert len(world.store.rows) > 1, "the readings were written twice"


def test_replaying_the_log_from_any_point_changes_nothing(tmp_path: Path) -> None:
    """An operator who sets the cursor back gets the same figures and the same counts."""
    world = world_of(tmp_path).start()
    office_and_gas(world, 300)
    world.catch_up()
    world.consumer.flush()
    expected = all_figures(world)
    status = world.view.status(world.points.points[1])
    for cursor in (0, 1, 150, world.log.last_seq() - 1):
        world.consumer._file.save(cursor, [])
        world.kill()
        world.start(batch_rows=33).catch_up()
        world.consumer.flush()
        assert all_figures(world) == expected
        assert world.view.status(world.points.points[1]) == status


def test_what_the_store_never_got_is_taken_from_the_log_again(tmp_path: Path) -> None:
    """Killed long before the first flush, the pipeline starts over and misses nothing."""
    world = world_of(tmp_path).start()
    office_and_gas(world, 100)
    world.catch_up()
    expected = all_figures(world)
    world.kill()
    world.start().catch_up()
    assert all_figures(world) == expected
    assert world.stored == [0, 0]


def test_a_full_disk_stops_writing_but_not_reading(tmp_path: Path) -> None:
    """Packets stay visible while the store can't write, and are written when it can again."""
    world = world_of(tmp_path).start(flush_rows=50, held_rows_max=150)
    world.store.full = True
    office_and_gas(world, 60)
    world.consumer.step()
    world.consumer.step()
    assert "No space left" in world.view.lag().fault
    assert all_figures(world)[1, "interval"]
    assert world.stored == [0]
    tried = world.store.tries
    for _ in range(5):
        world.consumer.step()
    assert world.store.tries == tried, "not tried again at once"
    office_and_gas(world, 200, 60)
    for _ in range(60):
        world.time_s += 1
        world.consumer.step()
    held = world.streams.hot.readings
    assert 150 <= held < 350
    assert tried < world.store.tries < tried + 20
    office_and_gas(world, 200, 260)
    world.consumer.step()
    assert world.streams.hot.readings == held, "memory is bounded: the log waits"
    world.store.full = False
    world.time_s += 31
    world.consumer.step()
    world.catch_up()
    world.consumer.flush()
    assert world.stored[-1] == world.log.last_seq()
    straight = world_of(tmp_path / "straight")
    straight.log = world.log
    assert all_figures(world) == all_figures(straight.start().catch_up())
    world.kill()
    assert all_figures(world.start().catch_up()) == all_figures(straight)


def test_readers_are_told_to_wait_while_the_store_opens(tmp_path: Path) -> None:
    """A page that comes too early gets an answer that says so, not an error of ours."""
    world = world_of(tmp_path)
    view = View(Streams(), world.log)
    assert view.busy() == "the store is opening"
    with pytest.raises(KilowatchError, match="the store is opening") as refusal:
        view.series(world.points.points[1], [4], 0, 1, "hour")
    assert (refusal.value.status, refusal.value.retry_helps) == (503, True)


def test_closed_hours_are_stored_after_a_restart_too(tmp_path: Path) -> None:
    """An hour that ended while the platform was down is rolled up by its next packet."""
    world = world_of(tmp_path).start()
    office_and_gas(world, 30)
    world.catch_up()
    world.consumer.flush()
    hours = world.store.rollups("hour", {1: 1}, [4], 0, FOREVER)
    assert hours.start_ms.tolist() == [START_MS, START_MS + HOUR_MS]
    world.kill()
    world.start()
    world.log.push(1, START_MS + 2 * DAY_MS, {"aP_1": 100.0})
    world.catch_up()
    world.consumer.flush()
    hours = world.store.rollups("hour", {1: 1}, [4], 0, FOREVER)
    assert hours.start_ms.tolist() == [START_MS, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS]
    days = world.store.rollups("day", {1: 1}, [4], 0, FOREVER)
    assert days.start_ms.tolist() == [START_MS]
    assert days.count.tolist() == [int(sum(hours.count))]


def test_a_partial_packet_can_change_a_day_that_seemed_closed(tmp_path: Path) -> None:
    """The dial at midnight belongs to the day before, also when it comes a moment later."""
    world = world_of(tmp_path).start()
    midnight = START_MS + DAY_MS
    for number in range(289):
        at_ms = START_MS + number * 5 * MINUTE_MS
        world.log.push(1, at_ms, {"pC_1": number * 10.0})
    world.catch_up()
    world.consumer.flush()
    one = world.points.points[1]
    assert world.view.series(one, [25], START_MS, midnight, "day").amount.tolist() == [2880.0]
    assert world.store.rollups("day", {1: 1}, [25], 0, FOREVER).amount.tolist() == [2880.0]
    world.log.push(1, midnight, {"pC_1": 2890.0, "aP_1": 120.0})
    world.catch_up()
    for _ in ("hot", "stored", "restarted"):
        for grain in ("interval", "hour", "day"):
            rows = world.view.series(one, [25], START_MS, midnight, grain)
            assert rows.amount.sum() == 2890.0, grain
        world.consumer.flush()
        world.kill()
        world.start()
    assert world.store.rollups("day", {1: 1}, [25], 0, FOREVER).amount.tolist() == [2890.0]
    assert world.store.rollups("hour", {1: 1}, [25], 0, FOREVER).amount.sum() == 2890.0


def test_a_packet_is_seen_within_a_second_while_blocks_are_written(tmp_path: Path) -> None:
    """With the real store and its own thread: pushed, woken, shown, also during a flush."""
    world = world_of(tmp_path)
    store = ChdbStore(tmp_path / "store")
    streams = Streams()
    consumer = Consumer(
        log=world.log,
        store=store,
        state_path=tmp_path / "pipeline.sqlite",
        points=lambda: world.points,
        streams=streams,
        settings=PipelineSettings(flush_rows=20, flush_s=0.2),
    )
    view = View(streams, world.log)
    thread = threading.Thread(target=consumer.run)
    thread.start()
    slowest = 0.0
    try:
        for number in range(60):
            began = time.monotonic()
            world.log.push(1, START_MS + number * 5 * MINUTE_MS, {"aP_1": float(number)})
            consumer.wake()
            while True:
                rows = view.series(world.points.points[1], [5], 0, YEAR_2030, 300)
                if len(rows) == number + 1:
                    break
                assert time.monotonic() - began < 60
            slowest = max(slowest, time.monotonic() - began)
    finally:
        consumer.stop()
        thread.join()
    assert rows.mean.tolist() == [float(number) for number in range(60)]
    assert slowest < 10.0, "a second, on a machine that does not run ten other things"
    assert streams.hot.readings == 0, "a stop writes what is hot"
    assert len(store.own.readings([1], 0, FOREVER)) == 60
    store.close()
