"""A site's weather and its budget of attention; without any it has the defaults."""

from __future__ import annotations

import math

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables import DataPoint, Site
from kilowatch.catalog.tables_sites import SiteTerms
from kilowatch.model.errors import KilowatchError
from kilowatch.model.site_facts import ATTENTION_PER_WEEK, COOLING_BASE_C, HEATING_BASE_C
from kilowatch.model.units import UNITS

BASE_C_MIN, BASE_C_MAX = -10.0, 35.0
"""Base temperatures outside are slips, such as degrees Fahrenheit [°C]."""
DEMAND_PERIODS_S = (900, 1800)
"""What network tariffs bill peak demand over [s]."""
ATTENTION_MAX = 50
"""More findings in a week than this are a flood that nobody reads."""


def terms(session: Session, site_id: int) -> SiteTerms | None:
    """Return what was set for a site; None while it has the defaults."""
    return session.scalar(select(SiteTerms).where(SiteTerms.site_id == site_id))


def is_temperature(point: DataPoint) -> bool:
    """Tell whether a data point measures a temperature, in whichever unit."""
    measures = UNITS[point.unit].canonical == "°C" and point.behaviour == "gauge"
    return point.kind == "single" and measures


def temperatures(session: Session, organisation_id: int) -> list[DataPoint]:
    """Return an organisation's data points that measure a temperature, by name."""
    ours = select(DataPoint).where(
        DataPoint.organisation_id == organisation_id, DataPoint.kind == "single"
    )
    found = (point for point in session.scalars(ours) if is_temperature(point))
    return sorted(found, key=lambda point: (point.name.casefold(), point.id))


def set_weather(
    change: Change,
    site: Site,
    point: DataPoint | None,
    *,
    heating_base_c: float | None = None,
    cooling_base_c: float | None = None,
) -> SiteTerms:
    """Link a site's outdoor temperature and set the base temperatures of its degree days.

    Args:
        change: An open change.
        site: Which site.
        point: A data point of the same organisation that measures a temperature, or None.
        heating_base_c: Below it a building needs heating [°C]; None for what it was.
        cooling_base_c: Above it a building needs cooling [°C]; None for what it was.

    Raises:
        KilowatchError: ``not_a_temperature``, ``other_organisation``, ``invalid_base``;
            ``data["field"]`` names the field.
    """
    if point is not None and point.organisation_id != site.organisation_id:
        raise KilowatchError(
            "other_organisation",
            "That data point is not of the site's organisation.",
            status=404,
            data={"field": "temperature"},
        )
    if point is not None and not is_temperature(point):
        raise KilowatchError(
            "not_a_temperature",
            f"{point.name} does not measure a temperature.",
            status=409,
            remedy="Choose a data point in °C, °F or K.",
            data={"field": "temperature"},
        )
    row = _row(change, site)
    row.temperature_point_id = point.id if point else None
    if heating_base_c is not None:
        row.heating_base_c = _base(heating_base_c, "heating_base_c")
    if cooling_base_c is not None:
        row.cooling_base_c = _base(cooling_base_c, "cooling_base_c")
    change.session.flush()
    return row


def set_attention(change: Change, site: Site, per_week: int) -> SiteTerms:
    """Set how many findings of a site are told in a week; 0 tells none.

    Raises:
        KilowatchError: ``invalid_attention``.
    """
    if not 0 <= per_week <= ATTENTION_MAX:
        raise KilowatchError(
            "invalid_attention",
            f"{per_week} findings a week are not between 0 and {ATTENTION_MAX}.",
            data={"field": "attention_per_week"},
        )
    row = _row(change, site)
    row.attention_per_week = per_week
    change.session.flush()
    return row


def set_demand_period(change: Change, site: Site, period_s: int | None) -> SiteTerms:
    """Set over how long peak demand is a mean at a site, as its network tariff bills it.

    Args:
        change: An open change.
        site: Which site.
        period_s: 900 or 1,800 [s]; None for the platform's setting.

    Raises:
        KilowatchError: ``invalid_demand_period``.
    """
    if period_s not in (None, *DEMAND_PERIODS_S):
        raise KilowatchError(
            "invalid_demand_period",
            f"Peak demand is a mean over 15 or 30 minutes, not over {period_s} s.",
            data={"field": "demand_period_s"},
        )
    row = _row(change, site)
    row.demand_period_s = period_s
    change.session.flush()
    return row


def _row(change: Change, site: Site) -> SiteTerms:
    row = terms(change.session, site.id)
    if row is None:
        row = SiteTerms(
            organisation_id=site.organisation_id,
            site_id=site.id,
            heating_base_c=HEATING_BASE_C,
            cooling_base_c=COOLING_BASE_C,
            attention_per_week=ATTENTION_PER_WEEK,
            created_at_ms=change.now_ms,
        )
        change.session.add(row)
    return row


def _base(base_c: float, field: str) -> float:
    if not (math.isfinite(base_c) and BASE_C_MIN <= base_c <= BASE_C_MAX):
        raise KilowatchError(
            "invalid_base",
            f"{base_c:.15g} °C is not between {BASE_C_MIN:g} and {BASE_C_MAX:g} °C.",
            remedy="Write degrees Celsius: 60 °F are 15.6 °C.",
            data={"field": field},
        )
    return base_c
