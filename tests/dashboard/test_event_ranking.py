"""What an estate's events are ranked by is what each of them says of itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from kilowatch.dashboard.event_ranking import costliest, costliest_of, ranked
from kilowatch.dashboard.insight_rows import Shown
from kilowatch.dashboard.worth import worth_of_more
from kilowatch.model.insight import EventBrief, EventKind
from kilowatch.model.points import DataPoint, Utility
from kilowatch.model.site_facts import Price, SiteFacts
from tests.dashboard.fake_insights import event

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def test_the_costliest_of_many_are_those_of_the_whole_list() -> None:
    """Prices by site, utility and time; amounts that nobody priced; kinds without an amount."""
    power = DataPoint(
        1, 10, "p1", "Supply", 1, 1, "Europe/Dublin",
        "electrical", "electricity", "kWh", 3600, 1800.0, "register",
    )  # fmt: skip
    gas = replace(power, id=2, series=20, kind="single", utility="gas", unit="m3")
    outdoor = replace(gas, id=3, series=30, utility="temperature", unit="°C", behaviour="gauge")
    abroad = replace(power, id=4, series=40, site_id=2)
    solar = replace(power, id=5, series=50, kind="single", utility="production")
    prices = (
        Price(3, "electricity", 0.4, "kWh", "EUR", 20 * DAY_MS, None, "later"),
        Price(1, "gas", 0.1, "kWh", "EUR", 0, None, "by energy"),
        Price(2, "electricity", 0.2, "kWh", "EUR", 0, None, "contract"),
        Price(5, "production", 0.1, "kWh", "EUR", 0, None, "fed in"),
        Price(4, "gas", 0.9, "m3", "EUR", 10 * DAY_MS, None, "by volume"),
    )
    facts = {1: SiteFacts(1, "Europe/Dublin", "IE", "", "EUR", prices=prices)}
    points = {p.series: p for p in (power, gas, outdoor, abroad, solar)}
    chance = np.random.default_rng(3)
    sizes = [math.nan, *(sign * 10.0**power for sign in (-1, 1) for power in range(5))]
    events = [
        event(series, EventKind.WEEKEND, number * HOUR_MS, 2, amount=amount)
        for number, (series, amount) in enumerate(
            zip(
                chance.choice([10, 20, 30, 40, 50], 720).tolist(),
                chance.choice(sizes, 720).tolist(),
                strict=True,
            )
        )
    ]
    shown = []
    for one in events:
        point = points[one.series]
        value = worth_of_more(facts.get(point.site_id), point, one.amount, one.start_ms)
        shown.append(Shown(one, point, "", value, None, "open"))
    shown.sort(key=lambda one: one.rank)
    briefs = [EventBrief(e.id, e.series, e.start_ms, e.amount) for e in events]
    found = ranked([*briefs, EventBrief("another's", 99, 0, 1e9)], points, facts)
    assert [one.brief.id for one in costliest(found, 9)] == [one.event.id for one in shown[:9]]
    assert {one.brief.id: (one.rank, one.money, one.currency) for one in found} == {
        one.event.id: (one.rank, one.worth.money, one.worth.currency) for one in shown
    }
    assert {one.money is None for one in found} == {True, False}
    everything = [*briefs, EventBrief("another's", 99, 0, 1e9)]
    for count in (1, 9, 300, 720, 2_000):
        some = costliest_of(everything, points, facts, count)
        assert some == costliest(found, count)
    unpriced = costliest_of(everything, points, {}, 20)
    assert unpriced == costliest(ranked(everything, points, {}), 20)


def test_less_production_is_money_that_is_gone() -> None:
    """5 kWh less from a roof cost what they would have earned; 5 kWh less used were saved."""
    meter = DataPoint(
        1, 10, "p1", "Roof", 1, 1, "Europe/Dublin",
        "single", "production", "kWh", 3600, 1800.0, "register",
    )  # fmt: skip
    prices = (
        Price(1, "production", 0.2, "kWh", "EUR", 0, None, "fed in"),
        Price(2, "electricity", 0.3, "kWh", "EUR", 0, None, "contract"),
    )
    facts = SiteFacts(1, "Europe/Dublin", "IE", "", "EUR", prices=prices)
    kinds: tuple[tuple[Utility, float], ...] = (("production", 1.0), ("electricity", -1.5))
    for utility, wanted in kinds:
        point = replace(meter, utility=utility)
        drop = event(10, EventKind.DROPOUT, 0, 5, amount=-5_000.0)
        assert worth_of_more(facts, point, drop.amount, 0).money == pytest.approx(wanted)
        (one,) = ranked([EventBrief("e", 10, 0, drop.amount)], {10: point}, {1: facts})
        assert one.money == pytest.approx(wanted)
