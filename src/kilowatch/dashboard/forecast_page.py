"""Forecast: the next 48 hours of a data point, the ends of day, week and month, and how good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.admin_frame import asked_of, paged
from kilowatch.dashboard.behind import Behind, Part, mean_shares, sources_told
from kilowatch.dashboard.hourly import (
    actual_columns,
    band_columns,
    by_point,
    has_hours,
    hourly,
    like_of_gas,
    unit_of_amount,
    unit_of_rate,
)
from kilowatch.dashboard.insight_period import behind
from kilowatch.dashboard.insight_rows import when_text
from kilowatch.dashboard.measures import part
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import bounds, local_day, midnight_ms, offsets
from kilowatch.dashboard.places import in_place, readable, site_names, sites_of
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import Worth, basis_of, worth_of_days
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import Ahead, Expected, Outlook
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts

ASKED = ("place", "point")
LISTED = 12  # data points on one page of a site's table: each costs a read of the store
BEFORE_H = 5 * 24
"""Hours before the forecast that are drawn with what had been expected of them."""
WAITED_MS = 2 * HOUR_MS
"""A forecast begins so far before the newest packet where hours wait for the temperature of their
site: an hour is complete with the first packet of the next."""
OLD_MS = 36 * HOUR_MS
"""A forecast that begins longer ago than that is of data that has stopped."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a day, week or month in figures; 5, 50 and 95 % each.

    Attributes:
        ahead: The sums.
        unit: Of the sums [Wh, m³].
        rate_unit: Of the peaks [W, m³/h].
        worth: Of the three sums.
        when: When it is over, in words.
        likes: The figures that decide in which unit the sums and the peaks are told: gas never in
            litres [``unit``, ``rate_unit``]; None for each its own.
    """

    ahead: Ahead
    unit: str
    rate_unit: str
    worth: tuple[Worth, Worth, Worth]
    when: str
    likes: tuple[float | None, float | None] = (None, None)

    @property
    def title(self) -> str:
        """By when."""
        return t(f"forecast_end.{self.ahead.period}")

    @property
    def amounts(self) -> list[float]:
        """Sums at 5, 50 and 95 %."""
        return [float(one) for one in self.ahead.amount]

    @property
    def peaks(self) -> list[float]:
        """Peak demand at 5, 50 and 95 %."""
        return [float(one) for one in self.ahead.peak]


@dataclass(frozen=True, slots=True)
class Line:
    """A data point in the table of a site."""

    point: DataPoint
    ends: dict[str, End]
    source: str
    error: float | None


async def forecast(request: Request) -> Response:
    """Show what is coming at a data point, and the ends of all of its site."""
    return await run_in_threadpool(_forecast, request)


async def forecast_site(request: Request) -> Response:
    """Answer the table of a site's data points; the page fetches it after its frame."""
    return await run_in_threadpool(_site, request)


async def forecast_data(request: Request) -> Response:
    """Answer the last days and the next 48 hours of ``point``."""
    body = await run_in_threadpool(_data, request)
    return Response(msgspec.json.encode(body), media_type="application/json")


def _forecast(request: Request) -> Response:
    rooms = rooms_of(request)
    asked = asked_of(request, ASKED)
    everything = [p for p in readable(request, "forecast") if has_hours(p)]
    crumbs = [{"name": t("nav.forecast")}]
    point = next((p for p in everything if p.id == whole_number(asked["point"])), None)
    if asked["point"] and point is None:
        raise not_found()
    if point is not None:
        asked["place"] = f"s{point.site_id}"
    place, places = sites_of(request, everything, asked["place"])
    points = sorted(in_place(everything, place) if place else [], key=lambda p: p.name.casefold())
    if rooms.insights is None or not points:
        why = "off" if rooms.insights is None else "none"
        return page(request, "insight_nothing.html", crumbs, {"page": "forecast", "why": why})
    facts = rooms.registry.facts().get(points[0].site_id)
    chosen = point or _leading(rooms, points)
    outlook = rooms.outlooks.of(rooms.insights, chosen)
    ends = ends_of(outlook, chosen, facts) if outlook else []
    now_ms, late = rooms.clock(), behind(rooms.insights)
    ends_at = "" if outlook is None or late else _waiting(rooms, chosen, facts, outlook)
    context = {
        "page": "forecast",
        "asked": asked | {"place": place},
        "places": places,
        "chosen": chosen,
        "site": site_names(request).get(chosen.site_id, ("", ""))[0],
        "points": points,
        "outlook": outlook,
        "ends": ends,
        "behind_of": _behind_all(request, chosen, outlook, ends) if outlook else [],
        "basis": basis_of(one for end in ends for one in end.worth),
        "made_at": when_text(outlook.made_ms, chosen.zone) if outlook else "",
        "behind": late,
        "ends_at": ends_at,
        "old": outlook is not None and now_ms - outlook.made_ms > OLD_MS and not late,
        "exports": may_export(visit_of(request).person, chosen),
        "hours": _hours_query(chosen, outlook) if outlook else "",
        "sources": sources_of(outlook.hours) if outlook else [],
        "error": finite(outlook.error) if outlook else None,
        "coverage": finite(outlook.coverage) if outlook else None,
    }
    return page(request, "forecast.html", crumbs, context, current=f"point-{chosen.id}")


