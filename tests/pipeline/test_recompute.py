"""History is computed again when settings change, and nobody notices until it is done."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilowatch.model.errors import KilowatchError
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

GRAINS: tuple[str | int, ...] = ("interval", "hour", "day", "month")


def push(world: World, count: int, first: int = 0, series: int = 1) -> None:
    """Push a power and a dial every five minutes."""
    for number in range(first, first + count):
        at_ms = START_MS + number * 5 * MINUTE_MS
        world.log.push(series, at_ms, {"aP_1": 100.0 + number % 50, "pC_1": number * 10.0})


def shown(world: World, series: int = 1) -> dict[str | int, list[tuple[object, ...]]]:
    """Return a stream's figures at some granularities."""
    return {grain: world.everything(series, grain) for grain in GRAINS}


def fresh(folder: Path, world: World) -> dict[str | int, list[tuple[object, ...]]]:
    """Return the figures of the same log under the present settings from the first packet on."""
    folder.mkdir()
    again = World(folder, list(world.points.points.values()))
    again.log = world.log
    return shown(again.start().catch_up())


@pytest.mark.parametrize(
    "changes",
    [
        {"interval_s": 900},
        {"interval_s": 7200},
        {"zone": "Asia/Kathmandu"},
        {"behaviour": "amount"},
        {"tolerance_s": 0.0},
        {"clock": "offset"},
        {"interval_s": 60, "tolerance_s": 600.0, "zone": "America/St_Johns"},
    ],
)
def test_figures_follow_the_settings(tmp_path: Path, changes: dict[str, object]) -> None:
    """A changed interval, time zone or behaviour gives the figures it would always have given."""
    world = World(tmp_path, [point(1), point(2)]).start()
    push(world, 400)
    push(world, 60, series=2)
    world.catch_up()
    world.consumer.flush()
    push(world, 30, 400)
    neighbour = None
    world.points.change(1, **changes)
    world.catch_up()
    neighbour = shown(world, 2)
    expected = fresh(tmp_path / "fresh", world)
    assert shown(world) == expected
    assert world.view.status(world.points.points[1]).generation > 1 or changes == {
        "clock": "offset"
    }
    assert world.view.status(world.points.points[2]).generation == 1
    world.consumer.flush()
    assert shown(world) == expected
    world.kill()
    world.start().catch_up()
    assert shown(world) == expected
    assert shown(world, 2) == neighbour
    push(world, 20, 430)
    world.catch_up()
    assert shown(world) == fresh(tmp_path / "longer", world), "and new packets go on from there"


def test_readers_see_the_old_figures_until_the_new_ones_are_complete(tmp_path: Path) -> None:
    """While history is being computed again a page is never half old and half new."""
    world = World(tmp_path, [point(1)]).start()
    push(world, 400)
    world.catch_up()
    world.consumer.flush()
    before = shown(world)
    status = world.view.status(world.points.points[1])
    assert status.recomputing is None
    world.points.change(1, interval_s=900)
    shares = []
    while world.consumer.step():
        share = world.view.status(world.points.points[1]).recomputing
        if share is None:
            break
        shares.append(share)
        assert shown(world) == before
    assert len(shares) > 5, "it was done in slices"
    assert shares == sorted(shares)
    assert shown(world) == fresh(tmp_path / "fresh", world)
    old = world.store.figures["interval"][1]
    assert sum(len(rows) for rows in old) > 0, "the old rows are still there, and nobody reads them"


def test_new_packets_keep_coming_while_history_is_computed_again(tmp_path: Path) -> None:
    """Live packets of this stream and of others are shown meanwhile, and none is missed."""
    world = World(tmp_path, [point(1), point(2)]).start()
    push(world, 400)
    world.catch_up()
    world.consumer.flush()
    world.points.change(1, interval_s=900)
    for number in range(400, 440):
        push(world, 1, number)
        push(world, 1, number, series=2)
        if number % 7 == 0:
            world.consumer.flush()
        world.consumer.step()
        assert world.view.extent(world.points.points[2]) is not None
        assert world.view.lag().packets == 0
    world.catch_up()
    assert shown(world) == fresh(tmp_path / "fresh", world)


