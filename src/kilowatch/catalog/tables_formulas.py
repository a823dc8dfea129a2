"""The table of what data points are computed from."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table


class Formula(Table):
    """What one data point is computed from; ``text`` names others by number (``#12.energy``).

    A data point with a formula has never had packets, and one without never gets a formula: what
    was measured stays what it is.
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
