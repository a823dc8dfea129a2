"""What insights need to know of every site, read in one go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from kilowatch.catalog.currencies import currency_of
from kilowatch.catalog.local_days import start_ms
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.catalog.tables_settings import SiteZone
from kilowatch.catalog.tables_sites import (
    SiteDays,
    SiteOpening,
    SiteTerms,
    UtilityCarbon,
    UtilityPrice,
)
from kilowatch.model.dated import ALWAYS_MS, History
from kilowatch.model.opening import week_of_text
from kilowatch.model.public_holidays import region_code
from kilowatch.model.site_facts import (
    CarbonFactor,
    DayRange,
    Opening,
    Price,
    SiteFacts,
)
from kilowatch.model.zones import Zone


def read(session: Session, *, organisation_id: int | None = None) -> Mapping[int, SiteFacts]:
    """Return the facts of sites by the site's number.

    Args:
        session: Sees one state of the catalogue; ``Catalog.revision`` steps when any of it changes.
        organisation_id: Only this organisation's sites; None for every site.
    """
    whole = _Whole(session, organisation_id)
    return {site.id: whole.facts(site) for site in whole.sites}


def read_site(session: Session, site: Site) -> SiteFacts:
    """Return the facts of one site."""
    return read(session, organisation_id=site.organisation_id)[site.id]


class _Whole:
    """Everything that was set, sorted by what it belongs to."""

    def __init__(self, session: Session, organisation_id: int | None) -> None:
        def rows(table: type[Any]) -> list[Any]:
            statement: Select[Any] = select(table)
            if organisation_id is not None:
                statement = statement.where(table.organisation_id == organisation_id)
            return list(session.scalars(statement.order_by(table.id)))

        organisations = session.scalars(select(Organisation))
        self.currencies = {row.id: currency_of(row) for row in organisations}
        self.sites: list[Site] = rows(Site)
        self.terms: dict[int, SiteTerms] = {row.site_id: row for row in rows(SiteTerms)}
        self.zones = _by(rows(SiteZone), "site_id")
        self.days = _by(rows(SiteDays), "site_id")
        self.openings = _by(rows(SiteOpening), "site_id")
        self.prices = _of_places(rows(UtilityPrice))
        self.carbon = _of_places(rows(UtilityCarbon))

    def facts(self, site: Site) -> SiteFacts:
        name = self._zone(site)
        zone = Zone.of(name)
        days, terms = self.days[site.id], self.terms.get(site.id)
        currency = self.currencies[site.organisation_id]
        facts = SiteFacts(
            site_id=site.id,
            zone=name,
            country=site.country,
            region=region_code(site.country, site.region),
            currency=currency,
            closed_days=tuple(_range(row) for row in days if not row.open),
            open_days=tuple(_range(row) for row in days if row.open),
            openings=_openings(self.openings[site.id], zone),
            prices=tuple(_price(row, currency, zone) for row in _for(self.prices, site)),
            carbon=tuple(_factor(row, zone) for row in _for(self.carbon, site)),
            area_m2=site.area_m2,
        )
        if terms is None:
            return facts
        return replace(
            facts,
            temperature_point=terms.temperature_point_id,
            heating_base_c=terms.heating_base_c,
            cooling_base_c=terms.cooling_base_c,
            attention_per_week=terms.attention_per_week,
            demand_period_s=terms.demand_period_s,
        )

    def _zone(self, site: Site) -> str:
        rows = self.zones[site.id]
        story = ((ALWAYS_MS if row.from_ms is None else row.from_ms, row.zone) for row in rows)
        return History(zones=tuple(sorted(story))).zone_name(site.zone)


def _by(rows: list[Any], column: str) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[getattr(row, column)].append(row)
    return found


def _of_places(rows: list[Any]) -> dict[tuple[int, int | None], list[Any]]:
    """Sort what is dated by organisation and site, the latest first."""
    found: dict[tuple[int, int | None], list[Any]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.from_day or "", reverse=True):
        found[row.organisation_id, row.site_id].append(row)
    return found


def _for(rows: dict[tuple[int, int | None], list[Any]], site: Site) -> list[Any]:
    """Return what holds at a site: its own first, then the organisation's."""
    return rows[site.organisation_id, site.id] + rows[site.organisation_id, None]


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _range(row: SiteDays) -> DayRange:
    return DayRange(date.fromisoformat(row.first_day), date.fromisoformat(row.last_day), row.name)


def _openings(rows: list[SiteOpening], zone: Zone) -> tuple[Opening, ...]:
    found = (
        Opening(
            start_ms(_day(row.from_day), zone),
            _day(row.from_day),
            week_of_text(row.hours) if row.hours else None,
        )
        for row in rows
    )
    return tuple(sorted(found, key=lambda one: one.from_ms))


def _price(row: UtilityPrice, currency: str, zone: Zone) -> Price:
    day = _day(row.from_day)
    return Price(
        row.id, row.utility, row.per_unit, row.per, currency, start_ms(day, zone), day, row.label,
        whole_organisation=row.site_id is None,
    )  # fmt: skip


def _factor(row: UtilityCarbon, zone: Zone) -> CarbonFactor:
    day = _day(row.from_day)
    return CarbonFactor(
        row.id, row.utility, row.kg_per_unit, row.per, start_ms(day, zone), day, row.source,
        row.basis, whole_organisation=row.site_id is None,
    )  # fmt: skip
