"""Comments beside a chart: at an instant or over a span, for everybody who may read the data point.

Who may ``comment`` writes them; the doors of the pages ask for that. The author changes and removes
their own, and who may ``manage`` removes anybody's. The history keeps what was there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_comments import ChartComment
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS

TEXT_MAX = 1000
"""Longer than this nobody reads a comment beside a chart [characters]."""
SPAN_MS_MAX = 3660 * DAY_MS
"""As long as the longest period that a chart shows [ms]."""
SHOWN_MAX = 500
"""Of a period; the oldest are left out beyond it, and the page says so."""


def add(
    change: Change,
    data_point_id: int,
    span: tuple[int, int],
    text: str,
    *,
    event_id: str = "",
) -> ChartComment:
    """Write a comment.

    Args:
        change: An open change, of somebody who may ``comment`` on the data point.
        data_point_id: Beside whose chart.
        span: From when to when [ms since 1970, UTC]; twice the same for an instant.
        text: In the person's words.
        event_id: The event that it speaks of; empty for none.

    Raises:
        KilowatchError: 404 ``unknown_data_point``, ``invalid_comment``, ``invalid_span``;
            ``data["field"]`` names the field.
    """
    point = change.session.get(DataPoint, data_point_id)
    if point is None:
        raise KilowatchError("unknown_data_point", "There is no such data point.", status=404)
    start_ms, end_ms = _span(span)
    row = ChartComment(
        organisation_id=point.organisation_id,
        data_point_id=point.id,
        start_ms=start_ms,
        end_ms=end_ms,
        text=_text(text),
        event_id=event_id[:200],
        user_id=change.actor.user_id,
        created_by=change.actor.name,
        created_at_ms=change.now_ms,
    )
    change.session.add(row)
    change.session.flush()
    return row


def edit(
    change: Change, data_point_id: int, comment_id: int, span: tuple[int, int], text: str
) -> ChartComment:
    """Change one's own comment.

    Raises:
        KilowatchError: What ``add`` and ``find`` find; 409 ``not_yours``.
    """
    row = find(change.session, data_point_id, comment_id)
    if not is_of(row, change.actor.user_id):
        raise KilowatchError(
            "not_yours",
            f"{row.created_by} wrote this comment, and only they can change it.",
            status=409,
            remedy="Write another one.",
        )
    start_ms, end_ms = _span(span)
    row.text = _text(text)
    row.start_ms, row.end_ms, row.changed_at_ms = start_ms, end_ms, change.now_ms
    change.session.flush()
    return row


def remove(change: Change, data_point_id: int, comment_id: int, *, manages: bool) -> None:
    """Remove a comment: one's own, or anybody's for who manages the data point.

    Raises:
        KilowatchError: What ``find`` finds; 409 ``not_yours``.
    """
    row = find(change.session, data_point_id, comment_id)
    if not manages and not is_of(row, change.actor.user_id):
        raise KilowatchError(
            "not_yours",
            f"{row.created_by} wrote this comment.",
            status=409,
            remedy="They, or a manager of the site, can remove it.",
        )
    change.session.delete(row)
    change.session.flush()


def find(session: Session, data_point_id: int, comment_id: int) -> ChartComment:
    """Return a comment beside a data point's chart.

    Raises:
        KilowatchError: 404 ``unknown_comment``.
    """
    row = session.get(ChartComment, comment_id)
    if row is None or row.data_point_id != data_point_id:
        raise KilowatchError("unknown_comment", "This comment is not there any more.", status=404)
    return row


def of_point(
    session: Session, data_point_id: int, from_ms: int, to_ms: int
) -> Sequence[ChartComment]:
    """Return the comments that touch a stretch, by time; at most ``SHOWN_MAX``, the newest."""
    return of_points(session, [data_point_id], from_ms, to_ms)


def of_points(
    session: Session, data_point_ids: Collection[int], from_ms: int, to_ms: int
) -> Sequence[ChartComment]:
    """Return the comments of several data points as ``of_point`` does, those of all together."""
    statement = (
        select(ChartComment)
        .where(
            ChartComment.data_point_id.in_(data_point_ids),
            ChartComment.start_ms < to_ms,
            ChartComment.end_ms >= from_ms,
        )
        .order_by(ChartComment.start_ms.desc(), ChartComment.id.desc())
        .limit(SHOWN_MAX)
    )
    return list(reversed(session.scalars(statement).all()))


def is_of(row: ChartComment, user_id: int | None) -> bool:
    """Tell whether a person wrote a comment."""
    return row.user_id is not None and row.user_id == user_id


def _text(text: str) -> str:
    found = text.replace("\r\n", "\n").strip()
    if not 1 <= len(found) <= TEXT_MAX:
        raise KilowatchError(
            "invalid_comment",
            "A comment needs words."
            if not found
            else f"That is longer than {TEXT_MAX} characters.",
            data={"field": "text"},
        )
    return found


def _span(span: tuple[int, int]) -> tuple[int, int]:
    start_ms, end_ms = span
    if not 0 < start_ms <= end_ms <= start_ms + SPAN_MS_MAX:
        raise KilowatchError(
            "invalid_span",
            "The end lies before the beginning, or the time is too long.",
            remedy="Leave the end empty for a comment at one time.",
            data={"field": "end"},
        )
    return start_ms, end_ms
