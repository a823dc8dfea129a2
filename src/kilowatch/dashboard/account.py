"""A person's own account: name, address, how they read numbers, password, sessions."""

from __future__ import annotations

import re
from typing import Any

import structlog
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import accounts, attempts, mailed_links, sessions
from kilowatch.catalog.rights import Reading
from kilowatch.catalog.tables import LoginSession
from kilowatch.dashboard import mails
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.asking import (
    actor_of,
    address_of,
    keep_session,
    problems_of,
    renew_session,
    said,
    text,
)
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import Rooms, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message

log = structlog.get_logger(__name__)

LOCALES = (
    "en-IE", "en-GB", "en-US", "en-AU", "en-CA", "en-IN", "en-ZA", "cs-CZ", "da-DK", "de-AT",
    "de-CH", "de-DE", "el-GR", "es-ES", "es-MX", "et-EE", "fi-FI", "fr-BE", "fr-CA", "fr-CH",
    "fr-FR", "ga-IE", "hu-HU", "it-CH", "it-IT", "ja-JP", "lt-LT", "lv-LV", "nb-NO", "nl-BE",
    "nl-NL", "pl-PL", "pt-BR", "pt-PT", "ro-RO", "sk-SK", "sl-SI", "sv-SE", "tr-TR", "uk-UA",
)  # fmt: skip
BROWSERS = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"),
    ("Safari", "Safari"), ("curl", "curl"), ("python", "Python"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
    ("Mac OS X", "Mac"), ("CrOS", "Chromebook"), ("Linux", "Linux"),
)  # fmt: skip


async def profile(request: Request) -> Response:
    """Show name, address and how numbers are read."""
    return await run_in_threadpool(_profile, request)


async def change_profile(request: Request) -> Response:
    """Change what a person is called and how they read numbers."""
    return await run_in_threadpool(_change_profile, request, await request.form())


async def ask_for_address(request: Request) -> Response:
    """Send a link to another address; the account's changes when it is confirmed."""
    return await run_in_threadpool(_ask_for_address, request, await request.form())


async def password(request: Request) -> Response:
    """Show the form for another password."""
    return await run_in_threadpool(_password, request)


async def change_password(request: Request) -> Response:
    """Change the password; every other session ends."""
    return await run_in_threadpool(_change_password, request, await request.form())


async def session_list(request: Request) -> Response:
    """Show where the person is logged in."""
    return await run_in_threadpool(_sessions, request)


async def end_session(request: Request) -> Response:
    """End one session, or all others."""
    return await run_in_threadpool(_end_session, request, await request.form())


def account_page(
    request: Request, name: str, context: dict[str, Any], *, status: int = 200
) -> Response:
    """Render a page of the account: ``account_NAME.html``."""
    crumbs = [{"name": t("nav.account"), "href": "/account"}, {"name": t(f"account.{name}")}]
    frame = {
        "page": "account",
        "here": name,
        "problems": {},
        "said": said(request, "account"),
        "owes": visit_of(request).person.owes_second_factor,
    }
    template = f"account_{name}.html"
    return page(request, template, crumbs, {**frame, **context}, status=status)


def tell_owner(rooms: Rooms, mail: Message) -> BackgroundTask:
    """Return what sends a mail after the answer; a failure is in the log."""

    def send() -> None:
        if not rooms.mailer.configured:
            return
        try:
            rooms.mailer.send(mail)
        except KilowatchError as error:
            log.warning("a mail was not sent", subject=mail.subject, reason=error.detail)

    return BackgroundTask(send)


def prove_again(request: Request, form: FormData) -> None:
    """Ask for the password once more before what could lock its owner out.

    Raises:
        KilowatchError: ``wrong_password`` or ``log_in_slowed``.
    """
    rooms, person = rooms_of(request), visit_of(request).person
    brought = str(form.get("current_password", ""))
    sessions.prove_again(rooms.registry.catalog, person.id, brought, address_of(request))


def _profile(
    request: Request,
    fields: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
) -> Response:
    person = visit_of(request).person
    reading = person.reading
    shown = {
        "name": person.name,
        "locale": reading.locale,
        "temperature_unit": reading.temperature_unit,
        "energy_unit": reading.energy_unit,
        "email": "",
    }
    context = {
        "fields": {**shown, **(fields or {})},
        "problems": problems or {},
        "locales": LOCALES,
        "mails": rooms_of(request).mailer.configured,
    }
    return account_page(request, "profile", context, status=422 if problems else 200)


