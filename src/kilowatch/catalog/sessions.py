"""Logging in and staying logged in.

A session's token is a random number that only the browser has; the catalogue keeps its keyed
digest. It ends after twelve hours without a request and in any case after thirty days; it is
replaced by another at log-in and whenever the dashboard asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import attempts, rights, secrets
from kilowatch.catalog.changes import Actor, Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import fresh
from kilowatch.catalog.tables import LoginSession, User
from kilowatch.model.errors import KilowatchError

IDLE_MS = 12 * 3_600_000
LONGEST_MS = 30 * 86_400_000
SEEN_EVERY_MS = 60_000  # written at most once a minute: a page of charts is a dozen requests
TOKEN_BYTES = 32
PURPOSE = "session"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session as the request's handler sees it."""

    session_id: int
    person: rights.Person
    created_at_ms: int
    rotated_at_ms: int


def authenticate(
    catalog: Catalog, key: bytes, *, email: str, password: str, address: str, user_agent: str = ""
) -> str:
    """Log a person in; takes about 20 ms, so call it in a thread.

    Returns:
        The token of a new session, for the browser's cookie.

    Raises:
        KilowatchError: ``log_in_failed`` (401), the same for every reason; ``log_in_slowed``
            (429) after too many failures, with ``data["retry_after_s"]``.
    """
    email = email.strip().casefold()
    names = attempts.keys(email, address)
    with catalog.bookkeeping() as session:
        wait_ms = attempts.begin(session, names, catalog.clock())
        user = session.scalar(select(User).where(User.email == email))
    if wait_ms > 0:
        raise _slowed(wait_ms)
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
        change.record("logged in", "user", user.id)
        return _start(change, key, user.id, address, user_agent)


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


def _start(change: Change, key: bytes, user_id: int, address: str, user_agent: str) -> str:
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
    return token


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
        remedy="Check both; an administrator can set a new password.",
    )


def _slowed(wait_ms: int) -> KilowatchError:
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
