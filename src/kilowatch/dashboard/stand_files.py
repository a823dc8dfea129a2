"""Where sites stand and what is coming, as files: Home and Forecast in full precision.

A row for each utility of a site today and in the month, or for each end of a data point's forecast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.forecast_page import ends_of, finite, sources_of
from kilowatch.dashboard.home_figures import lines_of
from kilowatch.dashboard.hourly import has_hours, unit_of_amount
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import iso_local
from kilowatch.dashboard.places import in_place, readable, site_names
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.points import DataPoint


async def home_csv(request: Request) -> Response:
    """Answer today and the month of the site of ``place``, as its card on Home has them."""
    return await run_in_threadpool(_home, request)


async def forecast_csv(request: Request) -> Response:
    """Answer the ends of day, week and month of every data point of ``place``."""
    return await run_in_threadpool(_forecast, request)


def _home(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    number = whole_number(asked_of(request, ("place",))["place"][1:])
    every = [p for p in rooms.registry.readable(who) if p.site_id == number]
    points = [p for p in every if may_export(who, p)]
    head = [t(f"files.{word}") for word in (
        "site", "utility", "days", "amount", "compared", "expected", "coming", "unit", "known",
        "money_coming", "currency", "price", "carbon_coming", "factor",
    )]  # fmt: skip
    if not points or len(points) < len(every):  # a sum of what cannot be taken along is none
        return csv_answer("home", head, [])
    site = site_names(request).get(points[0].site_id, ("", ""))[0]
    rows = [
        [
            site, t(f"utility.{line.utility}"), stand.name, stand.so_far,
            stand.compared if stand.expected > 0 else None,
            stand.expected if stand.expected > 0 else None, stand.ahead, line.unit,
            stand.known / stand.hours if stand.hours else None,
            stand.worth.money, stand.worth.currency,
            "; ".join(map(str, stand.worth.all_prices)),
            stand.worth.carbon_kg, "; ".join(map(str, stand.worth.all_factors)),
        ]
        for line in lines_of(rooms, points)
        for stand in (line.today, line.month)
    ]  # fmt: skip
    return csv_answer(f"home {site}", head, rows)


def _forecast(request: Request) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    place = asked_of(request, ("place",))["place"]
    mine = [p for p in readable(request, "forecast") if has_hours(p) and unit_of_amount(p)]
    points = [p for p in in_place(mine, place) if may_export(who, p)] if place[:1] == "s" else []
    head = [t(f"files.{word}") for word in (
        "site", "point", "end_of", "end", "made", "so_far", "low", "middle", "high", "unit",
        "peak_low", "peak_middle", "peak_high", "rate_unit", "money_coming", "currency", "price",
        "carbon_coming", "factor", "model", "error",
    )]  # fmt: skip
    if rooms.insights is None:
        return csv_answer("forecast", head, [])
    rows = _ends(request, sorted(points, key=lambda p: p.name.casefold()))
    name = site_names(request).get(points[0].site_id, ("", ""))[0] if points else ""
    return csv_answer(f"forecast {name}", head, rows)


def _ends(request: Request, points: Sequence[DataPoint]) -> Iterator[list[object]]:
    rooms, names = rooms_of(request), site_names(request)
    facts = rooms.registry.facts()
    assert rooms.insights is not None
    for point in points:
        outlook = rooms.outlooks.of(rooms.insights, point)
        if outlook is None:
            continue
        for end in ends_of(outlook, point, facts.get(point.site_id)):
            middle = end.worth[1]
            yield [
                names.get(point.site_id, ("", ""))[0], point.name, end.title,
                iso_local(end.ahead.end_ms, point.zone), iso_local(outlook.made_ms, point.zone),
                end.ahead.so_far, *end.amounts, end.unit, *end.peaks, end.rate_unit,
                middle.money, middle.currency, "; ".join(map(str, middle.all_prices)),
                middle.carbon_kg, "; ".join(map(str, middle.all_factors)),
                "".join(sources_of(outlook.hours)[:1]), finite(outlook.error),
            ]  # fmt: skip


DOORS: tuple[Door, ...] = (
    Door("/data/stand.csv", home_csv, Access.EXPORT_SOMEWHERE, tool="export"),
    Door("/data/ends.csv", forecast_csv, Access.EXPORT_SOMEWHERE, tool="export"),
)
