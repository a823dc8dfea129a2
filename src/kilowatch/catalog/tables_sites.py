"""What insights need to know of sites, and what people have said of events.

``prices.py``, ``site_terms.py``, ``site_calendar.py`` and ``verdicts.py`` write them; ``facts.py``
reads them as ``model.site_facts.SiteFacts``, which explains the columns. Dates are local ones of
the site, as ISO text, so that a price of the organisation begins at each site's own midnight.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table, id_column, reference_to, text_column
from kilowatch.model.insight import EventKind
from kilowatch.model.points import Utility
from kilowatch.model.site_facts import Basis, Per
from kilowatch.model.verdicts import Lasts


class SiteTerms(Table):
    """Weather and attention of a site; without a row it has the defaults."""

    seen_by_collector = True  # not by the collector: insights follow the revision
    __tablename__ = "site_terms"
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int] = mapped_column(Integer, ForeignKey("site.id"), unique=True)
    temperature_point_id: Mapped[int | None] = reference_to("data_point.id")
    heating_base_c: Mapped[float]
    cooling_base_c: Mapped[float]
    attention_per_week: Mapped[int] = mapped_column(Integer)
    demand_period_s: Mapped[int | None] = mapped_column(Integer)
    created_at_ms: Mapped[int]


class UtilityPrice(Table):
    """A price of a site, or of the whole organisation, from a date on; the first without one."""

    seen_by_collector = True  # as with SiteTerms
    __tablename__ = "utility_price"
    __table_args__ = (
        CheckConstraint("per_unit >= 0", name="per_unit"),
        CheckConstraint("per IN ('kWh', 'm3')", name="per"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int | None] = reference_to("site.id")
    utility: Mapped[Utility] = text_column(20)
    from_day: Mapped[str | None] = text_column(10)
    per_unit: Mapped[float]
    per: Mapped[Per] = mapped_column(String(5))
    label: Mapped[str] = text_column(200)
    created_at_ms: Mapped[int]


class UtilityCarbon(Table):
    """A CO2 factor of a site, or of the whole organisation, from a date on."""

    seen_by_collector = True  # as with SiteTerms
    __tablename__ = "utility_carbon"
    __table_args__ = (
        CheckConstraint("kg_per_unit >= 0", name="kg_per_unit"),
        CheckConstraint("per IN ('kWh', 'm3')", name="per"),
        CheckConstraint("basis IN ('average', 'location-based', 'market-based')", name="basis"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int | None] = reference_to("site.id")
    utility: Mapped[Utility] = text_column(20)
    from_day: Mapped[str | None] = text_column(10)
    kg_per_unit: Mapped[float]
    per: Mapped[Per] = mapped_column(String(5))
    basis: Mapped[Basis] = mapped_column(String(20))
    source: Mapped[str] = text_column(200)
    created_at_ms: Mapped[int]


class SiteDays(Table):
    """Days of a site's own calendar: closed, or open although they would be closed."""

    seen_by_collector = True  # as with SiteTerms
    __tablename__ = "site_days"
    __table_args__ = (CheckConstraint("first_day <= last_day", name="range"), NEVER_REUSED)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int] = reference_to("site.id")
    first_day: Mapped[str] = text_column(10)
    last_day: Mapped[str] = text_column(10)
    open: Mapped[bool]
    name: Mapped[str] = text_column(100)
    created_at_ms: Mapped[int]


class SiteOpening(Table):
    """Opening hours from a date on, as ``model.opening`` writes them; empty where learnt again."""

    seen_by_collector = True  # as with SiteTerms
    __tablename__ = "site_opening"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int] = reference_to("site.id")
    from_day: Mapped[str | None] = text_column(10)
    hours: Mapped[str] = text_column(1000, default="")
    created_at_ms: Mapped[int]


class EventVerdict(Table):
    """What a person said of an event; never removed, only taken back. ``Said`` explains it."""

    seen_by_collector = True  # as with SiteTerms
    __tablename__ = "event_verdict"
    __table_args__ = (
        CheckConstraint(
            "verdict IN ('', 'acknowledged', 'snoozed', 'expected', 'fault', 'resolved')",
            name="verdict",
        ),
        CheckConstraint("lasts IN ('once', 'until', 'weekly')", name="lasts"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    data_point_id: Mapped[int] = reference_to("data_point.id")
    event_id: Mapped[str] = mapped_column(String(200), index=True)
    kind: Mapped[EventKind] = mapped_column(String(30))
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    verdict: Mapped[str] = text_column(20, default="")
    lasts: Mapped[Lasts] = mapped_column(String(10), default="once")
    until_ms: Mapped[int | None]
    comment: Mapped[str] = text_column(1000, default="")
    created_at_ms: Mapped[int]
    created_by: Mapped[str] = text_column(300)
    undone_at_ms: Mapped[int | None]
    undone_by: Mapped[str] = text_column(300, default="")
