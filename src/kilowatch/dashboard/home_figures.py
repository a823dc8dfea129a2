"""Home's figures of a site: today and this month, beside what was expected and what is coming."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.behind import NAMED, Behind, Part, mean_shares, sources_told
from kilowatch.dashboard.hourly import (
    Hourly,
    by_point,
    has_hours,
    hourly,
    like_of_gas,
    unit_of_amount,
)
from kilowatch.dashboard.insight_period import newest_ms
from kilowatch.dashboard.measures import alike
from kilowatch.dashboard.periods import bounds, local_day, midnight_ms
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.rooms import Rooms
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import NOTHING, Worth, worth_of_days
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_eras import amount_of


@dataclass(frozen=True, slots=True)
class Stand:
    """One utility of a site over today or this month.

    Attributes:
        so_far: What was counted, as on Breakdown [Wh or m³]; None where nothing is known.
        change: Against what was expected of the same hours, 0.1 is 10 % more; None where nothing
            was expected.
        ahead: What it will come to [Wh or m³]; None without a forecast.
        worth: Of that.
        compared: What was used in the hours of which something was expected [Wh or m³].
        expected: What was expected of the same hours [Wh or m³].
        by_point: What each data point counted, by its number [Wh or m³].
        hours: Hours that have begun, of all data points.
        known: Hours of them that are known.
        shares: Of the known time, what is derived, edited, estimated and questionable, 0 to 1.
        name: The days in words.
        like: The figure that decides in which unit all of a line are told: 28 L beside 0.765 m³
            would have to be converted by whoever reads it [Wh or m³].
    """

    so_far: float | None
    change: float | None
    ahead: float | None
    worth: Worth
    compared: float
    expected: float
    by_point: Mapping[int, float]
    hours: int
    known: int
    shares: Mapping[str, float]
    name: str
    like: float


COUNTED_IN = {"Wh": "kWh", "m3": "m³"}
"""What amounts of a canonical unit are called that stand beside others of the same utility."""


@dataclass(frozen=True, slots=True)
class Line:
    """A utility of a site.

    Attributes:
        utility: Which.
        unit: Canonical unit of its amounts [Wh, m3].
        points: The data points that no other one feeds.
        today: The newest day.
        month: The newest month.
        counted_in: In what it is counted where another line of the site has the same utility, such
            as gas by one meter in cubic metres and by another in kilowatt-hours; else empty.
    """

    utility: str
    unit: str
    points: Sequence[DataPoint]
    today: Stand
    month: Stand
    counted_in: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        name = t(f"utility.{self.utility}")
        return f"{name}, {self.counted_in}" if self.counted_in else name


def newest_day(rooms: Rooms, points: Sequence[DataPoint]) -> date:
    """Return the local day of a site's newest data; today before the first."""
    now_ms = rooms.clock()
    return local_day(min(now_ms, newest_ms(rooms.view, points) or now_ms), points[0].zone)


def lines_of(rooms: Rooms, points: Sequence[DataPoint]) -> list[Line]:
    """Return what a site uses, by utility: the data points that no other one feeds, added up."""
    fed_by, here = rooms.registry.fed_by(points), {point.id for point in points}
    roots = [
        p for p in points
        if has_hours(p) and amount_of(p) is not None and fed_by.get(p.id) not in here
    ]  # fmt: skip
    if not roots:
        return []
    zone = roots[0].zone
    day = newest_day(rooms, points)
    first = bounds("month", day)[0]
    month_ms, day_ms, end_ms = midnight_ms(first, zone), midnight_ms(day, zone), rooms.clock()
    found = hourly(rooms.view, roots, month_ms, end_ms)
    groups: dict[tuple[str, str], list[DataPoint]] = {}
    for point in roots:
        groups.setdefault((point.utility, unit_of_amount(point)), []).append(point)
    names = [utility for utility, _ in groups]
    lines = []
    for (utility, unit), some in groups.items():
        mine = {p.series: by_point(found, p) for p in some}
        lines.append(
            Line(
                utility,
                unit,
                some,
                _stand(rooms, some, mine, (day_ms, end_ms), "day"),
                _stand(rooms, some, mine, (month_ms, end_ms), "month"),
                COUNTED_IN.get(unit, unit) if names.count(utility) > 1 else "",
            )
        )
    return sorted(lines, key=lambda line: (line.utility != "electricity", line.utility))


