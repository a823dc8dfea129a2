"""Totals along the tree: what is counted once, what nobody measures, and how complete it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.model.calendar import Grain, Zone, day_start_ms
from kilowatch.model.editing import Correction, Editing, Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_bands import Stack, stack_of
from kilowatch.pipeline.tree_eras import DatedFeeding, Feeding
from kilowatch.pipeline.tree_reading import tree_roll_ups
from kilowatch.pipeline.tree_rollups import TreeRollUp, sum_findings, tree_roll_up
from tests.pipeline.pipeline_world import HOUR_MS, World, point, single
from tests.pipeline.test_rollups import rows

DUBLIN = Zone.of("Europe/Dublin")
ELECTRICITY = ("electricity", "Wh")
SPRING = date(2024, 3, 31)  # 23 hours
START_MS = day_start_ms(SPRING, DUBLIN)
END_MS = day_start_ms(date(2024, 4, 2), DUBLIN)


def amount(series: int, **changes: object) -> DataPoint:
    """Return an hourly amount of electricity in kWh."""
    usual: dict[str, object] = {
        "utility": "electricity", "unit": "kWh", "interval_s": 3600, "tolerance_s": 1800.0,
        "behaviour": "amount", "clock": "offset",
    }  # fmt: skip
    return single(series, **(usual | changes))


def site(
    tmp_path: Path, points: list[DataPoint], kwh: Mapping[int, float], hours: int = 47
) -> World:
    """Return a world in which every data point counts the same in each hour of two days."""
    world = World(tmp_path, points).start()
    for hour in range(hours):
        for series, value in kwh.items():
            world.log.push(series, START_MS + hour * HOUR_MS, {"value": value})
    world.catch_up()
    world.consumer.flush()
    world.time_s = END_MS / 1000
    return world


def asked(
    world: World,
    fed_by: Feeding | DatedFeeding,
    grain: Grain = "day",
    from_ms: int = START_MS,
) -> TreeRollUp:
    """Return the tree of all data points."""
    points = list(world.points.points.values())
    return world.view.tree(points, fed_by, from_ms, END_MS, grain)


def total(world: World, tree: TreeRollUp, kind: tuple[str, str] = ELECTRICITY) -> Stack:
    """Return the total of all data points of one utility and unit, as pages have it."""
    return stack_of(tree, list(world.points.points.values()), kind)


def test_submeters_are_counted_once_and_the_rest_is_shown(tmp_path: Path) -> None:
    """A main of 10 kWh an hour above 6 and 3: the site used 10, and 1 of it nobody measured."""
    world = site(tmp_path, [amount(s) for s in (1, 2, 3)], {1: 10.0, 2: 6.0, 3: 3.0})
    tree = asked(world, {1: None, 2: 1, 3: 1})
    electricity = total(world, tree)
    assert electricity.total.tolist() == [230e3, 240e3], "23 hours, then 24"
    assert [one.id for one in electricity.mains] == [1]
    main = tree.mains[1]
    assert main.submeters.amount.tolist() == [207e3, 216e3]
    assert main.remainder.tolist() == electricity.bands[-1].amount.tolist() == [23e3, 24e3]
    assert electricity.completeness.tolist() == [1.0, 1.0]
    hours = asked(world, {1: None, 2: 1, 3: 1}, "hour")
    assert hours.mains[1].remainder.tolist() == [1e3] * 47
    assert not sum_findings(tree)


@pytest.mark.parametrize("grain", ["hour", "day", "week", "month", "year"])
def test_every_granularity_adds_up_to_the_same(tmp_path: Path, grain: Grain) -> None:
    """Hours, days, weeks, months and years of the tree: one total, one remainder."""
    world = site(tmp_path, [amount(s) for s in (1, 2)], {1: 10.0, 2: 6.0})
    tree = asked(world, {2: 1}, grain, day_start_ms(date(2024, 1, 1), DUBLIN))
    assert np.nansum(total(world, tree).total) == pytest.approx(470e3)
    assert np.nansum(tree.mains[1].remainder) == pytest.approx(188e3)


def test_a_remainder_below_zero_is_shown_and_found(tmp_path: Path) -> None:
    """Submeters that count 20 % more than their main: a factor is wrong, and it is not hidden."""
    world = site(tmp_path, [amount(s) for s in (1, 2, 3)], {1: 10.0, 2: 8.0, 3: 4.0})
    tree = asked(world, {2: 1, 3: 1})
    assert tree.mains[1].remainder.tolist() == [-46e3, -48e3]
    ((finding,),) = sum_findings(tree).values()
    assert finding.code == "meter.sum_exceeded"
    assert finding.text == (
        "The meters below Meter 1 counted 564 kWh together, it only 470 kWh, 20.0% more."
    )
    assert (finding.at_ms, finding.data["until_ms"]) == (START_MS, END_MS)
    assert finding.data["children"] == [2, 3]
    points = list(world.points.points.values())
    assert world.view.sum_findings(points, {2: 1, 3: 1}, START_MS, END_MS) == {1: (finding,)}
    points[0] = replace(points[0], editing=Editing(Rules(sum_tolerance=0.25)))
    assert not world.view.sum_findings(points, {2: 1, 3: 1}, START_MS, END_MS)
    assert not sum_findings(tree, {1: 0.25}), "the tolerance is the data point's"
    assert not sum_findings(tree, {1: 0.0}), "and can be switched off"


def test_a_corrected_submeter_is_no_wrong_sum_any_more(tmp_path: Path) -> None:
    """What a person has set right is what the sums are made of; undone, it is found again."""
    world = site(tmp_path, [amount(s) for s in (1, 2)], {1: 10.0, 2: 12.0})
    points = list(world.points.points.values())
    assert world.view.sum_findings(points, {2: 1}, START_MS, END_MS).keys() == {1}
    edit = Correction(1, "edit", VALUE, START_MS, END_MS, 9_000.0)
    for corrections, found in (((edit,), set()), ((), {1})):
        world.points.change(2, editing=Editing(corrections=corrections))
        world.catch_up()
        points = list(world.points.points.values())
        assert world.view.sum_findings(points, {2: 1}, START_MS, END_MS).keys() == found


def test_a_meter_that_is_fed_by_another_one_since_monday_was_not_before(tmp_path: Path) -> None:
    """Each day has the tree that it had: roots, remainders and totals follow the date."""
    world = site(tmp_path, [amount(s) for s in (1, 2, 3)], {1: 10.0, 2: 6.0, 3: 3.0})
    monday_ms = START_MS + 23 * HOUR_MS
    before: dict[int, int | None] = {1: None, 2: 1, 3: None}
    tree = asked(world, [(0, before), (monday_ms, {1: None, 2: None, 3: 1})])
    electricity = total(world, tree)
    assert electricity.total.tolist() == [23 * 13e3, 24 * 16e3]
    assert [one.id for one in electricity.mains] == [1, 3, 2]
    main = tree.mains[1]
    rest = electricity.bands[-1].amount
    assert main.remainder.tolist() == rest.tolist() == [23 * 4e3, 24 * 7e3]
    assert [one.id for one in main.children] == [2, 3]
    assert main.completeness.tolist() == [1.0, 1.0]
    assert not sum_findings(tree)
    alone = asked(world, [(0, before), (monday_ms, {1: None, 2: None, 3: None})])
    assert np.isnan(alone.mains[1].remainder).tolist() == [False, True]
    assert alone.mains[1].completeness.tolist() == [1.0, 0.0], "on Monday it feeds nobody"
    hours = asked(world, [(0, before), (monday_ms, {1: None, 2: None, 3: 1})], "hour")
    assert np.nansum(hours.mains[1].remainder) == np.nansum(main.remainder)


def test_a_main_that_was_silent_is_no_wrong_sum(tmp_path: Path) -> None:
    """Half a day without the main meter: the remainder is negative, and why is in completeness."""
    world = site(tmp_path, [amount(s) for s in (1, 2)], {2: 8.0})
    for hour in range(24, 47):
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": 10.0})
    world.catch_up()
    tree = asked(world, {2: 1}, "day")
    main = tree.mains[1]
    assert np.isnan(main.remainder[0]), "nothing known of the main is no zero"
    assert main.completeness.tolist() == [0.0, pytest.approx(23 / 24)]
    assert not sum_findings(tree)


def test_completeness_stands_beside_every_total(tmp_path: Path) -> None:
    """Of two mains one was silent for the second day: half of the site is known, and said so."""
    world = site(tmp_path, [amount(s) for s in (1, 2)], {1: 10.0}, 47)
    for hour in range(23):
        world.log.push(2, START_MS + hour * HOUR_MS, {"value": 5.0})
    world.catch_up()
    electricity = total(world, asked(world, {}))
    assert electricity.total.tolist() == [345e3, 240e3]
    assert electricity.completeness.tolist() == [1.0, 0.5]
    world.time_s = (END_MS - 12 * HOUR_MS) / 1000
    running = total(world, asked(world, {}))
    assert running.completeness.tolist() == [1.0, 0.5], "what has not passed is not missing"


def test_the_share_of_estimates_goes_up_the_tree(tmp_path: Path) -> None:
    """One of two mains was edited for 6 of 24 hours: an eighth of the site's day."""
    world = site(tmp_path, [amount(s) for s in (1, 2)], {1: 10.0, 2: 5.0})
    day_ms = day_start_ms(date(2024, 4, 1), DUBLIN)
    edit = Correction(1, "edit", 0, day_ms, day_ms + 6 * HOUR_MS, 1e3)
    world.points.change(2, editing=Editing(corrections=(edit,)))
    world.catch_up()
    electricity = total(world, asked(world, {}))
    assert electricity.shares.tolist() == [[0, 0, 0, 0], [0, 0.125, 0, 0]]
    assert electricity.total.tolist() == [345e3, 336e3]


