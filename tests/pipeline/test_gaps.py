"""Gaps are found in live data and in history, and vanish when they are filled."""

from __future__ import annotations

import time
from datetime import date
from itertools import pairwise
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from kilowatch.model.editing import Correction, Editing, Rules
from kilowatch.model.gaps import Gap, PointGaps, gap_state
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.silences import Silence
from kilowatch.model.zones import Zone
from kilowatch.pipeline.gaps import GAPS_MAX, Gaps, days_of, joined, missing_of, totals_of
from kilowatch.pipeline.view import View
from tests.pipeline.pipeline_world import (
    DAY_MS,
    FOREVER,
    HOUR_MS,
    START_MS,
    KilledError,
    World,
    single,
)

HOURLY = {"interval_s": 3600, "tolerance_s": 1800.0}


def pushed(world: World, hours: list[int], series: int = 1) -> World:
    """Push hourly values at some hours."""
    for hour in hours:
        world.log.push(series, START_MS + hour * HOUR_MS, {"value": float(hour)})
    return world.catch_up()


def holes(world: World, series: int = 1) -> list[tuple[int, int, float]]:
    """Return gaps as hours: from, to, and what is missing."""
    return [
        (
            (one.from_ms - START_MS) // HOUR_MS,
            ((one.to_ms or 0) - START_MS) // HOUR_MS,
            one.missing_ms / HOUR_MS,
        )
        for one in world.view.gaps(world.points.points[series], 0, FOREVER)
    ]


@pytest.mark.parametrize(
    ("behaviour", "missing"), [("amount", [1, 23]), ("gauge", [1, 23]), ("register", [2, 24])]
)
def test_a_gap_lies_between_the_packets_on_both_sides(
    tmp_path: Path, behaviour: str, missing: list[int]
) -> None:
    """Of an amount the packet's own hour is there; of a dial nothing between two readings is."""
    world = World(tmp_path, [single(1, behaviour=behaviour, **HOURLY)]).start()
    pushed(world, [0, 1, 2, 4, 5, 29])
    assert holes(world) == [(2, 4, missing[0]), (5, 29, missing[1])]


def test_half_an_interval_late_is_no_gap(tmp_path: Path) -> None:
    """What the data point allows is allowed; a millisecond more is not."""
    world = World(tmp_path, [single(1, **HOURLY)]).start()
    for at_ms in (0, 90 * 60_000, 180 * 60_000 + 1):
        world.log.push(1, START_MS + at_ms, {"value": at_ms / 1000})
    world.catch_up()
    assert len(world.view.gaps(world.points.points[1], 0, FOREVER)) == 1


def test_a_packet_alone_in_a_gap_makes_it_one_gap_with_two_holes(tmp_path: Path) -> None:
    """Registered for 5 minutes and pushed every 15: one line in the list, not 35,000 a year."""
    world = World(tmp_path, [single(1, behaviour="amount", **HOURLY)]).start()
    pushed(world, [0, 3, 6, 9, 10, 11, 14])
    assert holes(world) == [(0, 9, 6), (11, 14, 2)]
    found = world.view.gaps(world.points.points[1], 0, FOREVER)
    assert [one.holes for one in found] == [3, 1]
    assert len(world.view.gaps(world.points.points[1], 0, START_MS + 10 * HOUR_MS)) == 1


def test_gaps_are_there_after_a_restart_and_again_after_a_replay(tmp_path: Path) -> None:
    """They move with the cursor: neither lost nor found twice."""
    world = World(tmp_path, [single(1, **HOURLY)]).start()
    pushed(world, [0, 1, 5])
    world.consumer.flush()
    pushed(world, [6, 9])
    expected = holes(world)
    world.kill()
    world.start().catch_up()
    assert holes(world) == expected
    world.consumer.flush()
    world.kill()
    world.start().catch_up()
    assert holes(world) == expected == [(1, 5, 4), (6, 9, 3)]


def test_a_flush_that_fails_keeps_its_gaps_for_the_next(tmp_path: Path) -> None:
    """A full disk delays, and loses nothing."""
    world = World(tmp_path, [single(1, **HOURLY)]).start()
    pushed(world, [0, 1, 5])
    world.store.full = True
    with pytest.raises(Exception, match="No space"):
        world.consumer.flush()
    world.store.full = False
    world.time_s += 60
    world.consumer.flush()
    world.kill()
    world.start()
    assert holes(world) == [(1, 5, 4)]


def test_a_backfill_that_fills_a_gap_closes_it(tmp_path: Path) -> None:
    """Packets from the past are put in, the stream is recomputed, and the hole is smaller."""
    world = World(tmp_path, [single(1, **HOURLY)]).start()
    pushed(world, [0, 1, 9, 10, 14, 15])
    pushed(world, [2, 3, 4, 5])
    assert holes(world) == [(5, 9, 4), (10, 14, 4)]
    pushed(world, [6, 7, 8, 11, 12, 13])
    assert holes(world) == []
    world.consumer.flush()
    world.kill()
    world.start()
    assert holes(world) == []


