"""What people say of events: a verdict, for how long, a comment; and taking it back.

Who may ``act`` gives verdicts; the doors of the pages ask for that. Nothing is removed: what was
taken back stays in the story of the event with who took it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_sites import EventVerdict
from kilowatch.model.errors import KilowatchError
from kilowatch.model.insight import EventKind, Verdict
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.verdicts import LASTS, Lasts, Said

COMMENT_MAX = 1000
YEAR_MS = 366 * DAY_MS
"""Longer than this nothing is snoozed: it would be forgotten."""


@dataclass(frozen=True, slots=True)
class About:
    """The event that is spoken of.

    Attributes:
        event_id: ``InsightEvent.id``.
        data_point_id: Of the data point at which it was seen.
        kind: What it is.
        start_ms: When it began [ms since 1970, UTC].
        end_ms: Until when it is known so far [ms since 1970, UTC].
    """

    event_id: str
    data_point_id: int
    kind: EventKind
    start_ms: int
    end_ms: int


def give(
    change: Change,
    about: About,
    verdict: Verdict | None,
    *,
    lasts: Lasts = "once",
    until_ms: int | None = None,
    comment: str = "",
) -> Said:
    """Say something of an event; the last verdict that stands is the one that counts.

    Args:
        change: An open change, of somebody who may ``act`` on the data point.
        about: The event.
        verdict: What is said, or None for a comment alone.
        lasts: Of what is expected: this time, until ``until_ms``, or always at this time of week.
        until_ms: Until when it is snoozed or expected [ms since 1970, UTC].
        comment: In the person's words.

    Raises:
        KilowatchError: ``unknown_data_point`` (404), ``says_nothing``, ``invalid_comment``,
            ``invalid_until``, ``invalid_lasts``; ``data["field"]`` names the field.
    """
    point = change.session.get(DataPoint, about.data_point_id)
    if point is None:
        raise KilowatchError("unknown_data_point", "There is no such data point.", status=404)
    text = _comment(comment)
    if verdict is None and not text:
        raise KilowatchError(
            "says_nothing",
            "There is nothing to say.",
            remedy="Write a comment or choose a verdict.",
            data={"field": "comment"},
        )
    # People snooze by their own calendar; what is expected goes by the time of the data.
    since_ms = change.now_ms if verdict is Verdict.SNOOZED else about.start_ms
    row = EventVerdict(
        organisation_id=point.organisation_id,
        data_point_id=point.id,
        event_id=about.event_id,
        kind=about.kind,
        start_ms=about.start_ms,
        end_ms=about.end_ms,
        verdict=verdict or "",
        lasts=_lasts(verdict, lasts),
        until_ms=_until(verdict, lasts, until_ms, since_ms),
        comment=text,
        created_at_ms=change.now_ms,
        created_by=change.actor.name,
    )
    change.session.add(row)
    change.session.flush()
    return _said(row)


def take_back(change: Change, verdict_id: int, *, event_id: str | None = None) -> Said:
    """Take back what was said; what was said before it counts again.

    Args:
        change: An open change, of somebody who may ``act`` on the data point.
        verdict_id: ``Said.id``.
        event_id: The event that it must be about, or None.

    Raises:
        KilowatchError: ``unknown_verdict`` (404), ``already_undone`` (409).
    """
    row = change.session.get(EventVerdict, verdict_id)
    if row is None or event_id not in (None, row.event_id):
        raise KilowatchError("unknown_verdict", "Nobody has said that.", status=404)
    if row.undone_at_ms is not None:
        raise KilowatchError(
            "already_undone", f"{row.undone_by} has taken this back already.", status=409
        )
    row.undone_at_ms, row.undone_by = change.now_ms, change.actor.name
    change.session.flush()
    return _said(row)


def of_events(
    session: Session, organisation_id: int, event_ids: Iterable[str] | None = None
) -> Mapping[str, Said]:
    """Return the verdict that counts, by the event's id; comments alone are none.

    Args:
        session: Sees one state of the catalogue.
        organisation_id: Whose events.
        event_ids: Only of these events; None for all of the organisation's.
    """
    found: dict[str, Said] = {}
    wanted = None if event_ids is None else set(event_ids)
    for row in session.scalars(_standing().where(EventVerdict.organisation_id == organisation_id)):
        if row.verdict and (wanted is None or row.event_id in wanted):
            found[row.event_id] = _said(row)
    return found


def counted(
    session: Session, from_ms: int | None = None, to_ms: int | None = None
) -> Mapping[tuple[int, EventKind, Verdict], int]:
    """Return how many findings people have called what: what counts of each, not what was before.

    Args:
        session: Sees one state of the catalogue.
        from_ms: Of events that begin then or later; None for all [ms since 1970, UTC].
        to_ms: Of events that begin before; None for all [ms since 1970, UTC].

    Returns:
        By number of the site, kind and verdict.
    """
    last = (
        select(func.max(EventVerdict.id))
        .where(EventVerdict.undone_at_ms.is_(None), EventVerdict.verdict != "")
        .group_by(EventVerdict.organisation_id, EventVerdict.event_id)
    )
    site, kind, verdict = DataPoint.site_id, EventVerdict.kind, EventVerdict.verdict
    asked = (
        select(site, kind, verdict, func.count())
        .join(DataPoint, DataPoint.id == EventVerdict.data_point_id)
        .where(EventVerdict.id.in_(last))
        .group_by(site, kind, verdict)
    )
    if from_ms is not None:
        asked = asked.where(EventVerdict.start_ms >= from_ms)
    if to_ms is not None:
        asked = asked.where(EventVerdict.start_ms < to_ms)
    return {
        (number, EventKind(of), Verdict(said)): count
        for number, of, said, count in session.execute(asked)
    }


def teaching(session: Session) -> Mapping[int, tuple[Said, ...]]:
    """Return what is expected for longer than once, by the data point's number."""
    longer = _standing().where(
        EventVerdict.verdict == Verdict.EXPECTED, EventVerdict.lasts != "once"
    )
    found: dict[int, tuple[Said, ...]] = {}
    for row in session.scalars(longer):
        found[row.data_point_id] = (*found.get(row.data_point_id, ()), _said(row))
    return found


