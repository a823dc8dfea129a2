"""Hours, local days, weeks and months add up to what the intervals say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.calendar import Grain, Zone, day_start_ms, grain_start_ms
from kilowatch.model.parameters import PC, PF
from kilowatch.pipeline.grids import PointGrid, effective_of
from kilowatch.pipeline.intervals import intervals
from kilowatch.pipeline.rollups import completeness, roll_up
from tests.pipeline.interval_cases import HOUR_MS, Packets, data_point, rows_by_key, streams

DUBLIN = Zone.of("Europe/Dublin")


def rows(
    start_ms: list[int], channel: int = PC, duration_ms: int = 900_000, **columns: object
) -> IntervalBlock:
    """Return interval rows of series 1; what is not given is an amount of nothing known."""
    size = len(start_ms)
    block = IntervalBlock.empty()
    usual: dict[str, object] = dict.fromkeys(("mean", "low", "high", "amount"), np.nan)
    usual |= {"series": 1, "channel": channel, "start_ms": start_ms, "duration_ms": duration_ms}
    usual |= {"version": 1, "count": 1, "unallocated": 0.0, "covered_ms": duration_ms}
    usual |= {"quality": 0}
    for name, value in (usual | columns).items():
        like = getattr(block, name).dtype
        setattr(block, name, np.broadcast_to(np.array(value, like), size).copy())
    return block


def at(text: str) -> int:
    """Return a UTC time in milliseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def of_stream(packets: Packets) -> IntervalBlock:
    """Return the interval rows of a stream."""
    points = {packets.point.series: PointGrid.of(packets.point)}
    return intervals(packets.block(), effective_of(packets.block(), points), points)


def test_amounts_are_summed_and_means_weighted_by_the_time_they_cover() -> None:
    """10 W for a quarter of an hour and 40 W for the five minutes that are covered: 17.5 W."""
    starts = [at("2025-01-15T10:00"), at("2025-01-15T10:15")]
    block = rows(
        starts,
        mean=[10.0, 40.0],
        low=[5.0, 30.0],
        high=[20.0, 60.0],
        amount=[2.5, 4.0],
        unallocated=[0.0, 7.0],
        covered_ms=[900_000, 300_000],
        count=[3, 1],
        version=[4, 9],
        quality=[0, Quality.QUESTIONABLE],
    )
    hour = roll_up(block, "hour", DUBLIN)
    assert len(hour) == 1
    assert (hour.mean[0], hour.low[0], hour.high[0]) == (17.5, 5.0, 60.0)
    assert (hour.amount[0], hour.unallocated[0]) == (6.5, 7.0)
    assert (hour.covered_ms[0], hour.duration_ms[0]) == (1_200_000, HOUR_MS)
    assert (hour.count[0], hour.version[0], hour.quality[0]) == (4, 9, Quality.QUESTIONABLE)


def test_a_roll_up_says_how_much_of_its_time_has_each_quality() -> None:
    """Of three covered quarters one is estimated and one is questionable for five minutes."""
    starts = [at("2025-01-15T10:00") + number * 900_000 for number in range(3)]
    quality = [Quality.VALID, Quality.ESTIMATED, Quality.QUESTIONABLE]
    block = rows(starts, quality=quality, covered_ms=[900_000, 900_000, 300_000])
    hour = roll_up(block, "hour", DUBLIN)
    assert hour.shares().tolist() == [[0, 0, 900_000, 300_000]]
    assert hour.quality.tolist() == [Quality.QUESTIONABLE]
    assert roll_up(hour, "month", DUBLIN).shares().tolist() == [[0, 0, 900_000, 300_000]]
    valid = roll_up(rows(starts), "hour", DUBLIN)
    assert valid.share_ms is None, "what is valid throughout pays nothing"
    both = IntervalBlock.concatenate([valid, hour])
    assert both.shares().tolist() == [[0, 0, 0, 0], [0, 0, 900_000, 300_000]]


