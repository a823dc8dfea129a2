"""Faults are seen, told apart, and not learnt; hours may come in any cut."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.insights.anomalies import Alarm, State, scan, start
from kilowatch.insights.hours import HOUR_MS, Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind
from kilowatch.model.zones import Zone

MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 in Dublin, a Monday
WARM_D = 84


def _office(days: int, streams: int = 1, seed: int = 1) -> Floats:
    """Return an office's mean demand: 2 kW at night, 10 kW on working days [W]."""
    rng = np.random.default_rng(seed)
    hour, day = np.arange(days * 24) % 24, np.arange(days * 24) // 24
    busy = (hour >= 8) & (hour < 18) & (day % 7 < 5)
    shape = np.where(busy, 10_000.0, 2_000.0)
    level = np.exp(0.04 * rng.standard_normal((streams, days))).repeat(24, axis=1)
    return shape * level * np.exp(0.05 * rng.standard_normal((streams, days * 24)))


def _hours(values: Floats, first_ms: int = MONDAY_MS) -> Hours:
    return Hours(first_ms, values, Zone.of("Europe/Dublin"), np.zeros(values.shape, np.bool_))


def _alarms(values: Floats) -> list[Alarm]:
    return scan(start(len(values)), _hours(values))[1]


def _cut(values: Floats, cuts: list[int]) -> tuple[State, list[Alarm]]:
    state, alarms = start(len(values)), []
    whole = _hours(values)
    edges = [0, *sorted(set(cuts)), values.shape[1]]
    for first, last in pairwise(edges):
        state, more = scan(State.from_bytes(state.to_bytes()), whole.hours(first, last))
        alarms += more
    return state, alarms


def _troubled() -> Floats:
    values = _office(WARM_D + 28, 3, seed=4)
    values[0, (WARM_D + 3) * 24 + 5 : (WARM_D + 3) * 24 + 12] = 0.0
    values[1, (WARM_D + 7) * 24 : (WARM_D + 17) * 24] *= 2 / 3
    values[2, 300:340] = np.nan
    values[2, (WARM_D + 9) * 24 + 10] *= 6
    return values


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, (WARM_D + 28) * 24 - 1), max_size=6))
def test_hours_may_come_in_any_cut(cuts: list[int]) -> None:
    """A night's backlog in one piece or hour by hour: the same alarms, to the last bit."""
    values = _troubled()
    whole, alarms = _cut(values, [])
    state, cut = _cut(values, cuts)
    assert cut == alarms
    assert state.to_bytes() == whole.to_bytes()
    assert {alarm.stream for alarm in alarms if alarm.open} >= {0, 1, 2}


def test_a_stream_is_judged_alone() -> None:
    """What one meter does changes no alarm of its neighbour; states can be parted and joined."""
    values = _troubled()
    half = values.shape[1] // 2
    state, before = scan(start(3), _hours(values[:, :half]))
    state = State.join([state.take(2), state.take(np.array([0, 1]))])
    rest = _hours(values[[2, 0, 1], half:], MONDAY_MS + half * HOUR_MS)
    _, after = scan(state, rest)
    told = {(one.stream, one.at_ms) for one in before}
    told |= {((2, 0, 1)[one.stream], one.at_ms) for one in after}
    assert told == {(one.stream, one.at_ms) for one in _alarms(values)}


def test_an_alarm_rests_on_nothing_that_came_later() -> None:
    """Whatever follows, the alarms up to now stay as they were told."""
    values = _troubled()
    until = (WARM_D + 9) * 24
    changed = values.copy()
    changed[:, until:] = 7.0
    limit = MONDAY_MS + until * HOUR_MS
    assert [one for one in _alarms(values) if one.at_ms <= limit] == [
        one for one in _alarms(changed) if one.at_ms <= limit
    ]


def _put(change: Callable[[Floats], Floats], first_d: int, hours: int, offset_h: int = 0) -> Floats:
    values = _office(WARM_D + 35, seed=7)
    first = (WARM_D + first_d) * 24 + offset_h
    values[:, first : first + hours] = change(values[:, first : first + hours])
    return values


FAULTS = {
    "spike": (EventKind.SPIKE, _put(lambda v: v * 6, 8, 1, 10), 1),
    "dropout": (EventKind.DROPOUT, _put(lambda v: v * 0, 8, 8, 9), 2),
    "stuck": (EventKind.STUCK, _put(lambda v: v * 0 + v[:, :1], 8, 48, 13), 24),
    "negative": (EventKind.NEGATIVE, _put(lambda v: -v, 8, 1, 13), 1),
    "phase": (EventKind.PHASE_LOSS, _put(lambda v: v * 2 / 3, 8, 240), 72),
    "level": (EventKind.LEVEL_SHIFT, _put(lambda v: v * 1.45, 8, 336), 72),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_kind_is_called_by_its_name(name: str) -> None:
    """A facility manager reads what is wrong, not only that something is."""
    kind, values, delay_h = FAULTS[name]
    begun_ms = MONDAY_MS + (WARM_D + 8) * 24 * HOUR_MS
    told = [one for one in _alarms(values) if one.open and one.at_ms > begun_ms]
    assert told
    right = next(one for one in told if one.kind is kind)
    assert right.at_ms - begun_ms <= (24 + delay_h) * HOUR_MS
    assert 0 < right.confidence <= 1
    assert right.evidence["hours"] >= 1


def test_an_ordinary_quarter_is_quiet() -> None:
    """Twenty offices without a fault: fewer than one alarm for each and month."""
    alarms = [one for one in _alarms(_office(WARM_D + 91, 20, seed=3)) if one.open]
    late = [one for one in alarms if one.at_ms > MONDAY_MS + WARM_D * 24 * HOUR_MS]
    assert len(late) <= 20 * 3


def test_a_fault_is_not_learnt_and_a_change_is() -> None:
    """After two weeks of too much the expectation is the old one; after ten weeks the new one."""
    for days, ratio in ((15, 1.0), (71, 1.5)):  # both end on a Monday
        values = _office(WARM_D + days, seed=9)
        values[:, WARM_D * 24 :] *= 1.5
        state, _ = scan(start(1), _hours(values))
        assert state.base[0, 12] / 10_000 == pytest.approx(ratio, abs=0.12)


def test_what_is_kept_of_a_stream_is_of_one_size() -> None:
    """A year's history needs no more room than a day's."""
    day, _ = scan(start(2), _hours(_office(1, 2)))
    year, _ = scan(start(2), _hours(_office(100, 2)))
    assert len(day.to_bytes()) == len(year.to_bytes())
    assert len(State.empty(1000).to_bytes()) / 1000 < 10_000


def test_what_does_not_fit_is_refused() -> None:
    """A state of other streams or of another version would be read as something else."""
    with pytest.raises(ValueError, match="streams"):
        scan(start(2), _hours(_office(2)))
    with pytest.raises(ValueError, match="expected"):
        scan(start(1), _hours(_office(2)), np.zeros((1, 3)))
    other = BytesIO()
    np.savez(other, day=np.zeros(1))
    with pytest.raises(ValueError, match="version"):
        State.from_bytes(other.getvalue())
