"""What the pages of insights give along as files: events, wasted days, and expected hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.admin_frame import asked_of
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.hourly import by_point, hourly, unit_of_amount, unit_of_rate
from kilowatch.dashboard.insight_period import YEARS, stretch
from kilowatch.dashboard.insight_rows import Shown
from kilowatch.dashboard.periods import day_of, iso_local, midnight_ms
from kilowatch.dashboard.places import in_place, readable, site_names, sites_of
from kilowatch.dashboard.registry import may_export
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.sentinel import ASKED, events_asked
from kilowatch.dashboard.waste_read import asked_places, hours_of
from kilowatch.dashboard.waste_sums import EPOCH, counted_once, kind_of, kind_title
from kilowatch.dashboard.words import t
from kilowatch.dashboard.worth import worth
from kilowatch.model.blocks import Floats, Ints
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import QUANTILES
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone

DAYS_MAX = 732
"""Two years of hours are 17,568 rows: more of them is what Export is for."""


async def sentinel_csv(request: Request) -> Response:
    """Answer every event that Sentinel lists, not only one page of them."""
    return await run_in_threadpool(_sentinel, request)


async def waste_csv(request: Request) -> Response:
    """Answer what was wasted, by day, data point and kind: the page's, of what may be exported."""
    return await run_in_threadpool(_waste, request)


async def hours_csv(request: Request) -> Response:
    """Answer what was used, expected and is forecast of ``point``, hour by hour."""
    return await run_in_threadpool(_hours, request)


def _exportable(request: Request, points: Sequence[DataPoint]) -> list[DataPoint]:
    who = visit_of(request).person
    return [point for point in points if may_export(who, point)]


def _sentinel(request: Request) -> Response:
    asked = asked_of(request, ASKED)
    mine = _exportable(request, readable(request, "sentinel"))
    place, _ = sites_of(request, mine, asked["place"])
    points = in_place(mine, place) if place else []
    names = site_names(request)
    events: list[Shown] = []
    name = "events"
    if points and rooms_of(request).insights is not None:
        days, _, events = events_asked(request, points, asked, names)
        site = names.get(points[0].site_id, ("", ""))[0]
        name = f"events {site} {days.first} {days.last}"
    head = [t(f"files.{word}") for word in (
        "site", "point", "kind", "begin", "end", "going_on", "amount", "unit", "money", "currency",
        "price", "carbon", "factor", "confidence", "state", "found", "sentence",
    )]  # fmt: skip
    return csv_answer(name, head, map(_event_row, events))


def _event_row(one: Shown) -> list[object]:
    event, zone, value = one.event, one.point.zone, one.worth
    return [
        one.site, one.point.name, one.title,
        iso_local(event.start_ms, zone), iso_local(event.end_ms, zone),
        t("files.yes") if event.open else "",
        one.amount, one.unit if one.amount is not None else "",
        value.money, value.currency, str(value.price or ""),
        value.carbon_kg, str(value.factor or ""),
        event.confidence, t(f"event_state.{one.state}"), iso_local(event.found_ms, zone),
        one.sentence,
    ]  # fmt: skip


def _waste(request: Request) -> Response:
    rooms = rooms_of(request)
    asked, everything, _ = asked_places(request)
    points = in_place(everything, asked["place"])
    head = [t(f"files.{word}") for word in (
        "day", "site", "point", "kind", "hours", "amount", "unit", "money", "currency", "price",
        "carbon", "factor",
    )]  # fmt: skip
    if rooms.insights is None or not points:
        return csv_answer("waste", head, [])
    days = stretch(asked, rooms.view, points, rooms.clock())
    # Which of a meter and its submeters counts is decided as on the page, among all that is read.
    hours, _ = hours_of(rooms, points, days)
    once = counted_once(hours, points, rooms.registry.fed_by(points))
    rows = _waste_rows(request, _exportable(request, points), once.series, once.start_ms,
                       once.amount, once.kind)  # fmt: skip
    return csv_answer(f"waste {days.first} {days.last}", head, rows)


def _waste_rows(
    request: Request,
    points: Sequence[DataPoint],
    series: Ints,
    start_ms: Ints,
    amount: Floats,
    kind: Ints,
) -> Iterator[list[object]]:
    """Yield days of the data points by name; all arguments but the first two have a row an hour."""
    facts, names = rooms_of(request).registry.facts(), site_names(request)
    order = np.argsort(series, kind="stable")
    edges = {one: order[first:last] for one, first, last in zip(*_runs(series[order]), strict=True)}
    for point in sorted(points, key=lambda one: (one.site_id, one.name.casefold(), one.id)):
        rows = edges.get(point.series)
        if rows is None:
            continue
        day = Zone.of(point.zone).local_ms(start_ms[rows]) // DAY_MS
        keys, at = np.unique(np.stack([day, kind[rows]]), axis=1, return_inverse=True)
        sums = np.bincount(at.ravel(), weights=amount[rows], minlength=keys.shape[1])
        counts = np.bincount(at.ravel(), minlength=keys.shape[1])
        first_ms = np.full(keys.shape[1], np.iinfo(np.int64).max)
        np.minimum.at(first_ms, at.ravel(), start_ms[rows])
        for (when, what), total, hours, begin in zip(
            keys.T.tolist(), sums.tolist(), counts.tolist(), first_ms.tolist(), strict=True
        ):
            value = worth(facts.get(point.site_id), point, total, begin)
            yield [
                date.fromordinal(EPOCH + when).isoformat(),
                names.get(point.site_id, ("", ""))[0], point.name, kind_title(kind_of(what)),
                hours, total, unit_of_amount(point), value.money, value.currency,
                str(value.price or ""), value.carbon_kg, str(value.factor or ""),
            ]  # fmt: skip


