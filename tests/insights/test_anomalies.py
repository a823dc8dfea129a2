"""Faults are seen, told apart, and not learnt; hours may come in any cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.insights.anomalies import Alarm, State, scan, scan_within, scanning, start
from kilowatch.insights.anomalies.scanning import Watcher, watch
from kilowatch.insights.hours import Hours
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.zones import Zone

MONDAY_MS = 1_762_128_000_000  # 2025-11-03 00:00 in Dublin, a Monday; no clock changes until April
WARM_D, REST_D = 70, 35
WARM_H = WARM_D * 24


@cache
def _office(streams: int, seed: int = 1, days: int = WARM_D + REST_D) -> Floats:
    """Return an office's mean demand: 2 kW at night, 10 kW on working days [W]."""
    rng = np.random.default_rng(seed)
    hour, day = np.arange(days * 24) % 24, np.arange(days * 24) // 24
    busy = (hour >= 8) & (hour < 18) & (day % 7 < 5)
    shape = np.where(busy, 10_000.0, 2_000.0)
    level = np.exp(0.04 * rng.standard_normal((streams, days))).repeat(24, axis=1)
    return shape * level * np.exp(0.05 * rng.standard_normal((streams, days * 24)))


def _hours(values: Floats, first_h: int = 0) -> Hours:
    shut = np.zeros(values.shape, np.bool_)
    return Hours(MONDAY_MS + first_h * HOUR_MS, values, Zone.of("Europe/Dublin"), shut)


@cache
def _warm(streams: int, seed: int) -> bytes:
    """Return what is known of offices after ten weeks without a fault."""
    state, _ = scan(start(streams), _hours(_office(streams, seed)[:, :WARM_H]))
    return state.to_bytes()


def _after(values: Floats, seed: int, cuts: list[int] | None = None) -> tuple[State, list[Alarm]]:
    """Scan what follows the ten weeks, cut at some hours."""
    state, alarms = State.from_bytes(_warm(len(values), seed)), []
    edges = [WARM_H, *sorted({WARM_H + cut for cut in cuts or []}), values.shape[1]]
    for first, last in pairwise(edges):
        state, more = scan(state, _hours(values[:, first:last], first))
        state = State.from_bytes(state.to_bytes())
        alarms += more
    return state, alarms


@cache
def _troubled() -> Floats:
    values = _office(3, 4).copy()
    values[0, WARM_H + 77 : WARM_H + 84] = 0.0
    values[1, WARM_H + 5 * 24 :] *= 2 / 3
    values[2, WARM_H + 50 : WARM_H + 60] = np.nan
    values[2, WARM_H + 9 * 24 + 10] *= 6
    return values[:, : WARM_H + 12 * 24]


@cache
def _whole() -> tuple[State, list[Alarm]]:
    return _after(_troubled(), 4)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(1, 12 * 24 - 1), max_size=4))
def test_hours_may_come_in_any_cut(cuts: list[int]) -> None:
    """A night's backlog in one piece or hour by hour: the same alarms, to the last bit."""
    whole, alarms = _whole()
    state, cut = _after(_troubled(), 4, cuts)
    assert cut == alarms
    assert state.to_bytes() == whole.to_bytes()
    assert {alarm.stream for alarm in alarms if alarm.open} >= {0, 1, 2}