def _change_profile(request: Request, form: FormData) -> Response:
    names = ("name", "locale", "temperature_unit", "energy_unit")
    fields = {name: text(form, name) for name in names}
    try:
        with rooms_of(request).registry.catalog.change(actor_of(request)) as change:
            reading = Reading(fields["locale"], fields["temperature_unit"], fields["energy_unit"])
            accounts.set_profile(change, visit_of(request).person.id, fields["name"], reading)
    except KilowatchError as error:
        return _profile(request, fields, problems_of(error))
    return RedirectResponse("/account?said=profile", status_code=303)


def _ask_for_address(request: Request, form: FormData) -> Response:
    rooms, person = rooms_of(request), visit_of(request).person
    catalog, key = rooms.registry.catalog, rooms.settings.server_key
    email = text(form, "email")
    try:
        prove_again(request, form)
        _may_mail(rooms, person.id)
        with catalog.change(actor_of(request)) as change:
            to, token = accounts.ask_for_address(change, key, person.id, email)
            session_token = renew_session(request, change)
    except KilowatchError as error:
        return _profile(request, {"email": email}, problems_of(error))
    answer = RedirectResponse("/account?said=address", status_code=303)
    if token:
        mail = mails.confirm_address(rooms.settings.public_url, to, token)
        answer.background = tell_owner(rooms, mail)
    return keep_session(request, answer, session_token)


def _may_mail(rooms: Rooms, user_id: int) -> None:
    """Refuse to send a link where there is no mail server, or too many were asked for."""
    if not rooms.mailer.configured:
        raise KilowatchError(
            "mail_not_configured",
            "No mail server is set up, so another address can't be confirmed.",
            status=409,
            remedy="Ask the operator of this server.",
        )
    catalog = rooms.registry.catalog
    with catalog.bookkeeping() as session:
        wait_ms = attempts.begin(session, (f"mail:person {user_id}",), catalog.clock())
    if wait_ms > 0:
        raise mailed_links.slowed(wait_ms)


def _password(request: Request, problems: dict[str, str] | None = None) -> Response:
    status = 422 if problems else 200
    return account_page(request, "password", {"problems": problems or {}}, status=status)


def _change_password(request: Request, form: FormData) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    try:
        prove_again(request, form)
        chosen = _same_twice(form)
        with rooms.registry.catalog.change(actor_of(request)) as change:
            accounts.change_password(change, visit.person.id, chosen, visit.session_id)
            token = renew_session(request, change)
    except KilowatchError as error:
        return _password(request, problems_of(error))
    answer = RedirectResponse("/account/password?said=password", status_code=303)
    mail = mails.password_changed(rooms.settings.public_url, visit.person.email)
    answer.background = tell_owner(rooms, mail)
    return keep_session(request, answer, token)


def _same_twice(form: FormData) -> str:
    if form.get("password") != form.get("password_again"):
        raise KilowatchError(
            "passwords_differ", "The two are not the same.", data={"field": "password_again"}
        )
    return str(form.get("password", ""))


def _sessions(request: Request) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    catalog = rooms.registry.catalog
    with catalog.reading() as session:
        rows = sessions.of_person(session, visit.person.id, catalog.clock())
    shown = [_session(row, current=row.id == visit.session_id) for row in rows]
    shown.sort(key=lambda row: not row["current"])
    return account_page(request, "sessions", {"rows": shown})


def _session(row: LoginSession, *, current: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "device": device_of(row.user_agent),
        "address": row.address,
        "created_at_ms": row.created_at_ms,
        "seen_at_ms": row.seen_at_ms,
        "current": current,
    }


def _end_session(request: Request, form: FormData) -> Response:
    rooms, visit = rooms_of(request), visit_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        if text(form, "which") == "others":
            sessions.end_others(change, visit.person.id, visit.session_id)
        else:
            number = whole_number(text(form, "session")) or 0
            sessions.end_one(change, visit.person.id, number)
    return RedirectResponse("/account/sessions?said=ended", status_code=303)


def device_of(user_agent: str) -> str:
    """Return what a person calls the device that says this about itself.

    Example:
        >>> device_of("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        'Firefox on Linux'
    """
    browser = next((name for mark, name in BROWSERS if re.search(mark, user_agent)), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    if browser and system:
        return t("account.device", browser=browser, system=system)
    return browser or system or t("account.device_unknown")


DOORS: tuple[Door, ...] = (
    Door("/account", profile, Access.SIGNED_IN, while_owing=True),
    Door("/account", change_profile, Access.SIGNED_IN, ("POST",), while_owing=True),
    Door("/account/address", ask_for_address, Access.SIGNED_IN, ("POST",)),
    Door("/account/password", password, Access.SIGNED_IN, while_owing=True),
    Door("/account/password", change_password, Access.SIGNED_IN, ("POST",), while_owing=True),
    Door("/account/sessions", session_list, Access.SIGNED_IN, while_owing=True),
    Door("/account/sessions", end_session, Access.SIGNED_IN, ("POST",), while_owing=True),
)
