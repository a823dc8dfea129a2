"""History that is put in later: counted once, computed once, and never over what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kilowatch.log import Origin
from kilowatch.model.packet import Form
from kilowatch.pipeline import conflicts
from kilowatch.pipeline.conflicts import Take
from tests.pipeline.gated_world import GRAINS, GatedWorld, Push
from tests.pipeline.interval_cases import data_point
from tests.pipeline.pipeline_world import FOREVER, MINUTE_MS, START_MS, KilledError, World

PUSHED = Origin("push", "", "history")
STEP_MS = 15 * MINUTE_MS
DIAL = data_point(1, interval_s=900, tolerance_s=450.0)
METER = data_point(1, interval_s=900, tolerance_s=450.0, kind="electrical", unit="Wh")


def push(number: int, value: float | None = None, series: int = 1) -> Push:
    """Return the packet of a quarter of an hour: a dial that turns by one each."""
    return Push(series, START_MS + number * STEP_MS, {0: number if value is None else value})


@pytest.fixture
def worlds() -> Iterator[list[GatedWorld]]:
    """Return a list of worlds to be closed at the end."""
    made: list[GatedWorld] = []
    yield made
    for world in made:
        world.close()


def world_of(
    worlds: list[GatedWorld], folder: Path, *points: Any, **settings: object
) -> GatedWorld:
    """Start a world that is closed at the end."""
    worlds.append(GatedWorld(folder, list(points or [DIAL])))
    return worlds[-1].start(**settings)


def test_a_file_of_history_costs_one_recomputation_and_live_packets_go_on(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """A year put in is computed when its last packet is there, not a thousand times on the way."""
    world = world_of(worlds, tmp_path / "one", late_quiet_s=2.0, late_wait_s_max=60.0)
    world.deliver([push(1000)])
    world.catch_up()
    for number in range(300):
        world.deliver([push(number)], PUSHED)
        live = push(1001 + number)
        world.deliver([live])
        world.time_s += 0.1
        world.consumer.step()
        status = world.view.status(DIAL)
        assert (status.generation, status.packets) == (1, 3 + 2 * number), "counted at once"
        assert world.view.lag().packets == 0
        last = world.view.series(DIAL, [0], live.at_ms - STEP_MS, live.at_ms, "interval")
        assert last.amount.tolist() == [1000.0], "and the live packet's interval is shown"
    world.time_s += 2.1
    world.catch_up()
    assert world.view.status(DIAL).generation == 2, "one recomputation for 300 packets"
    expected = world_of(worlds, tmp_path / "in order")
    expected.deliver([push(number) for number in [*range(300), *range(1000, 1301)]])
    assert world.shown() == expected.catch_up().shown()


def test_history_that_never_ends_is_shown_all_the_same(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """Who puts in packets for an hour sees what is there so far after a minute."""
    world = world_of(worlds, tmp_path, late_quiet_s=2.0, late_wait_s_max=60.0)
    world.deliver([push(1000)])
    for number in range(65):
        world.deliver([push(number)], PUSHED)
        world.time_s += 1.0
        world.consumer.step()
    assert 2 <= world.view.status(DIAL).generation <= 3
    assert len(world.everything(1)) > 50


def test_a_sender_that_is_always_late_leaves_nine_tenths_of_the_time_to_others(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """Each late packet asks for a whole history again: a long one is computed seldom."""
    world = world_of(worlds, tmp_path, late_quiet_s=2.0, late_wait_s_max=60.0)
    world.deliver([push(number) for number in range(0, 1000, 2)])
    world.catch_up()
    world.consumer.flush()
    busy = 0
    for number in range(1, 600, 2):
        world.deliver([push(number)], PUSHED)
        for _ in range(5):
            world.time_s += 1.0  # a slice takes a second, and the history some dozens of them
            world.consumer.step()
            busy += world.view.status(DIAL).recomputing is not None
    assert 0.02 < busy / (300 * 5) < 0.13
    assert world.view.status(DIAL).generation >= 5, "and it is computed all the same"


def test_history_that_comes_behind_a_running_recomputation_is_not_missed(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """A packet for a time that was computed a moment ago is computed in a second round."""
    world = world_of(worlds, tmp_path / "one")
    world.deliver([push(number) for number in range(400) if number not in (3, 7)])
    world.catch_up()
    world.consumer.flush()
    world.deliver([push(7)], PUSHED)
    for _ in range(4):
        world.consumer.step()
    assert world.view.status(DIAL).recomputing
    world.deliver([push(3)], PUSHED)
    world.catch_up()
    expected = world_of(worlds, tmp_path / "in order")
    expected.deliver([push(number) for number in range(400)])
    assert world.shown() == expected.catch_up().shown()
    assert world.view.status(DIAL).packets == 400


def test_what_is_stored_already_is_skipped(tmp_path: Path, worlds: list[GatedWorld]) -> None:
    """The same file again changes nothing and computes nothing."""
    world = world_of(worlds, tmp_path)
    world.deliver([push(number) for number in range(20)])
    world.catch_up()
    before = world.shown(), world.view.status(DIAL)
    for flushed in (False, True):
        world.deliver([push(number) for number in range(20)], PUSHED)
        world.catch_up()
        assert (world.shown(), world.view.status(DIAL)) == before
        if not flushed:
            world.consumer.flush()


@pytest.mark.parametrize("take", ["stored", "offered"])
@pytest.mark.parametrize("number", [5, 19], ids=["history", "the latest packet"])
def test_a_contradiction_changes_nothing_until_a_person_decides(
    tmp_path: Path, worlds: list[GatedWorld], take: Take, number: int
) -> None:
    """Both values are shown, the stored one counts, and the decision holds in every replay."""
    world = world_of(worlds, tmp_path / "one")
    world.deliver([push(number) for number in range(20)])
    world.catch_up()
    before = world.shown()
    other = push(number, number + 0.25)
    assert world.deliver([other])[0].status == "discarded", "never put in by itself"
    world.backfill_discarded(1)
    world.catch_up()
    for again in (False, True, True):
        assert world.shown() == before
        (finding,) = world.view.status(DIAL).findings
        assert (finding.code, finding.at_ms) == ("backfill.conflict", other.at_ms)
        assert finding.data["stored"] == {"value": number}
        assert finding.data["offered"] == {"value": number + 0.25}
        assert finding.data["conflicts"] == 1
        if not again:
            world.deliver([other], PUSHED)
            world.catch_up()
            world.consumer.flush()
            world.restart()
    (conflict,) = world.view.conflicts(DIAL)
    world.decide(conflict, take)
    world.catch_up()
    expected = world_of(worlds, tmp_path / "fresh")
    chosen = [push(one) for one in range(20)]
    if take == "offered":
        chosen[number] = other
    expected.deliver(chosen)
    wanted = expected.catch_up().shown()
    for step in ("now", "stored", "replayed", "everything again"):
        assert world.shown() == wanted, step
        assert world.view.status(DIAL).findings == (), step
        assert world.view.status(DIAL).packets == 20, step
        if step == "now":
            world.consumer.flush()
        elif step == "stored":
            world.restart()
        else:
            world.deliver([other, push(number)], PUSHED)
        world.catch_up()
    assert world.view.conflicts(DIAL) == [], "what was decided is not asked again"


def test_contradictions_beyond_the_bound_are_counted(
    tmp_path: Path, worlds: list[GatedWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the wrong unit contradicts everything: memory stays bounded, the number is told."""
    monkeypatch.setattr("kilowatch.pipeline.late.CONFLICTS_MAX", 10)
    world = world_of(worlds, tmp_path)
    world.deliver([push(number) for number in range(40)])
    world.deliver([push(number, 1000.0 * number) for number in range(1, 31)], PUSHED)
    world.catch_up()
    assert world.view.status(DIAL).findings[0].data["conflicts"] == 30
    assert len(world.view.conflicts(DIAL)) == 10
    world.consumer.flush()
    assert len(world.view.conflicts(DIAL, 4, 8)) == 2
    assert conflicts.CONFLICTS_MAX > 10


