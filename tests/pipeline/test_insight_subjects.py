"""What a data point is to the analytics."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from kilowatch.bench.insights import FIRST_MS, MadeUp
from kilowatch.model.blocks import SHARED, Quality
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import HOUR_MS
from kilowatch.pipeline.insight.subjects import HOURS_TOGETHER, hourly, subject_of
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


def test_hours_that_were_filled_in_are_told_from_measured_ones() -> None:
    """An hour of which most was estimated: nobody is told that its values lie on a line."""
    one = subject_of(data_point(utility="electricity", unit="kWh"))
    assert one is not None
    subject = replace(one, point=replace(one.point, series=1), channel=0)
    made = MadeUp(1, 2)
    until_ms = FIRST_MS + 2 * 24 * HOUR_MS

    class Filled:
        def series_many(self, *asked: Any) -> Any:
            block = made.series_many(*asked)
            shares = np.zeros((len(block), len(SHARED)), np.int64)
            shares[5, SHARED == Quality.ESTIMATED] = HOUR_MS
            shares[6, SHARED == Quality.ESTIMATED] = HOUR_MS // 4
            shares[7, SHARED == Quality.EDITED] = HOUR_MS
            return replace(block, share_ms=shares)

    estimated = np.zeros((1, 48), np.bool_)
    hourly(cast("Any", Filled()), [subject], FIRST_MS, until_ms, estimated)
    assert np.flatnonzero(estimated[0]).tolist() == [5]


def test_hours_of_many_streams_are_asked_for_in_small_questions() -> None:
    """A year of 256 streams in one question took 932 MiB, more than all the rest of the platform.

    Asked for in portions, each of one stream at least, the hours are the same.
    """
    streams, days = 40, 90
    made = MadeUp(streams, days)
    asked: list[list[int]] = []

    class Asked:
        def series_many(self, points: Any, channels: Any, *span: Any) -> Any:
            asked.append([one.series for one in points])
            return made.series_many(points, channels, *span)

    one = subject_of(data_point(utility="electricity", unit="kWh"))
    assert one is not None
    subjects = [replace(one, point=replace(one.point, series=n)) for n in range(streams, 0, -1)]
    subjects = [replace(one, channel=0) for one in subjects]
    until_ms = FIRST_MS + days * 24 * HOUR_MS
    found = hourly(cast("Any", Asked()), subjects, FIRST_MS, until_ms)
    np.testing.assert_array_equal(found, made.use[::-1])
    assert len(asked) > 1
    assert max(map(len, asked)) * days * 24 <= HOURS_TOGETHER
    assert [series for some in asked for series in some] == list(range(streams, 0, -1))
    long = MadeUp(1, HOURS_TOGETHER // 24 + 1)
    whole = hourly(cast("Any", long), subjects[-1:], FIRST_MS, FIRST_MS + long.use.size * HOUR_MS)
    np.testing.assert_array_equal(whole, long.use)
