"""Channels of an organisation: e-mail addresses, webhooks, chats, SMS; each with a test button."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import alerts
from kilowatch.catalog.tables_alerts import AlertChannel
from kilowatch.dashboard.access import Access, Door, row_here
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.notifications import frame, number_in, on_clock, zone_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.channels import OPTIONAL, SERVICES, address_of
from kilowatch.notify.rules import channel_of

FIELDS = tuple(dict.fromkeys(name for names in SERVICES.values() for name in names))
SECRET_FIELDS = frozenset({"secret", "token"})


async def listing(request: Request) -> Response:
    """Show an organisation's channels with what became of the last message."""
    return await run_in_threadpool(_listing, request)


async def new(request: Request) -> Response:
    """Show the empty form."""
    service = request.query_params.get("service", "email")
    start = {"name": "", "service": service if service in SERVICES else "email", "enabled": "on"}
    return await run_in_threadpool(_form, request, start, None, {})


async def create(request: Request) -> Response:
    """Add a channel, or show the form with what is wrong beside each field."""
    return await run_in_threadpool(_save, request, await _sent(request), None)


async def edit(request: Request) -> Response:
    """Show the form of a channel; its address is never shown again."""
    return await run_in_threadpool(_edit, request)


async def change(request: Request) -> Response:
    """Change a channel; an address that is left empty stays as it is."""
    number = number_in(request, "channel_id")
    return await run_in_threadpool(_save, request, await _sent(request), number)


async def remove(request: Request) -> Response:
    """Remove a channel."""
    return await run_in_threadpool(_remove, request)


async def test(request: Request) -> Response:
    """Deliver a trial message and show what became of it."""
    return await run_in_threadpool(_test, request)


async def _sent(request: Request) -> dict[str, str]:
    form = await request.form()
    names = ("name", "service", "enabled", *FIELDS)
    return {name: str(form.get(name, "")).strip() for name in names}


def _home(request: Request) -> str:
    return f"/organization/{visit_of(request).organisation_id}/channels"


def _crumbs(request: Request, last: str = "") -> list[dict[str, str]]:
    found = [{"name": t("nav.notifications"), "href": "/notifications"}]
    if not last:
        return [*found, {"name": t("alerts.channels")}]
    return [*found, {"name": t("alerts.channels"), "href": _home(request)}, {"name": last}]


