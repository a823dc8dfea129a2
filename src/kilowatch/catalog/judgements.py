"""Dismissing a finding, accepting a gap, and taking either back; every step is in the history."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint, Table
from kilowatch.catalog.tables_findings import AcceptedGap, DismissedFinding
from kilowatch.model.errors import KilowatchError

Judgement = TypeVar("Judgement", DismissedFinding, AcceptedGap)


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
    there = _find(
        change.session,
        DismissedFinding,
        DismissedFinding.data_point_id == data_point_id,
        DismissedFinding.code == code,
        DismissedFinding.mark == mark,
    )
    return there or _add(
        change,
        DismissedFinding(
            organisation_id=point.organisation_id,
            data_point_id=point.id,
            code=code,
            mark=mark,
            comment=comment,
            dismissed_at_ms=change.now_ms,
        ),
    )


def restore(change: Change, data_point_id: int, code: str, mark: str) -> bool:
    """Let a dismissed finding be told again; returns whether it was dismissed."""
    return _remove(
        change,
        DismissedFinding,
        DismissedFinding.data_point_id == data_point_id,
        DismissedFinding.code == code,
        DismissedFinding.mark == mark,
    )


def dismissed(session: Session) -> frozenset[tuple[int, str, str]]:
    """Return every dismissed finding as data point, code and mark."""
    columns = (DismissedFinding.data_point_id, DismissedFinding.code, DismissedFinding.mark)
    return frozenset((row[0], row[1], row[2]) for row in session.execute(select(*columns)))


def accept_gap(
    change: Change, data_point_id: int, from_ms: int, to_ms: int, comment: str = ""
) -> AcceptedGap:
    """Leave a gap as it is.

    Args:
        change: An open change.
        data_point_id: Whose gap it is.
        from_ms: ``Gap.from_ms`` [ms since 1970, UTC].
        to_ms: ``Gap.to_ms`` [ms since 1970, UTC].
        comment: Why, in the person's words.

    Raises:
        KilowatchError: 404 ``unknown_data_point``; 400 ``bad_gap`` when it ends before it begins.
    """
    point = _point(change, data_point_id)
    if to_ms <= from_ms:
        raise KilowatchError("bad_gap", "A gap ends after it begins.")
    there = _find(
        change.session,
        AcceptedGap,
        AcceptedGap.data_point_id == data_point_id,
        AcceptedGap.from_ms == from_ms,
        AcceptedGap.to_ms == to_ms,
    )
    return there or _add(
        change,
        AcceptedGap(
            organisation_id=point.organisation_id,
            data_point_id=point.id,
            from_ms=from_ms,
            to_ms=to_ms,
            comment=comment,
            accepted_at_ms=change.now_ms,
        ),
    )


def reopen_gap(change: Change, data_point_id: int, from_ms: int, to_ms: int) -> bool:
    """Take an acceptance back; returns whether the gap was accepted."""
    return _remove(
        change,
        AcceptedGap,
        AcceptedGap.data_point_id == data_point_id,
        AcceptedGap.from_ms == from_ms,
        AcceptedGap.to_ms == to_ms,
    )


def accepted_gaps(session: Session, organisation_id: int) -> frozenset[tuple[int, int, int]]:
    """Return an organisation's accepted gaps as data point, beginning and end [ms]."""
    columns = (AcceptedGap.data_point_id, AcceptedGap.from_ms, AcceptedGap.to_ms)
    statement = select(*columns).where(AcceptedGap.organisation_id == organisation_id)
    return frozenset((row[0], row[1], row[2]) for row in session.execute(statement))


def _point(change: Change, data_point_id: int) -> DataPoint:
    point = change.session.get(DataPoint, data_point_id)
    if point is None:
        raise KilowatchError("unknown_data_point", "There is no such data point.", status=404)
    return point


def _find(
    session: Session, table: type[Judgement], *conditions: ColumnElement[bool]
) -> Judgement | None:
    return session.scalar(select(table).where(*conditions))


def _add(change: Change, row: Judgement) -> Judgement:
    change.session.add(row)
    change.session.flush()
    return row


def _remove(change: Change, table: type[Table], *conditions: ColumnElement[bool]) -> bool:
    row = change.session.scalar(select(table).where(*conditions))
    if row is None:
        return False
    change.session.delete(row)
    return True
