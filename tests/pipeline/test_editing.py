"""What rules and people make of intervals: the same in every cut, and gone without a trace."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from kilowatch.model.blocks import IntervalBlock, Ints, Quality
from kilowatch.model.editing import (
    NOTHING,
    Correction,
    Editing,
    Rules,
    decoded,
    encoded,
)
from kilowatch.model.findings import Finding
from kilowatch.model.parameters import AP, PC, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.validation import judged
from tests.pipeline.pipeline_world import DAY_MS, HOUR_MS, START_MS, World, point, single

GRAINS: tuple[str | int, ...] = ("interval", "hour", "day", "week", "month")
CLOCK_CHANGE_MS = START_MS + 30 * DAY_MS  # 2024-03-31: Dublin loses an hour
QUARTER_MS = 900_000
END_MS = 4_102_444_800_000  # 2100

Figures = dict[str | int, list[tuple[object, ...]]]


def dial(**changes: object) -> DataPoint:
    """Return a quarter-hourly dial in kWh."""
    return single(
        1, utility="electricity", unit="kWh", interval_s=900, tolerance_s=450.0, clock="offset",
        **changes,
    )  # fmt: skip


def shown(world: World, series: int = 1) -> Figures:
    """Return a stream's figures at every granularity."""
    return {grain: world.everything(series, grain) for grain in GRAINS}


def found(world: World, series: int = 1) -> tuple[Finding, ...]:
    """Return what the view says about a stream."""
    one = world.points.points[series]
    return world.view.findings([one]).get(series, ())


def fresh(world: World) -> World:
    """Return a world that took in the same log at once, under the present settings."""
    with TemporaryDirectory() as folder:
        again = World(Path(folder), list(world.points.points.values()))
        again.log = world.log
        again.start().catch_up().consumer.flush()
        again.kill()
    return again


def edit(
    world: World, *corrections: Correction, series: int = 1, rules: Rules | None = None
) -> None:
    """Give a data point rules and corrections, and let its figures follow."""
    kept = world.points.points[series].editing.rules
    world.points.change(series, editing=Editing(rules or kept, corrections))
    world.catch_up()


def amounts(world: World, grain: str = "interval", series: int = 1) -> dict[int, float]:
    """Return amounts by start."""
    one = world.points.points[series]
    rows = world.view.series(one, [VALUE], 0, END_MS, grain)  # type: ignore[arg-type]
    return dict(zip(rows.start_ms.tolist(), rows.amount.tolist(), strict=True))


def total(world: World, grain: str = "month") -> float:
    """Return everything that was counted, unallocated energy included."""
    one = world.points.points[1]
    rows = world.view.series(one, [VALUE, PC], 0, END_MS, grain)  # type: ignore[arg-type]
    return math.fsum([*rows.amount[rows.amount == rows.amount], *rows.unallocated])


def hourly(tmp_path: Path, dials: Mapping[int, float], **changes: object) -> World:
    """Return a world with an hourly dial in kWh: hour of the first day to figure."""
    one = single(
        1, utility="electricity", unit="kWh", interval_s=3600, tolerance_s=1800.0, clock="offset",
        zone="UTC", **changes,
    )  # fmt: skip
    world = World(tmp_path, [one]).start()
    for hour, figure in dials.items():
        world.log.push(1, START_MS + round(hour * HOUR_MS), {"value": figure})
    world.catch_up()
    world.consumer.flush()
    return world


GAP = {8: 99.0, 9: 100.0, 10: 101.0, 14: 109.0, 15: 111.0}
"""The example of the reference: silent from 10:00 to 14:00, 8 kWh meanwhile."""


def test_energy_of_a_gap_is_spread_over_it_and_its_total_stays(tmp_path: Path) -> None:
    """8 kWh between 10:00 and 14:00 become 2 kWh in each of four hours, all of them estimated."""
    world = hourly(tmp_path, GAP)
    before = shown(world)
    assert total(world) == 12_000.0
    edit(world, Correction(1, "spread", VALUE, START_MS + 10 * HOUR_MS, START_MS + 14 * HOUR_MS))
    spread = amounts(world)
    assert [spread[START_MS + hour * HOUR_MS] for hour in range(8, 15)] == [
        1e3, 1e3, 2e3, 2e3, 2e3, 2e3, 2e3,
    ]  # fmt: skip
    rows = world.view.series(world.points.points[1], [VALUE], 0, END_MS, "day")
    assert (rows.amount.tolist(), rows.unallocated.tolist()) == ([12_000.0], [0.0])
    assert rows.shares().tolist() == [[0, 0, 4 * HOUR_MS, 0]]
    assert rows.covered_ms.tolist() == [7 * HOUR_MS]
    assert rows.quality.tolist() == [Quality.ESTIMATED]
    edit(world)
    assert shown(world) == before, "undone, every figure is what it was, bit for bit"