def _runs(ordered: Ints) -> tuple[list[int], list[int], list[int]]:
    """Return the values of a sorted array, and from where to where each stands."""
    values, first = np.unique(ordered, return_index=True)
    return values.tolist(), first.tolist(), [*first.tolist(), len(ordered)][1:]


def _hours(request: Request) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    query = request.query_params
    who = visit_of(request).person
    tools = {one for one in ("sentinel", "forecast") if has_tool(who, one, point.organisation_id)}
    if not tools:
        raise not_found()
    first, last = (day_of(query.get(name, ""), YEARS) for name in ("date", "until"))
    if not timedelta(0) <= last - first < timedelta(DAYS_MAX):
        raise KilowatchError(
            "bad_period",
            f"{first} to {last} is not a period of 1 to {DAYS_MAX} days.",
            remedy="Take a shorter one, or Export.",
        )
    from_ms, to_ms = midnight_ms(first, point.zone), midnight_ms(last + timedelta(1), point.zone)
    used = by_point(hourly(rooms.view, [point], from_ms, to_ms), point)
    made: dict[int, list[object]] = {}
    for at_ms, rate in zip(used.start_ms.tolist(), used.rate.tolist(), strict=True):
        made.setdefault(at_ms, [None, None, ""])[0] = rate
    parts = []
    if rooms.insights is not None:
        parts.append((rooms.insights.expected(point, from_ms, to_ms), t("files.expected")))
        ahead = "ahead" in query and "forecast" in tools
        if ahead and (outlook := rooms.outlooks.of(rooms.insights, point)) is not None:
            parts.append((outlook.hours, t("files.forecast")))
    for expected, what in parts:
        for at_ms, levels in zip(expected.start_ms.tolist(), expected.rate.T.tolist(), strict=True):
            made.setdefault(at_ms, [None, None, ""])[1:] = [levels, what]
    need, wasted = _need_of(request, point, from_ms, to_ms) if "need" in query else ({}, {})
    for at_ms in need:
        made.setdefault(at_ms, [None, None, ""])
    unit = unit_of_rate(point)
    levels_of = [f"{round(100 * level)} % [{unit}]" for level in QUANTILES]
    used_of = f"{t('files.used')} [{unit}]"
    head = [t("files.begin"), t("files.end"), used_of, *levels_of, t("files.of")]
    if "need" in query:
        head += [f"{t('files.needed')} [{unit}]", f"{t('files.counted')} [{unit}]"]
    rows = (
        [iso_local(at_ms, point.zone), iso_local(at_ms + HOUR_MS, point.zone), rate,
         *(levels or [None] * len(QUANTILES)), what,  # type: ignore[misc]
         *((need.get(at_ms), wasted.get(at_ms)) if "need" in query else ())]
        for at_ms, (rate, levels, what) in sorted(made.items())
    )  # fmt: skip
    return csv_answer(f"{point.name} expected {first} {last}", head, rows)


def _need_of(
    request: Request, point: DataPoint, from_ms: int, to_ms: int
) -> tuple[dict[int, float], dict[int, float]]:
    """Return by hour what was needed and what is counted as waste of a data point."""
    rooms = rooms_of(request)
    if rooms.insights is None or not has_tool(
        visit_of(request).person, "sentinel", point.organisation_id
    ):
        return {}, {}
    need = rooms.insights.needed(point, from_ms, to_ms)
    wasted = rooms.insights.waste([point], from_ms, to_ms)
    needed, counted = (
        dict(zip(starts.tolist(), values.tolist(), strict=True))
        for starts, values in ((need.start_ms, need.rate), (wasted.start_ms, wasted.amount))
    )
    return needed, counted


DOORS: tuple[Door, ...] = (
    Door("/data/sentinel.csv", sentinel_csv, Access.EXPORT_SOMEWHERE, tool="export"),
    Door("/data/waste.csv", waste_csv, Access.EXPORT_SOMEWHERE, tool="export"),
    Door("/data/hours.csv", hours_csv, Access.EXPORT_POINT, tool="export"),
)
