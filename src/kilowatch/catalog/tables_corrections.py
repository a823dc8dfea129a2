"""Tables of what people correct and of the rules by which intervals are judged."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table
from kilowatch.model.editing import CorrectionKind, Method


class Correction(Table):
    """One decision of a person about a range of a data point's time; never removed, only undone.

    ``model.editing.Correction`` explains what each kind does. ``sister_id`` is the data point whose
    shape an estimate takes.
    """

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "correction"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('edit', 'fill', 'spread', 'accept', 'confirm', 'comment')", name="kind"
        ),
        CheckConstraint("from_ms < to_ms", name="range"),
        NEVER_REUSED,
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), index=True)
    kind: Mapped[CorrectionKind] = mapped_column(String(10))
    channel: Mapped[int | None] = mapped_column(Integer)
    from_ms: Mapped[int]
    to_ms: Mapped[int]
    value: Mapped[float | None]
    method: Mapped[Method | None] = mapped_column(String(10))
    sister_id: Mapped[int | None] = mapped_column(Integer, ForeignKey("data_point.id"), index=True)
    comment: Mapped[str] = mapped_column(String(1000))
    created_at_ms: Mapped[int]
    created_by: Mapped[str] = mapped_column(String(300))
    undone_at_ms: Mapped[int | None]
    undone_by: Mapped[str] = mapped_column(String(300), default="")


class RuleSet(Table):
    """The validation and estimation rules of one data point; without a row it has the defaults.

    ``model.editing.Rules`` explains the columns.
    """

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "rule_set"
    __table_args__ = (CheckConstraint("estimate_method IN ('linear', 'profile')", name="method"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), unique=True)
    demand_max: Mapped[float | None]
    spike_factor: Mapped[float | None]
    zero_run_s: Mapped[int | None]
    negative: Mapped[bool | None]
    sum_tolerance: Mapped[float | None]
    estimate_up_to_s: Mapped[int | None]
    estimate_method: Mapped[Method] = mapped_column(String(10), default="linear")