def test_a_partial_packet_for_an_older_time_adds_what_was_missing(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """A gateway that sends phases one by one gets its late phase in, unless it contradicts."""
    world = world_of(worlds, tmp_path / "one", METER)

    def part(number: int, form: Form = Form.LOCAL, **values: float) -> Push:
        codes = {"pC_1": 25, "pC_2": 26, "aP_1": 5}
        return Push(
            1, START_MS + number * STEP_MS, {codes[n]: v for n, v in values.items()}, form=form
        )

    world.deliver([part(number, pC_1=10.0 * number) for number in range(6)])
    world.catch_up()
    world.consumer.flush()
    late = [part(number, Form.PARTIAL, pC_2=20.0 * number) for number in (0, 1, 2, 3, 4)]
    late += [part(5, Form.PARTIAL, pC_2=100.0), part(2, Form.PARTIAL, pC_1=99.0)]
    late += [part(3, pC_1=30.0, aP_1=7.0)]  # a whole packet that says more is another packet
    for one in late:
        world.deliver([one])
    world.backfill_discarded(1)
    world.catch_up()
    expected = world_of(worlds, tmp_path / "whole", METER)
    expected.deliver([part(n, pC_1=10.0 * n, pC_2=20.0 * n) for n in range(6)])
    assert world.shown() == expected.catch_up().shown()
    assert world.view.status(METER).packets == 6
    found = world.view.conflicts(METER)
    assert [one.offered for one in found] == [{25: 99.0}, {25: 30.0, 5: 7.0}]
    world.decide(found[0], "offered")
    world.catch_up()
    readings = world.view.readings(METER, 0, FOREVER)
    assert readings.values[25].tolist() == [0.0, 10.0, 99.0, 30.0, 40.0, 50.0]
    assert readings.values[26].tolist() == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]


