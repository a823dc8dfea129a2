"""``kilowatch price`` and ``kilowatch carbon``: what energy costs and emits, from a date on."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.orm import Session

from kilowatch.catalog import local_days, prices, registry
from kilowatch.catalog.currencies import currency_of
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.catalog.tables_sites import UtilityCarbon, UtilityPrice
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import (
    AsJson,
    OrganisationName,
    Server,
    organisation_named,
    paper,
    show,
)
from kilowatch.model.errors import KilowatchError
from kilowatch.model.site_facts import BASES, PERS

price = typer.Typer(no_args_is_help=True, help="What energy and water cost, from a date on.")
carbon = typer.Typer(no_args_is_help=True, help="How much CO2 they stand for, from a date on.")

Utility = Annotated[str, typer.Argument(help=f"One of {', '.join(prices.UNITS_OF)}.")]
SiteName = Annotated[
    str | None,
    typer.Option("--site", metavar="NAME", help="Only there; else at every site without its own."),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="DATE", help="First day: 2026-03-01; always if left out."),
]
PerUnit = Annotated[str | None, typer.Option(metavar="|".join(PERS), show_default="by utility")]
Wrong = Annotated[
    bool,
    typer.Option("--correct", help="The one that begins on that day was always wrong: replace it."),
]
Number = Annotated[int, typer.Argument(help="Its number, as the list shows it.")]


@price.command("set")
def set_price(
    utility: Utility,
    amount: Annotated[float, typer.Argument(help="Of one kWh or m³, in the currency: 0.28.")],
    *,
    label: Annotated[str, typer.Option(help="Where it comes from: the contract, the invoice.")],
    from_date: From = None,
    site: SiteName = None,
    per: PerUnit = None,
    correct: Wrong = False,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Set a price from a date on; what was before stays as it was."""
    day = local_days.day_of_text(from_date or "", "from")
    with Server.of(data).change() as change:
        owner, place = _place(change.session, organization, site)
        draft = PriceDraft(utility, amount, label, day, per or _usual(utility))
        wrong = _wrong(prices.prices(change.session, owner.id), draft, place) if correct else None
        row = prices.set_price(change, owner, draft, site=place, wrong=wrong)
        text = _price(change.session, owner, row)
    paper().print(
        f"{text['utility']}, {text['place']}: {text['price']} {text['since']}.", markup=False
    )


