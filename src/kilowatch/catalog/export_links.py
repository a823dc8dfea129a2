"""Links to exports: each has a token of its own that reads one saved export, and nothing else.

A token is shown once and kept as its keyed digest. It gives what its person may export in one
organisation at the moment of the request: who has left, or lost a site, takes their links along.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from kilowatch.catalog import rights, secrets, tokens
from kilowatch.catalog.changes import Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.tables_exports import ExportLink
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS

PREFIX = "kwx_"  # so that scanners for leaked secrets can tell what they have found
PURPOSE = "export link"
ALIVE_MAX = 100


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A new link; ``token`` exists nowhere else from here on."""

    row: ExportLink
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """Whom a request's token stands for, and what it may fetch."""

    person: rights.Person
    row: ExportLink


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a link is to be.

    Attributes:
        organisation_id: The one that it reaches.
        name: What it is for.
        definition: The export, as JSON.
        format: Its format.
        days: How long it is valid [d].
        in_address: Whether the token may stand in the address.
    """

    organisation_id: int
    name: str
    definition: Mapping[str, Any]
    format: str
    days: int
    in_address: bool = False


def make(change: Change, key: bytes, user_id: int, wanted: Wanted) -> MadeLink:
    """Make a link.

    Args:
        change: An open change.
        key: The server's key.
        user_id: Whose it is.
        wanted: What it is to be.

    Raises:
        KilowatchError: ``invalid_name``, ``invalid_expiry`` or ``too_many_links``.
    """
    clean = check_name(wanted.name, "link", longest=100)
    tokens.check_days(wanted.days, "link")
    alive = of_people(change.session, user_id, ())
    if sum(one.expires_at_ms > change.now_ms for one in alive) >= ALIVE_MAX:
        raise KilowatchError(
            "too_many_links",
            f"You have {ALIVE_MAX} links, which is as many as one person can have.",
            status=409,
            remedy="Revoke those that you no longer use.",
        )
    token = PREFIX + secrets.new_secret(tokens.TOKEN_BYTES)
    row = ExportLink(
        organisation_id=wanted.organisation_id,
        user_id=user_id,
        name=clean,
        definition=dict(wanted.definition),
        format=wanted.format,
        token_digest=secrets.digest(key, token, PURPOSE),
        in_address=wanted.in_address,
        created_at_ms=change.now_ms,
        expires_at_ms=change.now_ms + wanted.days * DAY_MS,
    )
    change.session.add(row)
    change.record(
        "made an export link", "user", user_id, wanted.organisation_id,
        name=clean, days=wanted.days, in_address=wanted.in_address,
    )  # fmt: skip
    change.session.flush()
    return MadeLink(row, token)


def of_people(session: Session, user_id: int, organisations: Collection[int]) -> list[ExportLink]:
    """Return links that are not revoked: a person's own, and all of some organisations."""
    mine = or_(ExportLink.user_id == user_id, ExportLink.organisation_id.in_(organisations))
    statement = select(ExportLink).where(mine, ExportLink.revoked_at_ms.is_(None))
    return list(session.scalars(statement.order_by(ExportLink.id.desc())))


def revoke(change: Change, user_id: int, link_id: int, organisations: Collection[int]) -> None:
    """Revoke a link, at once and for good.

    Args:
        change: An open change.
        user_id: Who revokes it.
        link_id: Its number.
        organisations: Those whose links the person may revoke, whoever made them.

    Raises:
        KilowatchError: ``unknown_link``, also for one that is none of theirs.
    """
    row = change.session.get(ExportLink, link_id)
    if row is None or (row.user_id != user_id and row.organisation_id not in organisations):
        raise KilowatchError("unknown_link", "There is no such link.", status=404)
    if row.revoked_at_ms is None:
        row.revoked_at_ms = change.now_ms
        change.record(
            "revoked an export link", "user", row.user_id, row.organisation_id, name=row.name
        )
    change.session.flush()


def look_up(
    catalog: Catalog, key: bytes, link_id: int, token: str, *, in_address: bool, address: str
) -> LinkHolder | None:
    """Return whom a link's token stands for, or None when it opens nothing.

    Args:
        catalog: The catalogue.
        key: The server's key.
        link_id: The link that the address names.
        token: What the request brings.
        in_address: Whether it stood in the address, which the link must allow.
        address: Network address of the request.
    """
    found = tokens.holder_of(
        catalog,
        ExportLink,
        secrets.digest(key, token, PURPOSE),
        address,
        lambda row: row.id == link_id and (row.in_address or not in_address),
    )
    return None if found is None else LinkHolder(found[1], found[0])
