"""Invitations: a role that waits for somebody, taken with a link that works once, for seven days.

Who has no account yet chooses a password with it; who has one proves it with theirs. What is given
is checked when the invitation is made, and once more when it is taken: by then the person who
invited may have less, and a place or a plan may be gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import giving, people, plans, secrets
from kilowatch.catalog.changes import Actor, Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.rights import ACTIONS_BY_ROLE, Person
from kilowatch.catalog.rights import person as rights_of
from kilowatch.catalog.tables import ROLES, DataPoint, Membership, Organisation, Role, Site, User
from kilowatch.catalog.tables_people import Invitation, Plan
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS

VALID_MS = 7 * DAY_MS
OPEN_MAX = 200  # of one organisation: each is a mail to somebody who may not know us
PURPOSE = "invitation"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is given to somebody who is invited.

    Attributes:
        email: Who.
        role: As what.
        name: What to call them, or empty.
        whole: Whether in the whole organisation.
        places: Else where.
        plan: With which tools; None for all.
    """

    email: str
    role: Role
    name: str = ""
    whole: bool = True
    places: Sequence[Site | DataPoint] = field(default_factory=tuple)
    plan: Plan | None = None


def invite(
    change: Change, key: bytes, giver: Person, organisation: Organisation, wishes: Wishes
) -> tuple[Invitation, str]:
    """Invite somebody; an open invitation of the same person is replaced.

    Returns:
        The invitation and its token, which is kept only as a digest.

    Raises:
        KilowatchError: ``invalid_email``, ``invalid_role``, ``gives_too_much``,
            ``already_member``, ``no_places`` or ``too_many_invitations``.
    """
    email = people.check_email(wishes.email)
    if wishes.role not in ROLES:
        raise KilowatchError(
            "invalid_role",
            f"{wishes.role!r} is not a role.",
            remedy=f"Choose one of: {', '.join(ROLES)}.",
            data={"field": "role"},
        )
    giving.check_role(giver, organisation.id, wishes.role, whole=wishes.whole)
    giving.check_places(giver, wishes.places)
    giving.check_tools(giver, organisation.id, plans.tools_of(wishes.plan))
    if not wishes.whole and not wishes.places:
        raise KilowatchError(
            "no_places",
            "Choose at least one site or data point, or the whole organisation.",
            data={"field": "places"},
        )
    _check_not_member(change.session, organisation, email)
    there = open_invitations(change.session, organisation.id)
    for earlier in there:
        if earlier.email == email:
            withdraw(change, earlier)
    if len(there) >= OPEN_MAX:
        raise KilowatchError(
            "too_many_invitations",
            f"{OPEN_MAX} invitations are open already.",
            status=409,
            remedy="Withdraw some that nobody takes.",
        )
    token = secrets.new_secret()
    sites = [place.id for place in wishes.places if isinstance(place, Site)]
    points = [place.id for place in wishes.places if isinstance(place, DataPoint)]
    row = Invitation(
        organisation_id=organisation.id,
        email=email,
        name=" ".join(wishes.name.split())[:200],
        role=wishes.role,
        whole_organisation=wishes.whole,
        site_ids="" if wishes.whole else " ".join(map(str, sites)),
        data_point_ids="" if wishes.whole else " ".join(map(str, points)),
        plan_id=wishes.plan.id if wishes.plan else None,
        invited_by_id=giver.id,
        token_digest=secrets.digest(key, token, PURPOSE),
        created_at_ms=change.now_ms,
        expires_at_ms=change.now_ms + VALID_MS,
    )
    change.session.add(row)
    change.session.flush()
    return row, token


def open_invitations(session: Session, organisation_id: int) -> list[Invitation]:
    """Return the invitations that were neither taken nor withdrawn, the newest first.

    Those that have expired are among them: they can be sent again.
    """
    statement = (
        select(Invitation)
        .where(
            Invitation.organisation_id == organisation_id,
            Invitation.accepted_at_ms.is_(None),
            Invitation.withdrawn_at_ms.is_(None),
        )
        .order_by(Invitation.id.desc())
    )
    return list(session.scalars(statement))


def find(session: Session, organisation_id: int, invitation_id: int) -> Invitation:
    """Return an open invitation of an organisation.

    Raises:
        KilowatchError: ``unknown_invitation``, also for one of another organisation.
    """
    row = session.get(Invitation, invitation_id)
    over = row is None or row.accepted_at_ms is not None or row.withdrawn_at_ms is not None
    if row is None or over or row.organisation_id != organisation_id:
        raise KilowatchError("unknown_invitation", "There is no such invitation.", status=404)
    return row


