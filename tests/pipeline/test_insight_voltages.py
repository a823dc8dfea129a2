"""A voltage that no mean may have is told with its hour, and once."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from kilowatch.insights.explaining import About, explain
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.electrics import VOLTAGE
from tests.pipeline.insight_history import assert_same, snapshot
from tests.pipeline.insight_world import MONDAY_MS, Building
from tests.pipeline.pipeline_world import FOREVER, point
from tests.pipeline.test_insight_electrics import DAYS, healthy, looked_at

STEP_MS = 600_000


class Supply(Building):
    """A three-phase meter that pushes voltages, currents and powers every ten minutes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [point(1, interval_s=600, tolerance_s=300.0)])
        self.volts = {1: 230.0, 2: 231.0, 3: 229.0}
        self.amps = {1: 10.0, 2: 11.0, 3: 9.0}
        self.now_ms = MONDAY_MS

    def until(self, at_ms: int, *, each_h: int | None = None) -> None:
        """Push up to the packet of an instant, and let insights follow."""
        while self.now_ms <= at_ms:
            values = {f"v_{phase}": volts for phase, volts in self.volts.items()}
            values |= {f"c_{phase}": amps for phase, amps in self.amps.items()}
            values |= {f"aP_{p}": 230.0 * amps for p, amps in self.amps.items()}
            self.world.log.push(1, self.now_ms, values)
            self.now_ms += STEP_MS
            if each_h and self.now_ms % (each_h * HOUR_MS) == 0:
                self.world.catch_up()
                self.follow()
        self.world.catch_up()
        self.follow()

    def found(self, kind: EventKind) -> list[InsightEvent]:
        """Return the events of a kind."""
        found = self.view.events([self.world.points.points[1]], 0, FOREVER).get(1, ())
        return [one for one in found if one.kind is kind]


def test_a_gross_overvoltage_is_told_within_the_hour_and_stays_one_event(tmp_path: Path) -> None:
    """A lost neutral burns what is plugged in: nobody may have to wait for Monday to hear of it."""
    supply = Supply(tmp_path)
    tuesday_8_ms = MONDAY_MS + DAY_MS + 8 * HOUR_MS
    supply.until(tuesday_8_ms)
    assert supply.found(EventKind.VOLTAGE) == []
    supply.volts[2] = 275.0
    supply.until(tuesday_8_ms + HOUR_MS + STEP_MS)
    (told,) = supply.found(EventKind.VOLTAGE)
    assert abs(told.start_ms - tuesday_8_ms) <= STEP_MS
    assert told.found_ms == tuesday_8_ms + HOUR_MS
    assert told.evidence["phase"] == 2
    assert told.evidence["highest_v"] == pytest.approx(275.0)
    assert told.evidence["most_v"] == pytest.approx(253.0)
    supply.until(MONDAY_MS + 2 * DAY_MS)
    supply.volts[2] = 231.0
    supply.until(MONDAY_MS + 6 * DAY_MS)
    assert len(supply.found(EventKind.VOLTAGE)) == 1
    supply.until(MONDAY_MS + 7 * DAY_MS + 2 * HOUR_MS)
    (weekly,) = supply.found(EventKind.VOLTAGE)
    assert (weekly.id, weekly.found_ms) == (told.id, told.found_ms)
    assert weekly.evidence["share_inside"] == pytest.approx(1 - 16 / (7 * 24), abs=0.01)
    assert weekly.evidence["hours"] == pytest.approx(16, abs=0.4)
    assert weekly.evidence["highest_v"] == pytest.approx(275.0)


def test_a_lost_phase_is_told_once_it_has_carried_nothing_for_an_hour(tmp_path: Path) -> None:
    """A blown fuse at noon is told in the early afternoon, not at midnight."""
    supply = Supply(tmp_path)
    noon_ms = MONDAY_MS + 2 * DAY_MS + 12 * HOUR_MS + 2 * STEP_MS
    supply.until(noon_ms)
    supply.amps[3] = 0.0
    supply.until(noon_ms + HOUR_MS - 3 * STEP_MS)
    assert supply.found(EventKind.PHASE_LOSS) == []
    supply.until(noon_ms + 2 * HOUR_MS)
    (told,) = supply.found(EventKind.PHASE_LOSS)
    assert told.evidence["phase"] == 3
    assert told.found_ms == MONDAY_MS + 2 * DAY_MS + 14 * HOUR_MS
    supply.until(MONDAY_MS + 4 * DAY_MS)
    (later,) = supply.found(EventKind.PHASE_LOSS)
    assert (later.id, later.found_ms) == (told.id, told.found_ms)
    assert later.evidence["hours"] == pytest.approx(36 - 0.5, abs=0.5)


