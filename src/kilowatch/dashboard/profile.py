"""Load profile: typical days, the load duration curve, the peak days, and two periods compared.

``/data/profile`` answers what is drawn. Query: ``point`` and, all optional, ``period`` (``month``,
``year``, ``12m``, ``custom``), ``date``, ``until`` and ``against`` (``none``, ``before``,
``year``). Answer::

    point    id, name, zone, utility
    unit, amount_unit ("" for gauges), bin_s, offsets
    periods  one or two, that asked for first: name, query, kinds (kind, days, amount, spread:
             10, 25, 50, 75 and 90 % for each time of day), curve (hours and demand), peaks (day,
             kind, demand, start_ms), figures
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.chart_period import ROLLING, Span, navigation, span
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.figures import elapsed_ms
from kilowatch.dashboard.heat_cells import Cells, cells_of
from kilowatch.dashboard.heatmap import HOUR_S, read_bins
from kilowatch.dashboard.hourly import (
    HOUR_MS,
    by_point,
    has_hours,
    hourly,
    nullable,
    unit_of_amount,
    unit_of_rate,
)
from kilowatch.dashboard.needs import Extent
from kilowatch.dashboard.periods import local_day, offsets
from kilowatch.dashboard.profile_figures import (
    RANKS,
    duration_curve,
    figures_of,
    peak_days,
    typical_days,
)
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.statistics import COVERED_ENOUGH
from kilowatch.pipeline.tree_rollups import counted_of

ASKED = ("period", "date", "until", "against")
PERIODS = (ROLLING, "year", "month", "custom")
AGAINST = ("none", "before", "year")
YEAR_DAYS = 364
"""A year back in whole weeks, for days that are no calendar month or year."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for, with every choice filled in."""

    span: Span
    against: str
    other: Span | None
    extent: Extent | None

    @property
    def query(self) -> dict[str, str]:
        """The address, without the data point."""
        return {**self.span.query(), "against": self.against}


async def profile(request: Request) -> Response:
    """Show the frame; what is in it comes from ``/data/profile``."""
    return await run_in_threadpool(_profile, request)


async def profile_data(request: Request) -> Response:
    """Answer ``/data/profile``; its shape stands at the top of this module."""
    return json_answer(await run_in_threadpool(_data, request))


async def profile_csv(request: Request) -> Response:
    """Answer the typical days as a file: a row for each time of day, kind of day and period."""
    return await run_in_threadpool(_csv, request)


def _profile(request: Request) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    asked = read(request, point)
    begin = local_day(asked.extent.first_ms, point.zone) if asked.extent else None
    context = {
        "page": "load_profile",
        "point": point,
        "asked": asked,
        "periods": PERIODS,
        "against": AGAINST,
        "drawable": has_hours(point),
        "query": urlencode({"point": point.id, **asked.query}),
        "exports": may_export(visit.person, point),
        **navigation(asked.span, begin, {"against": asked.against}),
    }
    crumbs = crumbs_of(rooms, visit.person, point)
    return page(request, "profile.html", crumbs, context, current=f"point-{point.id}")


def read(request: Request, point: DataPoint) -> Asked:
    """Read an address.

    Raises:
        KilowatchError: 400 ``bad_period``, ``bad_date`` or ``bad_against``.
    """
    rooms, query = rooms_of(request), asked_of(request, ASKED)
    extent = rooms.view.extent(point)
    today = local_day(rooms.clock(), point.zone)
    anchor = min(today, local_day(extent.last_ms, point.zone)) if extent else today
    chosen = span(query, PERIODS, anchor, today, ROLLING)
    against = query["against"] or "none"
    if against not in AGAINST:
        raise KilowatchError(
            "bad_against", f"{against!r} is nothing to compare with.", remedy="Use before or year."
        )
    return Asked(chosen, against, other_span(chosen, against), extent)


def other_span(chosen: Span, against: str) -> Span | None:
    """Return the days that a period is compared with; calendar months and years stay such."""
    if against == "none":
        return None
    if against == "before" or chosen.period in ("year", ROLLING):
        return chosen.moved(-1)
    if chosen.period == "month":
        return span(
            {"period": "month", "date": f"{chosen.first.year - 1}-{chosen.first.month:02d}-01"},
            PERIODS, chosen.first, chosen.today, "month",
        )  # fmt: skip
    back = chosen.shifted(YEAR_DAYS)
    return Span("custom", back.first, back.last, chosen.today)