def _waiting(rooms: Rooms, point: DataPoint, facts: SiteFacts | None, outlook: Outlook) -> str:
    """Return when the newest packet came where later hours wait for a temperature; else nothing."""
    seen_ms = rooms.view.last_seen([point.series]).get(point.series)
    if facts is None or facts.temperature_point is None or seen_ms is None:
        return ""
    waits = seen_ms - outlook.made_ms >= WAITED_MS
    return when_text(seen_ms, point.zone) if waits else ""


def _behind_all(
    request: Request, point: DataPoint, outlook: Outlook, ends: Sequence[End]
) -> list[dict[str, Any]]:
    """Return where each end comes from, with the qualities of the hours that were measured.

    They are read once, from the earliest begin on; while the store is busy nothing is said of them.
    """
    begins = [
        midnight_ms(bounds(one.ahead.period, local_day(one.ahead.end_ms - 1, point.zone))[0],
                    point.zone)
        for one in ends
    ]  # fmt: skip
    try:
        found = hourly(rooms_of(request).view, [point], min(begins, default=0), outlook.made_ms)
    except KilowatchError as error:
        if error.status != 503:
            raise
        found = {}
    hours = by_point(found, point)
    within = [hours.within(begin, outlook.made_ms) for begin in begins]
    return [
        _behind(
            request, point, outlook, end,
            mean_shares([some.shares], [some.covered_ms]) if len(some.start_ms) else None,
        )
        for end, some in zip(ends, within, strict=True)
    ]  # fmt: skip


def _behind(
    request: Request, point: DataPoint, outlook: Outlook, end: End, shares: dict[str, float] | None
) -> dict[str, Any]:
    """Return where the end of a day, week or month comes from."""
    middle = end.worth[1]
    worth_of = [
        Part(text, value, unit)
        for text, value, unit in (
            (t("event.cost"), middle.money, middle.currency),
            (t("event.carbon"), middle.carbon_kg, "kg"),
        )
        if value is not None
    ]
    error = finite(outlook.error)
    return Behind(
        t("why_of.ahead"),
        sources_told(request, [point]),
        f"{end.title} \N{MIDDLE DOT} {end.when}, {point.zone}",
        ", ".join(sources_of(outlook.hours)),
        shares=shares,
        parts=[
            Part(t("why.measured"), end.ahead.so_far, end.unit, end.likes[0]),
            Part(t("why.to_come"), end.amounts[1] - end.ahead.so_far, end.unit, end.likes[0]),
        ],
        price=[str(one) for one in (*middle.all_prices, *middle.all_factors)],
        each=False,
        notes=[
            (t("why.worth"), worth_of),
            (t("forecast.error"), "" if error is None else part(error)),
        ],
    ).columns()


def _hours_query(point: DataPoint, outlook: Outlook) -> str:
    """Return what the file of the drawn hours is asked for."""
    first = local_day(outlook.made_ms - BEFORE_H * HOUR_MS, point.zone)
    last = local_day(outlook.made_ms, point.zone)
    return f"point={point.id}&date={first}&until={last}&ahead=yes"


def _leading(rooms: Rooms, points: Sequence[DataPoint]) -> DataPoint:
    """Return the data point that a site opens with: electricity that no other data point feeds."""
    seen = rooms.view.last_seen([point.series for point in points])
    fed_by, here = rooms.registry.fed_by(points), {point.id for point in points}
    return min(
        points,
        key=lambda p: (
            p.series not in seen,
            not unit_of_amount(p),
            p.utility != "electricity",
            fed_by.get(p.id) in here or bool(p.formula),
            p.name.casefold(),
        ),
    )