def test_a_gap_is_spread_by_itself_up_to_a_length(tmp_path: Path) -> None:
    """With a rule for up to 4 h nobody has to do anything; with one for 3 h a person decides."""
    world = hourly(tmp_path, GAP)
    edit(world, rules=Rules(estimate_up_to_s=3 * 3600))
    assert amounts(world)[START_MS + 13 * HOUR_MS] != 2e3
    edit(world, rules=Rules(estimate_up_to_s=4 * 3600))
    assert amounts(world)[START_MS + 13 * HOUR_MS] == 2e3
    assert total(world) == 12_000.0
    accepted = Correction(1, "accept", None, START_MS + 10 * HOUR_MS, START_MS + 14 * HOUR_MS)
    edit(world, accepted)
    rows = world.view.series(world.points.points[1], [VALUE], 0, END_MS, "day")
    assert rows.unallocated.tolist() == [8e3], "an accepted gap stays as it is"


def test_a_gap_that_is_not_over_is_estimated_once_it_is(tmp_path: Path) -> None:
    """Live, the hours of the gap are filled in the moment the meter speaks again."""
    silent = {hour: figure for hour, figure in GAP.items() if hour <= 10}
    world = hourly(tmp_path, silent)
    edit(world, rules=Rules(estimate_up_to_s=6 * 3600))
    world.consumer.flush()
    assert START_MS + 11 * HOUR_MS not in amounts(world)
    world.log.push(1, START_MS + 14 * HOUR_MS, {"value": 109.0})
    world.catch_up()
    assert amounts(world)[START_MS + 11 * HOUR_MS] == 2e3
    world.consumer.flush()
    assert shown(world) == shown(fresh(world))


def test_real_readings_take_the_place_of_estimates(tmp_path: Path) -> None:
    """Backfilled readings at 11:00 and 12:00 leave only the rest of the gap to be estimated."""
    correction = Correction(1, "spread", VALUE, START_MS + 10 * HOUR_MS, START_MS + 14 * HOUR_MS)
    late = {11: 106.0, 12: 107.0}
    world = hourly(tmp_path, GAP)
    edit(world, correction)
    assert amounts(world)[START_MS + 11 * HOUR_MS] == 2e3
    for hour, figure in late.items():
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": figure})
    world.catch_up()
    world.consumer.flush()
    filled = amounts(world)
    assert filled[START_MS + 10 * HOUR_MS] == 5e3
    assert filled[START_MS + 11 * HOUR_MS] == 1e3
    assert filled[START_MS + 12 * HOUR_MS] == filled[START_MS + 13 * HOUR_MS] == 1e3
    assert total(world) == 12_000.0
    day = world.view.series(world.points.points[1], [VALUE], 0, END_MS, "day")
    assert day.shares().tolist() == [[0, 0, 2 * HOUR_MS, 0]], "only what is still missing"
    in_order = hourly_sorted(tmp_path / "sorted", GAP | late, correction)
    np.testing.assert_equal(filled, amounts(in_order))


def hourly_sorted(folder: Path, dials: Mapping[int, float], *corrections: Correction) -> World:
    """Return a world that got the same readings in order, with corrections from the start."""
    folder.mkdir()
    world = hourly(folder, dict(sorted(dials.items())))
    edit(world, *corrections)
    return world


def test_an_edited_interval_counts_in_every_roll_up(tmp_path: Path) -> None:
    """A person sets 09:00 to 4 kWh: hour, day and month follow, and say that it was edited."""
    world = hourly(tmp_path, {hour: 100.0 + hour for hour in range(30)})
    edit(world, Correction(7, "edit", VALUE, START_MS + 9 * HOUR_MS, START_MS + 10 * HOUR_MS, 4e3))
    world.consumer.flush()
    rows = world.view.series(world.points.points[1], [VALUE], 0, END_MS, "month")
    assert rows.amount.tolist() == [32_000.0]
    assert rows.shares().tolist() == [[0, HOUR_MS, 0, 0]]
    later = Correction(8, "edit", VALUE, START_MS + 9 * HOUR_MS, START_MS + 10 * HOUR_MS, 5e3)
    edit(world, *world.points.points[1].editing.corrections, later)
    assert amounts(world)[START_MS + 9 * HOUR_MS] == 5e3, "of two edits the later counts"


