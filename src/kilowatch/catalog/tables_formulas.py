"""The tables of what data points are computed from."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table


class Formula(Table):
    """What one data point is computed from; ``text`` names others by number (``#12.energy``).

    It holds from always on, until the first ``FormulaPeriod`` of the data point begins. A data
    point with a formula has never had packets, and one without never gets a formula: what was
    measured stays what it is.
    """

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "formula"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), unique=True)
    text: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int]


class FormulaPeriod(Table):
    """What a data point is computed from, from an instant on until the next one of it."""

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "formula_period"
    __table_args__ = (UniqueConstraint("data_point_id", "from_ms"), NEVER_REUSED)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), index=True)
    from_ms: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(String(300), default="")
    created_at_ms: Mapped[int]
