"""What an amount of energy costs and emits at a site, always with the price and the factor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kilowatch.dashboard.hourly import unit_of_amount
from kilowatch.dashboard.words import t
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import EARNED, CarbonFactor, Price, SiteFacts


@dataclass(frozen=True, slots=True)
class Worth:
    """An amount in money and CO2; None where nobody has said what it costs or emits.

    Attributes:
        money: What it costs [``price.currency``].
        price: What that rests on.
        carbon_kg: CO2 equivalent [kg].
        factor: What that rests on.
        prices: Each price that it rests on, where there are several: of days before another one.
        factors: Likewise.
        counted: Whether there is an amount that could have a price.
    """

    money: float | None = None
    price: Price | None = None
    carbon_kg: float | None = None
    factor: CarbonFactor | None = None
    prices: tuple[Price, ...] = ()
    factors: tuple[CarbonFactor, ...] = ()
    counted: bool = False

    @property
    def currency(self) -> str:
        """Currency of the money; empty where there is none."""
        return self.price.currency if self.price else ""

    @property
    def all_prices(self) -> tuple[Price, ...]:
        """Every price that it rests on."""
        return self.prices or ((self.price,) if self.price is not None else ())

    @property
    def all_factors(self) -> tuple[CarbonFactor, ...]:
        """Every factor that it rests on."""
        return self.factors or ((self.factor,) if self.factor is not None else ())


NOTHING = Worth()


def worth(facts: SiteFacts | None, point: DataPoint, amount: float, at_ms: int) -> Worth:
    """Return what an amount of a data point was worth at an instant.

    Args:
        facts: Of the site; None where it has none.
        point: What counted it.
        amount: How much [Wh or m³]; NaN for what has no amount.
        at_ms: When [ms since 1970, UTC].
    """
    canonical = unit_of_amount(point)
    if canonical not in ("Wh", "m3") or not math.isfinite(amount):
        return NOTHING
    if facts is None:
        return Worth(counted=True)
    price = facts.price_at(point.utility, at_ms, canonical)
    factor = facts.carbon_at(point.utility, at_ms, canonical)
    return Worth(
        None if price is None else price.cost(amount, canonical),
        price,
        None if factor is None else factor.mass_kg(amount, canonical),
        factor,
        counted=True,
    )


def worth_of_more(facts: SiteFacts | None, point: DataPoint, more: float, at_ms: int) -> Worth:
    """Return what it costs and emits that more was counted than should have been.

    Of production that is what less of it does not earn, so that a cost above zero is always money
    that is gone. Arguments as of ``worth``; ``more`` is below zero for less.
    """
    return worth_of_more_days(facts, point, more, {}, at_ms)


def worth_of_days(
    facts: SiteFacts | None, point: DataPoint, amount: float, days: Mapping[int, float], at_ms: int
) -> Worth:
    """Return what an amount of some days is worth, each day at its own price and factor.

    Args:
        facts: Of the site; None where it has none.
        point: What counts it.
        amount: How much [Wh or m³]; what it differs from the sum of the days is worth what the
            days from ``at_ms`` on are on average.
        days: What each day takes, by its start [ms since 1970, UTC]; none where nobody knows.
        at_ms: When nobody knows [ms since 1970, UTC]. Days before the first price are at that one.
    """
    plain = worth(facts, point, amount, at_ms)
    if plain.money is None:  # the first price may begin on a later day
        later = (worth(facts, point, amount, day) for day in sorted(days) if day > at_ms)
        plain = next((one for one in later if one.money is not None), plain)
    if not days or (plain.money is None and plain.carbon_kg is None):
        return plain
    each = {day: _of_day(facts, point, some, day, plain) for day, some in days.items()}
    parts = [one for one in each.values() if one.price or one.factor]
    prices = tuple(dict.fromkeys(one.price for one in parts if one.price))
    factors = tuple(dict.fromkeys(one.factor for one in parts if one.factor))
    if len({one.currency for one in prices}) > 1:
        return plain
    ahead = [day for day in days if day >= at_ms] or [max(days)]
    off, coming = amount - sum(days.values()), sum(days[day] for day in ahead)
    money, carbon = (
        None
        if of_all is None
        else sum(of(one) for one in parts)
        + (sum(of(each[day]) for day in ahead) / coming if coming else of_all / (amount or 1)) * off
        for of_all, of in ((plain.money, _money), (plain.carbon_kg, _carbon))
    )
    return replace(plain, money=money, carbon_kg=carbon, prices=prices, factors=factors)


def worth_of_more_days(
    facts: SiteFacts | None, point: DataPoint, more: float, days: Mapping[int, float], at_ms: int
) -> Worth:
    """Return what ``worth_of_more`` does, each day at its own price; see ``worth_of_days``."""
    found = worth_of_days(facts, point, more, days, at_ms)
    if point.utility not in EARNED:
        return found
    money, carbon = (None if one is None else -one for one in (found.money, found.carbon_kg))
    return replace(found, money=money, carbon_kg=carbon)


def _of_day(
    facts: SiteFacts | None, point: DataPoint, amount: float, day_ms: int, otherwise: Worth
) -> Worth:
    """Return what a day's amount is worth; before the first price, at the one that stands."""
    found, canonical = worth(facts, point, amount, day_ms), unit_of_amount(point)
    if found.price is None and otherwise.price is not None:
        money = otherwise.price.cost(amount, canonical)
        found = replace(found, money=money, price=otherwise.price)
    if found.factor is None and otherwise.factor is not None:
        mass = otherwise.factor.mass_kg(amount, canonical)
        found = replace(found, carbon_kg=mass, factor=otherwise.factor)
    return found