def test_what_is_questionable_can_be_confirmed(tmp_path: Path) -> None:
    """Above 3 kW is implausible here, until somebody says that the test run was real."""
    figures = [0.0, 1.0, 2.0, 7.0, 8.0, 9.0, 14.0, 20.0, 21.0, 22.0, 23.0]
    world = hourly(tmp_path, dict(enumerate(figures)))
    edit(world, rules=Rules(demand_max=3_000.0))
    world.consumer.flush()
    first, second = found(world)
    assert (first.code, first.at_ms, first.channel) == (
        "interval.demand_implausible", START_MS + 2 * HOUR_MS, VALUE,
    )  # fmt: skip
    assert first.text == "5 kW is more than the 3 kW that are plausible here."
    assert (second.data["intervals"], second.data["worst_ms"]) == (2, START_MS + 6 * HOUR_MS)
    day = world.view.series(world.points.points[1], [VALUE], 0, END_MS, "day")
    assert day.shares().tolist() == [[0, 0, 0, 3 * HOUR_MS]]
    assert day.amount.tolist() == [23_000.0], "questionable energy still counts"
    edit(world, Correction(1, "confirm", None, START_MS + 5 * HOUR_MS, START_MS + 7 * HOUR_MS))
    world.consumer.flush()
    assert found(world) == (first,)


def test_a_hole_is_filled_by_a_line_a_profile_or_a_sister(tmp_path: Path) -> None:
    """Three missing hours of an amount, estimated in three ways; a known hour is never touched."""
    points = [
        single(
            series, interval_s=3600, tolerance_s=1800.0, behaviour="amount", zone="Europe/Dublin"
        )
        for series in (1, 2)
    ]
    world = World(tmp_path, points).start()
    missing = range(24 * 30 + 10, 24 * 30 + 13)  # the morning of the day that loses an hour
    for hour in range(24 * 31):
        at_ms = START_MS + hour * HOUR_MS
        if hour not in missing:
            world.log.push(1, at_ms, {"value": 10.0 + hour % 24})
        world.log.push(2, at_ms, {"value": 2.0 * (10 + hour % 24)})
    world.catch_up()
    before = shown(world)
    span = (START_MS + missing.start * HOUR_MS, START_MS + missing.stop * HOUR_MS)
    starts = range(*span, HOUR_MS)
    edit(world, Correction(1, "fill", VALUE, *span, method="linear"))
    by_line = amounts(world)
    assert [by_line[at] for at in starts] == pytest.approx([20.0, 21.0, 22.0], rel=1e-12)
    edit(world, Correction(2, "fill", VALUE, *span, method="profile"))
    by_profile = amounts(world)
    # The same hour on the wall: in UTC it was one later before the clocks changed.
    assert [by_profile[at] for at in starts] == [21.0, 22.0, 23.0]
    edit(world, Correction(3, "fill", VALUE, *span, method="sister", sister=2))
    by_sister = amounts(world)
    assert [by_sister[at] for at in starts] == pytest.approx([20.0, 21.0, 22.0], rel=1e-12)
    for filled in (by_line, by_profile, by_sister):
        known = amounts(fresh_without(world))
        assert {at: value for at, value in filled.items() if at not in starts} == known
    edit(world)
    assert shown(world) == before


def fresh_without(world: World) -> World:
    """Return the same log without any correction."""
    points = {series: replace(one, editing=NOTHING) for series, one in world.points.points.items()}
    bare = World(world.folder, list(points.values()))
    bare.log = world.log
    return fresh(bare)


