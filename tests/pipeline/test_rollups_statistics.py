"""The figures beside a graph, each checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.calendar import Zone
from kilowatch.pipeline.rollups import roll_up
from kilowatch.pipeline.statistics import (
    baseload,
    interval_demand,
    peak_demand,
    power_factor,
    statistics,
    total_amount,
)

DUBLIN, KATHMANDU = Zone.of("Europe/Dublin"), Zone.of("Asia/Kathmandu")
TEN = round(datetime(2025, 1, 15, 10, tzinfo=UTC).timestamp() * 1000)
FIVE_MIN = 300_000


def energy(
    amounts_wh: list[float], duration_ms: int = FIVE_MIN, covered: list[float] | None = None
) -> IntervalBlock:
    """Return rows of energy from ten o'clock; ``covered`` is a share of each."""
    size = len(amounts_wh)
    block = IntervalBlock.empty()
    ones = np.ones(size, np.int64)
    block.series, block.channel, block.version, block.count = ones, ones * 24, ones, ones
    block.start_ms = TEN + np.arange(size) * duration_ms
    block.duration_ms = ones * duration_ms
    block.amount = np.array(amounts_wh)
    block.unallocated, block.quality = np.zeros(size), ones * 0
    block.mean = block.low = block.high = np.full(size, np.nan)
    block.covered_ms = (np.array(covered or [1.0] * size) * duration_ms).astype(np.int64)
    return block


def power(means: list[float]) -> IntervalBlock:
    """Return rows of a power from ten o'clock."""
    block = energy([0.0] * len(means))
    block.mean = np.array(means)
    return block


def test_demand_is_energy_over_the_time_it_rests_on() -> None:
    """1 kWh in five minutes is 12 kW; half an interval of data says nothing about its mean."""
    demand = interval_demand(energy([1000.0, 500.0, np.nan], covered=[1.0, 0.5, 1.0]))
    assert demand[0] == 12_000.0
    assert np.isnan(demand[1:]).all()


def test_peak_demand_is_the_mean_of_a_period_on_the_local_clock() -> None:
    """A spike of five minutes counts a third in its quarter of an hour."""
    found = peak_demand(energy([100, 100, 100, 100, 1000, 100]), 900, DUBLIN)
    assert found is not None
    assert (found.demand, found.start_ms) == (4800.0, TEN + 900_000)


def test_peak_periods_are_those_of_the_site() -> None:
    """Half-hours start at :00 and :30 in Kathmandu too, which is 45 minutes off the hour."""
    found = peak_demand(energy([100.0] * 9 + [900.0] * 6), 1800, KATHMANDU)
    assert found is not None
    assert (found.start_ms - TEN) % 1_800_000 == 900_000


@pytest.mark.parametrize("zone", [DUBLIN, KATHMANDU])
@pytest.mark.parametrize("shift_ms", [0, 60_000])
def test_quarters_that_are_there_give_the_peak_that_their_minutes_give(
    zone: Zone, shift_ms: int
) -> None:
    """A year of quarter-hours is not rolled up again, and no figure changes by that.

    Quarters that begin a minute late are not the tariff's: those are put where they belong.
    """
    amounts, covered = [100.0, 900.0, 5000.0, 300.0, 900.0], [1.0, 1.0, 0.5, 1.0, 1.0]
    block = energy(amounts, 900_000, covered)
    block.start_ms = block.start_ms + shift_ms
    rolled = roll_up(block, 900, zone)
    demand = interval_demand(rolled)
    row = int(np.nanargmax(demand))
    found = peak_demand(block, 900, zone)
    assert found is not None
    assert (found.demand, found.start_ms) == (demand[row], rolled.start_ms[row])


def test_a_peak_is_not_found_in_a_period_that_is_half_empty() -> None:
    """One packet after a gap must not set the demand charge."""
    assert peak_demand(energy([5000.0]), 900, DUBLIN) is None
    assert peak_demand(IntervalBlock.empty(), 900, DUBLIN) is None


def test_hourly_data_has_hourly_peaks() -> None:
    """Nobody can know the quarter of an hour: the hour stands for itself, and says so."""
    found = peak_demand(energy([1000.0, 3000.0], 3_600_000), 900, DUBLIN)
    assert found is not None
    assert (found.demand, found.duration_ms) == (3000.0, 3_600_000)