def story(session: Session, organisation_id: int, event_id: str) -> list[Said]:
    """Return everything that was said of an event, the oldest first, also what was taken back."""
    rows = session.scalars(
        select(EventVerdict)
        .where(EventVerdict.organisation_id == organisation_id, EventVerdict.event_id == event_id)
        .order_by(EventVerdict.id)
    )
    return [_said(row) for row in rows]


def _standing() -> Select[EventVerdict]:
    return select(EventVerdict).where(EventVerdict.undone_at_ms.is_(None)).order_by(EventVerdict.id)


def _lasts(verdict: Verdict | None, lasts: Lasts) -> Lasts:
    if lasts not in LASTS or (lasts != "once" and verdict is not Verdict.EXPECTED):
        raise KilowatchError(
            "invalid_lasts",
            "Only what is expected lasts: this time, until a date, or at this time of every week.",
            data={"field": "lasts"},
        )
    return lasts


def _until(
    verdict: Verdict | None, lasts: Lasts, until_ms: int | None, since_ms: int
) -> int | None:
    if verdict is not Verdict.SNOOZED and lasts != "until":
        return None
    years = 1 if verdict is Verdict.SNOOZED else 10
    if until_ms is None or not since_ms < until_ms <= since_ms + years * YEAR_MS:
        raise KilowatchError(
            "invalid_until",
            "Until when? It is a later date"
            + (", at most a year ahead." if verdict is Verdict.SNOOZED else "."),
            data={"field": "until"},
        )
    return until_ms


def _comment(comment: str) -> str:
    clean = comment.strip()
    if len(clean) > COMMENT_MAX:
        raise KilowatchError(
            "invalid_comment",
            f"A comment has at most {COMMENT_MAX} characters.",
            data={"field": "comment"},
        )
    return clean


def _said(row: EventVerdict) -> Said:
    return Said(
        id=row.id,
        event_id=row.event_id,
        data_point_id=row.data_point_id,
        kind=EventKind(row.kind),
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        verdict=Verdict(row.verdict) if row.verdict else None,
        lasts=row.lasts,
        until_ms=row.until_ms,
        comment=row.comment,
        who=row.created_by,
        at_ms=row.created_at_ms,
        taken_back_ms=row.undone_at_ms,
        taken_back_by=row.undone_by,
    )