def test_a_sister_with_new_figures_changes_the_estimates_made_from_it(tmp_path: Path) -> None:
    """The sister speaks late, or is registered anew: estimates follow, live and stored."""
    points = [
        single(s, interval_s=3600, tolerance_s=1800.0, behaviour="amount", zone="UTC")
        for s in (1, 2)
    ]
    world = World(tmp_path, points).start()
    for hour in range(60):
        if hour not in range(30, 34):
            world.log.push(1, START_MS + hour * HOUR_MS, {"value": 10.0})
        if hour < 32:
            world.log.push(2, START_MS + hour * HOUR_MS, {"value": 5.0})
    span = (START_MS + 30 * HOUR_MS, START_MS + 34 * HOUR_MS)
    edit(world, Correction(1, "fill", VALUE, *span, method="sister", sister=2))
    world.consumer.flush()
    assert START_MS + 33 * HOUR_MS not in amounts(world)
    for hour in range(32, 60):
        world.log.push(2, START_MS + hour * HOUR_MS, {"value": 10.0 if hour == 33 else 5.0})
    world.catch_up()
    assert amounts(world)[START_MS + 33 * HOUR_MS] == 20.0
    world.consumer.flush()
    assert shown(world) == shown(fresh(world))
    world.points.change(2, interval_s=7200, tolerance_s=3600.0)
    world.catch_up()
    assert amounts(world)[START_MS + 33 * HOUR_MS] == pytest.approx(15.0)
    world.consumer.flush()
    assert shown(world) == shown(fresh(world))


def test_a_register_in_an_open_gap_is_not_filled(tmp_path: Path) -> None:
    """Its next figure will tell how much it was: an estimate beside that would count twice."""
    world = hourly(tmp_path, {hour: float(hour) for hour in range(11)})
    span = (START_MS + 10 * HOUR_MS, START_MS + 14 * HOUR_MS)
    edit(world, Correction(1, "fill", VALUE, *span, method="linear"))
    assert total(world) == 10_000.0
    world.log.push(1, START_MS + 14 * HOUR_MS, {"value": 18.0})
    world.log.push(1, START_MS + 15 * HOUR_MS, {"value": 19.0})
    world.catch_up()
    assert total(world) == 19_000.0
    assert amounts(world)[START_MS + 11 * HOUR_MS] == pytest.approx(2e3, rel=0.5)


def test_edits_of_an_electrical_meter_touch_their_channel_only(tmp_path: Path) -> None:
    """A corrected total of power is a mean, one of energy an amount; phases and voltages stay."""
    world = World(tmp_path, [point(1, interval_s=900, clock="offset")]).start()
    for number in range(40):
        at_ms = START_MS + number * QUARTER_MS
        world.log.push(1, at_ms, {"aP_1": 1000.0, "pC_1": 250.0 * number, "v_1": 230.0})
    world.catch_up()
    span = (START_MS + 4 * QUARTER_MS, START_MS + 5 * QUARTER_MS)
    edit(
        world, Correction(1, "edit", AP, *span, 500.0), Correction(2, "edit", PC, *span, 125.0)
    )  # fmt: skip
    one = world.points.points[1]
    hour = world.view.series(
        one, world.view.channels(one), START_MS, START_MS + 2 * HOUR_MS, "hour"
    )
    by_channel = {
        channel: hour.take((hour.channel == channel) & (hour.start_ms > START_MS))
        for channel in world.view.channels(one)
    }
    assert by_channel[AP].mean.tolist() == [875.0]
    assert by_channel[PC].amount.tolist() == [875.0]
    assert by_channel[AP + 1].mean.tolist() == [1000.0]
    edited = [channel for channel, rows in by_channel.items() if rows.shares()[0][1]]
    assert edited == [AP, PC]


@pytest.mark.parametrize("channel", [AP, AP + 1, PC + 1])
def test_a_value_given_before_its_channel_ever_spoke_counts_in_every_roll_up(
    tmp_path: Path, channel: int
) -> None:
    """Hours that closed while a meter sent only voltages hold what people knew of its power."""
    world = World(tmp_path, [point(1, interval_s=900, clock="offset")]).start()
    for number in range(12):
        world.log.push(1, START_MS + number * QUARTER_MS, {"v_1": 230.0})
    span = (START_MS + 5 * QUARTER_MS, START_MS + 6 * QUARTER_MS)
    edit(world, Correction(1, "edit", channel, *span, 500.0))
    world.consumer.flush()
    for number in range(12, 120):
        at_ms = START_MS + number * QUARTER_MS
        world.log.push(1, at_ms, {"v_1": 230.0, "aP_1": 1000.0, "pC_1": 250.0 * number})
    world.catch_up().consumer.flush()
    hours = of(world, channel, "hour", START_MS + HOUR_MS, START_MS + 2 * HOUR_MS)
    assert hours.start_ms.tolist() == [START_MS + HOUR_MS]
    assert shown(world) == shown(fresh(world))


