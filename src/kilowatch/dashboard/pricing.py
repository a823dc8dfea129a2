"""What the amounts of a graph cost and emit: each interval by the price of its own day.

A price begins at a site's midnight, so a day has one price. A longer bucket in which a price
begins is read again as days. What was used across a gap has the price of the day it was counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from kilowatch.dashboard.drawn import Drawn
from kilowatch.dashboard.needs import Measured
from kilowatch.dashboard.offered import Parameter
from kilowatch.model.blocks import Floats, IntervalBlock, Ints
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import GAS_ENERGY, PC, VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import CarbonFactor, Price, SiteFacts

Worth = Literal["energy", "money", "co2"]

CARBON_UNIT = "kgCO2e"
CANONICAL = ("Wh", "m3")
"""Units that can have a price."""


def asked_worth(text: str) -> Worth:
    """Read ``worth`` of an address; nothing stands for energy.

    Raises:
        KilowatchError: 400 ``bad_worth``.
    """
    if text in ("", "energy"):
        return "energy"
    if text in {"money", "co2"}:
        return text  # type: ignore[return-value]
    raise KilowatchError(
        "bad_worth", f"{text!r} is nothing to count in.", remedy="Use energy, money or co2."
    )


def can_be_priced(parameter: Parameter, code: int) -> bool:
    """Say whether a channel counts what one pays for: imported energy, gas, water, heat."""
    imported = PC <= code < PC + 4 or code in (VALUE, GAS_ENERGY)
    return parameter.measure == "amount" and parameter.unit in CANONICAL and imported


Basis = Price | CarbonFactor


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices, or CO2 factors, of one utility and unit over time.

    Attributes:
        begins_ms: When each holds from, rising [ms]; the first is before everything.
        basis: Each; None where nothing is known.
        canonical: ``Wh`` or ``m3``.
    """

    begins_ms: Ints
    basis: tuple[Basis | None, ...]
    canonical: str

    def at(self, at_ms: Ints) -> Ints:
        """Return which one holds at instants, shape (n,)."""
        return np.searchsorted(self.begins_ms, at_ms, side="right") - 1

    def per_unit(self) -> Floats:
        """Return what one Wh or m³ costs or emits under each; NaN where nothing is known."""
        known = [one.per_canonical(self.canonical) if one else None for one in self.basis]
        return np.array([np.nan if one is None else one for one in known])

    @property
    def unit(self) -> str:
        """Currency of the first known price, or that of CO2; "" where nothing is known."""
        for one in self.basis:
            if isinstance(one, Price):
                return one.currency
            if one is not None:
                return CARBON_UNIT
        return ""


def rates(facts: SiteFacts | None, utility: str, canonical: str, worth: Worth) -> Rates:
    """Return what a utility costs (``money``) or emits (``co2``) at a site over time."""
    every = () if facts is None else facts.prices if worth == "money" else facts.carbon
    begins = sorted({0} | {one.from_ms for one in every if one.utility == utility})
    found: list[Basis | None] = []
    for at_ms in begins:
        if facts is None:
            found.append(None)
        elif worth == "money":
            found.append(facts.price_at(utility, at_ms, canonical))
        else:
            found.append(facts.carbon_at(utility, at_ms, canonical))
    return Rates(np.array(begins, np.int64), tuple(found), canonical)


@dataclass(slots=True)
class Pricing:
    """A data point's amounts in money or CO2, and what that rests on.

    Attributes:
        view: Measurements.
        point: Whose amounts.
        facts: Prices and factors of its site.
        worth: ``money`` or ``co2``.
        used: Every price and factor that is in a figure, in order of time.
        amount: What was counted, by whether it has a price [Wh or m³].
    """

    view: Measured
    point: DataPoint
    facts: SiteFacts | None
    worth: Worth
    used: dict[Basis, None]
    amount: dict[bool, float]

    @classmethod
    def of(cls, view: Measured, point: DataPoint, facts: SiteFacts | None, worth: Worth) -> Pricing:
        """Return one that has priced nothing yet."""
        return cls(view, point, facts, worth, {}, {True: 0.0, False: 0.0})

    def drawn(self, drawn: Drawn) -> Drawn:
        """Return channels with the unit of the money in place of that of the energy."""
        return [
            (replace(parameter, unit=self._unit(parameter)), code)
            if can_be_priced(parameter, code)
            else (parameter, code)
            for parameter, code in drawn
        ]

    def _unit(self, parameter: Parameter) -> str:
        found = rates(self.facts, self.point.utility, parameter.unit, self.worth).unit
        if found or self.worth == "co2":
            return CARBON_UNIT if self.worth == "co2" else found
        return self.facts.currency if self.facts is not None else ""

    def rows(
        self, drawn: Drawn, by_channel: Mapping[int, IntervalBlock]
    ) -> dict[int, IntervalBlock]:
        """Return the buckets with money in place of amounts; NaN where there is no price.

        Args:
            drawn: Which channels, before their units were changed.
            by_channel: Their buckets, by channel; others stay as they are.

        Raises:
            KilowatchError: 503 from the store.
        """
        found = dict(by_channel)
        for parameter, code in dict.fromkeys((p.unit, c) for p, c in drawn if can_be_priced(p, c)):
            over_time = rates(self.facts, self.point.utility, parameter, self.worth)
            found[code] = self._priced(by_channel[code], code, over_time)
        return found

    def _priced(self, rows: IntervalBlock, code: int, over_time: Rates) -> IntervalBlock:
        if not len(rows):
            return rows
        split = over_time.at(rows.start_ms) != over_time.at(rows.start_ms + rows.duration_ms - 1)
        amount, unallocated = self._worth(rows, over_time, ~split)
        for at in np.flatnonzero(split).tolist():
            begin_ms = int(rows.start_ms[at])
            end_ms = begin_ms + int(rows.duration_ms[at])
            days = self.view.series(self.point, [code], begin_ms, end_ms, "day")
            by_day = self._worth(days, over_time, np.ones(len(days), np.bool_))
            for column, daily in zip((amount, unallocated), by_day, strict=True):
                known = daily[np.isfinite(daily)]
                column[at] = known.sum() if len(known) else np.nan
        return replace(rows, amount=amount, unallocated=unallocated)

    def _worth(
        self, rows: IntervalBlock, over_time: Rates, chosen: np.ndarray
    ) -> tuple[Floats, Floats]:
        number = over_time.at(rows.start_ms)
        factor = np.where(chosen, over_time.per_unit()[number], np.nan)
        whole = np.nan_to_num(rows.amount) + np.nan_to_num(rows.unallocated)
        for priced in (True, False):
            these = chosen & (np.isfinite(factor) == priced)
            self.amount[priced] += float(whole[these].sum())
        for one in np.unique(number[chosen & np.isfinite(factor) & (whole != 0)]).tolist():
            basis = over_time.basis[one]
            assert basis is not None
            self.used[basis] = None
        return rows.amount * factor, rows.unallocated * factor

    def told(self) -> dict[str, Any]:
        """Return what the figures rest on, as the answer has it."""
        whole = self.amount[True] + self.amount[False]
        every = sorted(self.used, key=lambda one: one.from_ms)
        return {
            "share": self.amount[True] / whole if whole else None,
            "basis": [
                {
                    "text": str(one),
                    "from_ms": one.from_ms,
                    "from_day": one.from_day.isoformat() if one.from_day else None,
                    "whole_organisation": one.whole_organisation,
                }
                for one in every
            ],
        }
