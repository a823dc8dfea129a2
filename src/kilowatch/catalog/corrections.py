"""Corrections by people: who said what about which range of time, why, and how to take it back.

What is written here reaches the pipeline with the next snapshot of the data points, a second later;
it computes the history again, and every roll-up follows. Nothing is removed: an undone correction
stays in the list with who undid it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.corrections_check import Draft, check_rules, checked
from kilowatch.catalog.formula_use import refuse_computed
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_corrections import Correction as Row
from kilowatch.catalog.tables_corrections import RuleSet
from kilowatch.model import points
from kilowatch.model.editing import (
    Correction,
    CorrectionKind,
    Editing,
    Method,
    Rules,
)
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME, channel_name

CORRECT_INPUTS = "Correct what it is made of: its figures follow."
CORRECTIONS_MAX = 500
"""Of one data point, those undone not counted: each is looked at whenever its range is shown."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A correction with everything that the history shows.

    Attributes:
        id: Its number.
        data_point_id: Whose.
        kind: What it does.
        channel: Name of the one channel that it is about; empty for all of them.
        from_ms: First instant that it covers [ms since 1970, UTC].
        to_ms: First one that it no longer covers [ms since 1970, UTC].
        value: The new figure [canonical unit]; None where the kind has none.
        method: How a gap is filled; None where the kind fills none.
        sister_id: The data point whose shape is taken; None without one.
        comment: The person's words.
        created_at_ms: When it was added [ms since 1970, UTC].
        created_by: By whom.
        undone_at_ms: When it was taken back [ms since 1970, UTC]; None while it counts.
        undone_by: By whom; empty while it counts.
    """

    id: int
    data_point_id: int
    kind: CorrectionKind
    channel: str
    from_ms: int
    to_ms: int
    value: float | None
    method: Method | None
    sister_id: int | None
    comment: str
    created_at_ms: int
    created_by: str
    undone_at_ms: int | None
    undone_by: str


def add(change: Change, data_point_id: int, draft: Draft) -> Row:
    """Add a correction; figures follow as soon as the pipeline has computed them again.

    Raises:
        KilowatchError: ``unknown_data_point``, ``too_many_corrections``, or what ``checked`` finds.
    """
    point = _point(change.session, data_point_id)
    if draft.kind != "comment":
        refuse_computed(change.session, point.id, CORRECT_INPUTS)
    draft = checked(change.session, point, draft, change.now_ms)
    count = select(func.count()).where(
        Row.data_point_id == point.id, Row.undone_at_ms.is_(None), Row.kind != "comment"
    )
    if draft.kind != "comment" and (change.session.scalar(count) or 0) >= CORRECTIONS_MAX:
        raise KilowatchError(
            "too_many_corrections",
            f"{point.name} has {CORRECTIONS_MAX} corrections already.",
            status=409,
            remedy="Undo some, correct a longer range at a time, or let a rule estimate gaps.",
        )
    row = Row(
        organisation_id=point.organisation_id,
        data_point_id=point.id,
        kind=draft.kind,
        channel=CHANNEL_BY_NAME[draft.channel] if draft.channel else None,
        from_ms=draft.from_ms,
        to_ms=draft.to_ms,
        value=draft.value,
        method=draft.method,
        sister_id=draft.sister_id,
        comment=draft.comment,
        created_at_ms=change.now_ms,
        created_by=change.actor.name,
    )
    change.session.add(row)
    change.session.flush()
    return row


def undo(change: Change, data_point_id: int, correction_id: int) -> Row:
    """Take a correction back; every figure becomes what it was without it.

    Raises:
        KilowatchError: ``unknown_correction``, also when it belongs to another data point;
            ``already_undone``.
    """
    row = change.session.get(Row, correction_id)
    if row is None or row.data_point_id != data_point_id:
        raise KilowatchError(
            "unknown_correction",
            f"There is no correction {correction_id} of this data point.",
            status=404,
            remedy="Load the page again: it shows those that there are.",
        )
    if row.undone_at_ms is not None:
        raise KilowatchError(
            "already_undone",
            f"{row.undone_by} has undone this correction already.",
            status=409,
            remedy="Add it again if it is wanted after all.",
        )
    row.undone_at_ms, row.undone_by = change.now_ms, change.actor.name
    change.session.flush()
    return row


def listing(session: Session, data_point_id: int, *, undone: bool = True) -> list[Listed]:
    """Return the corrections of a data point, the newest first."""
    statement = select(Row).where(Row.data_point_id == data_point_id)
    if not undone:
        statement = statement.where(Row.undone_at_ms.is_(None))
    return [_listed(row) for row in session.scalars(statement.order_by(Row.id.desc()))]


def rules_of(session: Session, data_point_id: int) -> Rules:
    """Return the rules of a data point, the defaults where nobody has set any."""
    row = session.scalar(select(RuleSet).where(RuleSet.data_point_id == data_point_id))
    return Rules() if row is None else _rules(row)


def set_rules(change: Change, data_point_id: int, rules: Rules) -> None:
    """Set the rules of a data point; its history is judged and estimated again.

    Raises:
        KilowatchError: ``unknown_data_point``; ``invalid_rule`` with ``data["field"]``.
    """
    point = _point(change.session, data_point_id)
    refuse_computed(change.session, point.id, CORRECT_INPUTS)
    check_rules(rules)
    row = change.session.scalar(select(RuleSet).where(RuleSet.data_point_id == point.id))
    if row is None:
        row = RuleSet(organisation_id=point.organisation_id, data_point_id=point.id)
        change.session.add(row)
    for field in fields(Rules):
        setattr(row, field.name, getattr(rules, field.name))
    change.session.flush()


def with_draft(session: Session, point: points.DataPoint, draft: Draft, now_ms: int) -> Editing:
    """Return the editing that a data point would have with a draft: for ``View.preview``.

    Raises:
        KilowatchError: What ``checked`` finds.
    """
    row = _point(session, point.id)
    draft = checked(session, row, draft, now_ms)
    sister = None if draft.sister_id is None else _point(session, draft.sister_id).series
    newest = max((c.id for c in point.editing.corrections), default=0) + 1
    channel = CHANNEL_BY_NAME[draft.channel] if draft.channel else None
    added = Correction(
        newest, draft.kind, channel, draft.from_ms, draft.to_ms, draft.value, draft.method, sister
    )
    return replace(point.editing, corrections=(*point.editing.corrections, added))


def without(editing: Editing, correction_id: int) -> Editing:
    """Return the editing with a correction undone: for ``View.preview``."""
    rest = tuple(c for c in editing.corrections if c.id != correction_id)
    return replace(editing, corrections=rest)


def editings(connection: Connection, series_of: dict[int, int]) -> dict[int, Editing]:
    """Return rules and corrections of the data points that have any, by data point.

    Args:
        connection: Of the snapshot.
        series_of: Present series by data point.
    """
    found: dict[int, list[Correction]] = {}
    rows = connection.execute(
        select(
            Row.id, Row.kind, Row.channel, Row.from_ms, Row.to_ms, Row.value, Row.method,
            Row.sister_id, Row.data_point_id,
        )
        .where(Row.undone_at_ms.is_(None), Row.kind != "comment")
        .order_by(Row.id)
    )  # fmt: skip
    for row in rows:
        sister = None if row.sister_id is None else series_of.get(row.sister_id)
        correction = Correction(
            row.id, row.kind, row.channel, row.from_ms, row.to_ms, row.value, row.method, sister
        )
        found.setdefault(row.data_point_id, []).append(correction)
    names = [field.name for field in fields(Rules)]
    columns = [getattr(RuleSet, name) for name in names]
    rules: dict[int, Rules] = {}
    for data_point_id, *values in connection.execute(select(RuleSet.data_point_id, *columns)):
        rules[data_point_id] = Rules(*values)
    return {
        number: Editing(rules.get(number, Rules()), tuple(found.get(number, ())))
        for number in found.keys() | rules.keys()
    }


def _point(session: Session, data_point_id: int) -> DataPoint:
    point = session.get(DataPoint, data_point_id)
    if point is None:
        raise KilowatchError(
            "unknown_data_point",
            f"There is no data point {data_point_id}.",
            status=404,
            remedy="Load the page again: it shows those that there are.",
            data={"field": "data_point"},
        )
    return point


def _rules(row: RuleSet) -> Rules:
    return Rules(*(getattr(row, field.name) for field in fields(Rules)))


def _listed(row: Row) -> Listed:
    columns: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(Listed)}
    columns["channel"] = "" if row.channel is None else channel_name(row.channel)
    return Listed(**columns)