def three_phases(tmp_path: Path, *, registers: bool = True) -> World:
    """Return a meter of three phases of 1 kW each: 40 quarters of an hour from the first day on."""
    world = World(tmp_path, [point(1, interval_s=900, clock="offset")]).start()
    for number in range(40):
        values = {f"aP_{phase}": 1000.0 for phase in (1, 2, 3)}
        if registers:
            values |= {f"pC_{phase}": 250.0 * number for phase in (1, 2, 3)}
        world.log.push(1, START_MS + number * QUARTER_MS, values)
    world.catch_up()
    world.consumer.flush()
    return world


def of(
    world: World, channel: int, grain: str = "interval", from_ms: int = 0, to_ms: int = END_MS
) -> IntervalBlock:
    """Return one channel's rows of the first data point, asked for by itself."""
    return world.view.series(world.points.points[1], [channel], from_ms, to_ms, grain)  # type: ignore[arg-type]


def test_a_total_follows_what_is_corrected_of_its_phases(tmp_path: Path) -> None:
    """Of 3 x 1 kW one phase is set to 400 W: 2.4 kW, and 600 Wh less a quarter's 150 Wh each.

    So at every granularity, also where only the total is asked for; undone, every figure is what
    it was, bit for bit. What a person says of the total itself counts more.
    """
    world = three_phases(tmp_path)
    before = shown(world)
    span = (START_MS + 4 * QUARTER_MS, START_MS + 6 * QUARTER_MS)
    corrections = (
        Correction(1, "edit", AP + 2, *span, 400.0),
        Correction(2, "edit", PC + 2, *span, 100.0),
    )
    edit(world, *corrections)
    for rows, figure in ((of(world, AP, "interval", *span), "mean"), (of(world, PC), "amount")):
        inside = rows.take((rows.start_ms >= span[0]) & (rows.start_ms < span[1]))
        wanted = 2400.0 if figure == "mean" else 600.0
        assert getattr(inside, figure).tolist() == [wanted] * 2
        assert set(inside.quality.tolist()) == {Quality.EDITED}
        assert inside.covered_ms.tolist() == [QUARTER_MS] * 2
        assert len(rows) == len(inside) or set(rows.take(rows.start_ms < span[0]).quality) == {0}
    assert total(world) == 39 * 750.0 - 300.0
    assert of(world, PC, "hour").amount.tolist()[:3] == [3000.0, 2700.0, 3000.0]
    assert of(world, AP, "hour").mean.tolist()[1] == 2700.0
    assert shown(fresh(world)) == shown(world)
    edit(world, *corrections, Correction(3, "edit", PC, *span, 5.0))
    assert of(world, PC, "interval", *span).amount.tolist() == [5.0, 5.0]
    edit(world)
    assert shown(world) == before


def test_energy_from_power_follows_the_corrected_power(tmp_path: Path) -> None:
    """A meter without a register: 2.4 kW in place of 3 kW are 600 Wh of a quarter of an hour."""
    world = three_phases(tmp_path, registers=False)
    span = (START_MS + 4 * QUARTER_MS, START_MS + 5 * QUARTER_MS)
    edit(world, Correction(1, "edit", AP + 2, *span, 400.0))
    rows = of(world, PC, "interval", *span)
    assert (rows.amount.tolist(), rows.quality.tolist()) == ([600.0], [Quality.EDITED])
    assert of(world, PC, "hour").amount.tolist()[:3] == [3000.0, 2850.0, 3000.0]


def test_a_gap_of_one_phase_that_is_spread_leaves_the_sum_of_the_total(tmp_path: Path) -> None:
    """What one phase counted across a gap is spread; what the others did stays unallocated."""
    world = World(tmp_path, [point(1, interval_s=900, clock="offset")]).start()
    for number in (*range(8), *range(16, 24)):
        values = {f"pC_{phase}": 250.0 * number for phase in (1, 2, 3)}
        world.log.push(1, START_MS + number * QUARTER_MS, values)
    world.catch_up()
    before = total(world)
    span = (START_MS + 7 * QUARTER_MS, START_MS + 17 * QUARTER_MS)
    edit(world, Correction(1, "spread", PC + 1, *span))
    assert total(world) == before == total(world, "interval")
    rows = of(world, PC, "interval", *span)
    assert rows.amount.tolist()[:8] == [250.0] * 8
    assert math.fsum(rows.unallocated) == 9 * 500.0


