"""Who may pass each door. A route without a decision cannot be made: ``Door`` asks for one.

What a person may not see does not exist for them: 404, never 403, so that nobody finds out
which data points others have. What they see but may not do is 403.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kilowatch.catalog import sessions
from kilowatch.catalog.rights import may_anywhere
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms, Visit, rooms_of
from kilowatch.dashboard.security import check_csrf, cookie_name, csrf_token
from kilowatch.model.errors import KilowatchError

SESSION_COOKIE = "kilowatch"
Handler = Callable[[Request], Awaitable[Response]]


class Access(Enum):
    """Who may pass."""

    ANYONE = "anyone"
    SIGNED_IN = "anyone who is logged in; the handler shows only what is theirs"
    READ_POINT = "who may read the data point named in the path or the query"
    EXPORT_POINT = "who may take the data point's figures along as a file"
    MANAGE_POINT = "who may change the data point's settings"
    MANAGE_SOMEWHERE = "who may register data points in some organisation"


@dataclass(frozen=True, slots=True)
class Door:
    """A route with its decision.

    Attributes:
        path: As Starlette writes it.
        handler: What answers.
        access: Who may pass.
        methods: HTTP methods; every POST brings a CSRF token.
    """

    path: str
    handler: Handler
    access: Access
    methods: tuple[str, ...] = ("GET",)

    def route(self) -> Route:
        """Return the route with its guard."""
        return Route(self.path, self._guarded(), methods=list(self.methods))

    def _guarded(self) -> Handler:
        async def endpoint(request: Request) -> Response:
            if self.access is Access.ANYONE:
                return await self.handler(request)
            rooms = rooms_of(request)
            visit = await run_in_threadpool(_visit, rooms, request, self.access)
            if visit is None:
                return _to_log_in(request)
            request.state.visit = visit
            if request.method == "POST":
                form = await request.form()
                brought = str(form.get("csrf", ""))
                check_csrf(request, rooms.settings.server_key, visit.token, brought)
            return await self.handler(request)

        endpoint.__name__ = getattr(self.handler, "__name__", "endpoint")
        return endpoint


def _visit(rooms: Rooms, request: Request, access: Access) -> Visit | None:
    settings = rooms.settings
    token = request.cookies.get(cookie_name(request, settings, SESSION_COOKIE), "")
    if not token:
        return None
    found = sessions.look_up(rooms.registry.catalog, settings.server_key, token)
    if found is None:
        return None
    who = found.person
    visit = Visit(who, token, csrf_token(settings.server_key, token))
    if access is Access.SIGNED_IN:
        return visit
    if access is Access.MANAGE_SOMEWHERE:
        if not may_anywhere(who, "manage"):
            raise not_allowed()
        return visit
    point = rooms.registry.point(who, _number(request))
    if point is None:
        raise not_found()
    needed = {Access.EXPORT_POINT: "export", Access.MANAGE_POINT: "manage"}.get(access, "read")
    if not may_point(who, needed, point):
        raise not_allowed()
    return Visit(who, token, visit.csrf, point)


def _number(request: Request) -> int:
    text = request.path_params.get("point_id", request.query_params.get("point", ""))
    number = whole_number(str(text))
    if number is None:
        raise not_found()
    return number


def not_found() -> KilowatchError:
    """Return the answer to what is not there, or not there for this person."""
    return KilowatchError("not_found", "There is nothing here for you to see.", status=404)


def not_allowed() -> KilowatchError:
    """Return the answer to what a person sees but may not do."""
    return KilowatchError(
        "not_allowed",
        "Your role does not include this.",
        status=403,
        remedy="Ask an administrator of your organisation.",
    )


def _to_log_in(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        query = "" if target == "/" else f"?{_next(target)}"
        return RedirectResponse(f"/login{query}", status_code=303)
    raise KilowatchError(
        "log_in_needed",
        "You are not logged in, or your session has ended.",
        status=401,
        remedy="Log in again.",
    )


def _next(target: str) -> str:
    return urlencode({"next": target})
