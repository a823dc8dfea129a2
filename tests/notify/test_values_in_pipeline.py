"""Limits against figures that the real pipeline computed from packets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kilowatch.notify.rules import Rule, Rules, Terms
from kilowatch.notify.values import Verdict, sums, thresholds
from tests.pipeline.pipeline_world import HOUR_MS, MINUTE_MS, START_MS, World, point, single


def rules(kind: str, **terms: Any) -> Rules:
    """Return one rule for everything that the pipeline's tests own."""
    owner = point(1).organisation_id
    return Rules(1, [Rule(1, owner, None, None, "Rule", kind, Terms(**terms))], [])


def verdicts(world: World, found: Rules, now_ms: int, kind: str = "threshold") -> list[Verdict]:
    """Ask about every data point."""
    ask = thresholds if kind == "threshold" else sums
    return list(ask(world.view, found, list(world.points.points.values()), now_ms))


def test_a_power_counts_with_its_first_packet(tmp_path: Path) -> None:
    """Nobody waits for the end of the interval to hear of a load that is there now."""
    world = World(tmp_path, [point(1)]).start()
    for number, watts in enumerate((10_000.0, 10_000.0, 20_000.0)):
        at_ms = START_MS + number * 5 * MINUTE_MS
        world.log.push(1, at_ms, {f"aP_{phase}": watts for phase in (1, 2, 3)})
    world.catch_up()
    over = rules("threshold", quantity="aP", limit=50_000.0, unit="W")
    (verdict,) = verdicts(world, over, START_MS + 11 * MINUTE_MS)
    assert (verdict.past, verdict.value) == (True, 60_000.0)
    assert verdict.since_ms == START_MS + 10 * MINUTE_MS


def test_a_register_gives_energies_of_whole_intervals_only(tmp_path: Path) -> None:
    """The interval that has just begun has no energy yet, and is not too little of it."""
    world = World(tmp_path, [point(1)]).start()
    for number in range(4):
        at_ms = START_MS + number * 5 * MINUTE_MS
        world.log.push(1, at_ms, {"pC_1": 1_000_000.0 + 4_000.0 * number})
    world.log.push(1, START_MS + 17 * MINUTE_MS, {"pC_1": 1_012_100.0})
    world.catch_up()
    little = rules("threshold", quantity="pC", above=False, limit=3_000.0, unit="Wh")
    (verdict,) = verdicts(world, little, START_MS + 18 * MINUTE_MS)
    assert (verdict.past, verdict.value) == (False, 4_000.0)


def test_a_temperature_is_compared_in_degrees_celsius(tmp_path: Path) -> None:
    """Whatever unit the sensor speaks."""
    cold = single(3, utility="temperature", unit="°F", behaviour="gauge", interval_s=900)
    world = World(tmp_path, [cold]).start()
    world.log.push(3, START_MS, {"value": 50.0})
    world.catch_up()
    warm = rules("threshold", quantity="temperature", limit=8.0, unit="°C")
    (verdict,) = verdicts(world, warm, START_MS + MINUTE_MS)
    assert verdict.past
    assert verdict.value == pytest.approx(10.0)


def test_a_sum_so_far_is_the_days_total_of_the_pages(tmp_path: Path) -> None:
    """From local midnight, what a register counted across a gap included."""
    world = World(tmp_path, [point(1)]).start()
    for number in range(24):
        if 8 <= number < 12:
            continue  # four hours without a packet
        world.log.push(1, START_MS + number * HOUR_MS, {"pC_1": 1_000_000.0 + 5_000.0 * number})
    world.catch_up()
    now_ms = START_MS + 23 * HOUR_MS + MINUTE_MS
    one = world.points.points[1]
    rows = world.view.series(one, [24], 0, now_ms, "day")
    for period in ("day", "week", "month"):
        budget = rules("cumulated", quantity="pC", limit=90_000.0, unit="Wh", period=period)
        (verdict,) = verdicts(world, budget, now_ms, "sums")
        total = rows.take(slice(-1, None)) if period == "day" else rows
        expected = sum(v for v in [*total.amount, *total.unallocated] if v == v)  # noqa: PLR0124
        assert verdict.value == pytest.approx(expected)
        assert verdict.past
        assert verdict.until_ms is not None
        assert verdict.until_ms > now_ms
