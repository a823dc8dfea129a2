"""What the catalogue keeps: one class for each table.

Times are milliseconds since 1970 in UTC (``…_ms``), as everywhere in Kilowatch. A column marked
``SECRET`` never appears in the audit history. What a change of a row sets going stands at its
table: ``seen_by_collector``, ``describes_streams``, ``audited``. A change here comes with a
migration; a test compares the two. Subjects with many tables of their own have a module beside this
one (``tables_….py``), which ``database.py`` imports.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kilowatch.model.points import Behaviour, Clock, Kind, Stamp, Utility

Environment = Literal["development", "production"]
Scope = Literal["meter", "user", "site", "partner"]
Role = Literal[
    "administrator", "manager", "analyst", "viewer", "end user", "partner administrator"
]  # fmt: skip

ENVIRONMENTS: tuple[Environment, ...] = ("development", "production")
SCOPES: tuple[Scope, ...] = ("meter", "user", "site", "partner")
ROLES: tuple[Role, ...] = (
    "administrator", "manager", "analyst", "viewer", "end user", "partner administrator"
)  # fmt: skip

SECRET = {"secret": True}
NEVER_REUSED = {"sqlite_autoincrement": True}
"""The log keeps numbers of credentials and series: a number once given stays taken."""

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    """Base of all tables; its constraints have names, so that a migration can change them.

    Attributes:
        seen_by_collector: A change steps the revision: collector and pipeline load it.
        describes_streams: A change steps the counter ``streams``: the data points are loaded again.
        audited: A change is in the history; not so the platform's own bookkeeping, whose lines
            each follow from something that is.
    """

    seen_by_collector: ClassVar[bool] = False
    describes_streams: ClassVar[bool] = False
    audited: ClassVar[bool] = True
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        int: BigInteger,
        float: Double,
        dict[str, Any]: JSON,
    }


def id_column() -> Mapped[int]:
    """Return the column of a row's number."""
    return mapped_column(Integer, primary_key=True)


def reference_to(column: str) -> Mapped[Any]:
    """Return a column that refers to another table's."""
    return mapped_column(Integer, ForeignKey(column), index=True)


def text_column(length: int, **options: Any) -> Mapped[Any]:
    """Return a column of text with a longest length."""
    return mapped_column(String(length), **options)


class Counter(Table):
    """A number that only goes up: ``revision``, ``streams`` and ``series``."""

    audited = False
    __tablename__ = "counter"
    name: Mapped[str] = text_column(20, primary_key=True)
    value: Mapped[int]


class Organisation(Table):
    """Who owns sites, data points and credentials; ``live_at_ms`` is None while it tests."""

    seen_by_collector = True
    __tablename__ = "organisation"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    name: Mapped[str] = text_column(200)
    name_key: Mapped[str] = text_column(200, unique=True)
    country: Mapped[str] = text_column(2)
    demo: Mapped[bool] = mapped_column(default=False)
    created_at_ms: Mapped[int]
    live_at_ms: Mapped[int | None]
    second_factor_required: Mapped[bool] = mapped_column(default=False)
    currency: Mapped[str] = text_column(3, default="")


class Site(Table):
    """A place with one time zone."""

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "site"
    __table_args__ = (UniqueConstraint("organisation_id", "name"), NEVER_REUSED)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    name: Mapped[str] = text_column(200)
    zone: Mapped[str] = text_column(64)
    country: Mapped[str] = text_column(2)
    region: Mapped[str] = text_column(100, default="")
    city: Mapped[str] = text_column(100, default="")
    address: Mapped[str] = text_column(300, default="")
    area_m2: Mapped[float | None]
    contact_name: Mapped[str] = text_column(200, default="")
    contact_email: Mapped[str] = text_column(254, default="")
    created_at_ms: Mapped[int]


class Meter(Table):
    """A device on a site; ``parent_id`` is the meter that feeds it."""

    seen_by_collector = True  # not by the collector: people's trees follow the revision
    __tablename__ = "meter"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int] = reference_to("site.id")
    name: Mapped[str] = text_column(200)
    parent_id: Mapped[int | None] = reference_to("meter.id")
    created_at_ms: Mapped[int]


class Appliance(Table):
    """A channel of a meter: what one circuit feeds."""

    seen_by_collector = True  # as with Meter
    __tablename__ = "appliance"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    meter_id: Mapped[int] = reference_to("meter.id")
    name: Mapped[str] = text_column(200)
    created_at_ms: Mapped[int]


