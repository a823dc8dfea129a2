"""Administration of a site: calendar, opening hours, weather, prices, CO2, attention."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import cast

import pytest

from kilowatch.catalog import Actor, data_points, facts, registry
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Site
from kilowatch.dashboard.needs import Insights
from kilowatch.model.opening import week_of_text
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from tests.dashboard.access_world import Matrix
from tests.dashboard.estate_desk import Desk, matrix  # noqa: F401 - a fixture

OUTDOOR = Settings("single", "temperature", 600, unit="°C", behaviour="gauge")


@pytest.fixture
def desk(matrix: Matrix) -> Iterator[Desk]:  # noqa: F811 - the fixture
    """Return a manager of Acme at their desk; everything is put back afterwards."""
    yield Desk(matrix, "manager")
    matrix.restore()


def _actor() -> Actor:
    return Actor("test")


def of(desk: Desk) -> SiteFacts:
    """Read the facts of the office as they are now."""
    with desk.world.catalog.reading() as session:
        return facts.read(session)[desk.office]


def taken_back(desk: Desk, path: str, page: str, number: int = 0) -> str:
    """Press one of a page's buttons that remove something."""
    found = re.findall(r'name="what" value="([a-z]+-\d+)"', page)
    return desk.post(path, what=found[number])


def test_every_page_of_a_site_leads_to_the_others(desk: Desk) -> None:
    """Place, meters, data points, calendar, weather, prices and attention, from each of them."""
    here = f"/admin/sites/{desk.office}"
    pages = [here, *(f"{here}/{one}" for one in ("calendar", "weather", "prices", "attention"))]
    for page in pages:
        text = desk.get(page)
        assert [other for other in pages if f'href="{other}"' not in text] == []
        assert len(re.findall(r'aria-current="page"', text.partition("</nav>")[2])) >= 1


def test_days_of_a_calendar_are_added_and_removed(desk: Desk) -> None:
    """A wrong form comes back as it was sent, with the sentence beside the field."""
    here = f"/admin/sites/{desk.office}/calendar"
    closure = {
        "called": "Christmas closure", "kind": "closed", "first": "2026-12-24",
        "last": "2027-01-03",
    }  # fmt: skip
    page = desk.refused(f"{here}/days", **closure | {"first": ""})
    assert "Which day?" in page
    assert 'value="Christmas closure"' in page
    assert "name of the days is missing" in desk.refused(f"{here}/days", **closure | {"called": ""})
    assert "no range" in desk.refused(f"{here}/days", **closure | {"last": "2026-12-01"})
    page = desk.post(f"{here}/days", **closure)
    assert "Added to the calendar" in page
    assert "2026-12-24 – 2027-01-03" in page
    assert of(desk).closed(date(2026, 12, 29))
    assert "already" in desk.refused(f"{here}/days", **closure | {"kind": "open", "last": ""})
    assert "Removed" in taken_back(desk, f"{here}/remove", page)
    assert not of(desk).closed(date(2026, 12, 29))
    assert "could be removed" in desk.client.post(
        f"{here}/remove", data={"csrf": desk.csrf, "what": "x"}
    ).text  # fmt: skip


def test_public_holidays_follow_country_and_region(desk: Desk) -> None:
    """A day on which the site is open says so; a country with regions asks for one."""
    here = f"/admin/sites/{desk.office}"
    page = desk.get(f"{here}/calendar")
    assert "Saint Patrick's Day" in page
    assert "Choose a region" not in page
    with desk.world.catalog.change(_actor()) as change:
        site = change.session.get_one(Site, desk.office)
        site.country = "GB"
    page = desk.get(f"{here}/calendar")
    assert "Choose a region" in page
    assert "Easter Monday" not in page
    assert '<option value="Scotland">' in desk.get(here)
    fields = {"name": "Office Dublin", "zone": "Europe/London", "country": "GB", "when": "always"}
    desk.post(here, **fields, region="Scotland")
    page = desk.get(f"{here}/calendar")
    assert "Scotland, " in page
    assert "Saint Andrew" in page
    assert of(desk).region == "SCT"


