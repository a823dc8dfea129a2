"""Data quality of one data point: gaps, findings to decide, totals with what they rest on, history.

The panels are fetched again while figures are being computed, and when a packet came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import feeding
from kilowatch.catalog.rights import has_tool
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.drawn import means_of
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.offered import parameters_of
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality import calendar_of, shown_gaps
from kilowatch.dashboard.quality_figures import (
    NAMES,
    SHARE_NAMES,
    Summary,
    elapsed_of,
    headline,
    is_ratio,
    percent,
    summary,
    unit_of,
)
from kilowatch.dashboard.quality_history import history_of
from kilowatch.dashboard.quality_periods import (
    Chosen,
    Hrefs,
    chosen,
    counted,
    day_text,
    days_ms,
    local_text,
    month_name,
)
from kilowatch.dashboard.registry import may_export, may_point
from kilowatch.dashboard.rooms import Rooms, point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import crumbs_of, page
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import IntervalBlock, Quality
from kilowatch.model.errors import KilowatchError
from kilowatch.model.findings import Finding
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint

GAPS_AT_ONCE = 25
INTERVALS_MAX = 1_500  # a day of minutes; finer than that nobody edits by hand
SUMS_MS = 32 * 86_400_000
"""How far back from the end of a period sums are checked: a year of a site is too long to wait."""

APPLIED = (
    "accept", "confirm", "comment", "fill", "spread", "edit", "exchange", "reset", "roll_over",
    "bad", "rules", "undone",
)  # fmt: skip
"""What a page can be told to say that it has done."""

VIOLATIONS = (
    "interval.spike", "interval.demand_implausible", "interval.zero_for_long", "interval.negative",
)  # fmt: skip
"""Findings about intervals that a person confirms or corrects."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button of a finding or a gap: where it leads."""

    label: str
    href: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A finding as the page shows it, with what a person can do about it."""

    code: str
    text: str
    when: str
    actions: list[Action]


async def quality(request: Request) -> Response:
    """Show a data point's quality."""
    return await run_in_threadpool(_quality, request)


async def panels(request: Request) -> Response:
    """Answer the parts that change again."""
    return await run_in_threadpool(_panels, request)


def crumbs_to(request: Request, last: str = "") -> list[dict[str, str]]:
    """Return the way to a data point's quality, or to a form below it."""
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    crumbs = crumbs_of(rooms, visit.person, point)
    shown = has_tool(visit.person, "breakdown", point.organisation_id)
    crumbs[-1] = {"name": point.name, "href": f"/breakdown/{point.id}" if shown else ""}
    if not last:
        return [*crumbs, {"name": t("nav.quality")}]
    return [*crumbs, {"name": t("nav.quality"), "href": f"/quality/{point.id}"}, {"name": last}]


def _quality(request: Request) -> Response:
    point = point_of(request)
    context = {
        "page": "quality",
        "applied": _applied(request),
        "point": point,
        **_context(request),
    }
    return page(
        request, "quality_point.html", crumbs_to(request), context, current=f"point-{point.id}"
    )


def _panels(request: Request) -> Response:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    context = {"point": point, "static": rooms.static, "csrf": visit.csrf, **_context(request)}
    return rooms.templates.TemplateResponse(request, "quality_panels.html", context)


def _applied(request: Request) -> str:
    word = request.query_params.get("applied", "")
    return t(f"applied.{word}") if word in APPLIED else ""


