"""What collector and pipeline know of the catalogue: an immutable snapshot in memory.

The push path asks it two questions for each packet, whose credential this is and whether it may
push to this stream, and must not wait for a database. A snapshot belongs to one environment: a
credential of the other one is not in it. When ``Catalog.revision()`` differs from ``revision``,
load another; 100,000 data points take about a second and 60 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, select

from kilowatch.catalog.database import Catalog
from kilowatch.catalog.tables import (
    Counter,
    Credential,
    Environment,
    Grant,
    Membership,
    Organisation,
    Scope,
    SeriesHistory,
    Site,
    User,
)
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.model.points import LATENESS_SHARE, DataPoint

Reason = Literal["revoked", "other_environment", "not_live", "disabled"]
Word = TypeVar("Word", bound=str)

ENVIRONMENTS: tuple[Environment, ...] = ("development", "production")
SCOPES: tuple[Scope, ...] = ("meter", "user", "site", "partner")


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


class Directory:
    """The registry as one environment's collector and pipeline see it; made by ``load``.

    Attributes:
        revision: The catalogue's revision that it shows.
        environment: Whose credentials it holds.
        points: Every data point by its present series.
        refused: User names that exist and do not work, with the reason.
    """

    def __init__(
        self,
        revision: int,
        environment: Environment,
        points: dict[int, DataPoint],
        credentials: dict[str, CredentialRecord],
        *,
        refused: dict[str, KnownUsername] | None = None,
        past_series: dict[int, int] | None = None,
    ) -> None:
        self.revision = revision
        self.environment = environment
        self.points: Mapping[int, DataPoint] = MappingProxyType(points)
        self.refused: Mapping[str, KnownUsername] = MappingProxyType(refused or {})
        self._credentials = credentials
        self._past_series = past_series or {}
        self._by_id = {point.id: point for point in points.values()}
        # One entry for each stream id; a tuple only where several organisations use the same.
        self._streams: dict[str, DataPoint | tuple[DataPoint, ...]] = {}
        for point in points.values():
            others = self._streams.get(point.stream_id)
            if others is None:
                self._streams[point.stream_id] = point
            else:
                first = others if isinstance(others, tuple) else (others,)
                self._streams[point.stream_id] = (*first, point)

    def credential(self, username: str) -> CredentialRecord | None:
        """Return who may push under this name in this environment; a person's by e-mail."""
        return self._credentials.get(username) or self._credentials.get(username.casefold())

    def stream(self, organisation_id: int, stream_id: str) -> DataPoint | None:
        """Return the organisation's data point with this stream id."""
        for point in self._with_stream(stream_id):
            if point.organisation_id == organisation_id:
                return point
        return None

    def find(self, credential: CredentialRecord, stream_id: str) -> DataPoint | None:
        """Return the data point that a packet means, in any organisation of the credential.

        None is answered 404; whether it is allowed (else 403) is ``allows``. Of a person's
        several organisations, one where the stream is allowed comes first.
        """
        found = None
        for point in self._with_stream(stream_id):
            if credential.allowed(point):
                return point
            if point.organisation_id in credential.looks_in:
                found = point
        return found

    def allows(self, credential: CredentialRecord, point: DataPoint) -> bool:
        """Tell whether the credential's scope covers the data point."""
        return credential.allowed(point)

    def by_series(self, series: int) -> DataPoint | None:
        """Return the data point of a series, also of one that it had before going live."""
        if series in self._past_series:
            return replace(self._by_id[self._past_series[series]], series=series)
        return self.points.get(series)

    def by_id(self, data_point_id: int) -> DataPoint | None:
        """Return a data point by the catalogue's number."""
        return self._by_id.get(data_point_id)

    def organisations_with_stream(self, stream_id: str) -> tuple[int, ...]:
        """Return every organisation that has registered this stream id."""
        return tuple(point.organisation_id for point in self._with_stream(stream_id))

    def _with_stream(self, stream_id: str) -> tuple[DataPoint, ...]:
        found = self._streams.get(stream_id, ())
        return found if isinstance(found, tuple) else (found,)


def load(catalog: Catalog, environment: Environment) -> Directory:
    """Read one state of the catalogue into memory.

    Args:
        catalog: An open catalogue.
        environment: The server's; the other one's credentials are left out.
    """
    with catalog.reading() as session:
        connection = session.connection()
        revision = connection.execute(
            select(Counter.value).where(Counter.name == "revision")
        ).scalar_one()
        points = _points(connection, environment)
        credentials, refused = _credentials(connection, environment)
        past = _past_series(connection, environment)
    return Directory(revision, environment, points, credentials, refused=refused, past_series=past)


def _points(connection: Connection, environment: Environment) -> dict[int, DataPoint]:
    statement = select(
        Row.id, _present_series(environment), Row.stream_id, Row.name, Row.organisation_id,
        Row.site_id, Site.zone, Row.kind, Row.utility, Row.unit, Row.interval_s, Row.tolerance_s,
        Row.behaviour, Row.stamp, Row.clock, Row.register_max,
    ).join(Site, Row.site_id == Site.id).order_by(Row.id)  # fmt: skip
    one = _Once()
    tolerances: dict[int, float] = {}
    points: dict[int, DataPoint] = {}
    for row in connection.execution_options(yield_per=5000).execute(statement):
        (
            number, series, stream_id, name, organisation_id, site_id, zone, kind,
            utility, unit, interval_s, tolerance_s, behaviour, stamp, clock, register_max,
        ) = row  # fmt: skip
        if tolerance_s is None:
            tolerance_s = tolerances.setdefault(interval_s, interval_s * LATENESS_SHARE)
        points[series] = DataPoint(
            number, series, stream_id, name, organisation_id, site_id, one(zone),
            one(kind), one(utility), one(unit), interval_s, tolerance_s,
            one(behaviour), one(stamp), one(clock), register_max,
        )  # fmt: skip
    return points


class _Once:
    """Keeps one copy of each word: a hundred thousand times "electricity" would be megabytes."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def __call__(self, word: Word) -> Word:
        kept: Word = self._kept.setdefault(word, word)
        return kept


def _past_series(connection: Connection, environment: Environment) -> dict[int, int]:
    statement = (
        select(SeriesHistory.series, SeriesHistory.data_point_id)
        .join(Row)
        .where(SeriesHistory.series != _present_series(environment))
    )
    return {row.series: row.data_point_id for row in connection.execute(statement)}


def _present_series(environment: Environment) -> ColumnElement[int]:
    if environment == "production":
        return Row.series.expression
    return func.coalesce(Row.test_series, Row.series)


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
    for user_id, organisation_id, site_id, data_point_id in connection.execute(grants):
        reach = reaches.get(user_id, {}).get(organisation_id)
        if reach and site_id is not None:
            reach.sites.add(site_id)
        elif reach and data_point_id is not None:
            reach.data_points.add(data_point_id)
    return reaches


def _credentials(
    connection: Connection, environment: Environment
) -> tuple[dict[str, CredentialRecord], dict[str, KnownUsername]]:
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


def _people(
    connection: Connection, environment: Environment, reaches: Reaches
) -> tuple[dict[str, CredentialRecord], dict[str, KnownUsername]]:
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