def test_opening_hours_are_painted_from_a_date_on(desk: Desk) -> None:
    """What is painted counts from its date; learnt hours come back from another."""
    here = f"/admin/sites/{desk.office}/calendar"
    page = desk.get(here)
    assert len(re.findall(r'name="open" value="\d+" checked', page)) == 50, (
        "the usual as an example"
    )
    assert of(desk).opening is None, "and nothing is set by looking"
    week = week_of_text("Mon-Fri 07-19, Sat 09-13")
    painted = [str(hour) for hour in range(168) if week[hour]]
    sent = {"csrf": desk.csrf, "hours_are": "painted", "when": "from", "open": painted}
    wrong = desk.client.post(f"{here}/opening", data=sent | {"from_day": ""})
    assert wrong.status_code == 422
    assert "From which day on?" in wrong.text
    assert wrong.text.count(" checked") >= len(painted), "it comes back as it was painted"
    answer = desk.client.post(f"{here}/opening", data=sent | {"from_day": "2026-03-01"})
    assert answer.status_code == 303
    page = desk.get(answer.headers["location"])
    assert "Mon–Fri 07–19, Sat 09–13" in page
    assert of(desk).opening == week
    page = desk.post(f"{here}/opening", hours_are="learnt", when="from", from_day="2026-06-01")
    assert of(desk).opening is None
    assert of(desk).openings[0].hours == week
    taken_back(desk, f"{here}/remove", page, 1)
    assert of(desk).opening == week


def test_what_was_learnt_is_shown_and_is_where_painting_begins(desk: Desk) -> None:
    """The load of the first meter of electricity that has any; nothing is set by looking."""
    learnt, main = week_of_text("Mon-Sat 06-22"), desk.world.point("main").id

    class Learnt:
        def opening(self, point: DataPoint) -> tuple[bool, ...] | None:
            return learnt if point.id == main else None

    state = desk.world.app.state
    rooms = state.rooms
    state.rooms = replace(rooms, insights=cast("Insights", Learnt()))
    try:
        page = desk.get(f"/admin/sites/{desk.office}/calendar")
    finally:
        state.rooms = rooms
    assert "From the load of Main supply: Mon–Sat 06–22" in page
    assert len(re.findall(r'name="open" value="\d+" checked', page)) == 6 * 16
    assert of(desk).opening is None


def test_a_sites_weather_is_one_of_its_organisations_temperatures(desk: Desk) -> None:
    """Nothing else can be chosen, whatever a form says."""
    here = f"/admin/sites/{desk.office}/weather"
    with desk.world.catalog.change(_actor()) as change:
        site = change.session.get_one(Site, desk.office)
        mine = data_points.register(change, site, "Roof sensor", OUTDOOR).id
        elsewhere = registry.find_organisation(change.session, "Elsewhere")
        other = registry.sites(change.session, elsewhere.id)[0]
        theirs = data_points.register(change, other, "Their sensor", OUTDOOR).id
    page = desk.get(here)
    assert "Roof sensor" in page
    assert "Their sensor" not in page
    assert 'value="15.5"' in page
    good = {"temperature": str(mine), "heating_base_c": "16", "cooling_base_c": ""}
    assert "Saved." in desk.post(here, **good)
    known = of(desk)
    assert (known.temperature_point, known.heating_base_c, known.cooling_base_c) == (mine, 16, 18)
    for wrong in (str(theirs), "999999", "x"):
        assert "Choose one of the list" in desk.refused(here, **good | {"temperature": wrong})
    main = str(desk.world.point("main").id)
    assert "does not measure" in desk.refused(here, **good | {"temperature": main})
    assert "60 °F are" in desk.refused(here, **good | {"heating_base_c": "60"})
    assert of(desk) == known