def test_baseload_is_a_low_percentile_and_survives_a_power_cut() -> None:
    """200 W at night, 900 W by day, one interval of nothing: 200 W are always on."""
    demand_w = [0.0] + [200.0] * 40 + [900.0] * 40
    assert baseload(energy([w / 12 for w in demand_w])) == pytest.approx(200.0)
    assert np.isnan(baseload(energy([np.nan])))


def test_the_statistics_of_a_period() -> None:
    """An hour: 1.2 kWh known, 0.3 kWh across a gap, the last quarter not covered."""
    block = energy([100.0] * 6 + [200.0] * 3)
    block.unallocated[3] = 300.0
    found = statistics(block, TEN, TEN + 3_600_000, DUBLIN)
    assert (found.total, found.unallocated) == (1500.0, 300.0)
    assert found.mean == pytest.approx(1600.0)
    assert (found.low, found.high) == (1200.0, 2400.0)
    assert found.peak is not None
    assert found.peak.demand == 2400.0
    assert found.load_factor == pytest.approx(2 / 3)
    assert found.completeness == 0.75


def test_the_mean_rests_on_intervals_that_are_covered() -> None:
    """3 kW, one phase unknown for two intervals: not more than the peak, and not less."""
    block = energy(
        [250.0] * 4 + [167.0] * 2 + [250.0] * 3, covered=[1.0] * 4 + [0.2] * 2 + [1.0] * 3
    )
    found = statistics(block, TEN, TEN + 3_600_000, DUBLIN)
    assert (found.mean, found.low, found.high) == (3000.0, 3000.0, 3000.0)
    assert found.load_factor == 1.0
    unknown = statistics(energy([250.0], covered=[0.0]), TEN, TEN + FIVE_MIN, DUBLIN)
    assert np.isnan([unknown.mean, unknown.low, unknown.high, unknown.load_factor]).all()


def test_no_data_has_no_statistics_and_no_zero() -> None:
    """An empty period says 'not known' everywhere; it is 0 % complete."""
    found = statistics(IntervalBlock.empty(), TEN, TEN + 1, DUBLIN)
    assert np.isnan([found.total, found.mean, found.low, found.high, found.baseload]).all()
    assert (found.peak, found.completeness) == (None, 0.0)
    assert np.isnan(total_amount(energy([np.nan])))
    with pytest.raises(ValueError, match="empty"):
        statistics(IntervalBlock.empty(), TEN, TEN, DUBLIN)


def test_energy_across_a_gap_counts_in_the_total() -> None:
    """Known as a sum, though not when: the month's bill needs it."""
    block = energy([np.nan])
    block.unallocated[0] = 700.0
    assert total_amount(block) == 700.0


@pytest.mark.parametrize(
    ("p", "q", "value", "nature"),
    [
        (800.0, 600.0, 0.8, "inductive"),
        (800.0, -600.0, 0.8, "capacitive"),
        (-800.0, 600.0, -0.8, "capacitive"),
        (-800.0, -600.0, -0.8, "inductive"),
        (800.0, 0.0, 1.0, None),
    ],
)
def test_power_factor_has_its_sign_from_p_and_its_nature_from_q(
    p: float, q: float, value: float, nature: str | None
) -> None:
    """The four quadrants of IEC 60375; without S it is the root of P² + Q²."""
    found = power_factor(power([p, p]), IntervalBlock.empty(), power([q, q]))
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.nature == nature


def test_power_factor_is_sum_p_over_sum_s() -> None:
    """1 kW of 2 kVA and 9 kW of 10 kVA are ten twelfths, not seven tenths."""
    found = power_factor(power([1e3, 9e3]), power([2e3, 1e4]), IntervalBlock.empty())
    assert found is not None
    assert found.value == pytest.approx(10 / 12)
    assert found.nature is None
    assert power_factor(power([1e3]), IntervalBlock.empty(), IntervalBlock.empty()) is None
    assert power_factor(power([0.0]), power([0.0]), power([0.0])) is None
