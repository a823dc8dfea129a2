"""Settings that change from a date on, and what persons record, from the packets to the pages."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kilowatch.model.dated import ALWAYS_MS, History, MeterEvent
from kilowatch.model.parameters import PC, VALUE
from kilowatch.pipeline import Grain
from tests.pipeline.dated_cases import period_of
from tests.pipeline.pipeline_world import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    KilledError,
    World,
    comparable,
    point,
    single,
)

GRAINS: tuple[str | int, ...] = ("interval", 900, "hour", "day", "week", "month")


def shown(world: World, series: int = 1) -> dict[str | int, list[tuple[object, ...]]]:
    """Return a stream's figures at some granularities."""
    return {grain: world.everything(series, grain) for grain in GRAINS}


def fresh(folder: Path, world: World) -> dict[str | int, list[tuple[object, ...]]]:
    """Return the figures of the same log under the present settings from the first packet on."""
    folder.mkdir()
    again = World(folder, list(world.points.points.values()))
    again.log = world.log
    return shown(again.start().catch_up())


def total(world: World, from_ms: int, to_ms: int, grain: Grain, channel: int = VALUE) -> float:
    """Return what was used in a time: amounts and unallocated amounts."""
    rows = world.view.series(world.points.points[1], [channel], from_ms, to_ms, grain)
    parts = [part for row in comparable(rows) for part in (row[9], row[10]) if part is not None]
    return float(sum(parts))  # type: ignore[arg-type]


def dial(world: World, first_ms: int, step_ms: int, figures: list[float]) -> None:
    """Push the figures of a dial."""
    for number, figure in enumerate(figures):
        world.log.push(1, first_ms + number * step_ms, {"value": figure})


def test_a_quarter_of_an_hour_until_a_date_and_five_minutes_from_then(tmp_path: Path) -> None:
    """Mixed intervals in one history give right hours, days and months on both sides."""
    changed_ms = START_MS + DAY_MS
    world = World(tmp_path, [single(1, unit="kWh", interval_s=300)]).start()
    one = world.points.points[1]
    history = History((
        period_of(one, interval_s=900, tolerance_s=450.0),
        period_of(one, changed_ms),
    ))  # fmt: skip
    world.points.change(1, history=history)
    dial(world, START_MS, 15 * MINUTE_MS, [number * 1.5 for number in range(96)])
    dial(world, changed_ms, 5 * MINUTE_MS, [144.0 + number * 0.5 for number in range(289)])
    world.catch_up()
    kept = world.view.series(one, [VALUE], START_MS, START_MS + 9 * DAY_MS, "interval")
    starts = kept.start_ms.tolist()
    steps = {after - before for before, after in pairwise(starts)}
    assert steps == {15 * MINUTE_MS, 5 * MINUTE_MS}
    for day in (0, 1):
        begin = START_MS + day * DAY_MS
        assert total(world, begin, begin + DAY_MS, "day") == pytest.approx(144_000)
        for hour in range(0, 24, 5):
            at = begin + hour * HOUR_MS
            assert total(world, at, at + HOUR_MS, "hour") == pytest.approx(6_000)
    assert total(world, START_MS, START_MS + 31 * DAY_MS, "month") == pytest.approx(288_000)
    world.consumer.flush()
    stored = shown(world)
    world.kill()
    assert shown(world.start().catch_up()) == stored
    assert stored == fresh(tmp_path / "fresh", world)


