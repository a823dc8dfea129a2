"""A site's own calendar, and its opening hours as a person has set them."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.local_days import check_day
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.tables import Site
from kilowatch.catalog.tables_sites import SiteDays, SiteOpening
from kilowatch.model.errors import KilowatchError
from kilowatch.model.opening import Week, text_of_week

RANGE_DAYS_MAX = 366
"""A longer closure is another use of the building, not a holiday."""


def days(session: Session, site_id: int) -> list[SiteDays]:
    """Return a site's own closed and open days, by their beginning."""
    rows = session.scalars(select(SiteDays).where(SiteDays.site_id == site_id))
    return sorted(rows, key=lambda row: (row.first_day, row.id))


def add_days(
    change: Change, site: Site, name: str, first: date, last: date | None = None, *, opened: bool
) -> SiteDays:
    """Add a day or a range of days to a site's calendar.

    Args:
        change: An open change.
        site: Which site.
        name: What people call it, such as "Christmas closure".
        first: Its first day.
        last: Its last day, or None for a single one.
        opened: Whether the site is open although it would be closed; else it is closed.

    Raises:
        KilowatchError: ``invalid_name``, ``invalid_date``; ``days_overlap`` when one of the days
            is said to be closed, or open, already.
    """
    clean = check_name(name, "days", longest=100)
    begin, end = check_day(first, "first"), check_day(last or first, "last")
    if end < begin or (end - begin).days >= RANGE_DAYS_MAX:
        raise KilowatchError(
            "invalid_date",
            f"From {begin} to {end} is no range of at most {RANGE_DAYS_MAX} days.",
            data={"field": "last"},
        )
    for row in days(change.session, site.id):
        if row.first_day <= end.isoformat() and begin.isoformat() <= row.last_day:
            raise KilowatchError(
                "days_overlap",
                f"{row.name} ({row.first_day} to {row.last_day}) has some of these days already.",
                status=409,
                remedy="Remove that first, or choose other days.",
                data={"field": "first"},
            )
    added = SiteDays(
        organisation_id=site.organisation_id,
        site_id=site.id,
        first_day=begin.isoformat(),
        last_day=end.isoformat(),
        open=opened,
        name=clean,
        created_at_ms=change.now_ms,
    )
    change.session.add(added)
    change.session.flush()
    return added


def remove_days(change: Change, site: Site, number: int) -> None:
    """Remove days from a site's calendar.

    Raises:
        KilowatchError: 404 ``unknown_days``.
    """
    row = change.session.get(SiteDays, number)
    if row is None or row.site_id != site.id:
        raise KilowatchError("unknown_days", "There are no such days.", status=404)
    change.session.delete(row)
    change.session.flush()


def openings(session: Session, site_id: int) -> list[SiteOpening]:
    """Return the opening hours that were set, by their beginning."""
    rows = session.scalars(select(SiteOpening).where(SiteOpening.site_id == site_id))
    return sorted(rows, key=lambda row: row.from_day or "")


def set_opening(
    change: Change, site: Site, hours: Week | None, from_day: date | None
) -> SiteOpening:
    """Set opening hours from a date on; those of the same date are replaced, earlier ones stay.

    Args:
        change: An open change.
        site: Which site.
        hours: 168 hours from Monday 00:00, or None: what is learnt from the load holds again.
        from_day: First day, or None for always.

    Raises:
        KilowatchError: ``invalid_date``.
    """
    day = None if from_day is None else check_day(from_day, "from").isoformat()
    row = next((one for one in openings(change.session, site.id) if one.from_day == day), None)
    if row is None:
        row = SiteOpening(
            organisation_id=site.organisation_id,
            site_id=site.id,
            from_day=day,
            created_at_ms=change.now_ms,
        )
        change.session.add(row)
    row.hours = "" if hours is None else text_of_week(hours)
    change.session.flush()
    return row


def remove_opening(change: Change, site: Site, number: int) -> None:
    """Take opening hours back: those before them go on, or else what is learnt.

    Raises:
        KilowatchError: 404 ``unknown_opening``.
    """
    row = change.session.get(SiteOpening, number)
    if row is None or row.site_id != site.id:
        raise KilowatchError("unknown_opening", "There are no such opening hours.", status=404)
    change.session.delete(row)
    change.session.flush()