def test_dying_while_history_is_computed_again(tmp_path: Path) -> None:
    """Killed at any step of a recomputation, the next start does it over and gets it right."""
    steps = 40
    died = 0
    for dies_at in range(0, steps, 3):
        world = World(tmp_path / str(dies_at), [point(1)])
        world.folder.mkdir()
        push(world, 300)
        world.start().catch_up()
        world.consumer.flush()
        world.points.change(1, interval_s=1800)
        world.store.steps_left = dies_at
        try:
            world.catch_up()
            world.consumer.flush()
        except KilledError:
            died += 1
        world.store.steps_left = None
        world.kill()
        # Meanwhile somebody thinks better of it: what was written belongs to no settings.
        world.points.change(1, interval_s=900)
        world.start().catch_up()
        expected = fresh(tmp_path / f"{dies_at}-fresh", world)
        assert shown(world) == expected
        world.consumer.flush()
        world.kill()
        assert shown(world.start().catch_up()) == expected
    assert died >= 8


def test_settings_that_change_again_meanwhile_count(tmp_path: Path) -> None:
    """Two changes in a row end with the second one's figures."""
    world = World(tmp_path, [point(1)]).start()
    push(world, 400)
    world.catch_up()
    world.consumer.flush()
    world.points.change(1, interval_s=900)
    world.consumer.step()
    world.consumer.step()
    world.points.change(1, interval_s=1800)
    world.catch_up()
    assert shown(world) == fresh(tmp_path / "fresh", world)


def test_a_name_that_changes_costs_nothing(tmp_path: Path) -> None:
    """Only settings that figures depend on make history to be computed again."""
    world = World(tmp_path, [point(1)]).start()
    push(world, 100)
    world.catch_up()
    world.points.change(1, name="Another name", utility="other")
    world.catch_up()
    assert world.view.status(world.points.points[1]).generation == 1


def summer(world: World, count: int, first: int = 0, *, late_ms: int = 700) -> None:
    """Push packets of a summer day as a client does that always sends +00:00."""
    july = START_MS + 122 * DAY_MS
    for number in range(first, first + count):
        at_ms = july + number * 5 * MINUTE_MS
        world.log.push(1, at_ms, {"aP_1": float(number)}, received_ms=at_ms + late_ms)


def test_a_clock_that_turns_out_otherwise_moves_what_was_shown(tmp_path: Path) -> None:
    """Shown as sent at first; three live packets later the offset is known to be meant."""
    world = World(tmp_path, [point(1)]).start()
    summer(world, 2)
    world.catch_up()
    one = world.points.points[1]
    assert world.view.status(one).clock == "undecided"
    wall = world.view.extent(one)
    summer(world, 3, 2)
    world.catch_up()
    status = world.view.status(one)
    assert status.clock == "offset"
    assert "the offset is meant" in status.clock_reason
    offset = world.view.extent(one)
    assert wall is not None
    assert offset is not None
    assert offset.first_ms - wall.first_ms == HOUR_MS, "Dublin is an hour ahead in summer"
    assert status.generation == 2
    decided = shown(world)
    world.consumer.flush()
    world.kill()
    world.start().catch_up()
    assert world.view.status(one) == status
    assert shown(world) == decided
    world.points.change(1, clock="offset")
    world.catch_up()
    assert shown(world) == decided, "a person who sets what was found out changes nothing"


def test_a_clock_that_makes_no_difference_costs_nothing(tmp_path: Path) -> None:
    """With the site's own offsets both readings agree: nothing has to be computed again."""
    world = World(tmp_path, [point(1)]).start()
    july = START_MS + 122 * DAY_MS
    for number in range(10):
        at_ms = july + number * 5 * MINUTE_MS
        world.log.push(1, at_ms, {"aP_1": float(number)}, offset_min=60)
    world.catch_up()
    status = world.view.status(world.points.points[1])
    assert (status.clock, status.generation) == ("offset", 1)


def test_the_clock_is_decided_the_same_however_the_log_is_cut(tmp_path: Path) -> None:
    """The same packets lead to the same decision and the same figures, crash or not."""
    figures = []
    for number, batch_rows in enumerate((1, 3, 1000)):
        world = World(tmp_path / str(number), [point(1)])
        world.folder.mkdir()
        summer(world, 40, late_ms=DAY_MS)  # history first: it says nothing
        summer(world, 10, 40)
        world.start(batch_rows=batch_rows)
        for _ in range(7):
            world.consumer.step()
        if number:
            world.consumer.flush()
        world.kill()
        world.start().catch_up()
        figures.append(shown(world))
        assert world.view.status(world.points.points[1]).clock == "offset"
    assert figures[0] == figures[1] == figures[2]