def test_utilities_and_units_are_added_apart(tmp_path: Path) -> None:
    """Kilowatt-hours of heat below electricity are no part of it; gas in m³ is another sum."""
    points = [
        amount(1),
        amount(2, utility="heat"),
        amount(3, utility="gas", unit="m3"),
        amount(4),
        single(5, utility="temperature", unit="°C", behaviour="gauge"),
    ]
    world = site(tmp_path, points, {1: 10.0, 2: 4.0, 3: 2.0, 4: 1.0, 5: 21.0})
    tree = asked(world, {2: 1, 3: 1, 4: 2})
    wanted = {("electricity", "Wh"): 240e3, ("gas", "m3"): 48.0, ("heat", "Wh"): 96e3}
    assert {kind: total(world, tree, kind).total[1] for kind in wanted} == wanted
    assert [child.id for child in tree.mains[1].children] == [4], "past the heat meter between"
    assert 5 not in tree.points, "a temperature adds nothing"


def test_a_circle_is_cut(tmp_path: Path) -> None:
    """Two meters that feed each other, one that feeds itself: each counts as if nobody fed it."""
    world = site(tmp_path, [amount(s) for s in (1, 2, 3, 4)], {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0})
    tree = asked(world, {1: 2, 2: 1, 3: 3, 4: 1})
    electricity = total(world, tree)
    assert [one.id for one in electricity.mains] == [1, 2, 3]
    assert electricity.total[1] == 24 * 6e3, "4 is below 1"


