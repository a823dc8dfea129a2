"""Logging in and staying logged in.

A session's token is a random number that only the browser has; the catalogue keeps its keyed
digest. It ends after twelve hours without a request and in any case after thirty days; it is
replaced by another at log-in and whenever the person has proved again who they are.

Who has a second factor gets no session for the password alone, only a token with which the factor
can be brought within five minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import attempts, devices, rights, second_factor, secrets
from kilowatch.catalog.changes import Actor, Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import fresh
from kilowatch.catalog.tables import LoginSession, User
from kilowatch.catalog.tables_people import PendingLogin
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS

IDLE_MS = 12 * HOUR_MS
LONGEST_MS = 30 * DAY_MS
SEEN_EVERY_MS = MINUTE_MS  # written at most once a minute: a page of charts is a dozen requests
TOKEN_BYTES = 32
PURPOSE = "session"
PENDING = "pending"
PENDING_MS = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session as the request's handler sees it."""

    session_id: int
    person: rights.Person
    created_at_ms: int
    rotated_at_ms: int


@dataclass(frozen=True, slots=True)
class Begun:
    """What a right password opens.

    Attributes:
        token: Of a session; or, while the second factor is owed, of the pending log-in.
        owes_second_factor: Which of the two it is.
        device: Cookie by which this browser is known from now on; empty while a factor is owed.
    """

    token: str = field(repr=False)
    owes_second_factor: bool = False
    device: str = field(default="", repr=False)


def authenticate(
    catalog: Catalog,
    key: bytes,
    *,
    email: str,
    password: str,
    address: str,
    user_agent: str = "",
    device: str = "",
) -> Begun:
    """Log a person in; takes about 20 ms, so call it in a thread.

    Args:
        catalog: An open catalogue.
        key: The server's key.
        email: Who.
        password: Their password.
        address: Where the request came from.
        user_agent: What the browser calls itself.
        device: The device cookie that it brought, or empty.

    Raises:
        KilowatchError: ``log_in_failed`` (401), the same for every reason; ``log_in_slowed``
            (429) after too many failures, with ``data["retry_after_s"]``.
    """
    with proving(catalog, key, email, password, address, device) as (change, user, known):
        if second_factor.confirmed(change.session, user.id) is None:
            change.record("logged in", "user", user.id)
            return _open(change, key, user.id, address, user_agent)
        over = delete(PendingLogin).where(PendingLogin.expires_at_ms < change.now_ms)
        change.session.execute(over)
        token = secrets.new_secret(TOKEN_BYTES)
        change.session.add(
            PendingLogin(
                token_digest=secrets.digest(key, token, PENDING),
                user_id=user.id,
                known_device=known,
                address=address[:100],
                user_agent=user_agent[:300],
                created_at_ms=change.now_ms,
                expires_at_ms=change.now_ms + PENDING_MS,
            )
        )
        return Begun(token, owes_second_factor=True)


@contextmanager
def proving(
    catalog: Catalog, key: bytes, email: str, password: str, address: str, device: str = ""
) -> Iterator[tuple[Change, User, str]]:
    """Check a person's password, and open a change in their name if it is right.

    Yields:
        The change, the person, and the number of their device if the cookie is ours.

    Raises:
        KilowatchError: ``log_in_failed`` or ``log_in_slowed``.
    """
    email = email.strip().casefold()
    with catalog.bookkeeping() as session:
        user = session.scalar(select(User).where(User.email == email))
        now_ms = catalog.clock()
        known = devices.known(key, device, user.id, now_ms) if user is not None else ""
        names = attempts.keys(email, address, known)
        wait_ms = attempts.begin(session, names, now_ms)
    if wait_ms > 0:
        raise slowed(wait_ms)
    active = user is not None and user.disabled_at_ms is None
    stored = user.password_hash if user is not None and active else None
    if not secrets.verify_password(stored, password):
        raise _failed()
    assert user is not None
    assert stored is not None
    with catalog.change(Actor(user.email, user.id, address)) as change:
        now = fresh(change.session, user)
        if now.password_hash != stored or now.disabled_at_ms is not None:
            raise _failed()  # changed while we were hashing, perhaps because of a thief
        attempts.succeeded(change.session, names)
        if secrets.outdated(stored):
            now.password_hash = secrets.hash_password(password)
        yield change, now, known


