"""Admin, prices and CO2 factors: of a site, and of its whole organisation.

Both pages have the same lists and forms; a site's page also shows what is in force there today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import facts, local_days, prices
from kilowatch.catalog.changes import Change
from kilowatch.catalog.currencies import CURRENCIES, currency_of
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.rights import may
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.catalog.tables_sites import UtilityCarbon, UtilityPrice
from kilowatch.dashboard.access import Access, Door, asked_organisation
from kilowatch.dashboard.admin_frame import problems_of, section_page, texts_of
from kilowatch.dashboard.admin_sites import organisation_and_site
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import figure_of, figure_text
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.site_facts import BASES, PERS, SiteFacts

PRICE = ("utility", "per", "per_unit", "label", "from", "wrong")
CARBON = ("utility", "per", "kg_per_unit", "basis", "source", "from", "wrong")


@dataclass(frozen=True, slots=True)
class _Whose:
    """What a page is about: an organisation, or one of its sites."""

    organisation: Organisation
    site: Site | None

    @property
    def home(self) -> str:
        if self.site is not None:
            return f"/admin/sites/{self.site.id}/prices"
        return f"/admin/organizations/{self.organisation.id}/prices"

    @property
    def site_id(self) -> int | None:
        return self.site.id if self.site is not None else None


async def page(request: Request) -> Response:
    """Show what energy and water cost and emit, from which date on."""
    return await run_in_threadpool(_page, request)


async def set_price(request: Request) -> Response:
    """Set a price from a date on, or correct one that was always wrong."""
    fields = texts_of(await request.form(), PRICE)
    return await run_in_threadpool(_set, request, "price", fields, _write_price)


async def set_carbon(request: Request) -> Response:
    """Set a CO2 factor from a date on, or correct one that was always wrong."""
    fields = texts_of(await request.form(), CARBON)
    return await run_in_threadpool(_set, request, "carbon", fields, _write_carbon)


async def remove(request: Request) -> Response:
    """Remove a price or a factor: the one before it goes on in its place."""
    what = str((await request.form()).get("what", ""))
    return await run_in_threadpool(_remove, request, what)


async def currency(request: Request) -> Response:
    """Choose the organisation's currency."""
    fields = texts_of(await request.form(), ("currency",))
    return await run_in_threadpool(_currency, request, fields)


def _whose(request: Request) -> _Whose:
    if visit_of(request).site_id is None:
        return _Whose(asked_organisation(request), None)
    return _Whose(*organisation_and_site(request))


def _set(
    request: Request,
    which: str,
    fields: dict[str, str],
    write: Callable[[Change, _Whose, dict[str, str]], None],
) -> Response:
    whose = _whose(request)
    try:
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            write(change, whose, fields)
    except KilowatchError as error:
        return _page(request, which, fields, problems_of(error))
    return RedirectResponse(f"{whose.home}?saved={which}", status_code=303)


def _write_price(change: Change, whose: _Whose, fields: dict[str, str]) -> None:
    draft = PriceDraft(
        fields["utility"],
        _figure(fields, "per_unit"),
        fields["label"],
        local_days.day_of_text(fields["from"], "from"),
        fields["per"],
    )
    wrong = None
    if fields["wrong"]:
        wrong = prices.find_price(change.session, whose.organisation.id, _number(fields["wrong"]))
        _belongs(wrong, whose)
    prices.set_price(change, whose.organisation, draft, site=whose.site, wrong=wrong)


def _write_carbon(change: Change, whose: _Whose, fields: dict[str, str]) -> None:
    draft = CarbonDraft(
        fields["utility"],
        _figure(fields, "kg_per_unit"),
        fields["source"],
        fields["basis"],
        local_days.day_of_text(fields["from"], "from"),
        fields["per"],
    )
    wrong = None
    if fields["wrong"]:
        wrong = prices.find_carbon(change.session, whose.organisation.id, _number(fields["wrong"]))
        _belongs(wrong, whose)
    prices.set_carbon(change, whose.organisation, draft, site=whose.site, wrong=wrong)


def _remove(request: Request, what: str) -> Response:
    whose = _whose(request)
    kind, _, text = what.partition("-")
    number = whole_number(text)
    if number is None or kind not in ("price", "carbon"):
        raise KilowatchError(
            "unknown_change", t("terms.nothing_to_remove"), remedy=t("terms.use_buttons")
        )
    find = prices.find_price if kind == "price" else prices.find_carbon
    with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
        row = find(change.session, whose.organisation.id, number)
        _belongs(row, whose)
        prices.remove(change, row)
    return RedirectResponse(f"{whose.home}?saved=removed", status_code=303)


def _currency(request: Request, fields: dict[str, str]) -> Response:
    whose = _whose(request)
    try:
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            prices.set_currency(change, whose.organisation, fields["currency"])
    except KilowatchError as error:
        return _page(request, "currency", fields, problems_of(error))
    return RedirectResponse(f"{whose.home}?saved=currency", status_code=303)


def _belongs(row: UtilityPrice | UtilityCarbon, whose: _Whose) -> None:
    """Refuse a row of another site, or of the organisation on the page of a site."""
    if row.site_id != whose.site_id:
        raise prices.unknown(type(row), row.id)


def _number(text: str) -> int:
    return whole_number(text) or 0


def _figure(fields: Mapping[str, str], name: str) -> float:
    found = figure_of(fields[name], name)
    if found is None:
        raise KilowatchError("invalid_setting", t("prices.how_much"), data={"field": name})
    return found


