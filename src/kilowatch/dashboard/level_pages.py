"""The pages of Breakdown above a data point: a site, and a meter on it. See ``level_answer.py``."""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool, may
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.breakdown import overlays_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.comments import of_points
from kilowatch.dashboard.data import asked_month, compared_with, json_answer
from kilowatch.dashboard.first_view import first_view
from kilowatch.dashboard.level import Place, days_of, place_of
from kilowatch.dashboard.level_answer import site_answer
from kilowatch.dashboard.level_beside import points_of
from kilowatch.dashboard.periods import PERIODS, iso_local
from kilowatch.dashboard.pricing import CANONICAL
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t


async def level(request: Request) -> Response:
    """Show the frame; what is in it comes from the data endpoint."""
    return await run_in_threadpool(_level, request)


async def series(request: Request) -> Response:
    """Answer the bands of a period; ``level_answer.py`` has the shape."""
    return json_answer(await run_in_threadpool(_series, request))


async def series_csv(request: Request) -> Response:
    """Answer the same as a file: bands, the total, what it is compared with, comments."""
    return await run_in_threadpool(_csv, request)


async def days(request: Request) -> Response:
    """Answer the local days of ``month=2026-11`` that have data: ``{"days": [...]}``."""
    return json_answer(await run_in_threadpool(_days, request))


def _level(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    place = place_of(request)
    site, owner = place.site, place.owner
    wanted = request.query_params.get("period", "day")
    here = {"organisation_id": owner.id, "site_id": site.id}
    kinds = place.kinds()
    meter = f"meter={place.meter.id}&" if place.meter is not None else ""
    mains = place.mains(place.of_kind(kinds[0])) if kinds else []
    seen = rooms.view.last_seen([point.series for point in mains])
    source = f"/breakdown/site/{site.id}/series?{meter}"
    context = {
        "empty": not seen,
        "page": "breakdown",
        "place": place,
        "source": source,
        "first": first_view(
            source,
            request.query_params,
            mains[0] if mains else None,
            max(seen.values(), default=None),
            rooms.clock(),
        ),
        "days_source": f"/breakdown/site/{site.id}/days?{meter}",
        "csv_source": f"/breakdown/site/{site.id}/series.csv?{meter}",
        "overlays_source": f"/breakdown/site/{site.id}/overlays?{meter}",
        "comments_source": f"/breakdown/site/{site.id}/comments?{meter}",
        "offers_source": f"/breakdown/site/{site.id}/others?{meter}",
        "looked": rooms.insights is not None,
        "overlays": overlays_of(visit.person, owner.id, looked=rooms.insights is not None),
        "comments": any(may_point(visit.person, "comment", p) for p in place.points.values()),
        "kinds": [("-".join(kind), t(f"utility.{kind[0]}")) for kind in kinds],
        "main_utility": kinds[0][0] if kinds else "other",
        "series": ",".join(str(one.series) for one in place.mains(list(place.points.values()))),
        "periods": PERIODS,
        "period": wanted if wanted in PERIODS else "day",
        "counts_in": _counts_in(rooms, place),
        "price_href": f"/admin/sites/{site.id}/prices"
        if may(visit.person, "manage", **here) and has_tool(visit.person, "admin", owner.id)
        else "",
        "exports": may(visit.person, "export", **here)
        and has_tool(visit.person, "export", owner.id),
    }
    crumbs = [
        {"name": owner.name, "href": f"/organization/{owner.id}"},
        {"name": site.name, "href": f"/site/{site.id}"},
    ]
    if place.meter is not None:
        crumbs.append({"name": t("nav.breakdown"), "href": f"/breakdown/site/{site.id}"})
        crumbs.append({"name": place.meter.name})
    else:
        crumbs.append({"name": t("nav.breakdown")})
    current = f"meter-{place.meter.id}" if place.meter is not None else f"site-{site.id}"
    return page(request, "breakdown_site.html", crumbs, context, current=current)


def _counts_in(rooms: Rooms, place: Place) -> list[tuple[str, str]]:
    units = [unit for _, unit in place.kinds() if unit in CANONICAL]
    if not units:
        return []
    facts = rooms.registry.facts().get(place.site.id)
    currency = facts.currency if facts is not None and facts.currency else t("worth.money")
    amount = "kWh" if units == ["Wh"] * len(units) else t("worth.amount")
    return [("energy", amount), ("money", currency), ("co2", t("worth.co2"))]


def _series(request: Request) -> dict[str, Any]:
    return site_answer(request, place_of(request))


def _csv(request: Request) -> Response:
    place = place_of(request)
    found = site_answer(request, place)
    unit = found["parameters_shown"][0]["unit"]
    mine = [*found["channels"], found["total"]]
    compare = found["compare"] or {"channels": []}
    titles = [f"{one['title']} [{unit}]" for one in mine]
    titles += [f"{compared_with(compare)}{one['title']} [{one['unit']}]"
               for one in compare["channels"]]  # fmt: skip
    columns = [_by_start(one) for one in (*mine, *compare["channels"])]
    spans: dict[int, int] = {}
    for one in (*compare["channels"], *mine):
        spans |= {
            start: long
            for start, long in zip(one["start_ms"], one["duration_ms"], strict=True)
            if start >= 0
        }
    window = found["window"]
    said = of_points(request, points_of(request, place), window["from_ms"], window["to_ms"])
    zone, state = place.site.zone, found["state"]
    head = ["start", "end", *titles, *(["comments"] if said else [])]

    def notes(start: int, end: int) -> list[str]:
        touching = [one for one in said if one["from"] < end and one["to"] >= start]
        told = [f"{one['author']}, {one['point']['name']}: {one['text']}" for one in touching]
        return ["; ".join(told)] if said else []

    rows = (
        [iso_local(start, zone), iso_local(start + long, zone), *(by.get(start) for by in columns),
         *notes(start, start + long)]
        for start, long in sorted(spans.items())
    )  # fmt: skip
    return csv_answer(f"{place.name}-{state['date']}-{state['grain']}", head, rows)


def _by_start(channel: dict[str, Any]) -> dict[int, float | None]:
    """Return what was counted in each bucket, that across gaps included."""
    if channel["measure"] != "amount":
        return dict(zip(channel["start_ms"], channel["mean"], strict=True))
    return {
        start: (amount or 0.0) + (across or 0.0) if amount is not None or across else None
        for start, amount, across in zip(
            channel["start_ms"], channel["amount"], channel["unallocated"], strict=True
        )
    }


def _days(request: Request) -> dict[str, Any]:
    first, last = asked_month(request)
    return {"days": days_of(request, place_of(request), first, last)}


_SITE = "/breakdown/site/{site_id:number}"

DOORS: tuple[Door, ...] = (
    Door(_SITE, level, Access.READ_SITE, tool="breakdown"),
    Door(f"{_SITE}/meter/{{meter_id:number}}", level, Access.READ_SITE, tool="breakdown"),
    Door(f"{_SITE}/series", series, Access.READ_SITE, tool="breakdown"),
    Door(f"{_SITE}/series.csv", series_csv, Access.EXPORT_SITE, tool="export"),
    Door(f"{_SITE}/days", days, Access.READ_SITE, tool="breakdown"),
)
