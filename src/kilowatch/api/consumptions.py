"""Consumptions and costs of a month, day by day, as Breakdown adds them up.

A day's total is that of its roll-up, with what a register counted across a gap that ended that day.
Each day costs what its own price says, and says which one that is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from kilowatch.api.declaring import Ask, Parameter, Resource, number, truth
from kilowatch.api.local_time import WEEKDAYS, YEARS, clock_of, days, month_of, times_of_day
from kilowatch.api.problems import impossible
from kilowatch.api.twice import of_meters_and_appliances
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.parameters import GAS_ENERGY
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import Price, SiteFacts
from kilowatch.model.zones import Zone
from kilowatch.pipeline.rollups import completeness
from kilowatch.pipeline.tree_eras import counted_of

TOOL = "breakdown"
PRICED = ("Wh", "m3")
SHORTEST_S = 60  # names of intervals are hours and minutes
ABOUT = (
    "The local days of a month that have data, up to today; a day of which nothing is known is "
    "absent. Keys of `{by_time}` are local times of the intervals; the two hours that share a name "
    "in autumn are added up under it. The keys and `unallocated` add up to the total."
)


class Consumption(msgspec.Struct):
    """What was used on a local day.

    Attributes:
        date: The day.
        weekday: Its name.
        total_consumption: What was used, with its unit: `Wh`, `m3`, `kg` or `pcs`.
        complete: How much of the day, as far as it has passed, is known, 0 to 1.
        unallocated: Part of the total that a register counted across a gap that ended this day:
            nobody knows when it was used. Absent where there is none.
        consumption_by_time: What was used in each interval, by its local start. Only with
            `detailed=true`.
    """

    date: str
    weekday: str
    total_consumption: str
    complete: float
    unallocated: str | UnsetType = UNSET
    consumption_by_time: dict[str, str] | UnsetType = UNSET


class Cost(msgspec.Struct):
    """What was used on a local day cost.

    Attributes:
        date: The day.
        weekday: Its name.
        total_cost: What it cost, with its currency; null where there is no price for it. Of what
            is produced: what it earned.
        price: The price of that day that it rests on; null where there is none.
        reason: Why there is no cost. Absent where there is one.
        complete: How much of the day, as far as it has passed, is known, 0 to 1.
        unallocated: Part of the cost of what a register counted across a gap that ended this day.
            Absent where there is none.
        cost_by_time: What each interval cost, by its local start. Only with `detailed=true` and
            where there is a price.
    """

    date: str
    weekday: str
    total_cost: str | None
    price: str | None
    complete: float
    reason: str | UnsetType = UNSET
    unallocated: str | UnsetType = UNSET
    cost_by_time: dict[str, str] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Counted:
    """The days of a month of one channel.

    Attributes:
        unit: Canonical.
        days: One row for each day that has data.
        parts: Their intervals; none where nobody asked.
        zone: The site's clock.
    """

    unit: str
    days: IntervalBlock
    parts: IntervalBlock
    zone: Zone

    def by_time(self, begin_ms: int, end_ms: int) -> dict[str, float]:
        """Return what was counted in each interval of a day, by its local start."""
        here = (self.parts.start_ms >= begin_ms) & (self.parts.start_ms < end_ms)
        some = self.parts.take(here & np.isfinite(self.parts.amount))
        found: dict[str, float] = {}
        for name, amount in zip(
            times_of_day(some.start_ms, self.zone), some.amount.tolist(), strict=True
        ):
            found[name] = found.get(name, 0.0) + amount
        return found


def consumptions(ask: Ask, point: DataPoint) -> list[Consumption]:
    """Answer what a data point counted on each day of a month."""
    channel, unit = _counts(point)
    month, detailed = _month(ask, point), ask.values["detailed"]
    found = _read(ask, point, (channel, unit), month, detailed=detailed)
    told = []
    for row in _days(found, ask.rooms.clock()):
        one = Consumption(
            row.date, row.weekday, shown(row.whole, unit), row.complete,
            shown(row.unallocated, unit) if row.unallocated else UNSET,
        )  # fmt: skip
        if detailed:
            each = found.by_time(row.begin_ms, row.end_ms)
            one.consumption_by_time = {name: shown(value, unit) for name, value in each.items()}
        told.append(one)
    return told


def costs(ask: Ask, point: DataPoint) -> list[Cost]:
    """Answer what a data point's use cost on each day of a month."""
    channel, unit = _counts(point)
    if unit not in PRICED:
        raise _nothing_to_count(point, f"what is counted in {unit} has no price")
    month, detailed = _month(ask, point), ask.values["detailed"]
    facts = ask.rooms.registry.facts().get(point.site_id)
    found = [_read(ask, point, (channel, unit), month, detailed=detailed)]
    if GAS_ENERGY in ask.rooms.view.channels(point):  # gas is also paid for by its energy
        found.append(_read(ask, point, (GAS_ENERGY, "Wh"), month, detailed=detailed))
    now_ms = ask.rooms.clock()
    by_unit = [(one, {row.begin_ms: row for row in _days(one, now_ms)}) for one in found]
    every = {row.begin_ms: row for _, rows in reversed(by_unit) for row in rows.values()}
    return [
        _cost(ask, point, facts, day, [(c, r[begin]) for c, r in by_unit if begin in r])
        for begin, day in sorted(every.items())
    ]


