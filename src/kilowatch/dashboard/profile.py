"""Load profile: typical days, the load duration curve, the peak days, and two periods compared.

``/data/profile`` answers what is drawn. Query: ``point`` and, all optional, ``period`` (``month``,
``year``, ``12m``, ``custom``), ``date``, ``until`` and ``against`` (``none``, ``before``,
``year``). Answer::

    point    id, name, zone, utility; sources: the same as ``behind.py`` names it
    unit, amount_unit ("" for gauges), bin_s, offsets
    periods  one or two, that asked for first: name, query, kinds (kind, days, amount, spread:
             10, 25, 50, 75 and 90 % for each time of day), curve (hours and demand), peaks (day,
             kind, demand, start_ms), figures, shares (of the known time by quality), cells (demand
             periods that have passed) and known (of them)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.behind import shares_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.chart_period import ROLLING, Span, span
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.demand import demand_length_s
from kilowatch.dashboard.heat_cells import Cells, cells_of
from kilowatch.dashboard.heatmap import read_bins
from kilowatch.dashboard.hourly import (
    by_point,
    has_hours,
    hourly,
    nullable,
    unit_of_amount,
    unit_of_rate,
)
from kilowatch.dashboard.periods import offsets
from kilowatch.dashboard.point_chart import (
    PERIODS,
    PointDays,
    export_href,
    point_days,
    point_page,
    point_told,
)
from kilowatch.dashboard.profile_figures import (
    RANKS,
    duration_curve,
    figures_of,
    peak_days,
    typical_days,
)
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import HOUR_MS, HOUR_S
from kilowatch.model.parameters import VALUE
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.statistics import COVERED_ENOUGH
from kilowatch.pipeline.tree_eras import counted_of

ASKED = ("period", "date", "until", "against")
AGAINST = ("none", "before", "year")
YEAR_DAYS = 364
"""A year back in whole weeks, for days that are no calendar month or year."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for, with every choice filled in."""

    days: PointDays
    against: str
    other: Span | None

    @property
    def span(self) -> Span:
        """The days."""
        return self.days.span

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
    point = point_of(request)
    asked = read(request, point)
    context = {
        "page": "load_profile",
        "asked": asked,
        "against": AGAINST,
        "drawable": has_hours(point),
        "export_href": export_href(
            [f"p{point.id}"], asked.span, grain=_grain(rooms_of(request), point)
        ),
    }
    return point_page(request, "profile.html", asked.days, asked.query, context)


def _grain(rooms: Rooms, point: DataPoint) -> str:
    """Return the word that Export has for the length of a demand period."""
    return {900: "15m", 1800: "30m"}.get(bin_of(point, _demand_s(rooms, point)), "hour")


def read(request: Request, point: DataPoint) -> Asked:
    """Read an address.

    Raises:
        KilowatchError: 400 ``bad_period``, ``bad_date`` or ``bad_against``.
    """
    query = asked_of(request, ASKED)
    days = point_days(rooms_of(request), point, query)
    against = query["against"] or "none"
    if against not in AGAINST:
        raise KilowatchError(
            "bad_against", f"{against!r} is nothing to compare with.", remedy="Use before or year."
        )
    return Asked(days, against, other_span(days.span, against))


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
    return demand_length_s(rooms.registry.facts().get(point.site_id), rooms.settings)


def _cells(rooms: Rooms, days: PointDays) -> tuple[Cells, IntervalBlock]:
    point, (from_ms, to_ms) = days.point, days.ms
    bin_s = bin_of(point, _demand_s(rooms, point))
    counted = counted_of(point)
    code = counted[0] if counted else VALUE
    rows = read_bins(rooms.view, point, code, (from_ms, to_ms), bin_s)
    found = cells_of(
        rows, from_ms, to_ms, bin_s, Zone.of(point.zone),
        amounts=counted is not None, least=COVERED_ENOUGH,
    )  # fmt: skip
    return found, rows


def _data(request: Request) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    asked = read(request, point)
    some = [asked.span, asked.other] if asked.other else [asked.span]
    spans = [one.ms(point.zone) for one in some]
    first, last = min(one[0] for one in spans), max(one[1] for one in spans)
    return {
        **point_told(request, point),
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
    bin_min = bin_of(point, _demand_s(rooms, point)) // 60
    found = []
    for one_span in spans:
        days = asked.days.of(one_span)
        cells, rows = _cells(rooms, days)
        from_ms, to_ms = days.ms
        hours = by_point(hourly(rooms.view, [point], from_ms, to_ms), point)
        elapsed = days.elapsed
        passed = (cells.end_ms > days.begin_ms) & (cells.start_ms < days.begin_ms + elapsed)
        curve = duration_curve(cells)
        found.append(
            {
                "name": one_span.name,
                "query": one_span.query(),
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
                "shares": shares_of(rows),
                "known_since": days.known_since,
                "cells": int(passed.sum()),
                "known": int(np.isfinite(cells.value).sum()),
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