def bin_of(point: DataPoint, demand_s: int) -> int:
    """Return the length of a demand period that a data point can show [s], an hour at most."""
    for length_s in (demand_s, 1800):
        if point.interval_s <= length_s and length_s % point.interval_s == 0:
            return length_s
    return HOUR_S


def _demand_s(rooms: Rooms, point: DataPoint) -> int:
    """Return the demand period of a data point's site [s]."""
    facts = rooms.registry.facts().get(point.site_id)
    return (facts.demand_period_s if facts else None) or rooms.settings.demand_period_s


def _cells(rooms: Rooms, point: DataPoint, days: Span) -> Cells:
    from_ms, to_ms = days.ms(point.zone)
    bin_s = bin_of(point, _demand_s(rooms, point))
    counted = counted_of(point)
    code = counted[0] if counted else VALUE
    rows = read_bins(rooms.view, point, code, (from_ms, to_ms), bin_s)
    return cells_of(
        rows, from_ms, to_ms, bin_s, Zone.of(point.zone),
        amounts=counted is not None, least=COVERED_ENOUGH,
    )  # fmt: skip


def _data(request: Request) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    asked = read(request, point)
    some = [asked.span, asked.other] if asked.other else [asked.span]
    spans = [one.ms(point.zone) for one in some]
    first, last = min(one[0] for one in spans), max(one[1] for one in spans)
    return {
        "point": {"id": point.id, "name": point.name, "zone": point.zone, "utility": point.utility},
        "unit": unit_of_rate(point),
        "amount_unit": unit_of_amount(point),
        "bin_s": bin_of(point, _demand_s(rooms, point)),
        "offsets": offsets(first, last, point.zone),
        "periods": _periods(rooms, point, asked, some) if has_hours(point) else [],
    }


def _periods(
    rooms: Rooms, point: DataPoint, asked: Asked, spans: Sequence[Span]
) -> list[dict[str, Any]]:
    facts, zone = rooms.registry.facts().get(point.site_id), Zone.of(point.zone)
    now_ms = rooms.clock()
    bin_min = bin_of(point, _demand_s(rooms, point)) // 60
    found = []
    for days in spans:
        cells = _cells(rooms, point, days)
        from_ms, to_ms = days.ms(point.zone)
        hours = by_point(hourly(rooms.view, [point], from_ms, to_ms), point)
        begin_ms = max(from_ms, asked.extent.first_ms if asked.extent else from_ms)
        last_ms = asked.extent.last_ms if asked.extent else None
        elapsed = elapsed_ms(begin_ms, to_ms, now_ms, last_ms, point.gap_ms)
        curve = duration_curve(cells)
        found.append(
            {
                "name": days.name,
                "query": days.query(),
                "kinds": [
                    {
                        "kind": one.kind,
                        "days": one.days,
                        "amount": one.amount,
                        "spread": [nullable(row) for row in one.spread],
                    }
                    for one in typical_days(cells, bin_min, facts)
                ],
                "curve": {"hours": curve[0], "demand": curve[1]},
                "peaks": [
                    {**asdict(one), "day": one.day.isoformat()}
                    for one in peak_days(cells, facts)
                ],
                "figures": asdict(
                    figures_of(cells, hours.on_grid(from_ms, (to_ms - from_ms) // HOUR_MS), zone,
                               elapsed)
                ),
            }
        )  # fmt: skip
    return found


def _csv(request: Request) -> Response:
    point = point_of(request)
    found = _data(request)
    unit = found["unit"]
    head = [
        t("profile.csv_period"), t("profile.csv_kind"), t("profile.csv_days"),
        t("profile.csv_time"), *(f"{rank} % [{unit}]" for rank in RANKS),
    ]  # fmt: skip
    step = timedelta(seconds=found["bin_s"])
    rows = [
        [
            period["name"], one["kind"], one["days"], f"{column * step}"[:-3].rjust(5, "0"),
            *(row[column] for row in one["spread"]),
        ]
        for period in found["periods"]
        for one in period["kinds"]
        for column in range(len(one["spread"][0]))
    ]  # fmt: skip
    return csv_answer(f"{point.name} profile {read(request, point).span.first}", head, rows)


DOORS: tuple[Door, ...] = (
    Door("/profile/{point_id:number}", profile, Access.READ_POINT, tool="load_profile"),
    Door("/data/profile", profile_data, Access.READ_POINT, tool="load_profile"),
    Door("/data/profile.csv", profile_csv, Access.EXPORT_POINT, tool="export"),
)
