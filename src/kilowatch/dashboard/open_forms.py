"""Forms for who is not logged in; each is bound to the browser that asked for it."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import secrets
from kilowatch.dashboard.rooms import rooms_of
from kilowatch.dashboard.security import check_csrf, cookie_name, csrf_token, set_cookie
from kilowatch.dashboard.words import locale, t
from kilowatch.model.errors import KilowatchError

FORM_COOKIE = "kilowatch-form"
"""Binds a form to the browser that asked for it: there is no session yet to bind to."""


def show(
    request: Request, template: str, context: dict[str, Any], *, status: int = 200
) -> Response:
    """Show a form that comes back with its browser's token."""
    rooms = rooms_of(request)
    bound_to = request.cookies.get(cookie_name(request, rooms.settings, FORM_COOKIE), "")
    bound_to = bound_to or secrets.new_secret()
    frame = {
        "locale": locale(request.headers.get("accept-language", "")),
        "static": rooms.static,
        "csrf": csrf_token(rooms.settings.server_key, bound_to),
        "problem": "",
        "notice": "",
    }
    answer = rooms.templates.TemplateResponse(
        request, template, {**frame, **context}, status_code=status
    )
    set_cookie(request, answer, rooms.settings, FORM_COOKIE, bound_to)
    return answer


def refusal_of(request: Request, form: FormData) -> str:
    """Return why a form can't be taken, or an empty string."""
    settings = rooms_of(request).settings
    bound_to = request.cookies.get(cookie_name(request, settings, FORM_COOKIE), "")
    try:
        check_csrf(request, settings.server_key, bound_to, str(form.get("csrf", "")))
    except KilowatchError:
        return t("login.expired")
    return ""


def sentence(error: KilowatchError) -> str:
    """Return what a refusal says, with what to do about it."""
    return f"{error.detail} {error.remedy}".strip()


def with_retry(answer: Response, error: KilowatchError) -> Response:
    """Say in the header, too, when another attempt can be made."""
    if "retry_after_s" in error.data:
        answer.headers["retry-after"] = str(error.data["retry_after_s"])
    return answer
