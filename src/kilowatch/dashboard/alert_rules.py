"""Rules of an organisation: when to tell whom. One form for every kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import alerts, data_points, registry
from kilowatch.catalog.alerts import Watched
from kilowatch.catalog.tables import DataPoint, Organisation
from kilowatch.catalog.tables_alerts import RULE_KINDS, AlertRule
from kilowatch.dashboard.access import Access, Door, not_found, row_here
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.notifications import frame, number_in
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.rule_form import ABOUT, PERIODS, Fields, minutes_text, shown_exactly, wrong
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.quantities import QUANTITIES, SUMMED
from kilowatch.notify.rules import Rule, Terms, terms_of
from kilowatch.notify.schedule import EVERY_DAY


async def listing(request: Request) -> Response:
    """Show an organisation's rules."""
    return await run_in_threadpool(_listing, request)


async def new(request: Request) -> Response:
    """Show the empty form."""
    return await run_in_threadpool(_new, request)


async def create(request: Request) -> Response:
    """Add a rule, or show the form with what is wrong beside each field."""
    form = Fields.of_form(await request.form())
    return await run_in_threadpool(_save, request, form, None)


async def usual(request: Request) -> Response:
    """Add the usual rule, where there is none at all yet."""
    return await run_in_threadpool(_usual, request)


async def edit(request: Request) -> Response:
    """Show the form of a rule."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Change a rule."""
    form = Fields.of_form(await request.form())
    return await run_in_threadpool(_save, request, form, _rule_id(request))


async def switch(request: Request) -> Response:
    """Switch a rule on or off."""
    return await run_in_threadpool(_switch, request)


async def remove(request: Request) -> Response:
    """Remove a rule."""
    return await run_in_threadpool(_remove, request)


async def test(request: Request) -> Response:
    """Send a trial message through each channel of a rule."""
    return await run_in_threadpool(_test, request)


def home(request: Request) -> str:
    """Return the address of the organisation's rules."""
    return f"/organization/{visit_of(request).organisation_id}/rules"


