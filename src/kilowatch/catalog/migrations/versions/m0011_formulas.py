"""Data points that are computed from others.

Revision: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "formula",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_formula_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_formula_data_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_formula")),
        sa.UniqueConstraint("data_point_id", name=op.f("uq_formula_data_point_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_formula_organisation_id"), "formula", ["organisation_id"], unique=False
    )
