"""Removing organisations, sites, meters and appliances, once they are empty.

Measurements are never lost on the way: a data point is never removed, and whatever still holds
one is not removed either (docs/decisions/0016). What is removed was empty, and what it was stays
in the history. Every function takes an open ``Change`` and belongs to its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import fresh
from kilowatch.catalog.tables import (
    Appliance,
    AuditEntry,
    Credential,
    DataPoint,
    Grant,
    Meter,
    Organisation,
    Site,
    Table,
)
from kilowatch.catalog.tables_sites import (
    SiteDays,
    SiteOpening,
    SiteTerms,
    UtilityCarbon,
    UtilityPrice,
)
from kilowatch.model.errors import KilowatchError


def remove_organisation(change: Change, organisation: Organisation) -> None:
    """Remove an organisation that has no site; roles in it and its credentials go with it.

    Without a site it never had a data point, so none of its credentials ever stored a packet.

    Raises:
        KilowatchError: ``not_empty``.
    """
    stored = fresh(change.session, organisation)
    count = _count(change.session, Site, Site.organisation_id == stored.id)
    _must_be_empty(stored.name, count, "site", "Remove its sites first.")
    with _nothing_else_refers(stored.name):
        for table in _owned():
            here = select(table).where(table.organisation_id == stored.id)
            for row in change.session.scalars(here):
                change.session.delete(row)
            change.session.flush()
        change.session.delete(stored)
        change.session.flush()


def _owned() -> list[type[Any]]:
    """Return the tables of what an organisation has, those that refer to others first.

    Plans, groups, invitations, channels and rules of an organisation without sites are as empty as
    it is. The history stays.
    """
    mapped = {mapper.local_table: mapper.class_ for mapper in Table.registry.mappers}
    found = [mapped[table] for table in reversed(Table.metadata.sorted_tables)]
    owned = [table for table in found if hasattr(table, "organisation_id")]
    return [table for table in owned if table is not AuditEntry]


def remove_site(change: Change, site: Site) -> None:
    """Remove a site that has no meter, with what was granted on it and said of it.

    Raises:
        KilowatchError: ``not_empty``, or ``still_used`` while a credential reaches it.
    """
    stored = fresh(change.session, site)
    count = _count(change.session, Meter, Meter.site_id == stored.id)
    _must_be_empty(stored.name, count, "meter", "Remove or move them first.")
    used = list(change.session.scalars(select(Credential).where(Credential.site_id == stored.id)))
    if any(one.revoked_at_ms is None for one in used):
        raise KilowatchError(
            "still_used",
            f"A credential reaches the site {stored.name}.",
            status=409,
            remedy="Revoke it first.",
        )
    for one in used:
        one.site_id = None  # revoked for good; the log keeps its number
    for belongs in (Grant, SiteTerms, SiteDays, SiteOpening, UtilityPrice, UtilityCarbon):
        for row in change.session.scalars(select(belongs).where(belongs.site_id == stored.id)):
            change.session.delete(row)
    with _nothing_else_refers(stored.name):
        change.session.delete(stored)
        change.session.flush()


def remove_meter(change: Change, meter: Meter) -> None:
    """Remove a meter without data points, with its appliances; what it fed is fed by its feeder.

    Raises:
        KilowatchError: ``not_empty``.
    """
    stored = fresh(change.session, meter)
    count = _count(change.session, DataPoint, DataPoint.meter_id == stored.id)
    _must_be_empty(stored.name, count, "data point", "Move them to another meter first.")
    for fed in change.session.scalars(select(Meter).where(Meter.parent_id == stored.id)):
        fed.parent_id = stored.parent_id
    for one in change.session.scalars(select(Appliance).where(Appliance.meter_id == stored.id)):
        change.session.delete(one)
    with _nothing_else_refers(stored.name):
        change.session.flush()
        change.session.delete(stored)
        change.session.flush()


def remove_appliance(change: Change, appliance: Appliance) -> None:
    """Remove an appliance without data points.

    Raises:
        KilowatchError: ``not_empty``.
    """
    stored = fresh(change.session, appliance)
    count = _count(change.session, DataPoint, DataPoint.appliance_id == stored.id)
    _must_be_empty(stored.name, count, "data point", "Move them to another place first.")
    with _nothing_else_refers(stored.name):
        change.session.delete(stored)
        change.session.flush()


def _count(session: Session, table: type[Table], where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(table).where(where)) or 0


def _must_be_empty(name: str, count: int, what: str, remedy: str) -> None:
    """Refuse to remove what still has something.

    Raises:
        KilowatchError: ``not_empty``.
    """
    if count:
        raise KilowatchError(
            "not_empty",
            f"{name} has {count} {what}{'s' if count > 1 else ''}, so it is not removed.",
            status=409,
            remedy=remedy,
            data={"count": count},
        )


@contextmanager
def _nothing_else_refers(name: str) -> Iterator[None]:
    """Refuse what another part of the catalogue still needs, whichever part that is."""
    try:
        yield
    except IntegrityError as error:
        raise KilowatchError(
            "still_used",
            f"Something else still belongs to {name}, such as a rule or an invitation.",
            status=409,
            remedy="Remove that first.",
        ) from error
