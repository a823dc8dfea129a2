"""A transformer that is turned round, or has another ratio, is found by the day's energies."""

from pathlib import Path

import pytest

from kilowatch.insights.explaining import About, explain
from kilowatch.insights.limits import Fault
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.fault_runs import FaultRun, end, go_on
from tests.pipeline.insight_world import MONDAY_MS, Building
from tests.pipeline.pipeline_world import FOREVER, point

STEP_MS = 900_000
W = {1: 4_000.0, 2: 3_000.0, 3: 5_000.0}


def found_on(
    folder: Path, power: dict[int, float], registers: dict[int, float], days: int = 3
) -> list[InsightEvent]:
    """Return what is found of a meter: its powers [W], and by how much its dials turn [W]."""
    building = Building(folder, [point(1, interval_s=900, tolerance_s=450.0)])
    for step in range(days * 96 + 8):
        at_ms = MONDAY_MS + step * STEP_MS
        busy = 1.0 if 7 <= at_ms // HOUR_MS % 24 < 19 else 0.4
        dials = {f"pC_{p}": 1e6 + w / 4 * _turned(step) for p, w in registers.items()}
        building.world.log.push(1, at_ms, {f"aP_{p}": w * busy for p, w in power.items()} | dials)
    building.world.catch_up()
    building.follow()
    events = building.view.events([building.world.points.points[1]], 0, FOREVER).get(1, ())
    return [one for one in events if one.kind is EventKind.PHASE_SUM]


def _turned(step: int) -> float:
    """Return by how many full quarter-hours a dial has turned; a packet tells what comes next."""
    return sum(1.0 if 28 <= one % 96 < 76 else 0.4 for one in range(step))


def told(event: InsightEvent) -> str:
    """Return an event in words."""
    about = About("Main supply", "electricity", "Wh", "W", Zone.of("Europe/Dublin"))
    words = explain(event, about)
    return f"{words.title}. {words.sentence}"


def test_a_meter_that_agrees_with_itself_hears_nothing(tmp_path: Path) -> None:
    """Registers and powers of three phases, and one register for all of them."""
    assert found_on(tmp_path, W, W) == []
    one = tmp_path / "one"
    one.mkdir()
    assert found_on(one, W, {1: sum(W.values())}) == []
    none = tmp_path / "none"
    none.mkdir()
    assert found_on(none, W, {}) == [], "nothing comparable is pushed"


def test_a_wrong_ratio_of_one_phase_is_one_event_from_its_first_midnight(tmp_path: Path) -> None:
    """The powers of phase 2 are half of what its register counts."""
    (event,) = found_on(tmp_path, W | {2: 1_500.0}, W)
    assert event.found_ms == MONDAY_MS + DAY_MS
    assert (event.start_ms, event.open) == (MONDAY_MS, True)
    assert event.end_ms >= MONDAY_MS + 3 * DAY_MS - HOUR_MS
    assert event.evidence["phase"] == 2
    text = told(event)
    assert "a register does not match its power" in text
    assert "on a day phase 2 had 50.4 kWh by its register and 25.2 kWh by its power" in text
    assert "they differ by 50 %, more than 5 %" in text


def test_a_transformer_that_is_turned_round_is_named_with_its_phase(tmp_path: Path) -> None:
    """Phase 2 feeds in day and night while the others draw; its register stands still."""
    (event,) = found_on(tmp_path, W | {2: -3_000.0}, W | {2: 0.0})
    assert event.found_ms == MONDAY_MS + DAY_MS
    text = told(event)
    assert "Main supply: a phase runs backwards" in text
    assert "phase 2 came to −50.4 kWh on a day, the others to 67.2 kWh and 84 kWh" in text
    assert "the current transformer of that phase, or its wires, are the wrong way" in text


def test_a_total_that_is_unlike_its_phases_is_told_with_all_figures(tmp_path: Path) -> None:
    """The utility's register for all three, and clamps of which one has another ratio."""
    (event,) = found_on(tmp_path, W | {3: 2_000.0}, {1: sum(W.values())})
    assert event.evidence["difference"] == pytest.approx(0.25, abs=0.01)
    text = told(event)
    assert "Main supply: the total does not match its phases" in text
    assert (
        "the register counted 202 kWh and the powers came to 151 kWh (67.2 kWh, 50.4 kWh and"
        in text
    )


def test_a_ratio_that_shows_on_weekends_only_is_one_event() -> None:
    """Ten per cent that are no chance on quiet days only: one event of eight weeks, of 16 days."""
    runs: list[FaultRun] = []
    told: dict[str, InsightEvent] = {}
    for day in range(8 * 7):
        from_ms = MONDAY_MS + day * DAY_MS
        if day % 7 >= 5:
            fault = Fault(EventKind.PHASE_SUM, from_ms, from_ms + DAY_MS, False, {}, 24.0)
            runs, events = go_on(1, runs, [fault], from_ms + DAY_MS)
            told |= {one.id: one for one in events}
        runs, ended = end(1, runs, from_ms + DAY_MS)
        told |= {one.id: one for one in ended}
    (event,) = told.values()
    assert event.start_ms == MONDAY_MS + 5 * DAY_MS
    assert event.evidence["hours"] == 16 * 24
    assert event.open
    runs, (over,) = end(1, runs, MONDAY_MS + 64 * DAY_MS)
    assert (runs, over.open, over.end_ms) == ([], False, MONDAY_MS + 56 * DAY_MS)
