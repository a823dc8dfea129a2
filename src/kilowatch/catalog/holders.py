"""Who may push in one environment: generated credentials, and people with their own password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, ScalarSelect, func, select

from kilowatch.catalog.tables import (
    Credential,
    Environment,
    Grant,
    Membership,
    Organisation,
    Scope,
    User,
)
from kilowatch.catalog.tables_people import GroupMember, GroupPlace
from kilowatch.model.points import DataPoint

Reason = Literal["revoked", "other_environment", "not_live", "disabled"]


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """Somebody who may push: a generated credential, or a person with their own password.

    Attributes:
        id: Of the credential; a person's is minus their user number, so that one number in the
            log tells who pushed.
        username: What HTTP Basic carries; a person's is their e-mail address.
        organisation_id: Whose streams it means. A person of several organisations has the first
            one here; ``Directory.find`` looks in all of them.
        scope: How far it reaches.
        secret_digest: Compare with ``secrets.digest``; empty for a person.
        password_hash: Argon2id, for ``secrets.verify_password``; empty for a generated one.
        organisations: Those that it reaches in whole.
        sites: Those that it reaches with all their data points.
        data_points: Those that it reaches one by one.
        looks_in: Organisations whose streams it can tell apart from unknown ones (403, not 404).
    """

    id: int
    username: str
    organisation_id: int
    scope: Scope
    secret_digest: bytes = b""
    password_hash: str = ""
    organisations: frozenset[int] = frozenset()
    sites: frozenset[int] = frozenset()
    data_points: frozenset[int] = frozenset()
    looks_in: frozenset[int] = frozenset()

    def allowed(self, point: DataPoint) -> bool:
        """Tell whether it may push to this data point and read its latest packet."""
        return (
            point.organisation_id in self.organisations
            or point.site_id in self.sites
            or point.id in self.data_points
        )


@dataclass(frozen=True, slots=True)
class KnownUsername:
    """Why a user name that exists does not work here, for the live view of requests."""

    organisation_id: int
    reason: Reason


Holders = tuple[dict[str, CredentialRecord], dict[str, KnownUsername]]
"""By user name: those who may push, and those who exist and may not."""


@dataclass(slots=True)
class _Reach:
    """Where one person may go in one organisation."""

    whole: bool
    sites: set[int] = field(default_factory=set)
    data_points: set[int] = field(default_factory=set)


Reaches = dict[int, dict[int, _Reach]]
"""By user, then by organisation."""


def _reaches(connection: Connection, environment: Environment) -> Reaches:
    memberships = (
        select(Membership.user_id, Membership.organisation_id, Membership.whole_organisation)
        .join(Organisation, Membership.organisation_id == Organisation.id)
        .join(User, Membership.user_id == User.id)
        .where(User.disabled_at_ms.is_(None))
        .order_by(Membership.id)
    )
    if environment == "production":
        memberships = memberships.where(Organisation.live_at_ms.is_not(None))
    reaches: Reaches = {}
    for user_id, organisation_id, whole in connection.execute(memberships):
        reaches.setdefault(user_id, {})[organisation_id] = _Reach(whole)
    grants = select(Grant.user_id, Grant.organisation_id, Grant.site_id, Grant.data_point_id)
    by_groups = select(
        GroupMember.user_id, GroupPlace.organisation_id, GroupPlace.site_id,
        GroupPlace.data_point_id,
    ).join(GroupMember, GroupMember.group_id == GroupPlace.group_id)  # fmt: skip
    given = [*connection.execute(grants), *connection.execute(by_groups)]
    for user_id, organisation_id, site_id, data_point_id in given:
        reach = reaches.get(user_id, {}).get(organisation_id)
        if reach and site_id is not None:
            reach.sites.add(site_id)
        elif reach and data_point_id is not None:
            reach.data_points.add(data_point_id)
    return reaches


def load_holders(connection: Connection, environment: Environment) -> Holders:
    """Read everybody who may push in an environment, and who exists and may not."""
    reaches = _reaches(connection, environment)
    credentials, refused = _people(connection, environment, reaches)
    for row in connection.execute(select(Credential.__table__)):
        reason: Reason | None = None
        if row.revoked_at_ms is not None:
            reason = "revoked"
        elif row.environment != environment:
            reason = "other_environment"
        elif row.scope == "user" and row.organisation_id not in reaches.get(row.user_id, {}):
            reason = "disabled"
        if reason:
            refused[row.username] = KnownUsername(row.organisation_id, reason)
        else:
            credentials[row.username] = _record(row, reaches)
    return credentials, refused


def _people(connection: Connection, environment: Environment, reaches: Reaches) -> Holders:
    credentials: dict[str, CredentialRecord] = {}
    refused: dict[str, KnownUsername] = {}
    statement = (
        select(User.id, User.email, User.password_hash, User.disabled_at_ms, _home())
        .where(User.password_hash.is_not(None))
        .order_by(User.id)
    )
    for user_id, email, password_hash, disabled_at_ms, home in connection.execute(statement):
        mine = reaches.get(user_id)
        if mine:
            credentials[email] = CredentialRecord(
                -user_id, email, next(iter(mine)), "user", password_hash=password_hash or "",
                organisations=frozenset(number for number, r in mine.items() if r.whole),
                sites=frozenset().union(*(r.sites for r in mine.values())),
                data_points=frozenset().union(*(r.data_points for r in mine.values())),
                looks_in=frozenset(mine),
            )  # fmt: skip
        elif home is not None:
            disabled = disabled_at_ms is not None or environment == "development"
            refused[email] = KnownUsername(home, "disabled" if disabled else "not_live")
    return credentials, refused


def _home() -> ScalarSelect[int | None]:
    """The first organisation of a person, for telling whose log-in failed."""
    return (
        select(func.min(Membership.organisation_id))
        .where(Membership.user_id == User.id)
        .scalar_subquery()
    )


def _record(row: Any, reaches: Reaches) -> CredentialRecord:
    organisations: set[int] = {row.organisation_id} if row.scope == "partner" else set()
    sites: set[int] = {row.site_id} if row.scope == "site" else set()
    data_points: set[int] = {row.data_point_id} if row.scope == "meter" else set()
    if row.scope == "user":
        reach = reaches[row.user_id][row.organisation_id]
        organisations = {row.organisation_id} if reach.whole else set()
        sites, data_points = reach.sites, reach.data_points
    return CredentialRecord(
        row.id, row.username, row.organisation_id, row.scope, row.secret_digest,
        organisations=frozenset(organisations), sites=frozenset(sites),
        data_points=frozenset(data_points), looks_in=frozenset({row.organisation_id}),
    )  # fmt: skip
