"""Files of history on trial, and saved ways to read such files.

Revision: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add two tables."""
    op.create_table(
        "history_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name=op.f("fk_history_file_organisation_id"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_history_file_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history_file")),
        sqlite_autoincrement=True,
    )
    for column in ("organisation_id", "user_id"):
        op.create_index(op.f(f"ix_history_file_{column}"), "history_file", [column])
    op.create_table(
        "import_profile",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name=op.f("fk_import_profile_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_profile")),
        sa.UniqueConstraint(
            "organisation_id", "name", name=op.f("uq_import_profile_organisation_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_import_profile_organisation_id"), "import_profile", ["organisation_id"]
    )