def test_prices_of_a_site_stand_before_those_of_the_organisation(desk: Desk) -> None:
    """What is in force today is on top, with whose it is."""
    whole = f"/admin/organizations/{desk.acme}/prices"
    here = f"/admin/sites/{desk.office}/prices"
    price = {
        "utility": "electricity", "per": "kWh", "per_unit": "0.264", "from": "2026-01-01",
        "label": "Contract 2026", "wrong": "",
    }  # fmt: skip
    assert "energy only" in desk.get(here)
    page = desk.post(f"{whole}/price", **price)
    assert "0.264 EUR/kWh" in page
    page = desk.get(here)
    assert "0.264 EUR/kWh from 1 January 2026 (Contract 2026)" in page
    assert "for every site" in page
    page = desk.post(f"{here}/price", **price | {"per_unit": "0.231", "label": "Own"})
    assert "0.231 EUR/kWh from 1 January 2026 (Own)" in page
    assert "of this site" in page
    assert "begins on 2026-01-01 already" in desk.refused(f"{here}/price", **price)
    assert "28 cents are 0.28" in desk.refused(f"{whole}/price", **price | {"per_unit": "28"})
    assert "How much?" in desk.refused(f"{whole}/price", **price | {"per_unit": ""})
    assert "not counted per m3" in desk.refused(f"{whole}/price", **price | {"per": "m3"})
    taken_back(desk, f"{here}/remove", page)
    assert "(Contract 2026)" in desk.get(here)


def test_a_price_that_was_always_wrong_is_corrected(desk: Desk) -> None:
    """The form comes filled in; a price of another page is not there."""
    whole = f"/admin/organizations/{desk.acme}/prices"
    here = f"/admin/sites/{desk.office}/prices"
    gas = {"utility": "gas", "per": "m3", "per_unit": "0.9", "from": "", "label": "Invoice"}
    desk.post(f"{whole}/price", **gas)
    page = desk.get(whole)
    found = re.search(r"correct=(price-(\d+))", page)
    assert found
    page = desk.get(f"{whole}?correct={found[1]}")
    assert "Correct a price that was always wrong" in page
    assert 'value="Invoice"' in page
    page = desk.post(f"{whole}/price", **gas | {"per_unit": "0.94", "wrong": found[2]})
    assert "0.94 EUR/m³" in page
    assert page.count("data-row") == 1
    stolen = {"csrf": desk.csrf, **gas, "wrong": found[2]}
    assert desk.client.post(f"{here}/price", data=stolen).status_code == 422
    assert "was always wrong" not in desk.get(f"{here}?correct={found[1]}")


def test_carbon_names_its_basis_and_a_currency_is_fixed_by_prices(desk: Desk) -> None:
    """No factor without a source; the currency is chosen before the first price."""
    whole = f"/admin/organizations/{desk.acme}/prices"
    factor = {
        "utility": "electricity", "per": "kWh", "kg_per_unit": "0.254", "basis": "location-based",
        "source": "SEAI 2023", "from": "", "wrong": "",
    }  # fmt: skip
    page = desk.post(f"{whole}/carbon", **factor)
    assert "Location-based (the grid)" in page
    assert "0.254 kg/kWh" in page
    assert "254 g/kWh are" in desk.refused(f"{whole}/carbon", **factor | {"kg_per_unit": "254"})
    assert "Saved." in desk.post(f"{whole}/currency", currency="GBP")
    price = {"utility": "water", "per": "m3", "per_unit": "3", "from": "", "label": "Charge"}
    assert "3 GBP/m³" in desk.post(f"{whole}/price", **price)
    assert "prices in GBP" in desk.refused(f"{whole}/currency", currency="EUR")
    assert "disabled" in desk.get(whole)


def test_attention_is_set_and_nonsense_is_refused(desk: Desk) -> None:
    """A number of findings a week, in the history with undo."""
    here = f"/admin/sites/{desk.office}/attention"
    assert "Saved." in desk.post(here, attention_per_week="5")
    assert of(desk).attention_per_week == 5
    assert "whole number" in desk.refused(here, attention_per_week="many")
    assert "between 0 and 50" in desk.refused(here, attention_per_week="99")
    assert desk.history("site_terms")[-1].action == "created"
