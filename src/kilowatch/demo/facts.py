"""What the demo organisation knows of its sites: prices, CO2, weather, calendars, opening hours.

The figures are rounded and only for the demo; each says so where it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from kilowatch.catalog import Change, data_points, prices, site_calendar, site_terms
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.demo.plan import BUILDINGS, MARKET, OFFICE, SCHOOL
from kilowatch.demo.timeline import COUNTRY, is_school_day
from kilowatch.model.opening import week_of_text
from kilowatch.model.public_holidays import public_holidays

PRICES = (
    PriceDraft("electricity", 0.292, "Demo contract, all hours", date(2024, 1, 1)),
    PriceDraft("electricity", 0.264, "Demo contract 2026, all hours", date(2026, 1, 1)),
    PriceDraft("gas", 0.94, "Demo contract", date(2024, 1, 1), "m3"),
    PriceDraft("water", 3.6, "Demo charge, supply and waste water", date(2024, 1, 1), "m3"),
    PriceDraft("production", 0.185, "Demo: paid for what is fed in", date(2024, 1, 1)),
)
MARKET_PRICE = PriceDraft("electricity", 0.231, "Demo: the market's own contract", date(2025, 1, 1))
CARBON = (
    CarbonDraft("electricity", 0.25, "Demo: Ireland's grid, rounded", "location-based"),
    CarbonDraft("gas", 2.0, "Demo: 0.205 kg/kWh (SEAI), rounded per m³", "average", None, "m3"),
)
YEARS = (-1, 0, 1)
_HOLIDAYS = {
    2: "February mid-term", 3: "Easter holidays", 4: "Easter holidays", 7: "Summer holidays",
    10: "October mid-term", 12: "Christmas holidays",
}  # fmt: skip
OPENING = {
    OFFICE.key: "Mon-Fri 07-19",
    MARKET.key: "Mon-Sat 07-22, Sun 09-21",
    SCHOOL.key: "Mon-Fri 08-17",
}


def tell(change: Change, whole: Organisation, sites: Sequence[Site]) -> None:
    """Tell everything, once: what somebody changes later stays as they left it.

    Args:
        change: An open change.
        whole: The demo organisation.
        sites: Its sites in the order of ``BUILDINGS``.
    """
    year = date.fromtimestamp(change.now_ms / 1000).year  # noqa: DTZ012 - any zone will do
    for price in PRICES:
        prices.set_price(change, whole, price)
    for factor in CARBON:
        prices.set_carbon(change, whole, factor)
    for building, site in zip(BUILDINGS, sites, strict=True):
        outdoors = data_points.find_data_point(change.session, whole, f"{building.key}-temperature")
        site_terms.set_weather(change, site, outdoors)
        site_calendar.set_opening(change, site, week_of_text(OPENING[building.key]), None)
        if building is MARKET:
            prices.set_price(change, whole, MARKET_PRICE, site=site)
            for day in open_holidays(year):
                site_calendar.add_days(change, site, "Open on a holiday", day, opened=True)
        if building is SCHOOL:
            for name, first, last in school_holidays(year):
                site_calendar.add_days(change, site, name, first, last, opened=False)


def open_holidays(year: int) -> list[date]:
    """Return the public holidays on which the market is open, from the year before to the next."""
    found = (day for y in YEARS for day in public_holidays(COUNTRY, "", year + y))
    return sorted(day for day in found if (day.month, day.day) != (12, 25))


def school_holidays(year: int) -> list[tuple[str, date, date]]:
    """Return the school's holidays, as it is simulated, from the year before to the next.

    Returns:
        Name, first and last day of every four days or more without lessons.
    """
    found: list[tuple[str, date, date]] = []
    last_lesson = date(year + YEARS[0], 1, 4)
    for n in range(1, 366 * len(YEARS)):
        day = date(year + YEARS[0], 1, 4) + timedelta(days=n)
        if is_school_day(day):
            if (day - last_lesson).days > 4:
                first, last = last_lesson + timedelta(days=1), day - timedelta(days=1)
                found.append((_HOLIDAYS.get(first.month, "School holidays"), first, last))
            last_lesson = day
    return found
