"""What Heat map and Load profile share: a data point's days, and the frame of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.behind import sources_told
from kilowatch.dashboard.chart_period import ROLLING, Span, navigation, span
from kilowatch.dashboard.figures import elapsed_ms
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.recomputed import share_done
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page
from kilowatch.exports.needs import Extent
from kilowatch.model.points import DataPoint

PERIODS = (ROLLING, "year", "month", "custom")


@dataclass(frozen=True, slots=True)
class PointDays:
    """Some days of a data point.

    Attributes:
        point: Which.
        span: The days.
        extent: From when to when there is data; None before the first packet.
        now_ms: What time it is [ms].
    """

    point: DataPoint
    span: Span
    extent: Extent | None
    now_ms: int

    def of(self, span: Span) -> PointDays:
        """Return other days of the same data point."""
        return PointDays(self.point, span, self.extent, self.now_ms)

    @property
    def ms(self) -> tuple[int, int]:
        """Where the days begin and end [ms]."""
        return self.span.ms(self.point.zone)

    @property
    def begin_ms(self) -> int:
        """From when on there can be data: the first packet, or the first day [ms]."""
        from_ms, _ = self.ms
        return max(from_ms, self.extent.first_ms if self.extent else from_ms)

    @property
    def known_since(self) -> str:
        """The first packet's day in words where it is one of the days; else empty.

        What is known is told of the time from then on: a year of which data began in October has
        no ten months of gap.
        """
        begins = self.begin_ms > self.ms[0]
        return day_text(local_day(self.begin_ms, self.point.zone)) if begins else ""

    @property
    def elapsed(self) -> int:
        """How much of the days can have data by now [ms]."""
        last_ms = self.extent.last_ms if self.extent else None
        return elapsed_ms(self.begin_ms, self.ms[1], self.now_ms, last_ms, self.point.gap_ms)

    @property
    def until_ms(self) -> int:
        """Until when there can be data: what is due is not missing yet [ms]."""
        last_ms = self.extent.last_ms if self.extent else None
        if last_ms is not None and 0 <= self.now_ms - last_ms <= self.point.gap_ms:
            return last_ms
        return self.now_ms


def point_days(rooms: Rooms, point: DataPoint, query: Mapping[str, str]) -> PointDays:
    """Read a data point's days out of an address.

    Raises:
        KilowatchError: 400 ``bad_period`` or ``bad_date``.
    """
    extent, now_ms = rooms.view.extent(point), rooms.clock()
    today = local_day(now_ms, point.zone)
    anchor = min(today, local_day(extent.last_ms, point.zone)) if extent else today
    return PointDays(point, span(query, PERIODS, anchor, today, ROLLING), extent, now_ms)


def point_page(
    request: Request,
    template: str,
    days: PointDays,
    query: Mapping[str, str],
    context: Mapping[str, Any],
) -> Response:
    """Show the frame of a chart of a data point; what is in it comes from its data endpoint.

    Args:
        request: Behind a door for data points.
        template: Name of the page's template.
        days: What is shown.
        query: What stands in the address.
        context: What this page has beside.
    """
    rooms, visit, point = rooms_of(request), visit_of(request), days.point
    begin = local_day(days.extent.first_ms, point.zone) if days.extent else None
    kept = {key: one for key, one in query.items() if key not in ("period", "date", "until")}
    frame = {
        "point": point,
        "periods": PERIODS,
        "query": urlencode({"point": point.id, **query}),
        "exports": may_export(visit.person, point),
        "recomputing": share_done(rooms.view, [point]),
        **navigation(days.span, begin, kept),
    }
    crumbs = crumbs_of(rooms, visit.person, point)
    current = f"point-{point.id}"
    return page(request, template, crumbs, {**frame, **context}, current=current)


def export_href(places: Sequence[str], days: Span, **more: str) -> str:
    """Return where the same places and days are exported.

    Args:
        places: As the page of exports has them: ``p7``, ``s2``, ``o1``.
        days: Which.
        more: What else it is asked for: ``grain``, ``parameter``, ``phases``.
    """
    chosen = [("place", one) for one in places]
    period = [("period", "custom"), ("from", str(days.first)), ("until", str(days.last))]
    return "/export?" + urlencode([*chosen, *period, *more.items()])


def point_told(request: Request, point: DataPoint) -> dict[str, Any]:
    """Return a data point as the answers of its charts name it, and for ``behind.py``."""
    return {
        "point": {"id": point.id, "name": point.name, "zone": point.zone, "utility": point.utility},
        "sources": sources_told(request, [point]),
    }
