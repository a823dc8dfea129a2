"""What keeps the history from taking back what was said of sites: another row in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tables import Table
from kilowatch.catalog.tables_sites import SiteDays, SiteOpening, UtilityCarbon, UtilityPrice
from kilowatch.model.errors import KilowatchError

_SAME: dict[type[Table], tuple[str, ...]] = {
    UtilityPrice: ("site_id", "utility", "per", "from_day"),
    UtilityCarbon: ("site_id", "utility", "per", "from_day"),
    SiteOpening: ("site_id", "from_day"),
}
"""Columns of which no two rows may have the same."""


def in_the_way(
    kind: type[Any],
) -> Callable[[Session, dict[str, Any], int], str]:
    """Return what tells whether something has a removed row's place by now, in a word."""

    def told(session: Session, columns: dict[str, Any], organisation_id: int) -> str:
        there = session.scalar(_in_its_place(kind, organisation_id, columns).limit(1))
        return "" if there is None else "changed_since"

    return told


def check_price(change: Change, _who: Person, row: Any) -> None:
    """Refuse a second price or factor that begins on the same day.

    Raises:
        KilowatchError: ``cannot_undo`` (409).
    """
    columns = {name: getattr(row, name) for name in _SAME[type(row)]}
    found = change.session.scalars(_in_its_place(type(row), row.organisation_id, columns)).all()
    if len(found) > 1:
        raise KilowatchError(
            "cannot_undo",
            "This can't be taken back: something else begins on that day by now.",
            status=409,
            remedy="Make the change that you want by hand.",
        )


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
