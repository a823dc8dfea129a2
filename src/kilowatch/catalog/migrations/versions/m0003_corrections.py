"""Corrections of intervals, and the rules by which they are judged and estimated.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("method", sa.String(length=10), nullable=True),
        sa.Column("sister_id", sa.Integer(), nullable=True),
        sa.Column("comment", sa.String(length=1000), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("undone_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("undone_by", sa.String(length=300), nullable=False),
        sa.CheckConstraint("from_ms < to_ms", name=op.f("ck_correction_range")),
        sa.CheckConstraint(
            "kind IN ('edit', 'fill', 'spread', 'accept', 'confirm', 'comment')",
            name=op.f("ck_correction_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_correction_data_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_correction_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["sister_id"], ["data_point.id"], name=op.f("fk_correction_sister_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        sqlite_autoincrement=True,
    )
    for column in ("organisation_id", "data_point_id", "sister_id"):
        op.create_index(op.f(f"ix_correction_{column}"), "correction", [column], unique=False)
    op.create_table(
        "rule_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("demand_max", sa.Double(), nullable=True),
        sa.Column("spike_factor", sa.Double(), nullable=True),
        sa.Column("zero_run_s", sa.BigInteger(), nullable=True),
        sa.Column("negative", sa.Boolean(), nullable=True),
        sa.Column("sum_tolerance", sa.Double(), nullable=True),
        sa.Column("estimate_up_to_s", sa.BigInteger(), nullable=True),
        sa.Column("estimate_method", sa.String(length=10), nullable=False),
        sa.CheckConstraint(
            "estimate_method IN ('linear', 'profile')", name=op.f("ck_rule_set_method")
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_rule_set_data_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_rule_set_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_set")),
        sa.UniqueConstraint("data_point_id", name=op.f("uq_rule_set_data_point_id")),
    )
    op.create_index(
        op.f("ix_rule_set_organisation_id"), "rule_set", ["organisation_id"], unique=False
    )