def test_a_daily_meter_is_in_no_hourly_sum(tmp_path: Path) -> None:
    """Its day is never split: on an hourly page it is named, and its hours are not complete."""
    world = site(tmp_path, [amount(1), amount(2, interval_s=86_400)], {1: 10.0, 2: 5.0})
    hours = asked(world, {}, "hour")
    assert hours.too_coarse == {2}
    assert total(world, hours).total[0] == 10e3
    assert total(world, hours).completeness[0] == 0.5
    assert total(world, asked(world, {}, "day")).total.tolist() == [345e3, 360e3]


def test_days_of_two_time_zones_are_not_added(tmp_path: Path) -> None:
    """A day in Kathmandu is not a day in Dublin."""
    world = site(tmp_path, [amount(1), amount(2, zone="Asia/Kathmandu")], {1: 1.0, 2: 1.0}, 1)
    with pytest.raises(KilowatchError, match="not the same days") as refused:
        asked(world, {})
    assert refused.value.code == "several_zones"


def test_a_three_phase_meter_counts_what_it_imports(tmp_path: Path) -> None:
    """A main register with a plug meter below it: totals are imports, in Wh."""
    points = [point(1, interval_s=3600, tolerance_s=1800.0, clock="offset"), amount(2)]
    world = site(tmp_path, points, {2: 1.0})
    for hour in range(48):
        at_ms = START_MS + hour * HOUR_MS
        world.log.push(1, at_ms, {"pC_1": 3000.0 * hour, "aP_1": 3000.0})
    world.catch_up()
    tree = asked(world, {2: 1})
    assert tree.mains[1].remainder.tolist() == [23 * 2e3, 24 * 2e3]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_roots_and_remainders_are_the_total_of_every_forest(parents: list[int]) -> None:
    """Whoever feeds whom, circles too: remainders and meters without submeters make the total."""
    size = len(parents)
    points = [amount(number) for number in range(1, size + 1)]
    fed_by = {n + 1: (None if p == 0 else p) for n, p in enumerate(parents)}
    block = rows([START_MS] * size, 0, 23 * HOUR_MS, amount=[float(n) for n in range(1, size + 1)])
    block.series = np.arange(1, size + 1)
    end_ms = START_MS + 23 * HOUR_MS
    tree = tree_roll_up(
        lambda _points, _channels: block, points, fed_by, (START_MS, end_ms), "day", end_ms
    )
    electricity = stack_of(tree, points, ELECTRICITY)
    leaves = [tree.points[p.id].amount[0] for p in points if p.id not in tree.mains]
    parts = sum(leaves) + sum(main.remainder[0] for main in tree.mains.values())
    assert parts == pytest.approx(electricity.total[0])
    assert len(electricity.mains) + sum(len(m.children) for m in tree.mains.values()) == size


