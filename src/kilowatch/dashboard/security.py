"""What protects every page: headers, the content security policy, CSRF tokens, cookies."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from re import Pattern

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilowatch.catalog import secrets
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.model.errors import KilowatchError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TOKEN = b"token="
"""In a query: the address is a secret, and no other request may tell where it came from."""
BODY_BYTES_MAX = 65_536  # the largest form has a dozen short fields
STRICT_TRANSPORT = "max-age=31536000"  # a year; in production only: localhost is shared by ports


def protect(headers: MutableHeaders, scope: Scope, *, production: bool) -> None:
    """Give an answer the headers that every answer has, unless it has its own.

    Args:
        headers: Of the answer.
        scope: Of the request.
        production: Whether browsers may be told to come by https only.
    """
    if TOKEN in scope["query_string"]:
        headers["referrer-policy"] = "no-referrer"
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("cache-control", "no-store")
    if production and scope.get("scheme") == "https":
        headers.setdefault("strict-transport-security", STRICT_TRANSPORT)


class SecurityHeaders:
    """Adds the headers to every answer, and ``no-store`` to what is not a static file."""

    def __init__(self, app: ASGIApp, *, production: bool) -> None:
        self._app = app
        self._production = production

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                protect(MutableHeaders(scope=message), scope, production=self._production)
            await send(message)

        await self._app(scope, receive, with_headers)


class BodyLimit:
    """Refuses bodies that no form of ours has, before they fill the memory; 413.

    Args:
        app: What comes behind it.
        bytes_max: For every path but those of ``larger``.
        larger: Paths that take a file, each with its own limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        bytes_max: int = BODY_BYTES_MAX,
        larger: Sequence[tuple[Pattern[str], int]] = (),
    ) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what it brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        brought = 0
        path = str(scope["path"])
        limits = [limit for shape, limit in self._larger if shape.fullmatch(path)]
        bytes_max = max(limits, default=self._bytes_max)

        async def counted() -> Message:
            nonlocal brought
            message = await receive()
            brought += len(message.get("body", b""))
            if brought > bytes_max:
                raise _too_large(bytes_max)
            return message

        await self._app(scope, counted, send)


def _too_large(bytes_max: int) -> KilowatchError:
    size = f"{bytes_max >> 20} MB" if bytes_max >> 20 else f"{bytes_max >> 10} kB"
    return KilowatchError(
        "body_too_large",
        f"This is larger than {size}, the most that is taken here.",
        status=413,
        remedy="Go back and bring less, a file in parts.",
        data={"bytes_max": bytes_max},
    )


def is_secure(request: Request, settings: DashboardSettings) -> bool:
    """Tell whether cookies of this request's answer are for https only."""
    return settings.secure_cookies or request.url.scheme == "https"


def cookie_name(request: Request, settings: DashboardSettings, name: str) -> str:
    """Return a cookie's name; over https one that other hosts cannot set (``__Host-``)."""
    return f"__Host-{name}" if is_secure(request, settings) else name


def set_cookie(
    request: Request,
    response: Response,
    settings: DashboardSettings,
    name: str,
    value: str,
    *,
    seconds: int | None = None,
) -> None:
    """Give the browser a cookie that no script reads; its age is a session's if none is given."""
    response.set_cookie(
        cookie_name(request, settings, name),
        value,
        httponly=True,
        samesite="lax",
        secure=is_secure(request, settings),
        path="/",
        max_age=settings.session_hours * 3600 if seconds is None else seconds,
    )


def drop_cookie(
    request: Request, response: Response, settings: DashboardSettings, name: str
) -> None:
    """Take a cookie back."""
    response.delete_cookie(
        cookie_name(request, settings, name),
        httponly=True,
        samesite="lax",
        secure=is_secure(request, settings),
        path="/",
    )


def csrf_token(key: bytes, bound_to: str) -> str:
    """Return the token that a form has to bring back, bound to a session (or its forerunner).

    It is written otherwise each time, masked with chance: a packed page whose length somebody
    can watch, and whose address they can choose, tells nothing about the token (BREACH).
    """
    token = secrets.digest(key, bound_to, "csrf")
    mask = os.urandom(len(token))
    return mask.hex() + _masked(token, mask).hex()


def _masked(token: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(token, mask, strict=True))


def _unmasked(brought: str) -> bytes:
    """Return the token that a form has brought; empty where it is none."""
    try:
        both = bytes.fromhex(brought)
    except ValueError:
        return b""
    half = len(both) // 2
    return _masked(both[half:], both[:half]) if len(both) % 2 == 0 else b""


def check_csrf(request: Request, key: bytes, bound_to: str, brought: str) -> None:
    """Refuse a form that this site did not hand out.

    Raises:
        KilowatchError: 403 ``form_expired``.
    """
    expected = secrets.digest(key, bound_to, "csrf")
    foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    same = hmac.compare_digest(expected, _unmasked(brought))
    if foreign or not bound_to or not same:
        raise KilowatchError(
            "form_expired",
            "This form is no longer valid.",
            status=403,
            remedy="Go back, reload the page and send it again.",
        )
