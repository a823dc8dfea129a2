"""The validation and estimation rules of a data point, with what they would change."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import corrections
from kilowatch.catalog.corrections_check import check_rules
from kilowatch.catalog.spans import interval_text, parse_span
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.admin_frame import problems_of
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.quality_periods import counted
from kilowatch.dashboard.quality_point import crumbs_to
from kilowatch.dashboard.quality_preview import preview_context
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Quality
from kilowatch.model.editing import NEVER_NEGATIVE, SUM_TOLERANCE, Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.points import DataPoint

FIELDS = (
    "demand_max", "spike_factor", "zero_run_s", "negative", "sum_tolerance", "estimate_up_to_s",
    "estimate_method",
)  # fmt: skip
TRIED_DAYS = 31
"""How far back rules are tried out before they are set: a month shows weekdays and weekends."""


async def rules_page(request: Request) -> Response:
    """Show the rules."""
    return await run_in_threadpool(_show, request, None, {})


async def set_rules(request: Request) -> Response:
    """Try rules out, or set them."""
    form = await request.form()
    fields = {name: str(form.get(name, "")).strip()[:100] for name in FIELDS}
    return await run_in_threadpool(_set, request, fields, str(form.get("step", "")))


def demand_unit(point: DataPoint) -> tuple[str, float]:
    """Return what the highest plausible demand is given in, and its factor to the canonical."""
    if point.kind == "electrical":
        return "kW", 1000.0
    unit = point.unit_of_value
    canonical = unit.canonical
    if point.behaviour not in {"gauge", "rate"}:
        canonical = {"Wh": "W"}.get(canonical, f"{canonical}/h")
    return ("kW", 1000.0) if canonical == "W" else (canonical.replace("m3", "m³"), 1.0)


def texts_of_rules(point: DataPoint, rules: Rules) -> dict[str, str]:
    """Return rules as the form shows them."""
    negative = {None: "", True: "yes", False: "no"}[rules.negative]
    factor = demand_unit(point)[1]
    return {
        "demand_max": "" if rules.demand_max is None else f"{rules.demand_max / factor:.10g}",
        "spike_factor": "" if rules.spike_factor is None else f"{rules.spike_factor:.10g}",
        "zero_run_s": _span(rules.zero_run_s),
        "negative": negative,
        "sum_tolerance": "" if rules.sum_tolerance is None else f"{rules.sum_tolerance * 100:.10g}",
        "estimate_up_to_s": _span(rules.estimate_up_to_s),
        "estimate_method": rules.estimate_method,
    }


def rules_of_texts(point: DataPoint, fields: Mapping[str, str]) -> Rules:
    """Read the form.

    Raises:
        KilowatchError: ``invalid_rule``; ``data["field"]`` names what is wrong.
    """
    share = _number(fields, "sum_tolerance")
    demand = _number(fields, "demand_max")
    found = Rules(
        demand_max=None if demand is None else demand * demand_unit(point)[1],
        spike_factor=_number(fields, "spike_factor"),
        zero_run_s=_seconds(fields, "zero_run_s"),
        negative={"yes": True, "no": False}.get(fields["negative"]),
        sum_tolerance=None if share is None else share / 100,
        estimate_up_to_s=_seconds(fields, "estimate_up_to_s"),
        estimate_method=fields["estimate_method"] or "linear",  # type: ignore[arg-type]
    )
    check_rules(found)
    return found


def _span(seconds: int | None) -> str:
    return "" if seconds is None else interval_text(seconds)


def _seconds(fields: Mapping[str, str], name: str) -> int | None:
    if not fields[name]:
        return None
    try:
        return parse_span(fields[name])
    except KilowatchError as error:
        raise KilowatchError(
            "invalid_rule", error.detail, remedy=error.remedy, data={"field": name}
        ) from error


def _number(fields: Mapping[str, str], name: str) -> float | None:
    if not fields[name]:
        return None
    try:
        found = float(fields[name])
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise KilowatchError("invalid_rule", t("form.bad_figure"), data={"field": name})
    return found


def _show(
    request: Request,
    fields: dict[str, str] | None,
    problems: dict[str, str],
    tried: dict[str, Any] | None = None,
) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    with rooms.registry.catalog.reading() as session:
        present = corrections.rules_of(session, point.id)
    never = point.utility in NEVER_NEGATIVE and point.behaviour == "amount"
    context = {
        "point": point,
        "page": "quality",
        "fields": defaultdict(str, texts_of_rules(point, present) if fields is None else fields),
        "problems": defaultdict(str, problems),
        "unit": demand_unit(point)[0],
        "usual_negative": t("rules.negative_usual_yes" if never else "rules.negative_usual_no"),
        "usual_tolerance": f"{SUM_TOLERANCE * 100:g}",
        "tried": tried,
        "csrf": visit_of(request).csrf,
    }
    return page(
        request, "quality_rules.html", crumbs_to(request, t("rules.title")), context,
        current=f"point-{point.id}", status=422 if problems else 200,
    )  # fmt: skip


def _set(request: Request, fields: dict[str, str], step: str) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    try:
        wanted = rules_of_texts(point, fields)
        if step != "apply":
            return _show(request, fields, {}, _tried(request, point, wanted))
        with rooms.registry.catalog.change(actor_of(request)) as change:
            corrections.set_rules(change, point.id, wanted)
    except KilowatchError as error:
        return _show(request, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/quality/{point.id}?applied=rules", status_code=303)


def _tried(request: Request, point: DataPoint, wanted: Rules) -> dict[str, Any]:
    """Return what rules would change in the last month with data."""
    rooms = rooms_of(request)
    extent = rooms.view.extent(point)
    if extent is None:
        return {"none": True}
    to_ms = extent.last_ms + 1
    from_ms = max(to_ms - TRIED_DAYS * DAY_MS, extent.first_ms)
    editing = replace(point.editing, rules=wanted)
    found = rooms.view.preview(point, editing, from_ms, to_ms)
    questionable, estimated = (
        len(np.unique(found.after.start_ms[found.after.quality == quality]))
        for quality in (Quality.QUESTIONABLE, Quality.ESTIMATED)
    )
    return {
        "none": False,
        "span": t("rules.tried_days", n=TRIED_DAYS),
        "questionable": counted("intervals", questionable),
        "estimated": counted("intervals", estimated),
        **preview_context(point, found),
    }


DOORS: tuple[Door, ...] = (
    Door("/quality/{point_id:number}/rules", rules_page, Access.MANAGE_POINT, tool="data_quality"),
    Door(
        "/quality/{point_id:number}/rules",
        set_rules,
        Access.MANAGE_POINT,
        ("POST",),
        tool="data_quality",
    ),
)
