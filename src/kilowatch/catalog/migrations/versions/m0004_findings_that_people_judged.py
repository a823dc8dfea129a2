"""Findings that people have dismissed.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "dismissed_finding",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("mark", sa.String(length=100), nullable=False),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.Column("dismissed_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["data_point_id"],
            ["data_point.id"],
            name=op.f("fk_dismissed_finding_data_point_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name=op.f("fk_dismissed_finding_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dismissed_finding")),
        sa.UniqueConstraint(
            "data_point_id",
            "code",
            "mark",
            name=op.f("uq_dismissed_finding_data_point_id_code_mark"),
        ),
        sqlite_autoincrement=True,
    )
    for column in ("organisation_id", "data_point_id"):
        op.create_index(
            op.f(f"ix_dismissed_finding_{column}"), "dismissed_finding", [column], unique=False
        )
