"""Values that come again are told though none of them is out of the ordinary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from kilowatch.insights.anomalies import Alarm, State, scan, start
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

MONDAY_MS = 1_762_128_000_000  # 2025-11-03 00:00 in Dublin, a Monday; no clock changes until April
WARM_H, REST_H = 70 * 24, 14 * 24
BEGIN = WARM_H + 8 * 24  # a Tuesday


def _office(step_w: float) -> Floats:
    """Return twelve weeks of an office on a meter that counts in steps [W]."""
    rng = np.random.default_rng(3)
    hour, day = np.arange(WARM_H + REST_H) % 24, np.arange(WARM_H + REST_H) // 24
    busy = (hour >= 8) & (hour < 18) & (day % 7 < 5)
    noise = np.exp(0.05 * rng.standard_normal(len(hour)))
    return np.round(np.where(busy, 10_000.0, 2_000.0) * noise / step_w)[None] * step_w


def _hours(values: Floats, first: int) -> Hours:
    shut = np.zeros(values.shape, np.bool_)
    return Hours(MONDAY_MS + first * HOUR_MS, values, Zone.of("Europe/Dublin"), shut)


@cache
def _warm(step_w: float) -> bytes:
    return scan(start(1), _hours(_office(step_w)[:, :WARM_H], 0))[0].to_bytes()


def _told(values: Floats, step_w: float) -> list[Alarm]:
    alarms = scan(State.from_bytes(_warm(step_w)), _hours(values[:, WARM_H:], WARM_H))[1]
    return [one for one in alarms if "again" in one.evidence]


def _with(change: Callable[[Floats], Floats], hours: int, step_w: float = 0.01) -> Floats:
    values = _office(step_w).copy()
    values[0, BEGIN : BEGIN + hours] = change(values[0, BEGIN - 168 : BEGIN + hours])[-hours:]
    return values


def _twice(values: Floats) -> Floats:
    found = values.copy()
    found[1::2] = found[::2]
    return found


PATTERNS: dict[str, tuple[Callable[[Floats], Floats], int, int]] = {
    "twice": (_twice, 24, 12),
    "day": (lambda v: np.concatenate([v[:24], v])[: len(v)], 24, 8),
    "week": (lambda v: np.concatenate([v[:168], v[:-168]]), 24, 8),
    "line": (lambda v: np.linspace(v[168], 1.1 * v[168], len(v) - 168), 8, 8),
}
"""What is done to the hours from BEGIN on (a week goes before), how many, when it is told [h]."""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_was_not_measured_is_told(pattern: str) -> None:
    """Within hours, with where it began and where it ended, and as what it is."""
    change, hours, within_h = PATTERNS[pattern]
    alarms = _told(_with(change, hours), 0.01)
    assert [one.open for one in alarms] == [True, False]
    begun_ms = MONDAY_MS + BEGIN * HOUR_MS
    first, over = alarms
    assert {(one.kind, one.evidence["again"]) for one in alarms} == {(EventKind.STUCK, pattern)}
    assert first.at_ms - begun_ms <= within_h * HOUR_MS
    assert 0 <= first.start_ms - begun_ms <= 2 * HOUR_MS
    assert abs(over.end_ms - begun_ms - hours * HOUR_MS) <= 2 * HOUR_MS
    assert over.evidence["hours"] == (over.end_ms - over.start_ms) // HOUR_MS
    held = (over.start_ms - MONDAY_MS) // HOUR_MS, (over.end_ms - MONDAY_MS) // HOUR_MS
    values = _with(change, hours)[0, slice(*held)]
    assert over.evidence["actual"] == pytest.approx(values.mean())


def test_what_was_filled_in_is_not_told() -> None:
    """A rule of ours drew the line: the hours are as unknown to the detectors as before."""
    values = _with(PATTERNS["line"][0], 8)
    state, hours = State.from_bytes(_warm(0.01)), _hours(values[:, WARM_H:], WARM_H)
    filled = np.zeros(hours.values.shape, np.bool_)
    filled[0, BEGIN - WARM_H : BEGIN - WARM_H + 8] = True
    alarms = scan(state, replace(hours, estimated=filled))[1]
    assert not [one for one in alarms if "again" in one.evidence]


def test_a_coarse_meter_repeats_itself_by_habit() -> None:
    """One that counts whole kWh says the same values every day, and nobody is told."""
    assert not _told(_office(1_000.0), 1_000.0)
    change, hours, _ = PATTERNS["twice"]
    assert not _told(_with(change, hours, 1_000.0), 1_000.0)


@pytest.mark.parametrize("gap_h", [12, 24])
def test_what_begins_again_begins_with_itself(gap_h: int) -> None:
    """Hours between two such days are of neither, and no event comes twice under one name."""
    values = _with(PATTERNS["day"][0], 24)
    again = BEGIN + 24 + gap_h
    values[0, again : again + 24] = values[0, again - 24 : again]
    told = _told(values, 0.01)
    assert [one.open for one in told] == [True, False, True, False]
    assert told[2].start_ms >= MONDAY_MS + again * HOUR_MS
    assert told[1].end_ms <= MONDAY_MS + (BEGIN + 26) * HOUR_MS


def test_a_meter_that_does_it_again_is_told_again() -> None:
    """Its own weeks before make it no habit of two days."""
    values = _with(PATTERNS["day"][0], 24)
    again = BEGIN + 3 * 24
    values[0, again : again + 24] = values[0, again - 24 : again]
    assert [one.open for one in _told(values, 0.01)] == [True, False, True, False]