def _page(
    request: Request,
    which: str = "",
    fields: Mapping[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    whose, rooms = _whose(request), rooms_of(request)
    who = visit_of(request).person
    with rooms.registry.catalog.reading() as session:
        all_prices = prices.prices(session, whose.organisation.id)
        all_carbon = prices.carbon(session, whose.organisation.id)
        organisation = session.get_one(Organisation, whose.organisation.id)
        known = facts.read_site(session, whose.site) if whose.site is not None else None
    kind, changed = _asked(request, whose, all_prices, all_carbon)
    shown = {kind: changed} if problems is None else {which: dict(fields or {})}
    code = currency_of(organisation)
    context: dict[str, Any] = {
        "site": whose.site,
        "organisation": organisation,
        "home": whose.home,
        "saved": request.query_params.get("saved", "") if problems is None else "",
        "currency": code,
        "currencies": CURRENCIES,
        "fixed": bool(all_prices),
        "utilities": [(one, t(f"utility.{one}")) for one in prices.UNITS_OF],
        "pers": [(one, _per(one)) for one in PERS],
        "bases": [(one, t(f"carbon_basis.{one.replace('-', '_')}")) for one in BASES],
        "prices": [_price(row, code) for row in all_prices if row.site_id == whose.site_id],
        "carbon": [_factor(row) for row in all_carbon if row.site_id == whose.site_id],
        "inherited": _inherited(known, rooms.clock()) if known is not None else [],
        "price_form": dict.fromkeys(PRICE, "") | _FIRST | shown.get("price", {}),
        "carbon_form": dict.fromkeys(CARBON, "") | _FIRST | shown.get("carbon", {}),
        "which": which,
        "manages_all": may(who, "manage", organisation_id=whose.organisation.id),
    }
    if problems:
        context["problems"] = problems
    if whose.site is not None:
        crumbs = [{"name": whose.site.name, "href": f"/admin/sites/{whose.site.id}"}]
    else:
        crumbs = [{"name": organisation.name}]
    return section_page(
        request, "sites", "admin_prices.html", [*crumbs, {"name": t("terms.prices")}], context,
        current=f"site-{whose.site.id}" if whose.site else "", status=422 if problems else 200,
    )  # fmt: skip


_FIRST = {"utility": "electricity", "per": "kWh", "basis": "average"}


def _asked(
    request: Request,
    whose: _Whose,
    all_prices: Sequence[UtilityPrice | UtilityCarbon],
    all_carbon: Sequence[UtilityPrice | UtilityCarbon],
) -> tuple[str, dict[str, str]]:
    """Return which form is asked to correct something, filled in with what it is now."""
    kind, _, text = request.query_params.get("correct", "").partition("-")
    number = whole_number(text)
    rows = [*all_prices] if kind == "price" else [*all_carbon] if kind == "carbon" else []
    for row in rows:
        if row.id == number and row.site_id == whose.site_id:
            return kind, _filled(row)
    return "", {}


def _filled(row: UtilityPrice | UtilityCarbon) -> dict[str, str]:
    same = {
        "utility": row.utility, "per": row.per, "from": row.from_day or "", "wrong": str(row.id),
    }  # fmt: skip
    if isinstance(row, UtilityPrice):
        return same | {"per_unit": figure_text(row.per_unit), "label": row.label}
    return same | {
        "kg_per_unit": figure_text(row.kg_per_unit), "basis": row.basis, "source": row.source,
    }  # fmt: skip


def _price(row: UtilityPrice, code: str) -> dict[str, Any]:
    return {
        "what": f"price-{row.id}", "utility": row.utility, "from": row.from_day,
        "amount": f"{figure_text(row.per_unit)} {code}/{_per(row.per)}", "label": row.label,
    }  # fmt: skip


def _factor(row: UtilityCarbon) -> dict[str, Any]:
    return {
        "what": f"carbon-{row.id}", "utility": row.utility, "from": row.from_day,
        "amount": f"{figure_text(row.kg_per_unit)} kg/{_per(row.per)}", "label": row.source,
        "basis": t(f"carbon_basis.{row.basis.replace('-', '_')}"),
    }  # fmt: skip


def _per(per: str) -> str:
    return "m³" if per == "m3" else per


def _inherited(known: SiteFacts, now_ms: int) -> list[dict[str, str]]:
    """Return what is in force at a site today: its own, or the organisation's."""
    found = []
    for utility, units in prices.UNITS_OF.items():
        for unit in units:
            canonical = "m3" if unit == "m3" else "Wh"
            price = known.price_at(utility, now_ms, canonical)
            factor = known.carbon_at(utility, now_ms, canonical)
            if price is not None or factor is not None:
                found.append(
                    {
                        "utility": utility,
                        "price": str(price) if price else "",
                        "price_of": _of(price),
                        "factor": str(factor) if factor else "",
                        "factor_of": _of(factor),
                    }
                )
    return found


def _of(one: Any) -> str:
    if one is None:
        return ""
    return t("prices.of_all") if one.whole_organisation else t("prices.of_site")


def _doors(home: str, access: Access) -> tuple[Door, ...]:
    return (
        Door(home, page, access),
        Door(f"{home}/price", set_price, access, ("POST",)),
        Door(f"{home}/carbon", set_carbon, access, ("POST",)),
        Door(f"{home}/remove", remove, access, ("POST",)),
    )


DOORS: tuple[Door, ...] = (
    *_doors("/admin/sites/{site_id:number}/prices", Access.MANAGE_SITE),
    *_doors("/admin/organizations/{organisation_id:number}/prices", Access.MANAGE_ORGANISATION),
    Door(
        "/admin/organizations/{organisation_id:number}/prices/currency",
        currency,
        Access.MANAGE_ORGANISATION,
        ("POST",),
    ),
)
