"""Data quality of everything that a person may read: a calendar of gaps, and a ranked table.

All of it comes from memory but the completeness of the data points on the page that is shown,
which is read from stored days: ten thousand data points are a glance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import Paged, asked_of, paged
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.places import chosen_points, places_of, readable, site_names
from kilowatch.dashboard.quality_figures import Summary, percent, summaries
from kilowatch.dashboard.quality_periods import (
    Chosen,
    Hrefs,
    chosen,
    counted,
    day_text,
    days_ms,
    local_text,
    lost_text,
    month_name,
    months_of,
    words_of,
)
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.gaps import Gap, GapDay, PointGaps, gap_state
from kilowatch.model.points import DataPoint

NO_GAPS = PointGaps(0, 0)
YEARS_SHOWN = 6
ASKED = ("place", "q", "sort", "year", "month", "day")
STATE_BADGES = {"open": "bad", "notified": "bad", "found": "late", "filled": "good"}
"""Colours of a gap's state, always beside its word."""


@dataclass(slots=True)
class Row:
    """A data point of the ranked table."""

    point: DataPoint
    site: str
    organisation: str
    gaps: PointGaps
    findings: int
    summary: Summary | None = None
    begun: date | None = None

    @property
    def lost(self) -> str:
        """Its lost time in words."""
        return lost_text(self.gaps.missing_ms) if self.gaps.gaps else ""

    @property
    def complete(self) -> str:
        """Its completeness as text."""
        return percent(self.summary.completeness) if self.summary else percent(None)

    def share(self, name: str) -> str:
        """Return the share of a quality as text; empty for none."""
        share = self.summary.shares[name] if self.summary else 0.0
        return percent(share) if share else ""


ORDERS: dict[str, Callable[[Row], Any]] = {
    "lost": lambda r: (-r.gaps.missing_ms, -r.findings, r.point.name.casefold(), r.point.id),
    "gaps": lambda r: (-r.gaps.gaps, r.point.name.casefold(), r.point.id),
    "findings": lambda r: (-r.findings, r.point.name.casefold(), r.point.id),
    "name": lambda r: (r.organisation, r.site, r.point.name.casefold(), r.point.id),
}
"""How the table is ranked; the first is what it opens with."""


@dataclass(frozen=True, slots=True)
class ShownGap:
    """A gap in words.

    Attributes:
        gap: The gap.
        point: Whose.
        state: Where it stands.
        begin: The packet before it, on the site's clock.
        end: The packet after it; empty while none has come.
        lost: Time without data.
    """

    gap: Gap
    point: DataPoint
    state: str
    begin: str
    end: str
    lost: str

    @property
    def badge(self) -> str:
        """Class of its badge."""
        return STATE_BADGES.get(self.state, "")


async def overview(request: Request) -> Response:
    """Show the gaps of everything that the person may read."""
    return await run_in_threadpool(_overview, request)


def _overview(request: Request) -> Response:
    rooms = rooms_of(request)
    now_ms = rooms.clock()
    asked = asked_of(request, ASKED)
    everything = readable(request, "data_quality")
    points = chosen_points(request, everything, asked)
    # A day begins at the same time of the clock everywhere: the site that is first has it first.
    today = max((local_day(now_ms, zone) for zone in {p.zone for p in points}), default=None)
    today = today or local_day(now_ms, "UTC")
    period = chosen(asked, today)
    table, busy = _table(request, points, period, asked)
    context = {
        "period": period,
        "asked": asked,
        "years": [str(today.year - back) for back in range(YEARS_SHOWN)],
        "month_names": [(str(number), month_name(number)) for number in range(1, 13)],
        "places": places_of(request, everything),
        "several": len({p.organisation_id for p in everything}) > 1,
        "count": len(points),
        "registered": bool(everything),
        "calendar": calendar_of(rooms, points, period, today, _hrefs(asked)),
        "day": _day(request, points, period) if period.day else None,
        "table": table,
        "busy": busy,
        "exports": any(may_export(visit_of(request).person, p) for p in points),
        "query": urlencode({name: word for name, word in asked.items() if word}),
        "now_ms": now_ms,
    }
    return page(request, "quality.html", [{"name": t("nav.quality")}], context)


def _hrefs(asked: dict[str, str]) -> Hrefs:
    def href(anchor: str, **changes: str) -> str:
        query = {**asked, **changes}
        text = urlencode({name: word for name, word in query.items() if word})
        return f"/quality{'?' if text else ''}{text}{anchor}"

    return Hrefs(
        lambda number: href("", month=str(number), day=""),
        lambda day: href("#day", day=day.isoformat(), year=str(day.year)),
    )


def calendar_of(
    rooms: Rooms, points: Sequence[DataPoint], period: Chosen, today: date, hrefs: Hrefs
) -> dict[str, Any]:
    """Return a year of gaps as the template draws it, with its days as a table.

    Args:
        rooms: Where gaps are asked for.
        points: Whose gaps.
        period: Which year.
        today: Later days have not been yet.
        hrefs: Where days and months lead.
    """
    spans = [period.year_ms(zone) for zone in {p.zone for p in points}]
    found: list[GapDay] = []
    if spans:
        from_ms, to_ms = min(span[0] for span in spans), max(span[1] for span in spans)
        days = rooms.view.gap_days(points, from_ms, to_ms)
        found = [day for day in days if day.day.year == period.year]
    return {
        "months": months_of(period, found, len(points), today, hrefs),
        "weekdays": [(t(f"day.{n}"), t(f"day.{n}")[:2]) for n in range(7)],
        "days": [
            {
                "text": words_of(day, len(points)),
                "name": day_text(day.day),
                "href": hrefs.day(day.day),
                "points": day.points,
                "gaps": day.gaps,
                "lost": lost_text(day.missing_ms),
            }
            for day in found
        ],
        "lost": lost_text(sum(day.missing_ms for day in found)),
        "one": len(points) == 1,
    }


