"""Groups: a named set of sites and data points, and the people who may see them.

A group opens places to its members as a grant does (``people.grant``): with the role that each has
in the organisation, and only while they have one.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import check_name, name_key
from kilowatch.catalog.tables import DataPoint, Membership, Site, User
from kilowatch.catalog.tables_people import Group, GroupMember, GroupPlace
from kilowatch.model.errors import KilowatchError


def groups(session: Session, organisation_id: int) -> list[Group]:
    """Return the groups of an organisation by name."""
    statement = select(Group).where(Group.organisation_id == organisation_id).order_by(Group.name)
    return list(session.scalars(statement))


def find(session: Session, organisation_id: int, group_id: int) -> Group:
    """Return an organisation's group.

    Raises:
        KilowatchError: ``unknown_group``, also for one of another organisation.
    """
    group = session.get(Group, group_id)
    if group is None or group.organisation_id != organisation_id:
        raise KilowatchError("unknown_group", "There is no such group.", status=404)
    return group


def add(change: Change, organisation_id: int, name: str) -> Group:
    """Add an empty group.

    Raises:
        KilowatchError: ``invalid_name`` or ``group_exists``.
    """
    group = Group(
        organisation_id=organisation_id,
        name=_free_name(change.session, organisation_id, name),
        created_at_ms=change.now_ms,
    )
    change.session.add(group)
    change.session.flush()
    return group


def rename(change: Change, group: Group, name: str) -> None:
    """Call a group something else.

    Raises:
        KilowatchError: ``invalid_name`` or ``group_exists``.
    """
    group.name = _free_name(change.session, group.organisation_id, name, but=group)
    change.session.flush()


def remove(change: Change, group: Group) -> None:
    """Remove a group; its members no longer see what only it opened to them."""
    for kind in (GroupMember, GroupPlace):
        for row in change.session.scalars(select(kind).where(kind.group_id == group.id)):
            change.session.delete(row)
    change.session.flush()
    change.session.delete(group)
    change.session.flush()


def members(session: Session, group_id: int) -> list[User]:
    """Return the people of a group by e-mail address."""
    statement = (
        select(User)
        .join(GroupMember, GroupMember.user_id == User.id)
        .where(GroupMember.group_id == group_id)
        .order_by(User.email)
    )
    return list(session.scalars(statement))


def add_member(change: Change, group: Group, user: User) -> None:
    """Put a person who has a role in the organisation into a group.

    Raises:
        KilowatchError: ``other_organisation``.
    """
    belongs = select(Membership.id).where(
        Membership.user_id == user.id, Membership.organisation_id == group.organisation_id
    )
    if change.session.scalar(belongs) is None:
        raise KilowatchError(
            "other_organisation",
            f"{user.email} has no role in this organisation.",
            status=409,
            remedy="Give the person a role here first.",
        )
    if _member(change.session, group.id, user.id) is None:
        change.session.add(
            GroupMember(
                organisation_id=group.organisation_id,
                group_id=group.id,
                user_id=user.id,
                created_at_ms=change.now_ms,
            )
        )
        change.session.flush()


def remove_member(change: Change, group: Group, user_id: int) -> None:
    """Take a person out of a group; nothing happens if they are not in it."""
    member = _member(change.session, group.id, user_id)
    if member is not None:
        change.session.delete(member)
        change.session.flush()


def places(session: Session, group_id: int) -> list[GroupPlace]:
    """Return the sites and data points of a group."""
    statement = select(GroupPlace).where(GroupPlace.group_id == group_id).order_by(GroupPlace.id)
    return list(session.scalars(statement))


def add_place(change: Change, group: Group, place: Site | DataPoint) -> None:
    """Open a site or a data point of the same organisation to a group.

    Raises:
        KilowatchError: ``other_organisation``.
    """
    if place.organisation_id != group.organisation_id:
        raise KilowatchError(
            "other_organisation", f"{place.name} is not in this organisation.", status=409
        )
    if _place(change.session, group.id, place) is None:
        site = isinstance(place, Site)
        change.session.add(
            GroupPlace(
                organisation_id=group.organisation_id,
                group_id=group.id,
                site_id=place.id if site else None,
                data_point_id=None if site else place.id,
                created_at_ms=change.now_ms,
            )
        )
        change.session.flush()


def remove_place(change: Change, group: Group, place: Site | DataPoint) -> None:
    """Close a site or a data point to a group; nothing happens if it was not open."""
    row = _place(change.session, group.id, place)
    if row is not None:
        change.session.delete(row)
        change.session.flush()


def _member(session: Session, group_id: int, user_id: int) -> GroupMember | None:
    return session.scalar(select(GroupMember).filter_by(group_id=group_id, user_id=user_id))


def _place(session: Session, group_id: int, place: Site | DataPoint) -> GroupPlace | None:
    column = "site_id" if isinstance(place, Site) else "data_point_id"
    return session.scalar(select(GroupPlace).filter_by(group_id=group_id, **{column: place.id}))


def _free_name(
    session: Session, organisation_id: int, name: str, *, but: Group | None = None
) -> str:
    clean = check_name(name, "group", longest=100)
    others = [g for g in groups(session, organisation_id) if g is not but]
    if name_key(clean) in {name_key(group.name) for group in others}:
        raise KilowatchError(
            "group_exists",
            f"There is a group named {clean!r} already.",
            status=409,
            data={"field": "name"},
        )
    return clean
