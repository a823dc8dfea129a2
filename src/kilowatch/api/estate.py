"""Organisations and sites: what a token's owner finds in the tree on the left of every page."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import select

from kilowatch.api.declaring import Ask, Resource, number
from kilowatch.api.problems import not_found
from kilowatch.catalog.rights import may
from kilowatch.catalog.tables import Site as SiteRow
from kilowatch.catalog.tree import OrganisationNode, SiteNode

ORGANIZATION = number("organization_id", "Only what belongs to this organisation.")
SITE = number("site_id", "Only what is at this site.")


class Organization(msgspec.Struct):
    """Who owns sites, meters and their data.

    Attributes:
        id: Its number.
        name: What it is called.
    """

    id: int
    name: str


class Site(msgspec.Struct):
    """A place with one time zone.

    Attributes:
        id: Its number.
        organization_id: Whose it is.
        name: What it is called.
        time_zone: IANA name; every local time of the site's meters is on this clock.
        country: ISO 3166 code.
        city: Where it is; empty where nobody has said.
        address: Likewise. Null for who may read only some of its meters.
        contact_name: Whom to ask. Null for who may not manage the site.
        contact_email: Their address, likewise.
    """

    id: int
    organization_id: int
    name: str
    time_zone: str
    country: str
    city: str
    address: str | None
    contact_name: str | None
    contact_email: str | None


class SiteMetadata(msgspec.Struct):
    """What figures of a site rest on, besides its meters.

    Attributes:
        site_id: The site.
        time_zone: IANA name.
        country: ISO 3166 code.
        region: Code of the region whose public holidays it keeps; empty for the country's.
        currency: ISO 4217 code of its prices; empty where none is set.
        floor_area_m2: Floor area [m²]; null while nobody has said.
        heating_base_c: Outdoor temperature below which it needs heating [°C].
        cooling_base_c: Outdoor temperature above which it needs cooling [°C].
        outdoor_temperature_meter_id: The meter with its outdoor temperature; null for none, or for
            one that the token does not see.
        opening_hours_known: Whether a person has set its opening hours; else they are learnt.
        prices: The prices of its utilities over time, as people read them, the later ones first.
    """

    site_id: int
    time_zone: str
    country: str
    region: str
    currency: str
    floor_area_m2: float | None
    heating_base_c: float
    cooling_base_c: float
    outdoor_temperature_meter_id: int | None
    opening_hours_known: bool
    prices: list[str]


def organisation(ask: Ask, number: int) -> OrganisationNode:
    """Return an organisation that the token's owner sees.

    Raises:
        KilowatchError: 404 ``not_found``.
    """
    for one in ask.rooms.registry.tree(ask.who):
        if one.id == number:
            return one
    raise not_found()


def places(ask: Ask) -> Iterator[tuple[OrganisationNode, SiteNode]]:
    """Yield the sites that the token's owner sees, of the organisation and site of the query.

    Raises:
        KilowatchError: 404 ``not_found``: the one that is asked for is not there for them.
    """
    owner, site = ask.values.get("organization_id"), ask.values.get("site_id")
    if owner is not None:
        organisation(ask, owner)
    found = [
        (node, one)
        for node in ask.rooms.registry.tree(ask.who)
        for one in node.sites
        if owner in (None, node.id) and site in (None, one.id)
    ]
    if site is not None and not found:
        raise not_found()
    yield from found


def place(ask: Ask, number: int) -> tuple[OrganisationNode, SiteNode]:
    """Return a site that the token's owner sees, with its organisation.

    Raises:
        KilowatchError: 404 ``not_found``.
    """
    for node in ask.rooms.registry.tree(ask.who):
        for one in node.sites:
            if one.id == number:
                return node, one
    raise not_found()


def organizations(ask: Ask) -> list[Organization]:
    """Answer every organisation that the token's owner sees, by number."""
    tree = ask.rooms.registry.tree(ask.who)
    return sorted((Organization(one.id, one.name) for one in tree), key=lambda one: one.id)


def organization(ask: Ask) -> Organization:
    """Answer one organisation."""
    found = organisation(ask, ask.number)
    return Organization(found.id, found.name)


def sites(ask: Ask) -> list[Site]:
    """Answer the sites that the token's owner sees, by number."""
    numbers = [one.id for _, one in places(ask)]
    return sites_of(ask, numbers)


def site(ask: Ask) -> Site:
    """Answer one site."""
    _, found = place(ask, ask.number)
    one = sites_of(ask, [found.id])
    if not one:
        raise not_found()  # it has gone since the tree was read
    return one[0]


def site_metadata(ask: Ask) -> SiteMetadata:
    """Answer what a site's figures rest on; for who may read the whole site."""
    node, found = place(ask, ask.number)
    facts = ask.rooms.registry.facts().get(found.id)
    if facts is None or not may(ask.who, "read", organisation_id=node.id, site_id=found.id):
        raise not_found()
    seen = {leaf.id for leaf in found.leaves()}
    outdoor = facts.temperature_point
    return SiteMetadata(
        site_id=found.id,
        time_zone=found.zone,
        country=facts.country,
        region=facts.region,
        currency=facts.currency,
        floor_area_m2=facts.area_m2,
        heating_base_c=facts.heating_base_c,
        cooling_base_c=facts.cooling_base_c,
        outdoor_temperature_meter_id=outdoor if outdoor in seen else None,
        opening_hours_known=facts.opening is not None,
        prices=[f"{one.utility}: {one}" for one in facts.prices],
    )


def sites_of(ask: Ask, numbers: list[int]) -> list[Site]:
    """Return sites by number; in portions, for a statement takes only so many numbers."""
    found: list[Site] = []
    with ask.rooms.registry.catalog.reading() as session:
        for first in range(0, len(numbers), 500):
            some = select(SiteRow).where(SiteRow.id.in_(numbers[first : first + 500]))
            found += [_site(ask, row) for row in session.scalars(some)]
    return sorted(found, key=lambda one: one.id)


def _site(ask: Ask, row: SiteRow) -> Site:
    where = {"organisation_id": row.organisation_id, "site_id": row.id}
    whole, manages = may(ask.who, "read", **where), may(ask.who, "manage", **where)
    return Site(
        id=row.id,
        organization_id=row.organisation_id,
        name=row.name,
        time_zone=row.zone,
        country=row.country,
        city=row.city,
        address=row.address if whole else None,
        contact_name=row.contact_name if manages else None,
        contact_email=row.contact_email if manages else None,
    )


RESOURCES: tuple[Resource, ...] = (
    Resource(
        "/organizations", organizations, list[Organization], "Organisations",
        "Every organisation that the token's owner sees", paged=True,
    ),
    Resource(
        "/organizations/{id}", organization, Organization, "Organisations", "One organisation",
    ),
    Resource(
        "/sites", sites, list[Site], "Sites", "Every site that the token's owner sees",
        parameters=(ORGANIZATION,), paged=True,
    ),
    Resource("/sites/{id}", site, Site, "Sites", "One site"),
    Resource(
        "/sites/{id}/metadata", site_metadata, SiteMetadata, "Sites",
        "What a site's figures rest on",
        "Calendar, currency, prices, floor area; for who may read the whole site.",
    ),
)  # fmt: skip
