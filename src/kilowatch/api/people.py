"""People and what they see: for who administers their organisation, and for themselves."""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from kilowatch.api.declaring import Ask, Resource, text
from kilowatch.api.estate import Site, place, sites_of
from kilowatch.api.problems import not_allowed, not_found, not_in_plan
from kilowatch.catalog import rights, tree
from kilowatch.catalog.people import find_by_email
from kilowatch.catalog.rights import has_tool, may
from kilowatch.catalog.tables import DataPoint, Grant, Membership, Organisation, Role, User
from kilowatch.catalog.tables_people import GroupMember, GroupPlace

TOOL = "admin"
ABOUT = (
    "Everybody may ask for themselves. Of others those are answered who belong to an organisation "
    "that the token's owner administers, with what they have there; everybody else is 404."
)


class AssociatedUser(msgspec.Struct):
    """Somebody who sees a site, or some meters of it.

    Attributes:
        id: Number of the person.
        name: What they are called.
        email: Address of their account.
        role: Their role in the site's organisation.
        access: What they see of it: the whole `organization`, the whole `site`, or some `meters`.
        active: Whether their account is open.
    """

    id: int
    name: str
    email: str
    role: Role
    access: Literal["organization", "site", "meters"]
    active: bool


class Belonging(msgspec.Struct):
    """A person's role in an organisation.

    Attributes:
        organization_id: Where.
        organization_name: What it is called.
        role: What they may do there.
        whole_organization: Whether they see all of it, or only what was opened to them.
    """

    organization_id: int
    organization_name: str
    role: Role
    whole_organization: bool


class Person(msgspec.Struct):
    """A person with an account.

    Attributes:
        id: Their number.
        name: What they are called.
        email: Address of their account.
        active: Whether their account is open.
        organizations: Where they belong, as far as the token's owner may know.
    """

    id: int
    name: str
    email: str
    active: bool
    organizations: list[Belonging]


def site_associated_users(ask: Ask) -> list[AssociatedUser]:
    """Answer who sees a site, or some meters of it, by number."""
    node, site = place(ask, ask.number)
    if not may(ask.who, "administer", organisation_id=node.id):
        raise not_allowed()
    if not has_tool(ask.who, ask.tool, node.id):
        raise not_in_plan()
    with ask.rooms.registry.catalog.reading() as session:
        of_site, of_meters = _granted(session, node.id, site.id)
        members = (
            select(User, Membership)
            .join(Membership, Membership.user_id == User.id)
            .where(Membership.organisation_id == node.id)
            .order_by(User.id)
        )
        found = []
        for user, member in session.execute(members):
            access: Literal["organization", "site", "meters"]
            if member.whole_organisation:
                access = "organization"
            elif user.id in of_site:
                access = "site"
            elif user.id in of_meters:
                access = "meters"
            else:
                continue
            found.append(
                AssociatedUser(
                    user.id, user.name, user.email, member.role, access,
                    user.disabled_at_ms is None,
                )
            )  # fmt: skip
        return found


def user_associated_sites(ask: Ask) -> list[Site]:
    """Answer the sites that a person sees, as far as the token's owner may know, by number."""
    if ask.number == ask.who.id:
        seen = ask.rooms.registry.tree(ask.who)
        return sites_of(ask, [one.id for node in seen for one in node.sites])
    with ask.rooms.registry.catalog.reading() as session:
        user = session.get(User, ask.number)
        known = _known(session, ask, user)
        if user is None or not known:
            raise not_found()
        theirs = tree.tree(session, rights.person(session, user))
    here = {one.organization_id for one in known}
    return sites_of(ask, [one.id for node in theirs if node.id in here for one in node.sites])


def user_by_email(ask: Ask) -> Person:
    """Answer who has an address, as far as the token's owner may know."""
    with ask.rooms.registry.catalog.reading() as session:
        user = find_by_email(session, ask.values["email"])
        known = _known(session, ask, user)
        if user is None or (not known and user.id != ask.who.id):
            raise not_found()
        return Person(user.id, user.name, user.email, user.disabled_at_ms is None, known)


def _known(session: Session, ask: Ask, user: User | None) -> list[Belonging]:
    """Return where a person belongs, of the organisations that the token's owner may tell of.

    Those are all of their own for themselves, and those that they administer for others.
    """
    if user is None:
        return []
    mine = [
        number
        for number in ask.who.standings
        if user.id == ask.who.id
        or (
            may(ask.who, "administer", organisation_id=number)
            and has_tool(ask.who, ask.tool, number)
        )
    ]
    members = (
        select(Membership, Organisation.name)
        .join(Organisation, Membership.organisation_id == Organisation.id)
        .where(Membership.user_id == user.id, Membership.organisation_id.in_(mine))
        .order_by(Membership.organisation_id)
    )
    return [
        Belonging(one.organisation_id, name, one.role, one.whole_organisation)
        for one, name in session.execute(members)
    ]


def _granted(session: Session, organisation_id: int, site_id: int) -> tuple[set[int], set[int]]:
    """Return whom a site was opened to, and whom some of its data points, by a grant or a group."""
    grants = select(Grant.user_id, Grant.site_id, Grant.data_point_id).where(
        Grant.organisation_id == organisation_id
    )
    groups = (
        select(GroupMember.user_id, GroupPlace.site_id, GroupPlace.data_point_id)
        .join(GroupPlace, GroupMember.group_id == GroupPlace.group_id)
        .where(GroupPlace.organisation_id == organisation_id)
    )
    here = set(session.scalars(select(DataPoint.id).where(DataPoint.site_id == site_id)))
    of_site, of_meters = set(), set()
    for user_id, site, point in session.execute(union_all(grants, groups)):
        if site == site_id:
            of_site.add(user_id)
        elif point in here:
            of_meters.add(user_id)
    return of_site, of_meters


RESOURCES: tuple[Resource, ...] = (
    Resource(
        "/sites/{id}/associated_users", site_associated_users, list[AssociatedUser], "Users",
        "Who sees a site", "For who administers the site's organisation; else 403.",
        tool=TOOL, paged=True,
    ),
    Resource(
        "/users/{id}/associated_sites", user_associated_sites, list[Site], "Users",
        "What sites a person sees", ABOUT, tool=TOOL, paged=True,
    ),
    Resource(
        "/users/show_by_email", user_by_email, Person, "Users", "Who has an address", ABOUT,
        (text("email", "Address of the account.", required=True),), tool=TOOL,
    ),
)  # fmt: skip
