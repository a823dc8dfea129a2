"""Links from mails: a forgotten password, another e-mail address, an invitation.

The token stands behind the ``#`` of the address, which a browser sends to nobody: it is in no log
of ours or of a proxy and in no ``Referer``. A script puts it into the form; it can be typed, too.
Fetching such an address changes nothing, so that a mail scanner that follows links uses none up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import devices, invitations, mailed_links, people, sessions
from kilowatch.catalog.tables import Organisation
from kilowatch.dashboard import mails, open_forms
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.asking import address_of, text
from kilowatch.dashboard.login import DEVICE_COOKIE
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.dashboard.security import set_cookie
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message

log = structlog.get_logger(__name__)


async def forgotten_page(request: Request) -> Response:
    """Ask for the address whose password is forgotten."""
    return _forgotten(request)


async def forgotten(request: Request) -> Response:
    """Send a link, if there is such an account; the answer is the same if there is none."""
    rooms = rooms_of(request)
    form = await request.form()
    email = text(form, "email")
    if refusal := open_forms.refusal_of(request, form):
        return _forgotten(request, email=email, problem=refusal, status=403)
    try:
        people.check_email(email)
        to, token = await run_in_threadpool(
            mailed_links.ask_for_password,
            rooms.registry.catalog,
            rooms.settings.server_key,
            email,
            address_of(request),
        )
    except KilowatchError as error:
        sentence = open_forms.sentence(error)
        answer = _forgotten(request, email=email, problem=sentence, status=error.status)
        return open_forms.with_retry(answer, error)
    answer = _forgotten(request, sent=True)
    if to:  # after the answer: how long a mail server takes would tell who has an account
        mail = mails.forgotten(rooms.settings.public_url, to, token)
        answer.background = BackgroundTask(_send_quietly, rooms, mail)
    return answer


async def new_password_page(request: Request) -> Response:
    """Ask for another password; the link's token is put in by a script."""
    return _new_password(request)


async def new_password(request: Request) -> Response:
    """Set another password, if the link is good."""
    rooms = rooms_of(request)
    form, token, refused = await _sent(request, _new_password)
    if refused is not None:
        return refused
    catalog, key = rooms.registry.catalog, rooms.settings.server_key
    try:
        user = await run_in_threadpool(
            mailed_links.set_password,
            catalog,
            key,
            token,
            str(form.get("password", "")),
            address_of(request),
        )
    except KilowatchError as error:
        return _new_password(
            request, token, problem=open_forms.sentence(error), status=error.status
        )
    answer = RedirectResponse("/login?changed", status_code=303)
    # The mailbox proved the owner: guessers who slow the account down are not in their way.
    device = devices.new(key, user.id, catalog.clock())
    seconds = devices.VALID_MS // 1000
    set_cookie(request, answer, rooms.settings, DEVICE_COOKIE, device, seconds=seconds)
    mail = mails.password_changed(rooms.settings.public_url, user.email)
    answer.background = BackgroundTask(_send_quietly, rooms, mail)
    return answer


async def address_page(request: Request) -> Response:
    """Ask whether the account's address shall be changed; the token is put in by a script."""
    return _address(request)


async def address(request: Request) -> Response:
    """Change an account's address, if the link is good."""
    rooms = rooms_of(request)
    _, token, refused = await _sent(request, _address)
    if refused is not None:
        return refused
    key = rooms.settings.server_key
    try:
        before, after = await run_in_threadpool(
            mailed_links.confirm_address, rooms.registry.catalog, key, token, address_of(request)
        )
    except KilowatchError as error:
        return _address(request, token, problem=open_forms.sentence(error), status=error.status)
    answer = _address(request, notice=t("address.changed", email=after))
    mail = mails.address_changed(rooms.settings.public_url, before, after)
    answer.background = BackgroundTask(_send_quietly, rooms, mail)
    return answer


async def invitation_page(request: Request) -> Response:
    """Ask for an invitation's code; a script puts it in and sends it on."""
    return _invitation(request)


async def invitation(request: Request) -> Response:
    """Show what an invitation is to, and how to take it."""
    _, token, refused = await _sent(request, _invitation)
    if refused is not None:
        return refused
    return await run_in_threadpool(_look_at, request, token)