def bring_second_factor(
    catalog: Catalog, key: bytes, *, token: str, code: str, address: str
) -> Begun:
    """Finish a log-in with a code of the authenticator or a recovery code.

    Raises:
        KilowatchError: ``log_in_over`` (401) when the password has to be typed again;
            ``wrong_code`` (401); ``log_in_slowed`` (429) after too many wrong ones.
    """
    with catalog.bookkeeping() as session:
        pending = _pending(session, key, token, catalog.clock())
        name = f"second:{pending.known_device or pending.user_id}"
        wait_ms = attempts.begin(session, (name,), catalog.clock())
        user = session.get(User, pending.user_id)
    if wait_ms > 0:
        raise slowed(wait_ms)
    assert user is not None
    with catalog.change(Actor(user.email, user.id, address)) as change:
        pending = _pending(change.session, key, token, change.now_ms)  # once, also side by side
        how = second_factor.check(change, key, user.id, code)
        attempts.succeeded(change.session, (name,))
        change.session.delete(pending)
        change.record("logged in", "user", user.id, second_factor=how)
        return _open(change, key, user.id, pending.address, pending.user_agent)


def prove_again(catalog: Catalog, user_id: int, password: str, address: str) -> None:
    """Check the password of somebody who is logged in, before what could lock them out.

    Raises:
        KilowatchError: ``wrong_password`` (422) or ``log_in_slowed`` (429).
    """
    names = (f"again:{user_id}",)
    with catalog.bookkeeping() as session:
        wait_ms = attempts.begin(session, names, catalog.clock())
        user = session.get(User, user_id)
    if wait_ms > 0:
        raise slowed(wait_ms)
    if user is None or not secrets.verify_password(user.password_hash, password):
        with catalog.change(Actor(user.email if user else "", user_id, address)) as change:
            change.record("mistyped the password", "user", user_id)
        raise KilowatchError(
            "wrong_password",
            "This is not your password.",
            status=422,
            data={"field": "current_password"},
        )
    with catalog.bookkeeping() as session:
        attempts.succeeded(session, names)


def rotate(change: Change, key: bytes, session_id: int) -> str:
    """Return another token for a session; the one it had is worth nothing from now on."""
    row = change.session.get(LoginSession, session_id)
    assert row is not None
    token = secrets.new_secret(TOKEN_BYTES)
    row.token_digest = secrets.digest(key, token, PURPOSE)
    row.rotated_at_ms = change.now_ms
    change.session.flush()
    return token


def end_one(change: Change, user_id: int, session_id: int) -> None:
    """End a session of a person's own.

    Raises:
        KilowatchError: ``unknown_session``, also for another person's.
    """
    row = change.session.get(LoginSession, session_id)
    if row is None or row.user_id != user_id:
        raise KilowatchError("unknown_session", "There is no such session.", status=404)
    row.revoked_at_ms = row.revoked_at_ms or change.now_ms
    change.record("ended a session", "user", user_id)
    change.session.flush()


def end_others(change: Change, user_id: int, session_id: int) -> int:
    """End every session of a person but one; returns how many there were."""
    others = [
        row for row in of_person(change.session, user_id, change.now_ms) if row.id != session_id
    ]
    for row in others:
        row.revoked_at_ms = change.now_ms
    if others:
        change.record("ended the other sessions", "user", user_id)
    change.session.flush()
    return len(others)


def look_up(catalog: Catalog, key: bytes, token: str) -> LoggedIn | None:
    """Return who a request's cookie stands for, or None when the session is over."""
    now_ms = catalog.clock()
    with catalog.reading() as session:
        found = _find(session, key, token, now_ms)
        if found is None:
            return None
        row, user = found
        logged_in = LoggedIn(
            row.id, rights.person(session, user), row.created_at_ms, row.rotated_at_ms
        )
        stale = now_ms - row.seen_at_ms >= SEEN_EVERY_MS
    if stale:
        seen = update(LoginSession).where(LoginSession.id == row.id)
        with catalog.bookkeeping() as session:
            session.execute(seen.values(seen_at_ms=now_ms))
    return logged_in