def _day(request: Request, points: list[DataPoint], period: Chosen) -> dict[str, Any]:
    """Return the gaps of one local day by data point, the longest lost time first."""
    rooms, day = rooms_of(request), period.day
    assert day is not None
    spans = {zone: days_ms(day, day, zone) for zone in {p.zone for p in points}}
    totals: dict[int, PointGaps] = {}
    for zone, span in spans.items():
        totals |= rooms.view.gap_totals([p for p in points if p.zone == zone], *span)
    with_gap = [p for p in points if p.series in totals]
    with_gap.sort(key=lambda p: (-totals[p.series].missing_ms, p.name.casefold(), p.id))
    first = (whole_number(request.query_params.get("from", "")) or 0) if with_gap else 0
    shown = with_gap[first : first + 50]
    names = site_names(request)
    gaps: dict[int, list[Gap]] = {}
    for zone, span in spans.items():
        gaps |= rooms.view.gaps_many([p for p in shown if p.zone == zone], *span)
    rows = []
    for point in shown:
        site, owner = names.get(point.site_id, ("", ""))
        rows.append(
            {
                "point": point,
                "site": site,
                "organisation": owner,
                "lost": lost_text(totals[point.series].missing_ms),
                "gaps": shown_gaps(rooms, point, gaps.get(point.series, [])),
            }
        )
    return {
        "name": day_text(day),
        "rows": rows,
        "total": counted("points", len(with_gap)),
        "before": max(first - 50, 0) if first else None,
        "after": first + 50 if len(with_gap) > first + 50 else None,
        "earlier": (day - timedelta(1)).isoformat(),
        "later": (day + timedelta(1)).isoformat(),
    }


def shown_gaps(rooms: Rooms, point: DataPoint, gaps: Sequence[Gap]) -> list[ShownGap]:
    """Return gaps of a data point in words, each with where it stands."""
    told: set[tuple[int, int]] = set()
    if any(gap.to_ms is None for gap in gaps):
        told = {(point.series, last_ms) for last_ms in rooms.desk.told_silences(point.id)}
    return [
        ShownGap(
            gap,
            point,
            gap_state(gap, notified=told, editing=point.editing),
            local_text(gap.from_ms, point.zone),
            "" if gap.to_ms is None else local_text(gap.to_ms, point.zone),
            lost_text(gap.missing_ms),
        )
        for gap in gaps
    ]


def _table(
    request: Request, points: list[DataPoint], period: Chosen, asked: dict[str, str]
) -> tuple[Paged, str]:
    table = paged(request, ranked(request, points, period, asked), asked)
    try:
        fill(rooms_of(request), table.rows, period)
    except KilowatchError as error:
        if error.status != 503:
            raise
        return table, f"{error.detail} {error.remedy}".strip()
    return table, ""


def ranked(
    request: Request, points: Sequence[DataPoint], period: Chosen, asked: dict[str, str]
) -> list[Row]:
    """Return the rows of the table in their order, with what is in memory; ``fill`` adds the rest.

    Args:
        request: Whose person reads all of the data points.
        points: One row for each.
        period: A year or a month.
        asked: How the rows are sorted.
    """
    rooms = rooms_of(request)
    order = ORDERS.get(asked["sort"], ORDERS["lost"])
    totals: dict[int, PointGaps] = {}
    for zone in {p.zone for p in points}:
        some = [p for p in points if p.zone == zone]
        totals |= rooms.view.gap_totals(some, *period.bounds_ms(zone))
    names = site_names(request)
    findings = rooms.view.findings(points) if asked["sort"] == "findings" else {}
    rows = [
        Row(
            p, *names.get(p.site_id, ("", "")), totals.get(p.series, NO_GAPS),
            len(findings.get(p.series, ())),
        )
        for p in points
    ]  # fmt: skip
    rows.sort(key=order)
    return rows


def fill(rooms: Rooms, rows: Sequence[Row], period: Chosen) -> None:
    """Add to rows of the table what is not in memory.

    Raises:
        KilowatchError: 503 from the store; what is in memory has been added.
    """
    points = [row.point for row in rows]
    findings = rooms.view.findings(points)
    for row in rows:
        row.findings = len(findings.get(row.point.series, ()))
        extent = rooms.view.extent(row.point)
        if extent is not None:
            begun = local_day(extent.first_ms, row.point.zone)
            row.begun = begun if period.first < begun <= period.last else None
    found = summaries(rooms.view, points, period, rooms.clock())
    for row in rows:
        row.summary = found.get(row.point.series)


DOORS: tuple[Door, ...] = (Door("/quality", overview, Access.SIGNED_IN, tool="data_quality"),)
