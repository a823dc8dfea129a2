"""Saying what feeds a data point, for all time or from a date on, and what a move leaves behind.

``feeding.py`` reads what is said here; the totals along the tree follow each period's feeder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.point_settings import change_always, change_from, forget_feeders
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_settings import PointSetting


def set_feeder(
    change: Change,
    point: DataPoint,
    parent_id: int | None,
    from_ms: int | None = None,
    *,
    comment: str = "",
) -> None:
    """Say what feeds a data point; what it is already is not said again.

    Args:
        change: An open change.
        point: A row of the change's session, on the site where it stays.
        parent_id: The data point that feeds it, or None.
        from_ms: Since when [ms since 1970, UTC]; None for all time.
        comment: Why, for the history.

    Raises:
        KilowatchError: What ``point_settings.change_from`` finds.
    """
    told: dict[str, Any] = {"parent_id": parent_id}
    if from_ms is not None:
        change_from(change, point, told, from_ms, comment=comment)
    elif parent_id != point.parent_id:
        change_always(change, point, told, comment=comment)


def settle_after_move(change: Change, moved: Mapping[int, int], organisation_id: int) -> None:
    """Drop what fed moved data points on their old site, and let go what they fed there.

    Args:
        change: An open change.
        moved: By number, data points that are on another site now, with that site.
        organisation_id: Whose.

    Raises:
        KilowatchError: What ``point_settings.change_always`` finds.
    """
    session = change.session
    dated = dated_feeders(session, organisation_id)
    for number in moved.keys() & dated.keys():
        point = session.get_one(DataPoint, number)
        change_always(change, point, {"parent_id": point.parent_id})
    ours = select(DataPoint).where(DataPoint.organisation_id == organisation_id)
    named = {number for number, feeders in dated.items() if feeders & moved.keys()}
    fed = ours.where(DataPoint.parent_id.is_not(None) | DataPoint.id.in_(named))
    for point in session.scalars(fed).all():
        feeders = dated.get(point.id, set()) | {point.parent_id}
        gone = {one for one in moved.keys() & feeders if moved[one] != point.site_id}
        if gone and point.id not in moved:
            forget_feeders(change, point, gone)


def dated_feeders(session: Session, organisation_id: int) -> dict[int, set[int | None]]:
    """Return the data points whose feeder is dated, with all that ever fed them."""
    found: dict[int, set[int | None]] = {}
    statement = select(PointSetting.data_point_id, PointSetting.fields)
    for number, fields in session.execute(
        statement.where(PointSetting.organisation_id == organisation_id)
    ):
        if "parent_id" in fields:
            found.setdefault(number, set()).add(fields["parent_id"])
    return found
