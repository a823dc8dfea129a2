"""When something goes wrong: a small page for people, problem details for programs."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from kilowatch.dashboard.rooms import rooms_of
from kilowatch.dashboard.security import protect
from kilowatch.dashboard.words import locale, t
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger(__name__)


def wants_page(request: Request) -> bool:
    """Tell whether a person's browser is asking for a page, rather than a script for data."""
    return (
        "text/html" in request.headers.get("accept", "")
        and request.headers.get("hx-request") != "true"
    )


async def refused(request: Request, error: Exception) -> Response:
    """Answer a ``KilowatchError``."""
    assert isinstance(error, KilowatchError)
    headers = {}
    if "retry_after_s" in error.data:
        headers["retry-after"] = str(error.data["retry_after_s"])
    if error.status == 401 and wants_page(request):
        return RedirectResponse("/login", status_code=303)
    return answer(request, error.status, error.code, error.detail, error.remedy, headers)


async def unknown(request: Request, error: Exception) -> Response:
    """Answer what Starlette refuses: no such path, method not allowed."""
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "not_allowed"
    headers = dict(error.headers or {})
    return answer(request, error.status_code, code, error.detail, "", headers)


async def broken(request: Request, error: Exception) -> Response:
    """Answer a fault of ours; what happened is in the log, not on the page.

    This answer is made outside of every middleware, so it gets the headers here.
    """
    log.error("page failed", path=request.url.path, exc_info=error)
    told = answer(request, 500, "internal_error", t("error.500.detail"), t("error.500.next"))
    production = rooms_of(request).settings.environment == "production"
    protect(told.headers, request.scope, production=production)
    return told


def answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    remedy: str,
    headers: dict[str, str] | None = None,
) -> Response:
    """Say what happened and what to do, as a page or as RFC 9457 problem details."""
    if not wants_page(request):
        body = {
            "type": "about:blank",
            "title": _title(status),
            "status": status,
            "code": code,
            "detail": detail,
            "remedy": remedy,
        }
        return JSONResponse(body, status, headers, media_type="application/problem+json")
    rooms = rooms_of(request)
    again = status >= 500
    context = {
        "locale": locale(request.headers.get("accept-language", "")),
        "static": rooms.static,
        "title": _title(status),
        "detail": " ".join(part for part in (_sentence(status, detail), remedy) if part),
        "href": str(request.url.path) if again else "/",
        "action": t("error.retry") if again else t("error.home"),
    }
    return rooms.templates.TemplateResponse(
        request, "error.html", context, status_code=status, headers=headers
    )


def _title(status: int) -> str:
    known = {400, 403, 404, 405, 413, 429, 500, 503}
    return t(f"error.{status}.title") if status in known else t("error.other.title")


def _sentence(status: int, detail: str) -> str:
    return t("error.404.detail") if status == 404 else detail