def test_dying_at_any_step_of_a_backfill_counts_nothing_twice(tmp_path: Path) -> None:
    """Killed between any two writes, the next start gives the figures of in-order delivery."""
    chosen = [push(number) for number in range(60)]
    chosen[30] = push(30, 30.5)
    worlds: list[GatedWorld] = []
    expected = world_of(worlds, tmp_path / "in order")
    expected.deliver(chosen)
    wanted = expected.catch_up().shown()
    died = 0
    for dies_at in range(40):
        world = world_of(worlds, tmp_path / str(dies_at))
        world.deliver([push(number) for number in range(60) if number % 3 == 0])
        world.catch_up()
        world.consumer.flush()
        world.store.steps_left = dies_at
        try:
            everything(world)
        except KilledError:
            died += 1
        world.store.steps_left = None
        world.restart()
        same_as_from_the_first_packet_on(world.catch_up(), tmp_path / f"{dies_at} replayed")
        everything(world)
        for again in (False, True):
            assert world.shown() == wanted, dies_at
            assert world.view.status(DIAL).packets == 60, dies_at
            assert world.view.status(DIAL).findings == (), dies_at
            if not again:
                world.consumer.flush()
                world.restart()
                world.catch_up()
    for world in worlds:
        world.close()
    assert died >= 12


def same_as_from_the_first_packet_on(world: GatedWorld, folder: Path) -> None:
    """Compare with what the same log gives a pipeline that has never been anywhere."""
    folder.mkdir()
    other = World(folder, [DIAL])
    other.log = world.log
    other.start().catch_up()
    for grain in GRAINS:
        shown, wanted = ([row[:4] + row[5:] for row in one.everything(1, grain)]
                         for one in (world, other))  # fmt: skip
        assert shown == wanted, grain
    status, clean = world.view.status(DIAL), other.view.status(DIAL)
    assert (status.packets, status.findings) == (clean.packets, clean.findings)
    other.kill()


