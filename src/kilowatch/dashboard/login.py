"""Logging in and out."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import devices, people, sessions
from kilowatch.catalog.sessions import Begun
from kilowatch.dashboard import open_forms
from kilowatch.dashboard.access import SESSION_COOKIE
from kilowatch.dashboard.asking import address_of
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.security import cookie_name, drop_cookie, set_cookie
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

DEVICE_COOKIE = "kilowatch-device"
PENDING_COOKIE = "kilowatch-pending"


async def log_in_page(request: Request) -> Response:
    """Show the form; somebody who is logged in goes where they wanted."""
    rooms = rooms_of(request)
    token = request.cookies.get(cookie_name(request, rooms.settings, SESSION_COOKIE), "")
    wanted = safe_next(request.query_params.get("next", ""))
    if token:
        key = rooms.settings.server_key
        found = await run_in_threadpool(sessions.look_up, rooms.registry.catalog, key, token)
        if found is not None:
            return RedirectResponse(wanted, status_code=303)
    notices = [key for key in ("left", "changed", "joined") if key in request.query_params]
    notice = t(f"login.{notices[0]}") if notices else ""
    if not notice and (token or wanted != "/"):
        notice = t("login.needed")
    return _form(request, wanted, notice=notice)


async def log_in(request: Request) -> Response:
    """Check e-mail address and password; a new session replaces the browser's old one."""
    rooms = rooms_of(request)
    settings = rooms.settings
    form = await request.form()
    wanted = safe_next(str(form.get("next", "")))
    email = str(form.get("email", "")).strip()
    if refusal := open_forms.refusal_of(request, form):
        return _form(request, wanted, email=email, problem=refusal, status=403)
    try:
        begun = await run_in_threadpool(
            sessions.authenticate,
            rooms.registry.catalog,
            settings.server_key,
            email=email,
            password=str(form.get("password", "")),
            address=address_of(request),
            user_agent=request.headers.get("user-agent", ""),
            device=request.cookies.get(cookie_name(request, settings, DEVICE_COOKIE), ""),
        )
    except KilowatchError as error:
        sentence = open_forms.sentence(error)
        answer = _form(request, wanted, email=email, problem=sentence, status=error.status)
        return open_forms.with_retry(answer, error)
    if begun.owes_second_factor:
        query = f"?{urlencode({'next': wanted})}" if wanted != "/" else ""
        answer = RedirectResponse(f"/login/code{query}", status_code=303)
        set_cookie(
            request, answer, settings, PENDING_COOKIE, begun.token,
            seconds=sessions.PENDING_MS // 1000,
        )  # fmt: skip
        return answer
    return await _enter(request, begun, wanted)


async def code_page(request: Request) -> Response:
    """Ask for the second factor."""
    return _code_form(request, safe_next(request.query_params.get("next", "")))


async def bring_code(request: Request) -> Response:
    """Check the second factor; only with it there is a session."""
    rooms = rooms_of(request)
    settings = rooms.settings
    form = await request.form()
    wanted = safe_next(str(form.get("next", "")))
    if refusal := open_forms.refusal_of(request, form):
        return _code_form(request, wanted, problem=refusal, status=403)
    try:
        begun = await run_in_threadpool(
            sessions.bring_second_factor,
            rooms.registry.catalog,
            settings.server_key,
            token=request.cookies.get(cookie_name(request, settings, PENDING_COOKIE), ""),
            code=str(form.get("code", "")),
            address=address_of(request),
        )
    except KilowatchError as error:
        sentence = open_forms.sentence(error)
        if error.code == "log_in_over":
            return _form(request, wanted, problem=sentence, status=error.status)
        answer = _code_form(request, wanted, problem=sentence, status=error.status)
        return open_forms.with_retry(answer, error)
    answer = await _enter(request, begun, wanted)
    drop_cookie(request, answer, settings, PENDING_COOKIE)
    return answer


async def _enter(request: Request, begun: Begun, wanted: str) -> Response:
    """Give the browser its session, and end the one that it had."""
    rooms = rooms_of(request)
    settings = rooms.settings
    old = request.cookies.get(cookie_name(request, settings, SESSION_COOKIE), "")
    if old:
        catalog = rooms.registry.catalog
        await run_in_threadpool(sessions.end, catalog, settings.server_key, old)
    answer = RedirectResponse(wanted, status_code=303)
    set_cookie(request, answer, settings, SESSION_COOKIE, begun.token)
    set_cookie(
        request, answer, settings, DEVICE_COOKIE, begun.device, seconds=devices.VALID_MS // 1000
    )
    drop_cookie(request, answer, settings, open_forms.FORM_COOKIE)
    return answer


async def log_out(request: Request) -> Response:
    """End the session, here and in the catalogue."""
    rooms = rooms_of(request)
    key, token = rooms.settings.server_key, visit_of(request).token
    await run_in_threadpool(sessions.end, rooms.registry.catalog, key, token)
    answer = RedirectResponse("/login?left", status_code=303)
    drop_cookie(request, answer, rooms.settings, SESSION_COOKIE)
    return answer


def safe_next(wanted: str) -> str:
    """Return where to go after the log-in: a page of ours, or the first one.

    A second slash of either kind leaves this site in a browser, so it is not taken.
    """
    inside = wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/login"))
    return wanted if inside and wanted.isprintable() else "/"


def _form(
    request: Request,
    wanted: str,
    *,
    email: str = "",
    problem: str = "",
    notice: str = "",
    status: int = 200,
) -> Response:
    context = {
        "next": wanted,
        "email": email,
        "problem": problem,
        "notice": "" if problem else notice,
        "mails": rooms_of(request).mailer.configured,
        "empty": people.nobody(rooms_of(request).registry.catalog),
    }
    return open_forms.show(request, "login.html", context, status=status)


def _code_form(request: Request, wanted: str, *, problem: str = "", status: int = 200) -> Response:
    context = {"next": wanted, "problem": problem}
    return open_forms.show(request, "login_code.html", context, status=status)