def end(catalog: Catalog, key: bytes, token: str) -> None:
    """Log out: the token is worth nothing from now on."""
    with catalog.bookkeeping() as session:
        found = _find(session, key, token, catalog.clock())
        if found is not None:
            found[0].revoked_at_ms = catalog.clock()


def of_person(session: Session, user_id: int, now_ms: int) -> list[LoginSession]:
    """Return a person's sessions that are not over, the latest first."""
    statement = (
        select(LoginSession)
        .where(
            LoginSession.user_id == user_id,
            LoginSession.revoked_at_ms.is_(None),
            LoginSession.expires_at_ms > now_ms,
            LoginSession.seen_at_ms > now_ms - IDLE_MS,
        )
        .order_by(LoginSession.seen_at_ms.desc())
    )
    return list(session.scalars(statement))


def _open(change: Change, key: bytes, user_id: int, address: str, user_agent: str) -> Begun:
    token = secrets.new_secret(TOKEN_BYTES)
    now_ms = change.now_ms
    over = delete(LoginSession).where(LoginSession.expires_at_ms < now_ms - LONGEST_MS)
    change.session.execute(over)
    change.session.add(
        LoginSession(
            token_digest=secrets.digest(key, token, PURPOSE),
            user_id=user_id,
            created_at_ms=now_ms,
            rotated_at_ms=now_ms,
            seen_at_ms=now_ms,
            expires_at_ms=now_ms + LONGEST_MS,
            address=address[:100],
            user_agent=user_agent[:300],
        )
    )
    return Begun(token, device=devices.new(key, user_id, now_ms))


def _pending(session: Session, key: bytes, token: str, now_ms: int) -> PendingLogin:
    statement = (
        select(PendingLogin)
        .join(User, PendingLogin.user_id == User.id)
        .where(
            PendingLogin.token_digest == secrets.digest(key, token, PENDING),
            PendingLogin.expires_at_ms > now_ms,
            User.disabled_at_ms.is_(None),
        )
    )
    row = session.scalar(statement)
    if row is None:
        raise KilowatchError(
            "log_in_over",
            "This took too long.",
            status=401,
            remedy="Type your password once more.",
        )
    return row


def _find(
    session: Session, key: bytes, token: str, now_ms: int
) -> tuple[LoginSession, User] | None:
    statement = (
        select(LoginSession, User)
        .join(User, LoginSession.user_id == User.id)
        .where(
            LoginSession.token_digest == secrets.digest(key, token, PURPOSE),
            LoginSession.revoked_at_ms.is_(None),
            LoginSession.expires_at_ms > now_ms,
            LoginSession.seen_at_ms > now_ms - IDLE_MS,
            User.disabled_at_ms.is_(None),
        )
    )
    row = session.execute(statement).one_or_none()
    return None if row is None else (row[0], row[1])


def _failed() -> KilowatchError:
    return KilowatchError(
        "log_in_failed",
        "E-mail address and password do not belong together.",
        status=401,
        remedy="Check both, or ask for a new password.",
    )


def slowed(wait_ms: int) -> KilowatchError:
    """Return the answer to who has guessed too often."""
    seconds = -(-wait_ms // 1000)
    return KilowatchError(
        "log_in_slowed",
        f"Too many log-ins have failed. Try again in {seconds} s.",
        status=429,
        retry_helps=True,
        data={"retry_after_s": seconds},
    )


def count_valid(catalog: Catalog) -> int:
    """Return how many sessions are valid now."""
    now_ms = catalog.clock()
    valid = select(func.count()).where(
        LoginSession.revoked_at_ms.is_(None),
        LoginSession.expires_at_ms > now_ms,
        LoginSession.seen_at_ms > now_ms - IDLE_MS,
    )
    with catalog.reading() as session:
        return session.scalar(valid) or 0
