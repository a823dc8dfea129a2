"""Which events cost most, told from a few numbers of each: of an estate's week there are thousands.

An event as people read it has evidence, a sentence and names; eight of ten thousand are shown.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kilowatch.dashboard.hourly import unit_of_amount
from kilowatch.model.insight import EventBrief
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import EARNED, Price, SiteFacts

Term = tuple[int, float, Price]
"""From when on [ms], what a Wh or m³ more costs (of production below zero), and the price."""


class Ranked(NamedTuple):
    """An event with what it is ranked by.

    Attributes:
        brief: The event.
        point: At which data point.
        money: What it cost when it began, as ``Price.cost_of_more`` has it [``currency``]; None
            without a price.
        currency: Of the money; empty where there is none.
        price: What the money rests on; None where there is none.
        rank: What stands first: the most money, then the largest amount, then the newest.
    """

    brief: EventBrief
    point: DataPoint
    money: float | None
    currency: str
    price: Price | None
    rank: tuple[Any, ...]


def ranked(
    briefs: Iterable[EventBrief],
    by_series: Mapping[int, DataPoint],
    facts: Mapping[int, SiteFacts],
) -> list[Ranked]:
    """Return events with their rank, in the order in which they came.

    Args:
        briefs: The events.
        by_series: Data points; events of others are left out.
        facts: Prices of sites, by their number.
    """
    about, finite = _Terms(by_series, facts), math.isfinite
    found = []
    for brief in briefs:
        event_id, series, start_ms, amount = brief
        known = about[series]
        if known is None:
            continue
        point, unit, prices = known
        money, currency, price, size = None, "", None, 0.0
        if unit and finite(amount):
            size = amount
            for from_ms, per_canonical, one in prices:
                if from_ms <= start_ms:
                    money, currency, price = amount * per_canonical, one.currency, one
                    break
        rank = rank_of(money, size, start_ms, event_id)
        found.append(Ranked(brief, point, money, currency, price, rank))
    return found


def costliest_of(
    briefs: Iterable[EventBrief],
    by_series: Mapping[int, DataPoint],
    facts: Mapping[int, SiteFacts],
    count: int,
) -> list[Ranked]:
    """Return so many events, the costliest first, without a rank for each of thousands.

    What costs less than as many others did is let go of after two numbers of it; only the rest is
    ranked, so that the answer is that of ``costliest(ranked(…), count)``.

    Args:
        briefs: The events.
        by_series: Data points; events of others are left out.
        facts: Prices of sites, by their number.
        count: How many.
    """
    about, finite = _Terms(by_series, facts), math.isfinite
    best: list[tuple[float, float]] = []
    kept = []
    least = (-1.0, -1.0)  # of those that are best so far, once there are enough
    for brief in briefs:
        _, series, start_ms, amount = brief
        known = about[series]
        if known is None:
            continue
        cost = size = 0.0
        if known[1] and finite(amount):
            size = abs(amount)
            for from_ms, per_canonical, _ in known[2]:
                if from_ms <= start_ms:
                    cost = abs(amount * per_canonical)
                    break
        if (cost, size) < least:
            continue
        kept.append(brief)
        heapq.heappush(best, (cost, size))
        if len(best) > count:
            heapq.heappop(best)
        if len(best) == count:
            least = best[0]
    return costliest(ranked(kept, by_series, facts), count)


def costliest(events: Iterable[Ranked], count: int) -> list[Ranked]:
    """Return so many events, the costliest first."""
    return heapq.nsmallest(count, events, key=lambda one: one.rank)


def rank_of(money: float | None, amount: float, start_ms: int, event_id: str) -> tuple[Any, ...]:
    """Return what stands first: the most money, then the largest amount, then the newest.

    Args:
        money: What it cost; None where nobody has said what it costs.
        amount: How much; 0 where the kind has no amount.
        start_ms: When it began [ms since 1970, UTC].
        event_id: Its name, which decides where all else is the same.
    """
    return (-(abs(money) if money is not None else 0.0), -abs(amount), -start_ms, event_id)


class _Terms(dict[int, tuple[DataPoint, str, Sequence[Term]] | None]):
    """Data point, unit and prices by series, looked up when they are first asked for.

    Args:
        by_series: Data points; of another series it is None.
        facts: Prices of sites, by their number.
    """

    def __init__(self, by_series: Mapping[int, DataPoint], facts: Mapping[int, SiteFacts]) -> None:
        super().__init__()
        self._by_series, self._facts = by_series, facts
        self._alike: dict[tuple[int, str, str], Sequence[Term]] = {}

    def __missing__(self, series: int) -> tuple[DataPoint, str, Sequence[Term]] | None:
        point = self._by_series.get(series)
        if point is None:
            self[series] = None
            return None
        unit = unit_of_amount(point)
        key = (point.site_id, point.utility, unit)
        if key not in self._alike:
            self._alike[key] = _terms(point, unit, self._facts.get(point.site_id))
        found = self[series] = (point, unit, self._alike[key])
        return found


def _terms(point: DataPoint, unit: str, facts: SiteFacts | None) -> Sequence[Term]:
    """Return the prices of a data point in the order of ``SiteFacts.price_at``."""
    if facts is None or unit not in ("Wh", "m3"):
        return ()
    sign = -1.0 if point.utility in EARNED else 1.0
    return [
        (price.from_ms, sign * per, price)
        for price in facts.prices
        if price.utility == point.utility and (per := price.per_canonical(unit)) is not None
    ]
