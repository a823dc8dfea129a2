"""What a person may name in a formula, and what they may see of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request

from kilowatch.dashboard.formula_picture import MINUTES, picture_of
from kilowatch.dashboard.periods import clock_text
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.dated import ALWAYS_MS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.formulas import Names, Placed, points_in, points_named
from kilowatch.model.points import DataPoint


def names_for(request: Request, organisation_id: int) -> Names:
    """Return what a person may name in a formula of an organisation."""
    rooms, who = rooms_of(request), visit_of(request).person
    directory = rooms.registry.directory()

    def make() -> Iterable[Placed]:
        sites = {s.id: s.name for o in rooms.registry.tree(who) for s in o.sites}
        return [
            Placed(point, sites.get(point.site_id, ""))
            for point in directory.points.values()
            if point.organisation_id == organisation_id and may_point(who, "read", point)
        ]

    # The directory is another one after every change, of names and of rights too.
    key = (organisation_id, who.id, who.sites, who.data_points, tuple(who.standings.items()))
    return rooms.names.of(directory, key, make)


def dated_formulas(point: DataPoint, names: Names) -> list[dict[str, str]]:
    """Return a data point's formulas over time, with when they held; none while it had only one."""
    dated = point.history.formulas
    at = [clock_text(from_ms, point.zone)[:MINUTES] for from_ms, _ in dated]
    return [
        {
            "since": at[number] if from_ms > ALWAYS_MS else "",
            "span": t("formula.since", at=at[number])
            if number + 1 == len(dated)
            else t("formula.until", at=at[number + 1])
            if from_ms == ALWAYS_MS
            else t("formula.from_until", at=at[number], until=at[number + 1]),
            "formula": names.with_names(text),
        }
        for number, (from_ms, text) in enumerate(dated)
    ]


def formula_context(request: Request, point: DataPoint) -> dict[str, Any]:
    """Return what Attributes shows of a formula: its text, its inputs, its last intervals."""
    rooms = rooms_of(request)
    names, directory = names_for(request, point.organisation_id), rooms.registry.directory()
    numbers = points_in(point.formula)
    used = [directory.by_id(number) for number in numbers]
    ever = [directory.by_id(number) for number in points_named(point)]
    try:
        shown = picture_of(rooms.view, point, ever, names)
        problem = ""
    except KilowatchError as error:
        shown, problem = None, f"{error.detail} {error.remedy}".strip()
    seen = [one for one in used if one is not None and names.knows(one.id)]
    last = rooms.view.last_values(seen)
    return {
        "formula": names.with_names(point.formula),
        "periods": dated_formulas(point, names),
        "inputs": [
            {"point": one, "last": last.get(one.series), "name": names.shown(one.id)[1:-1]}
            for one in seen
        ],
        "hidden": len(numbers) - len(seen),
        "shown": shown,
        "problem": problem,
        "findings": rooms.view.findings([point]).get(point.series, ()),
    }
