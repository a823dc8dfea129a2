"""Prices, CO2, weather, calendars and opening hours in the catalogue: dated, checked, undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from kilowatch.catalog import (
    currencies,
    data_points,
    facts,
    prices,
    registry,
    removing,
    reshaping,
    site_calendar,
    site_terms,
)
from kilowatch.catalog.changes import Change
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Site
from kilowatch.catalog.tables_sites import UtilityPrice
from kilowatch.model.errors import KilowatchError
from kilowatch.model.opening import week_of_text
from kilowatch.model.site_facts import SiteFacts
from tests.catalog.people_world import World
from tests.catalog.test_history import do, undo

MARCH_MS = 1_772_323_200_000  # 2026-03-01 00:00 in Dublin


def of(folks: World, site: str = "Office") -> SiteFacts:
    """Read the facts of a site as they are now."""
    with folks.catalog.reading() as session:
        return facts.read(session)[folks.sites[site].id]


def work(function: Callable[..., Any], *args: Any, **options: Any) -> Callable[[Change], Any]:
    """Return a piece of work for ``do``."""
    return lambda change: function(change, *args, **options)


def refused(
    folks: World, function: Callable[..., Any], *args: Any, **options: Any
) -> KilowatchError:
    """Return why something was refused."""
    with pytest.raises(KilowatchError) as error:
        do(folks, work(function, *args, **options))
    return error.value


def electricity(per_unit: float, day: date | None = None, label: str = "contract") -> PriceDraft:
    """Return a price of electricity."""
    return PriceDraft("electricity", per_unit, label, day)


def test_a_site_without_anything_has_the_defaults(folks: World) -> None:
    """The currency is the country's, the base temperatures those of British and Irish practice."""
    plain = of(folks)
    assert (plain.currency, plain.country, plain.zone) == ("EUR", "IE", "Europe/Dublin")
    assert (plain.heating_base_c, plain.cooling_base_c) == (15.5, 18.0)
    assert (plain.attention_per_week, plain.temperature_point, plain.opening) == (3, None, None)
    assert plain.price_at("electricity", MARCH_MS) is None


def test_a_price_begins_at_local_midnight_and_leaves_what_was_before(folks: World) -> None:
    """The organisation's price holds where a site has none of its own."""
    acme, office = folks.organisations["Acme"], folks.sites["Office"]
    do(folks, work(prices.set_price, acme, electricity(0.2)))
    before = of(folks).price_at("electricity", MARCH_MS - 1)
    revision = folks.catalog.revision()
    do(folks, work(prices.set_price, acme, electricity(0.3, date(2026, 3, 1)), site=office))
    assert folks.catalog.revision() > revision, "insights are told"
    after, shop = of(folks), of(folks, "Shop")
    assert after.price_at("electricity", MARCH_MS - 1) == before
    price = after.price_at("electricity", MARCH_MS)
    assert price is not None
    assert str(price) == "0.3 EUR/kWh from 1 March 2026 (contract)"
    assert not price.whole_organisation
    organisation = shop.price_at("electricity", MARCH_MS)
    assert organisation is not None
    assert (organisation.per_unit, organisation.whole_organisation) == (0.2, True)
    assert of(folks, "Works").price_at("electricity", MARCH_MS) is None


def test_a_price_of_an_earlier_date_that_comes_later_holds_until_the_next(folks: World) -> None:
    """Last year's contract, found in a drawer, changes nothing from this year's on."""
    acme = folks.organisations["Acme"]
    do(folks, work(prices.set_price, acme, electricity(0.3, date(2026, 3, 1))))
    do(folks, work(prices.set_price, acme, electricity(0.2, date(2025, 3, 1))))
    do(folks, work(prices.set_price, acme, electricity(0.4, date(2027, 3, 1))))
    site, day_ms = of(folks), 86_400_000
    times = (MARCH_MS - 366 * day_ms, MARCH_MS - 1, MARCH_MS, MARCH_MS + 365 * day_ms)
    found = [site.price_at("electricity", at) for at in times]
    assert [one and one.per_unit for one in found] == [None, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("draft", "code", "field"),
    [
        (electricity(-0.1), "invalid_price", "per_unit"),
        (electricity(28.0), "invalid_price", "per_unit"),
        (electricity(float("nan")), "invalid_price", "per_unit"),
        (electricity(0.28, label=" "), "unnamed", "label"),
        (electricity(0.28, date(1960, 1, 1)), "invalid_date", "from"),
        (PriceDraft("electricity", 0.2, "x", per="m3"), "not_priced", "per"),
        (PriceDraft("temperature", 0.2, "x"), "not_priced", "utility"),
        (PriceDraft("water", 0.2, "x", per="kWh"), "not_priced", "per"),
    ],
)
def test_prices_that_can_only_be_slips_are_refused(
    folks: World, draft: PriceDraft, code: str, field: str
) -> None:
    """Cents for euros, negative prices, a temperature that is paid for."""
    error = refused(folks, prices.set_price, folks.organisations["Acme"], draft)
    assert (error.code, error.data["field"]) == (code, field)


