"""Prices, CO2 factors, weather, calendars and opening hours of sites; verdicts on events.

Revision: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_PER = ("per IN ('kWh', 'm3')", "per")


def upgrade() -> None:
    """Add a column and six tables."""
    op.add_column(
        "organisation",
        sa.Column("currency", sa.String(length=3), nullable=False, server_default=""),
    )
    _table(
        "site_terms",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("temperature_point_id", sa.Integer(), nullable=True),
        sa.Column("heating_base_c", sa.Double(), nullable=False),
        sa.Column("cooling_base_c", sa.Double(), nullable=False),
        sa.Column("attention_per_week", sa.Integer(), nullable=False),
        sa.UniqueConstraint("site_id", name=op.f("uq_site_terms_site_id")),
        refers={"site_id": "site.id", "temperature_point_id": "data_point.id"},
        unindexed={"site_id"},
        reused=True,
    )
    _table(
        "utility_price",
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("utility", sa.String(length=20), nullable=False),
        sa.Column("from_day", sa.String(length=10), nullable=True),
        sa.Column("per_unit", sa.Double(), nullable=False),
        sa.Column("per", sa.String(length=5), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        refers={"site_id": "site.id"},
        checks=(("per_unit >= 0", "per_unit"), _PER),
    )
    _table(
        "utility_carbon",
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("utility", sa.String(length=20), nullable=False),
        sa.Column("from_day", sa.String(length=10), nullable=True),
        sa.Column("kg_per_unit", sa.Double(), nullable=False),
        sa.Column("per", sa.String(length=5), nullable=False),
        sa.Column("basis", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        refers={"site_id": "site.id"},
        checks=(
            ("kg_per_unit >= 0", "kg_per_unit"),
            _PER,
            ("basis IN ('average', 'location-based', 'market-based')", "basis"),
        ),
    )
    _table(
        "site_days",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("first_day", sa.String(length=10), nullable=False),
        sa.Column("last_day", sa.String(length=10), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        refers={"site_id": "site.id"},
        checks=(("first_day <= last_day", "range"),),
    )
    _table(
        "site_opening",
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("from_day", sa.String(length=10), nullable=True),
        sa.Column("hours", sa.String(length=1000), nullable=False),
        refers={"site_id": "site.id"},
    )
    _verdicts()


def _verdicts() -> None:
    _table(
        "event_verdict",
        sa.Column("data_point_id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("lasts", sa.String(length=10), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("comment", sa.String(length=1000), nullable=False),
        sa.Column("created_by", sa.String(length=300), nullable=False),
        sa.Column("undone_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("undone_by", sa.String(length=300), nullable=False),
        refers={"data_point_id": "data_point.id"},
        checks=(
            (
                "verdict IN ('', 'acknowledged', 'snoozed', 'expected', 'fault', 'resolved')",
                "verdict",
            ),
            ("lasts IN ('once', 'until', 'weekly')", "lasts"),
        ),
    )
    op.create_index(op.f("ix_event_verdict_event_id"), "event_verdict", ["event_id"])


def _table(
    name: str,
    *parts: sa.Column[object] | sa.UniqueConstraint,
    refers: dict[str, str],
    checks: tuple[tuple[str, str], ...] = (),
    unindexed: frozenset[str] | set[str] = frozenset(),
    reused: bool = False,
) -> None:
    """Make a table of an organisation's things, with its references and their indexes."""
    refers = {"organisation_id": "organisation.id", **refers}
    options = {} if reused else {"sqlite_autoincrement": True}
    op.create_table(
        name,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        *parts,
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        *(sa.CheckConstraint(text, name=op.f(f"ck_{name}_{short}")) for text, short in checks),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{name}_{column}"))
            for column, target in refers.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        **options,
    )
    for column in refers:
        if column not in unindexed:
            op.create_index(op.f(f"ix_{name}_{column}"), name, [column], unique=False)
