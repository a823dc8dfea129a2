"""What happens between the parts: dated settings, gaps, corrections, history put in, findings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilowatch.log import Arrival
from kilowatch.log.records import BACKFILLED
from kilowatch.model.blocks import Quality
from kilowatch.model.dated import History, MeterEvent
from kilowatch.model.editing import Correction, Editing, Rules
from kilowatch.model.gaps import gap_state
from kilowatch.model.parameters import GAS_ENERGY, VALUE
from kilowatch.model.silences import Silence
from kilowatch.pipeline.validation import judged
from kilowatch.pipeline.view import View
from tests.pipeline.dated_cases import period_of, with_periods
from tests.pipeline.evidence_world import Shown
from tests.pipeline.pipeline_world import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    World,
    single,
)
from tests.pipeline.silence_world import Nights
from tests.pipeline.test_estimation import HOUR_MS as AN_HOUR_MS
from tests.pipeline.test_estimation import TEN_MS, hours
from tests.pipeline.test_mismatches import of_a_day

CHANGE_MS = START_MS + 6 * HOUR_MS
"""From here on packets come every five minutes, before every quarter of an hour."""


def quarters_then_fives(**changes: object) -> Any:
    """Return a data point in kWh whose interval changed at ``CHANGE_MS``."""
    plain = {"unit": "kWh", "utility": "electricity", "clock": "offset", "behaviour": "amount"}
    one = single(1, **(plain | {"interval_s": 300, "tolerance_s": 150.0} | changes))
    return with_periods(
        one, period_of(one, interval_s=900, tolerance_s=450.0), period_of(one, CHANGE_MS)
    )


def push(world: World, from_ms: int, to_ms: int, step_min: int, value: float = 1.0) -> None:
    """Push amounts at a regular pace."""
    for at_ms in range(from_ms, to_ms, step_min * MINUTE_MS):
        world.log.push(1, at_ms, {"value": value})


def starts(world: World, from_ms: int, to_ms: int) -> list[int]:
    """Return starts of the intervals in a time, in minutes from its beginning."""
    rows = world.view.series(world.points.points[1], [VALUE], from_ms, to_ms, "interval")
    return [(at - from_ms) // MINUTE_MS for at in rows.start_ms.tolist()]


def holes(world: World) -> list[tuple[int, int, int]]:
    """Return gaps in minutes from ``CHANGE_MS``: from, to, missing."""
    return [
        (
            (gap.from_ms - CHANGE_MS) // MINUTE_MS,
            ((gap.to_ms or 0) - CHANGE_MS) // MINUTE_MS,
            gap.missing_ms // MINUTE_MS,
        )
        for gap in world.view.gaps(world.points.points[1], 0, FOREVER)
    ]


# Gaps.


def test_what_is_a_gap_depends_on_the_interval_of_its_time(tmp_path: Path) -> None:
    """A quarter of an hour is no gap while that was the interval, and is one since it is five."""
    world = World(tmp_path, [quarters_then_fives()]).start()
    push(world, START_MS, CHANGE_MS - HOUR_MS, 15)
    push(world, CHANGE_MS - 30 * MINUTE_MS, CHANGE_MS, 15)
    push(world, CHANGE_MS, CHANGE_MS + HOUR_MS, 5)
    push(world, CHANGE_MS + 70 * MINUTE_MS, CHANGE_MS + 2 * HOUR_MS, 5)
    world.catch_up()
    assert holes(world) == [(-75, -30, 30), (55, 70, 10)]
    (day,) = world.view.gap_days([world.points.points[1]], 0, FOREVER)
    rows = world.view.series(
        world.points.points[1], [VALUE], START_MS, CHANGE_MS + 2 * HOUR_MS, "interval"
    )
    assert day.missing_ms == 8 * HOUR_MS - int(rows.covered_ms.sum()), "as completeness has it"
    world.consumer.flush()
    world.kill()
    world.start().catch_up()
    assert holes(world) == [(-75, -30, 30), (55, 70, 10)]


@pytest.mark.parametrize("stamp", ["start", "end"])
def test_over_a_change_of_interval_the_longer_pause_is_allowed(tmp_path: Path, stamp: str) -> None:
    """Of a quarter before it and five minutes after it, a quarter and its tolerance may pass."""
    one = quarters_then_fives(stamp=stamp)
    world = World(tmp_path, [one]).start()
    push(world, START_MS, CHANGE_MS - 5 * MINUTE_MS, 15)
    push(world, CHANGE_MS + 5 * MINUTE_MS, CHANGE_MS + HOUR_MS, 5)
    world.catch_up()
    assert holes(world) == [], "20 minutes may pass between them"
    world.points.change(1, history=History())
    world.catch_up()
    (gap,) = world.view.gaps(world.points.points[1], 0, FOREVER)
    assert gap.holes > 20, "registered every five minutes always, the morning is one gap"


def test_bad_readings_open_a_gap_and_an_exchange_opens_none(tmp_path: Path) -> None:
    """What counts as never sent is missing; another meter at the same place is not."""
    one = single(1, unit="kWh", interval_s=3600, tolerance_s=1800.0, clock="offset")
    world = World(tmp_path, [one]).start()
    for number, figure in enumerate([100.0, 101, 102, 9_999_999, 5, 6, 7]):
        world.log.push(1, START_MS + number * HOUR_MS, {"value": figure})
    world.catch_up()
    one = world.points.points[1]
    exchanged = MeterEvent(
        "exchange", START_MS + 3 * HOUR_MS + 30 * MINUTE_MS, last=103.5, first=4.0
    )
    bad = MeterEvent("bad", START_MS + 3 * HOUR_MS)
    world.points.change(1, history=History((), (exchanged,)))
    world.catch_up()
    assert world.view.gaps(one, 0, FOREVER) == []
    world.points.change(1, history=History((), (bad, exchanged)))
    world.catch_up()
    (gap,) = world.view.gaps(one, 0, FOREVER)
    assert (gap.from_ms, gap.to_ms) == (START_MS + 2 * HOUR_MS, START_MS + 4 * HOUR_MS)
    world.points.change(1, history=History())
    world.catch_up()
    assert world.view.gaps(one, 0, FOREVER) == [], "undone, it was never there"


# Corrections.


def test_a_fill_across_a_change_of_interval_has_the_slots_of_each_time(tmp_path: Path) -> None:
    """Quarters are filled with quarters and fives with fives, and the sums are their own."""
    world = World(tmp_path, [quarters_then_fives()]).start()
    push(world, START_MS, CHANGE_MS - 30 * MINUTE_MS, 15, 3.0)
    push(world, CHANGE_MS + 10 * MINUTE_MS, CHANGE_MS + HOUR_MS, 5)
    world.catch_up()
    fill = Correction(
        1, "fill", None, CHANGE_MS - HOUR_MS, CHANGE_MS + 30 * MINUTE_MS, method="linear"
    )
    for editing in (Editing(corrections=(fill,)), Editing(Rules(estimate_up_to_s=3 * 3600))):
        world.points.change(1, editing=editing)
        world.catch_up().consumer.flush()
        assert starts(world, CHANGE_MS - HOUR_MS, CHANGE_MS + 30 * MINUTE_MS) == [
            0, 15, 30, 45, 60, 65, 70, 75, 80, 85,
        ]  # fmt: skip
        one = world.points.points[1]
        hourly = world.view.series(one, [VALUE], CHANGE_MS - HOUR_MS, CHANGE_MS, "hour")
        assert hourly.amount.tolist() == [pytest.approx(12_000)]
        assert hourly.shares().tolist()[0][2] == HOUR_MS // 2, "half of it is estimated"


def test_a_period_that_begins_inside_an_interval_cuts_its_slot(tmp_path: Path) -> None:
    """Half past twelve the interval becomes an hour: the slot before it is half an hour long."""
    one = single(
        1, unit="kWh", utility="electricity", clock="offset", behaviour="amount",
        interval_s=3600, tolerance_s=1800.0,
    )  # fmt: skip
    cut_ms = START_MS + 150 * MINUTE_MS
    one = with_periods(one, period_of(one), period_of(one, cut_ms, multiplier=2.0))
    world = World(tmp_path, [one]).start()
    push(world, START_MS, START_MS + 2 * HOUR_MS, 60)
    push(world, START_MS + 4 * HOUR_MS, START_MS + 6 * HOUR_MS, 60)
    edit = Correction(1, "edit", VALUE, START_MS + 2 * HOUR_MS, START_MS + 4 * HOUR_MS, 500.0)
    world.points.change(1, editing=Editing(corrections=(edit,)))
    world.catch_up()
    assert starts(world, START_MS, START_MS + 6 * HOUR_MS) == [0, 60, 120, 150, 180, 240, 300]
    rows = world.view.series(one, [VALUE], START_MS, START_MS + 6 * HOUR_MS, "interval")
    assert (rows.duration_ms // MINUTE_MS).tolist() == [60, 60, 30, 30, 60, 60, 60]


def test_what_is_done_to_a_volume_of_gas_is_done_to_its_energy(tmp_path: Path) -> None:
    """A cubic metre that was estimated, spread or typed has its calorific value like any other."""
    one = single(1, behaviour="amount", interval_s=3600, tolerance_s=1800.0, clock="offset")
    noon_ms = START_MS + 12 * HOUR_MS
    one = with_periods(
        one,
        period_of(one, calorific_kwh_per_m3=10.0),
        period_of(one, noon_ms, calorific_kwh_per_m3=11.0),
    )
    world = World(tmp_path, [one]).start()
    push(world, START_MS, START_MS + 4 * HOUR_MS, 60, 2.0)
    push(world, START_MS + 8 * HOUR_MS, START_MS + 24 * HOUR_MS, 60, 2.0)
    fill = Correction(
        1, "fill", VALUE, START_MS + 4 * HOUR_MS, START_MS + 8 * HOUR_MS, method="linear"
    )
    edit = Correction(2, "edit", VALUE, noon_ms - HOUR_MS, noon_ms + HOUR_MS, 5.0)
    world.points.change(1, editing=Editing(corrections=(fill, edit)))
    world.catch_up().consumer.flush()
    for grain in ("interval", "hour", "day"):
        both = [
            world.view.series(one, [channel], START_MS, START_MS + DAY_MS, grain)
            for channel in (VALUE, GAS_ENERGY)
        ]
        volume, energy = (float(np.nansum(rows.amount)) for rows in both)
        assert volume == pytest.approx(22 * 2 + 2 * 5)
        assert energy == pytest.approx(1e4 * (11 * 2 + 5) + 1.1e4 * (11 * 2 + 5))
        assert both[0].shares().sum(axis=0).tolist() == both[1].shares().sum(axis=0).tolist()


def test_the_energy_of_an_odd_volume_is_odd(tmp_path: Path) -> None:
    """Ten times the gas that the pipe lets through: neither volume nor energy is trusted."""
    one = single(1, behaviour="amount", interval_s=3600, tolerance_s=1800.0, clock="offset")
    one = with_periods(one, period_of(one, calorific_kwh_per_m3=10.0))
    world = World(tmp_path, [one]).start()
    for hour in range(30):
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": 50.0 if hour in (5, 9) else 2.0})
    confirmed = Correction(1, "confirm", VALUE, START_MS + 9 * HOUR_MS, START_MS + 10 * HOUR_MS)
    world.points.change(1, editing=Editing(Rules(demand_max=5.0), (confirmed,)))
    world.catch_up()
    for stored in (False, True):
        if stored:
            world.consumer.flush()
        for channels in ([GAS_ENERGY], [VALUE, GAS_ENERGY]):
            for grain in ("interval", "day"):
                rows = world.view.series(one, channels, START_MS, START_MS + DAY_MS, grain)
                assert set(rows.channel.tolist()) == set(channels)
                shares = rows.take(rows.channel == GAS_ENERGY).shares()
                assert shares.sum(axis=0).tolist() == [0, 0, 0, HOUR_MS], (grain, channels)
    (finding,) = world.view.findings([one])[1]
    assert finding.channel == VALUE, "one finding, of what was measured"


def test_the_energy_of_a_gas_dial_is_spread_with_its_volume(tmp_path: Path) -> None:
    """What the dial counted across a gap has one energy, spread or not."""
    one = single(1, interval_s=3600, tolerance_s=1800.0, clock="offset")
    noon_ms = START_MS + 12 * HOUR_MS
    one = with_periods(
        one,
        period_of(one, calorific_kwh_per_m3=10.0),
        period_of(one, noon_ms, calorific_kwh_per_m3=11.0),
    )
    world = World(tmp_path, [one]).start()
    for hour in (*range(11), *range(14, 25)):
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": 3.0 * hour})
    world.catch_up()

    def total(channel: int) -> float:
        rows = world.view.series(one, [channel], START_MS, START_MS + DAY_MS, "interval")
        return float(np.nansum(rows.amount) + np.nansum(rows.unallocated))

    before = {channel: total(channel) for channel in (VALUE, GAS_ENERGY)}
    spread = Correction(1, "spread", VALUE, START_MS + 9 * HOUR_MS, START_MS + 15 * HOUR_MS)
    world.points.change(1, editing=Editing(corrections=(spread,)))
    world.catch_up()
    assert {channel: total(channel) for channel in before} == pytest.approx(before)
    rows = world.view.series(one, [GAS_ENERGY], START_MS, START_MS + DAY_MS, "interval")
    assert not np.nansum(rows.unallocated)
    assert (rows.quality == Quality.ESTIMATED).sum() == 4


def test_a_spike_is_compared_with_neighbours_on_the_grid_of_its_time() -> None:
    """Beside a hole of a day nobody is a neighbour, whatever the interval was years ago."""
    rows = hours(TEN_MS, [1.0, 1.0, 1.0, 1.0, 90.0, 1.0, 1.0, 1.0, 1.0])
    rows.start_ms[5:] += 6 * AN_HOUR_MS
    rules = Rules(spike_factor=5.0)
    assert not judged(rows, rules, AN_HOUR_MS).any()
    assert not judged(rows, rules, np.full(9, AN_HOUR_MS)).any()
    daily_later = np.array([1] * 5 + [24] * 4) * AN_HOUR_MS
    assert np.flatnonzero(judged(rows, rules, daily_later)).tolist() == [4]


# Findings.


def test_a_unit_that_is_registered_from_a_date_on_is_no_surprise() -> None:
    """The meter sends megawatt-hours since Wednesday, and that is what is registered."""
    one = single(1, behaviour="amount", unit="MWh", interval_s=900, tolerance_s=450.0)
    wednesday_ms = START_MS + 3 * DAY_MS
    dated = with_periods(one, period_of(one, unit="kWh"), period_of(one, wednesday_ms))
    for registered, codes in ((dated, []), (one, ["unit.changed"])):
        shown = Shown(registered)
        shown.values(of_a_day(287, 1_000.0))
        shown.values(of_a_day(96, 1.0))
        assert shown.codes == codes
        assert bool(shown.told) == bool(codes)


def test_falls_that_a_person_has_explained_do_not_make_a_dial_an_amount(tmp_path: Path) -> None:
    """A small dial rolls over every few hours: five questions, and with its width none."""
    one = single(1, unit="kWh", interval_s=900, tolerance_s=450.0, clock="offset")
    world = World(tmp_path, [one]).start()
    for number in range(60):
        world.log.push(1, START_MS + number * 15 * MINUTE_MS, {"value": float(number * 12 % 100)})
    world.catch_up()
    (found,) = world.view.findings([one]).values()
    told = {finding.code for finding in found}
    assert told == {"register.fell", "behaviour.falls"}
    world.points.change(1, register_max=100.0)
    world.catch_up()
    one = world.points.points[1]
    assert world.view.findings([one]) == {}, "answered, nothing is left"
    world.consumer.flush()
    world.kill()
    world.start().catch_up()
    assert world.view.findings([one]) == {}


def test_a_mismatch_whose_remedy_was_applied_is_gone_and_stays_gone(tmp_path: Path) -> None:
    """After the click the finding goes away by itself: at once, restarted, and computed again."""
    one = single(1, behaviour="register", unit="kWh", interval_s=300, tolerance_s=150.0)
    world = World(tmp_path, [one]).start()
    for number, value in enumerate(of_a_day(96)):
        world.log.push(1, START_MS + number * 15 * MINUTE_MS, {"value": value})
    world.catch_up()
    codes = {finding.code for finding in world.view.findings([one])[1]}
    assert {"behaviour.falls", "interval.longer"} <= codes
    world.points.change(1, behaviour="amount", interval_s=900, tolerance_s=450.0)
    world.catch_up()
    one = world.points.points[1]
    assert world.view.findings([one]) == {}
    world.log.push(1, START_MS + DAY_MS, {"value": 11.0})
    world.catch_up().consumer.flush()
    world.kill()
    world.start().catch_up()
    assert world.view.findings([one]) == {}
    again = World(tmp_path / "again", [one])
    (tmp_path / "again").mkdir()
    again.log = world.log
    again.start().catch_up()
    assert again.view.findings([one]) == {}


# Silence.


def test_history_that_is_put_in_ends_no_silence(tmp_path: Path) -> None:
    """A logger's file of yesterday says nothing about whether the meter sends again."""
    nights = Nights(tmp_path, single(1, interval_s=3600, tolerance_s=1800.0))
    for _ in range(4):
        nights.push(1)
        nights.wait(HOUR_MS, 60_000)
    nights.wait(3 * HOUR_MS, 60_000)
    assert nights.open == [1]
    number = len(nights.log.packets) + 1
    nights.log.packets.append(
        Arrival(number, 1, nights.now_ms - HOUR_MS, 0, BACKFILLED, nights.now_ms, 1)
    )
    nights.wait(MINUTE_MS)
    assert nights.open == [1]
    nights.kill()
    nights.start()
    nights.wait(MINUTE_MS)
    assert nights.open == [1]
    nights.push(1)
    nights.wait(MINUTE_MS)
    assert nights.open == []


