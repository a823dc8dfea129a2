"""While history is computed again the world goes on: packets, other meters, other settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kilowatch.log.records import BACKFILLED
from kilowatch.model.dated import History, MeterEvent
from kilowatch.model.editing import Correction, Editing, Rules
from kilowatch.model.parameters import PC, PE
from kilowatch.model.points import DataPoint
from tests.pipeline.dated_cases import period_of
from tests.pipeline.pipeline_world import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    KilledError,
    Points,
    World,
    point,
    single,
)
from tests.pipeline.test_editing import fresh, shown

SLICE = 50  # readings, in this world


def hourly(series: int, **changes: object) -> DataPoint:
    """Return an hourly amount in kWh."""
    plain: dict[str, object] = {
        "unit": "kWh", "utility": "electricity", "interval_s": 3600, "tolerance_s": 1800.0,
        "behaviour": "amount", "clock": "offset",
    }  # fmt: skip
    return single(series, **(plain | changes))


def push(world: World, series: int, hours: range, value: float = 1.0, flags: int = 0) -> None:
    """Push amounts of some hours."""
    for hour in hours:
        amount = value * (1 + hour % 7)
        world.log.push(series, START_MS + hour * HOUR_MS, {"value": amount})
        entry = world.log.entries[-1]
        world.log.entries[-1] = entry._replace(flags=entry.flags | flags)


def generation(world: World, series: int = 1) -> int:
    """Return which grid readers see."""
    return world.streams.states[series].progress.generation


def from_sister(series: int, first: int, last: int) -> Editing:
    """Return a fill of some hours from another meter."""
    return Editing(
        corrections=(
            Correction(
                series, "fill", None, START_MS + first * HOUR_MS, START_MS + last * HOUR_MS,
                method="sister", sister=series,
            ),
        )
    )  # fmt: skip


def test_packets_that_arrive_meanwhile_do_not_have_it_done_twice(tmp_path: Path) -> None:
    """A live meter whose settings change is computed again once, not once more for each packet."""
    world = World(tmp_path, [hourly(1)]).start()
    push(world, 1, range(4 * SLICE))
    world.catch_up().consumer.flush()
    world.points.change(1, zone="Asia/Kathmandu")
    for hour in range(4 * SLICE, 4 * SLICE + 4):
        push(world, 1, range(hour, hour + 1))
        world.consumer.step()
    world.catch_up().consumer.flush()
    assert generation(world) == 2
    assert shown(world) == shown(fresh(world))
    assert world.streams.recomputing == {}


def test_packets_from_before_the_registration_count_whoever_hears_of_it_first(
    tmp_path: Path,
) -> None:
    """The catalogue is read anew for the very packet that comes with the registration."""
    world = World(tmp_path, []).start()
    push(world, 1, range(5))
    world.catch_up()

    def read_anew() -> Points:
        world.points.points[1] = hourly(1)  # its revision is seen with the next look
        return world.points

    world.consumer._reload = read_anew
    push(world, 1, range(5, 7))
    world.catch_up().consumer.flush()
    assert shown(world) == shown(fresh(world))
    assert generation(world) == 2


def test_a_live_packet_behind_the_history_that_is_computed_is_not_lost(tmp_path: Path) -> None:
    """A logger's file is put in up to today; then the gateway is back, and sends its own rest."""
    world = World(tmp_path, [hourly(1)]).start(late_quiet_s=2.0)
    push(world, 1, range(9))
    push(world, 1, range(20, 20 + 4 * SLICE), flags=BACKFILLED)
    world.catch_up().consumer.flush()
    world.time_s += 3
    for _ in range(3):
        world.consumer.step()
    assert 0.4 < world.streams.recomputing[1] < 1
    push(world, 1, range(9, 12))
    for _ in range(9):
        world.time_s += 3
        world.catch_up().consumer.flush()
    one = world.points.points[1]
    assert world.view.status(one).packets == 12 + 4 * SLICE
    assert shown(world) == shown(fresh(world))
    assert world.streams.gaps.of(1)[:, 0].tolist() == [START_MS + 11 * HOUR_MS]


