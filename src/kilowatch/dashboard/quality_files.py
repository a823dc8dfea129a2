"""Data quality as files: its gaps, and its table of data points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.periods import iso_local, local_day
from kilowatch.dashboard.places import chosen_points, readable, site_names
from kilowatch.dashboard.quality import ASKED, Row, fill, ranked, shown_gaps
from kilowatch.dashboard.quality_figures import SHARE_NAMES, unit_of
from kilowatch.dashboard.quality_periods import Chosen, chosen, days_ms
from kilowatch.dashboard.quality_totals import channel_of, parts_of, totals_of
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.gaps import Gap
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint

FILLED_TOGETHER = 500
"""Data points whose stored days are read at a time."""


async def gaps_csv(request: Request) -> Response:
    """Answer every gap of the year, month or day that the page is about."""
    return await run_in_threadpool(_gaps, request)


async def table_csv(request: Request) -> Response:
    """Answer the table of the page, in its order: every data point, not only one page of them."""
    return await run_in_threadpool(_table, request)


async def totals_csv(request: Request) -> Response:
    """Answer the totals of a data point by month of a year, or by day of a month."""
    return await run_in_threadpool(_totals, request)


def _totals(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    today = local_day(rooms.clock(), point.zone)
    period, code = chosen(asked_of(request, ASKED), today), channel_of(request, point)
    rows = totals_of(rooms, point, code, period)
    head = [t(f"quality_file.{word}") for word in ("first", "channel", "total", "across", "unit")]
    head += [t("quality_file.complete"), *(f"{t(f'share.{name}')} [%]" for name in SHARE_NAMES)]
    unit, name = unit_of(point, code), channel_name(code)
    return csv_answer(
        f"{point.name} totals {period.first} {period.last}",
        head,
        [
            [day.isoformat(), name, one.total, one.unallocated, unit,
             None if one.completeness is None else 100 * one.completeness,
             *(100 * one.shares[share] for share in SHARE_NAMES)]
            for day, one in parts_of(rooms, point, rows)
        ],
    )  # fmt: skip


def _asked(request: Request) -> tuple[list[DataPoint], Chosen, dict[str, str]]:
    """Return what the page shows of what may be exported: data points, period, and the question."""
    rooms, who = rooms_of(request), visit_of(request).person
    asked = asked_of(request, ASKED)
    mine = [p for p in readable(request, "data_quality") if may_export(who, p)]
    points = chosen_points(request, mine, asked)
    now_ms = rooms.clock()
    zones = {p.zone for p in points}
    today = max((local_day(now_ms, zone) for zone in zones), default=local_day(now_ms, "UTC"))
    return points, chosen(asked, today), asked


def _gaps(request: Request) -> Response:
    points, period, _ = _asked(request)
    zones = sorted({p.zone for p in points})
    first, last = (period.day, period.day) if period.day else (period.first, period.last)
    head = [t(f"gaps_file.{word}") for word in (
        "organisation", "site", "point", "stream", "from", "to", "missing", "state",
    )]  # fmt: skip
    spans = {zone: days_ms(first, last, zone) for zone in zones}
    return csv_answer(f"gaps {first} {last}", head, _rows(request, points, spans))


def _rows(
    request: Request, points: Sequence[DataPoint], spans: dict[str, tuple[int, int]]
) -> Iterator[list[object]]:
    """Yield the gaps of data points by site and name, within each zone's span [ms]."""
    rooms, names = rooms_of(request), site_names(request)
    gaps: dict[int, list[Gap]] = {}
    for zone, span in spans.items():
        gaps |= rooms.view.gaps_many([p for p in points if p.zone == zone], *span)
    unknown = ("", "")
    for point in sorted(
        points, key=lambda p: (*names.get(p.site_id, unknown)[::-1], p.name.casefold(), p.id)
    ):
        site, owner = names.get(point.site_id, unknown)
        for shown in shown_gaps(rooms, point, gaps.get(point.series, [])):
            gap = shown.gap
            yield [
                owner, site, point.name, point.stream_id, iso_local(gap.from_ms, point.zone),
                "" if gap.to_ms is None else iso_local(gap.to_ms, point.zone),
                gap.missing_ms / 1000, t(f"gap.{shown.state}"),
            ]  # fmt: skip


def _table(request: Request) -> Response:
    points, period, asked = _asked(request)
    rows = ranked(request, points, period, asked)
    head = [t(f"quality_file.{word}") for word in (
        "organisation", "site", "point", "stream", "first", "last", "since", "complete", "missing",
        "gaps", "estimated", "edited", "questionable", "findings",
    )]  # fmt: skip
    name = f"data quality {period.first} {period.last}"
    return csv_answer(name, head, _table_rows(rooms_of(request), rows, period))


def _table_rows(rooms: Rooms, rows: Sequence[Row], period: Chosen) -> Iterator[list[object]]:
    """Yield the rows of the table; shares in percent, nothing where nothing is known."""
    for at in range(0, len(rows), FILLED_TOGETHER):
        some = rows[at : at + FILLED_TOGETHER]
        fill(rooms, some, period)
        for row in some:
            known = row.summary if row.summary and row.summary.completeness is not None else None
            shares = [
                100 * known.shares[name] if known else None
                for name in ("estimated", "edited", "questionable")
            ]
            yield [
                row.organisation, row.site, row.point.name, row.point.stream_id,
                period.first.isoformat(), period.last.isoformat(),
                row.begun.isoformat() if row.begun else "",
                100 * known.completeness if known else None,  # type: ignore[operator]
                row.gaps.missing_ms / 1000, row.gaps.gaps, *shares, row.findings,
            ]  # fmt: skip


DOORS: tuple[Door, ...] = (
    Door("/quality/{point_id:number}/totals.csv", totals_csv, Access.EXPORT_POINT, tool="export"),
    Door("/data/gaps.csv", gaps_csv, Access.EXPORT_SOMEWHERE, tool="export"),
    Door("/data/quality.csv", table_csv, Access.EXPORT_SOMEWHERE, tool="export"),
)
