"""Import: what a form says of a file's columns, and how a run is told to a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.datastructures import FormData

from kilowatch.catalog.places import check_zone
from kilowatch.client import columns as shapes
from kilowatch.client.columns import PARAMETERS, Shape
from kilowatch.dashboard.import_jobs import PointRun
from kilowatch.dashboard.periods import clock_text, iso_local, local_day
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import VALUE, channel_name, family_of
from kilowatch.model.points import DataPoint
from kilowatch.model.units import UNITS

ROLES = (shapes.IGNORE, shapes.TIME, shapes.POINT, shapes.NAMED)


def shape_of(form: FormData, guessed: Shape, streams: Mapping[str, str]) -> Shape:
    """Return what a person says the file is.

    Raises:
        KilowatchError: With ``data["field"]``.
    """
    zone = str(form.get("zone", "")).strip()
    if zone:
        zone = check_zone(zone)
    stream = _stream(str(form.get("stream", "")), streams, "stream")
    if guessed.kind == "ndjson":
        return replace(guessed, stream=stream, zone=zone)
    found = []
    for n, one in enumerate(guessed.columns):
        role = str(form.get(f"role_{n}", shapes.IGNORE))
        if role not in (*ROLES, *PARAMETERS):
            role = shapes.IGNORE
        of = str(form.get(f"of_{n}", "")) if role in PARAMETERS else ""
        found.append(replace(one, role=role, stream=_stream(of, streams, f"of_{n}")))
    order, decimal = str(form.get("order", "iso")), str(form.get("decimal", "."))
    shape = replace(
        guessed,
        zone=zone,
        stream=stream,
        order=order if order in shapes.ORDERS else "iso",
        decimal=decimal if decimal in (".", ",") else ".",
        columns=tuple(found),
    )
    _check_whole(shape)
    return shape


def _check_whole(shape: Shape) -> None:
    roles = [one.role for one in shape.columns]
    values = [one for one in shape.columns if one.role in PARAMETERS]
    if shapes.TIME not in roles:
        raise _wrong("role_0", t("import.no_time"))
    if not values:
        raise _wrong("role_0", t("import.no_value"))
    if shapes.POINT not in roles and not shape.stream and not all(one.stream for one in values):
        raise _wrong("stream", t("import.no_point"))
    targets = [(one.stream, one.role) for one in values]
    if len(set(targets)) < len(targets):
        raise _wrong("stream", t("import.twice"))


def _wrong(field: str, detail: str) -> KilowatchError:
    return KilowatchError("invalid_columns", detail, data={"field": field})


def _stream(text: str, streams: Mapping[str, str], field: str) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    if text not in streams:
        raise _wrong(field, t("import.unknown_point", name=text[:80]))
    return streams[text]


def shown(one: PointRun) -> dict[str, Any]:
    """Return what a page tells of a file's effect on one data point."""
    point, run = one.point, one.run
    unit, factor = _unit(point, one.channel)
    days = [
        {
            "day": local_day(day.start_ms, point.zone).isoformat(),
            "before": _figure(day.before, factor),
            "after": _figure(day.after, factor),
        }
        for day in one.days
    ]
    changes = run.new or run.conflicting
    return {
        "point": point, "run": run, "unit": unit, "days": days, "put_in": one.put_in,
        "changes": changes,
        "first": clock_text(run.first_ms, point.zone) if run.first_ms is not None else "",
        "last": clock_text(run.last_ms, point.zone) if run.last_ms is not None else "",
        "conflicts": [
            {
                "line": c.line, "of_line": c.of_line, "at": iso_local(c.at_ms, point.zone),
                "stored": _values(c.stored, c.offered), "offered": _values(c.offered, c.offered),
            }
            for c in run.conflicts
        ],
    }  # fmt: skip


def _values(values: Mapping[int, float], wanted: Mapping[int, float]) -> str:
    said = [(channel, values[channel]) for channel in sorted(wanted) if channel in values]
    alone = len(said) == 1 and said[0][0] == VALUE
    return ", ".join(
        f"{value:.15g}" if alone else f"{channel_name(channel)} {value:.15g}"
        for channel, value in said
    )


def _unit(point: DataPoint, channel: int) -> tuple[str, float]:
    """Return the unit in which days are compared, and what to divide by."""
    family = family_of(channel) if channel != VALUE else None
    unit = family.unit if family else UNITS[point.unit].amount or UNITS[point.unit].canonical
    return (f"k{unit}", 1000.0) if unit in ("Wh", "W", "varh") else (unit, 1.0)


def _figure(value: float | None, factor: float) -> str:
    return "\N{EN DASH}" if value is None else f"{value / factor:,.3f}"
