from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.demo.events import Event, by_key, events
from kilowatch.demo.plan import STREAM_BY_ID
from kilowatch.demo.timeline import SLOT_MS, Timeline
from kilowatch.demo.world import World, history_start_ms, instants
from kilowatch.model.blocks import Floats
from kilowatch.model.lengths import DAY_MS

HOUR_MS = 3_600_000
WEEK_MS = 7 * DAY_MS
FIRST_STARTS = ["2026-11-20", "2027-02-03", "2027-05-30", "2028-08-14"]


class Year:
    """A year before a first start, with its events by key."""

    def __init__(self, day: str) -> None:
        self.started_ms = round(datetime.fromisoformat(f"{day}T10:30Z").timestamp() * 1000)
        self.start_ms = history_start_ms(self.started_ms, 365)
        self.world = World.between(
            self.start_ms, self.started_ms // SLOT_MS * SLOT_MS, self.started_ms
        )
        self.events = by_key(events(self.started_ms))

    def power_w(self, stream_id: str, from_ms: int, to_ms: int) -> Floats:
        """Return the total active power per quarter-hour, shape (n,) [W]."""
        at_ms = instants(from_ms, to_ms, 900)
        parameters = STREAM_BY_ID[stream_id].parameters
        phases = [n for n, name in enumerate(parameters) if name.startswith("aP_")]
        total: Floats = self.world.traces[stream_id].rows(at_ms)[:, phases].sum(axis=1)
        return total

    def used(self, stream_id: str, from_ms: int, to_ms: int) -> float:
        """Return what a single register counted."""
        rows = self.world.traces[stream_id].rows(np.array([from_ms, to_ms]))
        return float(rows[1, 0] - rows[0, 0])

    def packets(self, stream_id: str, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
        """Return the packets of the history."""
        stream = STREAM_BY_ID[stream_id]
        at_ms = instants(from_ms, to_ms, stream.interval_s)
        return [json.loads(body) for body in self.world.packets(stream, at_ms)]


@pytest.fixture(scope="module", params=FIRST_STARTS)
def year(request: pytest.FixtureRequest) -> Year:
    """Return a year for first starts in all seasons."""
    return Year(request.param)


def test_ventilation_left_on_shows_against_other_weekends(year: Year) -> None:
    """Twelve kilowatts more than on the weekend before, day and night."""
    event = year.events["ventilation_at_weekend"]
    end_ms = event.from_ms + 2 * DAY_MS
    for stream_id in event.stream_ids:
        bad = year.power_w(stream_id, event.from_ms, end_ms)
        good = year.power_w(stream_id, event.from_ms - WEEK_MS, end_ms - WEEK_MS)
        assert np.median(bad) - np.median(good) == pytest.approx(12_000, rel=0.25)
    assert bad.min() > 8_000


def test_lights_left_on_show_in_one_night(year: Year) -> None:
    """Six kilowatts more than in the night before, between midnight and five."""
    event = year.events["lights_left_on"]
    night = event.from_ms + 7 * HOUR_MS
    stream_id = event.stream_ids[0]
    lit = year.power_w(stream_id, night, night + 4 * HOUR_MS).mean()
    dark = year.power_w(stream_id, night - DAY_MS, night - DAY_MS + 4 * HOUR_MS).mean()
    assert lit - dark == pytest.approx(6_000, rel=0.25)


@pytest.mark.parametrize("key", ["meter_outage", "gas_outage"])
def test_an_outage_leaves_a_hole_and_a_step_of_the_register(year: Year, key: str) -> None:
    """No packets come, but the energy is counted: it is there in one step afterwards."""
    event = year.events[key]
    stream_id = event.stream_ids[0]
    assert year.packets(stream_id, event.from_ms, event.to_ms) == []
    around = year.packets(stream_id, event.from_ms - 4 * HOUR_MS, event.to_ms + 4 * HOUR_MS)
    times_s = np.array([datetime.fromisoformat(p["tsISO8601"]).timestamp() for p in around])
    hole_s = (event.to_ms - event.from_ms) / 1000
    assert np.diff(times_s).max() >= hole_s
    dial = "pC_1" if "pC_1" in around[0] else "value"
    step = np.diff([p[dial] for p in around])[np.diff(times_s).argmax()]
    assert step >= 0


def test_a_leak_flows_when_nobody_is_there(year: Year) -> None:
    """A quarter of a cubic metre in every hour of the night, where there was next to nothing."""
    event = year.events["water_leak"]
    midnight = event.from_ms - 3 * HOUR_MS + DAY_MS
    leaking = year.used("office-water", midnight, midnight + 5 * HOUR_MS) / 5
    sound = year.used("office-water", midnight - WEEK_MS, midnight - WEEK_MS + 5 * HOUR_MS) / 5
    assert leaking == pytest.approx(0.256, abs=0.01)
    assert sound < 0.01


def test_a_stuck_sensor_repeats_one_value(year: Year) -> None:
    """Three days without a tenth of a degree of change, while Dublin has days and nights."""
    event = year.events["stuck_sensor"]
    stuck = {p["value"] for p in year.packets("school-temperature", event.from_ms, event.to_ms)}
    moving = {p["value"] for p in year.packets("office-temperature", event.from_ms, event.to_ms)}
    assert len(stuck) == 1
    assert len(moving) > 10


def test_a_lost_phase_is_dead_on_every_meter_behind_it(year: Year) -> None:
    """Voltage and current of phase 2 vanish; the line voltages fall to the phase's."""
    event = year.events["phase_loss"]
    for stream_id in event.stream_ids:
        packets = year.packets(stream_id, event.from_ms, event.to_ms)
        assert len(packets) == 6
        assert all(p["v_2"] < 5 and p["c_2"] == 0 and p["aP_2"] == 0 for p in packets)
        assert all(p["v_1"] > 200 for p in packets)
    main = year.packets("market-electricity", event.from_ms, event.to_ms)[0]
    assert main["v_12"] < 240
    assert main["v_31"] > 380


def test_an_iced_evaporator_shows_in_the_refrigeration(year: Year) -> None:
    """A third more than in the weeks around it."""
    event = year.events["freezer_fault"]
    iced = year.power_w("market-refrigeration", event.from_ms, event.to_ms).mean()
    before = year.power_w("market-refrigeration", event.from_ms - WEEK_MS, event.from_ms).mean()
    after = year.power_w("market-refrigeration", event.to_ms, event.to_ms + WEEK_MS).mean()
    assert 1.15 < 2 * iced / (before + after) < 1.5


def test_the_night_baseload_creeps_up_and_back(year: Year) -> None:
    """Nobody notices a little more each night, until it is six kilowatts."""
    event = year.events["baseload_creep"]

    def night_w(at_ms: int) -> float:
        midnight = at_ms // DAY_MS * DAY_MS
        return float(
            np.mean(
                [
                    np.percentile(
                        year.power_w(
                            "office-electricity",
                            midnight + d * DAY_MS + HOUR_MS,
                            midnight + d * DAY_MS + 4 * HOUR_MS,
                        ),
                        20,
                    )
                    for d in range(5)
                ]
            )
        )

    start, end = night_w(event.from_ms - 6 * DAY_MS), night_w(event.to_ms - 6 * DAY_MS)
    assert 4_000 < end - start < 7_500
    assert abs(night_w(event.to_ms + 2 * DAY_MS) - start) < 1_500


def test_heating_and_cooling_fight_each_other(year: Year) -> None:
    """In those two weeks gas and cooling both run, whatever the weather says."""
    event = year.events["heating_and_cooling"]
    days = Timeline.between(event.from_ms, event.to_ms)
    ten = days.at_ms[days.workday & (days.hour == 10)]
    assert len(ten) >= 5
    for at_ms in ten.tolist():
        gas = year.used("office-gas", at_ms, at_ms + HOUR_MS)
        cooling = year.power_w("office-hvac", at_ms, at_ms + HOUR_MS).mean()
        assert gas > 4.9
        assert cooling > 24_000


def test_the_school_is_heated_for_nobody_at_christmas(year: Year) -> None:
    """Gas in the mornings of the last days of December, as on days of lessons."""
    event = year.events["heating_in_holidays"]
    heated = year.used("school-gas", event.from_ms, event.to_ms)
    quiet_from = event.from_ms - 4 * DAY_MS  # 23 December
    quiet = year.used("school-gas", quiet_from, event.from_ms)
    assert heated > 3 * (quiet + 1)


@settings(max_examples=200, deadline=None)
@given(day=st.dates(date(2025, 1, 1), date(2040, 12, 31)))
def test_every_event_lies_in_the_year_before_any_first_start(day: date) -> None:
    """Whoever starts the demo on whatever day finds all of it."""
    started_ms = round(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    start_ms = history_start_ms(started_ms, 365)
    for event in events(started_ms):
        assert start_ms <= event.from_ms < event.to_ms < started_ms, event.key
        assert set(event.stream_ids) <= set(STREAM_BY_ID)


def test_the_page_about_the_demo_lists_every_event() -> None:
    """What is to be found stands in the documentation, in the words of the code."""
    page = (Path(__file__).parents[2] / "docs/start/demo.md").read_text(encoding="utf-8")
    today = datetime(2026, 11, 20, 12, tzinfo=UTC)
    listed: tuple[Event, ...] = events(round(today.timestamp() * 1000))
    assert len(listed) > 10
    for event in listed:
        assert event.title in page, event.title
        for stream_id in event.stream_ids:
            assert re.search(rf"`{stream_id}`", page), stream_id


def test_events_keep_their_distance_from_the_first_start() -> None:
    """A week later the same things are found a week further back, weekdays permitting."""
    a = by_key(events(round(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1000)))
    b = by_key(events(round(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp() * 1000)))
    for key in ("water_leak", "stuck_sensor", "ventilation_at_weekend", "phase_loss"):
        apart = timedelta(milliseconds=b[key].from_ms - a[key].from_ms)
        assert abs(apart - timedelta(days=7)) <= timedelta(hours=1)  # clocks may change
