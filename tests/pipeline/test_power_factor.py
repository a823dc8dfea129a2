"""A power factor is active over apparent power, however long the time that it speaks of."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.dashboard.figures import figures
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Grain, Zone
from kilowatch.model.parameters import CHANNEL_BY_NAME
from kilowatch.pipeline.grids import PointGrid, effective_of
from kilowatch.pipeline.intervals import intervals
from kilowatch.pipeline.rollups import roll_up
from tests.pipeline.interval_cases import Packets, data_point

DUBLIN = Zone.of("Europe/Dublin")
TEN = round(datetime(2025, 1, 15, 10, tzinfo=UTC).timestamp() * 1000)
QUARTER_MS = 900_000
GRAINS: tuple[Grain, ...] = ("hour", "day", "week", "month", "year")

Sent = dict[str, float]


def pushed(packets: list[Sent], interval_s: int = 900) -> IntervalBlock:
    """Return the interval rows of packets that come every quarter of an hour from ten."""
    point = data_point(kind="electrical", interval_s=interval_s, unit="Wh")
    stream = Packets(
        point,
        [TEN + number * QUARTER_MS for number in range(len(packets))],
        [{CHANNEL_BY_NAME[name]: value for name, value in one.items()} for one in packets],
    )
    grid = {point.series: PointGrid.of(point)}
    return intervals(stream.block(), effective_of(stream.block(), grid), grid)


def of(block: IntervalBlock, channel: str) -> IntervalBlock:
    """Return the rows of one channel."""
    return block.take(block.channel == CHANNEL_BY_NAME[channel])


CASES: dict[str, tuple[list[Sent], list[float], float]] = {
    "S of one phase, factor of the other": (
        [{"aP_1": 1e3, "apP_1": 2e3, "aP_2": 9e3, "pF_2": 0.9}] * 4,
        [10 / 12] * 4,
        10 / 12,
    ),
    "every second packet without S": (
        [{"aP_1": 800.0, "apP_1": 1000.0}, {"aP_1": 1600.0}] * 2,
        [0.8, 0.8],
        0.8,
    ),
    "S in one packet, the factor in others": (
        [
            {"aP_1": 5e3, "apP_1": 6e3},
            {"aP_1": 5e3, "pF_1": 5 / 6},
            {"aP_1": 500.0, "apP_1": 1e3},
        ],
        [5 / 6, 5 / 6, 0.5],
        10_500 / 13_000,
    ),
    "a night without load, and a day": (
        [{"aP_1": 10.0, "pF_1": 0.1}, {"aP_1": 9900.0, "pF_1": 0.99}],
        [0.1, 0.99],
        9910 / 10_100,
    ),
    "the factor alone": ([{"pF_1": 0.5}, {"pF_1": 0.9}], [0.5, 0.9], 0.7),
    "export": (
        [{"aP_1": -1e3, "apP_1": 2e3}, {"aP_1": -9e3, "apP_1": 1e4}],
        [-0.5, -0.9],
        -10 / 12,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_power_factor_of_a_roll_up_is_sum_p_over_sum_s(case: str) -> None:
    """Power and apparent power of the same phases and packets, from an hour to a year."""
    packets, quarters, whole = CASES[case]
    block = pushed(packets)
    assert of(block, "pF").mean.tolist() == pytest.approx(quarters)
    for grain in GRAINS:
        assert of(roll_up(block, grain, DUBLIN), "pF").mean.tolist() == pytest.approx([whole])


@pytest.mark.parametrize("case", CASES)
def test_the_mean_beside_a_graph_is_the_same_at_every_granularity(case: str) -> None:
    """Quarters, the hour or the day: the tile says one figure."""
    packets, _, whole = CASES[case]
    block = pushed(packets)
    hour, day = (roll_up(block, grain, DUBLIN) for grain in ("hour", "day"))
    for rows in (block, hour, day):
        assert figures(of(rows, "pF"), "mean", 3_600_000).mean == pytest.approx(whole)


def test_the_power_factor_of_a_phase_weighs_its_load_too() -> None:
    """100 W at 0.1 and 9.9 kW at 0.99 are 10 kW of 11 kVA in phase 1, in every form."""
    packets = [{"aP_1": 100.0, "pF_1": 0.1}, {"aP_1": 9900.0, "pF_1": 0.99}] * 2
    expected = pytest.approx([10 / 11])
    assert of(roll_up(pushed(packets), "hour", DUBLIN), "pF_1").mean.tolist() == expected
    assert of(pushed(packets, interval_s=3600), "pF_1").mean.tolist() == expected


def test_a_factor_of_zero_counts_with_its_apparent_power() -> None:
    """An idle transformer takes 1 kVA and no watt: half the time, it halves the factor."""
    packets = [{"aP_1": 0.0, "apP_1": 1e3, "pF_1": 0.0}, {"aP_1": 1e3, "apP_1": 1e3, "pF_1": 1.0}]
    hour = roll_up(pushed(packets), "hour", DUBLIN)
    assert [of(hour, name).mean.tolist() for name in ("pF", "pF_1")] == [[0.5], [0.5]]


LOADS = st.one_of(st.none(), st.floats(0.5, 1e6))
PHASE = st.tuples(LOADS, LOADS, st.one_of(st.none(), st.floats(0.01, 1.0)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(PHASE, PHASE, PHASE), min_size=1, max_size=40),
    st.sampled_from([1.0, -1.0]),
)
def test_a_roll_up_never_leaves_the_range_of_its_intervals(
    drawn: list[tuple[tuple[float | None, ...], ...]], sign: float
) -> None:
    """Whatever a meter leaves out: an hour lies between its quarters, a month its days."""
    packets = []
    for phases in drawn:
        sent: Sent = {"v_1": 230.0}
        for phase, (p, more, pf) in enumerate(phases, start=1):
            if p is not None:
                sent[f"aP_{phase}"] = sign * p
            if more is not None:
                sent[f"apP_{phase}"] = (p or 0.0) + more
            if pf is not None:
                sent[f"pF_{phase}"] = sign * pf
        packets.append(sent)
    block = pushed(packets)
    hours = roll_up(block, "hour", DUBLIN)
    for name in ("pF", "pF_1", "pF_2", "pF_3"):
        finest = of(block, name)
        for grain in GRAINS:
            once, again = (of(roll_up(rows, grain, DUBLIN), name) for rows in (block, hours))
            assert again.mean == pytest.approx(once.mean, rel=1e-9)
            for start, length, mean in zip(
                once.start_ms, once.duration_ms, np.abs(once.mean), strict=True
            ):
                inside = (finest.start_ms >= start) & (finest.start_ms < start + length)
                own = np.abs(finest.mean[inside])
                assert own.min() * (1 - 1e-9) <= mean <= own.max() * (1 + 1e-9) <= 1 + 2e-9
