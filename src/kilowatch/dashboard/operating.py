"""``/health``, ``/health/ready`` and ``/metrics``: for load balancers and monitoring systems.

A stranger learns whether it works. Whoever asks from this machine, or brings the token, learns why
not. "From this machine" is the connection's own address, without a proxy between: a request that
somebody forwards is a stranger's, and so is one that names another host (a web page that was made
to ask for us).
"""

from __future__ import annotations

import hmac
import ipaddress
import time

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.rooms import rooms_of
from kilowatch.health import Check
from kilowatch.health.metrics import CONTENT_TYPE
from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
OTHER_PAGE = "other"
PAGE_BOUNDS_S = (0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)  # 0.2 s is what is promised


async def alive(_request: Request) -> Response:
    """Say that the process answers; nothing else is looked at."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Say whether the platform does its work: 200, or 503 while a check fails."""
    report = await rooms_of(request).health.report()
    body: dict[str, object] = {"status": report.state}
    if may_know(request):
        body["checks"] = {check.name: _told(check) for check in report.checks}
        platform = report.facts.platform or {}
        body["runs"] = platform.get("runs", {})
    status = 503 if report.state == "failing" else 200
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def metrics(request: Request) -> Response:
    """Answer the metrics of both processes in Prometheus' text format.

    Raises:
        KilowatchError: 401 ``token_needed`` or 403 ``not_from_here``.
    """
    rooms = rooms_of(request)
    if not may_know(request):
        if rooms.settings.metrics_token:
            raise KilowatchError(
                "token_needed",
                "Metrics are for who brings the token of this server.",
                status=401,
                remedy="Send it as 'Authorization: Bearer TOKEN'; the setting is metrics_token.",
            )
        raise KilowatchError(
            "not_from_here",
            "Metrics are for programs on the server itself.",
            status=403,
            remedy="Set metrics_token to read them from elsewhere.",
        )
    return Response(await rooms.health.metrics(), headers={"content-type": CONTENT_TYPE})


def may_know(request: Request) -> bool:
    """Tell whether details may be told: to this machine, or to who has the token."""
    token = rooms_of(request).settings.metrics_token
    scheme, _, brought = request.headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer":
        return hmac.compare_digest(brought.strip().encode(), token.encode())
    if any(name in request.headers for name in FORWARDED):
        return False
    here = request.client is not None and _is_loopback(request.client.host)
    return here and _names_this_machine(request.url.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str) -> bool:
    return host == "localhost" or _is_loopback(host)


def _told(check: Check) -> dict[str, str]:
    return {"state": check.state, "detail": check.detail}


class PageTimes:
    """Counts how long answers took, by the handler that gave them.

    Args:
        app: What answers.
        times: Where it is counted, by the handler's name.
    """

    def __init__(self, app: ASGIApp, times: dict[str, Durations]) -> None:
        self._app = app
        self._times = times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note when its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                page = getattr(scope.get("endpoint"), "__name__", OTHER_PAGE)
                took = self._times.get(page)
                if took is None:
                    took = self._times.setdefault(page, Durations(PAGE_BOUNDS_S))
                took.note(time.perf_counter() - began_s)
            await send(message)

        await self._app(scope, receive, noted)


DOORS: tuple[Door, ...] = (
    Door("/health", alive, Access.ANYONE),
    Door("/health/ready", ready, Access.ANYONE),
    Door("/metrics", metrics, Access.ANYONE),
)
