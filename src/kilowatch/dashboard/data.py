"""The data endpoints behind Breakdown: the series (``answer.py`` documents it), days, a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import comments
from kilowatch.dashboard.answer import Sources, series_answer
from kilowatch.dashboard.behind import sources_told
from kilowatch.dashboard.chart_files import safe_cell
from kilowatch.dashboard.periods import bounds, iso_local, midnight_ms
from kilowatch.dashboard.places import readable, site_names
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.model.blocks import Quality
from kilowatch.model.errors import KilowatchError

OFFERED_MAX = 25
"""Data points offered to compare with; who types more of a name finds theirs among them."""


def json_answer(body: Any) -> Response:
    """Return JSON with numbers at full precision; NaN cannot slip in as a number."""
    return Response(msgspec.json.encode(body), media_type="application/json")


async def series(request: Request) -> Response:
    """Answer ``/data/series``; its shape stands in ``answer.py``."""
    return json_answer(await run_in_threadpool(_series, request))


async def points(request: Request) -> Response:
    """Answer up to ``OFFERED_MAX`` data points to compare with, those of the same site first.

    Query: ``point``, and ``q``, words that name, site or stream id have. Answer:
    ``{"points": [{"id": 7, "label": "Gas boiler, Office Dublin"}]}``.
    """
    return json_answer(await run_in_threadpool(_points, request))


async def days(request: Request) -> Response:
    """Answer the local days of ``month=2026-11`` that have data: ``{"days": [...]}``."""
    return json_answer(await run_in_threadpool(_days, request))


async def series_csv(request: Request) -> Response:
    """Answer the same figures as a file: one row for each bucket, full precision."""
    found, said = await run_in_threadpool(_series_and_comments, request)
    state = found["state"]
    name = re.sub(r"[^A-Za-z0-9]+", "-", found["point"]["name"]).strip("-").lower() or "data"
    attachment = f'attachment; filename="{name}-{state["date"]}-{state["grain"]}.csv"'
    return Response(
        csv_of(found, said),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": attachment},
    )


def csv_of(found: dict[str, Any], said: Sequence[tuple[int, int, str]] = ()) -> str:
    """Write an answer as CSV: local start and end, then each channel's columns.

    Args:
        found: What ``/data/series`` answers.
        said: Comments as start, end [ms] and text; each stands in every row that it touches.
    """
    columns = _columns(found["channels"])
    if found["compare"] is not None:
        columns += _columns(found["compare"]["channels"], compared_with(found["compare"]))
    own = {
        start: duration
        for channel in found["channels"]
        for start, duration in zip(channel["start_ms"], channel["duration_ms"], strict=True)
    }
    other = {
        start: duration
        for channel in (found["compare"] or {"channels": []})["channels"]
        for start, duration in zip(channel["start_ms"], channel["duration_ms"], strict=True)
        if start >= 0
    }
    spans = sorted({**other, **own}.items())
    zone = found["point"]["zone"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(
        [
            "start",
            "end",
            *(title for title, _ in columns),
            "covered",
            "quality",
            *(["comments"] if said else []),
        ]
    )
    first = {
        start: (covered / duration, Quality(quality).name.lower())
        for channel in reversed(found["channels"])
        for start, duration, covered, quality in zip(
            channel["start_ms"],
            channel["duration_ms"],
            channel["covered_ms"],
            channel["quality"],
            strict=True,
        )
    }
    for start, duration in spans:
        values = [by_start.get(start) for _, by_start in columns]
        row = ["" if value is None else repr(value) for value in values]
        covered, quality = first.get(start, (0.0, ""))
        ends = (iso_local(start, zone), iso_local(start + duration, zone))
        notes = [text for begin, end, text in said if begin < start + duration and end >= start]
        told = [safe_cell("; ".join(notes))] if said else []
        writer.writerow([*ends, *row, f"{covered:.6g}", quality, *told])
    return text.getvalue()


def compared_with(compare: dict[str, Any]) -> str:
    """Return what a comparison is with, for the head of a column."""
    if compare["kind"] == "point":
        return f"{compare['point']['name']}: "
    days = compare["window"]
    return f"{days['first']} to {days['last']}: "


def _columns(
    channels: list[dict[str, Any]], prefix: str = ""
) -> list[tuple[str, dict[int, float | None]]]:
    found = []
    for channel in channels:
        amounts = channel["measure"] == "amount"
        keys = ("amount", "unallocated") if amounts else ("mean", "low", "high")
        for key in keys:
            unit = f" [{channel['unit']}]" if channel["unit"] else ""
            title = f"{prefix}{channel['channel']} {key}{unit}"
            found.append((title, dict(zip(channel["start_ms"], channel[key], strict=True))))
    return found


def _series_and_comments(
    request: Request,
) -> tuple[dict[str, Any], list[tuple[int, int, str]]]:
    found, point = _series(request), point_of(request)
    window = found["window"]
    with rooms_of(request).registry.catalog.reading() as session:
        rows = comments.of_point(session, point.id, window["from_ms"], window["to_ms"])
        return found, [(row.start_ms, row.end_ms, f"{row.created_by}: {row.text}") for row in rows]


def _series(request: Request) -> dict[str, Any]:
    rooms, who = rooms_of(request), visit_of(request).person
    sources = Sources(
        rooms.view,
        rooms.settings,
        rooms.clock(),
        other=lambda number: rooms.registry.point(who, number),
        facts=lambda site: rooms.registry.facts().get(site),
        demands=rooms.demands,
    )
    point = point_of(request)
    told = sources_told(request, [point])
    return series_answer(sources, point, request.query_params) | {"sources": told}


def _points(request: Request) -> dict[str, Any]:
    point = point_of(request)
    words = request.query_params.get("q", "")[:100].casefold().replace(",", " ").split()
    names = site_names(request)
    found = [
        (one.site_id != point.site_id, f"{one.name}, {names[one.site_id][0]}", one.id)
        for one in readable(request, "breakdown")
        if one.id != point.id and one.site_id in names
        for text in (f"{one.name} {one.stream_id} {names[one.site_id][0]}".casefold(),)
        if all(word in text for word in words)
    ]
    return {"points": [{"id": number, "label": label}
                       for _, label, number in sorted(found)[:OFFERED_MAX]]}  # fmt: skip


def asked_month(request: Request) -> tuple[date, date]:
    """Read ``month=2026-11`` of an address; returns its first and last day.

    Raises:
        KilowatchError: 400 ``bad_month``.
    """
    text = request.query_params.get("month", "")
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) or not "1971" <= text <= "2101":
        raise KilowatchError(
            "bad_month", f"{text!r} is not a month.", remedy="Write it like 2026-11."
        )
    return bounds("month", date.fromisoformat(f"{text}-01"))


def _days(request: Request) -> dict[str, Any]:
    first, last = asked_month(request)
    rooms, point = rooms_of(request), point_of(request)
    from_ms = midnight_ms(first, point.zone)
    to_ms = midnight_ms(last + timedelta(1), point.zone)
    found = rooms.view.days_with_data(point, from_ms, to_ms)
    return {"days": [day.isoformat() for day in found if first <= day <= last]}