def _context(request: Request) -> dict[str, Any]:
    rooms, visit, point = rooms_of(request), visit_of(request), point_of(request)
    today = local_day(rooms.clock(), point.zone)
    asked = {name: request.query_params.get(name, "")[:20] for name in ("year", "month", "day")}
    period = chosen(asked, today)
    query = {name: word for name, word in asked.items() if word}

    def href(anchor: str = "", **changes: str) -> str:
        text = urlencode({name: word for name, word in {**query, **changes}.items() if word})
        return f"/quality/{point.id}{'?' if text else ''}{text}{anchor}"

    hrefs = Hrefs(
        lambda number: href(month=str(number), day=""),
        lambda day: href("#gaps", day=day.isoformat(), year=str(day.year)),
    )
    manages = may_point(visit.person, "manage", point)
    acts = may_point(visit.person, "act", point)
    context: dict[str, Any] = {
        "period": period,
        "href": href,
        "query": urlencode(query),
        "today": today,
        "years": (str(period.year - 1), str(period.year + 1) if period.year < today.year else ""),
        "manages": manages,
        "acts": acts,
        "share_names": SHARE_NAMES,
        "share_words": {name: t(f"share.{name}") for name in SHARE_NAMES},
        "now_ms": rooms.clock(),
        "history": history_of(rooms, point, manages=manages, acts=acts),
        "findings": [],
        "totals": None,
        "totals_file": "",
        "intervals": None,
        "status": None,
        "settling": False,
        "busy": "",
    }
    try:
        extent = rooms.view.extent(point)
        context |= {
            "extent": extent,
            "calendar": calendar_of(rooms, [point], period, today, hrefs),
            "gaps": _gaps(request, point, period, manages=manages, acts=acts),
            "status": rooms.view.status(point),
            "settling": not rooms.view.is_current(point),
        }
        context["findings"] = _findings(rooms, point, period, manages=manages, acts=acts)
        if extent is not None:
            context["totals"] = _totals(request, point, period)
            context["totals_file"] = _totals_file(request, point, period)
            context["intervals"] = _intervals(request, point, period) if period.day else None
    except KilowatchError as error:
        if error.status != 503:
            raise
        context["busy"] = f"{error.detail} {error.remedy}".strip()
        context.setdefault("calendar", None)
        context.setdefault("gaps", None)
        context.setdefault("extent", None)
    return context


def _gaps(
    request: Request, point: DataPoint, period: Chosen, *, manages: bool, acts: bool
) -> dict[str, Any]:
    rooms = rooms_of(request)
    span = (
        days_ms(period.day, period.day, point.zone) if period.day else period.bounds_ms(point.zone)
    )
    found = list(reversed(rooms.view.gaps_many([point], *span).get(point.series, [])))
    first = whole_number(request.query_params.get("gaps", "")) or 0
    some = shown_gaps(rooms, point, found[first : first + GAPS_AT_ONCE])
    return {
        "title": day_text(period.day) if period.day else period.name,
        "count": counted("gaps", len(found)),
        "rows": [(one, _gap_actions(point, one, manages=manages, acts=acts)) for one in some],
        "before": max(first - GAPS_AT_ONCE, 0) if first else None,
        "after": first + GAPS_AT_ONCE if first + GAPS_AT_ONCE < len(found) else None,
    }


def _gap_actions(point: DataPoint, shown: Any, *, manages: bool, acts: bool) -> list[Action]:
    gap = shown.gap
    if gap.to_ms is None:
        return []
    span = {"from_ms": gap.from_ms, "to_ms": gap.to_ms}
    found = []
    if shown.state != "filled" and manages:
        found.append(Action(t("correct.fill"), _form(point, "correct", kind="fill", **span)))
        if point.behaviour == "register":
            spread = _form(point, "correct", kind="spread", **span)
            found.append(Action(t("correct.spread"), spread))
    if shown.state == "found" and acts:
        found.append(Action(t("correct.accept"), _form(point, "judge", kind="accept", **span)))
    if acts:
        found.append(Action(t("correct.comment"), _form(point, "judge", kind="comment", **span)))
    return found


def _form(point: DataPoint, group: str, **fields: Any) -> str:
    """Return the address of a form with its fields filled in."""
    text = {name: value for name, value in fields.items() if value is not None and value != ""}
    return f"/quality/{point.id}/{group}?{urlencode(text)}"


def _findings(
    rooms: Rooms, point: DataPoint, period: Chosen, *, manages: bool, acts: bool
) -> list[Decision]:
    found = list(rooms.view.findings([point]).get(point.series, ()))
    found += _sums(rooms, point, period)
    shown = []
    for one in found:
        when = "" if one.at_ms is None else local_text(one.at_ms, point.zone)
        until = one.data.get("until_ms")
        if isinstance(until, int) and until != one.at_ms:
            when = f"{when} – {local_text(until, point.zone)}"
        shown.append(Decision(one.code, one.text, when, _actions(point, one, manages, acts)))
    return shown


