"""API tokens: with one a program acts as the person who made it, until it expires.

A token is shown once and kept as its keyed digest. It sees exactly what its person sees, and may
change nothing if it is read-only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import rights, secrets
from kilowatch.catalog.changes import Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.tables import User
from kilowatch.catalog.tables_exports import ExportLink
from kilowatch.catalog.tables_people import ApiToken
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS, MINUTE_MS

PREFIX = "kwt_"  # so that scanners for leaked secrets can tell what they have found
PURPOSE = "api token"
TOKEN_BYTES = 32
DAYS_MAX = 730
ALIVE_MAX = 50
SEEN_EVERY_MS = MINUTE_MS  # last use is written at most once a minute

Row = TypeVar("Row", ApiToken, ExportLink)
"""What has a token: both tables keep its digest, its end, and when it was used last."""


@dataclass(frozen=True, slots=True)
class Made:
    """A new token; ``text`` exists nowhere else from here on."""

    row: ApiToken
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a request's token stands for.

    Attributes:
        person: Who, with what they may see.
        token_id: Number of the token.
        read_only: Whether nothing may be changed with it.
    """

    person: rights.Person
    token_id: int
    read_only: bool


def make(
    change: Change, key: bytes, user_id: int, name: str, *, read_only: bool, days: int
) -> Made:
    """Make a token.

    Args:
        change: An open change.
        key: The server's key.
        user_id: Whose it is.
        name: What it is for, so that its owner knows later.
        read_only: Whether nothing may be changed with it.
        days: How long it is valid [d], 1 to ``DAYS_MAX``.

    Raises:
        KilowatchError: ``invalid_name``, ``invalid_expiry`` or ``too_many_tokens``.
    """
    clean = check_name(name, "token", longest=100)
    check_days(days, "token")
    alive = [t for t in of_person(change.session, user_id) if t.expires_at_ms > change.now_ms]
    if len(alive) >= ALIVE_MAX:
        raise KilowatchError(
            "too_many_tokens",
            f"You have {ALIVE_MAX} tokens, which is as many as one person can have.",
            status=409,
            remedy="Revoke those that you no longer use.",
        )
    text = PREFIX + secrets.new_secret(TOKEN_BYTES)
    row = ApiToken(
        user_id=user_id,
        name=clean,
        token_digest=secrets.digest(key, text, PURPOSE),
        read_only=read_only,
        created_at_ms=change.now_ms,
        expires_at_ms=change.now_ms + days * DAY_MS,
    )
    change.session.add(row)
    change.record("made an API token", "user", user_id, name=clean, read_only=read_only)
    change.session.flush()
    return Made(row, text)


def of_person(session: Session, user_id: int) -> list[ApiToken]:
    """Return a person's tokens that are not revoked, the newest first."""
    statement = (
        select(ApiToken)
        .where(ApiToken.user_id == user_id, ApiToken.revoked_at_ms.is_(None))
        .order_by(ApiToken.id.desc())
    )
    return list(session.scalars(statement))


def revoke(change: Change, user_id: int, token_id: int) -> None:
    """Revoke a token of a person's own, at once and for good.

    Raises:
        KilowatchError: ``unknown_token``, also for another person's.
    """
    row = change.session.get(ApiToken, token_id)
    if row is None or row.user_id != user_id:
        raise KilowatchError("unknown_token", "There is no such token.", status=404)
    row.revoked_at_ms = row.revoked_at_ms or change.now_ms
    change.record("revoked an API token", "user", user_id, name=row.name)
    change.session.flush()


def look_up(catalog: Catalog, key: bytes, text: str, address: str = "") -> Holder | None:
    """Return whom a token stands for, or None when it is none of ours or is over.

    A person who owes a second factor to an organisation of theirs gets nothing by a token either.
    """
    found = holder_of(catalog, ApiToken, secrets.digest(key, text, PURPOSE), address)
    if found is None:
        return None
    row, who = found
    return Holder(who, row.id, row.read_only)


def holder_of(
    catalog: Catalog,
    table: type[Row],
    digest: bytes,
    address: str,
    fits: Callable[[Row], bool] = lambda _row: True,
) -> tuple[Row, rights.Person] | None:
    """Return what a token of one table opens and for whom, and note when it was used.

    None for one that is unknown, revoked or over, whose person may not log in or owes a second
    factor, or that does not fit.

    Args:
        catalog: The catalogue.
        table: Where its digest is kept.
        digest: Of what the request brings.
        address: Network address of the request.
        fits: Whether it is meant for this request.
    """
    now_ms = catalog.clock()
    statement = (
        select(table, User)
        .join(User, table.user_id == User.id)
        .where(
            table.token_digest == digest,
            table.revoked_at_ms.is_(None),
            table.expires_at_ms > now_ms,
            User.disabled_at_ms.is_(None),
        )
    )
    with catalog.reading() as session:
        found = session.execute(statement).one_or_none()
        if found is None:
            return None
        row, user = found
        who = rights.person(session, user)
        if who.owes_second_factor or not fits(row):
            return None
        stale = now_ms - (row.last_used_ms or 0) >= SEEN_EVERY_MS or row.last_address != address
        number = row.id
    if stale:
        used = update(table).where(table.id == number)
        with catalog.bookkeeping() as session:
            session.execute(used.values(last_used_ms=now_ms, last_address=address[:100]))
    return row, who


def check_days(days: int, what: str) -> None:
    """Refuse a time that no token is valid for.

    Args:
        days: How long it is to be valid [d].
        what: What people call it.

    Raises:
        KilowatchError: ``invalid_expiry``.
    """
    if not 1 <= days <= DAYS_MAX:
        raise KilowatchError(
            "invalid_expiry",
            f"A {what} is valid for 1 to {DAYS_MAX} days.",
            data={"field": "days"},
        )
