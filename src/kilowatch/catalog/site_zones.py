"""A site's time zone: from a date on, or for all time because it was wrong.

A site that moves, or a country that changes its zone before the tables know, has the local days
of the old zone until then and of the new one after. All data points of the site are computed
again.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.places import check_zone
from kilowatch.catalog.point_settings import EARLIEST_MS
from kilowatch.catalog.tables import Site
from kilowatch.catalog.tables_settings import SiteZone
from kilowatch.model.dated import ALWAYS_MS, History
from kilowatch.model.errors import KilowatchError
from kilowatch.model.zones import fits_together


def zones(session: Session, site: Site) -> list[SiteZone]:
    """Return a site's zones over time, oldest first; empty while it has only ever had one."""
    found = session.scalars(select(SiteZone).where(SiteZone.site_id == site.id))
    return sorted(found, key=lambda row: -1 if row.from_ms is None else row.from_ms)


def change_zone_from(change: Change, site: Site, zone: str, from_ms: int) -> list[SiteZone]:
    """Give a site another time zone from an instant on.

    Args:
        change: An open change.
        site: A row of the change's session.
        zone: IANA name.
        from_ms: First instant of the new zone [ms since 1970, UTC].

    Raises:
        KilowatchError: ``unknown_time_zone``, ``future_date``, ``invalid_date`` (too near to a
            change of the clocks, or before every packet).
    """
    zone = check_zone(zone)
    if not EARLIEST_MS <= from_ms <= change.now_ms:
        raise KilowatchError(
            "future_date" if from_ms > change.now_ms else "invalid_date",
            "A site's time zone changes from a date since 1971, and until now.",
            remedy="For a zone that was always wrong, change it for all time.",
            data={"field": "from"},
        )
    rows = {row.from_ms: row for row in zones(change.session, site)}
    after = {from_ms: row.zone for from_ms, row in rows.items()} or {None: site.zone}
    after[from_ms] = zone
    story = sorted((ALWAYS_MS if at is None else at, name) for at, name in after.items())
    if not fits_together(History(zones=tuple(story)).zone_name(zone)):
        raise KilowatchError(
            "invalid_date",
            "Within a day of that date the clocks change, so some local times would come twice.",
            remedy="Choose a date at least two days from the change of the clocks.",
            data={"field": "from"},
        )
    for at, name in after.items():
        if at in rows:
            rows[at].zone = name
        else:
            change.session.add(
                SiteZone(
                    organisation_id=site.organisation_id,
                    site_id=site.id,
                    from_ms=at,
                    zone=name,
                    created_at_ms=change.now_ms,
                )
            )
    site.zone = story[-1][1]
    change.session.flush()
    return zones(change.session, site)


def change_zone_always(change: Change, site: Site, zone: str) -> None:
    """Give a site another time zone for all time: it was always wrong.

    Raises:
        KilowatchError: ``unknown_time_zone``.
    """
    site.zone = check_zone(zone)
    forget_zones(change, site)
    change.session.flush()


def forget_zones(change: Change, site: Site) -> None:
    """Drop what was dated: the site has one zone for all time."""
    for row in zones(change.session, site):
        change.session.delete(row)


def undo_zone(change: Change, site: Site, zone_id: int) -> list[SiteZone]:
    """Take a dated change of the zone back.

    Raises:
        KilowatchError: ``unknown_change``.
    """
    rows = zones(change.session, site)
    row = next((row for row in rows if row.id == zone_id and row.from_ms is not None), None)
    if row is None:
        raise KilowatchError(
            "unknown_change",
            f"{site.name} has no dated time zone {zone_id}.",
            status=404,
        )
    rest = [other for other in rows if other is not row]
    change.session.delete(row)
    site.zone = rest[-1].zone
    if len(rest) == 1:
        change.session.delete(rest[0])
    change.session.flush()
    return zones(change.session, site)