def test_completeness_is_the_covered_share_of_what_has_passed() -> None:
    """Half an hour of data is half of a full hour, and all of one that began half an hour ago."""
    block = rows([at("2025-01-15T10:00")], duration_ms=HOUR_MS, covered_ms=HOUR_MS // 2)
    assert completeness(block).tolist() == [0.5]
    assert completeness(block, at("2025-01-15T10:30")).tolist() == [1.0]
    assert completeness(block, at("2025-01-15T10:45")).tolist() == [30 / 45]
    assert completeness(block, at("2025-01-15T10:00")).tolist() == [0.0]


def test_what_is_not_known_adds_nothing_and_nothing_known_stays_so() -> None:
    """A quarter without amount does not make the hour unknown; four do, and not zero."""
    starts = [at("2025-01-15T10:00"), at("2025-01-15T10:15"), at("2025-01-15T11:00")]
    hours = roll_up(rows(starts, amount=[np.nan, 2.0, np.nan]), "hour", DUBLIN)
    assert hours.amount[0] == 2.0
    assert np.isnan(hours.amount[1])


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2024, 2, 29), 24)]
)
def test_a_local_day_sums_its_23_24_or_25_hours(day: date, hours: int) -> None:
    """A constant 1 kW is 23 kWh on the day that loses an hour."""
    start, end = (day_start_ms(day + timedelta(n), DUBLIN) for n in (0, 1))
    quarters = list(range(start - HOUR_MS, end + HOUR_MS, 900_000))
    days = roll_up(rows(quarters, amount=250.0), "day", DUBLIN)
    today = days.take(days.start_ms == start)
    assert (today.amount.tolist(), today.duration_ms.tolist()) == ([hours * 1e3], [hours * HOUR_MS])


def test_the_power_factor_of_a_day_weighs_the_load_again() -> None:
    """1 kW at 0.5 and 9 kW at 0.9 are 10 kW over 12 kVA in every roll-up."""
    starts = [at("2025-01-15T10:00"), at("2025-01-15T10:15")]
    block = rows(starts, PF, mean=[0.5, 0.9], amount=[500.0, 2500.0])
    hour = roll_up(block, "hour", DUBLIN)
    assert (hour.mean.tolist(), hour.amount.tolist()) == ([10 / 12], [3000.0])
    alone = roll_up(rows(starts, PF, mean=[0.5, 0.9]), "hour", DUBLIN)
    assert alone.mean.tolist() == [0.7]


def test_a_row_that_is_longer_than_its_bucket_is_never_split() -> None:
    """A daily gas meter on an hourly page keeps its day."""
    start = day_start_ms(date(2025, 3, 30), DUBLIN)
    block = rows([start], duration_ms=23 * HOUR_MS, amount=5.0)
    hourly = roll_up(block, "hour", DUBLIN)
    assert (hourly.start_ms.tolist(), hourly.duration_ms.tolist()) == ([start], [23 * HOUR_MS])


def test_rows_of_two_grids_meet_in_one_day() -> None:
    """Registered for 5 minutes until noon, for 15 afterwards: the day holds both."""
    start = day_start_ms(date(2025, 1, 15), DUBLIN)
    noon = start + 12 * HOUR_MS
    fives = rows(list(range(start, noon, 300_000)), duration_ms=300_000, amount=1.0)
    quarters = rows(list(range(noon, start + 24 * HOUR_MS, 900_000)), amount=3.0)
    day = roll_up(IntervalBlock.concatenate([quarters, fives]), "day", DUBLIN)
    assert (day.amount.tolist(), day.covered_ms.tolist()) == ([288.0], [24 * HOUR_MS])


