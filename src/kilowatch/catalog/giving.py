"""Who may give whom which rights, and that somebody is always left who can.

Nobody gives more than they have: a role whose actions are among their own, places that they
administer, tools of their own plan. An organisation keeps at least one administrator who can log
in and see its pages of people.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import mailed_links, people, plans, second_factor
from kilowatch.catalog.changes import Change
from kilowatch.catalog.registry import fresh
from kilowatch.catalog.rights import ACTIONS_BY_ROLE, Person, may
from kilowatch.catalog.tables import DataPoint, Membership, Organisation, Role, Site, User
from kilowatch.catalog.tables_people import Plan
from kilowatch.model.errors import KilowatchError


def check_role(giver: Person, organisation_id: int, role: Role, *, whole: bool) -> None:
    """Refuse to give a role that the giver has not, or more of the organisation than they have.

    Raises:
        KilowatchError: ``gives_too_much`` (403).
    """
    standing = giver.standings.get(organisation_id)
    own = ACTIONS_BY_ROLE[standing.role] if standing else frozenset()
    if standing is None or "administer" not in own:
        raise _too_much()
    if not ACTIONS_BY_ROLE[role] <= own or (whole and not standing.whole):
        raise _too_much()


def check_places(giver: Person, places: Iterable[Site | DataPoint]) -> None:
    """Refuse to give a place that the giver does not administer.

    Raises:
        KilowatchError: ``gives_too_much`` (403).
    """
    for place in places:
        site = isinstance(place, Site)
        if not may(
            giver,
            "administer",
            organisation_id=place.organisation_id,
            site_id=place.id if isinstance(place, Site) else place.site_id,
            data_point_id=None if site else place.id,
        ):
            raise _too_much()


def check_tools(giver: Person, organisation_id: int, tools: plans.Tools) -> None:
    """Refuse to give tools that the giver has not.

    Raises:
        KilowatchError: ``gives_too_much`` (403).
    """
    standing = giver.standings.get(organisation_id)
    if standing is None or not plans.within(tools, standing.tools):
        raise _too_much()


def set_role(
    change: Change,
    giver: Person,
    user: User,
    organisation: Organisation,
    role: Role,
    *,
    whole: bool,
    plan: Plan | None,
) -> Membership:
    """Change what a person of the organisation may do there.

    Raises:
        KilowatchError: ``gives_too_much``, ``last_administrator`` or ``invalid_role``.
    """
    if role in ACTIONS_BY_ROLE:
        check_role(giver, organisation.id, role, whole=whole)
    here = {"user_id": user.id, "organisation_id": organisation.id}
    before = change.session.scalar(select(Membership).filter_by(**here))
    if before is None or before.plan_id != (plan.id if plan else None):
        check_tools(giver, organisation.id, plans.tools_of(plan))
    membership = people.set_role(change, user, organisation, role, whole=whole)
    membership.plan_id = plan.id if plan else None
    change.session.flush()
    still_administered(change.session, organisation.id)
    return membership


def remove(change: Change, user: User, organisation: Organisation) -> None:
    """Take a person out of an organisation.

    Raises:
        KilowatchError: ``last_administrator``.
    """
    people.remove_role(change, user, organisation)
    still_administered(change.session, organisation.id)


def disable(change: Change, giver: Person, user: User) -> None:
    """Close a person's account everywhere, if the giver administers every organisation of theirs.

    Raises:
        KilowatchError: ``other_organisations`` or ``last_administrator``.
    """
    _check_account(change.session, giver, user)
    people.disable(change, user.id)
    for organisation_id in organisations_of(change.session, user.id):
        still_administered(change.session, organisation_id)


def enable(change: Change, giver: Person, user: User) -> None:
    """Open an account again that was closed.

    Raises:
        KilowatchError: ``other_organisations``.
    """
    _check_account(change.session, giver, user)
    fresh(change.session, user).disabled_at_ms = None
    change.session.flush()


def take_second_factor(change: Change, giver: Person, user: User) -> None:
    """Take a second factor away from somebody who lost it, with every session they have.

    Raises:
        KilowatchError: ``other_organisations``.
    """
    _check_account(change.session, giver, user)
    second_factor.remove(change, user.id)
    people.end_sessions(change, user.id)


def password_link(change: Change, key: bytes, giver: Person, user: User) -> str:
    """Return the token of a link with which a person chooses another password.

    It goes to their mailbox and is shown to nobody: who helps does not learn or choose it.

    Raises:
        KilowatchError: ``other_organisations``.
    """
    _check_account(change.session, giver, user)
    change.record("sent a link for a new password", "user", user.id)
    return mailed_links.make(change, key, user.id, "password", user.email)


def organisations_of(session: Session, user_id: int) -> list[int]:
    """Return the organisations in which a person has a role."""
    statement = select(Membership.organisation_id).where(Membership.user_id == user_id)
    return list(session.scalars(statement))


def still_administered(session: Session, organisation_id: int) -> None:
    """Refuse a change that leaves an organisation to nobody; it is undone as a whole.

    Raises:
        KilowatchError: ``last_administrator`` (409).
    """
    statement = (
        select(Membership, Plan)
        .join(User, Membership.user_id == User.id)
        .outerjoin(Plan, Membership.plan_id == Plan.id)
        .where(
            Membership.organisation_id == organisation_id,
            Membership.whole_organisation,
            User.disabled_at_ms.is_(None),
            User.password_hash.is_not(None),
        )
    )
    for membership, plan in session.execute(statement):
        administers = "administer" in ACTIONS_BY_ROLE[membership.role]
        if administers and plans.has(plans.tools_of(plan), "admin"):
            return
    raise KilowatchError(
        "last_administrator",
        "Then nobody would administer this organisation any more.",
        status=409,
        remedy="Give somebody else the role of an administrator of the whole organisation first.",
    )


def _check_account(session: Session, giver: Person, user: User) -> None:
    for organisation_id in organisations_of(session, user.id):
        if not may(giver, "administer", organisation_id=organisation_id):
            raise KilowatchError(
                "other_organisations",
                f"{user.email} also belongs to an organisation that you do not administer.",
                status=409,
                remedy="Remove the person from your organisation instead.",
            )


def _too_much() -> KilowatchError:
    return KilowatchError(
        "gives_too_much",
        "You can't give more than you have yourself.",
        status=403,
        remedy="Ask an administrator of the whole organisation.",
    )
