"""Links that are mailed: who brings one back reads that mailbox. Each works once and not for long.

The link for a forgotten password proves the account's address; the one for another address proves
the new one. Only the keyed digest of a link's token is kept.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import attempts, people, secrets
from kilowatch.catalog.changes import Actor, Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.tables import User
from kilowatch.catalog.tables_people import MailedLink, Purpose
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, MINUTE_MS

VALID_MS = 30 * MINUTE_MS
PURPOSE = "mailed link"
KEPT_MS = DAY_MS


def ask_for_password(catalog: Catalog, key: bytes, email: str, address: str) -> tuple[str, str]:
    """Make a link for somebody who forgot their password.

    Returns:
        The address to write to and the token; both empty where there is nobody to write to, which
        the asker must not be told.

    Raises:
        KilowatchError: ``mail_slowed`` (429) when this network address has asked too often. An
            account that is asked for too often is passed over in silence.
    """
    email = email.strip().casefold()
    account, asker = attempts.mail_keys(email, address)
    now_ms = catalog.clock()
    with catalog.bookkeeping() as session:
        if (wait_ms := attempts.begin(session, (asker,), now_ms)) > 0:
            raise slowed(wait_ms)
        user = people.find_by_email(session, email)
        waits = attempts.begin(session, (account,), now_ms) > 0
        if user is None or user.disabled_at_ms is not None or waits:
            return "", ""
    with catalog.change(Actor(user.email, user.id, address)) as change:
        change.record("asked for a new password", "user", user.id)
        return user.email, make(change, key, user.id, "password", user.email)


def make(change: Change, key: bytes, user_id: int, purpose: Purpose, email: str) -> str:
    """Return the token of a new link; an earlier one for the same purpose is over."""
    session = change.session
    session.execute(delete(MailedLink).where(MailedLink.expires_at_ms < change.now_ms - KEPT_MS))
    _over(session, user_id, purpose, change.now_ms)
    token = secrets.new_secret()
    session.add(
        MailedLink(
            purpose=purpose,
            user_id=user_id,
            email=email,
            token_digest=secrets.digest(key, token, PURPOSE),
            created_at_ms=change.now_ms,
            expires_at_ms=change.now_ms + VALID_MS,
        )
    )
    session.flush()
    return token


def find(
    session: Session, key: bytes, purpose: Purpose, token: str, now_ms: int
) -> tuple[MailedLink, User]:
    """Return a link that can still be used, and whose it is.

    Raises:
        KilowatchError: ``link_over``: used, too old, replaced by a later one, or never made.
    """
    statement = (
        select(MailedLink, User)
        .join(User, MailedLink.user_id == User.id)
        .where(
            MailedLink.token_digest == secrets.digest(key, token.strip(), PURPOSE),
            MailedLink.purpose == purpose,
            MailedLink.used_at_ms.is_(None),
            MailedLink.expires_at_ms > now_ms,
            User.disabled_at_ms.is_(None),
        )
    )
    found = session.execute(statement).one_or_none()
    if found is None:
        raise KilowatchError(
            "link_over",
            "This link does not work any more: it was used, or it is too old.",
            status=410,
            remedy="Ask for another one.",
        )
    return found[0], found[1]


def set_password(catalog: Catalog, key: bytes, token: str, password: str, address: str) -> User:
    """Give the owner of a link another password, and use the link up.

    Every session of theirs ends. The second factor stays: who reads a mailbox still needs it.

    Raises:
        KilowatchError: ``link_over`` or ``weak_password`` (then the link can be used again).
    """
    with catalog.reading() as session:
        _, user = find(session, key, "password", token, catalog.clock())
    with catalog.change(Actor(user.email, user.id, address)) as change:
        link, owner = find(change.session, key, "password", token, change.now_ms)
        people.set_password(change, owner.id, password)
        link.used_at_ms = change.now_ms
        change.record("set a new password by mail", "user", owner.id)
        return owner


def confirm_address(catalog: Catalog, key: bytes, token: str, address: str) -> tuple[str, str]:
    """Give a person the address that a link was mailed to.

    Returns:
        The address they had, for telling it, and the one they have now.

    Raises:
        KilowatchError: ``link_over``; ``user_exists`` when somebody else has the address by now.
    """
    with catalog.reading() as session:
        _, user = find(session, key, "address", token, catalog.clock())
    with catalog.change(Actor(user.email, user.id, address)) as change:
        link, owner = find(change.session, key, "address", token, change.now_ms)
        if people.find_by_email(change.session, link.email) is not None:
            raise KilowatchError(
                "user_exists", "Another account has this address by now.", status=409
            )
        before, owner.email = owner.email, link.email
        link.used_at_ms = change.now_ms
        # A link to the old address would open the account to whoever reads it later.
        _over(change.session, owner.id, "password", change.now_ms)
        change.session.flush()
        return before, owner.email


def slowed(wait_ms: int) -> KilowatchError:
    """Return the answer to who asks for too many mails."""
    seconds = -(-wait_ms // 1000)
    return KilowatchError(
        "mail_slowed",
        f"Too many mails were asked for. Try again in {seconds} s.",
        status=429,
        retry_helps=True,
        data={"retry_after_s": seconds},
    )


def _over(session: Session, user_id: int, purpose: Purpose, now_ms: int) -> None:
    earlier = update(MailedLink).where(
        MailedLink.user_id == user_id,
        MailedLink.purpose == purpose,
        MailedLink.used_at_ms.is_(None),
    )
    session.execute(earlier.values(used_at_ms=now_ms))