def everything(world: GatedWorld) -> None:
    """Put history in, a conflict and its decision among it, and store it all."""
    late = [push(number) for number in range(60) if number % 3]
    world.deliver(late[::2], PUSHED)
    world.catch_up()
    world.consumer.flush()
    world.deliver([*late[1::2], push(30, 30.5)], PUSHED)
    world.catch_up()
    world.consumer.flush()
    for conflict in world.view.conflicts(DIAL):
        world.decide(conflict, "offered")
    world.catch_up()
    world.consumer.flush()


def test_history_survives_the_loss_of_the_pipelines_own_file(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """Whoever deletes that file gets the same figures and the same number of packets."""
    world = world_of(worlds, tmp_path)
    world.deliver([push(number) for number in range(0, 40, 2)])
    world.deliver([push(number) for number in range(1, 38, 2)], PUSHED)
    wanted = world.catch_up().shown()
    world.consumer.flush()
    world.kill()
    for name in ("pipeline.sqlite", "pipeline.sqlite-wal", "pipeline.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    world.start().catch_up()
    assert world.shown() == wanted
    assert world.view.status(DIAL).packets == 39


def test_history_says_nothing_about_the_senders_clock(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """Only packets that came in order, when their clock showed that time, are witnesses.

    What is put in later came late: read as live it would seem to be ahead or behind by hours.
    """
    auto = data_point(1, interval_s=900, tolerance_s=450.0, clock="auto")
    world = world_of(worlds, tmp_path, auto)
    foreign = [Push(1, START_MS + n * STEP_MS, {0: float(n)}, 330) for n in range(12)]
    world.deliver([foreign[11]])
    world.deliver(foreign[:11], PUSHED)
    world.catch_up()
    assert world.view.status(auto).clock == "undecided"
    world.points.change(1, zone="Europe/Berlin")
    world.catch_up()
    moved = world.points.points[1]
    assert world.view.status(moved).clock == "undecided", "nor when the site moves"
    live = [Push(1, START_MS + n * STEP_MS, {0: float(n)}, 330) for n in (12, 13)]
    world.deliver(live)
    world.catch_up()
    assert world.view.status(moved).clock == "offset", "three that came in order decide"


def test_what_was_discarded_tells_the_clock_as_if_it_had_come_in_order(
    tmp_path: Path, worlds: list[GatedWorld]
) -> None:
    """Three packets with an offset of their own decide, also where two of them came too late.

    They came by themselves, so they say of their sender's clock what they would have said in
    order; and what a kept packet of ``+00:00`` says counts only if it came before any newer one.
    """
    auto = data_point(1, interval_s=900, tolerance_s=450.0, clock="auto", zone="Europe/Berlin")
    world = world_of(worlds, tmp_path, auto)
    foreign = [Push(1, START_MS + n * STEP_MS, {0: float(n)}, 330) for n in range(3)]
    world.deliver(foreign[::-1])
    world.catch_up()
    assert world.view.status(auto).clock == "undecided", "one has come in order"
    world.restart()
    world.backfill_discarded(1)
    world.restart()
    world.catch_up()
    assert world.view.status(auto).clock == "offset"
    in_order = world_of(worlds, tmp_path / "in order", auto)
    in_order.deliver(foreign)
    assert world.shown() == in_order.catch_up().shown()
    overtaken = world_of(worlds, tmp_path / "overtaken", auto)
    zero = [replace(push, offset_min=0) for push in foreign]
    overtaken.deliver(zero[2:])
    late = [replace(push, late_ms=3 * STEP_MS - 1) for push in zero[:2]]  # after the newest came
    overtaken.deliver(late)
    overtaken.backfill_discarded(1)
    assert overtaken.catch_up().view.status(auto).clock == "undecided"
