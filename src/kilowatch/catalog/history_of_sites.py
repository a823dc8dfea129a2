"""Taking back, in the history, what was said of sites and events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kilowatch.catalog import verdicts
from kilowatch.catalog.changes import Change
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tables import AuditEntry, DataPoint, Site, Table
from kilowatch.catalog.tables_sites import SiteDays, SiteOpening, UtilityCarbon, UtilityPrice
from kilowatch.model.errors import KilowatchError

_SAME: dict[type[Table], tuple[str, ...]] = {
    UtilityPrice: ("site_id", "utility", "per", "from_day"),
    UtilityCarbon: ("site_id", "utility", "per", "from_day"),
    SiteOpening: ("site_id", "from_day"),
}
"""Columns of which no two rows may have the same."""


def can_be_made_again(session: Session, kind: type[Any], entry: AuditEntry) -> bool:
    """Tell whether what a removed row spoke of is still there, and nothing has its place."""
    site, point = entry.before.get("site_id"), entry.before.get("temperature_point_id")
    if site is not None and session.get(Site, site) is None:
        return False
    if point is not None and session.get(DataPoint, point) is None:
        return False
    return session.scalar(_in_its_place(kind, entry.organisation_id, entry.before)) is None


def undo(change: Change, kind: type[Any] | None, entry: AuditEntry) -> None:
    """Remove what an entry made, or make what it removed; a verdict is taken back."""
    if kind is None:
        assert entry.subject_id is not None
        verdicts.take_back(change, entry.subject_id)
    elif entry.action == "created":
        change.session.delete(change.session.get(kind, entry.subject_id))
    else:
        change.session.add(
            kind(
                organisation_id=entry.organisation_id,
                created_at_ms=change.now_ms,
                **entry.before,
            )
        )
    change.session.flush()


def check_price(session: Session, _who: Person, row: Any) -> None:
    """Refuse a second price that begins on the same day.

    Raises:
        KilowatchError: ``cannot_undo`` (409).
    """
    columns = {name: getattr(row, name) for name in _SAME[type(row)]}
    found = session.scalars(_in_its_place(type(row), row.organisation_id, columns)).all()
    if len(found) > 1:
        raise KilowatchError(
            "cannot_undo",
            "This can't be taken back: something else begins on that day by now.",
            status=409,
            remedy="Make the change that you want by hand.",
        )


check_carbon = check_price


def _in_its_place(kind: type[Any], organisation_id: int | None, columns: dict[str, Any]) -> Any:
    """Select the rows that would be in the way of one with these columns."""
    wheres: list[ColumnElement[bool]] = [kind.organisation_id == organisation_id]
    if kind is SiteDays:
        wheres += [
            kind.site_id == columns["site_id"],
            kind.first_day <= columns["last_day"],
            kind.last_day >= columns["first_day"],
        ]
    else:
        same = _SAME.get(kind, ("site_id",))
        wheres += [getattr(kind, name) == columns.get(name) for name in same]
    return select(kind.id).where(*wheres)