def test_two_prices_cannot_begin_on_the_same_day(folks: World) -> None:
    """Which one would hold? The wrong one is changed instead, and the change can be taken back."""
    acme = folks.organisations["Acme"]
    made = do(folks, work(prices.set_price, acme, electricity(0.2, date(2026, 3, 1))))
    error = refused(folks, prices.set_price, acme, electricity(0.3, date(2026, 3, 1)))
    assert error.code == "price_overlaps"
    assert made.subject_id is not None

    def correct(change: Change) -> UtilityPrice:
        assert made.subject_id is not None
        wrong = prices.find_price(change.session, acme.id, made.subject_id)
        return prices.set_price(change, acme, electricity(0.25, date(2026, 3, 1)), wrong=wrong)

    changed = do(folks, correct)
    assert (changed.before, changed.after) == ({"per_unit": 0.2}, {"per_unit": 0.25})
    undo(folks, changed)
    price = of(folks).price_at("electricity", MARCH_MS)
    assert price is not None
    assert price.per_unit == 0.2


def test_a_removed_price_comes_back_and_a_made_one_goes(folks: World) -> None:
    """Every step is in the history and can be taken back; not over another of the same day."""
    acme = folks.organisations["Acme"]
    made = do(folks, work(prices.set_price, acme, electricity(0.2)))
    removed = undo(folks, made)
    assert removed.action == "removed"
    assert of(folks).price_at("electricity", MARCH_MS) is None
    undo(folks, removed)
    assert of(folks).price_at("electricity", MARCH_MS) is not None
    with pytest.raises(KilowatchError, match="taken back"):
        undo(folks, removed)


def test_a_currency_is_chosen_before_the_first_price(folks: World) -> None:
    """Afterwards every figure would mean something else."""
    acme = folks.organisations["Acme"]
    do(folks, work(prices.set_currency, acme, "usd"))
    assert of(folks).currency == "USD"
    do(folks, work(prices.set_price, acme, electricity(0.2)))
    assert refused(folks, prices.set_currency, acme, "EUR").code == "prices_in_currency"
    assert refused(folks, prices.set_currency, acme, "XYZ").code == "unknown_currency"


def test_an_organisation_that_moves_keeps_the_currency_of_its_prices(folks: World) -> None:
    """Prices in euros are not pounds because the country was corrected; nor by an undo."""
    acme = folks.organisations["Acme"]
    chosen = do(folks, work(prices.set_currency, acme, "USD"))
    back = undo(folks, chosen)
    assert of(folks).currency == "EUR"
    undo(folks, back)
    assert of(folks).currency == "USD"
    do(folks, work(prices.set_currency, acme, "EUR"))
    do(folks, work(prices.set_price, acme, electricity(0.2)))
    with pytest.raises(KilowatchError, match=r"prices in EUR|taken back"):
        undo(folks, chosen)
    elsewhere = folks.organisations["Elsewhere"]
    with folks.catalog.change(folks.actor("sue")) as change:
        prices.set_price(change, elsewhere, electricity(0.2))
        reshaping.change_organisation(change, elsewhere, name="Elsewhere", country="GB")
    assert of(folks, "Works").currency == "EUR"


def test_every_country_has_a_currency_and_small_ones_have_higher_limits(folks: World) -> None:
    """A kilowatt-hour costs 1,500 rupiah in Jakarta, which is no slip."""
    from kilowatch.catalog.places import countries  # noqa: PLC0415 - only this test needs it

    without = set(countries()) - set(currencies._BY_COUNTRY) - {"AQ"}
    assert not without
    assert set(currencies._SCALE) <= set(currencies.CURRENCIES)
    do(folks, work(prices.set_currency, folks.organisations["Acme"], "IDR"))
    do(folks, work(prices.set_price, folks.organisations["Acme"], electricity(1500.0)))


