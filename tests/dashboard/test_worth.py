"""What an amount of some days is worth: each day at its own price."""

from __future__ import annotations

import pytest

from kilowatch.dashboard.worth import worth_of_days
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import Price, SiteFacts

SUPPLY = DataPoint(
    1, 10, "p1", "Supply", 1, 1, "UTC",
    "electrical", "electricity", "kWh", 3600, 1800.0, "register",
)  # fmt: skip
DAYS = {day * DAY_MS: 1_000.0 for day in range(10, 20)}


def test_a_price_that_begins_later_than_the_days_still_says_what_they_cost() -> None:
    """Whoever enters the first price after a change saw no money saved by it, for ever."""
    price = Price(1, "electricity", 0.2, "kWh", "EUR", 15 * DAY_MS, None, "contract")
    facts = SiteFacts(1, "UTC", "IE", "", "EUR", prices=(price,))
    found = worth_of_days(facts, SUPPLY, 10_000.0, DAYS, 10 * DAY_MS)
    assert found.money == pytest.approx(10 * 0.2)
    assert worth_of_days(facts, SUPPLY, 10_000.0, {}, 10 * DAY_MS).money is None
    dearer = Price(2, "electricity", 0.4, "kWh", "EUR", 18 * DAY_MS, None, "contract")
    both = SiteFacts(1, "UTC", "IE", "", "EUR", prices=(dearer, price))
    assert worth_of_days(both, SUPPLY, 10_000.0, DAYS, 10 * DAY_MS).money == pytest.approx(
        8 * 0.2 + 2 * 0.4
    )
