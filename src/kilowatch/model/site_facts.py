"""What insights need to know of a site: weather, calendar, opening hours, prices, CO2.

Dates are local: a price from the first of March holds from that midnight on the site's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from kilowatch.model.opening import Week
from kilowatch.model.points import Utility
from kilowatch.model.public_holidays import public_holidays

Per = Literal["kWh", "m3"]
Basis = Literal["average", "location-based", "market-based"]

PERS: tuple[Per, ...] = ("kWh", "m3")
BASES: tuple[Basis, ...] = ("average", "location-based", "market-based")

HEATING_BASE_C = 15.5
"""Outdoor temperature below which a building is taken to need heating [°C].

The convention of degree days in the United Kingdom and Ireland: CIBSE TM41, "Degree-days: theory
and application", 2006, and Met Éireann's published degree days.
"""
COOLING_BASE_C = 18.0
"""Outdoor temperature above which a building is taken to need cooling [°C].

65 °F, the base of the degree days that NOAA and ASHRAE publish, in round degrees Celsius (18.3).
"""
ATTENTION_PER_WEEK = 3
"""How many findings of a site are told in a week; the others wait on the page."""

_WH = {"kWh": 1000.0}
_CANONICAL = {"kWh": "Wh", "m3": "m3"}


EARNED: frozenset[Utility] = frozenset({"production"})
"""What is paid for by others: its price is what comes in, and less of it is a loss."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a kilowatt-hour or a cubic metre costs from an instant on.

    Attributes:
        id: The catalogue's number.
        utility: Of what.
        per_unit: Price of one [``currency`` per ``per``].
        per: ``kWh`` or ``m3``.
        currency: ISO 4217 code.
        from_ms: First instant [ms since 1970, UTC]; 0 for always.
        from_day: The same as the site's date; None for always.
        label: Where the price comes from, in people's words.
        whole_organisation: Whether it holds for every site without a price of its own.
    """

    id: int
    utility: Utility
    per_unit: float
    per: Per
    currency: str
    from_ms: int
    from_day: date | None
    label: str
    whole_organisation: bool = False

    def cost(self, amount: float, canonical: str) -> float | None:
        """Return what an amount costs [``currency``]; None where it is per something else.

        Args:
            amount: How much [``canonical``].
            canonical: ``Wh`` or ``m3``.

        Example:
            >>> Price(1, "electricity", 0.3, "kWh", "EUR", 0, None, "contract").cost(2e3, "Wh")
            0.6
        """
        return amount * factor if (factor := self.per_canonical(canonical)) is not None else None

    def cost_of_more(self, more: float, canonical: str) -> float | None:
        """Return what it costs that more was counted than should have been [``currency``].

        What is produced is paid for: less of it is money lost, more of it money earned.

        Args:
            more: By how much more; below zero for less [``canonical``].
            canonical: ``Wh`` or ``m3``.

        Example:
            >>> fed_in = Price(1, "production", 0.2, "kWh", "EUR", 0, None, "contract")
            >>> fed_in.cost_of_more(-5e3, "Wh")
            1.0
        """
        cost = self.cost(more, canonical)
        return -cost if cost is not None and self.utility in EARNED else cost

    def per_canonical(self, canonical: str) -> float | None:
        """Return the price of one Wh or m³ [``currency``]; None where it is per something else."""
        if _CANONICAL[self.per] != canonical:
            return None
        return self.per_unit / _WH.get(self.per, 1.0)

    def __str__(self) -> str:
        since = f" from {self.from_day.day} {self.from_day:%B %Y}" if self.from_day else ""
        return f"{self.per_unit:.15g} {self.currency}/{_shown(self.per)}{since} ({self.label})"


@dataclass(frozen=True, slots=True)
class CarbonFactor:
    """How much CO2 equivalent a kilowatt-hour or a cubic metre stands for from an instant on.

    Attributes:
        id: The catalogue's number.
        utility: Of what.
        kg_per_unit: Of one [kg CO2e per ``per``].
        per: ``kWh`` or ``m3``.
        from_ms: First instant [ms since 1970, UTC]; 0 for always.
        from_day: The same as the site's date; None for always.
        source: Who published it, and for which year.
        basis: ``average``, ``location-based`` (of the grid) or ``market-based`` (of the contract),
            as in the GHG Protocol's Scope 2 Guidance.
        whole_organisation: Whether it holds for every site without a factor of its own.
    """

    id: int
    utility: Utility
    kg_per_unit: float
    per: Per
    from_ms: int
    from_day: date | None
    source: str
    basis: Basis
    whole_organisation: bool = False

    def mass_kg(self, amount: float, canonical: str) -> float | None:
        """Return the CO2e of an amount in Wh or m³ [kg]; None where it is per something else."""
        factor = self.per_canonical(canonical)
        return None if factor is None else amount * factor

    def per_canonical(self, canonical: str) -> float | None:
        """Return the CO2e of one Wh or m³ [kg]; None where it is per something else."""
        if _CANONICAL[self.per] != canonical:
            return None
        return self.kg_per_unit / _WH.get(self.per, 1.0)

    def __str__(self) -> str:
        return f"{self.kg_per_unit:.15g} kg/{_shown(self.per)} ({self.basis}, {self.source})"


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days of a site's own calendar, the last one included, with what they are called."""

    first: date
    last: date
    name: str

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Opening:
    """Opening hours that a person has set, from an instant on.

    Attributes:
        from_ms: First instant [ms since 1970, UTC]; 0 for always.
        from_day: The same as the site's date; None for always.
        hours: Whether the site is open, by hour of the local week from Monday 00:00; None where
            what is learnt from the load holds again.
    """

    from_ms: int
    from_day: date | None
    hours: Week | None


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site as insights see it.

    Attributes:
        site_id: The catalogue's number.
        zone: Its time zone over time, as ``Zone.of`` reads it.
        country: ISO 3166 code.
        region: Code of the region whose public holidays it keeps; "" for the country's.
        currency: ISO 4217 code.
        temperature_point: Number of the data point with its outdoor temperature, or None.
        heating_base_c: Base temperature of heating degree days [°C].
        cooling_base_c: Base temperature of cooling degree days [°C].
        closed_days: Days on which it is closed.
        open_days: Days on which it is open although they would be closed.
        openings: Opening hours over time, by their beginning; empty while nobody has set any.
        attention_per_week: How many findings are told in a week.
        demand_period_s: Over how long peak demand is a mean here, 900 or 1,800 [s]; None for the
            platform's setting.
        prices: Of the site, then of the organisation, the later ones first.
        carbon: CO2 factors, likewise.
        area_m2: Floor area [m²]; None while nobody has said.
    """

    site_id: int
    zone: str
    country: str
    region: str
    currency: str
    temperature_point: int | None = None
    heating_base_c: float = HEATING_BASE_C
    cooling_base_c: float = COOLING_BASE_C
    closed_days: tuple[DayRange, ...] = ()
    open_days: tuple[DayRange, ...] = ()
    openings: tuple[Opening, ...] = ()
    attention_per_week: int = ATTENTION_PER_WEEK
    demand_period_s: int | None = None
    prices: tuple[Price, ...] = ()
    carbon: tuple[CarbonFactor, ...] = ()
    area_m2: float | None = None

    @property
    def opening(self) -> Week | None:
        """The opening hours that were set last; None where they are learnt."""
        return self.openings[-1].hours if self.openings else None

    def opening_at(self, at_ms: int) -> Week | None:
        """Return the opening hours in force at an instant; None where they are learnt."""
        found = None
        for one in self.openings:
            if one.from_ms <= at_ms:
                found = one.hours
        return found

    def price_at(self, utility: str, at_ms: int, canonical: str | None = None) -> Price | None:
        """Return the price in force at an instant: the site's own, or else the organisation's.

        Args:
            utility: Of what.
            at_ms: When [ms since 1970, UTC].
            canonical: ``Wh`` or ``m3`` for a price of that only; gas can have both.

        Returns:
            The price itself, so that what is shown can name it; None where there is none.
        """
        for one in self.prices:
            fits = canonical is None or _CANONICAL[one.per] == canonical
            if one.utility == utility and one.from_ms <= at_ms and fits:
                return one
        return None

    def carbon_at(
        self, utility: str, at_ms: int, canonical: str | None = None
    ) -> CarbonFactor | None:
        """Return the CO2 factor in force at an instant; see ``price_at``."""
        for one in self.carbon:
            fits = canonical is None or _CANONICAL[one.per] == canonical
            if one.utility == utility and one.from_ms <= at_ms and fits:
                return one
        return None

    def closed(self, day: date) -> bool:
        """Tell whether the site is closed on a local date that could be a working day.

        Weekends are a matter of opening hours. Extra open days count before closed days, and both
        before public holidays.
        """
        if any(day in one for one in self.open_days):
            return False
        return self.closed_as(day) != ""

    def closed_as(self, day: date) -> str:
        """Return what a closed day or public holiday is called; "" for any other day."""
        for one in self.closed_days:
            if day in one:
                return one.name
        return public_holidays(self.country, self.region, day.year).get(day, "")


def _shown(per: str) -> str:
    return "m³" if per == "m3" else per