@price.command("list")
def list_prices(
    site: SiteName = None,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List prices: those of the organisation first, then those of sites, by utility and date."""
    with Server.of(data).reading() as session:
        owner, place = _place(session, organization, site)
        shown = _of_place(prices.prices(session, owner.id), place)
        rows = [_price(session, owner, row) for row in shown]
    _list(rows, ("number", "utility", "place", "price", "since", "label"), as_json)


@price.command("remove")
def remove_price(
    number: Number, organization: OrganisationName = None, data: Data = DEFAULT
) -> None:
    """Remove a price: the one before it goes on in its place."""
    with Server.of(data).change() as change:
        owner = organisation_named(change.session, organization)
        prices.remove(change, prices.find_price(change.session, owner.id, number))
    paper().print(f"Price {number} is removed.")


@price.command()
def currency(
    code: Annotated[str, typer.Argument(help="ISO 4217: EUR, GBP, USD.")],
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Choose the organisation's currency, before its first price."""
    with Server.of(data).change() as change:
        owner = organisation_named(change.session, organization)
        chosen = prices.set_currency(change, owner, code)
    paper().print(f"{chosen.name} counts in {currency_of(chosen)}.", markup=False)


@carbon.command("set")
def set_carbon(
    utility: Utility,
    amount: Annotated[float, typer.Argument(help="Of one kWh or m³, in kg CO2e: 0.254.")],
    *,
    source: Annotated[str, typer.Option(help="Who published it, and for which year.")],
    basis: Annotated[str, typer.Option(metavar="|".join(BASES))] = "average",
    from_date: From = None,
    site: SiteName = None,
    per: PerUnit = None,
    correct: Wrong = False,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Set a CO2 factor from a date on; what was before stays as it was."""
    day = local_days.day_of_text(from_date or "", "from")
    with Server.of(data).change() as change:
        owner, place = _place(change.session, organization, site)
        draft = CarbonDraft(utility, amount, source, basis, day, per or _usual(utility))
        wrong = _wrong(prices.carbon(change.session, owner.id), draft, place) if correct else None
        row = prices.set_carbon(change, owner, draft, site=place, wrong=wrong)
        text = _factor(change.session, row)
    paper().print(
        f"{text['utility']}, {text['place']}: {text['factor']} {text['since']}.", markup=False
    )


@carbon.command("list")
def list_carbon(
    site: SiteName = None,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List CO2 factors: those of the organisation first, then those of sites."""
    with Server.of(data).reading() as session:
        owner, place = _place(session, organization, site)
        rows = [_factor(session, row) for row in _of_place(prices.carbon(session, owner.id), place)]
    _list(rows, ("number", "utility", "place", "factor", "basis", "since", "source"), as_json)


@carbon.command("remove")
def remove_carbon(
    number: Number, organization: OrganisationName = None, data: Data = DEFAULT
) -> None:
    """Remove a CO2 factor: the one before it goes on in its place."""
    with Server.of(data).change() as change:
        owner = organisation_named(change.session, organization)
        prices.remove(change, prices.find_carbon(change.session, owner.id, number))
    paper().print(f"CO2 factor {number} is removed.")


def _place(
    session: Session, organization: str | None, site: str | None
) -> tuple[Organisation, Site | None]:
    owner = organisation_named(session, organization)
    return owner, registry.find_site(session, owner, site) if site is not None else None


def _of_place(rows: list[prices.Row], place: Site | None) -> list[prices.Row]:
    """Return what counts at a site: its own rows and the organisation's; of no site all."""
    return [row for row in rows if place is None or row.site_id in (None, place.id)]


def _usual(utility: str) -> str:
    """Return the unit that prices of a utility are per; of an unknown one, the refusal's."""
    for known, units in prices.UNITS_OF.items():
        if known == utility:
            return units[0]
    return "kWh"


def _wrong(
    rows: list[prices.Row], draft: PriceDraft | CarbonDraft, place: Site | None
) -> prices.Row:
    day = draft.from_day.isoformat() if draft.from_day else None
    wanted = (draft.utility, draft.per, day, place.id if place else None)
    for row in rows:
        if (row.utility, row.per, row.from_day, row.site_id) == wanted:
            return row
    raise KilowatchError(
        "unknown_price",
        f"No such {draft.utility} per {draft.per} begins {_since(day)}.",
        status=404,
        remedy="Leave --correct out, or give the day on which the wrong one begins.",
    )


def _since(day: str | None) -> str:
    return f"from {day}" if day else "always"


def _site_text(session: Session, site_id: int | None) -> str:
    found = session.get(Site, site_id) if site_id is not None else None
    return found.name if found else "every site"


def _price(session: Session, owner: Organisation, row: UtilityPrice) -> dict[str, Any]:
    code = currency_of(owner)
    return {
        "number": row.id, "utility": row.utility, "place": _site_text(session, row.site_id),
        "price": f"{row.per_unit:.15g} {code}/{row.per}", "per_unit": row.per_unit,
        "per": row.per, "currency": code, "from": row.from_day, "since": _since(row.from_day),
        "label": row.label,
    }  # fmt: skip


def _factor(session: Session, row: UtilityCarbon) -> dict[str, Any]:
    return {
        "number": row.id, "utility": row.utility, "place": _site_text(session, row.site_id),
        "factor": f"{row.kg_per_unit:.15g} kg/{row.per}", "kg_per_unit": row.kg_per_unit,
        "per": row.per, "basis": row.basis, "from": row.from_day, "since": _since(row.from_day),
        "source": row.source,
    }  # fmt: skip


def _list(rows: list[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not rows:
        paper().print("There is none yet; 'set' adds one.")
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(str(row[column])) for column in columns))
    show(table)


def register(app: typer.Typer) -> None:
    """Add ``kilowatch price`` and ``kilowatch carbon`` to the command line."""
    app.add_typer(price, name="price")
    app.add_typer(carbon, name="carbon")
