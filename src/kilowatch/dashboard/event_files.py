"""What the page of an electrical event draws, as a file: its voltages, currents, or sums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.event_evidence import window
from kilowatch.dashboard.event_page import PATH, event_of, hours_query
from kilowatch.dashboard.event_quantity import quantity
from kilowatch.dashboard.periods import iso_local, local_day
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.words import t


async def quantity_csv(request: Request) -> Response:
    """Answer the lines of the first picture of an electrical event, an interval a row."""
    return await run_in_threadpool(_quantity, request)


def _quantity(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    if not has_tool(visit_of(request).person, "sentinel", point.organisation_id):
        raise not_found()
    found, now_ms = event_of(request), rooms.clock()
    span = window(found.start_ms, found.end_ms, point.zone, now_ms)
    drawn = quantity(rooms.view, point, found, span, now_ms, [])
    if drawn is None:  # it is seen by its hours, which have a file of their own
        hours = hours_query(point, found, now_ms)
        return RedirectResponse(f"/data/hours.csv?{hours}", status_code=303)
    lines, unit = drawn["lines"], f" [{drawn['unit']}]" if drawn["unit"] else ""
    heads = [f"{line['name']}{word}{unit}" for line in lines for _, word in _columns(line)]
    head = [t("files.begin"), t("files.end"), *heads]
    first, last = (local_day(at_ms, point.zone) for at_ms in (span[0], span[1] - 1))
    name = f"{point.name} {t(f'event.quantity.{found.kind}')} {first} {last}"
    return csv_answer(name, head, _rows(lines, drawn["step_ms"], point.zone))


def _columns(line: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a line has values of, and the words for it: hours have extremes as well."""
    columns = [("value", "")]
    if "low" in line:
        columns += [(name, f" {t(f'files.{name}')}") for name in ("low", "high")]
    return columns


def _rows(lines: list[dict[str, Any]], step_ms: int, zone: str) -> Iterator[list[object]]:
    """Yield the intervals of which anything is known; nothing where a line has no value."""
    values = [
        dict(zip(line["start"], line[name], strict=True))
        for line in lines
        for name, _ in _columns(line)
    ]
    for at_ms in sorted({at_ms for column in values for at_ms in column}):
        cells = [column.get(at_ms) for column in values]
        yield [iso_local(at_ms, zone), iso_local(at_ms + step_ms, zone), *cells]


DOORS: tuple[Door, ...] = (
    Door(f"{PATH}/quantity.csv", quantity_csv, Access.EXPORT_POINT, tool="export"),
)