def _site(request: Request) -> Response:
    rooms = rooms_of(request)
    asked = asked_of(request, ("place", "point"))
    mine = [p for p in readable(request, "forecast") if has_hours(p) and unit_of_amount(p)]
    points = in_place(mine, asked["place"]) if asked["place"].startswith("s") else []
    points.sort(key=lambda p: p.name.casefold())
    table = paged(request, points, asked, LISTED)
    lines = lines_of(rooms, table.rows) if rooms.insights is not None else []
    context = {
        "table": table,
        "lines": lines,
        "point_id": whole_number(asked["point"]),
        "place": asked["place"],
        "exports": any(may_export(visit_of(request).person, p) for p in points),
        "basis": basis_of(end.worth[1] for line in lines for end in line.ends.values()),
    }
    return rooms.templates.TemplateResponse(request, "forecast_site.html", context)


def lines_of(rooms: Rooms, points: Sequence[DataPoint]) -> list[Line]:
    """Return the table of a site: what each data point comes to; without a forecast, only it."""
    assert rooms.insights is not None
    facts = rooms.registry.facts()
    found = []
    for point in points:
        outlook = rooms.outlooks.of(rooms.insights, point)
        ends = ends_of(outlook, point, facts.get(point.site_id)) if outlook else []
        found.append(
            Line(
                point,
                {end.ahead.period: end for end in ends},
                "".join(sources_of(outlook.hours)[:1]) if outlook else "",
                finite(outlook.error) if outlook else None,
            )
        )
    return found


def ends_of(outlook: Outlook, point: DataPoint, facts: SiteFacts | None) -> list[End]:
    """Return the ends of day, week and month, with what they cost."""
    if not unit_of_amount(point):
        return []
    return [
        End(
            ahead,
            unit_of_amount(point),
            unit_of_rate(point),
            tuple(
                worth_of_days(facts, point, float(one), days_of(ahead), outlook.made_ms)
                for one in ahead.amount
            ),  # type: ignore[arg-type]
            day_text(local_day(ahead.end_ms - 1, point.zone)),
            (like_of_gas(point, unit_of_amount(point)), like_of_gas(point, unit_of_rate(point))),
        )
        for ahead in outlook.ends
    ]


def days_of(ahead: Ahead) -> dict[int, float]:
    """Return which of its days takes what of the middle sum, by its start [Wh or m³]."""
    return dict(zip(ahead.days_ms.tolist(), ahead.daily.tolist(), strict=True))


def sources_of(hours: Expected) -> list[str]:
    """Return which models said so, in words."""
    return [t(f"forecast_source.{one}") for one in dict.fromkeys(hours.source)]


def finite(value: float) -> float | None:
    """Return a figure, or None where it is not known."""
    return value if math.isfinite(value) else None


def _data(request: Request) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    outlook = rooms.outlooks.of(rooms.insights, point) if rooms.insights else None
    if rooms.insights is None or outlook is None:
        return {"chart": None}
    made_ms = outlook.made_ms
    from_ms = midnight_ms(local_day(made_ms - BEFORE_H * HOUR_MS, point.zone), point.zone)
    to_ms = int(outlook.hours.start_ms[-1]) + HOUR_MS if len(outlook.hours.start_ms) else made_ms
    found = by_point(hourly(rooms.view, [point], from_ms, made_ms), point)
    chart = {
        "utility": point.utility,
        "unit": unit_of_rate(point),
        "zone": point.zone,
        "offsets": offsets(from_ms, to_ms, point.zone),
        "from_ms": from_ms,
        "to_ms": to_ms,
        "now_ms": made_ms,
        "actual": actual_columns(rooms.view, point, found, (from_ms, made_ms), rooms.clock()),
        "band": band_columns(rooms.insights.expected(point, from_ms, made_ms)),
        "forecast": band_columns(outlook.hours),
        "marks": [],
    }
    return {"chart": chart}


DOORS: tuple[Door, ...] = (
    Door("/forecast", forecast, Access.SIGNED_IN, tool="forecast"),
    Door("/forecast/site", forecast_site, Access.SIGNED_IN, tool="forecast"),
    Door("/data/forecast", forecast_data, Access.READ_POINT, tool="forecast"),
)