def test_the_hours_come_in_any_pieces(tmp_path: Path) -> None:
    """Live, hour by hour, or in one go after a night without the server: the same is found."""
    faces = []
    for each_h in (3, 11, None):
        folder = tmp_path / str(each_h)
        folder.mkdir()
        supply = Supply(folder)
        for day, phase, volts in ((2, 1, 190.0), (3, 2, 275.0), (3, 2, 231.0), (9, 1, 255.0)):
            supply.until(MONDAY_MS + day * DAY_MS + 3 * HOUR_MS, each_h=each_h)
            supply.volts[phase] = volts
        supply.until(MONDAY_MS + 10 * DAY_MS + 5 * HOUR_MS, each_h=each_h)
        supply.amps[2] = 0.0
        supply.until(MONDAY_MS + 12 * DAY_MS, each_h=each_h)
        faces.append(snapshot(supply.path))
    kinds = {event[2] for event in faces[0].events.values()}
    assert {"voltage", "phase_loss"} <= kinds
    assert_same(faces[0], faces[1])
    assert_same(faces[0], faces[2])


def _told(volts: dict[int, Iterable[float]], nominal_v: float | None = None) -> list[InsightEvent]:
    values = healthy()
    for phase, own in volts.items():
        values[VOLTAGE + phase] = np.array(list(own))
    found = looked_at(values, nominal_v)
    return [one for one in found if one.kind is EventKind.VOLTAGE]


def test_the_first_day_is_judged_at_its_end() -> None:
    """Before a day is over nobody knows which voltage a new data point should have."""
    volts = np.full(DAYS * 96, 230.0)
    volts[8:16] = 260.0
    (told,) = _told({1: volts})
    assert told.start_ms == MONDAY_MS + 2 * HOUR_MS
    assert told.found_ms == MONDAY_MS + DAY_MS
    assert not told.open, "a week has passed without"
    assert told.evidence["hours"] == 2


def test_a_phase_that_nothing_is_connected_to_has_no_voltage_to_keep() -> None:
    """A single-phase supply on a three-phase meter: 0 V on the other two is no fault."""
    nothing = np.zeros(DAYS * 96)
    assert _told({3: nothing}) == []
    assert _told({2: nothing, 3: nothing}, nominal_v=230.0) == []
    gone = np.where(np.arange(DAYS * 96) < 900, 230.0, 0.0)
    (told,) = _told({2: gone})
    assert told.evidence["phase"] == 2
    assert told.evidence["lowest_v"] == 0


def test_of_many_meters_the_one_is_told(tmp_path: Path) -> None:
    """They are read together; each is judged by its own hours."""
    several = Building(tmp_path, [point(n, interval_s=900, tolerance_s=450.0) for n in (3, 1, 2)])
    for step in range(30 * 4 + 1):
        for series in (1, 2, 3):
            volts = 275.0 if series == 2 and step >= 26 * 4 else 230.0
            several.world.log.push(series, MONDAY_MS + step * 900_000, {"v_1": volts, "aP_1": 1e3})
    several.world.catch_up()
    several.follow()
    found = several.view.events(list(several.world.points.points.values()), 0, FOREVER)
    told = {series: [one.kind for one in events] for series, events in found.items()}
    assert told == {2: [EventKind.VOLTAGE]}
    assert found[2][0].found_ms == MONDAY_MS + 27 * HOUR_MS


@pytest.mark.parametrize("gross_first", [True, False])
def test_the_gravest_voltage_of_a_week_stays_whichever_phase_had_it(*, gross_first: bool) -> None:
    """Phase 1 reaches 280 V, phase 2 is low in a tenth of the week: both are told."""
    gross, low = np.full(DAYS * 96, 230.0), np.full(DAYS * 96, 231.0)
    first, second = (100, 300) if gross_first else (300, 100)
    gross[first : first + 8] = 280.0
    low[second : second + 67] = 205.0
    (told,) = _told({1: gross, 2: low})
    assert told.evidence["phases"] == [1, 2]
    assert told.evidence["highest_v"] == pytest.approx(280.0)
    assert told.evidence["lowest_v"] == pytest.approx(205.0)
    assert told.evidence["share_phase"] == 2
    assert told.evidence["share_inside"] == pytest.approx(0.9, abs=0.01)
    about = About("Main supply", "electricity", "Wh", "W", Zone.of("Europe/Dublin"))
    text = explain(told, about).sentence
    assert "phases 1 and 2 between 205 V and 280 V where no mean may be above 253 V" in text
    assert "90 % of the means of phase 2 near 230 V where EN 50160 asks for 95 %" in text


def test_of_an_hour_the_extremes_are_those_of_all_phases_that_are_named() -> None:
    """One phase at 270 V and another at 262 V in the same hour: neither figure is left out."""
    high, less = np.full(DAYS * 96, 230.0), np.full(DAYS * 96, 231.0)
    high[100:104], less[100:104] = 270.0, 262.0
    values = healthy()
    values[VOLTAGE + 1], values[VOLTAGE + 2] = high, less
    found = looked_at(values, cuts=[MONDAY_MS + day * DAY_MS for day in range(3)])
    (told,) = (one for one in found if one.kind is EventKind.VOLTAGE)
    assert told.evidence["phases"] == [1, 2]
    assert (told.evidence["lowest_v"], told.evidence["highest_v"]) == (262.0, 270.0)
