"""Totals of a data point by month or day, and the intervals of one day, with what they rest on."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.drawn import means_of
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality_figures import (
    NAMES,
    Summary,
    channels_to_choose,
    elapsed_of,
    headline,
    is_ratio,
    percent,
    summary,
    unit_of,
)
from kilowatch.dashboard.quality_forms import form_href
from kilowatch.dashboard.quality_periods import Chosen, day_text, days_ms, local_text, month_name
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint

INTERVALS_MAX = 1_500  # a day of minutes; finer than that nobody edits by hand


def channel_of(request: Request, point: DataPoint) -> int:
    """Return the channel of which totals are asked for; the first one where none is named."""
    rooms = rooms_of(request)
    codes = rooms.view.channels(point)
    wanted = request.query_params.get("channel", "")
    return next((code for code in codes if channel_name(code) == wanted), headline(codes))


def totals_file(request: Request, point: DataPoint, period: Chosen) -> str:
    """Return where the totals are as a file; "" for who may take nothing along."""
    if not may_export(visit_of(request).person, point):
        return ""
    days = {"year": period.year} | ({"month": period.month} if period.month else {})
    asked = days | {"channel": channel_name(channel_of(request, point))}
    return f"/quality/{point.id}/totals.csv?{urlencode(asked)}"


def totals_of(rooms: Rooms, point: DataPoint, code: int, period: Chosen) -> IntervalBlock:
    """Return a channel by month of a year, or by day of a month."""
    bounds = period.bounds_ms(point.zone)
    return rooms.view.series(point, [code], *bounds, "day" if period.month else "month")


def parts_of(rooms: Rooms, point: DataPoint, rows: IntervalBlock) -> list[tuple[date, Summary]]:
    """Return each day or month of some rows with what it comes to and rests on.

    Args:
        rooms: What the dashboard is made of.
        point: Whose.
        rows: Days or months of one channel, in order.
    """
    now_ms, found = rooms.clock(), []
    for at in range(len(rows)):
        row = rows.take(slice(at, at + 1))
        start_ms = int(row.start_ms[0])
        span = (start_ms, start_ms + int(row.duration_ms[0]))
        one = summary(row, elapsed_of(rooms.view, point, span, now_ms))
        found.append((local_day(start_ms, point.zone), one))
    return found


def totals(request: Request, point: DataPoint, period: Chosen) -> dict[str, Any]:
    """Return totals by month of a year, or by day of a month, and of all of it."""
    rooms, code = rooms_of(request), channel_of(request, point)
    from_ms, to_ms = period.bounds_ms(point.zone)
    rows = totals_of(rooms, point, code, period)
    now_ms, unit = rooms.clock(), unit_of(point, code)
    parts = [
        {
            "name": str(day) if period.month else month_name(day.month),
            "day": day if period.month else None,
            "month": str(day.month),
            **_told(one),
        }
        for day, one in parts_of(rooms, point, rows)
    ]
    elapsed = elapsed_of(rooms.view, point, (from_ms, to_ms), now_ms)
    whole = summary(rows, elapsed, means_of(rooms.view, point, [code], from_ms, to_ms).get(code))
    return {
        "unit": unit,
        "channel": channel_name(code),
        "channels": channels_to_choose(rooms.view, point),
        "rows": parts,
        "whole": _told(whole),
        "mean": bool(len(rows)) and not np.isfinite(rows.amount).any() and not whole.unallocated,
    }


def _told(one: Any) -> dict[str, Any]:
    return {
        "total": one.total,
        "unallocated": one.unallocated,
        "complete": percent(one.completeness),
        "shares": {name: percent(share) if share else "" for name, share in one.shares.items()},
    }


def intervals(request: Request, point: DataPoint, period: Chosen) -> dict[str, Any]:
    """Return the intervals of a day, with what is missing between them."""
    rooms, code = rooms_of(request), channel_of(request, point)
    assert period.day is not None
    from_ms, to_ms = days_ms(period.day, period.day, point.zone)
    rows = rooms.view.series(point, [code], from_ms, to_ms, "interval")
    return {
        "day": period.day,
        "name": day_text(period.day),
        "channel": channel_name(code),
        "unit": unit_of(point, code),
        "more": max(len(rows) - INTERVALS_MAX, 0),
        "editable": not is_ratio(code),
        "rows": _interval_rows(rows.take(slice(INTERVALS_MAX)), point, code, (from_ms, to_ms)),
    }


def _interval_rows(
    rows: IntervalBlock, point: DataPoint, code: int, span: tuple[int, int]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    reached_ms = span[0]
    for at in range(len(rows)):
        start_ms, duration_ms = int(rows.start_ms[at]), int(rows.duration_ms[at])
        if start_ms > reached_ms:
            found.append(_hole(point, code, reached_ms, start_ms))
        amount, mean = float(rows.amount[at]), float(rows.mean[at])
        unallocated = float(rows.unallocated[at])
        quality = Quality(int(rows.quality[at]))
        value = amount if np.isfinite(amount) else mean
        end_ms = start_ms + duration_ms
        found.append(
            {
                "begin": local_text(start_ms, point.zone),
                "value": value if np.isfinite(value) else None,
                "unallocated": unallocated if np.isfinite(unallocated) and unallocated else None,
                "quality": NAMES.get(quality, ""),
                "hole": False,
                "edit": _edit(point, code, start_ms, end_ms),
            }
        )
        reached_ms = max(reached_ms, end_ms)
    return found


def _hole(point: DataPoint, code: int, from_ms: int, to_ms: int) -> dict[str, Any]:
    return {
        "begin": f"{local_text(from_ms, point.zone)} – {local_text(to_ms, point.zone)}",
        "value": None,
        "unallocated": None,
        "quality": "",
        "hole": True,
        "edit": _edit(point, code, from_ms, to_ms),
    }


def _edit(point: DataPoint, code: int, from_ms: int, to_ms: int) -> str:
    about = {"from_ms": from_ms, "to_ms": to_ms, "channel": channel_name(code)}
    return form_href(point, "correct", kind="edit", **about)
