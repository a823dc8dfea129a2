"""Prices, calendars and opening hours of a site, and what verdicts teach."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.model.insight import EventKind, Verdict
from kilowatch.model.opening import text_of_week, week_of_text
from kilowatch.model.public_holidays import public_holidays, region_code, regions
from kilowatch.model.site_facts import CarbonFactor, DayRange, Opening, Price, SiteFacts
from kilowatch.model.verdicts import Said
from kilowatch.model.zones import Zone

HOUR_MS = 3_600_000
DUBLIN = Zone.of("Europe/Dublin")


def price(
    per_unit: float, from_ms: int = 0, utility: str = "electricity", per: str = "kWh"
) -> Price:
    """Return a price of a contract."""
    return Price(1, utility, per_unit, per, "EUR", from_ms, None, "contract")  # type: ignore[arg-type]


def facts(**changes: object) -> SiteFacts:
    """Return the facts of a site in Dublin."""
    return SiteFacts(1, "Europe/Dublin", "IE", "", "EUR", **changes)  # type: ignore[arg-type]


def test_the_price_in_force_is_the_latest_that_has_begun() -> None:
    """The site's own prices stand before the organisation's; before any there is none."""
    site = facts(prices=(price(0.3, 2000), price(0.2, 1000), price(0.1, 500), price(0.1, 0, "gas")))
    found = [site.price_at("electricity", at) for at in (0, 500, 1999, 2000)]
    assert [one.per_unit if one else None for one in found] == [None, 0.1, 0.2, 0.3]
    assert site.price_at("water", 9999) is None


def test_a_price_per_cubic_metre_costs_no_kilowatt_hours() -> None:
    """Money that rests on the wrong unit is not shown at all."""
    gas = price(0.9, per="m3", utility="gas")
    assert gas.cost(10.0, "m3") == pytest.approx(9.0)
    assert gas.cost(10.0, "Wh") is None
    assert facts(prices=(gas,)).price_at("gas", 1, "Wh") is None
    assert str(gas) == "0.9 EUR/m³ (contract)"


def test_carbon_says_its_basis_and_source() -> None:
    """A mass of CO2 is never shown without what it rests on."""
    factor = CarbonFactor(1, "electricity", 0.25, "kWh", 0, None, "SEAI 2024", "location-based")
    assert factor.mass_kg(4000.0, "Wh") == pytest.approx(1.0)
    assert str(factor) == "0.25 kg/kWh (location-based, SEAI 2024)"


def test_a_site_is_closed_on_public_holidays_unless_it_says_that_it_is_open() -> None:
    """Extra open days count before closed days, and both before public holidays."""
    patrick = date(2026, 3, 17)
    shut = DayRange(date(2026, 12, 24), date(2027, 1, 3), "Christmas closure")
    plain = facts(closed_days=(shut,))
    assert plain.closed(patrick)
    assert plain.closed_as(patrick) == "Saint Patrick's Day"
    assert plain.closed(date(2026, 12, 29))
    assert plain.closed_as(date(2027, 1, 3)) == "Christmas closure"
    assert not plain.closed(date(2027, 1, 4))
    stock = DayRange(date(2026, 12, 29), date(2026, 12, 29), "Stock-taking")
    parade = DayRange(patrick, patrick, "Parade")
    opened = facts(closed_days=(shut,), open_days=(parade, stock))
    assert not opened.closed(patrick)
    assert not opened.closed(date(2026, 12, 29))


def test_regions_have_their_own_holidays() -> None:
    """The second of January is a holiday in Scotland and a working day in England."""
    second = date(2026, 1, 2)
    assert second in public_holidays("GB", "SCT", 2026)
    assert second not in public_holidays("GB", "ENG", 2026)
    assert region_code("DE", " bayern ") == region_code("DE", "BY") == "BY"
    assert region_code("IE", "Munster") == ""
    assert ("BY", "Bayern") in regions("DE")
    assert public_holidays("ZZ", "", 2026) == {}
    assert all(day.year == 2022 for day in public_holidays("US", "", 2022))


def test_opening_hours_hold_from_their_date_on() -> None:
    """What was before stays; hours of None are learnt again."""
    week = week_of_text("Mon-Fri 08-18")
    site = facts(openings=(Opening(1000, None, week), Opening(2000, None, None)))
    assert site.opening_at(999) is None
    assert site.opening_at(1000) == week
    assert site.opening_at(2000) is None
    assert site.opening is None


def test_opening_hours_are_text_that_people_can_write() -> None:
    """Weekdays, single days, two stretches in a day, a week around Sunday."""
    week = week_of_text("mon-fri 8-12+13:00-18:00, Sat 09-13")
    assert [hour for hour in range(24) if week[hour]] == [*range(8, 12), *range(13, 18)]
    assert [day for day in range(7) if week[24 * day + 9]] == [0, 1, 2, 3, 4, 5]
    assert text_of_week(week) == "Mon-Fri 08-12+13-18, Sat 09-13"
    assert week_of_text("Sat-Mon 10-16") == week_of_text("Sat 10-16, Sun 10-16, Mon 10-16")
    assert text_of_week((False,) * 168) == "closed"


@pytest.mark.parametrize("text", ["", "Mon", "Mon 18-8", "Mon 8-25", "Mon 8:30-12", "Someday 8-9"])
def test_what_is_no_opening_hours_is_named(text: str) -> None:
    """Half hours are refused too: insights look at full hours."""
    with pytest.raises(ValueError, match=r"not|forward"):
        week_of_text(text)


@given(st.lists(st.booleans(), min_size=168, max_size=168))
def test_every_week_survives_as_text(hours: list[bool]) -> None:
    """Any painted week is read back as it was painted."""
    assert week_of_text(text_of_week(tuple(hours))) == tuple(hours)


def said(**changes: object) -> Said:
    """Return what was said of a weekend: Saturday 14 November 2026, 08:00 to 18:00."""
    columns: dict[str, object] = {
        "id": 1, "event_id": "e", "data_point_id": 1, "kind": EventKind.WEEKEND,
        "start_ms": 1_794_643_200_000, "end_ms": 1_794_643_200_000 + 10 * HOUR_MS,
        "verdict": Verdict.EXPECTED, "lasts": "weekly", "until_ms": None, "comment": "",
        "who": "Ann", "at_ms": 0,
    }  # fmt: skip
    return Said(**(columns | changes))  # type: ignore[arg-type]


def test_what_is_expected_every_week_covers_the_same_hours_of_other_weeks() -> None:
    """Other hours, another kind and earlier events are another matter; summer time changes none."""
    one = said()
    week, day = 7 * 24 * HOUR_MS, 24 * HOUR_MS
    start, end = one.start_ms, one.end_ms
    summer = 20 * week - HOUR_MS  # 08:00 local, an hour earlier in UTC
    assert one.expects(EventKind.WEEKEND, start + week, end + week, DUBLIN)
    assert one.expects(EventKind.WEEKEND, start + summer, end + summer, DUBLIN)
    assert not one.expects(EventKind.WEEKEND, start + week + day, end + week + day, DUBLIN)
    assert not one.expects(EventKind.SPIKE, start + week, end + week, DUBLIN)
    assert not one.expects(EventKind.WEEKEND, start - week, end - week, DUBLIN)
    assert not one.expects(EventKind.WEEKEND, start + week, end + week + day, DUBLIN)


def test_what_is_expected_until_a_date_ends_there() -> None:
    """Building works last until they are over; once teaches nothing."""
    one = said(lasts="until", until_ms=1_800_000_000_000)
    assert one.expects(EventKind.WEEKEND, 1_799_999_999_999, 1_800_000_001_000, DUBLIN)
    assert not one.expects(EventKind.WEEKEND, 1_800_000_000_000, 1_800_000_001_000, DUBLIN)
    assert not said(lasts="once").teaches
    assert not said(verdict=Verdict.FAULT, lasts="once").teaches


def test_what_is_snoozed_comes_back() -> None:
    """Every answer keeps people from being told again; a snooze only for its time."""
    snoozed = said(verdict=Verdict.SNOOZED, lasts="once", until_ms=100)
    assert snoozed.silences(99)
    assert not snoozed.silences(100)
    assert said(verdict=Verdict.FAULT).silences(10**15)
    assert not said(verdict=None).silences(0)