def test_a_packet_put_into_the_last_gap_is_seen_though_nothing_is_recomputed(
    tmp_path: Path,
) -> None:
    """The interval of the last packet is still open, and so is a gap that ends in it."""
    world = World(tmp_path, [single(1, behaviour="gauge", **HOURLY)]).start()
    world.log.push(1, START_MS, {"value": 1.0})
    world.log.push(1, START_MS + 5 * HOUR_MS + 50 * 60_000, {"value": 2.0})
    world.catch_up()
    world.log.push(1, START_MS + 5 * HOUR_MS + 10 * 60_000, {"value": 3.0})
    world.catch_up()
    (gap,) = world.view.gaps(world.points.points[1], 0, FOREVER)
    assert gap.to_ms == START_MS + 5 * HOUR_MS + 10 * 60_000


def test_another_interval_finds_other_gaps(tmp_path: Path) -> None:
    """Registered anew for what is pushed, there are no holes any more."""
    world = World(tmp_path, [single(1, **HOURLY)]).start()
    pushed(world, [0, 4, 8, 12, 24])
    assert holes(world) == [(0, 24, 24)]
    world.points.change(1, interval_s=4 * 3600, tolerance_s=3600.0)
    world.catch_up()
    assert holes(world) == [(12, 24, 12)]


def test_history_of_an_older_version_is_looked_through_once(tmp_path: Path) -> None:
    """After an upgrade the calendar shows last year's gaps too."""
    world = World(tmp_path, [single(1, **HOURLY)]).start()
    pushed(world, [0, 1, 5])
    world.streams.states[1].progress.looked_for_gaps = False
    world.streams.gaps = Gaps()
    world.consumer.flush()
    world.kill()
    world.start()
    world.streams.gaps.load([])
    world.catch_up()
    assert holes(world) == [(1, 5, 4)]
    assert world.streams.states[1].progress.looked_for_gaps


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True),
    st.integers(1, 7),
    st.integers(0, 40),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_of_delivery_with_kills_ends_in_the_same_gaps(
    tmp_path_factory: pytest.TempPathFactory, hours: list[int], cut: int, dies_at: int
) -> None:
    """What is missing is a matter of what is there, not of how it came."""
    world = World(tmp_path_factory.mktemp("gaps"), [single(1, **HOURLY)]).start(slice_rows=4)
    world.store.steps_left = dies_at
    for start in range(0, len(hours), cut):
        for hour in hours[start : start + cut]:
            world.log.push(1, START_MS + hour * HOUR_MS, {"value": float(hour)})
        try:
            world.catch_up()
            world.consumer.flush()
        except KilledError:
            world.store.steps_left = None
            world.kill()
            world.start(slice_rows=4).catch_up()
    there = sorted(hours)
    expected: list[list[int]] = []
    for before, after in pairwise(there):
        if after - before > 1 and expected and expected[-1][1] == before:
            expected[-1][1] = after
        elif after - before > 1:
            expected.append([before, after])
    assert [[first, last] for first, last, _ in holes(world)] == expected
    world.kill()


def test_a_silence_that_lasts_is_an_open_gap(tmp_path: Path) -> None:
    """It grows until a packet comes, and then it is the gap between two packets."""
    one = single(1, behaviour="amount", **HOURLY)
    world = World(tmp_path, [one]).start()
    pushed(world, [0, 1, 2])
    last_ms = START_MS + 2 * HOUR_MS
    silence = Silence(1, 1, 1, 1, 1, last_ms, last_ms + 5_400_000, last_ms + 5_401_000)
    view = View(
        world.streams,
        world.log,
        now=lambda: (START_MS + 26 * HOUR_MS) / 1000,
        silences=lambda: [silence],
    )
    assert view.gaps(one, 0, FOREVER) == [Gap(1, last_ms, None, 1, 23 * HOUR_MS, last_ms)]
    assert view.gaps(one, 0, last_ms) == []
    days = view.gap_days([one], START_MS, START_MS + 7 * DAY_MS)
    assert [(day.day, day.points, day.missing_ms / HOUR_MS) for day in days] == [
        (date(2024, 3, 1), 1, 21),
        (date(2024, 3, 2), 1, 2),
    ]


