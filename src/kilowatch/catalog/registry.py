"""Organisations, sites, meters and appliances: adding and finding them.

Functions that write take an open ``Change`` and belong to its transaction; functions that read
take a session. Names are compared without regard to case and spaces, as people type them.
"""

from __future__ import annotations

import difflib
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.places import check_country, check_zone, country_of_zone
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Organisation, Site, User
from kilowatch.catalog.tables_people import Plan
from kilowatch.catalog.tools import PRESETS
from kilowatch.model.errors import KilowatchError

Row = TypeVar("Row", Organisation, Site, Meter, Appliance, DataPoint, User)


def name_key(name: str) -> str:
    """Return what two spellings of the same name have in common."""
    return " ".join(name.split()).casefold()


def check_name(name: str, what: str, *, longest: int = 200) -> str:
    """Return a name without superfluous spaces.

    Raises:
        KilowatchError: ``invalid_name``, when it is empty, too long or has control characters.
    """
    clean = " ".join(name.split())
    if not clean:
        raise KilowatchError(
            "invalid_name", f"The name of the {what} is missing.", data={"field": "name"}
        )
    if len(clean) > longest or not clean.isprintable():
        raise KilowatchError(
            "invalid_name",
            f"The name of the {what} must have 1 to {longest} printable characters.",
            data={"field": "name"},
        )
    return clean


def fresh(session: Session, row: Row) -> Row:
    """Return a row as it is now, whatever it was when somebody else read it.

    Never ``session.merge``: it would write the old values over newer ones.
    """
    found = session.get(type(row), row.id, populate_existing=True)
    assert found is not None, row
    return found


def add_organisation(
    change: Change, name: str, *, country: str, demo: bool = False, live: bool = False
) -> Organisation:
    """Add an organisation.

    Args:
        change: An open change.
        name: Unique among organisations.
        country: ISO 3166 code.
        demo: Whether the simulator feeds it.
        live: True on a server that never was a test: production credentials at once.

    Raises:
        KilowatchError: ``organisation_exists``, ``invalid_name`` or ``unknown_country``.
    """
    name = check_name(name, "organisation")
    known = select(Organisation).where(Organisation.name_key == name_key(name))
    if change.session.scalar(known) is not None:
        raise KilowatchError(
            "organisation_exists",
            f"An organisation named {name!r} exists already.",
            status=409,
            remedy="Choose another name, or add to the one that exists.",
            data={"field": "name"},
        )
    organisation = Organisation(
        name=name,
        name_key=name_key(name),
        country=check_country(country),
        demo=demo,
        created_at_ms=change.now_ms,
        live_at_ms=change.now_ms if live else None,
    )
    change.session.add(organisation)
    change.session.flush()
    for plan, tools in PRESETS.items():
        change.session.add(
            Plan(
                organisation_id=organisation.id,
                name=plan,
                tools=tools,
                created_at_ms=change.now_ms,
            )
        )
    change.session.flush()
    return organisation


def organisations(session: Session) -> list[Organisation]:
    """Return all organisations by name."""
    return list(session.scalars(select(Organisation).order_by(Organisation.name_key)))


def find_organisation(session: Session, name: str) -> Organisation:
    """Return the organisation of that name.

    Raises:
        KilowatchError: ``unknown_organisation``, naming those that come close.
    """
    found = session.scalar(select(Organisation).where(Organisation.name_key == name_key(name)))
    if found is not None:
        return found
    names = {row.name_key: row.name for row in organisations(session)}
    close = [names[key] for key in difflib.get_close_matches(name_key(name), names, n=3)]
    if close:
        remedy = f"Did you mean {' or '.join(map(repr, close))}?"
    elif names:
        remedy = f"There are: {', '.join(map(repr, list(names.values())[:10]))}."
    else:
        remedy = "There is none yet: begin with 'kilowatch startup-package'."
    raise KilowatchError(
        "unknown_organisation",
        f"There is no organisation named {name!r}.",
        status=404,
        remedy=remedy,
        data={"field": "organisation"},
    )


def add_site(
    change: Change,
    organisation: Organisation,
    name: str,
    *,
    zone: str,
    country: str | None = None,
    region: str = "",
    city: str = "",
) -> Site:
    """Add a site; without a country it gets the time zone's, or else the organisation's.

    Raises:
        KilowatchError: ``site_exists``, ``invalid_name``, ``unknown_time_zone`` or
            ``unknown_country``.
    """
    name = check_name(name, "site")
    zone = check_zone(zone)
    if _site(change.session, organisation.id, name) is not None:
        raise KilowatchError(
            "site_exists",
            f"{organisation.name} has a site named {name!r} already.",
            status=409,
            remedy="Choose another name, or add to the one that exists.",
            data={"field": "name"},
        )
    site = Site(
        organisation_id=organisation.id,
        name=name,
        zone=zone,
        country=check_country(country or country_of_zone(zone) or organisation.country),
        region=region,
        city=city,
        created_at_ms=change.now_ms,
    )
    change.session.add(site)
    change.session.flush()
    return site


def sites(session: Session, organisation_id: int) -> list[Site]:
    """Return an organisation's sites in the order in which they were added."""
    statement = select(Site).where(Site.organisation_id == organisation_id).order_by(Site.id)
    return list(session.scalars(statement))


def find_site(session: Session, organisation: Organisation, name: str) -> Site:
    """Return an organisation's site of that name.

    Raises:
        KilowatchError: ``unknown_site``, naming those that there are.
    """
    site = _site(session, organisation.id, name)
    if site is None:
        there = ", ".join(repr(site.name) for site in sites(session, organisation.id)[:10])
        raise KilowatchError(
            "unknown_site",
            f"{organisation.name} has no site named {name!r}.",
            status=404,
            remedy=f"It has: {there}." if there else "It has no site yet.",
            data={"field": "site"},
        )
    return site


def _site(session: Session, organisation_id: int, name: str) -> Site | None:
    return next(
        (s for s in sites(session, organisation_id) if name_key(s.name) == name_key(name)), None
    )


def add_meter(change: Change, site: Site, name: str, *, parent: Meter | None = None) -> Meter:
    """Add a meter to a site.

    Args:
        change: An open change.
        site: Where it is.
        name: What people call it.
        parent: The meter that feeds it, so that totals do not count it twice.

    Raises:
        KilowatchError: ``invalid_name``, or ``other_site`` when the parent is elsewhere.
    """
    if parent is not None and parent.site_id != site.id:
        raise KilowatchError(
            "other_site",
            f"The meter {parent.name!r} is not on the site {site.name!r}.",
            remedy="A meter is fed by a meter of its own site.",
            data={"field": "parent"},
        )
    meter = Meter(
        organisation_id=site.organisation_id,
        site_id=site.id,
        name=check_name(name, "meter"),
        parent_id=parent.id if parent else None,
        created_at_ms=change.now_ms,
    )
    change.session.add(meter)
    change.session.flush()
    return meter


def add_appliance(change: Change, meter: Meter, name: str) -> Appliance:
    """Add an appliance, one channel of a meter.

    Raises:
        KilowatchError: ``invalid_name``.
    """
    appliance = Appliance(
        organisation_id=meter.organisation_id,
        meter_id=meter.id,
        name=check_name(name, "appliance"),
        created_at_ms=change.now_ms,
    )
    change.session.add(appliance)
    change.session.flush()
    return appliance