def test_periods_side_by_side_are_read_at_once_and_stay_what_they_are(tmp_path: Path) -> None:
    """Two days that meet are one look into the store; two that are far apart are two."""
    points = [amount(1), amount(2)]
    world = site(tmp_path, points, {1: 5.0, 2: 2.0})
    fed_by = {1: None, 2: 1}
    middle = day_start_ms(date(2024, 4, 1), DUBLIN)
    looks: list[tuple[int, int]] = []

    def series(some: object, channels: object, from_ms: int, to_ms: int, grain: object) -> object:
        looks.append((from_ms, to_ms))
        return world.view.series_many(some, channels, from_ms, to_ms, grain)  # type: ignore[arg-type]

    def both(*spans: tuple[int, int]) -> list[TreeRollUp]:
        return tree_roll_ups(series, points, fed_by, spans, "day", END_MS)  # type: ignore[arg-type]

    far = (END_MS + 40 * 24 * HOUR_MS, END_MS + 41 * 24 * HOUR_MS)
    for spans, count in (
        (((middle, END_MS), (START_MS, middle)), 1),
        (((START_MS, middle), far), 2),
    ):
        looks.clear()
        found = both(*spans)
        assert len(looks) == count
        for tree, span in zip(found, spans, strict=True):
            alone = both(span)[0]
            for number in (1, 2):
                for name in ("amount", "unallocated", "completeness", "shares"):
                    mine, its = (getattr(t.points[number], name) for t in (tree, alone))
                    np.testing.assert_array_equal(mine, its)
