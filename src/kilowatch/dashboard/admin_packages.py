"""Startup packages: what a partner makes for a customer, and the page where a customer opens one.

The link's token stands behind ``#``, where no server and no proxy ever logs it; the customer's
browser sends it in a form. Nothing happens at a mere look, so that a mail scanner that follows
links opens no package.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import examples, handing_over, people, spans, startup
from kilowatch.catalog.changes import Actor
from kilowatch.catalog.examples import Pusher
from kilowatch.catalog.handing_over import LINK_DAYS, Handed
from kilowatch.catalog.places import countries, zones
from kilowatch.catalog.startup import Prepared, StartupPackage, Wishes
from kilowatch.catalog.tables import User
from kilowatch.catalog.tables_estate import PackageLink
from kilowatch.dashboard import open_forms
from kilowatch.dashboard.access import Access, Door, row_here
from kilowatch.dashboard.admin_frame import (
    organisations_for,
    problems_of,
    section_page,
    texts_of,
    when_text,
)
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.words import locale, t, words_json
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message

log = structlog.get_logger(__name__)

SECTION = "packages"
OPENING = "/startup"
HANDOVERS = ("mail", "link", "show")
READINGS = ("cum", "avg")
SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Fields:
    """The form as it is filled in."""

    name: str = ""
    email: str = ""
    zone: str = startup.Wishes().zone
    country: str = ""
    interval: str = "5m"
    reading: str = "cum"
    handover: str = "mail"


async def listing(request: Request) -> Response:
    """Show the form, and the packages that were handed over."""
    return await run_in_threadpool(_page, request, None, {})


async def create(request: Request) -> Response:
    """Make a package, and hand it over."""
    fields = Fields(**texts_of(await request.form(), Fields.__slots__))
    return await run_in_threadpool(_create, request, fields)


async def renew(request: Request) -> Response:
    """Send a new link in place of one that was not opened."""
    fields = texts_of(await request.form(), ("handover",))
    return await run_in_threadpool(_renew, request, fields["handover"])


async def opening_page(request: Request) -> Response:
    """Show a customer what a link is about to do."""
    return _opening(request)


async def open_package(request: Request) -> Response:
    """Open a package for its customer, once."""
    form = await request.form()
    if open_forms.refusal_of(request, form):
        return _opening(request, problem=t("startup.expired_form"), status=403)
    return await run_in_threadpool(_open, request, str(form.get("token", "")))


def _page(request: Request, fields: Fields | None, problems: dict[str, str]) -> Response:
    rooms = rooms_of(request)
    ours = [o.id for o in organisations_for(request, "administer")]
    with rooms.registry.catalog.reading() as session:
        rows = handing_over.links(session, ours)[:SHOWN_MAX]
    now_ms, mails = rooms.clock(), rooms.mailer.configured
    context: dict[str, Any] = {
        "fields": asdict(fields or Fields(handover="mail" if mails else "link")),
        "countries": sorted(countries().items(), key=lambda item: item[1]),
        "zones": sorted(zones()),
        "readings": READINGS,
        "handovers": HANDOVERS,
        "mails": mails,
        "days": LINK_DAYS,
        "rows": [
            {
                "link": link, "organisation": name, "email": email,
                "state": _state(link, now_ms),
                "at_ms": link.opened_at_ms or link.sent_at_ms or link.created_at_ms,
            }
            for link, name, email in rows
        ],
    }  # fmt: skip
    if problems:
        context["problems"] = problems
    return section_page(
        request, SECTION, "admin_packages.html", [], context, status=422 if problems else 200
    )


def _create(request: Request, fields: Fields) -> Response:
    rooms = rooms_of(request)
    made: Handed | StartupPackage
    try:
        _check_handover(fields.handover, mails=rooms.mailer.configured)
        wishes = Wishes(
            zone=fields.zone,
            country=fields.country or None,
            interval_s=spans.parse_interval(fields.interval),
            reading=fields.reading,
            environment=rooms.settings.environment,
        )
        key = rooms.settings.server_key
        with rooms.registry.catalog.change(actor_of(request)) as change:
            if fields.handover == "show":
                made = startup.make(change, key, fields.name, fields.email, wishes)
                package: Prepared = made
            else:
                made = handing_over.hand_over(change, key, fields.name, fields.email, wishes)
                package = made.package
            partner = change.session.get(User, visit_of(request).person.id)
            assert partner is not None
            people.set_role(change, partner, package.organisation, "partner administrator")
    except KilowatchError as error:
        if error.code == "organisation_exists":
            error.remedy = t("packages.exists_next")
        return _page(request, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    if isinstance(made, Handed):
        return _handed(request, made, mail=fields.handover == "mail")
    crumbs = [{"name": made.organisation.name}]
    context = _shown(request, made)
    return section_page(request, SECTION, "admin_package_shown.html", crumbs, context)


def _check_handover(handover: str, *, mails: bool) -> None:
    if handover not in HANDOVERS:
        raise KilowatchError("choose", t("packages.choose_handover"), data={"field": "handover"})
    if handover == "mail" and not mails:
        raise KilowatchError("choose", t("packages.no_mail"), data={"field": "handover"})


def _renew(request: Request, handover: str) -> Response:
    rooms = rooms_of(request)
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            link = _link(change.session, request)
            handed = handing_over.renew(change, rooms.settings.server_key, link)
    except KilowatchError as error:
        return _page(request, None, problems_of(error))
    return _handed(request, handed, mail=handover == "mail" and rooms.mailer.configured)


def _handed(request: Request, handed: Handed, *, mail: bool) -> Response:
    """Send the link, or show it where that is wanted or the mail does not go."""
    rooms = rooms_of(request)
    address = f"{str(request.base_url).rstrip('/')}{OPENING}#{handed.token}"
    failure = ""
    if mail:
        try:
            rooms.mailer.send(_message(request, handed.package, address))
        except KilowatchError as error:
            log.warning("startup package not mailed", code=error.code)
            failure = f"{error.detail} {error.remedy}".strip()
        else:
            with rooms.registry.catalog.change(actor_of(request)) as change:
                handing_over.mark_sent(change, handed.link.id)
    context = {
        "organisation": handed.package.organisation,
        "user": handed.package.user,
        "streams": handed.package.streams,
        "sent": mail and not failure,
        "failure": failure,
        "address": "" if mail and not failure else address,
        "expires": when_text(handed.link.expires_at_ms),
        "push_url": rooms.settings.push_address,
    }
    crumbs = [{"name": handed.package.organisation.name}]
    return section_page(request, SECTION, "admin_package_handed.html", crumbs, context)


def _message(request: Request, package: Prepared, address: str) -> Message:
    """Write the mail: addresses, stream ids and examples, and the link; no secret."""
    rooms = rooms_of(request)
    pusher = Pusher(
        rooms.settings.push_address, "USERNAME", "PASSWORD", _trust(rooms.settings.environment)
    )
    streams = "\n".join(f"  {name}: {row.stream_id}" for name, row in package.streams.items())
    lines = "\n\n".join(examples.push(pusher, row) for row in package.streams.values())
    text = t(
        "packages.mail_text",
        organisation=package.organisation.name,
        partner=visit_of(request).person.name,
        link=address,
        days=LINK_DAYS,
        push_url=rooms.settings.push_address,
        streams=streams,
        dashboard=str(request.base_url),
        email=package.user.email,
        examples=lines,
    )
    subject = t("packages.mail_subject", organisation=package.organisation.name)
    return Message(package.user.email, subject, text)


def _shown(request: Request, package: StartupPackage) -> dict[str, Any]:
    """Return what the page of an open package shows, once."""
    settings = rooms_of(request).settings
    credential = package.issued.credential
    pusher = Pusher(
        settings.push_address,
        credential.username,
        package.issued.secret,
        _trust(settings.environment),
    )
    return {
        "organisation": package.organisation,
        "user": package.user,
        "username": credential.username,
        "secret": package.issued.secret,
        "password": package.password,
        "streams": package.streams,
        "push_url": settings.push_address,
        "dashboard_url": str(request.base_url),
        "examples": {n: examples.push(pusher, row) for n, row in package.streams.items()},
    }


def _opening(request: Request, *, problem: str = "", status: int = 200) -> Response:
    return open_forms.show(request, "startup_open.html", {"problem": problem}, status=status)


def _open(request: Request, token: str) -> Response:
    rooms = rooms_of(request)
    address = request.client.host if request.client else ""
    actor = Actor(t("startup.actor"), None, address)
    key = rooms.settings.server_key
    try:
        with rooms.registry.catalog.reading() as session:
            if not handing_over.waits(session, key, token, rooms.registry.catalog.clock()):
                raise handing_over.used_up()
        with rooms.registry.catalog.change(actor) as change:
            package, _ = handing_over.open_package(change, key, token)
    except KilowatchError as error:
        return _opening(request, problem=f"{error.detail} {error.remedy}", status=error.status)
    rooms.registry.directory(fresh=True)
    context = {
        "locale": locale(request.headers.get("accept-language", "")),
        "static": rooms.static,
        "words_json": words_json(),
        **_shown(request, package),
    }
    return rooms.templates.TemplateResponse(request, "startup_opened.html", context)


def _state(link: PackageLink, now_ms: int) -> str:
    if link.opened_at_ms is not None:
        return "opened"
    return "expired" if link.expires_at_ms <= now_ms else "waiting"


def _link(session: Session, request: Request) -> PackageLink:
    return row_here(session, request, PackageLink, request.path_params["link_id"])


def _trust(environment: str) -> str:
    """Return what curl is told: a first start's certificate is its own."""
    return "-sS" if environment == "production" else "-sSk"


DOORS: tuple[Door, ...] = (
    Door("/admin/startup-packages", listing, Access.PARTNER),
    Door("/admin/startup-packages", create, Access.PARTNER, ("POST",)),
    Door(
        "/admin/organizations/{organisation_id:number}/startup-packages/{link_id:number}/renew",
        renew,
        Access.ADMINISTER_ORGANISATION,
        ("POST",),
    ),
    Door(OPENING, opening_page, Access.ANYONE),
    Door(OPENING, open_package, Access.ANYONE, ("POST",)),
)