async def join(request: Request) -> Response:
    """Take an invitation: with a new password, or with that of the account that is there."""
    rooms = rooms_of(request)
    form, token, refused = await _sent(request, _invitation)
    if refused is not None:
        return refused
    name = text(form, "name")
    password = str(form.get("password", ""))
    try:
        await run_in_threadpool(_join, rooms, token, name, password, address_of(request))
    except KilowatchError as error:
        if error.status == 410:
            return _invitation(request, problem=open_forms.sentence(error), status=error.status)
        answer = await run_in_threadpool(
            _look_at, request, token, name, open_forms.sentence(error), error.status
        )
        return open_forms.with_retry(answer, error)
    return RedirectResponse("/login?joined", status_code=303)


async def _sent(
    request: Request, show: Callable[..., Response]
) -> tuple[FormData, str, Response | None]:
    """Return a form with the token of its link, and the answer to one that no page of ours sent."""
    form = await request.form()
    token = text(form, "token")
    refusal = open_forms.refusal_of(request, form)
    return form, token, show(request, token, problem=refusal, status=403) if refusal else None


def _join(rooms: Rooms, token: str, name: str, password: str, where: str) -> None:
    catalog, key = rooms.registry.catalog, rooms.settings.server_key
    with catalog.reading() as session:
        email = invitations.look_up(session, key, token, catalog.clock()).email
        exists = people.find_by_email(session, email) is not None
    if exists:
        with sessions.proving(catalog, key, email, password, where):
            pass
    invitations.accept(
        catalog, key, token, name=name, password=None if exists else password, address=where
    )
    rooms.registry.directory(fresh=True)


def _look_at(
    request: Request, token: str, name: str = "", problem: str = "", status: int = 200
) -> Response:
    rooms = rooms_of(request)
    catalog, key = rooms.registry.catalog, rooms.settings.server_key
    try:
        with catalog.reading() as session:
            row = invitations.look_up(session, key, token, catalog.clock())
            organisation = session.get(Organisation, row.organisation_id)
            assert organisation is not None
            found = {
                "organisation": organisation.name,
                "email": row.email,
                "role": row.role,
                "name": name or row.name,
                "exists": people.find_by_email(session, row.email) is not None,
            }
    except KilowatchError as error:
        return _invitation(request, problem=open_forms.sentence(error), status=error.status)
    return _invitation(request, token, found=found, problem=problem, status=status)


def _forgotten(
    request: Request, *, email: str = "", sent: bool = False, problem: str = "", status: int = 200
) -> Response:
    context = {
        "email": email,
        "problem": problem,
        "notice": t("forgotten.sent") if sent else "",
        "mails": rooms_of(request).mailer.configured,
    }
    return open_forms.show(request, "forgotten.html", context, status=status)


def _new_password(
    request: Request, token: str = "", *, problem: str = "", status: int = 200
) -> Response:
    context = {"token": token, "problem": problem}
    return open_forms.show(request, "new_password.html", context, status=status)


def _address(
    request: Request, token: str = "", *, problem: str = "", notice: str = "", status: int = 200
) -> Response:
    context = {"token": token, "problem": problem, "notice": notice}
    return open_forms.show(request, "confirm_address.html", context, status=status)


def _invitation(
    request: Request,
    token: str = "",
    *,
    found: dict[str, Any] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    context = {"token": token, "found": found, "problem": problem}
    return open_forms.show(request, "invitation.html", context, status=status)


def _send_quietly(rooms: Rooms, mail: Message) -> None:
    """Send a mail whose fate the asker must not learn; a failure is in the log."""
    try:
        rooms.mailer.send(mail)
    except KilowatchError as error:
        log.warning("a mail was not sent", subject=mail.subject, reason=error.detail)


DOORS: tuple[Door, ...] = (
    Door("/forgotten", forgotten_page, Access.ANYONE),
    Door("/forgotten", forgotten, Access.ANYONE, ("POST",)),
    Door("/new-password", new_password_page, Access.ANYONE),
    Door("/new-password", new_password, Access.ANYONE, ("POST",)),
    Door("/confirm-address", address_page, Access.ANYONE),
    Door("/confirm-address", address, Access.ANYONE, ("POST",)),
    Door("/invitation", invitation_page, Access.ANYONE),
    Door("/invitation", invitation, Access.ANYONE, ("POST",)),
    Door("/invitation/join", join, Access.ANYONE, ("POST",)),
)
