"""Validation rules: what is odd, what is not, and one event for each run of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.editing import Rules
from kilowatch.pipeline.events import CODES, editing_failed, finding_of
from kilowatch.pipeline.validation import (
    DEMAND_MAX,
    NEGATIVE,
    SPIKE,
    ZERO_RUN,
    ahead_ms,
    behind_ms,
    events_of,
    joined,
    judged,
)
from tests.pipeline.interval_cases import data_point
from tests.pipeline.test_rollups import at, rows

HOUR_MS = 3_600_000
START_MS = at("2025-01-15T00:00")


def hours(amounts: list[float]) -> IntervalBlock:
    """Return hourly rows of an energy [Wh]; NaN leaves a hole."""
    starts = [START_MS + number * HOUR_MS for number in range(len(amounts))]
    block = rows(starts, 0, HOUR_MS, amount=amounts)
    return block.take(~np.isnan(block.amount))


def odd(amounts: list[float], rule: int, rules: Rules) -> list[int]:
    """Return the hours that violate a rule."""
    block = hours(amounts)
    bits = judged(block, rules, HOUR_MS)
    found: list[int] = ((block.start_ms[(bits & rule) > 0] - START_MS) // HOUR_MS).tolist()
    return found


def test_demand_above_the_plausible_maximum_is_odd() -> None:
    """5 kWh in an hour is 5 kW; the same in half an hour that is covered tells nothing."""
    assert odd([3000, 5000, 2000], DEMAND_MAX, Rules(demand_max=4000.0)) == [1]
    block = hours([5000.0])
    block.covered_ms[:] = HOUR_MS // 2
    assert judged(block, Rules(demand_max=4000.0), HOUR_MS).tolist() == [0]
    gauge = rows([START_MS], 0, HOUR_MS, mean=60.0)
    assert judged(gauge, Rules(demand_max=50.0), HOUR_MS).tolist() == [DEMAND_MAX]


def test_a_spike_stands_out_on_both_sides() -> None:
    """Ten times as much as before and after is a spike; a machine that is switched on is not."""
    rules = Rules(spike_factor=5.0)
    assert odd([10, 11, 9, 10, 100, 10, 12, 9, 10], SPIKE, rules) == [4]
    assert odd([10, 11, 9, 10, 100, 110, 90, 100, 95], SPIKE, rules) == []
    assert odd([100, 110, 90, 100, 10, 10, 11, 9, 10], SPIKE, rules) == []
    assert odd([10, 11, 9, 10, 100, 95, 10, 12, 9, 10], SPIKE, rules) == [4, 5], "two in a row"
    assert odd([10, 11, 9, 10, 100, 10, 12], SPIKE, rules) == [], "two hours after are too few"
    assert odd([0, 0, 0, 0, 100, 0, 0, 0, 0], SPIKE, rules) == [], "beside nothing all is a spike"


def test_a_spike_is_not_compared_across_a_gap() -> None:
    """Yesterday's figures are no neighbours."""
    amounts = [10, 11, 9, 10, *[np.nan] * 5, 100, 10, 12, 9, 10]
    assert odd(amounts, SPIKE, Rules(spike_factor=5.0)) == []


def test_zeros_are_odd_from_when_they_last_too_long() -> None:
    """Six hours are allowed: of eight hours of zeros the last two are odd; a hole begins anew."""
    rules = Rules(zero_run_s=6 * 3600)
    assert odd([5, *[0] * 8, 5], ZERO_RUN, rules) == [7, 8]
    assert odd([5, *[0] * 6, 5], ZERO_RUN, rules) == []
    assert odd([*[0] * 4, np.nan, *[0] * 4], ZERO_RUN, rules) == []


def test_the_neighbours_that_a_rule_asks_for_are_enough() -> None:
    """A row judged among just those is judged as among all."""
    random = np.random.default_rng(3)
    amounts = np.where(random.random(400) < 0.3, 0.0, random.integers(1, 60, 400)).astype(float)
    amounts[random.random(400) < 0.1] = np.nan
    block = hours(amounts.tolist())
    rules = Rules(demand_max=50.0, spike_factor=3.0, zero_run_s=2 * 3600)
    whole = judged(block, rules, HOUR_MS)
    assert all((whole & rule).any() for rule in (DEMAND_MAX, SPIKE, ZERO_RUN))
    for row, start_ms in enumerate(block.start_ms.tolist()):
        near = block.start_ms >= start_ms - behind_ms(rules, HOUR_MS)
        near &= block.start_ms <= start_ms + ahead_ms(rules, HOUR_MS)
        some = block.take(near)
        bits = judged(some, rules, HOUR_MS)
        assert bits[some.start_ms == start_ms].tolist() == [whole[row]]


def test_less_than_nothing_is_odd() -> None:
    """Nobody gives gas back."""
    assert odd([5, -1, 5], NEGATIVE, Rules(negative=True)) == [1]
    assert odd([5, -1, 5], NEGATIVE, Rules()) == []


def test_a_run_is_one_event_wherever_it_is_cut() -> None:
    """Three hours in a row are one event with the worst of them; the fifth is another."""
    rules = Rules(demand_max=4000.0, negative=True)
    block = hours([5000, 9000, 6000, 1000, 7000, -3, -9])
    bits = judged(block, rules, HOUR_MS)
    events = joined([], events_of(block, bits, rules))
    assert [(e.rule, e.intervals, e.worst) for e in events] == [
        (DEMAND_MAX, 3, 9000.0),
        (DEMAND_MAX, 1, 7000.0),
        (NEGATIVE, 2, -9.0),
    ]
    for cut in range(1, 7):
        first = events_of(block.take(slice(cut)), bits[:cut], rules)
        second = events_of(block.take(slice(cut, None)), bits[cut:], rules)
        assert joined(joined([], first), second) == events


@pytest.mark.parametrize(
    ("rule", "settings", "text"),
    [
        (DEMAND_MAX, {}, "6.5 kW is more than the 4 kW that are plausible here."),
        (
            DEMAND_MAX,
            {"utility": "water", "unit": "L", "behaviour": "amount"},
            "6,500 m3/h is more than the 4,000 m3/h that are plausible here.",
        ),
        (
            DEMAND_MAX,
            {"utility": "temperature", "unit": "°F", "behaviour": "gauge"},
            "6,500 °C is more than the 4,000 °C that are plausible here.",
        ),
        (NEGATIVE, {}, "6.5 kW is less than nothing, of something that nobody gives back."),
        (SPIKE, {}, "6.5 kW is more than 4 times what came before and after it."),
        (ZERO_RUN, {}, "Nothing has been counted for longer than 2 h."),
    ],
)
def test_a_finding_says_it_with_numbers(rule: int, settings: dict[str, Any], text: str) -> None:
    """Everybody sees what was found, and what is allowed, in the unit of the data point."""
    block = hours([6500.0])
    rules = Rules(demand_max=4000.0, spike_factor=4.0, zero_run_s=7200, negative=True)
    (event,) = events_of(block, np.array([rule]), rules)
    finding = finding_of(event, data_point(**settings))
    assert finding.text == text
    assert finding.at_ms == START_MS
    assert finding.data["until_ms"] == START_MS + HOUR_MS


def test_every_finding_is_in_the_reference() -> None:
    """Whoever meets a code on a page or in a message finds what it means."""
    page = (Path(__file__).parents[2] / "docs/reference/intervals.md").read_text(encoding="utf-8")
    codes = [*CODES.values(), "meter.sum_exceeded", editing_failed("x").code]
    assert not [code for code in codes if f"`{code}`" not in page]