def test_rules_that_fail_stop_neither_the_stream_nor_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in judging one meter is a finding there; everybody's figures are stored and shown."""
    editing = Editing(Rules(demand_max=9_000.0))
    world = World(tmp_path, [dial(editing=editing), replace(dial(), id=2, series=2)]).start()
    plain = judged

    def broken(rows: IntervalBlock, rules: Rules, interval_ms: int) -> Ints:
        if len(rows) > 1:
            raise ZeroDivisionError("of a rule")
        return plain(rows, rules, interval_ms)

    monkeypatch.setattr("kilowatch.pipeline.editing.judged", broken)
    for number in range(100):
        for series in (1, 2):
            world.log.push(series, START_MS + number * QUARTER_MS, {"value": float(number)})
    world.catch_up()
    world.consumer.flush()
    assert shown(world) == shown(fresh_without(world))
    assert shown(world, 2) == shown(fresh_without(world), 2)
    (finding,) = found(world)
    assert finding.code == "editing.failed"
    assert "ZeroDivisionError: of a rule" in finding.text
    assert not found(world, 2)
    monkeypatch.undo()
    world.log.push(1, START_MS + 100 * QUARTER_MS, {"value": 9_000.0})
    world.log.push(1, START_MS + 109 * QUARTER_MS, {"value": 9_001.0})
    world.catch_up()
    world.consumer.flush()
    assert [one.code for one in found(world)] == ["interval.demand_implausible", "editing.failed"]


def test_a_stream_whose_rules_failed_is_tried_again_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that mends the fault mends the figures: nobody has to know which they were."""
    world = World(tmp_path, [dial(editing=Editing(Rules(demand_max=9_000.0)))]).start()
    with monkeypatch.context() as patched:
        patched.setattr("kilowatch.pipeline.editing.judged", lambda *_: 1 / 0)
        for number in range(20):
            value = float(number if number < 9 else number + 50)
            world.log.push(1, START_MS + number * QUARTER_MS, {"value": value})
        world.catch_up()
        world.consumer.flush()
        world.consumer.flush()
        assert [one.code for one in found(world)] == ["editing.failed"]
        world.log.push(1, START_MS + 20 * QUARTER_MS, {"value": 70.0})
        world.catch_up()
        world.consumer.flush()
        world.kill()
    world.start().catch_up()
    world.consumer.flush()
    assert shown(world) == shown(fresh(world))
    assert [one.code for one in found(world)] == ["interval.demand_implausible"]


def test_an_hour_waits_for_what_its_last_interval_is_compared_with(tmp_path: Path) -> None:
    """A spike at 09:45 is known as one at 11:00: whatever was stored before says so then too."""
    world = World(tmp_path, [dial(editing=Editing(Rules(spike_factor=5.0)))]).start()
    figure, stored = 0.0, []
    for number in range(60):
        figure += 50.0 if number == 39 else 1.0
        world.log.push(1, START_MS + (number + 1) * QUARTER_MS, {"value": figure})
        world.catch_up()
        world.consumer.flush()
        hours = world.store.figures.get("hour", {}).get(1, [])
        stored.append(sum(len(rows) for rows in hours))
    assert shown(world) == shown(fresh(world))
    (spike,) = found(world)
    assert (spike.code, spike.at_ms) == ("interval.spike", START_MS + 39 * QUARTER_MS)
    assert spike.text == "200 kW is more than 5 times what came before and after it."
    hour = world.view.series(world.points.points[1], [VALUE], 0, END_MS, "hour")
    assert hour.start_ms[hour.shares()[:, 3] > 0].tolist() == [START_MS + 9 * HOUR_MS]
    assert stored[-1] == 14, "no hour was stored twice"


def test_rules_and_corrections_survive_their_text() -> None:
    """What the pipeline remembers of them is equal for equal ones, and nothing is nothing."""
    editing = Editing(
        Rules(demand_max=10.5, negative=True, estimate_up_to_s=60, estimate_method="profile"),
        (Correction(3, "fill", None, 5, 9, method="sister", sister=4),),
    )
    assert decoded(encoded(editing)) == editing
    assert encoded(NOTHING) == ""
    assert NOTHING.applied("electricity", "register") == NOTHING
    assert NOTHING.applied("gas", "amount").rules.negative is True
    assert (
        Editing(corrections=(Correction(1, "comment", None, 0, 1),)).applied(
            "electricity", "register"
        )
        == NOTHING
    )
