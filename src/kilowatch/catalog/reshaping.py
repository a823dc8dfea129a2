"""Changing organisations, sites, meters and appliances; moving data points.

Measurements stay where they are on the way (docs/decisions/0016): a data point that moves takes
its history along. Every function takes an open ``Change`` and belongs to its transaction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import feeders
from kilowatch.catalog.changes import Change
from kilowatch.catalog.people import check_email
from kilowatch.catalog.places import check_country, check_zone, country_of_zone
from kilowatch.catalog.prices import keep_currency
from kilowatch.catalog.registry import check_name, fresh, name_key
from kilowatch.catalog.site_zones import forget_zones
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Organisation, Site
from kilowatch.model.errors import KilowatchError

AREA_M2_MAX = 1e8  # a hundred square kilometres; more is a slip of the unit


@dataclass(frozen=True, slots=True)
class SiteDraft:
    """What is to be written down of a site.

    Attributes:
        name: Unique in its organisation.
        zone: IANA time zone; another one moves the site's local days.
        country: ISO 3166 code; empty for that of the time zone when a site is added.
        region: State, county or province.
        city: Town.
        address: Street and number.
        area_m2: Floor area, for figures per square metre [m²]; None when unknown.
        contact_name: Whom to call.
        contact_email: Their address, or empty.
    """

    name: str
    zone: str
    country: str
    region: str = ""
    city: str = ""
    address: str = ""
    area_m2: float | None = None
    contact_name: str = ""
    contact_email: str = ""


def change_organisation(
    change: Change, organisation: Organisation, *, name: str, country: str
) -> Organisation:
    """Give an organisation another name or country; user names and the prices' currency stay.

    Raises:
        KilowatchError: ``organisation_exists``, ``invalid_name`` or ``unknown_country``.
    """
    name = check_name(name, "organisation")
    stored = fresh(change.session, organisation)
    same = change.session.scalar(
        select(Organisation.id).where(Organisation.name_key == name_key(name))
    )
    if same not in (None, stored.id):
        raise _taken("organisation_exists", f"An organisation named {name!r} exists already.")
    country = check_country(country)
    if country != stored.country:
        keep_currency(change, stored)
    stored.name, stored.name_key = name, name_key(name)
    stored.country = country
    change.session.flush()
    return stored


def add_site(change: Change, organisation: Organisation, facts: SiteDraft) -> Site:
    """Add a site; without a country it gets the time zone's, or else the organisation's.

    Raises:
        KilowatchError: ``site_exists``, or what is wrong with a fact; ``data["field"]`` names it.
    """
    country = facts.country or country_of_zone(check_zone(facts.zone)) or organisation.country
    checked = check_facts(replace(facts, country=country))
    _refuse_same_name(change.session, organisation.id, checked.name)
    site = Site(organisation_id=organisation.id, created_at_ms=change.now_ms, **_columns(checked))
    change.session.add(site)
    change.session.flush()
    return site


def change_site(change: Change, site: Site, facts: SiteDraft) -> Site:
    """Change what is known of a site.

    Raises:
        KilowatchError: ``site_exists``, or what is wrong with a fact; ``data["field"]`` names it.
    """
    stored = fresh(change.session, site)
    checked = check_facts(facts)
    _refuse_same_name(change.session, stored.organisation_id, checked.name, but=stored.id)
    if checked.zone != stored.zone:
        forget_zones(change, stored)  # another zone here is for all time
    for column, fact in _columns(checked).items():
        setattr(stored, column, fact)
    change.session.flush()
    return stored


def check_facts(facts: SiteDraft) -> SiteDraft:
    """Return a site's facts without superfluous spaces.

    Raises:
        KilowatchError: ``invalid_name``, ``unknown_time_zone``, ``unknown_country``,
            ``invalid_fact`` or ``invalid_email``, with ``data["field"]``.
    """
    area = facts.area_m2
    if area is not None and not (math.isfinite(area) and 0 < area <= AREA_M2_MAX):
        raise KilowatchError(
            "invalid_fact",
            f"An area of {area:g} m² is not above zero and at most {AREA_M2_MAX:,.0f} m².",
            remedy="Leave it out when it is not known.",
            data={"field": "area_m2"},
        )
    contact_email = facts.contact_email.strip()
    if contact_email:
        try:
            contact_email = check_email(contact_email)
        except KilowatchError as error:
            error.data["field"] = "contact_email"
            raise
    return SiteDraft(
        name=check_name(facts.name, "site"),
        zone=check_zone(facts.zone),
        country=check_country(facts.country),
        region=_short("region", facts.region, 100),
        city=_short("city", facts.city, 100),
        address=_short("address", facts.address, 300),
        area_m2=area,
        contact_name=_short("contact_name", facts.contact_name, 200),
        contact_email=contact_email,
    )


def change_meter(change: Change, meter: Meter, *, name: str, parent: Meter | None) -> Meter:
    """Give a meter another name, or another meter that feeds it.

    Raises:
        KilowatchError: ``invalid_name``; ``other_site`` or ``feeds_itself`` when the parent is
            elsewhere, or is fed by this meter.
    """
    stored = fresh(change.session, meter)
    stored.name = check_name(name, "meter")
    if parent is not None:
        if parent.site_id != stored.site_id:
            raise KilowatchError(
                "other_site",
                f"The meter {parent.name!r} is not on the same site.",
                remedy="A meter is fed by a meter of its own site.",
                data={"field": "parent"},
            )
        above = _above(change.session, parent)
        if stored.id in above:
            raise KilowatchError(
                "feeds_itself",
                f"{stored.name} cannot be fed by {parent.name}: "
                + ("it is the same meter." if parent.id == stored.id else "it feeds that meter."),
                status=409,
                remedy="Choose a meter nearer to the supply, or none.",
                data={"field": "parent"},
            )
    stored.parent_id = parent.id if parent else None
    change.session.flush()
    return stored


def change_appliance(change: Change, appliance: Appliance, *, name: str) -> Appliance:
    """Give an appliance another name.

    Raises:
        KilowatchError: ``invalid_name``.
    """
    stored = fresh(change.session, appliance)
    stored.name = check_name(name, "appliance")
    change.session.flush()
    return stored


def move_data_point(
    change: Change,
    point: DataPoint,
    meter: Meter,
    appliance: Appliance | None,
    parent: DataPoint | None,
    from_ms: int | None = None,
    *,
    comment: str = "",
) -> DataPoint:
    """Hang a data point under another meter, also of another site of its organisation.

    Its stream id, its packets and its credentials of the scope meter stay. On a site of another
    time zone its local days are computed again.

    Args:
        change: An open change.
        point: The data point.
        meter: Where it hangs, for all time.
        appliance: Of that meter, or None.
        parent: What feeds it, or None.
        from_ms: Since when that feeds it [ms since 1970, UTC]; None for all time.
        comment: Why, for the history.

    Raises:
        KilowatchError: ``other_organisation``, ``other_meter``, ``other_site``, ``feeds_itself``,
            ``moves_for_all_time``, or what ``feeders.set_feeder`` finds.
    """
    stored = fresh(change.session, point)
    if meter.organisation_id != stored.organisation_id:
        raise KilowatchError(
            "other_organisation",
            f"{stored.name} cannot move to another organisation: its packets belong to this one.",
            status=409,
            remedy="Register a new data point there.",
            data={"field": "meter"},
        )
    if appliance is not None and appliance.meter_id != meter.id:
        raise KilowatchError(
            "other_meter",
            f"{appliance.name!r} is no appliance of the meter {meter.name!r}.",
            data={"field": "appliance"},
        )
    if parent is not None and parent.site_id != meter.site_id:
        raise KilowatchError(
            "other_site",
            f"{parent.name} is not on the same site.",
            remedy="A data point is fed by one of its own site.",
            data={"field": "parent"},
        )
    elsewhere = meter.site_id != stored.site_id
    if elsewhere and from_ms is not None:
        raise KilowatchError(
            "moves_for_all_time",
            f"{stored.name} moves to another site for all time, and so does what feeds it.",
            remedy="Choose that it was always so. What measures somewhere else from a day on is "
            "another data point: register it there.",
            data={"field": "from"},
        )
    parent_id = parent.id if parent else None
    with change.session.no_autoflush:  # one change, and one entry of the history
        stored.site_id, stored.meter_id = meter.site_id, meter.id
        stored.appliance_id = appliance.id if appliance else None
        if elsewhere:
            stored.parent_id = parent_id
            change.session.flush()
            feeders.settle_after_move(change, {stored.id: meter.site_id}, stored.organisation_id)
        try:
            feeders.set_feeder(change, stored, parent_id, from_ms, comment=comment)
        except KilowatchError as error:
            if error.data.get("field") == "parent_id":
                error.data["field"] = "parent"
            raise
    change.session.flush()
    return stored


def _refuse_same_name(session: Session, organisation_id: int, name: str, but: int = 0) -> None:
    others = session.execute(
        select(Site.name).where(Site.organisation_id == organisation_id, Site.id != but)
    )
    if name_key(name) in {name_key(other) for (other,) in others}:
        raise _taken("site_exists", f"There is a site named {name!r} already.")


def _above(session: Session, meter: Meter) -> set[int]:
    """Return the numbers of a meter and of everything that feeds it."""
    found: set[int] = set()
    at: Meter | None = meter
    while at is not None and at.id not in found:
        found.add(at.id)
        at = session.get(Meter, at.parent_id) if at.parent_id is not None else None
    return found


def _columns(facts: SiteDraft) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in SiteDraft.__slots__}


def _short(field: str, text: str, longest: int) -> str:
    clean = " ".join(text.split())
    if len(clean) > longest or not clean.isprintable():
        raise KilowatchError(
            "invalid_fact",
            f"This has more than {longest} characters, or some that cannot be printed.",
            data={"field": field},
        )
    return clean


def _taken(code: str, detail: str) -> KilowatchError:
    return KilowatchError(
        code, detail, status=409, remedy="Choose another name.", data={"field": "name"}
    )