def test_a_carbon_factor_has_its_basis_and_source(folks: World) -> None:
    """Grams for kilograms and a factor of nobody are refused."""
    acme = folks.organisations["Acme"]
    good = CarbonDraft("electricity", 0.254, "SEAI 2024", "location-based")
    do(folks, work(prices.set_carbon, acme, good))
    factor = of(folks).carbon_at("electricity", MARCH_MS)
    assert factor is not None
    assert str(factor) == "0.254 kg/kWh (location-based, SEAI 2024)"
    assert refused(folks, prices.set_carbon, acme, good).code == "factor_overlaps"
    for draft, field in (
        (CarbonDraft("gas", 203.0, "SEAI", "average"), "kg_per_unit"),
        (CarbonDraft("gas", -0.2, "SEAI", "average"), "kg_per_unit"),
        (CarbonDraft("gas", 0.2, "", "average"), "source"),
        (CarbonDraft("gas", 0.2, "SEAI", "guessed"), "basis"),
    ):
        assert refused(folks, prices.set_carbon, acme, draft).data["field"] == field


def test_only_a_temperature_of_the_same_organisation_is_a_sites_weather(folks: World) -> None:
    """A meter of electricity is none, and what others measure does not exist here."""
    office = folks.sites["Office"]
    outdoor = Settings("single", "temperature", 600, unit="°F", behaviour="gauge")
    with folks.catalog.change(folks.actor("ann")) as change:
        mine = data_points.register(change, folks.sites["Shop"], "Outdoor", outdoor)
        theirs = data_points.register(change, folks.sites["Works"], "Outdoor", outdoor)
    first = do(folks, work(site_terms.set_weather, office, mine, heating_base_c=16.0))
    linked = of(folks)
    assert (linked.temperature_point, linked.heating_base_c) == (mine.id, 16.0)
    assert linked.cooling_base_c == 18.0
    error = refused(folks, site_terms.set_weather, office, folks.points["main"])
    assert error.code == "not_a_temperature"
    assert refused(folks, site_terms.set_weather, office, theirs).status == 404
    error = refused(folks, site_terms.set_weather, office, mine, heating_base_c=60.0)
    assert error.data["field"] == "heating_base_c"
    undo(folks, first)
    assert of(folks).temperature_point is None


def test_attention_is_a_number_that_people_can_read(folks: World) -> None:
    """Three a week unless somebody says otherwise; changing it can be taken back."""
    office = folks.sites["Office"]
    do(folks, work(site_terms.set_attention, office, 5))
    changed = do(folks, work(site_terms.set_attention, office, 0))
    assert of(folks).attention_per_week == 0
    undo(folks, changed)
    assert of(folks).attention_per_week == 5
    assert refused(folks, site_terms.set_attention, office, 51).code == "invalid_attention"


def test_a_sites_own_days_do_not_overlap(folks: World) -> None:
    """A day is closed or extra open, not both; ranges have an end."""
    office = folks.sites["Office"]
    first, last = date(2026, 12, 24), date(2027, 1, 3)
    added = do(folks, work(site_calendar.add_days, office, "Closure", first, last, opened=False))
    assert of(folks).closed(date(2026, 12, 29))
    again = refused(folks, site_calendar.add_days, office, "Sale", last, opened=True)
    assert again.code == "days_overlap"
    assert (
        refused(folks, site_calendar.add_days, office, "Wrong", last, first, opened=True).data[
            "field"
        ]
        == "last"
    )
    gone = undo(folks, added)
    assert not of(folks).closed(date(2026, 12, 29))
    do(folks, work(site_calendar.add_days, office, "Sale", first, opened=True))
    with pytest.raises(KilowatchError):
        undo(folks, gone)


def test_opening_hours_are_set_from_a_date_on(folks: World) -> None:
    """Earlier hours stay; the same date is replaced; learnt hours come back from a date on."""
    office, day = folks.sites["Office"], date(2026, 3, 1)
    week, longer = week_of_text("Mon-Fri 08-18"), week_of_text("Mon-Fri 07-19")
    do(folks, work(site_calendar.set_opening, office, week, None))
    do(folks, work(site_calendar.set_opening, office, longer, day))
    assert of(folks).opening_at(MARCH_MS - 1) == week
    assert of(folks).opening_at(MARCH_MS) == longer
    changed = do(folks, work(site_calendar.set_opening, office, None, day))
    assert of(folks).opening is None
    undo(folks, changed)
    assert of(folks).opening == longer


def test_a_site_that_is_removed_takes_its_facts_with_it(folks: World) -> None:
    """Nothing is left behind that would keep an empty site."""
    acme = folks.organisations["Acme"]
    with folks.catalog.change(folks.actor("ann")) as change:
        site = registry.add_site(change, acme, "Annex", zone="Europe/Dublin")
        site_terms.set_attention(change, site, 1)
        site_calendar.set_opening(change, site, None, None)
        site_calendar.add_days(change, site, "Closed", date(2026, 1, 2), opened=False)
        prices.set_price(change, acme, electricity(0.2), site=site)
    do(folks, work(removing.remove_site, site))
    with folks.catalog.reading() as session:
        assert session.get(Site, site.id) is None
        assert prices.prices(session, acme.id) == []
