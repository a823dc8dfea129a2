"""Prices and CO2 factors by utility: of a site or of the whole organisation, from a date on.

A new one begins on its date and leaves what was before as it was. Changing one says that it was
always wrong. ``facts.py`` answers which one is in force.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.currencies import check_currency, currency_of, scale_of
from kilowatch.catalog.local_days import check_day
from kilowatch.catalog.registry import check_name, fresh
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.catalog.tables_sites import UtilityCarbon, UtilityPrice
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import Utility
from kilowatch.model.site_facts import BASES, Basis, Per

Row = TypeVar("Row", UtilityPrice, UtilityCarbon)

UNITS_OF: dict[Utility, tuple[Per, ...]] = {
    "electricity": ("kWh",),
    "gas": ("kWh", "m3"),
    "water": ("m3",),
    "heat": ("kWh",),
    "cooling": ("kWh",),
    "production": ("kWh",),
    "other": ("kWh", "m3"),
}
"""What has a price and CO2, and per what."""

PRICE_MAX: dict[Per, float] = {"kWh": 5.0, "m3": 100.0}
"""Above this many euros, or their like, a price is a slip, such as cents [currency per unit].

European day-ahead electricity is capped at 4 EUR/kWh (SDAC's harmonised maximum, 2022).
"""
KG_MAX: dict[Per, float] = {"kWh": 3.0, "m3": 20.0}
"""Above this a factor is a slip, such as grams [kg CO2e per unit].

Lignite emits about 1.1 kg/kWh of electricity; LPG gas about 6 kg/m³.
"""


@dataclass(frozen=True, slots=True)
class PriceDraft:
    """A price to be set; ``model.site_facts.Price`` explains the fields."""

    utility: str
    per_unit: float
    label: str
    from_day: date | None = None
    per: str = "kWh"


@dataclass(frozen=True, slots=True)
class CarbonDraft:
    """A CO2 factor to be set; ``model.site_facts.CarbonFactor`` explains the fields."""

    utility: str
    kg_per_unit: float
    source: str
    basis: str
    from_day: date | None = None
    per: str = "kWh"


def prices(session: Session, organisation_id: int) -> list[UtilityPrice]:
    """Return all prices of an organisation: the whole one's first, by utility and date."""
    rows = session.scalars(select(UtilityPrice).filter_by(organisation_id=organisation_id))
    return sorted(rows, key=_order)


def carbon(session: Session, organisation_id: int) -> list[UtilityCarbon]:
    """Return all CO2 factors of an organisation, likewise."""
    rows = session.scalars(select(UtilityCarbon).filter_by(organisation_id=organisation_id))
    return sorted(rows, key=_order)


def set_price(
    change: Change,
    organisation: Organisation,
    draft: PriceDraft,
    *,
    site: Site | None = None,
    wrong: UtilityPrice | None = None,
) -> UtilityPrice:
    """Set a price from its date on; earlier periods stay as they are.

    Args:
        change: An open change.
        organisation: Whose.
        draft: The price.
        site: Where it holds; None for every site without a price of its own.
        wrong: A price that was always wrong and becomes this one, or None for a new one.

    Raises:
        KilowatchError: ``price_overlaps`` (another begins on the same day), ``invalid_price``,
            ``invalid_date``, ``not_priced``; ``data["field"]`` names the field.
    """
    utility, per = _what(draft.utility, draft.per)
    currency = currency_of(fresh(change.session, organisation))
    row = wrong or UtilityPrice(organisation_id=organisation.id, created_at_ms=change.now_ms)
    per_unit = _price(draft.per_unit, per, currency)
    label = _text(draft.label, "label", "Say where the price comes from, such as the contract.")
    row_day = _free(change.session, UtilityPrice, row, site, (utility, per, draft.from_day))
    row.site_id = site.id if site else None
    row.utility, row.per, row.from_day = utility, per, row_day
    row.per_unit, row.label = per_unit, label
    change.session.add(row)
    change.session.flush()
    return row


def set_carbon(
    change: Change,
    organisation: Organisation,
    draft: CarbonDraft,
    *,
    site: Site | None = None,
    wrong: UtilityCarbon | None = None,
) -> UtilityCarbon:
    """Set a CO2 factor from its date on; see ``set_price``.

    Raises:
        KilowatchError: ``factor_overlaps``, ``invalid_factor``, ``invalid_date``, ``not_priced``;
            ``data["field"]`` names the field.
    """
    utility, per = _what(draft.utility, draft.per)
    row = wrong or UtilityCarbon(organisation_id=organisation.id, created_at_ms=change.now_ms)
    kg_per_unit, basis = _factor(draft.kg_per_unit, per), _basis(draft.basis)
    source = _text(draft.source, "source", "Say who published it, and for which year.")
    row_day = _free(change.session, UtilityCarbon, row, site, (utility, per, draft.from_day))
    row.site_id = site.id if site else None
    row.utility, row.per, row.from_day = utility, per, row_day
    row.kg_per_unit, row.basis, row.source = kg_per_unit, basis, source
    change.session.add(row)
    change.session.flush()
    return row


def find_price(session: Session, organisation_id: int, number: int) -> UtilityPrice:
    """Return a price of an organisation.

    Raises:
        KilowatchError: 404 ``unknown_price``.
    """
    return _find(session, UtilityPrice, organisation_id, number)


def find_carbon(session: Session, organisation_id: int, number: int) -> UtilityCarbon:
    """Return a CO2 factor of an organisation.

    Raises:
        KilowatchError: 404 ``unknown_factor``.
    """
    return _find(session, UtilityCarbon, organisation_id, number)


def remove(change: Change, row: UtilityPrice | UtilityCarbon) -> None:
    """Remove a price or a factor: what was in force before it goes on in its place."""
    change.session.delete(row)
    change.session.flush()


def set_currency(change: Change, organisation: Organisation, currency: str) -> Organisation:
    """Choose the currency of an organisation, before its first price.

    Raises:
        KilowatchError: ``unknown_currency``; ``prices_in_currency`` when there are prices, whose
            figures would mean something else.
    """
    code = check_currency(currency)
    stored = fresh(change.session, organisation)
    there = prices(change.session, stored.id)
    if code != currency_of(stored) and there:
        raise _in_currency(stored.name, currency_of(stored), len(there))
    stored.currency = code
    change.session.flush()
    return stored


def keep_currency(change: Change, stored: Organisation) -> None:
    """Write down the currency that prices are in, before something else would decide it."""
    if not stored.currency and prices(change.session, stored.id):
        stored.currency = currency_of(stored)


def currency_back(change: Change, stored: Organisation, currency: str) -> None:
    """Set an organisation's currency back to what it was; "" for its country's.

    Raises:
        KilowatchError: ``prices_in_currency``, when there are prices in another one by now.
    """
    now = currency_of(stored)
    stored.currency = currency
    if currency_of(stored) != now and prices(change.session, stored.id):
        raise _in_currency(stored.name, now)


def _in_currency(name: str, code: str, count: int = 0) -> KilowatchError:
    return KilowatchError(
        "prices_in_currency",
        f"{name} has {f'{count} ' if count else ''}prices in {code}.",
        status=409,
        remedy="Remove them first: their figures would mean something else.",
        data={"field": "currency"},
    )


def _order(row: UtilityPrice | UtilityCarbon) -> tuple[int, str, str, str]:
    return (row.site_id or 0, row.utility, row.per, row.from_day or "")


def _what(utility: str, per: str) -> tuple[Utility, Per]:
    for known, units in UNITS_OF.items():
        if known == utility:
            for unit in units:
                if per.replace("³", "3") == unit:
                    return known, unit
            raise KilowatchError(
                "not_priced",
                f"{utility.capitalize()} is not counted per {per}.",
                remedy=f"Use {' or '.join(units)}.",
                data={"field": "per"},
            )
    raise KilowatchError(
        "not_priced",
        f"{utility!r} is nothing that is paid for.",
        remedy=f"Choose {', '.join(UNITS_OF)}.",
        data={"field": "utility"},
    )


def _free(
    session: Session,
    table: type[Row],
    row: Row,
    site: Site | None,
    what: tuple[Utility, Per, date | None],
) -> str | None:
    """Return the first day as it is stored, if nothing else begins on it."""
    utility, per, day = what
    text = None if day is None else check_day(day, "from").isoformat()
    same = select(table.id).where(
        table.organisation_id == row.organisation_id,
        table.site_id == (site.id if site else None),
        table.utility == utility,
        table.per == per,
        table.from_day == text,
    )
    if any(number != row.id for number in session.scalars(same)):
        price = table is UtilityPrice
        raise KilowatchError(
            "price_overlaps" if price else "factor_overlaps",
            f"Another {'price' if price else 'factor'} of {utility} per {per} begins "
            f"{f'on {text}' if text else 'without a date'} already.",
            status=409,
            remedy="Change that one if it is wrong, or choose the day from which this one holds.",
            data={"field": "from"},
        )
    return text


def _find(session: Session, table: type[Row], organisation_id: int, number: int) -> Row:
    row = session.get(table, number)
    if row is None or row.organisation_id != organisation_id:
        raise unknown(table, number)
    return row


def unknown(table: type[UtilityPrice | UtilityCarbon], number: int) -> KilowatchError:
    """Return the answer to a price or a factor that is not there, or not where it was asked for."""
    price = table is UtilityPrice
    return KilowatchError(
        "unknown_price" if price else "unknown_factor",
        f"There is no {'price' if price else 'CO2 factor'} {number}.",
        status=404,
    )


def _price(per_unit: float, per: Per, currency: str) -> float:
    most = PRICE_MAX[per] * scale_of(currency)
    if not (math.isfinite(per_unit) and 0 <= per_unit <= most):
        negative = math.isfinite(per_unit) and per_unit < 0
        raise KilowatchError(
            "invalid_price",
            f"{per_unit:.15g} {currency}/{per} "
            + ("is negative." if negative else f"is not a price from 0 to {most:,.0f}."),
            remedy="A price is zero or more; what is paid to you is a price of production."
            if negative
            else f"Write it in whole {currency}: 28 cents are 0.28.",
            data={"field": "per_unit"},
        )
    return per_unit


def _factor(kg_per_unit: float, per: Per) -> float:
    if not (math.isfinite(kg_per_unit) and 0 <= kg_per_unit <= KG_MAX[per]):
        raise KilowatchError(
            "invalid_factor",
            f"{kg_per_unit:.15g} kg/{per} is not a factor from 0 to {KG_MAX[per]:g}.",
            remedy="Write it in kilograms: 254 g/kWh are 0.254.",
            data={"field": "kg_per_unit"},
        )
    return kg_per_unit


def _basis(text: str) -> Basis:
    for known in BASES:
        if known == text:
            return known
    raise KilowatchError(
        "invalid_factor",
        f"{text!r} is no basis of a CO2 factor.",
        remedy=f"Choose {', '.join(BASES)}.",
        data={"field": "basis"},
    )


def _text(text: str, field: str, remedy: str) -> str:
    try:
        return check_name(text, field)
    except KilowatchError as error:
        raise KilowatchError(
            "unnamed", f"The {field} is missing or too long.", remedy=remedy, data={"field": field}
        ) from error