def _listing(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    with rooms.registry.catalog.reading() as session:
        rows = [
            _listed(session, row, rooms.desk.channels(visit.organisation_id))
            for row in alerts.rules(session, visit.organisation_id)
        ]
    context = frame(request, "rules", visit.organisation_id) | {
        "rows": rows,
        "saved": request.query_params.get("saved", ""),
        "home": home(request),
    }
    return page(request, "alert_rules.html", _crumbs(request), context)


def _listed(session: Session, row: AlertRule, channels: Sequence[Any]) -> dict[str, Any]:
    names = {channel.id: channel.name for channel in channels}
    uses = _uses(session, row.id)
    terms = terms_of(row)
    return {
        "rule": row,
        "where": _place(session, row),
        "what": _what(row.kind, terms) if terms else t("rule.newer"),
        "channels": [names[one] for one in uses[alerts.AT_ONCE] if one in names],
        "escalation": [names[one] for one in uses[alerts.ESCALATED] if one in names],
    }


def _what(kind: str, terms: Terms) -> str:
    """Return a rule in one line."""
    if kind == "offline":
        wait = minutes_text(terms.wait_min)
        return t("rule.says_offline_wait", wait=wait) if wait else t("rule.says_offline")
    if kind == "sentinel":
        return t("rule.says_sentinel", about=t("rule_about." + terms.about))
    what, limit = QUANTITIES[terms.quantity].title, shown_exactly(terms)
    if kind == "cumulated":
        period = t("so_far." + terms.period)
        if terms.price_per_kwh is None:
            return t("rule.says_sum", what=what, limit=limit, period=period)
        money, price = terms.currency, f"{terms.price_per_kwh:g} {terms.currency}"
        return t("rule.says_money", what=what, limit=f"{limit} {money}", period=period, price=price)
    side = t("rule.above") if terms.above else t("rule.below")
    return t("rule.says_value", what=what, side=side.lower(), limit=limit, n=terms.consecutive)


def _place(session: Session, row: AlertRule) -> str:
    if row.data_point_id is not None:
        point = session.get(DataPoint, row.data_point_id)
        return point.name if point else ""
    sites = {site.id: site.name for site in registry.sites(session, row.organisation_id)}
    return sites.get(row.site_id or 0, t("rule.everywhere"))


def _new(request: Request) -> Response:
    asked = request.query_params.get("point", "")
    point = rooms_of(request).registry.point(visit_of(request).person, whole_number(asked) or 0)
    mine = point is not None and point.organisation_id == visit_of(request).organisation_id
    start = Fields()
    if mine and point is not None:
        start = Fields(watched="point", point=point.stream_id, kind="threshold")
    return _form(request, start, None, {})


def _usual(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    with rooms.registry.catalog.change(actor_of(request)) as open_change:
        if not alerts.rules(open_change.session, visit.organisation_id):  # a click too many
            alerts.add_usual_rule(open_change, visit.organisation_id)
    rooms.desk.rules_changed()
    return RedirectResponse(f"{home(request)}?saved=rule", status_code=303)


def _edit(request: Request) -> Response:
    with rooms_of(request).registry.catalog.reading() as session:
        row = _row(session, request)
        point = session.get(DataPoint, row.data_point_id) if row.data_point_id else None
        terms = terms_of(row)
        if terms is None:
            raise not_found()
        filled = Fields.of_rule(
            row, terms, point.stream_id if point else "", _uses(session, row.id)
        )
    return _form(request, filled, row, {})


def _save(request: Request, form: Fields, rule_id: int | None) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    row: AlertRule | None = None
    try:
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            session = open_change.session
            if rule_id is not None:
                row = _row(session, request)
            kind = row.kind if row is not None else form.kind
            if kind not in RULE_KINDS:
                raise wrong("kind", t("rule.choose"))
            terms = _terms(form, kind)
            watched = _watched(session, visit.organisation_id, form)
            if row is None:
                row = alerts.add_rule(
                    open_change, visit.organisation_id, form.name, kind, watched, terms.columns()
                )
            else:
                alerts.change_rule(
                    open_change, row, name=form.name, watched=watched, terms=terms.columns()
                )
            alerts.use_channels(
                open_change, row, _numbers(form.channels), _numbers(form.escalation)
            )
    except KilowatchError as error:
        if error.status in (403, 404, 500, 503):
            raise
        said = {str(error.data.get("field", "")): f"{error.detail} {error.remedy}".strip()}
        if rule_id is None:
            return _form(request, form, None, said)
        with rooms.registry.catalog.reading() as session:  # what was loaded went with the change
            return _form(request, form, _row(session, request), said)
    rooms.desk.rules_changed()
    return RedirectResponse(f"{home(request)}?saved=rule", status_code=303)


def _terms(form: Fields, kind: str) -> Terms:
    values = asdict(form) | {"kind": kind}
    return Fields(**{name: values[name] for name in Fields.__slots__}).terms()


def _watched(session: Session, organisation_id: int, form: Fields) -> Watched:
    if form.watched == "organisation":
        return Watched()
    if form.watched == "point":
        owner = session.get(Organisation, organisation_id)
        assert owner is not None
        try:
            found = data_points.find_data_point(session, owner, form.point)
        except KilowatchError as error:
            raise KilowatchError(
                error.code, error.detail, remedy=error.remedy, data={"field": "point"}
            ) from None
        return Watched(data_point_id=found.id)
    return Watched(site_id=whole_number(form.watched.removeprefix("site:")) or 0)


def _switch(request: Request) -> Response:
    rooms = rooms_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as open_change:
        row = _row(open_change.session, request)
        alerts.enable_rule(open_change, row, enabled=not row.enabled)
    rooms.desk.rules_changed()
    return RedirectResponse(home(request), status_code=303)


def _remove(request: Request) -> Response:
    rooms = rooms_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as open_change:
        alerts.remove_rule(open_change, _row(open_change.session, request))
    rooms.desk.rules_changed()
    return RedirectResponse(f"{home(request)}?saved=removed", status_code=303)


def _test(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    with rooms.registry.catalog.reading() as session:
        row = _row(session, request)
        uses = _uses(session, row.id)
    terms = terms_of(row) or Terms()
    rule = Rule(row.id, row.organisation_id, None, None, row.name, row.kind, terms)
    wanted = {*uses[alerts.AT_ONCE], *uses[alerts.ESCALATED]}
    channels = [one for one in rooms.desk.channels(visit.organisation_id) if one.id in wanted]
    results = [
        {"name": one.name, "outcome": rooms.desk.test_rule(rule, one, visit.person.name)}
        for one in channels
    ]
    context = frame(request, "rules", visit.organisation_id) | {
        "name": row.name,
        "results": results,
        "back": home(request),
    }
    return page(request, "alert_test.html", _crumbs(request, row.name), context)


def _form(
    request: Request, form: Fields, row: AlertRule | None, problems: dict[str, str]
) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    with rooms.registry.catalog.reading() as session:
        sites = registry.sites(session, visit.organisation_id)
    context = frame(request, "rules", visit.organisation_id) | {
        "fields": asdict(form),
        "problems": defaultdict(str, problems),
        "rule": row,
        "home": home(request),
        "sites": sites,
        "kinds": RULE_KINDS,
        "quantities": _grouped(list(QUANTITIES.values())),
        "sums": [QUANTITIES[key] for key in SUMMED],
        "periods": PERIODS,
        "about": ABOUT,
        "weekdays": [str(day) for day in EVERY_DAY],
        "channels": rooms.desk.channels(visit.organisation_id),
    }
    crumbs = _crumbs(request, row.name if row else t("rule.add"))
    status = 422 if problems else 200
    return page(request, "alert_rule.html", crumbs, context, status=status)


def _grouped(quantities: list[Any]) -> list[tuple[str, list[Any]]]:
    groups: dict[str, list[Any]] = {}
    for quantity in quantities:
        groups.setdefault(quantity.group, []).append(quantity)
    return list(groups.items())


def _crumbs(request: Request, last: str = "") -> list[dict[str, str]]:
    found = [{"name": t("nav.notifications"), "href": "/notifications"}]
    if not last:
        return [*found, {"name": t("alerts.rules")}]
    return [*found, {"name": t("alerts.rules"), "href": home(request)}, {"name": last}]


def _rule_id(request: Request) -> int:
    return number_in(request, "rule_id")


def _row(session: Session, request: Request) -> AlertRule:
    return row_here(session, request, AlertRule, _rule_id(request))


def _uses(session: Session, rule_id: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for use in alerts.uses(session, rule_id):
        found[use.stage].append(use.channel_id)
    return found


def _numbers(texts: Sequence[str]) -> list[int]:
    return [number for text in texts if (number := whole_number(text)) is not None]


_RULES = "/organization/{organisation_id:number}/rules"
_RULE = _RULES + "/{rule_id:number}"
_MANAGE = Access.MANAGE_ORGANISATION

DOORS: tuple[Door, ...] = (
    Door(_RULES, listing, _MANAGE, tool="notifications"),
    Door(_RULES, create, _MANAGE, ("POST",), tool="notifications"),
    Door(_RULES + "/new", new, _MANAGE, tool="notifications"),
    Door(_RULES + "/usual", usual, _MANAGE, ("POST",), tool="notifications"),
    Door(_RULE, edit, _MANAGE, tool="notifications"),
    Door(_RULE, change, _MANAGE, ("POST",), tool="notifications"),
    Door(_RULE + "/switch", switch, _MANAGE, ("POST",), tool="notifications"),
    Door(_RULE + "/remove", remove, _MANAGE, ("POST",), tool="notifications"),
    Door(_RULE + "/test", test, _MANAGE, ("POST",), tool="notifications"),
)
