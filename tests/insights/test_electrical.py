"""Electrical limits: what EN 50160 asks for, and what a person can check with a clamp meter."""

from __future__ import annotations

import numpy as np
import pytest

from kilowatch.insights import electrical, voltage
from kilowatch.insights.limits import Electrical, Limits
from kilowatch.model.insight import EventKind
from kilowatch.model.zones import Zone

MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 in Dublin, a Monday
DUBLIN = Zone.of("Europe/Dublin")
LIMITS = Limits()


def _starts(count: int, interval_s: int = 600) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return MONDAY_MS + np.arange(count, dtype=np.int64) * interval_s * 1000


def _volts(low_share: float, low_v: float) -> Electrical:
    volts = np.full((1, 1008), 231.0)
    volts[0, : round(1008 * low_share)] = low_v
    return Electrical(_starts(1008), 600, voltage_v=volts)


@pytest.mark.parametrize(
    ("share", "low_v", "kept"),
    [
        (0.049, 206.0, True),  # under 207 V for less than 5 % of the week
        (0.051, 206.0, False),
        (0.051, 208.0, True),  # within 10 %
        (0.001, 195.0, False),  # 195.5 V is the lowest that any mean may have
        (0.001, 254.0, False),  # and 253 V the highest
    ],
)
def test_voltage_is_judged_by_the_week(share: float, low_v: float, *, kept: bool) -> None:
    """95 % of a week's ten-minute means within 10 %, all of them within +10 and −15 %."""
    found = electrical.faults(_volts(share, low_v), DUBLIN, LIMITS)
    assert (not found) is kept
    for one in found:
        assert one.kind is EventKind.VOLTAGE
        assert one.start_ms == MONDAY_MS
        assert not one.indicative
        assert one.evidence["means"] == 1008


def test_coarser_means_are_indicative() -> None:
    """An hour's mean hides what ten minutes would show; a quarter's data says so too."""
    data = Electrical(_starts(168, 3600), 3600, voltage_v=np.full((3, 168), 260.0))
    found = electrical.faults(data, DUBLIN, LIMITS)
    assert [one.evidence["phases"] for one in found] == [[1, 2, 3]], "one event, not three"
    assert all(one.indicative for one in found)


def test_finer_samples_become_ten_minute_means() -> None:
    """A dip of a minute is not a voltage out of limits; the mean is of the squares."""
    volts = np.full((1, 7 * 1440), 230.0)
    volts[0, 5] = 100.0
    data = Electrical(_starts(7 * 1440, 60), 60, voltage_v=volts)
    assert electrical.faults(data, DUBLIN, LIMITS) == []
    _, means = voltage.ten_minute_means(data.start_ms, volts)
    assert means[0, 0] == pytest.approx(np.sqrt((9 * 230**2 + 100**2) / 10))


def test_half_a_week_is_not_judged_by_its_share() -> None:
    """On Tuesday nobody can know how the week will end; what no mean may have is told at once."""
    early = np.full((1, 288), 206.0)
    assert electrical.faults(Electrical(_starts(288), 600, early), DUBLIN, LIMITS) == []
    early[0, 7] = 190.0
    assert len(electrical.faults(Electrical(_starts(288), 600, early), DUBLIN, LIMITS)) == 1


def _amps() -> Electrical:
    return Electrical(_starts(1008), 600, current_a=np.full((3, 1008), 20.0))


def test_a_lost_phase_is_not_a_phase_never_used() -> None:
    """One of three carries nothing while the others do: a fuse. Three hours of it are told."""
    data = _amps()
    assert data.current_a is not None
    data.current_a[1, 100:118] = 0.0
    found = electrical.faults(data, DUBLIN, LIMITS)
    assert [(one.kind, one.evidence["phase"]) for one in found] == [(EventKind.PHASE_LOSS, 2)]
    assert found[0].end_ms - found[0].start_ms == 3 * 3_600_000
    data.current_a[1] = 0.0
    assert EventKind.PHASE_LOSS not in {one.kind for one in electrical.faults(data, DUBLIN, LIMITS)}