def _stand(
    rooms: Rooms,
    points: Sequence[DataPoint],
    found: dict[int, Hourly],
    span: tuple[int, int],
    period: str,
) -> Stand:
    from_ms, to_ms = span
    count = max(0, -(-(to_ms - from_ms) // HOUR_MS))
    wanted, compared, ahead, known, made_ms = 0.0, 0.0, 0.0, 0, from_ms
    by_point: dict[int, float] = {}
    days: dict[int, float] = {}
    complete, known_days = rooms.insights is not None, True
    for point in points:
        own = found[point.series].on_grid(from_ms, count)
        known += int(np.isfinite(own).sum())
        total = found[point.series].total(from_ms, to_ms)
        if total is not None:
            by_point[point.id] = total
        if rooms.insights is None:
            continue
        expected = rooms.insights.expected(point, from_ms, to_ms)
        middle = Hourly(expected.start_ms, expected.rate[2]).on_grid(from_ms, count)
        both = np.isfinite(own) & np.isfinite(middle)
        compared += float(own[both].sum())
        wanted += float(middle[both].sum())
        outlook = rooms.outlooks.of(rooms.insights, point)
        end = next((e for e in outlook.ends if e.period == period), None) if outlook else None
        if end is not None and from_ms < end.end_ms and math.isfinite(float(end.amount[1])):
            ahead += float(end.amount[1])
            known_days &= len(end.days_ms) > 0
            for day_ms, some in zip(end.days_ms.tolist(), end.daily.tolist(), strict=True):
                days[day_ms] = days.get(day_ms, 0.0) + some
            made_ms = max(made_ms, outlook.made_ms if outlook else 0)
        else:
            complete = False
    coming = ahead if complete else None
    facts = rooms.registry.facts().get(points[0].site_id)
    first, last = (local_day(at_ms, points[0].zone) for at_ms in (from_ms, max(from_ms, to_ms - 1)))
    within = [found[point.series].within(from_ms, to_ms) for point in points]
    counted = sum(by_point.values()) if by_point else None
    return Stand(
        counted,
        compared / wanted - 1 if wanted > 0 else None,
        coming,
        worth_of_days(facts, points[0], coming, days if known_days else {}, made_ms)
        if coming is not None
        else NOTHING,
        compared,
        wanted,
        by_point,
        count * len(points),
        known,
        mean_shares([one.shares for one in within], [one.covered_ms for one in within]),
        " \N{EN DASH} ".join(dict.fromkeys(map(day_text, (first, last)))),
        like_of(points[0], [counted or 0.0, coming or 0.0]),
    )


def like_of(point: DataPoint, amounts: Sequence[float]) -> float:
    """Return the figure that decides in which unit amounts of one line are told [Wh or m³].

    Cubic metres of gas are never told in litres; energy of gas is energy as any other.
    """
    unit = unit_of_amount(point)
    return like_of_gas(point, unit) or alike(amounts, unit)


def behind_line(request: Request, line: Line, day: str, month: str) -> dict[str, Any]:
    """Return where the figures of a utility of a site come from.

    Args:
        request: Behind a door.
        line: The figures.
        day: What the first columns are called.
        month: What the others are called.
    """
    stand = line.month
    by_id = {point.id: point for point in line.points}
    largest = sorted(stand.by_point.items(), key=lambda one: -abs(one[1]))
    worth = stand.worth
    gas = like_of_gas(line.points[0], line.unit)
    return Behind(
        t("why_of.home"),
        sources_told(request, [by_id[one] for one, _ in largest]),
        f"{stand.name}, {line.points[0].zone}",
        t("why.hours_known", n=f"{stand.hours:,}", known=f"{stand.known:,}"),
        stand.known / stand.hours if stand.hours else None,
        stand.shares,
        parts=[Part(by_id[one].name, amount, line.unit, gas) for one, amount in largest[:NAMED]]
        if len(largest) > 1
        else (),
        price=[str(one) for one in (*worth.all_prices, *worth.all_factors)],
        each=False,
        notes=[
            (name, _told(one, line.unit, gas)) for name, one in ((day, line.today), (month, stand))
        ],
    ).columns()


def _told(stand: Stand, unit: str, like: float | None) -> list[Part]:
    """Return the figures of a day or a month one below the other, those that there are."""
    found = [Part(t("home.so_far"), stand.so_far, unit, like)]
    if stand.expected > 0:
        found += [
            Part(t("why.used_compared"), stand.compared, unit, like),
            Part(t("why.expected_then"), stand.expected, unit, like),
        ]
    if stand.ahead is not None:
        found += [
            Part(t("why.to_come"), stand.ahead - (stand.so_far or 0.0), unit, like),
            Part(t("home.ahead"), stand.ahead, unit, like),
        ]
    return found
