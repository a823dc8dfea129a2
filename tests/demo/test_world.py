from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.demo.plan import PACKETS_MAX, STREAM_BY_ID, STREAMS, history_packets
from kilowatch.demo.timeline import SLOT_H, SLOT_MS, Timeline, is_school_day
from kilowatch.demo.traces import Dial, Electrical
from kilowatch.demo.world import World, history_start_ms, instants, timestamps
from kilowatch.model.lengths import DAY_MS

STARTED_MS = round(datetime(2026, 11, 20, 10, 30, tzinfo=UTC).timestamp() * 1000)


def _packets(world: World, stream_id: str, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    stream = STREAM_BY_ID[stream_id]
    at_ms = instants(from_ms, to_ms, stream.interval_s)
    return [json.loads(body) for body in world.packets(stream, at_ms)]


@pytest.fixture(scope="module")
def start_ms() -> int:
    """Return the start of a year of history before the first start."""
    return history_start_ms(STARTED_MS, 365)


@pytest.fixture(scope="module")
def world(start_ms: int) -> World:
    """Return a year of the three buildings."""
    return World.between(start_ms, STARTED_MS // SLOT_MS * SLOT_MS, STARTED_MS)


@pytest.fixture(scope="module")
def timeline(start_ms: int) -> Timeline:
    """Return the quarter-hours of that year."""
    return Timeline.between(start_ms, STARTED_MS // SLOT_MS * SLOT_MS)


def _electrical(world: World, stream_id: str) -> Electrical:
    trace = world.traces[stream_id]
    assert isinstance(trace, Electrical)
    return trace


def _total_w(world: World, stream_id: str) -> Any:
    return _electrical(world, stream_id).draws.active_w.sum(axis=1)


def test_a_year_stays_below_half_a_million_packets(world: World, start_ms: int) -> None:
    """The demo fits a laptop: a leap year counts too, and outages only make it less."""
    counted = sum(
        sum(1 for _ in world.packets(s, instants(start_ms, STARTED_MS, s.interval_s)))
        for s in STREAMS
    )
    assert counted <= history_packets(366) <= PACKETS_MAX
    assert counted > 0.99 * history_packets(365)


def test_every_run_sees_the_same_buildings(world: World, start_ms: int) -> None:
    """A second run a week later repeats the history to the byte, so that it can go on in it."""
    later = World.between(start_ms, STARTED_MS // SLOT_MS * SLOT_MS + 7 * DAY_MS, STARTED_MS)
    for stream in STREAMS:
        at_ms = instants(start_ms, STARTED_MS - SLOT_MS, stream.interval_s)[-3000:]
        assert list(world.packets(stream, at_ms)) == list(later.packets(stream, at_ms))


def test_the_registers_are_the_integral_of_the_power(world: World, start_ms: int) -> None:
    """What the meter counts over a week is what it drew, import and export apart."""
    for stream_id in ("office-electricity", "market-refrigeration", "school-electricity"):
        week = _packets(world, stream_id, start_ms + 200 * DAY_MS, start_ms + 207 * DAY_MS)
        for phase in "123":
            power_w = np.array([p[f"aP_{phase}"] for p in week[:-1]])
            imported = week[-1][f"pC_{phase}"] - week[0][f"pC_{phase}"]
            assert imported == pytest.approx(np.maximum(power_w, 0).sum() * SLOT_H, rel=1e-5)
            if f"pE_{phase}" in week[0]:
                exported = week[-1][f"pE_{phase}"] - week[0][f"pE_{phase}"]
                assert exported == pytest.approx(np.maximum(-power_w, 0).sum() * SLOT_H, rel=1e-5)
                assert exported > 0


@settings(max_examples=20, deadline=None)
@given(minutes=st.lists(st.integers(0, 60 * 24 * 300), min_size=2, max_size=50, unique=True))
def test_no_register_ever_falls_between_any_two_instants(
    world: World, start_ms: int, minutes: list[int]
) -> None:
    """Live packets at any moment continue the dial, also across clock changes."""
    at_ms = start_ms + 60_000 * np.array(sorted(minutes), np.int64)
    for stream in STREAMS:
        rows = world.traces[stream.stream_id].rows(at_ms)
        names = stream.parameters or ("value",)
        if stream.behaviour == "register":
            dials = [n for n, name in enumerate(names) if name[:2] in {"pC", "pE", "va"}]
            assert (np.diff(rows[:, dials], axis=0) >= 0).all(), stream.stream_id


def test_power_voltage_and_current_obey_the_laws_of_electricity(
    world: World, start_ms: int
) -> None:
    """S² = P² + Q², S = V·I, and line voltages are about √3 times the phase's."""
    packets = _packets(world, "office-electricity", start_ms, start_ms + 3 * DAY_MS)
    assert len(packets) == 3 * 96
    for packet in packets:
        for phase in "123":
            p, q, s = (packet[f"{name}_{phase}"] for name in ("aP", "rP", "apP"))
            assert s == pytest.approx(np.hypot(p, q), abs=0.2)
            current = packet[f"v_{phase}"] * packet[f"c_{phase}"]
            assert current == pytest.approx(s, rel=0.003, abs=2.5)
            assert packet[f"pF_{phase}"] == pytest.approx(p / s, abs=0.001)
            assert 216 < packet[f"v_{phase}"] < 253  # EN 50160: 230 V ± 10 %, less at the top
        assert packet["v_12"] == pytest.approx(np.sqrt(3) * packet["v_1"], rel=0.03)
        assert 49.9 < packet["f"] < 50.1


def test_a_building_draws_at_least_what_its_submeters_draw(world: World) -> None:
    """Submeters are part of the main meter, phase by phase."""
    for main, subs in (
        ("office-electricity", ("office-hvac", "office-lighting")),
        ("market-electricity", ("market-refrigeration", "market-bakery")),
    ):
        parts = sum(_electrical(world, sub).draws.active_w for sub in subs)
        assert (_electrical(world, main).draws.active_w >= parts - 1e-6).all()


def test_people_make_the_difference_between_days(world: World, timeline: Timeline) -> None:
    """Weekends, public holidays and school holidays use less; Saturday is a shop's best day."""
    office, school = _total_w(world, "office-electricity"), _total_w(world, "school-kitchen")
    workday, weekend = timeline.workday, timeline.weekday >= 5
    bank_holiday = timeline.holiday & (timeline.weekday < 5)
    assert office[workday].mean() > 2 * office[weekend].mean()
    assert office[bank_holiday].mean() < 0.6 * office[workday].mean()
    assert school[timeline.school].mean() > 2.5 * school[~timeline.school].mean()
    shop = _total_w(world, "market-electricity")
    assert shop[timeline.weekday == 5].mean() > shop[timeline.weekday == 0].mean()
    noon, night = timeline.between_hours(11, 14), timeline.between_hours(1, 4)
    assert office[workday & noon].mean() > 2.5 * office[workday & night].mean()


def test_weather_drives_heating_and_refrigeration(world: World, start_ms: int) -> None:
    """Gas rises in the cold and refrigeration in the heat, as a building's signature shows."""
    days = np.arange(360)
    at_ms = start_ms + days * DAY_MS
    outdoor = world.traces["office-temperature"]
    daily_c = np.mean([outdoor.rows(at_ms + h * 3_600_000)[:, 0] for h in range(0, 24, 2)], axis=0)
    gas = world.traces["office-gas"]
    assert isinstance(gas, Dial)
    daily_m3 = np.diff(gas.rows(np.append(at_ms, at_ms[-1] + DAY_MS))[:, 0])
    weekday = (at_ms // DAY_MS + 3) % 7 < 5
    assert np.corrcoef(daily_c[weekday], daily_m3[weekday])[0, 1] < -0.7
    cold = _total_w(world, "market-refrigeration")[: 360 * 96].reshape(360, 96).mean(axis=1)
    assert np.corrcoef(daily_c, cold)[0, 1] > 0.8
    assert -8 < daily_c.min() < 6
    assert 15 < daily_c.max() < 28


def test_yearly_figures_are_those_of_real_buildings(world: World) -> None:
    """Nobody who knows buildings should laugh at the demo's yearly energy."""
    yearly_mwh = {
        s.stream_id: _total_w(world, s.stream_id).sum() * SLOT_H / 1e6
        for s in STREAMS
        if s.kind == "electrical"
    }
    assert 150 < yearly_mwh["office-electricity"] < 400  # 4,000 m² at 40 to 100 kWh/m²
    assert 350 < yearly_mwh["market-electricity"] < 800
    assert 0.4 < yearly_mwh["market-refrigeration"] / yearly_mwh["market-electricity"] < 0.65
    panels = world.traces["school-production"]
    assert isinstance(panels, Dial)
    assert 800 < (panels.flow_per_h.sum() * SLOT_H) / 20 < 1050  # kWh per kW in Ireland


@pytest.mark.parametrize(
    ("day", "quarters", "first", "last"),
    [
        ("2026-03-29", 92, "2026-03-29T00:00:00.000+00:00", "2026-03-29T23:45:00.000+01:00"),
        ("2026-10-25", 100, "2026-10-25T00:00:00.000+01:00", "2026-10-25T23:45:00.000+00:00"),
        ("2026-06-01", 96, "2026-06-01T00:00:00.000+01:00", "2026-06-01T23:45:00.000+01:00"),
    ],
)
def test_days_with_a_clock_change_have_the_right_quarters(
    world: World, start_ms: int, day: str, quarters: int, first: str, last: str
) -> None:
    """The day in March has 92 quarter-hours and the one in October 100, in order."""
    stamps = [
        p["tsISO8601"] for p in _packets(world, "office-electricity", start_ms, STARTED_MS)
        if p["tsISO8601"].startswith(day)
    ]  # fmt: skip
    assert (len(stamps), stamps[0], stamps[-1]) == (quarters, first, last)
    instants_s = [datetime.fromisoformat(stamp).timestamp() for stamp in stamps]
    assert np.all(np.diff(instants_s) == 900)


def test_office_hours_follow_the_local_clock_after_a_change(
    world: World, timeline: Timeline
) -> None:
    """People come at eight o'clock on the wall, in summer as in winter."""
    office = _total_w(world, "office-hvac")
    for month_start, month_end in ((60, 85), (95, 120)):  # March and April
        days = (timeline.day_of_year >= month_start) & (timeline.day_of_year < month_end)
        before = office[days & timeline.workday & timeline.between_hours(6, 6.5)]
        after = office[days & timeline.workday & timeline.between_hours(6.5, 7)]
        assert before.max() < 2_000
        assert after.min() > 10_000


@pytest.mark.parametrize(
    ("day", "lessons"),
    [
        ("2026-09-07", True),
        ("2026-07-15", False),
        ("2026-12-23", False),
        ("2026-10-26", False),  # bank holiday and mid-term
        ("2026-10-28", False),
        ("2026-04-08", False),  # the week after Easter
        ("2026-05-12", True),
        ("2026-05-16", False),  # Saturday
        ("2027-01-08", True),
    ],
)
def test_the_school_year_is_irish(day: str, lessons: bool) -> None:
    """Terms, mid-term breaks and Easter are where Irish schools have them."""
    assert is_school_day(datetime.fromisoformat(day).date()) is lessons


def test_timestamps_carry_local_time_and_offset() -> None:
    """A packet says what the clock on the wall says, and how far that is from UTC."""
    assert timestamps(np.array([0, 1_780_000_000_123], np.int64)) == [
        "1970-01-01T01:00:00.000+01:00",  # Ireland kept summer time all year then
        "2026-05-28T21:26:40.123+01:00",
    ]


def test_a_year_is_simulated_and_encoded_in_seconds(start_ms: int) -> None:
    """The simulator must not compete with the platform for the machine: 20 µs a packet."""
    began = time.process_time()
    world = World.between(start_ms, STARTED_MS // SLOT_MS * SLOT_MS, STARTED_MS)
    simulated = time.process_time()
    at_ms = instants(start_ms, STARTED_MS, 900)[:10_000]
    count = sum(1 for _ in world.packets(STREAM_BY_ID["office-electricity"], at_ms))
    encoded_s = time.process_time() - simulated
    assert simulated - began < 5
    assert encoded_s / count < 20e-6 * 3  # three times, for a busy machine
