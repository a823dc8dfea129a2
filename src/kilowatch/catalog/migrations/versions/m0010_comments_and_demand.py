"""Comments on charts, and the demand period of a site.

Revision: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("site_terms", sa.Column("demand_period_s", sa.Integer(), nullable=True))
    op.create_table(
        "chart_comment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=1000), nullable=False),
        sa.Column("event_id", sa.String(length=200), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("start_ms <= end_ms", name=op.f("ck_chart_comment_span")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_chart_comment_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["data_point_id"], ["data_point.id"], name=op.f("fk_chart_comment_data_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chart_comment")),
        sqlite_autoincrement=True,
    )
    for column in ("organisation_id", "data_point_id"):
        op.create_index(op.f(f"ix_chart_comment_{column}"), "chart_comment", [column])
