"""What a data point is to the analytics."""

from __future__ import annotations

from kilowatch.model.insight import EventKind
from kilowatch.pipeline.insight.subjects import subject_of
from tests.pipeline.interval_cases import data_point


def test_only_electricity_loses_a_phase_and_water_is_never_conditioned() -> None:
    """A third less gas is less gas: there is no fuse to look at."""
    power, gas, water = (
        subject_of(data_point(utility=utility, unit=unit))
        for utility, unit in (("electricity", "kWh"), ("gas", "m3"), ("water", "m3"))
    )
    assert power is not None
    assert gas is not None
    assert water is not None
    assert power.kind_of(EventKind.PHASE_LOSS) is EventKind.PHASE_LOSS
    assert gas.kind_of(EventKind.PHASE_LOSS) is EventKind.LEVEL_SHIFT
    assert gas.kind_of(EventKind.STUCK) is EventKind.STUCK
    assert gas.conditions
    assert not water.conditions
