"""Heat map: days by time of day of any parameter, for a year; a click leads to the day.

``/data/heatmap`` answers what is drawn. Query: ``point`` and, all optional, ``channel``, ``period``
(``month``, ``year``, ``12m``, ``custom``), ``date``, ``until`` and ``bin`` (minutes). Answer::

    point    id, name, zone, utility; sources: the same as ``behind.py`` names it
    window   first, last (local days), name, from_ms, to_ms, offsets, begin_ms (first data),
             until_ms (what is later has not passed)
    channel  name, parameter, apart (one phase of several), title, unit (of what is drawn),
             amount_unit ("" for gauges), bin_s
    days     day (ISO dates), start_ms, values: for each day one value for each bin, null where
             less than half of it was measured; null in place of the row on days of ``turns``
    turns    for days on which clocks change, by index: cells of top and bottom [min from
             midnight], start_ms, value and whether the hour comes for the second time;
             skipped: pairs of minutes that the day does not have
    marks    by index: "weekend", or what a closed day or public holiday is called
    scale    kind, low, middle, high, highest, lowest; null where nothing is known
    facts    total, mean, highest and lowest with their cell's start, complete, shares (of the known
             time by quality), cells (that have passed) and known (of them), known_since (the first
             packet's day where that is later than the first day: complete is of the time since)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.behind import shares_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.chart_period import Span
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.drawn import means_of
from kilowatch.dashboard.figures import figures
from kilowatch.dashboard.heat_cells import Cells, cells_of, changing_days, scale_of, skipped
from kilowatch.dashboard.heat_choices import (
    BINS_MIN,
    Choice,
    bin_min_of,
    choice_of,
    choices_of,
    grouped,
)
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import Grain, iso_local, offsets
from kilowatch.dashboard.point_chart import (
    PointDays,
    export_href,
    point_days,
    point_page,
    point_told,
)
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.lengths import HOUR_S
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone

ASKED = ("channel", "period", "date", "until", "bin")
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for, with every choice filled in."""

    days: PointDays
    choice: Choice | None
    choices: Sequence[Choice]
    bin_min: int
    bins: Sequence[int]

    @property
    def span(self) -> Span:
        """The days."""
        return self.days.span

    @property
    def query(self) -> dict[str, str]:
        """The address, without the data point."""
        channel = {"channel": self.choice.name} if self.choice else {}
        return channel | {"bin": str(self.bin_min)} | self.span.query()


async def heatmap(request: Request) -> Response:
    """Show the frame; what is in it comes from ``/data/heatmap``."""
    return await run_in_threadpool(_heatmap, request)


async def heatmap_data(request: Request) -> Response:
    """Answer ``/data/heatmap``; its shape stands at the top of this module."""
    return json_answer(await run_in_threadpool(_data, request))


async def heatmap_csv(request: Request) -> Response:
    """Answer the cells as a file: local start and end, value, measured share."""
    return await run_in_threadpool(_csv, request)


def _heatmap(request: Request) -> Response:
    asked = read(request, point_of(request))
    context = {
        "page": "heat_map",
        "asked": asked,
        "groups": grouped(asked.choices),
        "export_href": _export_href(asked),
    }
    return point_page(request, "heatmap.html", asked.days, asked.query, context)


def read(request: Request, point: DataPoint) -> Asked:
    """Read an address.

    Raises:
        KilowatchError: 400 ``bad_period``, ``bad_date``, ``bad_channel`` or ``bad_bin``.
    """
    rooms, query = rooms_of(request), asked_of(request, ASKED)
    days = point_days(rooms, point, query)
    choices = choices_of(point, rooms.view.channels(point) if days.extent else [])
    bins = tuple(one for one in BINS_MIN if one * 60 >= point.interval_s)
    return Asked(
        days,
        choice_of(choices, query["channel"]),
        choices,
        bin_min_of(bins, query["bin"], days.span.days, point.interval_s),
        bins,
    )


