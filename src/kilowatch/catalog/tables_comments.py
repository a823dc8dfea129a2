"""What people have written beside a chart, at a time."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table, id_column, reference_to, text_column


class ChartComment(Table):
    """A comment on a data point's chart, at an instant or over a span.

    ``user_id`` is the author's, without a reference: who leaves does not take the words along.
    """

    __tablename__ = "chart_comment"
    __table_args__ = (CheckConstraint("start_ms <= end_ms", name="span"), NEVER_REUSED)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    data_point_id: Mapped[int] = reference_to("data_point.id")
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    text: Mapped[str] = text_column(1000)
    event_id: Mapped[str] = mapped_column(String(200), default="")
    user_id: Mapped[int | None] = mapped_column(Integer)
    created_by: Mapped[str] = text_column(300)
    created_at_ms: Mapped[int]
    changed_at_ms: Mapped[int | None]
