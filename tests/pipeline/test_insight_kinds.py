"""Kinds of waste are told where they mean something."""

from pathlib import Path

import numpy as np

from kilowatch.model.insight import WASTE_KINDS, EventKind
from tests.pipeline.insight_history import History
from tests.pipeline.insight_world import WEEK_H, meter, office

BUILDING, WATER, NET = 1, 2, 3
WEEKS = 12


def test_water_starts_no_plant_and_a_meter_that_feeds_in_needs_nothing(tmp_path: Path) -> None:
    """Before opening the same is a plant's early start or water at quiet hours; a cloud is none.

    A net meter stands higher in a week of clouds, and nobody can have wasted that.
    """
    use = office(WEEKS, zone="UTC")
    hours = np.arange(len(use))
    early = (hours % 24 >= 5) & (hours % 24 < 8) & (hours // 24 % 7 < 5) & (hours >= 10 * WEEK_H)
    use[early] = 30_000.0
    sun = np.maximum(np.sin((hours % 24 - 6) / 12 * np.pi), 0) * 60_000.0
    sun[hours // WEEK_H == 11] = 0.0  # a week of clouds
    points = [
        meter(BUILDING, zone="UTC"),
        meter(WATER, zone="UTC", utility="water", unit="m3"),
        meter(NET, zone="UTC"),
    ]
    history = History(tmp_path, points, {BUILDING: use, WATER: use / 1e4, NET: use - sun})
    history.start()
    history.come_all(len(use))
    history.follow()
    wasted: dict[int, set[EventKind]] = {one.series: set() for one in points}
    reader = history.insights()
    for series, events in reader.events(points, 0, 2**52).items():
        for event in events:
            parts = {EventKind(one["kind"]) for one in event.evidence.get("parts", ())}
            wasted[series] |= (parts | {event.kind}) & WASTE_KINDS
    assert EventKind.EARLY_START in wasted[BUILDING]
    assert EventKind.AFTER_HOURS in wasted[WATER]
    assert not {EventKind.EARLY_START, EventKind.OVER_CONDITIONING} & wasted[WATER]
    assert wasted[NET] == set()
    assert reader.opening(points[0]) is not None
    assert reader.opening(points[2]) is None
    assert {series for series, _ in history.read().waste} == {BUILDING, WATER}
    reader.close()
