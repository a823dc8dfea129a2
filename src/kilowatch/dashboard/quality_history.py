"""What people have corrected at a data point and recorded about its meter: who, when, why, undone.

Corrections stay in their table when they are undone. What was recorded about a meter is removed
then, and the history of changes (``catalog.history``) still knows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import corrections
from kilowatch.catalog.directory import Directory
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tables import AuditEntry
from kilowatch.dashboard.quality_figures import unit_of
from kilowatch.dashboard.quality_periods import local_text
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms
from kilowatch.dashboard.words import t
from kilowatch.model.parameters import CHANNEL_BY_NAME
from kilowatch.model.points import DataPoint

JUDGING = frozenset({"accept", "confirm", "comment"})
"""Corrections that who may act on findings may make, and take back; the others want ``manage``."""

SHOWN_MAX = 100
LOOKED_AT_MAX = 1_000  # entries of an organisation's meters, the newest first


@dataclass(frozen=True, slots=True)
class Deed:
    """A line of the history.

    Attributes:
        at_ms: When it was done [ms since 1970, UTC].
        who: By whom.
        what: In one sentence.
        when: The time that it is about, on the site's clock.
        why: The person's comment.
        undone: By whom it was taken back; empty while it counts.
        undone_ms: When that was [ms since 1970, UTC].
        group: Form that takes it back: ``judge``, ``correct`` or ``meter``; empty if the reader
            may not.
        number: Of the correction or the event.
    """

    at_ms: int
    who: str
    what: str
    when: str
    why: str
    undone: str
    undone_ms: int | None
    group: str
    number: int


def history_of(
    rooms: Rooms, point: DataPoint, person: Person, *, manages: bool, acts: bool
) -> list[Deed]:
    """Return what was done at a data point, the newest first.

    Args:
        rooms: Where it is asked for.
        point: The data point.
        person: Who reads it: another meter has a name only for who may read that one too.
        manages: Whether the reader may take back anything.
        acts: Whether the reader may take back what judges.
    """
    with rooms.registry.catalog.reading() as session:
        names = _Names(rooms.registry.directory(), person)
        found = [
            _correction(point, one, names.of(one.sister_id), manages=manages, acts=acts)
            for one in corrections.listing(session, point.id)
        ]
        found += _events(session, point, manages=manages)
    found.sort(key=lambda one: (one.at_ms, one.number), reverse=True)
    return found[:SHOWN_MAX]


@dataclass(frozen=True, slots=True)
class _Names:
    """What one person may know other data points by."""

    directory: Directory
    person: Person

    def of(self, number: int | None) -> str:
        """Return a data point's name; empty if it is not theirs to read."""
        other = None if number is None else self.directory.by_id(number)
        return other.name if other is not None and may_point(self.person, "read", other) else ""


def _correction(
    point: DataPoint, one: corrections.Listed, sister: str, *, manages: bool, acts: bool
) -> Deed:
    judging = one.kind in JUDGING
    may = acts if judging else manages
    return Deed(
        one.created_at_ms,
        one.created_by,
        correction_text(point, one, sister),
        f"{local_text(one.from_ms, point.zone)} – {local_text(one.to_ms, point.zone)}",
        one.comment,
        one.undone_by,
        one.undone_at_ms,
        ("judge" if judging else "correct") if may and one.undone_at_ms is None else "",
        one.id,
    )


def correction_text(point: DataPoint, one: Any, sister: str) -> str:
    """Return a correction in words: ``Filled from Meter 2 · pC``."""
    if one.kind in {"fill", "spread"}:
        method = t(f"method.{one.method}" if one.method else "method.even")
        what = t(f"did.{one.kind}", method=f"{method} {sister}".strip())
    elif one.kind == "edit":
        value, unit = readable(one.value, unit_of(point, CHANNEL_BY_NAME[one.channel]))
        what = t("did.edit", value=f"{value:,.10g}", unit=unit)
    else:
        what = t(f"did.{one.kind}")
    shown = one.channel if point.kind == "electrical" else ""
    return f"{what} · {shown}" if shown else what


def readable(value: float, unit: str) -> tuple[float, str]:
    """Return an amount in the unit that people say it in: kWh and kW, never thousands of Wh."""
    if unit in {"Wh", "W", "varh", "var", "VA"}:
        return value / 1000, f"k{unit}"
    return value, {"m3": "m³", "m3/h": "m³/h"}.get(unit, unit)


def _events(session: Session, point: DataPoint, *, manages: bool) -> list[Deed]:
    statement = (
        select(AuditEntry)
        .where(
            AuditEntry.organisation_id == point.organisation_id,
            AuditEntry.subject == "meter_event",
        )
        .order_by(AuditEntry.id.desc())
        .limit(LOOKED_AT_MAX)
    )
    created: list[AuditEntry] = []
    removed: dict[int, AuditEntry] = {}
    for entry in session.scalars(statement):
        columns = entry.after or entry.before
        if columns.get("data_point_id") != point.id or entry.subject_id is None:
            continue
        if entry.action == "removed":
            removed[entry.subject_id] = entry
        elif entry.action == "created":
            created.append(entry)
    return [_event(point, one, removed.get(one.subject_id or 0), manages) for one in created]


def _event(point: DataPoint, one: AuditEntry, gone: AuditEntry | None, manages: bool) -> Deed:  # noqa: FBT001
    columns = one.after
    when = local_text(int(columns["at_ms"]), point.zone)
    if columns.get("until_ms") is not None:
        when = f"{when} – {local_text(int(columns['until_ms']), point.zone)}"
    return Deed(
        one.at_ms,
        one.actor,
        event_text(columns),
        when,
        str(columns.get("comment") or ""),
        gone.actor if gone else "",
        gone.at_ms if gone else None,
        "meter" if manages and gone is None else "",
        one.subject_id or 0,
    )


def event_text(columns: dict[str, Any]) -> str:
    """Return what was recorded about a meter in words."""
    figures = [
        t(f"figure.{name}", value=f"{columns[name]:,.10g}")
        for name in ("last", "first", "width")
        if columns.get(name) is not None
    ]
    what = t(f"did.{columns['kind']}")
    shown = str(columns.get("channel") or "")
    parts = [what, *figures, *([shown] if shown and shown != "value" else [])]
    return " · ".join(parts)