def test_hours_without_any_value_are_passed_over_and_leave_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Measured or not, an hour in which nothing is known of anybody teaches only the weather."""
    values = _troubled().copy()
    after = WARM_H + np.array([79, 100, 150, 200, 260])  # in the middle of a fault, over midnights
    for first, last in ((after[0], after[1]), (after[2], after[3]), (after[4], after[4] + 1)):
        values[:, first:last] = np.nan
    outdoor = np.tile(8 + 5 * np.sin(np.arange(values.shape[1]) / 24), (len(values), 1))
    outdoor[:, after[2] + 10 : after[2] + 30] = np.nan
    part = slice(WARM_H, None)
    hours = replace(
        _hours(values[:, part], WARM_H), temperature_c=np.ascontiguousarray(outdoor[:, part])
    )
    state, alarms = scan(State.from_bytes(_warm(3, 4)), hours)
    young = _hours(values[:, WARM_H - 29 * 24 :], WARM_H - 29 * 24)
    within = scan_within(young, [1.0, 0.5])
    measured: list[int] = []

    def each(state: State, hours: Hours, told: Watcher, _rest: object = None) -> None:
        measured.append(hours.count)
        watch(state, hours, told)

    monkeypatch.setattr(scanning, "watch", each)
    every, same = scan(State.from_bytes(_warm(3, 4)), hours)
    assert measured == [hours.count]
    assert alarms == same
    assert alarms
    for name in State.__slots__:
        np.testing.assert_array_equal(getattr(state, name), getattr(every, name), err_msg=name)
    assert scan_within(young, [1.0, 0.5]) == within
    assert any(within)


def test_a_stream_is_judged_alone() -> None:
    """What one meter does changes no alarm of its neighbour; states can be parted and joined."""
    values = _troubled()
    state = State.from_bytes(_warm(3, 4))
    state = State.join([state.take(2), state.take(np.array([0, 1]))])
    _, found = scan(state, _hours(values[[2, 0, 1], WARM_H:], WARM_H))
    told = {((2, 0, 1)[one.stream], one.at_ms, one.kind) for one in found}
    assert told == {(one.stream, one.at_ms, one.kind) for one in _after(values, 4)[1]}


def test_an_alarm_rests_on_nothing_that_came_later() -> None:
    """Whatever follows, the alarms up to now stay as they were told."""
    until = WARM_H + 9 * 24
    changed = _troubled().copy()
    changed[:, until:] = 7.0
    limit = MONDAY_MS + until * HOUR_MS
    before, after = (
        [one for one in _after(values, 4)[1] if one.at_ms <= limit]
        for values in (_troubled(), changed)
    )
    assert before == after


def test_several_budgets_at_once_are_each_as_by_itself() -> None:
    """What is measured once for two budgets gives what two scans give."""
    hours = _hours(_troubled()[:, 40 * 24 :], 40 * 24)
    both = scan_within(hours, (1.0, 0.1))
    for budget, alarms in zip((1.0, 0.1), both, strict=True):
        assert scan(start(3), hours, budget=budget)[1] == alarms
    assert both[0]


def _put(change: Callable[[Floats], Floats], hours: int, offset_h: int = 0) -> Floats:
    values = _office(1, 7).copy()
    first = WARM_H + 8 * 24 + offset_h
    values[:, first : first + hours] = change(values[:, first : first + hours])
    return values


FAULTS: dict[EventKind, tuple[Callable[[], Floats], int]] = {
    EventKind.SPIKE: (lambda: _put(lambda v: v * 6, 1, 10), 11),
    EventKind.DROPOUT: (lambda: _put(lambda v: v * 0, 8, 9), 13),
    EventKind.STUCK: (lambda: _put(lambda v: v * 0 + v[:, :1], 48, 13), 24),
    EventKind.NEGATIVE: (lambda: _put(lambda v: v * 0 - 4e6, 1, 13), 14),
    EventKind.PHASE_LOSS: (lambda: _put(lambda v: v * 2 / 3, 240), 48),
}
"""A fault on the second Tuesday after the ten weeks, and by when it must be told [h]."""


@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_is_called_by_its_name(kind: EventKind) -> None:
    """A facility manager reads what is wrong, and when it is over how much of it there was.

    Only its own hours count then, not the quiet ones by which its end was known.
    """
    make, delay_h = FAULTS[kind]
    begun_ms = MONDAY_MS + (WARM_H + 8 * 24) * HOUR_MS
    alarms = [one for one in _after(make(), 7)[1] if one.at_ms > begun_ms]
    right = next(one for one in alarms if one.open and one.kind is kind)
    over = next(one for one in alarms if not one.open and one.start_ms == right.start_ms)
    assert over.evidence["hours"] == (over.end_ms - over.start_ms) // HOUR_MS
    length = {EventKind.STUCK: "same_h", EventKind.DROPOUT: "zero_h"}.get(kind)
    assert length is None or over.evidence[length] >= right.evidence[length]
    assert right.at_ms - begun_ms <= delay_h * HOUR_MS
    assert begun_ms <= right.start_ms < right.end_ms <= right.at_ms
    assert 0 < right.confidence <= 1
    assert right.evidence["hours"] >= 1
    assert np.sign(right.amount) == np.sign(right.evidence["actual"] - right.evidence["expected"])


def test_a_fault_is_told_once_and_again_when_it_is_over() -> None:
    """Ten days of a lost phase are one event with an end, not two hundred and forty."""
    make, _ = FAULTS[EventKind.PHASE_LOSS]
    alarms = [one for one in _after(make(), 7)[1] if one.kind is EventKind.PHASE_LOSS]
    told = [one for one in alarms if one.open]
    over = [one for one in alarms if not one.open]
    assert len(told) == 1
    assert [one.start_ms for one in over] == [told[0].start_ms]
    assert over[0].end_ms > told[0].end_ms
    assert over[0].amount < told[0].amount < 0


def test_amounts_follow_the_model_that_was_given() -> None:
    """Where a forecast says what was expected, more and less are counted against it."""
    make, _ = FAULTS[EventKind.DROPOUT]
    values = make()[:, WARM_H:]
    expected = np.full(values.shape, 50_000.0)
    _, alarms = scan(State.from_bytes(_warm(1, 7)), _hours(values, WARM_H), expected)
    told = next(one for one in alarms if one.kind is EventKind.DROPOUT)
    assert told.evidence["expected"] == pytest.approx(50_000)


def test_an_event_of_days_is_counted_against_what_was_usual_before_it() -> None:
    """A forecast that has seen yesterday's fault takes it for normal: it no longer counts then."""
    make, _ = FAULTS[EventKind.PHASE_LOSS]
    values, usual = make()[:, WARM_H:], _put(lambda v: v, 240)[:, WARM_H:]
    follows = usual.copy()
    follows[:, 9 * 24 :] = values[:, 9 * 24 :]  # from the first midnight after it began
    _, alarms = scan(State.from_bytes(_warm(1, 7)), _hours(values, WARM_H), follows)
    (over,) = (one for one in alarms if one.kind is EventKind.PHASE_LOSS and not one.open)
    lost = float((values - usual)[0, 8 * 24 : 18 * 24].sum())
    assert over.amount == pytest.approx(lost, rel=0.2)


