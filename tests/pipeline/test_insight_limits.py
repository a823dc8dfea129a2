"""Whoever runs a site may set other limits than the usual ones; what is told names them."""

import math

import numpy as np
import pytest

from kilowatch.dashboard.event_quantity import _limits
from kilowatch.insights.explaining import About, explain
from kilowatch.insights.limits import Limits, limits_of
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.parameters import RP
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.electrics import CURRENT, VOLTAGE
from tests.pipeline.test_insight_electrics import DAYS, healthy, looked_at

N = DAYS * 96


def told(event: InsightEvent) -> str:
    """Return an event's sentence."""
    about = About("Main supply", "electricity", "Wh", "W", Zone.of("Europe/London"))
    return explain(event, about).sentence


def test_voltage_limits_of_another_country_are_judged_by_told_and_drawn() -> None:
    """Great Britain: 230 V +10 % -6 %. 214 V keeps EN 50160, and not what was set."""
    values = healthy() | {VOLTAGE + 1: np.where(np.arange(N) % 96 < 30, 214.0, 232.0)}
    assert looked_at(values) == []
    set_ = {"low_voltage_percent": 6.0, "lowest_voltage_percent": 6.0}
    (event,) = looked_at(values, limits=set_)
    assert event.kind is EventKind.VOLTAGE
    assert "phase 1 between 214 V and 232 V where no mean may be below 216.2 V" in told(event)
    assert "within 216.2 to 253 V where what was set asks for 95 %" in told(event)
    assert [one["text"] for one in _limits(event)] == ["216 V (\N{MINUS SIGN}6 %)", "253 V (+10 %)"]
    assert looked_at(values, limits=dict.fromkeys(set_)) == [], "what is unset is as usual"


def test_a_supply_with_a_wider_voltage_is_left_alone() -> None:
    """At the end of a long line people have agreed on 20 %: every mean may lie there too."""
    values = healthy() | {VOLTAGE + 2: np.full(N, 190.0)}
    assert looked_at(values)
    assert looked_at(values, limits={"low_voltage_percent": 20.0}) == []
    high = healthy() | {VOLTAGE + 2: np.full(N, 260.0)}
    assert looked_at(high)
    assert looked_at(high, limits={"high_voltage_percent": 15.0}) == []


@pytest.mark.parametrize(
    ("values", "kind", "wider", "sentence"),
    [
        ({CURRENT + 1: np.full(N, 18.0)}, EventKind.UNBALANCE, {"unbalance_percent": 50.0}, "30 %"),
        ({RP: np.full(N, 4_000.0)}, EventKind.POWER_FACTOR, {"least_power_factor": 0.8}, "0.90"),
    ],
)
def test_other_limits_of_load_are_judged_by(
    values: dict[int, np.ndarray], kind: EventKind, wider: dict[str, float | None], sentence: str
) -> None:
    """What is usual is told with its limit; where a person has set a wider one nothing is."""
    (event,) = looked_at(healthy() | values)
    assert event.kind is kind
    assert sentence in told(event)
    assert looked_at(healthy() | values, limits=wider) == []


def test_a_phase_that_is_lost_by_another_share_says_by_which() -> None:
    """A clamp that reads 4 % of what flows in the others where nothing flows."""
    gone = np.where(np.arange(N) > 500, 0.4, 10.0)
    kinds = {one.kind for one in looked_at(healthy() | {CURRENT + 3: gone})}
    assert EventKind.PHASE_LOSS not in kinds
    found = looked_at(healthy() | {CURRENT + 3: gone}, limits={"lost_phase_percent": 5.0})
    (event,) = [one for one in found if one.kind is EventKind.PHASE_LOSS]
    assert "phase 3 carries less than 5 % of the others" in told(event)


def test_limits_without_a_setting_are_the_usual_ones() -> None:
    """Nothing set is EN 50160 and the tariffs; one wider limit never contradicts another."""
    assert limits_of({}) == Limits()
    assert limits_of({"nominal_voltage_v": 110.0}).nominal_v == 110
    wide = limits_of({"low_voltage_percent": 30.0, "phase_sum_percent": 8.0})
    assert math.isclose(wide.low, 0.7)
    assert math.isclose(wide.lowest, 0.7)
    assert math.isclose(wide.phase_sum, 0.08)