def _money(one: Worth) -> float:
    return one.money or 0.0


def _carbon(one: Worth) -> float:
    return one.carbon_kg or 0.0


@dataclass(slots=True)
class Sums:
    """Sums of several amounts by unit and currency, with what they rest on.

    Attributes:
        amounts: By canonical unit [Wh, m³], to rank by.
        by_utility: The same to be told, by utility and unit: a cubic metre of gas is none of water.
            Energy has no utility, as kilowatt-hours are one thing.
        money: By currency.
        carbon_kg: CO2 equivalent [kg]; None while no amount had a factor.
        prices: Every price that is in the money.
        factors: Every factor that is in the CO2.
        without_price: How many amounts had no price and are not in the money.
    """

    amounts: dict[str, float] = field(default_factory=dict)
    by_utility: dict[tuple[str, str], float] = field(default_factory=dict)
    money: dict[str, float] = field(default_factory=dict)
    carbon_kg: float | None = None
    prices: list[Price] = field(default_factory=list)
    factors: list[CarbonFactor] = field(default_factory=list)
    without_price: int = 0

    def add(self, point: DataPoint, amount: float, value: Worth) -> None:
        """Add an amount of a data point with what it is worth."""
        if not math.isfinite(amount):
            return
        unit = unit_of_amount(point)
        self.amounts[unit] = self.amounts.get(unit, 0.0) + amount
        key = ("" if unit == "Wh" else point.utility, unit)
        self.by_utility[key] = self.by_utility.get(key, 0.0) + amount
        if value.money is not None and value.price is not None:
            self.money[value.currency] = self.money.get(value.currency, 0.0) + value.money
            if value.price not in self.prices:
                self.prices.append(value.price)
        else:
            self.without_price += 1
        if value.carbon_kg is not None and value.factor is not None:
            self.carbon_kg = (self.carbon_kg or 0.0) + value.carbon_kg
            if value.factor not in self.factors:
                self.factors.append(value.factor)

    def told(self) -> list[tuple[float, str, str]]:
        """Return amounts with unit, and the utility's name where others have the same unit."""
        units = [unit for _, unit in self.by_utility]
        return [
            (value, unit, t(f"utility.{utility}") if units.count(unit) > 1 else "")
            for (utility, unit), value in self.by_utility.items()
        ]


class Basis(NamedTuple):
    """What some figures rest on.

    Attributes:
        prices: Prices, each once.
        factors: Factors, each once.
        unpriced: Whether there are amounts, and none of them has a price: what has no amount, such
            as a voltage, could have none.
    """

    prices: Sequence[Price]
    factors: Sequence[CarbonFactor]
    unpriced: bool


def basis_of(values: Iterable[Worth]) -> Basis:
    """Return the prices and factors that some figures rest on, each once."""
    counted = False
    prices: dict[Price, None] = {}
    factors: dict[CarbonFactor, None] = {}
    for value in values:
        counted |= value.counted
        if value.money is not None:
            prices |= dict.fromkeys(value.all_prices)
        if value.carbon_kg is not None:
            factors |= dict.fromkeys(value.all_factors)
    return Basis(list(prices), list(factors), counted and not prices)