class DataPoint(Table):
    """A registered data stream; ``model.points.DataPoint`` explains the settings.

    ``test_series`` is the series of the development environment, once an organisation went live
    and left its test data behind; before that both environments write to ``series``.
    """

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "data_point"
    __table_args__ = (
        UniqueConstraint("organisation_id", "stream_id"),
        CheckConstraint("kind IN ('electrical', 'single')", name="kind"),
        CheckConstraint("behaviour IN ('register', 'amount', 'rate', 'gauge')", name="behaviour"),
        CheckConstraint("stamp IN ('start', 'end')", name="stamp"),
        CheckConstraint("clock IN ('auto', 'offset', 'wall')", name="clock"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int] = reference_to("site.id")
    meter_id: Mapped[int] = reference_to("meter.id")
    appliance_id: Mapped[int | None] = reference_to("appliance.id")
    parent_id: Mapped[int | None] = reference_to("data_point.id")
    stream_id: Mapped[str] = text_column(200)
    series: Mapped[int] = mapped_column(unique=True)
    test_series: Mapped[int | None] = mapped_column(unique=True)
    name: Mapped[str] = text_column(200)
    kind: Mapped[Kind] = text_column(10)
    utility: Mapped[Utility] = text_column(20)
    unit: Mapped[str] = text_column(10)
    interval_s: Mapped[int]
    tolerance_s: Mapped[float | None]
    behaviour: Mapped[Behaviour] = text_column(10)
    stamp: Mapped[Stamp] = text_column(5, default="start")
    clock: Mapped[Clock] = text_column(6, default="auto")
    register_max: Mapped[float | None]
    created_at_ms: Mapped[int]


class SeriesHistory(Table):
    """Every series a data point ever had, so that old readings can still be told apart."""

    seen_by_collector = True
    describes_streams = True
    audited = False
    __tablename__ = "series_history"
    series: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data_point_id: Mapped[int] = reference_to("data_point.id")
    from_ms: Mapped[int]
    reason: Mapped[str] = text_column(100)


class User(Table):
    """A person with an account."""

    seen_by_collector = True
    __tablename__ = "user"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    email: Mapped[str] = text_column(254, unique=True)
    name: Mapped[str] = text_column(200)
    password_hash: Mapped[str | None] = text_column(200, info=SECRET)
    created_at_ms: Mapped[int]
    disabled_at_ms: Mapped[int | None]
    locale: Mapped[str] = text_column(35, default="")
    temperature_unit: Mapped[str] = text_column(1, default="")
    energy_unit: Mapped[str] = text_column(4, default="")


class Membership(Table):
    """A person's role in an organisation, in all of it or only where ``Grant`` says."""

    seen_by_collector = True
    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("user_id", "organisation_id"),)
    id: Mapped[int] = id_column()
    user_id: Mapped[int] = reference_to("user.id")
    organisation_id: Mapped[int] = reference_to("organisation.id")
    role: Mapped[Role] = text_column(30)
    whole_organisation: Mapped[bool]
    plan_id: Mapped[int | None] = reference_to("plan.id")
    created_at_ms: Mapped[int]


class Grant(Table):
    """A site, or one data point, that a person without the whole organisation may see."""

    seen_by_collector = True
    __tablename__ = "grant_of_access"
    __table_args__ = (
        UniqueConstraint("user_id", "site_id", "data_point_id"),
        CheckConstraint("(site_id IS NULL) <> (data_point_id IS NULL)", name="one_target"),
    )
    id: Mapped[int] = id_column()
    user_id: Mapped[int] = reference_to("user.id")
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int | None] = reference_to("site.id")
    data_point_id: Mapped[int | None] = reference_to("data_point.id")
    created_at_ms: Mapped[int]


class Credential(Table):
    """A generated user name and secret that may push within a scope, in one environment.

    The target is ``data_point_id``, ``user_id`` or ``site_id`` for the scopes meter, user and
    site; a partner's is the organisation.
    """

    seen_by_collector = True
    __tablename__ = "credential"
    __table_args__ = (
        CheckConstraint("scope IN ('meter', 'user', 'site', 'partner')", name="scope"),
        CheckConstraint("environment IN ('development', 'production')", name="environment"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    username: Mapped[str] = text_column(100, unique=True)
    secret_digest: Mapped[bytes] = mapped_column(LargeBinary, info=SECRET)
    scope: Mapped[Scope] = text_column(10)
    data_point_id: Mapped[int | None] = reference_to("data_point.id")
    user_id: Mapped[int | None] = reference_to("user.id")
    site_id: Mapped[int | None] = reference_to("site.id")
    environment: Mapped[Environment] = text_column(12)
    name: Mapped[str] = text_column(200, default="")
    mirrors_id: Mapped[int | None] = reference_to("credential.id")
    created_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]
    last_used_ms: Mapped[int | None]
    last_used_address: Mapped[str] = text_column(100, default="")


class LoginSession(Table):
    """A browser that is logged in; its token is stored as a keyed digest."""

    audited = False
    __tablename__ = "login_session"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True, info=SECRET)
    user_id: Mapped[int] = reference_to("user.id")
    created_at_ms: Mapped[int]
    rotated_at_ms: Mapped[int]
    seen_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]
    address: Mapped[str] = text_column(100)
    user_agent: Mapped[str] = text_column(300)


class LoginAttempt(Table):
    """Failed log-ins of one account or from one address, for slowing them down."""

    audited = False
    __tablename__ = "login_attempt"
    key: Mapped[str] = text_column(300, primary_key=True)
    failures: Mapped[int]
    last_failure_ms: Mapped[int]
    blocked_until_ms: Mapped[int]


class AuditEntry(Table):
    """Who changed what, when, and what it was before and after; never a secret."""

    audited = False
    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_subject", "subject", "subject_id"),
        Index("ix_audit_organisation_id_at_ms", "organisation_id", "at_ms"),
    )
    id: Mapped[int] = id_column()
    at_ms: Mapped[int]
    actor: Mapped[str] = text_column(300)
    user_id: Mapped[int | None]
    address: Mapped[str] = text_column(100, default="")
    action: Mapped[str] = text_column(30)
    subject: Mapped[str] = text_column(30)
    subject_id: Mapped[int | None]
    organisation_id: Mapped[int | None]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    undoes_id: Mapped[int | None]