def renew(change: Change, key: bytes, row: Invitation) -> str:
    """Return a new token for an invitation; the old link is over, seven days begin anew."""
    token = secrets.new_secret()
    row.token_digest = secrets.digest(key, token, PURPOSE)
    row.expires_at_ms = change.now_ms + VALID_MS
    change.session.flush()
    return token


def withdraw(change: Change, row: Invitation) -> None:
    """Take an invitation back; its link is over."""
    row.withdrawn_at_ms = change.now_ms
    change.session.flush()


def look_up(session: Session, key: bytes, token: str, now_ms: int) -> Invitation:
    """Return the invitation that a link stands for.

    Raises:
        KilowatchError: ``invitation_over`` (410): taken, withdrawn, too old or never made.
    """
    statement = select(Invitation).where(
        Invitation.token_digest == secrets.digest(key, token.strip(), PURPOSE),
        Invitation.accepted_at_ms.is_(None),
        Invitation.withdrawn_at_ms.is_(None),
        Invitation.expires_at_ms > now_ms,
    )
    row = session.scalar(statement)
    if row is None:
        raise _over()
    return row


def accept(
    catalog: Catalog, key: bytes, token: str, *, name: str, password: str | None, address: str
) -> User:
    """Take an invitation.

    Args:
        catalog: An open catalogue.
        key: The server's key.
        token: From the link.
        name: What to call a new person.
        password: Chosen by a new person; None for one whose account was proved already.
        address: Where the request came from.

    Raises:
        KilowatchError: ``invitation_over``, ``weak_password``, ``account_exists`` (a password
            was given for an account that somebody has), ``already_member``.
    """
    with catalog.reading() as session:
        email = look_up(session, key, token, catalog.clock()).email
    with catalog.change(Actor(email, None, address)) as change:
        row = look_up(change.session, key, token, change.now_ms)
        organisation = change.session.get(Organisation, row.organisation_id)
        assert organisation is not None
        user = people.find_by_email(change.session, row.email)
        if (user is None) == (password is None):
            raise KilowatchError(
                "account_exists", "This address has an account by now.", status=409,
                remedy="Open the link again.",
            )  # fmt: skip
        if user is None:
            user, _ = people.add_user(change, row.email, name=name or row.name, password=password)
        change.actor = Actor(email, user.id, address)
        _check_not_member(change.session, organisation, row.email)
        _check_still_given(change.session, row)
        membership = people.set_role(
            change, user, organisation, row.role, whole=row.whole_organisation
        )
        if row.plan_id is not None:  # a new member has the full plan; no change that is none
            membership.plan_id = row.plan_id
        for place in places_of(change.session, row):
            people.grant(change, user, place)
        row.accepted_at_ms = change.now_ms
        change.session.flush()
        return user


def places_of(session: Session, row: Invitation) -> list[Site | DataPoint]:
    """Return the sites and data points of an invitation that are still there."""
    sites = [session.get(Site, int(number)) for number in row.site_ids.split()]
    points = [session.get(DataPoint, int(number)) for number in row.data_point_ids.split()]
    return [place for place in (*sites, *points) if place is not None]


def _check_not_member(session: Session, organisation: Organisation, email: str) -> None:
    statement = (
        select(Membership.id)
        .join(User, Membership.user_id == User.id)
        .where(User.email == email, Membership.organisation_id == organisation.id)
    )
    if session.scalar(statement) is not None:
        raise KilowatchError(
            "already_member",
            f"{email} belongs to {organisation.name} already.",
            status=409,
            remedy="Change the person's role instead.",
            data={"field": "email"},
        )


def _check_still_given(session: Session, row: Invitation) -> None:
    """See that whoever invited could still do so: a demoted administrator's letters are void."""
    giver = session.get(User, row.invited_by_id) if row.invited_by_id else None
    if giver is None:
        return
    who = rights_of(session, giver)
    plan = session.get(Plan, row.plan_id) if row.plan_id else None
    try:
        if giver.disabled_at_ms is not None or row.role not in ACTIONS_BY_ROLE:
            raise _over()
        giving.check_role(who, row.organisation_id, row.role, whole=row.whole_organisation)
        giving.check_tools(who, row.organisation_id, plans.tools_of(plan))
        giving.check_places(who, places_of(session, row))
    except KilowatchError:
        raise _over() from None


def _over() -> KilowatchError:
    return KilowatchError(
        "invitation_over",
        "This invitation does not work any more: it was used or withdrawn, or it is too old.",
        status=410,
        remedy="Ask whoever invited you to send it again.",
    )