def test_a_live_packet_in_the_interval_of_later_history_is_counted(tmp_path: Path) -> None:
    """Where it changes what is open only, it is a packet of its stream all the same."""
    world = World(tmp_path, [hourly(1, interval_s=30 * 86_400, tolerance_s=0.0)]).start()
    push(world, 1, range(2))
    push(world, 1, range(7, 9), flags=BACKFILLED)
    world.catch_up().consumer.flush()
    push(world, 1, range(4, 6))
    world.catch_up().consumer.flush()
    one = world.points.points[1]
    assert world.view.status(one).packets == 6
    assert world.view.last_values([one])[1].value == 2.0, "of the hour 8, the last one there is"
    assert shown(world) == shown(fresh(world))


def test_an_exchange_after_the_next_slice_is_not_computed_from_this_one(tmp_path: Path) -> None:
    """What the dial counted up to it begins with the packet before it, which is still to come.

    From 110 at 01:00 it would have risen to the last figure of 125; but at 02:00 it was 130, so it
    fell, and nothing was counted in the hours between, which must not keep the rise.
    """
    one = hourly(1, behaviour="register", tolerance_s=10_800.0)
    world = World(tmp_path, [one]).start(slice_rows=2)
    for hour, figure in ((0, 100.0), (1, 110.0), (2, 130.0), (5, 3.0), (6, 4.0)):
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": figure})
    world.catch_up().consumer.flush()
    at_ms = START_MS + 9 * HOUR_MS // 2
    event = MeterEvent("exchange", at_ms, None, last=125.0, first=1.0)
    world.points.change(1, history=History(events=(event,)))
    world.catch_up().consumer.flush()
    assert shown(world) == shown(fresh(world))


@pytest.mark.parametrize("exporting", [False, True])
def test_energy_from_power_ends_where_the_register_begins_whatever_came_first(
    tmp_path: Path, *, exporting: bool
) -> None:
    """Power is put in before the register's first packet of the same minute, which came earlier.

    A slice ends between the two: what it derived of the minute must not outlive the register.
    """
    one = point(1, interval_s=60, tolerance_s=0.0, clock="offset")
    world = World(tmp_path, [one]).start(slice_rows=3)
    power = {"aP_1": -1000.0 if exporting else 1000.0}
    register = {"pC_1": 5.0, "pE_1": 7.0}
    for second in (-120, -60):
        world.log.push(1, START_MS + second * 1000, power)
    for second, more in ((32, 0.0), (93, 8.0), (153, 9.0)):
        values = power | {name: value + more for name, value in register.items()}
        world.log.push(1, START_MS + second * 1000, values)
    world.log.push(1, START_MS + 2000, power)
    world.log.entries[-1] = world.log.entries[-1]._replace(flags=BACKFILLED)
    world.catch_up().consumer.flush()
    world.points.change(1, tolerance_s=0.5)
    world.catch_up().consumer.flush()
    one = world.points.points[1]
    rows = world.view.series(one, [PC, PE], START_MS, START_MS + MINUTE_MS, "interval")
    assert len(rows)
    assert np.isnan(rows.amount).all(), "the register counted nothing in its first minute"
    assert shown(world) == shown(fresh(world))


def test_a_sister_that_gets_figures_meanwhile_is_followed(tmp_path: Path) -> None:
    """Hours that were rolled up with an estimate from the old figures are rolled up again."""
    world = World(tmp_path, [hourly(1), hourly(2)]).start()
    push(world, 1, range(90))
    push(world, 1, range(100, 4 * SLICE))
    push(world, 2, range(95))
    world.points.change(1, editing=from_sister(2, 90, 100))
    world.catch_up().consumer.flush()
    world.points.change(1, zone="Asia/Kathmandu")
    for _ in range(3):
        world.consumer.step()
    assert 0.5 < world.streams.recomputing[1] < 1, "the hours of the estimate are done"
    push(world, 2, range(95, 150), 3.0)
    world.catch_up().consumer.flush()
    assert shown(world) == shown(fresh(world))
    assert world.streams.states[1].stale == ""


