"""Electrical faults are found at midnight, and what comes back each day is one event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np

from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.parameters import AP, RP
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.electrics import CURRENT, VOLTAGE, look
from kilowatch.pipeline.insight.states import Remembered
from kilowatch.pipeline.insight.subjects import subject_of
from tests.pipeline.insight_world import MONDAY_MS
from tests.pipeline.pipeline_world import DAY_MS, point

STEP_MS = 900_000
DAYS = 24
ZONE = Zone.of("Europe/Dublin")


@dataclass
class Quarters:
    """Quarter-hours of a three-phase meter, by channel."""

    values: dict[int, Floats]

    def series_many(
        self, points: Sequence[DataPoint], channels: Sequence[int], from_ms: int, to_ms: int,
        _grain: object,
    ) -> IntervalBlock:  # fmt: skip
        """Return means."""
        starts = MONDAY_MS + np.arange(DAYS * 96, dtype=np.int64) * STEP_MS
        inside = (starts >= from_ms) & (starts < to_ms)
        parts = []
        for channel in channels:
            if channel in self.values:
                n = int(inside.sum())
                whole, none = np.full(n, STEP_MS, np.int64), np.full(n, np.nan)
                key = np.full(n, points[0].series, np.int64)
                parts.append(
                    IntervalBlock(
                        key, np.full(n, channel, np.int64), starts[inside], whole, whole, whole,
                        self.values[channel][inside], none, none, none, none, whole, whole * 0,
                    )
                )  # fmt: skip
        return IntervalBlock.concatenate(parts)


def looked_at(
    values: dict[int, Floats],
    nominal_v: float | None = None,
    cuts: Sequence[int] = (),
    limits: Mapping[str, float | None] | None = None,
) -> list[InsightEvent]:
    """Return what is found, day by day, the last word on each event."""
    subject = subject_of(point(1, interval_s=900))
    assert subject is not None
    some = [(subject, Remembered())]
    told = {"nominal_voltage_v": nominal_v, **(limits or {})}
    found: dict[str, InsightEvent] = {}
    days = [MONDAY_MS + day * DAY_MS for day in range(1, DAYS + 1)]
    for from_ms, until_ms in pairwise(cuts or days):
        midnights = [one for one in days if from_ms < one < until_ms]
        for event in look(
            cast("Any", Quarters(values)), some, [from_ms, *midnights, until_ms], ZONE,
            lambda _subject, _at_ms: told,
        ):  # fmt: skip
            assert event.end_ms <= event.found_ms or event.id in found
            assert event.end_ms <= until_ms
            first = found.get(event.id)
            assert first is None or first.found_ms == event.found_ms
            found[event.id] = event
    return list(found.values())


def healthy() -> dict[int, Floats]:
    """Return a meter with nothing wrong."""
    n = DAYS * 96
    flat = {VOLTAGE: 230.0, CURRENT: 10.0, AP: 2_300.0}
    values = {c + p: np.full(n, v) for c, v in flat.items() for p in (1, 2, 3)}
    return values | {AP: np.full(n, 6_900.0), RP: np.full(n, 1_000.0)}


def test_nothing_is_said_of_a_healthy_supply() -> None:
    """Limits are there to be kept; who keeps them hears nothing."""
    assert looked_at(healthy()) == []


def test_a_power_factor_that_is_poor_each_night_is_one_event_and_ends() -> None:
    """A broken compensation is told once, not each night, and its end is known a week later.

    Over the weekend too little runs for it to show; on Monday it is the same one.
    """
    values = healthy()
    day = np.arange(DAYS * 96) // 96
    nights = (np.arange(DAYS * 96) % 96 < 24) & (day < 12) & (day % 7 < 5)
    values[RP] = np.where(nights, 9_000.0, values[RP])
    (event,) = looked_at(values)
    assert event.kind is EventKind.POWER_FACTOR
    assert event.start_ms == MONDAY_MS
    assert event.end_ms == MONDAY_MS + 11 * DAY_MS + 24 * STEP_MS
    assert not event.open
    assert event.evidence["hours"] == 10 * 6
    assert event.evidence["power_factor"] < 0.9


def test_voltage_is_judged_by_whole_weeks_and_against_the_nominal_voltage() -> None:
    """A week with too many low means is told when it is over; a 110 V supply is not a fault."""
    values = healthy()
    low = np.arange(DAYS * 96) // 96 % 7 < 2
    values[VOLTAGE + 2] = np.where(low, 200.0, 230.0)
    (event,) = looked_at(values)
    assert (event.kind, event.evidence["phase"]) == (EventKind.VOLTAGE, 2)
    assert event.found_ms == MONDAY_MS + 7 * DAY_MS
    assert event.evidence["indicative"]
    american = healthy() | {VOLTAGE + phase: np.full(DAYS * 96, 110.0) for phase in (1, 2, 3)}
    assert looked_at(american) == []
    assert looked_at(american, nominal_v=110.0) == []
    assert {one.kind for one in looked_at(american, nominal_v=230.0)} == {EventKind.VOLTAGE}


def test_a_lost_phase_is_an_event_with_its_phase() -> None:
    """A blown fuse is told an hour later, as the phase that it is."""
    values = healthy()
    gone = np.arange(DAYS * 96) >= 5 * 96 + 40
    values[CURRENT + 3] = np.where(gone, 0.0, 10.0)
    found = looked_at(values)
    assert {one.kind for one in found} == {EventKind.PHASE_LOSS}
    assert found[0].evidence["phase"] == 3
    assert found[0].found_ms == MONDAY_MS + 5 * DAY_MS + 44 * STEP_MS
    assert found[0].start_ms == MONDAY_MS + 5 * DAY_MS + 40 * STEP_MS