def _sums(rooms: Rooms, point: DataPoint, period: Chosen) -> Sequence[Finding]:
    """Return on which days of the period's last month submeters counted more than this meter."""
    with rooms.registry.catalog.reading() as session:
        eras = feeding.fed_by_over_time(session, point.organisation_id, point.site_id)
    below = {number for _, by in eras for number, feeder in by.items() if feeder == point.id}
    if not below:
        return ()
    directory = rooms.registry.directory()
    others = [one for number in sorted(below) if (one := directory.by_id(number)) is not None]
    from_ms, to_ms = period.bounds_ms(point.zone)
    to_ms = min(to_ms, rooms.clock())
    from_ms = max(from_ms, to_ms - SUMS_MS)
    if from_ms >= to_ms:
        return ()
    mine = [(at, {one.id: by.get(one.id) for one in (point, *others)}) for at, by in eras]
    return rooms.view.sum_findings([point, *others], mine, from_ms, to_ms).get(point.id, ())


def _actions(point: DataPoint, one: Finding, manages: bool, acts: bool) -> list[Action]:  # noqa: FBT001
    data = one.data
    if one.code == "register.fell" and manages:
        return [
            Action(t(_decision_key(decision)), _decision_href(point, decision), number == 0)
            for number, decision in enumerate(data.get("decisions", ()))
        ]
    found = []
    span = {"from_ms": one.at_ms, "to_ms": data.get("until_ms")}
    about = {**span, "channel": data.get("channel", "")}
    if one.code in VIOLATIONS:
        if acts:
            confirm = _form(point, "judge", kind="confirm", **about)
            found.append(Action(t("correct.confirm"), confirm, primary=True))
        if manages:
            found.append(Action(t("correct.edit"), _form(point, "correct", kind="edit", **about)))
            bad = {"at_ms": one.at_ms, "until_ms": data.get("until_ms")}
            found.append(Action(t("record.bad"), _form(point, "meter", kind="bad", **bad)))
    elif one.code == "meter.sum_exceeded" and acts:
        found.append(Action(t("correct.comment"), _form(point, "judge", kind="comment", **span)))
    elif data.get("remedy") or one.code == "backfill.conflict":
        found.append(Action(t("data_quality.see_attributes"), f"/attributes/{point.id}"))
    return found


def _decision_key(decision: dict[str, Any]) -> str:
    """Return the words of a decision about a dial that fell."""
    if decision["kind"] != "bad":
        return f"record.{decision['kind']}"
    return "record.bad_this" if "reading" in decision else "record.bad"


def _decision_href(point: DataPoint, decision: dict[str, Any]) -> str:
    fields = {name: value for name, value in decision.items() if name != "reading"}
    return _form(point, "meter", **fields)


def channels_to_choose(rooms: Rooms, point: DataPoint) -> list[tuple[str, str]]:
    """Return a data point's channels with data, as names and what people call them."""
    codes = rooms.view.channels(point)
    titles: dict[int, str] = {}
    for parameter in parameters_of(point, codes):
        for code in parameter.phases:
            titles.setdefault(code, parameter.title)
        if parameter.total is not None:
            titles.setdefault(parameter.total, parameter.title)
    found = []
    for code in codes:
        name = channel_name(code)
        title = titles.get(code, name)
        found.append((name, title if point.kind == "single" else f"{title} ({name})"))
    return found


def channel_of(request: Request, point: DataPoint) -> int:
    """Return the channel of which totals are asked for; the first one where none is named."""
    rooms = rooms_of(request)
    codes = rooms.view.channels(point)
    wanted = request.query_params.get("channel", "")
    return next((code for code in codes if channel_name(code) == wanted), headline(codes))


def _totals_file(request: Request, point: DataPoint, period: Chosen) -> str:
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


def _totals(request: Request, point: DataPoint, period: Chosen) -> dict[str, Any]:
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
        "channels": channels_to_choose(rooms, point),
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


def _intervals(request: Request, point: DataPoint, period: Chosen) -> dict[str, Any]:
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
    return _form(point, "correct", kind="edit", **about)


def back_to(point: DataPoint, day: date | None, word: str) -> str:
    """Return the address of a data point's quality after something was applied."""
    about = {"year": str(day.year), "month": str(day.month)} if day else {}
    return f"/quality/{point.id}?{urlencode({**about, 'applied': word})}"


DOORS: tuple[Door, ...] = (
    Door("/quality/{point_id:number}", quality, Access.READ_POINT, tool="data_quality"),
    Door("/quality/{point_id:number}/panels", panels, Access.READ_POINT, tool="data_quality"),
)
