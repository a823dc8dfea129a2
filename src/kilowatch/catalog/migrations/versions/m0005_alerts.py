"""Telling people: channels, rules, and which rule uses which channel.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "alert_channel",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("shown", sa.String(length=300), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('email', 'webhook', 'apprise')", name=op.f("ck_alert_channel_kind")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name=op.f("fk_alert_channel_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_channel")),
        sa.UniqueConstraint(
            "organisation_id", "name", name=op.f("uq_alert_channel_organisation_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alert_channel_organisation_id", "alert_channel", ["organisation_id"], unique=False
    )
    op.create_table(
        "alert_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("data_point_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('offline', 'threshold', 'cumulated', 'sentinel')",
            name=op.f("ck_alert_rule_kind"),
        ),
        sa.CheckConstraint(
            "site_id IS NULL OR data_point_id IS NULL", name=op.f("ck_alert_rule_one_target")
        ),
        *(
            sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_alert_rule_{column}"))
            for column, table in (
                ("organisation_id", "organisation"),
                ("site_id", "site"),
                ("data_point_id", "data_point"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rule")),
        sqlite_autoincrement=True,
    )
    for column in ("organisation_id", "site_id", "data_point_id"):
        op.create_index(f"ix_alert_rule_{column}", "alert_rule", [column], unique=False)
    op.create_table(
        "alert_rule_channel",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_alert_rule_channel_{column}")
            )
            for column, table in (
                ("organisation_id", "organisation"),
                ("rule_id", "alert_rule"),
                ("channel_id", "alert_channel"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rule_channel")),
        sa.UniqueConstraint(
            "rule_id",
            "channel_id",
            "stage",
            name=op.f("uq_alert_rule_channel_rule_id_channel_id_stage"),
        ),
    )
    for column in ("organisation_id", "rule_id", "channel_id"):
        op.create_index(
            f"ix_alert_rule_channel_{column}", "alert_rule_channel", [column], unique=False
        )
