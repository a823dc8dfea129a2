"""Dismissing a finding and taking that back; every step is in the history.

A gap is accepted by a correction (``catalog.corrections``): what a person says about a range of
time is in one place, where rules that estimate see it too.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_findings import DismissedFinding
from kilowatch.model.errors import KilowatchError


def dismiss(
    change: Change, data_point_id: int, code: str, mark: str, comment: str = ""
) -> DismissedFinding:
    """Keep a finding from being told, until it says something else.

    Args:
        change: An open change.
        data_point_id: Whose finding it is.
        code: ``Finding.code``.
        mark: ``Finding.data["mark"]``.
        comment: Why, in the person's words.

    Raises:
        KilowatchError: 404 ``unknown_data_point``.
    """
    point = _point(change, data_point_id)
    there = _find(change.session, data_point_id, code, mark)
    if there is not None:
        return there
    row = DismissedFinding(
        organisation_id=point.organisation_id,
        data_point_id=point.id,
        code=code,
        mark=mark,
        comment=comment,
        dismissed_at_ms=change.now_ms,
    )
    change.session.add(row)
    change.session.flush()
    return row


def restore(change: Change, data_point_id: int, code: str, mark: str) -> bool:
    """Let a dismissed finding be told again; returns whether it was dismissed."""
    row = _find(change.session, data_point_id, code, mark)
    if row is None:
        return False
    change.session.delete(row)
    return True


def dismissed(session: Session) -> frozenset[tuple[int, str, str]]:
    """Return every dismissed finding as data point, code and mark."""
    columns = (DismissedFinding.data_point_id, DismissedFinding.code, DismissedFinding.mark)
    return frozenset((row[0], row[1], row[2]) for row in session.execute(select(*columns)))


def _point(change: Change, data_point_id: int) -> DataPoint:
    point = change.session.get(DataPoint, data_point_id)
    if point is None:
        raise KilowatchError("unknown_data_point", "There is no such data point.", status=404)
    return point


def _find(session: Session, data_point_id: int, code: str, mark: str) -> DismissedFinding | None:
    mine = select(DismissedFinding).where(
        DismissedFinding.data_point_id == data_point_id,
        DismissedFinding.code == code,
        DismissedFinding.mark == mark,
    )
    return session.scalar(mine)