def test_only_history_makes_no_stream_that_can_fall_silent(tmp_path: Path) -> None:
    """Who has never sent, and has last hour's file put in, is not expected to send."""
    nights = Nights(tmp_path, single(1, interval_s=3600, tolerance_s=1800.0))
    for number in range(1, 4):
        nights.log.packets.append(
            Arrival(number, 1, nights.now_ms - number, 0, BACKFILLED, nights.now_ms, 1)
        )
        nights.wait(HOUR_MS, 60_000)
    nights.wait(DAY_MS, HOUR_MS)
    assert nights.told == []


def test_the_gap_of_a_silence_begins_where_the_history_ends(tmp_path: Path) -> None:
    """What was put in meanwhile is data: only what comes after it is still missing."""
    world = World(tmp_path, [single(1, interval_s=3600, tolerance_s=1800.0)]).start()
    for hour in (0, 1, 2):
        world.log.push(1, START_MS + hour * HOUR_MS, {"value": float(hour)})
    world.catch_up()
    one = world.points.points[1]
    silence = Silence(1, 1, 1, 1, 1, START_MS + 2 * HOUR_MS, 0, 0)
    now_ms = START_MS + 10 * HOUR_MS
    view = View(world.streams, world.log, silences=lambda: [silence], now=lambda: now_ms / 1000)
    (gap,) = view.gaps(one, 0, FOREVER)
    assert (gap.from_ms, gap.missing_ms) == (START_MS + 2 * HOUR_MS, 8 * HOUR_MS)
    notified = {(1, silence.last_ms)}
    assert gap_state(gap, notified=notified) == "notified"
    for hour in (3, 4, 5):
        at_ms = START_MS + hour * HOUR_MS
        world.log.push(1, at_ms, {"value": float(hour)})
        entry = world.log.entries[-1]
        world.log.entries[-1] = entry._replace(flags=entry.flags | BACKFILLED)
    world.catch_up()
    (gap,) = view.gaps(one, 0, FOREVER)
    assert (gap.from_ms, gap.missing_ms) == (START_MS + 5 * HOUR_MS, 5 * HOUR_MS)
    assert gap_state(gap, notified=notified) == "notified", "somebody was told, and still is"
    world.points.change(1, history=with_periods(one, period_of(one, multiplier=2.0)).history)
    world.catch_up()
    (gap,) = view.gaps(world.points.points[1], 0, FOREVER)
    assert gap_state(gap, notified=notified) == "notified", "other settings change that as little"
    (day,) = view.gap_days([one], 0, FOREVER)
    assert day.missing_ms == 5 * HOUR_MS