def test_a_transformer_that_is_exchanged_counts_from_its_date(tmp_path: Path) -> None:
    """Until noon a kilowatt-hour on the dial is 40, from then on 60; the boundary is exact."""
    noon = START_MS + 12 * HOUR_MS
    world = World(tmp_path, [single(1, unit="kWh", interval_s=3600, tolerance_s=1800.0)]).start()
    dial(world, START_MS - HOUR_MS // 2, HOUR_MS, [float(number) for number in range(26)])
    world.catch_up()
    one = world.points.points[1]
    world.points.change(
        1,
        history=History((period_of(one, multiplier=40.0), period_of(one, noon, multiplier=60.0))),
    )
    world.catch_up()
    assert total(world, START_MS, START_MS + DAY_MS, "day") == pytest.approx(12e3 * (40 + 60))
    assert total(world, noon - HOUR_MS, noon, "hour") == pytest.approx(40e3)
    assert total(world, noon, noon + HOUR_MS, "hour") == pytest.approx(60e3)
    assert world.view.status(one).generation == 2


def test_a_fall_is_listed_until_a_person_decides(tmp_path: Path) -> None:
    """One finding for each fall, with what it may have been; the decision gives the amount."""
    world = World(tmp_path, [single(1, unit="kWh", interval_s=3600, tolerance_s=1800.0)]).start()
    dial(world, START_MS, HOUR_MS, [99_990.0, 99_995.0, 7.0, 17.0])
    world.catch_up()
    one = world.points.points[1]
    (finding,) = world.view.status(one).findings
    fell_ms = START_MS + 2 * HOUR_MS
    assert finding.code == "register.fell"
    assert (finding.at_ms, finding.channel) == (fell_ms, VALUE)
    assert (finding.data["before"], finding.data["after"]) == (99_995.0, 7.0)
    kinds = [decision["kind"] for decision in finding.data["decisions"]]
    assert kinds == ["roll_over", "reset", "exchange", "bad", "bad"]
    assert finding.data["decisions"][0]["width"] == 100_000.0
    assert total(world, START_MS, START_MS + DAY_MS, "day") == pytest.approx(15e3)
    world.consumer.flush()
    world.kill()
    world.start().catch_up()
    assert world.view.status(one).findings == (finding,), "a restart does not forget it"
    exchanged = MeterEvent("exchange", fell_ms - HOUR_MS // 2, None, 99_998.0, 4.0)
    decided = {
        "roll_over": (MeterEvent("roll_over", fell_ms, VALUE, width=100_000.0), 5 + 12 + 10),
        "reset": (MeterEvent("reset", fell_ms, VALUE, first=0.0), 5 + 7 + 10),
        "exchange": (exchanged, 5 + 3 + 3 + 10),
        "the lower one is bad": (MeterEvent("bad", fell_ms), 5),
        "the higher ones are bad": (MeterEvent("bad", START_MS, until_ms=fell_ms - 1), 10),
    }  # fmt: skip
    for name, (event, kwh) in decided.items():
        world.points.change(1, history=History((), (event,)))
        world.catch_up()
        assert total(world, START_MS, START_MS + DAY_MS, "day") == pytest.approx(kwh * 1e3), name
        left = world.view.status(world.points.points[1]).findings
        assert len(left) == (name == "the lower one is bad"), name
    world.points.change(1, history=History())
    world.catch_up()
    assert world.view.status(one).findings == (finding,), "undone, it is asked again"


def test_each_fall_is_a_finding_of_its_own_and_many_are_bounded(tmp_path: Path) -> None:
    """A gauge that was registered as a dial falls with every packet, and fills no memory."""
    world = World(tmp_path, [single(1, unit="kWh", interval_s=3600, tolerance_s=1800.0)]).start()
    dial(world, START_MS, HOUR_MS, [float(number % 2) for number in range(300)])
    world.catch_up()
    told = world.view.status(world.points.points[1]).findings
    findings = [one for one in told if one.code == "register.fell"]
    assert len(findings) == 50
    assert [one.code for one in told if one not in findings] == ["behaviour.falls"]
    assert findings[0].data["earlier_falls"] == 149 - 50
    assert len({finding.at_ms for finding in findings}) == 50


def test_a_site_that_changes_its_zone_from_a_date_has_the_days_of_both(tmp_path: Path) -> None:
    """Days begin at midnight in Dublin until the move, and at midnight in Kathmandu after it."""
    moved_ms = START_MS + DAY_MS + 12 * HOUR_MS
    world = World(tmp_path, [point(1)]).start()
    for number in range(4 * 96):
        world.log.push(1, START_MS + number * 15 * MINUTE_MS, {"pC_1": float(number)})
    world.points.change(1, interval_s=900, tolerance_s=450.0)
    world.catch_up()
    zones = ((ALWAYS_MS, "Europe/Dublin"), (moved_ms, "Asia/Kathmandu"))
    world.points.change(1, zone="Asia/Kathmandu", history=History(zones=zones))
    world.catch_up()
    rows = world.view.series(world.points.points[1], [PC], START_MS, START_MS + 9 * DAY_MS, "day")
    ahead_ms = 5 * HOUR_MS + 45 * MINUTE_MS
    second = START_MS + DAY_MS
    third = START_MS + 2 * DAY_MS - ahead_ms
    assert rows.start_ms.tolist()[:3] == [START_MS, second, third]
    assert rows.duration_ms.tolist()[1] == DAY_MS - ahead_ms
    assert shown(world) == fresh(tmp_path / "fresh", world)


def test_a_whole_site_shows_how_far_it_is(tmp_path: Path) -> None:
    """Ten streams of a site are computed again: done of total, rising, until nothing is left."""
    points = [point(number, clock="offset") for number in range(1, 11)]
    world = World(tmp_path, [*points, point(11)]).start()
    for one in [*points, point(11)]:
        for number in range(60):
            world.log.push(one.series, START_MS + number * 5 * MINUTE_MS, {"pC_1": float(number)})
    world.catch_up()
    world.consumer.flush()
    for one in points:
        world.points.change(one.series, zone="Asia/Kathmandu")
    progress = []
    while world.consumer.step():
        progress.append(world.view.recomputing(list(world.points.points.values())))
        world.log.push(11, START_MS + (60 + len(progress)) * 5 * MINUTE_MS, {"pC_1": 60.0})
        assert world.view.lag().packets <= 1, "live packets go on"
    assert progress[0].total == 10
    assert {one.total for one in progress[:-1]} == {10}
    done = [one.done for one in progress if one.total]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 9
    shares = [one.share for one in progress]
    assert shares == sorted(shares)
    assert world.view.recomputing(points) == replace(progress[0], total=0, done=0, share=1.0)


def test_dying_while_a_dated_change_is_computed_is_harmless(tmp_path: Path) -> None:
    """Killed at any step, the next start ends with the figures of the settings."""
    died = 0
    for dies_at in range(0, 40, 4):
        world = World(tmp_path / str(dies_at), [single(1, unit="kWh", interval_s=300)])
        world.folder.mkdir()
        dial(world, START_MS, 5 * MINUTE_MS, [float(number) for number in range(300)])
        world.start().catch_up()
        world.consumer.flush()
        one = world.points.points[1]
        periods = (period_of(one), period_of(one, START_MS + 7 * HOUR_MS + 1, multiplier=2.0))
        events = (MeterEvent("exchange", START_MS + 9 * HOUR_MS, None, 108.0, 108.0),)
        world.points.change(1, history=History(periods, events))
        world.store.steps_left = dies_at
        try:
            world.catch_up()
            world.consumer.flush()
        except KilledError:
            died += 1
        world.store.steps_left = None
        world.kill()
        world.start().catch_up()
        assert shown(world) == fresh(tmp_path / f"{dies_at}-fresh", world)
    assert died >= 5


def test_explain_names_the_settings_and_the_factor_of_the_time(tmp_path: Path) -> None:
    """A figure of February is explained with February's transformer, not with today's."""
    noon = START_MS + 12 * HOUR_MS
    world = World(tmp_path, [point(1)]).start()
    one = world.points.points[1]
    periods = (
        period_of(one, ct_ratio=40.0, interval_s=900),
        period_of(one, noon, ct_ratio=60.0, vt_ratio=2.0),
    )
    event = MeterEvent("exchange", noon, PC + 1, 5.0, 0.0)
    world.points.change(1, history=History(periods, (event,)))
    for number in range(300):
        world.log.push(1, START_MS + number * 5 * MINUTE_MS, {"pC_1": float(number), "c_1": 2.0})
    world.catch_up()
    before = world.view.explain(one, noon - MINUTE_MS)
    after = world.view.explain(one, noon + MINUTE_MS)
    assert (before["start_ms"], before["end_ms"]) == (noon - 15 * MINUTE_MS, noon)
    assert (before["settings"]["ct_ratio"], after["settings"]["ct_ratio"]) == (40.0, 60.0)
    assert before["settings_until_ms"] == after["settings_from_ms"] == noon
    assert before["factors"] == {"power and energy": 40.0, "current": 40.0, "voltage": 1.0}
    assert after["factors"] == {"power and energy": 120.0, "current": 60.0, "voltage": 2.0}
    assert after["events"][0]["channel"] == "pC_1"
    current = [row for row in after["intervals"] if row["channel"] == "c_1"]
    assert current[0]["mean"] == pytest.approx(120.0)
