"""People: accounts, their roles in organisations, and what they were granted.

Who may do what with a role is in ``rights.py``; logging in is in ``sessions.py``.
"""

from __future__ import annotations

import re

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import secrets
from kilowatch.catalog.changes import Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.tables import (
    ROLES,
    DataPoint,
    Grant,
    LoginSession,
    Membership,
    Organisation,
    Role,
    Site,
    User,
)
from kilowatch.catalog.tables_people import ApiToken, GroupMember, MailedLink, PendingLogin
from kilowatch.model.errors import KilowatchError

PASSWORD_MIN = 12  # OWASP ASVS 5.0, 6.2.1 asks for 8 and recommends 15
PASSWORD_MAX = 256
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
_EMAIL_MAX = 254  # RFC 5321, 4.5.3.1.3


def check_email(email: str) -> str:
    """Return an e-mail address as it is stored: in small letters, without space around it.

    Raises:
        KilowatchError: ``invalid_email``.
    """
    clean = email.strip().casefold()
    if not _EMAIL.fullmatch(clean) or len(clean) > _EMAIL_MAX:
        raise KilowatchError(
            "invalid_email",
            f"{email!r} is not an e-mail address.",
            remedy="Write it as name@example.com.",
            data={"field": "email"},
        )
    return clean


def check_password(password: str, email: str = "") -> str:
    """Return a password that a person may choose; what it is made of is theirs to decide.

    Raises:
        KilowatchError: ``weak_password``.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        problem = f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters."
    elif len(set(password)) < 5 or password.casefold() == email:
        problem = "This password is too easy to guess."
    else:
        return password
    raise KilowatchError(
        "weak_password",
        problem,
        remedy="Four or five words that do not belong together are a good one.",
        data={"field": "password"},
    )


def nobody(catalog: Catalog) -> bool:
    """Tell whether no account exists yet, as after a first start."""
    with catalog.reading() as session:
        return session.scalar(select(User.id).limit(1)) is None


def add_user(
    change: Change, email: str, *, name: str = "", password: str | None = None
) -> tuple[User, str]:
    """Add a person; without a password one is generated.

    Returns:
        The person and the password, which is stored only as its Argon2id hash.

    Raises:
        KilowatchError: ``user_exists``, ``invalid_email`` or ``weak_password``.
    """
    email = check_email(email)
    if find_by_email(change.session, email) is not None:
        raise KilowatchError(
            "user_exists",
            f"{email} has an account already.",
            status=409,
            remedy="Use another address; an account can be given a role in several organisations.",
            data={"field": "email"},
        )
    password = secrets.new_password() if password is None else check_password(password, email)
    user = User(
        email=email,
        name=check_name(name or email.split("@")[0], "person"),
        password_hash=secrets.hash_password(password),
        created_at_ms=change.now_ms,
    )
    change.session.add(user)
    change.session.flush()
    return user, password


def find_by_email(session: Session, email: str) -> User | None:
    """Return the person with this e-mail address, in any letter case."""
    return session.scalar(select(User).where(User.email == email.strip().casefold()))


def set_role(
    change: Change, user: User, organisation: Organisation, role: Role, *, whole: bool | None = None
) -> Membership:
    """Give a person a role in an organisation, in place of the one they had there.

    Args:
        change: An open change.
        user: The person.
        organisation: Where.
        role: One of ``ROLES``.
        whole: Whether they see all of it, or only what they are granted. None for what is usual:
            everything, but for an end user only what is granted.

    Raises:
        KilowatchError: ``invalid_role``.
    """
    if role not in ROLES:
        raise KilowatchError(
            "invalid_role",
            f"{role!r} is not a role.",
            remedy=f"Choose one of: {', '.join(ROLES)}.",
            data={"field": "role"},
        )
    whole = role != "end user" if whole is None else whole
    membership = change.session.scalar(
        select(Membership).where(
            Membership.user_id == user.id, Membership.organisation_id == organisation.id
        )
    )
    if membership is None:
        membership = Membership(
            user_id=user.id, organisation_id=organisation.id, created_at_ms=change.now_ms
        )
        change.session.add(membership)
    membership.role, membership.whole_organisation = role, whole
    change.session.flush()
    return membership


def remove_role(change: Change, user: User, organisation: Organisation) -> None:
    """Take a person out of an organisation, with everything they were granted in it."""
    here = {"user_id": user.id, "organisation_id": organisation.id}
    for given in change.session.scalars(select(Grant).filter_by(**here)):
        change.session.delete(given)
    for member in change.session.scalars(select(GroupMember).filter_by(**here)):
        change.session.delete(member)
    for membership in change.session.scalars(select(Membership).filter_by(**here)):
        change.session.delete(membership)
    change.session.flush()


def grant(change: Change, user: User, place: Site | DataPoint) -> None:
    """Let a person see a site, or one data point, of an organisation in which they have a role.

    Raises:
        KilowatchError: ``other_organisation`` when they have no role there.
    """
    statement = select(Membership.id).where(
        Membership.user_id == user.id, Membership.organisation_id == place.organisation_id
    )
    if change.session.scalar(statement) is None:
        raise KilowatchError(
            "other_organisation",
            f"{user.email} has no role in the organisation of {place.name}.",
            status=409,
            remedy="Give the person a role there first, for example 'end user'.",
        )
    if _grant(change.session, user, place) is None:
        change.session.add(
            Grant(
                user_id=user.id,
                organisation_id=place.organisation_id,
                created_at_ms=change.now_ms,
                **_columns(place),
            )
        )
        change.session.flush()


def withdraw(change: Change, user: User, place: Site | DataPoint) -> None:
    """Take back what ``grant`` gave; nothing happens if it was not given."""
    given = _grant(change.session, user, place)
    if given is not None:
        change.session.delete(given)
        change.session.flush()


def set_password(change: Change, user_id: int, password: str, *, but: int | None = None) -> None:
    """Give a person another password, and end every session they have, but one if it is named.

    Log-ins that wait for a second factor and links that were mailed are over too: whoever had
    the old password keeps nothing that it opened.

    Raises:
        KilowatchError: ``weak_password`` or ``unknown_user``.
    """
    user = _user(change.session, user_id)
    user.password_hash = secrets.hash_password(check_password(password, user.email))
    end_sessions(change, user_id, but=but)
    _end_links(change, user_id)


def disable(change: Change, user_id: int) -> None:
    """Close a person's account: no log-in, no push, no API, and every session ends.

    Raises:
        KilowatchError: ``unknown_user``.
    """
    user = _user(change.session, user_id)
    user.disabled_at_ms = user.disabled_at_ms or change.now_ms
    end_sessions(change, user_id)
    _end_links(change, user_id)
    alive = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at_ms.is_(None))
    for token in change.session.scalars(alive):
        token.revoked_at_ms = change.now_ms
    change.session.flush()


def _end_links(change: Change, user_id: int) -> None:
    change.session.execute(delete(PendingLogin).where(PendingLogin.user_id == user_id))
    open_links = update(MailedLink).where(
        MailedLink.user_id == user_id, MailedLink.used_at_ms.is_(None)
    )
    change.session.execute(open_links.values(used_at_ms=change.now_ms))


def end_sessions(change: Change, user_id: int, *, but: int | None = None) -> int:
    """End every session of a person, but one if it is named; returns how many there were."""
    statement = select(LoginSession).where(
        LoginSession.user_id == user_id, LoginSession.revoked_at_ms.is_(None)
    )
    sessions = [row for row in change.session.scalars(statement) if row.id != but]
    for session in sessions:
        session.revoked_at_ms = change.now_ms
    change.session.flush()
    return len(sessions)


def members(session: Session, organisation_id: int) -> list[tuple[User, Membership]]:
    """Return the people of an organisation with their roles, by e-mail address."""
    statement = (
        select(User, Membership)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organisation_id == organisation_id)
        .order_by(User.email)
    )
    return [(user, membership) for user, membership in session.execute(statement)]


def _user(session: Session, user_id: int) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise KilowatchError("unknown_user", "There is no such person.", status=404)
    return user


def _columns(place: Site | DataPoint) -> dict[str, int]:
    return {"site_id" if isinstance(place, Site) else "data_point_id": place.id}


def _grant(session: Session, user: User, place: Site | DataPoint) -> Grant | None:
    return session.scalar(select(Grant).filter_by(user_id=user.id, **_columns(place)))
