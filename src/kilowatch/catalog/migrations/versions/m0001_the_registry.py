"""The first version: organisations, sites, data points, people, credentials, history.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, and start both counters."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=300), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=30), nullable=False),
        sa.Column("subject", sa.String(length=30), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=True),
        sa.Column("organisation_id", sa.BigInteger(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(
        "ix_audit_organisation_id_at_ms", "audit", ["organisation_id", "at_ms"], unique=False
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "subject_id"], unique=False)
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
    )
    op.create_table(
        "login_attempt",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_failure_ms", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_attempt")),
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=200), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("demo", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("live_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        sa.UniqueConstraint("name_key", name=op.f("uq_organisation_name_key")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("email", name=op.f("uq_user_email")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "login_session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_login_session_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_login_session_token_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_login_session_user_id"), "login_session", ["user_id"], unique=False)
    op.create_table(
        "membership",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=30), nullable=False),
        sa.Column("whole_organisation", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_membership_organisation_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_membership_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_membership")),
        sa.UniqueConstraint(
            "user_id", "organisation_id", name=op.f("uq_membership_user_id_organisation_id")
        ),
    )
    op.create_index(
        op.f("ix_membership_organisation_id"), "membership", ["organisation_id"], unique=False
    )
    op.create_index(op.f("ix_membership_user_id"), "membership", ["user_id"], unique=False)
    op.create_table(
        "site",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("region", sa.String(length=100), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("area_m2", sa.Double(), nullable=True),
        sa.Column("contact_name", sa.String(length=200), nullable=False),
        sa.Column("contact_email", sa.String(length=254), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_site_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_site_organisation_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_site_organisation_id"), "site", ["organisation_id"], unique=False)
    op.create_table(
        "meter",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_meter_organisation_id")
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["meter.id"], name=op.f("fk_meter_parent_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_meter_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_meter")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_meter_organisation_id"), "meter", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_meter_parent_id"), "meter", ["parent_id"], unique=False)
    op.create_index(op.f("ix_meter_site_id"), "meter", ["site_id"], unique=False)
    op.create_table(
        "appliance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_appliance_meter_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_appliance_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appliance")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_appliance_meter_id"), "appliance", ["meter_id"], unique=False)
    op.create_index(
        op.f("ix_appliance_organisation_id"), "appliance", ["organisation_id"], unique=False
    )
    op.create_table(
        "data_point",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.Integer(), nullable=False),
        sa.Column("appliance_id", sa.Integer(), nullable=True),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("stream_id", sa.String(length=200), nullable=False),
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("test_series", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("utility", sa.String(length=20), nullable=False),
        sa.Column("unit", sa.String(length=10), nullable=False),
        sa.Column("interval_s", sa.BigInteger(), nullable=False),
        sa.Column("tolerance_s", sa.Double(), nullable=True),
        sa.Column("behaviour", sa.String(length=10), nullable=False),
        sa.Column("stamp", sa.String(length=5), nullable=False),
        sa.Column("clock", sa.String(length=6), nullable=False),
        sa.Column("register_max", sa.Double(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "behaviour IN ('register', 'amount', 'rate', 'gauge')",
            name=op.f("ck_data_point_behaviour"),
        ),
        sa.CheckConstraint("clock IN ('auto', 'offset', 'wall')", name=op.f("ck_data_point_clock")),
        sa.CheckConstraint("kind IN ('electrical', 'single')", name=op.f("ck_data_point_kind")),
        sa.CheckConstraint("stamp IN ('start', 'end')", name=op.f("ck_data_point_stamp")),
        sa.ForeignKeyConstraint(
            ["appliance_id"], ["appliance.id"], name=op.f("fk_data_point_appliance_id")
        ),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name=op.f("fk_data_point_meter_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_data_point_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["data_point.id"], name=op.f("fk_data_point_parent_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_data_point_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_point")),
        sa.UniqueConstraint(
            "organisation_id", "stream_id", name=op.f("uq_data_point_organisation_id_stream_id")
        ),
        sa.UniqueConstraint("series", name=op.f("uq_data_point_series")),
        sa.UniqueConstraint("test_series", name=op.f("uq_data_point_test_series")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_data_point_appliance_id"), "data_point", ["appliance_id"], unique=False
    )
    op.create_index(op.f("ix_data_point_meter_id"), "data_point", ["meter_id"], unique=False)
    op.create_index(
        op.f("ix_data_point_organisation_id"), "data_point", ["organisation_id"], unique=False
    )
    op.create_index(op.f("ix_data_point_parent_id"), "data_point", ["parent_id"], unique=False)
    op.create_index(op.f("ix_data_point_site_id"), "data_point", ["site_id"], unique=False)
    op.create_table(
        "credential",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=100), nullable=False),
        sa.Column("secret_digest", sa.LargeBinary(), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("environment", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("mirrors_id", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_used_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "environment IN ('development', 'production')", name=op.f("ck_credential_environment")
        ),
        sa.CheckConstraint(
            "scope IN ('meter', 'user', 'site', 'partner')", name=op.f("ck_credential_scope")
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_credential_data_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["mirrors_id"], ["credential.id"], name=op.f("fk_credential_mirrors_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_credential_organisation_id")
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_credential_site_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_credential_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
        sa.UniqueConstraint("username", name=op.f("uq_credential_username")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_credential_data_point_id"), "credential", ["data_point_id"], unique=False
    )
    op.create_index(op.f("ix_credential_mirrors_id"), "credential", ["mirrors_id"], unique=False)
    op.create_index(
        op.f("ix_credential_organisation_id"), "credential", ["organisation_id"], unique=False
    )
    op.create_index(op.f("ix_credential_site_id"), "credential", ["site_id"], unique=False)
    op.create_index(op.f("ix_credential_user_id"), "credential", ["user_id"], unique=False)
    op.create_table(
        "grant_of_access",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("data_point_id", sa.Integer(), nullable=True),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(site_id IS NULL) <> (data_point_id IS NULL)",
            name=op.f("ck_grant_of_access_one_target"),
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_grant_of_access_data_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name=op.f("fk_grant_of_access_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_grant_of_access_site_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_grant_of_access_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grant_of_access")),
        sa.UniqueConstraint(
            "user_id",
            "site_id",
            "data_point_id",
            name=op.f("uq_grant_of_access_user_id_site_id_data_point_id"),
        ),
    )
    op.create_index(
        op.f("ix_grant_of_access_data_point_id"), "grant_of_access", ["data_point_id"], unique=False
    )
    op.create_index(
        op.f("ix_grant_of_access_organisation_id"),
        "grant_of_access",
        ["organisation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_grant_of_access_site_id"), "grant_of_access", ["site_id"], unique=False
    )
    op.create_index(
        op.f("ix_grant_of_access_user_id"), "grant_of_access", ["user_id"], unique=False
    )
    op.create_table(
        "series_history",
        sa.Column("series", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_series_history_data_point_id")
        ),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_series_history")),
    )
    op.create_index(
        op.f("ix_series_history_data_point_id"), "series_history", ["data_point_id"], unique=False
    )
    op.bulk_insert(
        sa.table("counter", sa.column("name"), sa.column("value")),
        [
            {"name": "revision", "value": 1},
            {"name": "streams", "value": 1},
            {"name": "series", "value": 0},
        ],
    )