def _listing(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    channels = rooms.desk.channels(visit.organisation_id)
    zone = zone_of(rooms, visit.person, visit.organisation_id)
    last = rooms.desk.last_delivery([channel.id for channel in channels])
    rows = [
        {
            "channel": channel,
            "last": last.get(channel.id),
            "at": on_clock(last[channel.id].done_ms or 0, zone) if channel.id in last else "",
        }
        for channel in channels
    ]
    context = frame(request, "channels", visit.organisation_id) | {
        "rows": rows,
        "home": _home(request),
        "saved": request.query_params.get("saved", ""),
        "no_mailer": not rooms.mailer.configured and any(one.kind == "email" for one in channels),
    }
    return page(request, "alert_channels.html", _crumbs(request), context)


def _edit(request: Request) -> Response:
    rooms = rooms_of(request)
    with rooms.registry.catalog.reading() as session:
        row = _row(session, request)
    return _form(request, _filled(request, row), row, {})


def _filled(request: Request, row: AlertChannel) -> dict[str, str]:
    return {
        "name": row.name,
        "service": _service(request, row),
        "enabled": "on" if row.enabled else "",
    }


def _service(request: Request, row: AlertChannel) -> str:
    """Return the form that a channel was made with; where its key is lost, the plainest."""
    try:
        sealer = rooms_of(request).desk.carriers.sealer
        config = sealer.open(row.organisation_id, row.sealed)
    except KilowatchError:
        return row.kind
    return str(config.get("service", row.kind))


def _save(request: Request, sent: dict[str, str], channel_id: int | None) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    assert visit.organisation_id is not None
    carriers, row = rooms.desk.carriers, None
    if channel_id is not None:
        with rooms.registry.catalog.reading() as session:
            row = _row(session, request)
        sent = sent | {"service": _service(request, row)}
    try:
        address = None
        if row is None or any(sent[name] for name in SERVICES.get(sent["service"], ())):
            address = address_of(sent["service"], sent, carriers.networks)
        owner = visit.organisation_id
        sealed = carriers.sealer.seal(owner, address.config) if address else None
        shown = address.shown if address else ""
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            if row is None:
                assert address is not None
                assert sealed is not None
                made = alerts.add_channel(
                    open_change, owner, sent["name"], address.kind, shown, sealed
                )
                number = made.id
            else:
                stored = _row(open_change.session, request)
                number = stored.id
                alerts.change_channel(
                    open_change,
                    stored,
                    name=sent["name"],
                    shown=shown,
                    sealed=sealed,
                    enabled=bool(sent["enabled"]),
                )
    except KilowatchError as error:
        # Not allowed here is about the address in the form, which the form explains.
        if error.status in (404, 500, 503):
            raise
        said = {str(error.data.get("field", "")): f"{error.detail} {error.remedy}".strip()}
        return _form(request, sent, row, said)
    rooms.desk.rules_changed()
    return RedirectResponse(f"{_home(request)}?saved={number}", status_code=303)


def _remove(request: Request) -> Response:
    rooms = rooms_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as open_change:
        alerts.remove_channel(open_change, _row(open_change.session, request))
    rooms.desk.rules_changed()
    return RedirectResponse(_home(request), status_code=303)


def _test(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    with rooms.registry.catalog.reading() as session:
        row = _row(session, request)
    outcome = rooms.desk.test_channel(channel_of(row), visit.person.name)
    context = frame(request, "channels", visit.organisation_id) | {
        "name": row.name,
        "results": [{"name": row.name, "outcome": outcome}],
        "back": _home(request),
    }
    return page(request, "alert_test.html", _crumbs(request, row.name), context)


def _form(
    request: Request, sent: dict[str, str], row: AlertChannel | None, problems: dict[str, str]
) -> Response:
    context: dict[str, Any] = frame(request, "channels", visit_of(request).organisation_id) | {
        # A token that was typed does not travel back: it would stand in the page.
        "fields": defaultdict(str, {k: v for k, v in sent.items() if k not in SECRET_FIELDS}),
        "problems": defaultdict(str, problems),
        "channel": row,
        "home": _home(request),
        "services": SERVICES,
        "inputs": {name: [s for s, names in SERVICES.items() if name in names] for name in FIELDS},
        "optional": OPTIONAL,
        "secrets": SECRET_FIELDS,
        "no_mailer": not rooms_of(request).mailer.configured,
    }
    crumbs = _crumbs(request, row.name if row else t("channel.add"))
    status = 422 if problems else 200
    return page(request, "alert_channel.html", crumbs, context, status=status)


def _row(session: Session, request: Request) -> AlertChannel:
    return row_here(session, request, AlertChannel, number_in(request, "channel_id"))


_CHANNELS = "/organization/{organisation_id:number}/channels"
_CHANNEL = _CHANNELS + "/{channel_id:number}"
_MANAGE = Access.MANAGE_ORGANISATION

DOORS: tuple[Door, ...] = (
    Door(_CHANNELS, listing, _MANAGE, tool="notifications"),
    Door(_CHANNELS, create, _MANAGE, ("POST",), tool="notifications"),
    Door(_CHANNELS + "/new", new, _MANAGE, tool="notifications"),
    Door(_CHANNEL, edit, _MANAGE, tool="notifications"),
    Door(_CHANNEL, change, _MANAGE, ("POST",), tool="notifications"),
    Door(_CHANNEL + "/remove", remove, _MANAGE, ("POST",), tool="notifications"),
    Door(_CHANNEL + "/test", test, _MANAGE, ("POST",), tool="notifications"),
)
