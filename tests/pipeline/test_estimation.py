"""Estimates: a register's energy is only distributed, and what is known is never touched."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.calendar import Zone, bucket_edges_ms
from kilowatch.pipeline.estimation import (
    Estimate,
    exact_parts,
    fill,
    linear,
    profile,
    sister,
    spread,
)
from kilowatch.pipeline.slots import Slots
from tests.pipeline.test_rollups import at, rows

UTC = Zone.of("UTC")
HOUR_MS = 3_600_000
TEN_MS = at("2025-01-15T10:00")


def hours(first_ms: int, amounts: list[float], **columns: Any) -> IntervalBlock:
    """Return hourly rows of an energy from an hour on; NaN leaves a hole."""
    starts = [first_ms + number * HOUR_MS for number in range(len(amounts))]
    block = rows(starts, 0, HOUR_MS, amount=amounts, **columns)
    return block.take(~np.isnan(block.amount))


def slots(block: IntervalBlock, first_ms: int, count: int) -> Slots:
    """Return hourly slots."""
    end_ms = first_ms + count * HOUR_MS
    edges = bucket_edges_ms(first_ms, end_ms, 3600, UTC)
    return Slots.of(block, first_ms, end_ms, (edges[:-1], edges[1:]))


@settings(max_examples=500)
@given(
    st.floats(1e-6, 1e12),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=100).filter(lambda some: sum(some) > 0),
)
def test_parts_add_up_to_the_total_bit_for_bit(total: float, weights: list[float]) -> None:
    """Whatever the shape of a gap: no energy is made or lost, not even in the last digit."""
    parts = exact_parts(total, np.array(weights))
    assert float(parts.sum()) == total
    assert float(parts[::-1].sum()) == total
    assert math.fsum(parts) == total
    assert (parts >= 0).all()


def test_a_hole_between_two_hours_lies_on_the_line_between_them() -> None:
    """2 kWh before and 8 kWh after two missing hours: 4 and 6 kWh."""
    block = hours(TEN_MS, [2.0, np.nan, np.nan, 8.0])
    hole = slots(block, TEN_MS + HOUR_MS, 2)
    estimate = linear(hole, block)
    assert estimate.amount.tolist() == pytest.approx([4.0, 6.0])
    fill(hole, estimate)
    filled = hole.block(1, 0)
    assert filled.quality.tolist() == [Quality.ESTIMATED] * 2
    assert filled.covered_ms.tolist() == [HOUR_MS] * 2
    assert filled.count.tolist() == [0, 0], "no packet was made up"


def test_while_a_gap_is_open_the_line_is_level() -> None:
    """Nobody knows yet what comes after: the last known hour goes on."""
    block = hours(TEN_MS, [2.0])
    assert linear(slots(block, TEN_MS + HOUR_MS, 2), block).amount.tolist() == pytest.approx(
        [2.0, 2.0]
    )
    far = linear(slots(block, TEN_MS + 30 * HOUR_MS, 2), block)
    assert np.isnan(far.amount).all(), "and not for ever"


def test_a_profile_is_the_median_of_the_same_hour_of_the_weeks_before() -> None:
    """10, 11, 12 and a broken 500 on four Wednesdays at ten: 11.5, whatever the clocks did."""
    zone = Zone.of("Europe/Dublin")
    wednesday_ms = at("2025-04-09T09:00")  # ten o'clock, summer time since 30 March
    then = [at("2025-03-12T10:00"), at("2025-03-19T10:00"), at("2025-03-26T10:00")]
    then.append(at("2025-04-02T09:00"))
    history = rows(then, 0, HOUR_MS, amount=[10.0, 500.0, 12.0, 11.0])
    hole = slots(IntervalBlock.empty(), wednesday_ms, 1)
    assert profile(hole, history, zone).amount.tolist() == [11.5]
    estimated = history.take(np.ones(4, np.bool_))
    estimated.quality[1] = Quality.ESTIMATED
    assert profile(hole, estimated, zone).amount.tolist() == [11.0], "no estimate of estimates"


def test_a_sister_of_other_intervals_is_scaled_by_the_week_before() -> None:
    """A meter that counts a quarter of this one, every half hour: four times its hour."""
    own = hours(TEN_MS, [8.0, 12.0])
    halves = [TEN_MS + number * HOUR_MS // 2 for number in range(8)]
    other = rows(halves, 0, HOUR_MS // 2, amount=[1.0, 1.0, 1.0, 2.0, 3.0, 0.5, 0.25, 0.25])
    hole = slots(own, TEN_MS + 2 * HOUR_MS, 2)
    assert sister(hole, own, other).amount.tolist() == pytest.approx([14.0, 2.0])
    assert np.isnan(sister(hole, own, other.take(slice(7))).amount[1]), "only what it knows"


def test_a_temperature_takes_its_sister_s_course_at_its_own_level() -> None:
    """Two degrees warmer all week: two degrees are added, not a share."""
    starts = [TEN_MS, TEN_MS + HOUR_MS]
    own = rows(starts, 0, HOUR_MS, mean=[21.0, 22.0])
    other = rows([*starts, TEN_MS + 2 * HOUR_MS], 0, HOUR_MS, mean=[19.0, 20.0, 15.0])
    hole = slots(own, TEN_MS + 2 * HOUR_MS, 1)
    assert sister(hole, own, other, shifted=True).mean.tolist() == [17.0]


def test_the_rest_of_an_interval_that_is_known_in_part_is_added() -> None:
    """Twenty minutes counted 1 kWh; forty more at 6 kWh an hour make 5."""
    block = hours(TEN_MS, [1.0], covered_ms=HOUR_MS // 3)
    part = slots(block, TEN_MS, 1)
    fill(part, Estimate(np.array([6.0]), np.array([np.nan])))
    assert part.block(1, 0).amount.tolist() == [5.0]


def test_what_is_known_is_never_estimated() -> None:
    """A full hour, and a total of which one phase is silent, stay as they are."""
    block = hours(TEN_MS, [3.0, 2.0], covered_ms=[HOUR_MS, 0])
    full = slots(block, TEN_MS, 2)
    fill(full, Estimate(np.array([9.0, 9.0]), np.array([np.nan, np.nan])))
    assert full.block(1, 0).amount.tolist() == [3.0, 2.0]


def gap() -> Slots:
    """Return the reference's gap: a reading at 10:20 and one at 13:40, 10 kWh between them."""
    block = rows(
        [TEN_MS, TEN_MS + 3 * HOUR_MS],
        0,
        HOUR_MS,
        amount=[1.0, 0.5],
        unallocated=[0.0, 10.0],
        covered_ms=[HOUR_MS // 3, HOUR_MS // 3],
    )
    return slots(block, TEN_MS, 4)


def test_a_gap_that_begins_and_ends_within_hours_is_spread_by_its_minutes() -> None:
    """Of 200 minutes 40 lie in the first and 40 in the last hour: 2, 3, 3 and 2 kWh of ten."""
    spread_evenly = gap()
    spread(spread_evenly)
    block = spread_evenly.block(1, 0)
    assert block.amount.tolist() == pytest.approx([3.0, 3.0, 3.0, 2.5])
    assert block.unallocated.tolist() == [0.0] * 4
    assert block.covered_ms.tolist() == [HOUR_MS] * 4


def test_a_spread_takes_the_shape_that_is_given() -> None:
    """The profile says that most was used in the second hour; the sum stays 10 kWh."""
    shaped = gap()
    spread(shaped, Estimate(np.array([3.0, 6.0, 2.0, 3.0]), np.full(4, np.nan)))
    amounts = shaped.block(1, 0).amount
    assert (amounts - [1.0, 0, 0, 0.5]).tolist() == pytest.approx([5 / 3, 5.0, 5 / 3, 5 / 3])
    unknown = gap()
    spread(unknown, Estimate(np.array([3.0, np.nan, 2.0, 3.0]), np.full(4, np.nan)))
    assert unknown.block(1, 0).amount.tolist() == pytest.approx([3.0, 3.0, 3.0, 2.5])


def test_only_gaps_that_are_short_enough_are_spread_by_a_rule() -> None:
    """200 minutes are within 200 minutes and not within 199."""
    short, long = gap(), gap()
    spread(short, None, 200 * 60_000)
    spread(long, None, 199 * 60_000)
    assert short.block(1, 0).unallocated.sum() == 0
    assert long.block(1, 0).unallocated.sum() == 10.0
    cut = slots(gap().block(1, 0).take(slice(1, None)), TEN_MS + HOUR_MS, 3)
    spread(cut, None, 200 * 60_000)
    assert cut.block(1, 0).unallocated.sum() == 10.0, "where it began is not known: left alone"


def test_rows_of_an_earlier_grid_keep_their_length() -> None:
    """The data point was registered for two hours before: its rows are not cut into hours."""
    block = rows([TEN_MS], 0, 2 * HOUR_MS, amount=5.0)
    mixed = slots(block, TEN_MS, 4)
    assert mixed.rows.duration_ms.tolist() == [2 * HOUR_MS, HOUR_MS, HOUR_MS]
    assert mixed.present.tolist() == [True, False, False]
