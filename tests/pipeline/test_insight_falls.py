"""A register that fell and is not counted is an event, once, until a person has decided."""

from pathlib import Path

import pytest

from kilowatch.insights.explaining import About, explain
from kilowatch.model.dated import History, MeterEvent
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone
from tests.pipeline.insight_history import assert_same, snapshot
from tests.pipeline.insight_world import MONDAY_MS, Building
from tests.pipeline.pipeline_world import FOREVER, single


class Dials(Building):
    """A gas meter's dial, read every hour."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder, [single(1, interval_s=3600, tolerance_s=1800.0)])
        self.dial, self.hour = 26_000.0, 0

    def until(self, hour: int, *, falls: dict[int, float] | None = None, each_h: int = 24) -> None:
        """Push up to an hour; at some of them the dial is set to another figure before."""
        while self.hour <= hour:
            self.dial = (falls or {}).get(self.hour, self.dial + 2.0)
            self.world.log.push(1, MONDAY_MS + self.hour * HOUR_MS, {"value": self.dial})
            self.hour += 1
            if self.hour % each_h == 0 or self.hour > hour:
                self.world.catch_up()
                self.follow()

    def found(self) -> list[InsightEvent]:
        """Return the events of registers."""
        found = self.view.events([self.world.points.points[1]], 0, FOREVER).get(1, ())
        return [one for one in found if one.kind is EventKind.NEGATIVE]


def test_a_register_that_fell_is_told_with_its_figures_and_waits_for_a_person(
    tmp_path: Path,
) -> None:
    """From 26,098 to 0: nobody may have to find that on the page of the sender's attributes."""
    dials = Dials(tmp_path)
    dials.until(48)
    assert dials.found() == []
    dials.until(51, falls={50: 0.0})
    (event,) = dials.found()
    assert event.open
    assert (event.start_ms, event.end_ms) == tuple(MONDAY_MS + h * HOUR_MS for h in (49, 50))
    assert event.found_ms == MONDAY_MS + 50 * HOUR_MS
    told = explain(event, About("Boiler", "gas", "m3", "m3/h", Zone.of("Europe/Dublin")))
    assert told.title == "Boiler: a register fell and is not counted"
    assert "the register fell from 26,100 to 0; what was used in between is not counted" in (
        told.sentence
    )
    assert "say at Data quality whether the meter was exchanged or reset" in told.sentence
    dials.until(21 * 24)
    (later,) = dials.found()
    assert later.open
    assert (later.id, later.found_ms) == (event.id, event.found_ms), "it is not told again"
    assert later.evidence == event.evidence


def test_it_is_gone_once_somebody_has_said_what_it_was(tmp_path: Path) -> None:
    """With the decision the history is computed again, and there is nothing left to tell."""
    dials = Dials(tmp_path)
    dials.until(72, falls={50: 0.0})
    assert len(dials.found()) == 1
    reset = MeterEvent("reset", MONDAY_MS + 50 * HOUR_MS, 0, first=0.0)
    dials.world.points.change(1, history=History(events=(reset,)))
    dials.world.catch_up()
    dials.follow()
    assert dials.found() == []


@pytest.mark.parametrize("each_h", [1, 24, 1000])
def test_a_dial_that_falls_every_day_is_one_event(tmp_path: Path, each_h: int) -> None:
    """A meter that forgets its figure each night fills nobody's page, in whatever pieces."""
    falls = {24 * day + 5: 0.0 for day in range(2, 14)}
    whole = Dials(tmp_path / "whole")
    whole.until(20 * 24, falls=falls, each_h=1000)
    (event,) = whole.found()
    assert event.evidence["fell"] == 12
    assert event.end_ms - event.start_ms == 11 * DAY_MS + HOUR_MS
    pieces = Dials(tmp_path / "pieces")
    pieces.until(20 * 24, falls=falls, each_h=each_h)
    assert_same(snapshot(whole.path), snapshot(pieces.path))