def test_a_reading_before_what_is_settled_leads_to_a_recomputation(tmp_path: Path) -> None:
    """On a wall clock an hour comes twice in autumn; the figures are right all the same."""
    world = World(tmp_path, [single(1, clock="wall", interval_s=300)]).start()
    end_of_summer = 1_729_990_800_000  # 2024-10-27T01:00Z, when 02:00 becomes 01:00 in Dublin
    for number in range(-12, 24):
        at_ms = end_of_summer + number * 5 * MINUTE_MS
        # Local time with an offset of its own that does not follow the change.
        world.log.push(1, at_ms, {"value": 100.0 + number}, offset_min=60)
    world.catch_up()
    assert shown(world) == fresh(tmp_path / "fresh", world)


def test_a_recomputation_waits_for_a_store_that_can_not_write(tmp_path: Path) -> None:
    """A full disk delays it; the old figures stay until it can go on."""
    world = World(tmp_path, [point(1)]).start()
    push(world, 300)
    world.catch_up()
    world.consumer.flush()
    before = shown(world)
    world.points.change(1, interval_s=900)
    write = world.store.write_intervals
    full = KilowatchError("store_failed", "No space left on device", status=503)

    def refuse(*_: object) -> None:
        raise full

    world.store.write_intervals = refuse  # type: ignore[assignment, method-assign]
    for _ in range(3):
        world.consumer.step()
        assert shown(world) == before
        assert "No space left" in world.view.lag().fault
    push(world, 1, 300)
    world.consumer.step()
    assert world.view.lag().packets == 0, "new packets are taken in all the same"
    world.time_s += 31
    world.store.write_intervals = write  # type: ignore[method-assign]
    world.catch_up()
    assert shown(world) == fresh(tmp_path / "fresh", world)


def test_a_lost_state_file_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """Without the pipeline's own file every figure is made again from the readings."""
    world = World(tmp_path, [point(1), point(2)]).start()
    push(world, 300)
    push(world, 10, series=2)
    world.catch_up()
    world.points.change(1, interval_s=900)
    world.catch_up()
    world.consumer.flush()
    push(world, 20, 300)
    before = [world.view.last_values([world.points.points[1]])[1].channel]
    world.kill()
    for file in tmp_path.glob("pipeline.sqlite*"):
        file.unlink()
    world.points.change(1, interval_s=1800)
    world.start().catch_up()
    expected = fresh(tmp_path / "fresh", world)
    assert shown(world) == expected
    extent = world.view.extent(world.points.points[1])
    assert extent is not None
    assert extent.packets == 320
    assert [world.view.last_values([world.points.points[1]])[1].channel] == before
    assert world.view.last_values([world.points.points[2]])[2].value == 109.0
    world.consumer.flush()
    world.kill()
    assert shown(world.start().catch_up()) == expected


def test_generations_are_never_used_twice(tmp_path: Path) -> None:
    """Rows that a crash left behind must not turn up in a later recomputation."""
    world = World(tmp_path, [point(1)]).start()
    file = world.consumer._file
    assert [file.reserve_generation(1), file.reserve_generation(1)] == [2, 3]
    world.kill()
    world.start()
    assert world.consumer._file.reserve_generation(1) == 4
    assert world.consumer._file.reserve_generation(2) == 2


def test_a_stream_of_slices_has_the_same_roll_ups(tmp_path: Path) -> None:
    """Closed hours and days of the new grid are stored as the recomputation goes."""
    world = World(tmp_path, [point(1)]).start()
    push(world, 900)
    world.catch_up()
    world.consumer.flush()
    world.points.change(1, interval_s=600)
    world.catch_up()
    world.consumer.flush()
    generation = world.view.status(world.points.points[1]).generation
    days = world.store.rollups("day", {1: generation}, [5], 0, FOREVER)
    assert days.count.tolist() == [288, 288, 288]
    assert shown(world) == fresh(tmp_path / "fresh", world)
    assert replace(point(1), interval_s=600).gap_ms == 750_000