def test_unbalance_counts_under_load_only() -> None:
    """A lamp on one phase at night is no unbalance; a third too much at noon is."""
    data = _amps()
    assert data.current_a is not None
    data.current_a[:, :50] = np.array([[0.3], [0.0], [0.0]])
    assert electrical.faults(data, DUBLIN, LIMITS) == []
    data.current_a[0, 200:300] = 40.0
    assert [one.kind for one in electrical.faults(data, DUBLIN, LIMITS)] == [EventKind.UNBALANCE]


def test_a_poor_power_factor_is_told_with_its_limit() -> None:
    """Below the tariff's limit for an hour, under load: what a capacitor bank would mend."""
    active, reactive = np.full(1008, 5000.0), np.full(1008, 1000.0)
    reactive[500:520] = 5000.0
    data = Electrical(_starts(1008), 600, active_w=active, reactive_var=reactive)
    (found,) = electrical.faults(data, DUBLIN, LIMITS)
    assert found.kind is EventKind.POWER_FACTOR
    assert found.evidence["power_factor"] == pytest.approx(0.7071, abs=1e-4)
    assert electrical.faults(data, DUBLIN, Limits(power_factor=0.7)) == []


def test_what_is_generated_behind_a_meter_does_not_make_its_power_factor_poor() -> None:
    """Sun takes active power away and leaves reactive: only what is drawn under load is judged."""
    hour = np.arange(1008) / 6 % 24
    sun = 40_000 * np.clip(np.cos((hour - 12) / 12 * np.pi), 0, None)
    active, reactive = 20_000 - sun, np.full(1008, 6000.0)
    assert (active < 0).any()
    data = Electrical(_starts(1008), 600, active_w=active, reactive_var=reactive)
    assert electrical.faults(data, DUBLIN, LIMITS) == []
    lessons = (np.arange(1008) < 5 * 144) & (hour > 7) & (hour < 16)
    school = Electrical(
        _starts(1008), 600, active_w=3_000 + 17_000 * lessons - 0.35 * sun,
        reactive_var=np.where(lessons, 6_000.0, 500.0),
    )  # fmt: skip
    assert electrical.faults(school, DUBLIN, LIMITS) == [], "at noon a third is still drawn"
    reactive[:20] = 20_000.0
    (found,) = electrical.faults(data, DUBLIN, LIMITS)
    assert found.evidence["power_factor"] == pytest.approx(0.7071, abs=1e-4)
    assert found.start_ms == data.start_ms[0]


def test_unknown_samples_are_no_faults() -> None:
    """Where nothing was measured, nothing is said."""
    none = np.full((3, 1008), np.nan)
    data = Electrical(_starts(1008), 600, none, none, none[0], none[0])
    assert electrical.faults(data, DUBLIN, LIMITS) == []


def test_voltage_unbalance_is_negative_over_positive_sequence() -> None:
    """From three magnitudes the formula says what symmetrical components say from phasors."""
    turn = np.exp(2j * np.pi / 3)
    phases = np.array([1.0, 1.05, 0.95]) * np.array([1.0, turn**2, turn])
    lines = phases - np.roll(phases, -1)
    positive = abs(lines @ np.array([1, turn, turn**2]))
    negative = abs(lines @ np.array([1, turn**2, turn]))
    found = voltage.voltage_unbalance(np.abs(lines)[:, None])
    assert found[0] == pytest.approx(negative / positive)
    assert found[0] == pytest.approx(0.0289, abs=1e-4)


def test_limits_that_make_no_sense_are_refused() -> None:
    """The lowest above the highest would call every volt a fault."""
    with pytest.raises(ValueError, match="rise"):
        Limits(low=1.2)
    with pytest.raises(ValueError, match="nominal"):
        Limits(nominal_v=0)
