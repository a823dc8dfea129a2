"""Settings with dates, meter events, and time zones of sites over time.

Revision: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add three tables; nothing that exists is changed."""
    op.create_table(
        "point_setting",
        *_owned_by("point_setting", "data_point"),
        sa.Column("from_ms", sa.BigInteger(), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("comment", sa.String(length=300), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint(
            "data_point_id", "from_ms", name=op.f("uq_point_setting_data_point_id_from_ms")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "meter_event",
        *_owned_by("meter_event", "data_point"),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("last", sa.Double(), nullable=True),
        sa.Column("first", sa.Double(), nullable=True),
        sa.Column("width", sa.Double(), nullable=True),
        sa.Column("comment", sa.String(length=300), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('exchange', 'reset', 'roll_over', 'bad')", name=op.f("ck_meter_event_kind")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "site_zone",
        *_owned_by("site_zone", "site"),
        sa.Column("from_ms", sa.BigInteger(), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("site_id", "from_ms", name=op.f("uq_site_zone_site_id_from_ms")),
        sqlite_autoincrement=True,
    )
    for table, owner in (
        ("point_setting", "data_point"), ("meter_event", "data_point"), ("site_zone", "site"),
    ):  # fmt: skip
        for column in ("organisation_id", f"{owner}_id"):
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def _owned_by(table: str, owner: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column(f"{owner}_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f(f"fk_{table}_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            [f"{owner}_id"], [f"{owner}.id"], name=op.f(f"fk_{table}_{owner}_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    ]
