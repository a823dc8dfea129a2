"""Credentials for pushing: issued once, shown once, revoked within a second.

Four scopes: one meter (data point), one user (what that person may see), one site, or one partner
(an organisation with everything in it). Each belongs to one environment.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from kilowatch.catalog import secrets
from kilowatch.catalog.changes import Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import fresh
from kilowatch.catalog.tables import (
    Credential,
    DataPoint,
    Environment,
    Membership,
    Organisation,
    Scope,
    Site,
    User,
)
from kilowatch.model.errors import KilowatchError

_SLUG_MAX = 16


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential with its secret, which exists nowhere else from here on."""

    credential: Credential
    secret: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a credential reaches: an organisation, or one thing in it.

    Attributes:
        organisation: Whose it is.
        inside: The site, data point or user, or None for the whole organisation.
    """

    organisation: Organisation
    inside: Site | DataPoint | User | None = None

    @property
    def scope(self) -> Scope:
        """The scope that goes with it."""
        if isinstance(self.inside, Site):
            return "site"
        if isinstance(self.inside, DataPoint):
            return "meter"
        return "user" if isinstance(self.inside, User) else "partner"


def issue(
    change: Change,
    key: bytes,
    target: Target,
    *,
    environment: Environment,
    name: str = "",
    mirrors: Credential | None = None,
) -> Issued:
    """Issue a credential; only the keyed digest of its secret is stored.

    Args:
        change: An open change.
        key: The server's key, see ``secrets.load_or_create_key``.
        target: What it reaches.
        environment: The only one in which it works.
        name: What people call it, for example the gateway that has it.
        mirrors: The development credential that it takes over from.

    Raises:
        KilowatchError: ``not_live`` for a production credential before go-live;
            ``other_organisation`` when the target lies outside the organisation.
    """
    organisation = fresh(change.session, target.organisation)
    if environment == "production" and organisation.live_at_ms is None:
        raise KilowatchError(
            "not_live",
            f"{organisation.name} is not live yet, so it has no production credentials.",
            status=409,
            remedy=f"Run 'kilowatch go-live {shlex.quote(organisation.name)}' first.",
            data={"field": "environment"},
        )
    _check_inside(change.session, target)
    inside = target.inside.id if target.inside else None
    secret = secrets.new_secret()
    credential = Credential(
        organisation_id=organisation.id,
        username=_new_username(organisation.name),
        secret_digest=secrets.digest(key, secret),
        scope=target.scope,
        site_id=inside if target.scope == "site" else None,
        data_point_id=inside if target.scope == "meter" else None,
        user_id=inside if target.scope == "user" else None,
        environment=environment,
        name=name,
        mirrors_id=mirrors.id if mirrors else None,
        created_at_ms=change.now_ms,
    )
    change.session.add(credential)
    change.session.flush()
    return Issued(credential, secret)


def revoke(change: Change, username: str) -> Credential:
    """Revoke a credential for good; collectors refuse it within a second.

    Revoking one that is revoked already changes nothing.

    Raises:
        KilowatchError: ``unknown_credential``; ``not_a_credential`` for a person's account.
    """
    wanted = username.strip()
    credential = change.session.scalar(select(Credential).where(Credential.username == wanted))
    if credential is None:
        person = change.session.scalar(select(User.id).where(User.email == wanted.casefold()))
        raise KilowatchError(
            "unknown_credential" if person is None else "not_a_credential",
            f"There is no credential named {wanted!r}."
            if person is None
            else f"{wanted} is a person's account, not a credential.",
            status=404,
            remedy="'kilowatch credential list' shows every credential.",
        )
    if credential.revoked_at_ms is None:
        credential.revoked_at_ms = change.now_ms
        change.session.flush()
    return credential


ADDRESS_MAX = 100


class Use(NamedTuple):
    """The last use of a credential: when [ms since 1970, UTC], and from which address."""

    at_ms: int
    address: str


def touch(catalog: Catalog, last_used: Mapping[int, Use]) -> None:
    """Keep when and from where credentials were last used; call it now and then with many at once.

    Args:
        catalog: An open catalogue.
        last_used: By credential number; people's numbers, which are negative, are passed over.
    """
    rows = [
        {"number": number, "at_ms": use.at_ms, "address": use.address[:ADDRESS_MAX]}
        for number, use in last_used.items()
        if number > 0
    ]
    statement = (
        update(Credential)
        .where(Credential.id == bindparam("number"))
        .values(last_used_ms=bindparam("at_ms"), last_used_address=bindparam("address"))
    )
    if rows:
        with catalog.bookkeeping() as session:
            session.connection().execute(statement, rows)


def holder(session: Session, credential_id: int) -> str:
    """Return who pushed, for a person to read, from the number that the log keeps."""
    if credential_id < 0:
        user = session.get(User, -credential_id)
        return user.email if user else "a person who is no longer here"
    credential = session.get(Credential, credential_id)
    if credential is None:
        return "an unknown credential"
    return f"{credential.username} ({credential.name})" if credential.name else credential.username


@dataclass(frozen=True, slots=True)
class Listed:
    """A credential with the names of what it reaches."""

    credential: Credential
    organisation: str
    target: str


def listing(
    session: Session, organisation_id: int | None = None, credential_id: int | None = None
) -> list[Listed]:
    """Return the credentials of one organisation, or all, or one; revoked ones included."""
    statement = (
        select(Credential, Organisation.name, Site.name, DataPoint.name, User.email)
        .join(Organisation, Credential.organisation_id == Organisation.id)
        .outerjoin(Site, Credential.site_id == Site.id)
        .outerjoin(DataPoint, Credential.data_point_id == DataPoint.id)
        .outerjoin(User, Credential.user_id == User.id)
        .order_by(Organisation.name_key, Credential.id)
    )
    if organisation_id is not None:
        statement = statement.where(Credential.organisation_id == organisation_id)
    if credential_id is not None:
        statement = statement.where(Credential.id == credential_id)
    return [
        Listed(credential, organisation, site or point or email or organisation)
        for credential, organisation, site, point, email in session.execute(statement)
    ]


def _check_inside(session: Session, target: Target) -> None:
    inside, organisation = target.inside, target.organisation
    if inside is None:
        return
    if isinstance(inside, User):
        statement = select(Membership.id).where(
            Membership.user_id == inside.id, Membership.organisation_id == organisation.id
        )
        belongs = session.scalar(statement) is not None
        name = inside.email
    else:
        belongs, name = inside.organisation_id == organisation.id, inside.name
    if not belongs:
        raise KilowatchError(
            "other_organisation",
            f"{name} does not belong to {organisation.name}.",
            status=404,
            data={"field": "target"},
        )


def _new_username(organisation: str) -> str:
    plain = unicodedata.normalize("NFKD", organisation).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:_SLUG_MAX].strip("-")
    return "-".join(filter(None, ("kw", slug, secrets.readable(8))))