def test_two_meters_that_are_estimated_from_each_other_come_to_rest(tmp_path: Path) -> None:
    """Each fills its hole from the other; neither waits for the other for ever."""
    world = World(tmp_path, [hourly(1), hourly(2)]).start()
    for series, hole in ((1, 90), (2, 150)):
        push(world, series, range(hole), series)
        push(world, series, range(hole + 10, 4 * SLICE), series)
    world.points.change(1, editing=from_sister(2, 90, 100))
    world.points.change(2, editing=from_sister(1, 150, 160))
    for _ in range(300):
        if not world.consumer.step() and world.streams.seq == world.log.last_seq():
            break
    else:
        pytest.fail("they make each other stale for ever")
    world.consumer.flush()
    whole = fresh(world)
    for series in (1, 2):
        assert shown(world, series) == shown(whole, series)
        assert generation(world, series) < 5
    push(world, 2, range(90, 100), 9.0, BACKFILLED)
    for _ in range(300):
        if not world.consumer.step() and world.streams.seq == world.log.last_seq():
            break
    else:
        pytest.fail("they make each other stale for ever")


def everything(world: World, series: int) -> tuple[object, ...]:
    """Return all that people see of a stream."""
    one = world.points.points[series]
    found = world.view.findings([one]).get(series, ())
    return (
        shown(world, series),
        world.view.gaps(one, 0, FOREVER),
        [finding for finding in found if not finding.data.get("mark")],
        [conflict.key for conflict in world.view.conflicts(one)],
    )


def changed_in_one(world: World) -> None:
    """Change many things at once, as an import of a sheet does."""
    for series in (1, 2):
        one = world.points.points[series]
        event = MeterEvent("bad", START_MS + 30 * HOUR_MS, until_ms=START_MS + 34 * HOUR_MS)
        periods = (period_of(one), period_of(one, START_MS + 2 * DAY_MS, multiplier=3.0))
        rules = Rules(spike_factor=3.0, negative=True, estimate_up_to_s=7_200)
        world.points.change(
            series,
            history=History(periods, (event,)),
            editing=Editing(rules),
            zone="Asia/Kathmandu",
        )


def busy(world: World) -> None:
    """Push two streams with gaps, a negative, history put in, and packets that contradict."""
    for series in (1, 2):
        push(world, series, range(40))
        push(world, series, range(44, 160))
        push(world, series, range(160, 161), -5.0)
        push(world, series, range(163, 190))
    push(world, 1, range(41, 43), flags=BACKFILLED)
    push(world, 1, range(100, 102), 7.0, BACKFILLED)


@pytest.mark.parametrize("step", [*range(1, 40, 4), 60, 90])
def test_one_change_of_many_things_survives_a_crash_at_any_write(tmp_path: Path, step: int) -> None:
    """Gaps, events, conflicts and every granularity change over together, or not yet."""
    world = World(tmp_path, [hourly(1), hourly(2)]).start()
    busy(world)
    world.catch_up().consumer.flush()
    assert len(world.view.conflicts(world.points.points[1])) == 2
    changed_in_one(world)
    push(world, 1, range(162, 163), flags=BACKFILLED)
    world.store.steps_left = step
    try:
        world.catch_up().consumer.flush()
    except KilledError:
        world.kill()
        world.store.steps_left = None
        world.start().catch_up().consumer.flush()
    world.store.steps_left = None
    whole = fresh(world)
    for series in (1, 2):
        assert everything(world, series) == everything(whole, series)
    gaps = world.streams.gaps.of(1)
    assert len(gaps) == 4, "beside 40, 43 and 161: what was bad"
    assert np.diff(gaps[:, 0]).min() > 0
    seen = [generation(world, series) for series in (1, 2)]
    world.kill()
    world.start().catch_up()
    assert [generation(world, series) for series in (1, 2)] == seen
    assert world.streams.recomputing == {}


def test_progress_counts_everything_that_one_change_set_going(tmp_path: Path) -> None:
    """Two of two, from nothing to done, never backwards, and nothing when all is done."""
    world = World(tmp_path, [hourly(1), hourly(2)]).start()
    busy(world)
    world.catch_up().consumer.flush()
    changed_in_one(world)
    shares = []
    points = list(world.points.points.values())
    while world.consumer.step():
        progress = world.view.recomputing(points)
        if progress.total:
            assert progress.total == 2
            shares.append(progress.share)
    assert shares == sorted(shares)
    assert len(shares) > 5
    assert world.view.recomputing(points).total == 0
