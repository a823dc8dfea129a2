"""What people have decided about findings; the findings are the pipeline's."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table


class DismissedFinding(Table):
    """A mismatch that a person has seen and does not want to be told of as it is.

    ``mark`` is what the finding said in short (``Finding.data["mark"]``): what says something
    else is another finding, and is told.
    """

    __tablename__ = "dismissed_finding"
    __table_args__ = (UniqueConstraint("data_point_id", "code", "mark"), NEVER_REUSED)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), index=True)
    code: Mapped[str] = mapped_column(String(60))
    mark: Mapped[str] = mapped_column(String(100))
    comment: Mapped[str] = mapped_column(String(500), default="")
    dismissed_at_ms: Mapped[int]
