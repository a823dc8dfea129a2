"""What was expected of a meter, what is coming, and what of its use was waste."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from kilowatch.api.declaring import Ask, Resource
from kilowatch.api.local_time import SPAN, clock_of, days, span_of, timestamp, timestamps
from kilowatch.api.problems import impossible
from kilowatch.api.twice import of_meters_and_appliances
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import Ahead, EventKind, Expected
from kilowatch.model.points import DataPoint
from kilowatch.model.units import rate_unit
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.subjects import has_hours
from kilowatch.pipeline.tree_eras import counted_of

KINDS = [one.value for one in EventKind]


class ExpectedHour(msgspec.Struct):
    """What an hour was expected to be, before it began.

    Attributes:
        timestamp: Its start, local time with the offset from UTC.
        low: It is below this with a probability of 5 %.
        q25: With 25 %.
        mid: With 50 %.
        q75: With 75 %.
        high: With 95 %.
        made: When that was known, in the time of the data.
        source: Which model said so: `global`, `own`, `shipped` or `prior`.
    """

    timestamp: str
    low: float | None
    q25: float | None
    mid: float | None
    q75: float | None
    high: float | None
    made: str
    source: str


class Band(msgspec.Struct):
    """The band that was expected.

    Attributes:
        unit: Of the band: `W`, `m3/h`, or that of a gauge.
        hours: The hours of the period of which something was expected.
    """

    unit: str
    hours: list[ExpectedHour]


class End(msgspec.Struct):
    """The sum of a day, week or month that is not over: what was measured and what is to come.

    Attributes:
        period: `day`, `week` or `month`.
        end: When it is over.
        so_far: What was counted of it.
        low: The sum is below this with a probability of 5 %.
        mid: With 50 %.
        high: With 95 %.
        peak_low: The highest hourly mean is below this with a probability of 5 %.
        peak_mid: With 50 %.
        peak_high: With 95 %.
        missing_hours: Hours that have passed of which nothing is known; they are in no sum.
    """

    period: str
    end: str
    so_far: float | None
    low: float | None
    mid: float | None
    high: float | None
    peak_low: float | None
    peak_mid: float | None
    peak_high: float | None
    missing_hours: int


class Forecast(msgspec.Struct):
    """What is coming.

    Attributes:
        made: When it was made, in the time of the data; null where there is none.
        model: Version of the model; empty where there is none.
        rate_unit: Of hours and peaks: `W`, `m3/h`, or that of a gauge.
        unit: Of sums: `Wh`, `m3`; empty where nothing is counted.
        hours: The next 48 hours.
        ends: The sums by the end of day, week and month; none where nothing is counted.
        error: Mean absolute error of the day-ahead forecasts of the last 28 days over that of the
            same hour a week before; null before 7 days can be compared.
        coverage: Share of those hours within the 90 % band; null likewise.
        reason: Why there is no forecast. Absent where there is one.
    """

    made: str | None
    model: str
    rate_unit: str
    unit: str
    hours: list[ExpectedHour]
    ends: list[End]
    error: float | None
    coverage: float | None
    reason: str | UnsetType = UNSET


class WasteDay(msgspec.Struct):
    """What was wasted on a local day.

    Attributes:
        date: The day.
        wasted: How much.
        by_kind: The same by what was the matter.
        cost: What it cost; null where the day has no price.
        currency: Of the cost; null where there is none.
        price: The price of that day that it rests on; null where there is none.
    """

    date: str
    wasted: float
    by_kind: dict[str, float]
    cost: float | None
    currency: str | None
    price: str | None


class Waste(msgspec.Struct):
    """What was wasted in a period.

    Attributes:
        unit: Of the amounts: `Wh` or `m3`.
        days: The local days on which something was wasted.
    """

    unit: str
    days: list[WasteDay]


def expected(ask: Ask, point: DataPoint) -> Band:
    """Answer what the hours of a period were expected to be."""
    _looked_at(point)
    zone = clock_of(point)
    from_ms, to_ms = span_of(ask.values["from"], ask.values["to"], zone)
    return Band(_rate(point), _hours(ask.rooms.insights.expected(point, from_ms, to_ms), zone))


def forecast(ask: Ask, point: DataPoint) -> Forecast:
    """Answer the next 48 hours, and the ends of day, week and month."""
    zone, counted = clock_of(point), counted_of(point)
    found = ask.rooms.insights.outlook(point) if has_hours(point) else None
    told = Forecast(None, "", _rate(point), counted[1] if counted else "", [], [], None, None)
    if found is None:
        told.reason = (
            "There is too little history yet to tell what is coming."
            if has_hours(point)
            else _too_seldom(point)
        )
        return told
    told.made, told.model = timestamp(found.made_ms, zone), found.model
    told.hours = _hours(found.hours, zone)
    told.ends = [_end(one, zone) for one in found.ends] if counted else []
    told.error, told.coverage = _known(found.error), _known(found.coverage)
    return told


def waste(ask: Ask, point: DataPoint) -> Waste:
    """Answer what was wasted on each day of a period, without what people called expected."""
    _looked_at(point)
    zone, counted = clock_of(point), counted_of(point)
    if counted is None:
        raise impossible("id", "nothing_to_count", f"{point.name} counts nothing.")
    hours = ask.rooms.wasted([point], *span_of(ask.values["from"], ask.values["to"], zone))
    by_day: dict[str, dict[str, float]] = {}
    begins: dict[str, int] = {}
    rows = zip(
        days(hours.start_ms, zone), hours.start_ms.tolist(), hours.amount.tolist(),
        hours.kind.tolist(), strict=True,
    )  # fmt: skip
    for day, start_ms, amount, kind in rows:
        kinds = by_day.setdefault(day.isoformat(), {})
        begins.setdefault(day.isoformat(), start_ms)
        kinds[KINDS[kind]] = kinds.get(KINDS[kind], 0.0) + amount
    return Waste(
        counted[1],
        [_day(ask, point, counted[1], day, begins[day], by_day[day]) for day in sorted(by_day)],
    )


def _day(
    ask: Ask, point: DataPoint, unit: str, day: str, at_ms: int, kinds: dict[str, float]
) -> WasteDay:
    facts, amount = ask.rooms.registry.facts().get(point.site_id), sum(kinds.values())
    price = facts.price_at(point.utility, at_ms, unit) if facts else None
    cost = price.cost(amount, unit) if price else None
    if price is None or cost is None:
        return WasteDay(day, amount, kinds, None, None, None)
    return WasteDay(day, amount, kinds, cost, price.currency, str(price))


def _rate(point: DataPoint) -> str:
    counted = counted_of(point)
    return rate_unit(counted[1]) if counted else point.unit_of_value.canonical


def _hours(found: Expected, zone: Zone) -> list[ExpectedHour]:
    band = [_each(one) for one in found.rate]
    if not len(found.start_ms):
        return []
    columns: list[Sequence[Any]] = [timestamps(found.start_ms, zone), *band]
    columns += [timestamps(found.made_ms, zone), found.source]
    return list(map(ExpectedHour, *columns))


def _end(one: Ahead, zone: Zone) -> End:
    low, mid, high = _each(one.amount)
    peak_low, peak_mid, peak_high = _each(one.peak)
    return End(
        one.period, timestamp(one.end_ms, zone), _known(one.so_far), low, mid, high,
        peak_low, peak_mid, peak_high, one.missing_h,
    )  # fmt: skip


def _each(values: Floats) -> list[float | None]:
    return [_known(one) for one in np.asarray(values, np.float64).tolist()]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _looked_at(point: DataPoint) -> None:
    if not has_hours(point):
        raise impossible("id", "no_hours", _too_seldom(point))


def _too_seldom(point: DataPoint) -> str:
    return f"{point.name} has intervals of more than an hour: it is not looked at hour by hour."


_RESOURCES: tuple[tuple[Resource, ...], ...] = (
    of_meters_and_appliances(
        "expected", expected, Band, "What was expected, hour by hour",
        "The band that was expected of each hour before it began. Nothing is told of hours that "
        "nobody could say anything about yet.",
        SPAN, tool="breakdown",
    ),
    of_meters_and_appliances(
        "forecast", forecast, Forecast, "What is coming",
        "The next 48 hours with their band, and what day, week and month will come to.",
        tool="forecast",
    ),
    of_meters_and_appliances(
        "waste", waste, Waste, "What was wasted, day by day",
        "What people called expected is no waste and is left out; each day has its own price.",
        SPAN, tool="waste",
    ),
)  # fmt: skip
RESOURCES: tuple[Resource, ...] = tuple(one for some in _RESOURCES for one in some)
