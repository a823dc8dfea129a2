"""What was true of data points and sites when: dated settings, meter events, time zones.

``point_settings.py``, ``meter_events.py`` and ``site_zones.py`` write them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table
from kilowatch.model.dated import EventKind


class PointSetting(Table):
    """Some settings of a data point from an instant on; without one, from always on.

    A setting that has a column in ``data_point`` has its present value there too. The row from
    always on holds what such a setting was before its first change, and every factor.
    """

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "point_setting"
    __table_args__ = (UniqueConstraint("data_point_id", "from_ms"), NEVER_REUSED)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), index=True)
    from_ms: Mapped[int | None]
    fields: Mapped[dict[str, Any]]
    comment: Mapped[str] = mapped_column(String(300), default="")
    created_at_ms: Mapped[int]


class RecordedEvent(Table):
    """What a person recorded about a meter: ``model.dated.MeterEvent`` explains it."""

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "meter_event"
    __table_args__ = (
        CheckConstraint("kind IN ('exchange', 'reset', 'roll_over', 'bad')", name="kind"),
        NEVER_REUSED,
    )
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    data_point_id: Mapped[int] = mapped_column(Integer, ForeignKey("data_point.id"), index=True)
    kind: Mapped[EventKind] = mapped_column(String(10))
    at_ms: Mapped[int]
    until_ms: Mapped[int | None]
    channel: Mapped[str] = mapped_column(String(10), default="")
    last: Mapped[float | None]
    first: Mapped[float | None]
    width: Mapped[float | None]
    comment: Mapped[str] = mapped_column(String(300), default="")
    created_at_ms: Mapped[int]


class SiteZone(Table):
    """A time zone of a site from an instant on; the first without one. The last is the site's."""

    seen_by_collector = True
    describes_streams = True
    __tablename__ = "site_zone"
    __table_args__ = (UniqueConstraint("site_id", "from_ms"), NEVER_REUSED)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    site_id: Mapped[int] = mapped_column(Integer, ForeignKey("site.id"), index=True)
    from_ms: Mapped[int | None]
    zone: Mapped[str] = mapped_column(String(64))
    created_at_ms: Mapped[int]