def _export_href(asked: Asked) -> str:
    """Return where what is drawn is exported: the same parameter, days and length of a cell."""
    grain = "hour" if asked.bin_min * 60 == HOUR_S else f"{asked.bin_min}m"
    more = {"grain": grain}
    if asked.choice:
        total = asked.choice.parameter.total
        more["parameter"] = asked.choice.name if total is None else channel_name(total)
        if asked.choice.apart:
            more["phases"] = "apart"
    return export_href([f"p{asked.days.point.id}"], asked.span, **more)


def _cells(rooms: Rooms, asked: Asked) -> tuple[Cells, IntervalBlock]:
    """Read the cells; no row where the data point has no data, or intervals above an hour."""
    assert asked.choice is not None
    point, (from_ms, to_ms) = asked.days.point, asked.days.ms
    bin_s = asked.bin_min * 60
    rows = IntervalBlock.empty()
    if asked.days.extent and asked.bins:
        rows = read_bins(rooms.view, point, asked.choice.code, (from_ms, to_ms), bin_s)
    zone = Zone.of(point.zone)
    return cells_of(rows, from_ms, to_ms, bin_s, zone, amounts=asked.choice.amounts), rows


def read_bins(
    view: View, point: DataPoint, code: int, period: tuple[int, int], bin_s: int
) -> IntervalBlock:
    """Return buckets of one channel, of hours where they are asked for: those are stored."""
    grain: Grain = "hour" if bin_s == HOUR_S else bin_s
    return view.series(point, [code], *period, grain)


def _data(request: Request) -> dict[str, Any]:
    rooms, point = rooms_of(request), point_of(request)
    asked = read(request, point)
    days = asked.days
    from_ms, to_ms = days.ms
    head = {
        **point_told(request, point),
        "window": {
            "first": asked.span.first.isoformat(),
            "last": asked.span.last.isoformat(),
            "name": asked.span.name,
            "from_ms": from_ms,
            "to_ms": to_ms,
            "offsets": offsets(from_ms, to_ms, point.zone),
            "begin_ms": days.extent.first_ms if days.extent else to_ms,
            "until_ms": days.until_ms,
        },
    }
    if asked.choice is None or not asked.bins:
        return head | {"channel": None, "days": None}
    cells, rows = _cells(rooms, asked)
    return head | {
        "channel": {
            "name": asked.choice.name,
            "parameter": asked.choice.parameter.name,
            "apart": asked.choice.apart,
            "title": asked.choice.title,
            "unit": asked.choice.unit,
            "amount_unit": asked.choice.parameter.unit if asked.choice.amounts else "",
            "bin_s": asked.bin_min * 60,
        },
        "days": _days(cells, asked, from_ms, to_ms, point),
        "turns": _turns(cells, asked, from_ms, to_ms, point),
        "marks": marks_of(asked.span, rooms.registry.facts().get(point.site_id)),
        "scale": _scale(cells, asked.choice),
        "facts": _facts(rooms, cells, rows, asked),
    }


def _days(
    cells: Cells, asked: Asked, from_ms: int, to_ms: int, point: DataPoint
) -> dict[str, list[Any]]:
    zone = Zone.of(point.zone)
    turning = set(changing_days(from_ms, to_ms, zone))
    first = (asked.span.first - EPOCH).days
    size = 24 * 60 // asked.bin_min
    numbers = list(range(first, first + asked.span.days))
    begins = np.searchsorted(cells.day, numbers)
    plain = rounded(cells.value)
    nothing = [None] * size  # a day that a zone has skipped
    values = []
    for number, begin in zip(numbers, begins.tolist(), strict=True):
        row = plain[begin : begin + size]
        whole = len(row) == size and begin < len(cells.day) and cells.day[begin] == number
        values.append(None if number in turning else row if whole else nothing)
    return {
        "day": [(EPOCH + timedelta(number)).isoformat() for number in numbers],
        "start_ms": cells.start_ms[np.minimum(begins, len(cells.day) - 1)].tolist(),
        "values": values,
    }


