"""Who may pass each door. A route without a decision cannot be made: ``Door`` asks for one.

What a person may not see does not exist for them: 404, never 403, so that nobody finds out
which data points others have. What they see but may not do is 403.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from kilowatch.catalog import sessions
from kilowatch.catalog.rights import Action, Person, has_tool, is_partner, may, may_anywhere
from kilowatch.catalog.tables import Credential, Organisation
from kilowatch.catalog.tables_alerts import AlertChannel, AlertRule
from kilowatch.catalog.tables_estate import ImportDraft, PackageLink
from kilowatch.catalog.tables_imports import HistoryFile, ImportProfile
from kilowatch.catalog.tools import TOOLS
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.registry import may_point
from kilowatch.dashboard.rooms import Rooms, Visit, rooms_of, visit_of
from kilowatch.dashboard.security import BODY_BYTES_MAX, check_csrf, cookie_name, csrf_token
from kilowatch.model.errors import KilowatchError

SESSION_COOKIE = "kilowatch"
Handler = Callable[[Request], Awaitable[Response]]


class Access(Enum):
    """Who may pass.

    A door to a point, a site or an organisation has its number in the path as ``point_id``,
    ``site_id`` or ``organisation_id``; a point may stand in the query as ``point`` instead.
    """

    ANYONE = "anyone"
    OF_LINK = "who brings the token of the link that the path names; no session opens it"
    SIGNED_IN = "anyone who is logged in; the handler shows only what is theirs"
    READ_POINT = "who may read the data point named in the path or the query"
    EXPORT_POINT = "who may take the data point's figures along as a file"
    COMMENT_POINT = "who may write a comment beside the data point's chart"
    ACT_ON_POINT = "who may act on what was found at the data point"
    MANAGE_POINT = "who may change the data point's settings"
    READ_SITE = "who may read the whole site"
    EXPORT_SITE = "who may take the whole site's figures along as a file"
    MANAGE_SITE = "who may change the site and what is on it"
    READ_ORGANISATION = "who may read the whole organisation"
    MANAGE_ORGANISATION = "who may change sites and settings in the whole organisation"
    ADMINISTER_ORGANISATION = "who decides about people and credentials of the organisation"
    EXPORT_SOMEWHERE = "who may take figures along as a file in some organisation"
    MANAGE_SOMEWHERE = "who may register data points in some organisation"
    ADMINISTER_SOMEWHERE = "who decides about people and credentials in some organisation"
    PARTNER = "who sets up organisations for customers"


ACTION: dict[Access, Action] = {
    Access.READ_POINT: "read",
    Access.EXPORT_POINT: "export",
    Access.COMMENT_POINT: "comment",
    Access.ACT_ON_POINT: "act",
    Access.MANAGE_POINT: "manage",
    Access.READ_SITE: "read",
    Access.EXPORT_SITE: "export",
    Access.MANAGE_SITE: "manage",
    Access.READ_ORGANISATION: "read",
    Access.MANAGE_ORGANISATION: "manage",
    Access.ADMINISTER_ORGANISATION: "administer",
    Access.EXPORT_SOMEWHERE: "export",
    Access.MANAGE_SOMEWHERE: "manage",
    Access.ADMINISTER_SOMEWHERE: "administer",
}
"""What a person must be allowed to do behind each door, but those of anyone, of a link, of who is
signed in, and of partners."""

ABOUT_A_POINT = frozenset(
    {
        Access.READ_POINT,
        Access.EXPORT_POINT,
        Access.COMMENT_POINT,
        Access.ACT_ON_POINT,
        Access.MANAGE_POINT,
    }
)
ABOUT_A_SITE = frozenset({Access.READ_SITE, Access.EXPORT_SITE, Access.MANAGE_SITE})
NOWHERE_IN_PARTICULAR = frozenset(
    {
        Access.SIGNED_IN,
        Access.PARTNER,
        Access.EXPORT_SOMEWHERE,
        Access.MANAGE_SOMEWHERE,
        Access.ADMINISTER_SOMEWHERE,
    }
)


@dataclass(frozen=True, slots=True)
class Door:
    """A route with its decision.

    Attributes:
        path: As Starlette writes it.
        handler: What answers.
        access: Who may pass.
        methods: HTTP methods; every POST brings a CSRF token.
        tool: The tool that it belongs to, a word of ``catalog/tools.py``: who has a plan without
            it is answered 403. Empty for what everybody has.
        while_owing: Whether it is open to who owes a second factor to an organisation.
        body_bytes_max: Largest body; more than a form has is for doors that take a file.
    """

    path: str
    handler: Handler
    access: Access
    methods: tuple[str, ...] = ("GET",)
    tool: str = ""
    while_owing: bool = False

    body_bytes_max: int = BODY_BYTES_MAX

    def __post_init__(self) -> None:
        assert not self.tool or self.tool in TOOLS, self.tool

    def route(self) -> Route:
        """Return the route with its guard."""
        return Route(self.path, self._guarded(), methods=list(self.methods))

    def _guarded(self) -> Handler:
        async def endpoint(request: Request) -> Response:
            if self.access in (Access.ANYONE, Access.OF_LINK):
                return await self.handler(request)
            rooms = rooms_of(request)
            visit = await run_in_threadpool(_visit, rooms, request, self.access)
            if visit is None:
                return _to_log_in(request)
            request.state.visit = visit
            if visit.person.owes_second_factor and not self.while_owing:
                return _to_second_factor(request)
            if self.tool and not has_tool(visit.person, self.tool, _organisation_of(visit)):
                raise not_in_plan()
            if request.method == "POST":
                form = await request.form()
                brought = str(form.get("csrf", ""))
                check_csrf(request, rooms.settings.server_key, visit.token, brought)
            return await self.handler(request)

        endpoint.__name__ = getattr(self.handler, "__name__", "endpoint")
        return endpoint


def belonging_to(tool: str, doors: Iterable[Door]) -> tuple[Door, ...]:
    """Return doors as those of a tool; what is open to anyone stays so."""
    return tuple(
        door if door.access is Access.ANYONE else replace(door, tool=tool) for door in doors
    )


def _visit(rooms: Rooms, request: Request, access: Access) -> Visit | None:
    settings = rooms.settings
    token = request.cookies.get(cookie_name(request, settings, SESSION_COOKIE), "")
    if not token:
        return None
    found = sessions.look_up(rooms.registry.catalog, settings.server_key, token)
    if found is None:
        return None
    who = found.person
    visit = Visit(who, token, csrf_token(settings.server_key, token), session_id=found.session_id)
    if access in NOWHERE_IN_PARTICULAR:
        if not _may_pass(who, access):
            raise not_allowed()
        return visit
    action = ACTION[access]
    if access in ABOUT_A_POINT:
        point = rooms.registry.point(who, _number(request, "point_id", "point"))
        if point is None:
            raise not_found()
        if not may_point(who, action, point):
            raise not_allowed()
        return replace(visit, point=point)
    return _in_place(rooms, request, visit, access)


def _may_pass(who: Person, access: Access) -> bool:
    if access is Access.PARTNER:
        return is_partner(who)
    return access is Access.SIGNED_IN or may_anywhere(who, ACTION[access])


def _in_place(rooms: Rooms, request: Request, visit: Visit, access: Access) -> Visit:
    """Return the visit to the site or the organisation that the path names."""
    who, action = visit.person, ACTION[access]
    site_id = _number(request, "site_id") if access in ABOUT_A_SITE else None
    owner = (
        _number(request, "organisation_id")
        if site_id is None
        else rooms.registry.organisation_of_site(site_id)
    )
    if owner is None or not may(who, "read", organisation_id=owner, site_id=site_id):
        raise not_found()
    if not may(who, action, organisation_id=owner, site_id=site_id):
        raise not_allowed()
    return replace(visit, organisation_id=owner, site_id=site_id)


def _number(request: Request, name: str, query: str = "") -> int:
    text = request.path_params.get(name, request.query_params.get(query, ""))
    number = whole_number(str(text))
    if number is None:
        raise not_found()
    return number


def not_found() -> KilowatchError:
    """Return the answer to what is not there, or not there for this person."""
    return KilowatchError("not_found", "There is nothing here for you to see.", status=404)


Owned = TypeVar(
    "Owned",
    AlertChannel,
    AlertRule,
    Credential,
    HistoryFile,
    ImportDraft,
    ImportProfile,
    PackageLink,
)
"""What belongs to an organisation and is asked for by its number."""


def row_here(session: Session, request: Request, table: type[Owned], number: int) -> Owned:
    """Return a row of the organisation that a request names, and of no other one.

    Args:
        session: Where to look.
        request: A request behind a door of an organisation.
        table: Which kind.
        number: Its number, as the address has it.

    Raises:
        KilowatchError: 404 ``not_found``, also where it is another organisation's.
    """
    row = session.get(table, number)
    if row is None or row.organisation_id != visit_of(request).organisation_id:
        raise not_found()
    return row


def asked_organisation(request: Request, session: Session | None = None) -> Organisation:
    """Return the organisation that a request names. Blocks on the catalogue.

    Args:
        request: Behind a door that looked.
        session: An open one, whose row it shall be; None for one that only reads it.

    Raises:
        KilowatchError: ``not_found``: it has gone since the door looked.
    """
    number = visit_of(request).organisation_id
    if session is not None:
        found = session.get(Organisation, number)
    else:
        with rooms_of(request).registry.catalog.reading() as own:
            found = own.get(Organisation, number)
    if found is None:
        raise not_found()
    return found


def posts_about_point(tool: str, handlers: Mapping[str, Handler]) -> tuple[Door, ...]:
    """Return the doors of what people who manage a data point do on a page about it.

    Args:
        tool: Of the plan; also the page's address: ``/TOOL/{point_id}/…``.
        handlers: By the rest of the address.
    """
    return tuple(
        Door(f"/{tool}/{{point_id:number}}/{path}", handler, Access.MANAGE_POINT, ("POST",),
             tool=tool)
        for path, handler in handlers.items()
    )  # fmt: skip


def not_allowed() -> KilowatchError:
    """Return the answer to what a person sees but may not do."""
    return KilowatchError(
        "not_allowed",
        "Your role does not include this.",
        status=403,
        remedy="Ask an administrator of your organisation.",
    )


def not_in_plan() -> KilowatchError:
    """Return the answer to who has a plan without the tool of a page."""
    return KilowatchError(
        "not_in_plan",
        "Your plan does not include this page.",
        status=403,
        remedy="Ask an administrator of your organisation for another plan.",
    )


def _organisation_of(visit: Visit) -> int | None:
    """Return the organisation that a request is about; None when it names none."""
    return visit.point.organisation_id if visit.point is not None else visit.organisation_id


def _to_second_factor(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/account/second-factor?needed", status_code=303)
    raise KilowatchError(
        "second_factor_needed",
        "Your organisation asks for a second factor, and your account has none yet.",
        status=403,
        remedy="Set it up in your account first.",
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
