"""Energy in money and CO2: each interval by the price of its own day, and the price is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from starlette.testclient import TestClient

from kilowatch.catalog import Actor, prices
from kilowatch.catalog.tables import Organisation
from kilowatch.dashboard.periods import midnight_ms
from kilowatch.model.parameters import PC
from tests.dashboard.test_series import ask, channel
from tests.dashboard.worlds import World

ZONE = "Europe/Dublin"
BEGINS = date(2026, 11, 4)
OLD, NEW, CARBON = 0.30, 0.40, 0.25


@pytest.fixture(scope="module", autouse=True)
def priced(world: World) -> None:
    """Let electricity have a price from a Wednesday on and another before; gas has none."""
    with world.catalog.change(Actor("test")) as change:
        owner = change.session.get_one(Organisation, world.point("main").organisation_id)
        old = prices.PriceDraft("electricity", OLD, "contract 2025")
        new = replace(old, per_unit=NEW, label="contract 2026", from_day=BEGINS)
        for draft in (old, new):
            prices.set_price(change, owner, draft)
        prices.set_carbon(
            change, owner, prices.CarbonDraft("electricity", CARBON, "SEAI 2024", "location-based")
        )


def independent(world: World, first: date, until: date, old: float, new: float) -> float:
    """Price each stored interval by its own instant."""
    rows = world.view.rows[world.point("main").series]
    begin, end, change = (midnight_ms(day, ZONE) for day in (first, until, BEGINS))
    mine = (rows.channel == PC) & (rows.start_ms >= begin) & (rows.start_ms < end)
    counted = np.nan_to_num(rows.amount[mine]) + np.nan_to_num(rows.unallocated[mine])
    price = np.where(rows.start_ms[mine] < change, old, new)
    return float((counted * price).sum() / 1000)


@pytest.mark.parametrize("grain", ["interval", "hour", "day", "week"])
def test_each_interval_has_the_price_of_its_own_day(
    world: World, admin: TestClient, grain: str
) -> None:
    """A price that begins on a Wednesday is in a week's figure from Wednesday on, at any grain."""
    query = f"period=custom&date=2026-11-02&until=2026-11-08&grain={grain}&show=pC&worth=money"
    found = ask(admin, world, "main", query)
    wanted = independent(world, date(2026, 11, 2), date(2026, 11, 9), OLD, NEW)
    assert found["statistics"][0]["unit"] == "EUR"
    assert found["statistics"][0]["total"] == pytest.approx(wanted, rel=1e-12)
    assert found["parameters_shown"][0]["unit"] == "EUR"
    texts = [one["text"] for one in found["worth"]["basis"]]
    assert texts == [
        "0.3 EUR/kWh (contract 2025)",
        "0.4 EUR/kWh from 4 November 2026 (contract 2026)",
    ]
    assert found["worth"]["share"] == pytest.approx(1.0)


def test_co2_names_its_factor_and_power_stays_power(world: World, admin: TestClient) -> None:
    """Kilograms by the factor; watts have no price and are shown as they are."""
    found = ask(admin, world, "main", "date=2026-11-06&worth=co2")
    energy = next(one for one in found["statistics"] if one["channel"] == "pC")
    wanted = independent(world, date(2026, 11, 6), date(2026, 11, 7), CARBON, CARBON)
    assert energy["unit"] == "kgCO2e"
    assert energy["total"] == pytest.approx(wanted, rel=1e-12)
    assert found["worth"]["basis"][0]["text"] == "0.25 kg/kWh (location-based, SEAI 2024)"
    assert channel(found, "aP")["unit"] == "W"
    assert found["demand"]["unit"] == "W"


def test_both_sides_of_a_comparison_are_priced_by_their_own_days(
    world: World, admin: TestClient
) -> None:
    """A dearer contract shows: the same energy costs more than the week before."""
    query = "period=week&date=2026-11-04&grain=day&show=pC&worth=money&compare=previous"
    found = ask(admin, world, "main", query)
    wanted = independent(world, date(2026, 10, 26), date(2026, 11, 2), OLD, OLD)
    assert found["statistics"][0]["change"]["value"] == pytest.approx(wanted, rel=1e-12)


def test_without_a_price_nothing_is_said_in_money(world: World, admin: TestClient) -> None:
    """Gas has no price: no figure, no zero, and the page says where to set one."""
    found = ask(admin, world, "gas", "date=2026-11-06&worth=money")
    assert found["statistics"][0]["total"] is None
    assert found["worth"] == {"shown": "money", "available": True, "share": 0.0, "basis": []}
    page = admin.get(f"/breakdown/{world.point('gas').id}").text
    assert f'data-href="/admin/sites/{world.point("gas").site_id}/prices"' in page
    outdoor = admin.get(f"/breakdown/{world.point('outdoor').id}").text
    assert 'name="worth"' not in outdoor, "a temperature costs nothing"


def test_an_unknown_worth_is_refused(world: World, admin: TestClient) -> None:
    """Rubbish in an address is answered with what to write instead."""
    answer = admin.get(f"/data/series?point={world.point('main').id}&worth=gold")
    assert answer.status_code == 400
    assert "money" in answer.json()["remedy"]
