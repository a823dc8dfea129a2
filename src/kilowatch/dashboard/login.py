"""Logging in and out."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import secrets, sessions
from kilowatch.dashboard.access import SESSION_COOKIE
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.security import (
    check_csrf,
    cookie_name,
    csrf_token,
    drop_cookie,
    set_cookie,
)
from kilowatch.dashboard.words import locale, t
from kilowatch.model.errors import KilowatchError

FORM_COOKIE = "kilowatch-form"
"""Binds the log-in form to the browser that asked for it: there is no session yet to bind to."""


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
    notice = t("login.left") if "left" in request.query_params else ""
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
    bound_to = request.cookies.get(cookie_name(request, settings, FORM_COOKIE), "")
    try:
        check_csrf(request, settings.server_key, bound_to, str(form.get("csrf", "")))
    except KilowatchError:
        return _form(request, wanted, email=email, problem=t("login.expired"), status=403)
    catalog = rooms.registry.catalog
    try:
        token = await run_in_threadpool(
            sessions.authenticate,
            catalog,
            settings.server_key,
            email=email,
            password=str(form.get("password", "")),
            address=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
        )
    except KilowatchError as error:
        answer = _form(
            request, wanted, email=email, problem=f"{error.detail} {error.remedy}".strip(),
            status=error.status,
        )  # fmt: skip
        if "retry_after_s" in error.data:
            answer.headers["retry-after"] = str(error.data["retry_after_s"])
        return answer
    old = request.cookies.get(cookie_name(request, settings, SESSION_COOKIE), "")
    if old:
        await run_in_threadpool(sessions.end, catalog, settings.server_key, old)
    answer = RedirectResponse(wanted, status_code=303)
    set_cookie(request, answer, settings, SESSION_COOKIE, token)
    drop_cookie(request, answer, settings, FORM_COOKIE)
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
    rooms = rooms_of(request)
    bound_to = request.cookies.get(cookie_name(request, rooms.settings, FORM_COOKIE), "")
    bound_to = bound_to or secrets.new_secret()
    context = {
        "locale": locale(request.headers.get("accept-language", "")),
        "static": rooms.static,
        "csrf": csrf_token(rooms.settings.server_key, bound_to),
        "next": wanted,
        "email": email,
        "problem": problem,
        "notice": "" if problem else notice,
    }
    answer = rooms.templates.TemplateResponse(request, "login.html", context, status_code=status)
    set_cookie(request, answer, rooms.settings, FORM_COOKIE, bound_to)
    return answer
