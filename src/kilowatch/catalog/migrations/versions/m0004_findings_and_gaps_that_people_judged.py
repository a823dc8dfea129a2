"""Findings that people have dismissed, and gaps that they have accepted.

Revision: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables."""
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
    op.create_table(
        "accepted_gap",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.Column("accepted_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_accepted_gap_data_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_accepted_gap_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accepted_gap")),
        sa.UniqueConstraint(
            "data_point_id",
            "from_ms",
            "to_ms",
            name=op.f("uq_accepted_gap_data_point_id_from_ms_to_ms"),
        ),
        sqlite_autoincrement=True,
    )
    for table in ("dismissed_finding", "accepted_gap"):
        for column in ("organisation_id", "data_point_id"):
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)