def test_an_ordinary_month_is_quiet() -> None:
    """Ten offices without a fault: fewer than one alarm for each and month."""
    alarms = _after(_office(10, 3)[:, : WARM_H + 28 * 24], 3)[1]
    assert sum(one.open for one in alarms) <= 10


def test_a_fault_is_not_learnt_and_a_change_is() -> None:
    """After two weeks of too much the expectation is the old one; after ten weeks the new one."""
    for days, ratio in ((15, 1.0), (71, 1.5)):  # both end on a Monday
        values = _office(1, 9, WARM_D + days).copy()
        values[:, WARM_H:] *= 1.5
        state = start(1)
        watch(state, _hours(values), lambda _at, _moment: None)
        assert state.base[0, 12] / 10_000 == pytest.approx(ratio, abs=0.12)


def test_what_is_kept_of_a_stream_is_of_one_size() -> None:
    """A season's history needs no more room than a day's."""
    sizes = set()
    for days in (1, 40):
        state = start(2)
        watch(state, _hours(_office(2, 1, days)), lambda _at, _moment: None)
        sizes.add(len(state.to_bytes()))
    assert len(sizes) == 1
    assert len(State.empty(1000).to_bytes()) / 1000 < 13_500


def test_what_does_not_fit_is_refused() -> None:
    """A state of other streams or of another version would be read as something else."""
    with pytest.raises(ValueError, match="streams"):
        scan(start(2), _hours(_office(1)))
    with pytest.raises(ValueError, match="expected"):
        scan(start(1), _hours(_office(1)), np.zeros((1, 3)))
    other = BytesIO()
    np.savez(other, day=np.zeros(1))
    with pytest.raises(ValueError, match="version"):
        State.from_bytes(other.getvalue())
