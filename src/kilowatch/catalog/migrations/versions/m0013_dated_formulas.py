"""Formulas that hold from a date on.

Revision: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "formula_period",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("comment", sa.String(length=300), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_formula_period_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_formula_period_data_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_formula_period")),
        sa.UniqueConstraint(
            "data_point_id", "from_ms", name=op.f("uq_formula_period_data_point_id_from_ms")
        ),
        sqlite_autoincrement=True,
    )
    for column in ("organisation_id", "data_point_id"):
        op.create_index(op.f(f"ix_formula_period_{column}"), "formula_period", [column])