def _turns(
    cells: Cells, asked: Asked, from_ms: int, to_ms: int, point: DataPoint
) -> dict[str, dict[str, Any]]:
    zone = Zone.of(point.zone)
    first = (asked.span.first - EPOCH).days
    found = {}
    for number in changing_days(from_ms, to_ms, zone):
        mine = np.flatnonzero(cells.day == number)
        found[str(number - first)] = {
            "top": cells.top[mine].tolist(),
            "bottom": cells.bottom[mine].tolist(),
            "start_ms": cells.start_ms[mine].tolist(),
            "end_ms": cells.end_ms[mine].tolist(),
            "again": cells.again[mine].tolist(),
            "values": rounded(cells.value[mine]),
            "skipped": skipped(number, zone),
        }
    return found


def marks_of(days: Span, facts: SiteFacts | None) -> dict[str, str]:
    """Return weekends, closed days and public holidays of a period, by the day's index."""
    found = {}
    for number in range(days.days):
        day = days.first + timedelta(number)
        if facts is not None and facts.closed(day):
            found[str(number)] = facts.closed_as(day)
        elif day.weekday() >= 5:
            found[str(number)] = "weekend"
    return found


def _scale(cells: Cells, choice: Choice) -> dict[str, Any] | None:
    found = scale_of(cells.value, choice.unit)
    return asdict(found) if found else None


def _facts(rooms: Rooms, cells: Cells, rows: IntervalBlock, asked: Asked) -> dict[str, Any]:
    assert asked.choice is not None
    days = asked.days
    measure = asked.choice.parameter.measure
    code = asked.choice.code
    means = means_of(rooms.view, days.point, [code], *days.ms) if len(rows) else {}
    until_ms = days.begin_ms + days.elapsed
    found = figures(rows, measure, days.elapsed, until_ms, means.get(code))
    passed = (cells.end_ms > days.begin_ms) & (cells.start_ms < days.begin_ms + days.elapsed)
    known = np.flatnonzero(np.isfinite(cells.value))
    high = int(known[np.argmax(cells.value[known])]) if len(known) else None
    low = int(known[np.argmin(cells.value[known])]) if len(known) else None
    return {
        "total": found.total,
        "unallocated": found.unallocated,
        "mean": found.mean,
        "complete": found.complete,
        "known_since": days.known_since,
        "shares": shares_of(rows),
        "cells": int(passed.sum()),
        "known": len(known),
        "high": None if high is None else float(cells.value[high]),
        "high_ms": None if high is None else int(cells.start_ms[high]),
        "low": None if low is None else float(cells.value[low]),
        "low_ms": None if low is None else int(cells.start_ms[low]),
    }


def rounded(values: Floats, digits: int = 5) -> list[float | None]:
    """Return numbers with as many significant digits, for a picture; null where not known."""
    known = np.isfinite(values)
    size = np.abs(np.where(known & (values != 0), values, 1.0))
    step = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    short = np.round(np.where(known, values, 0.0) * step) / step
    return [
        one if there else None for one, there in zip(short.tolist(), known.tolist(), strict=True)
    ]


def _csv(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    asked = read(request, point)
    if asked.choice is None:
        return csv_answer(point.name, ["start", "end", "covered"], [])
    cells, _ = _cells(rooms, asked)
    unit = f" [{asked.choice.unit}]" if asked.choice.unit else ""
    title = t("heat.csv_mean", name=asked.choice.title) + unit
    rows = [
        [
            iso_local(start, point.zone),
            iso_local(end, point.zone),
            value,
            f"{covered:.6g}",
        ]
        for start, end, value, covered in zip(
            cells.start_ms.tolist(),
            cells.end_ms.tolist(),
            cells.value.tolist(),
            cells.covered.tolist(),
            strict=True,
        )
    ]
    name = f"{point.name} {asked.choice.name} {asked.span.first} {asked.bin_min}min"
    return csv_answer(name, ["start", "end", title, "covered"], rows)


DOORS: tuple[Door, ...] = (
    Door("/heatmap/{point_id:number}", heatmap, Access.READ_POINT, tool="heat_map"),
    Door("/data/heatmap", heatmap_data, Access.READ_POINT, tool="heat_map"),
    Door("/data/heatmap.csv", heatmap_csv, Access.EXPORT_POINT, tool="export"),
)