def test_a_gap_lives_from_found_to_accepted() -> None:
    """Open, notified, then found until a person or a rule decides; another gap is not it."""
    still, over = Gap(1, 100, None, 1, 50, 100), Gap(1, 100, 200, 1, 50)

    def corrected(*kinds: str, to_ms: int = 200, channel: int | None = None) -> Editing:
        return Editing(
            corrections=tuple(
                Correction(number, kind, channel, 100, to_ms)  # type: ignore[arg-type]
                for number, kind in enumerate(kinds)
            )
        )

    assert gap_state(still) == "open"
    assert gap_state(still, notified={(1, 100)}) == "notified"
    assert gap_state(over, notified={(1, 100)}) == "found"
    assert gap_state(over, editing=corrected("fill")) == "filled"
    assert gap_state(over, editing=corrected("spread", channel=VALUE)) == "filled"
    assert gap_state(over, editing=corrected("accept")) == "accepted"
    assert gap_state(over, editing=corrected("accept", "fill")) == "filled", "the later one counts"
    assert gap_state(over, editing=corrected("confirm", "comment")) == "found"
    assert gap_state(over, editing=corrected("fill", to_ms=150)) == "found", "half of it"
    assert gap_state(over, editing=corrected("fill", channel=5)) == "found", "one parameter of many"
    by_rule = Editing(Rules(estimate_up_to_s=1))
    assert gap_state(Gap(1, 0, 2_000, 1, 1_000), editing=by_rule) == "filled"
    assert gap_state(Gap(1, 0, 2_001, 1, 1_001), editing=by_rule) == "found"


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 20 * 24), st.integers(1, 100)), max_size=20
    ),
    st.integers(0, 10 * 24),
)
@settings(deadline=None)
def test_a_calendar_counts_every_lost_hour_on_its_own_local_day(
    found: list[tuple[int, int, int]], from_h: int
) -> None:
    """Hour by hour, in three zones and over the change of the clocks, it comes to the same."""
    zones = ["Europe/Dublin", "Australia/Lord_Howe", "Asia/Kolkata"]
    points = [single(number, zone=zone, **HOURLY) for number, zone in enumerate(zones)]
    start_ms = START_MS + 20 * DAY_MS
    rows: list[list[list[int]]] = [[], [], []]
    expected: dict[date, dict[tuple[int, int], int]] = {}
    from_ms = start_ms + from_h * HOUR_MS
    to_ms = from_ms + 15 * DAY_MS
    for number, (place, begin, hours) in enumerate(found):
        begin_ms = start_ms + begin * HOUR_MS
        rows[place].append([begin_ms, begin_ms + hours * HOUR_MS, 1, hours * HOUR_MS])
        zone = Zone.of(zones[place])
        for half in range(2 * hours):
            at_ms = begin_ms + half * HOUR_MS // 2
            if from_ms <= at_ms < to_ms:
                day = zone.dates([at_ms])[0].astype(object)
                lost = expected.setdefault(day, {})
                lost[place, number] = lost.get((place, number), 0) + HOUR_MS // 2
    columns = [np.array(sorted(one), np.int64).reshape(-1, 4) for one in rows]
    days = days_of(points, missing_of(points, columns), from_ms, to_ms)
    assert [(one.day, one.points, one.gaps, one.missing_ms) for one in days] == [
        (day, len({place for place, _ in lost}), len(lost), sum(lost.values()))
        for day, lost in sorted(expected.items())
    ]
    totals = totals_of(points, missing_of(points, columns), from_ms, to_ms)
    assert {series: one.gaps for series, one in totals.items()} == {
        place: len({number for day in expected.values() for other, number in day if other == place})
        for place in {other for day in expected.values() for other, _ in day}
    }
    assert sum(one.missing_ms for one in totals.values()) == sum(day.missing_ms for day in days)


def test_more_gaps_than_anybody_looks_at_are_joined_and_their_sum_stays() -> None:
    """A broken radio can't fill the memory."""
    rows = np.array([[n * 100, n * 100 + 50, 1, 40] for n in range(GAPS_MAX + 1)], np.int64)
    fewer = joined(rows[:-1], rows[-1:])
    assert len(fewer) == GAPS_MAX // 2 + 1
    assert fewer[:, 2].sum() == GAPS_MAX + 1
    assert fewer[:, 3].sum() == 40 * (GAPS_MAX + 1)
    assert (fewer[1:, 0] >= fewer[:-1, 1]).all()


def test_a_year_of_ten_thousand_data_points_is_a_glance(tmp_path: Path) -> None:
    """Sixty gaps each, in three zones: the calendar of them all takes half a second or less."""
    zones = ["Europe/Dublin", "America/New_York", "Asia/Kolkata"]
    points: list[DataPoint] = [
        single(number, zone=zones[number % 3], **HOURLY) for number in range(1, 10_001)
    ]
    world = World(tmp_path, points[:1]).start()
    random = np.random.default_rng(7)
    for one in points:
        begins = np.sort(random.integers(0, 365 * 24, 60)) * HOUR_MS + START_MS
        lengths = random.integers(2, 30, 60) * HOUR_MS
        rows = np.stack([begins, begins + lengths, np.ones(60, np.int64), lengths], axis=1)
        world.streams.gaps.replace(one.series, rows.astype(np.int64))
    began = time.thread_time()
    days = world.view.gap_days(points, START_MS, START_MS + 365 * DAY_MS)
    totals = world.view.gap_totals(points, START_MS, START_MS + 366 * DAY_MS)
    taken_s = time.thread_time() - began
    assert len(totals) == 10_000
    assert totals[1] == PointGaps(60, sum(row[3] for row in world.streams.gaps.of(1).tolist()))
    assert len(days) in (365, 366, 367)
    assert sum(day.gaps for day in days) > 600_000
    assert taken_s < 5