def test_an_interval_that_crosses_the_hour_counts_where_it_starts() -> None:
    """Seven-minute packets: nine start in the first hour, its demand is still 1 kW."""
    start = day_start_ms(date(2025, 1, 15), DUBLIN)
    sevens = list(range(start, start + 24 * HOUR_MS, 420_000))
    hours = roll_up(rows(sevens, duration_ms=420_000, amount=1e3 * 7 / 60), "hour", DUBLIN)
    assert hours.covered_ms[0] == 63 * 60_000
    demand_w = hours.amount / (hours.covered_ms / HOUR_MS)
    assert demand_w.tolist() == pytest.approx([1000.0] * 24)


def test_sites_in_two_zones_have_their_own_days() -> None:
    """Midnight in Kathmandu is not midnight in Dublin, in one call."""
    start = at("2025-01-15T20:00")
    block = IntervalBlock.concatenate([rows([start], amount=1.0), rows([start], amount=1.0)])
    block.series = np.array([1, 2])
    zones = {1: DUBLIN, 2: Zone.of("Asia/Kathmandu")}
    days = roll_up(block, "day", zones)
    assert days.start_ms.tolist() == [at("2025-01-15T00:00"), at("2025-01-15T18:15")]


def test_an_empty_block_stays_empty() -> None:
    """A data point without data is no fault."""
    assert len(roll_up(IntervalBlock.empty(), "day", DUBLIN)) == 0


GRAINS: tuple[Grain, ...] = (900, "hour", "day", "week", "month", "year")


def test_roll_ups_conserve_every_sum_and_may_be_rolled_up_again() -> None:
    """A month is the same number from intervals, from hours and from days."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=250,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],
    )
    @given(streams(seen), st.sampled_from(GRAINS))
    def holds(packets: Packets, grain: Grain) -> None:
        block, zone = of_stream(packets), Zone.of(packets.point.zone)
        rolled = roll_up(block, grain, zone)
        for name in ("amount", "unallocated", "count"):
            for channel in np.unique(block.channel):
                before = np.nansum(getattr(block, name)[block.channel == channel])
                after = np.nansum(getattr(rolled, name)[rolled.channel == channel])
                assert after == pytest.approx(before, rel=1e-9, abs=1e-9)
        starts = grain_start_ms(rolled.start_ms, grain, zone)
        longer = np.isin(rolled.duration_ms, block.duration_ms)
        assert ((starts == rolled.start_ms) | longer).all()
        if 3600 % packets.point.interval_s == 0 and grain != 900:
            assert (rolled.covered_ms <= rolled.duration_ms).all()
        stepwise = roll_up(roll_up(roll_up(block, "hour", zone), "day", zone), "month", zone)
        at_once = roll_up(block, "month", zone)
        assert rows_by_key(stepwise).keys() == rows_by_key(at_once).keys()
        for name in ("amount", "unallocated", "mean", "low", "high"):
            one, other = getattr(stepwise, name), getattr(at_once, name)
            assert one == pytest.approx(other, rel=1e-9, abs=1e-7, nan_ok=True)
        for name in ("count", "covered_ms", "version", "quality", "duration_ms"):
            assert getattr(stepwise, name).tolist() == getattr(at_once, name).tolist()
        assert stepwise.shares().tolist() == at_once.shares().tolist()
        seen["not all valid"] += bool(at_once.shares().any())
        seen["rolled"] += len(rolled) < len(block)

    holds()
    assert seen["rolled"] > 50
    assert seen["not all valid"] > 20
    assert seen["clock change"] > 50


def test_the_order_of_rows_does_not_matter() -> None:
    """Hot rows and stored rows come in any order."""
    point = data_point(interval_s=300, tolerance_s=150.0)
    stream = Packets(
        point,
        [at("2025-01-15T10:00") + n * 300_000 for n in range(50)],
        [{0: n} for n in range(50)],
    )
    block = of_stream(stream)
    shuffled = block.take(np.random.default_rng(1).permutation(len(block)))
    assert (
        rows_by_key(roll_up(block, "hour", DUBLIN)).keys()
        == rows_by_key(roll_up(shuffled, "hour", DUBLIN)).keys()
    )
    assert roll_up(shuffled, "day", DUBLIN).amount.tolist() == [49_000.0]