@dataclass(frozen=True, slots=True)
class _Day:
    """A day of one channel; amounts in its canonical unit."""

    date: str
    weekday: str
    begin_ms: int
    end_ms: int
    whole: float
    unallocated: float
    complete: float


def _cost(
    ask: Ask,
    point: DataPoint,
    facts: SiteFacts | None,
    day: _Day,
    counted: list[tuple[Counted, _Day]],
) -> Cost:
    for channel, row in counted:
        price = facts and facts.price_at(point.utility, row.begin_ms, channel.unit)
        factor = price.per_canonical(channel.unit) if price else None
        if price and factor is not None:
            money = _in(price, factor)
            one = Cost(row.date, row.weekday, money(row.whole), str(price), row.complete)
            if row.unallocated:
                one.unallocated = money(row.unallocated)
            if ask.values["detailed"]:
                each = channel.by_time(row.begin_ms, row.end_ms)
                one.cost_by_time = {name: money(value) for name, value in each.items()}
            return one
    why = f"No price of {point.utility} is set for this site on this day."
    return Cost(day.date, day.weekday, None, None, day.complete, why)


def _in(price: Price, factor: float) -> Callable[[float], str]:
    return lambda amount: shown(amount * factor, price.currency)


def _counts(point: DataPoint) -> tuple[int, str]:
    counted = counted_of(point)
    if counted is None:
        raise _nothing_to_count(point, "it has values and no sums")
    return counted


def _nothing_to_count(point: DataPoint, why: str) -> Exception:
    return impossible(
        "id",
        "nothing_to_count",
        f"{point.name} measures {point.utility}: {why}.",
        "Ask for its raw_data.",
    )


def _month(ask: Ask, point: DataPoint) -> tuple[int, int]:
    values = ask.values
    return month_of(values["month"], values["year"], clock_of(point), ask.rooms.clock())


def _read(
    ask: Ask, point: DataPoint, counted: tuple[int, str], month: tuple[int, int], *, detailed: bool
) -> Counted:
    view, (channel, unit), zone = ask.rooms.view, counted, clock_of(point)
    if month[0] >= month[1]:
        return Counted(unit, IntervalBlock.empty(), IntervalBlock.empty(), zone)
    rows, parts = view.series(point, [channel], *month, "day"), IntervalBlock.empty()
    if detailed:
        short = point.interval_s < SHORTEST_S
        parts = view.series(point, [channel], *month, SHORTEST_S if short else "interval")
    return Counted(unit, rows, parts, zone)


def _days(found: Counted, now_ms: int) -> list[_Day]:
    rows = found.days
    known = np.isfinite(rows.amount) | np.isfinite(rows.unallocated)
    rows = rows.take(known)
    whole = _or_nothing(rows.amount) + _or_nothing(rows.unallocated)
    columns = zip(
        days(rows.start_ms, found.zone), rows.start_ms.tolist(),
        (rows.start_ms + rows.duration_ms).tolist(), whole.tolist(),
        _or_nothing(rows.unallocated).tolist(), completeness(rows, now_ms).tolist(), strict=True,
    )  # fmt: skip
    return [
        _Day(day.isoformat(), WEEKDAYS[day.weekday()], begin, end, amount, apart, round(share, 4))
        for day, begin, end, amount, apart, share in columns
    ]


def _or_nothing(values: Floats) -> Floats:
    return np.nan_to_num(values, nan=0.0)


def shown(value: float, unit: str) -> str:
    """Return a number with its unit, as clients read it: a point, no thousands, no exponent.

    Example:
        >>> shown(300500, "Wh"), shown(0.1 + 0.2, "EUR"), shown(1e-9, "m3")
        ('300500.0 Wh', '0.3 EUR', '0.000000001 m3')
    """
    places = 9 if math.fabs(value) < 1e6 else 3  # a double has no more digits than these
    text = f"{round(value, places) + 0.0:.{places}f}".rstrip("0")
    return f"{text}0 {unit}" if text.endswith(".") else f"{text} {unit}"


PARAMETERS: tuple[Parameter, ...] = (
    number("month", "Month of the year, 1 to 12.", most=12, required=True),
    number("year", "The year.", least=YEARS[0], most=YEARS[-1], required=True),
    truth("detailed", "Whether each interval stands beside the day's total."),
)
RESOURCES: tuple[Resource, ...] = (
    *of_meters_and_appliances(
        "consumptions", consumptions, list[Consumption], "What was used in a month, day by day",
        ABOUT.format(by_time="consumption_by_time"), PARAMETERS, tool=TOOL,
    ),
    *of_meters_and_appliances(
        "costs", costs, list[Cost], "What a month's use cost, day by day",
        ABOUT.format(by_time="cost_by_time")
        + " Each day is at its own price, which is named beside it.",
        PARAMETERS, tool=TOOL,
    ),
)  # fmt: skip
