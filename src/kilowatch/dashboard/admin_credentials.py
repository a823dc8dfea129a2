"""Admin, credentials: who may push, since when it was used and from where, and how to stop it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import credentials, data_points, people, registry
from kilowatch.catalog.credentials import Issued, Listed, Target
from kilowatch.catalog.settings_check import one_of
from kilowatch.catalog.tables import (
    ENVIRONMENTS,
    SCOPES,
    Credential,
    DataPoint,
    Organisation,
    Site,
    User,
)
from kilowatch.dashboard.access import Access, Door, asked_organisation, row_here
from kilowatch.dashboard.admin_frame import (
    asked_of,
    organisations_for,
    paged,
    problems_of,
    section_page,
    texts_of,
)
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.curl import curl_line
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

SECTION = "credentials"
PROPOSED_MAX = 500
STATES = ("valid", "revoked")


@dataclass(frozen=True, slots=True)
class Fields:
    """The form as it is filled in."""

    scope: str = "site"
    site: str = ""
    point: str = ""
    user: str = ""
    environment: str = "development"
    name: str = ""
    after: str = ""  # latest credential of the organisation when the form was opened


async def listing(request: Request) -> Response:
    """Show the credentials of the organisations that the person administers."""
    return await run_in_threadpool(_listing, request)


async def new(request: Request) -> Response:
    """Show the empty form."""
    return await run_in_threadpool(_new, request)


async def create(request: Request) -> Response:
    """Issue a credential, and show its secret once."""
    fields = Fields(**texts_of(await request.form(), Fields.__slots__))
    return await run_in_threadpool(_create, request, fields)


async def show(request: Request) -> Response:
    """Show a credential: what it reaches, and what stops with it."""
    return await run_in_threadpool(_show, request)


async def revoke(request: Request) -> Response:
    """Revoke a credential for good."""
    return await run_in_threadpool(_revoke, request)


def _listing(request: Request) -> Response:
    asked = asked_of(request, ("q", "state", "organization"))
    organisations = organisations_for(request, "administer")
    words = asked["q"].casefold().split()
    rows: list[Listed] = []
    with rooms_of(request).registry.catalog.reading() as session:
        for organisation in organisations:
            if asked["organization"] in ("", str(organisation.id)):
                rows += credentials.listing(session, organisation.id)
    found = [
        row
        for row in rows
        if (asked["state"] not in STATES or asked["state"] == _state(row.credential))
        and all(word in _text(row) for word in words)
    ]
    context = {
        "table": paged(request, found, asked),
        "asked": asked,
        "filtered": any(asked.values()),
        "states": STATES,
        "several": len(organisations) > 1,
        "organisations": organisations,
    }
    return section_page(request, SECTION, "admin_credentials.html", [], context)


def _new(request: Request) -> Response:
    asked = asked_of(request, ("site", "point"))
    scope = "meter" if asked["point"] else "site"
    where = rooms_of(request).settings.environment
    return _form(request, Fields(scope=scope, environment=where, **asked), {})


def _create(request: Request, fields: Fields) -> Response:
    rooms, organisation = rooms_of(request), asked_organisation(request)
    try:
        one_of("scope", fields.scope, SCOPES)
        environment = one_of("environment", fields.environment, ENVIRONMENTS)
        name = registry.check_name(fields.name, "credential") if fields.name else ""
        with rooms.registry.catalog.change(actor_of(request)) as open_change:
            target = _target(open_change.session, organisation, fields)
            before = issued_before(open_change.session, target, environment, name, fields.after)
            if before is not None:
                address = f"/admin/organizations/{organisation.id}/credentials/{before}"
                return RedirectResponse(f"{address}?again", status_code=303)
            issued = credentials.issue(
                open_change,
                rooms.settings.server_key,
                target,
                environment=environment,
                name=name,
            )
    except KilowatchError as error:
        if error.code == "not_live":
            error.remedy = t("credentials.not_live_next")
        return _form(request, fields, problems_of(error))
    rooms.registry.directory(fresh=True)
    return _issued(request, organisation, issued)


def issued_before(
    session: Session, target: Target, environment: str, name: str, after: str
) -> int | None:
    """Return the credential that this very form has issued already, if it comes again.

    A page that is reloaded sends its form a second time. Nobody wants the credential that would
    come of it, and it would go on working beside the one that is known.
    """
    latest = whole_number(after)
    if latest is None:
        return None
    inside = {"site": Credential.site_id, "meter": Credential.data_point_id}
    inside["user"] = Credential.user_id
    same = select(Credential.id).where(
        Credential.organisation_id == target.organisation.id,
        Credential.id > latest,
        Credential.scope == target.scope,
        Credential.environment == environment,
        Credential.name == name,
        Credential.revoked_at_ms.is_(None),
    )
    if target.inside is not None:
        same = same.where(inside[target.scope] == target.inside.id)
    return session.scalar(same.order_by(Credential.id))


def latest_of(session: Session, organisation_id: int) -> int:
    """Return the number of an organisation's latest credential, for ``issued_before``."""
    mine = Credential.organisation_id == organisation_id
    return session.scalar(select(func.max(Credential.id)).where(mine)) or 0


def _issued(request: Request, organisation: Organisation, issued: Issued) -> Response:
    """Show a new credential with its secret; the page cannot be had again."""
    rooms = rooms_of(request)
    reached = _reached(request, issued.credential)
    point = rooms.registry.directory().by_id(reached[0].id) if reached else None
    name = issued.credential.username
    context = {
        "organisation": organisation,
        "credential": issued.credential,
        "secret": issued.secret,
        "push_url": rooms.settings.push_address,
        "works_here": issued.credential.environment == rooms.settings.environment,
        "curl": curl_line(point, rooms.settings, rooms.clock(), name) if point else "",
        "password": f"PASSWORD='{issued.secret}'",
    }
    crumbs = [{"name": name}]
    return section_page(request, SECTION, "admin_credential_new.html", crumbs, context)


def _show(request: Request) -> Response:
    with rooms_of(request).registry.catalog.reading() as session:
        credential = _credential(session, request)
        (listed,) = credentials.listing(session, credential_id=credential.id)
        successors = select(Credential.username).where(Credential.mirrors_id == credential.id)
        successor = session.scalar(successors)
    reached = _reached(request, credential)
    context = {
        "listed": listed,
        "credential": credential,
        "state": _state(credential),
        "reached": reached[:20],
        "count": len(reached),
        "more": max(0, len(reached) - 20),
        "last": _last_packets(request, credential, reached),
        "successor": successor or "",
        "revoked": "revoked" in request.query_params,
        "again": "again" in request.query_params,
    }
    crumbs = [{"name": credential.username}]
    return section_page(request, SECTION, "admin_credential.html", crumbs, context)


def _revoke(request: Request) -> Response:
    rooms = rooms_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as open_change:
        credential = _credential(open_change.session, request)
        credentials.revoke(open_change, credential.username)
    rooms.registry.directory(fresh=True)
    address = f"/admin/organizations/{credential.organisation_id}/credentials/{credential.id}"
    return RedirectResponse(f"{address}?revoked", status_code=303)


def _form(request: Request, fields: Fields, problems: dict[str, str]) -> Response:
    organisation = asked_organisation(request)
    with rooms_of(request).registry.catalog.reading() as session:
        sites = registry.sites(session, organisation.id)
        ours = select(DataPoint.stream_id).where(DataPoint.organisation_id == organisation.id)
        points = list(session.scalars(ours.order_by(DataPoint.stream_id).limit(PROPOSED_MAX)))
        members = [user.email for user, _ in people.members(session, organisation.id)]
        fields = replace(fields, after=fields.after or str(latest_of(session, organisation.id)))
    context: dict[str, Any] = {
        "organisation": organisation,
        "fields": asdict(fields),
        "scopes": SCOPES,
        "environments": ENVIRONMENTS if organisation.live_at_ms is not None else ENVIRONMENTS[:1],
        "sites": sites,
        "points": points,
        "members": members[:PROPOSED_MAX],
    }
    if problems:
        context["problems"] = problems
    crumbs = [{"name": organisation.name}, {"name": t("credentials.add")}]
    return section_page(
        request, SECTION, "admin_credential_form.html", crumbs, context,
        status=422 if problems else 200,
    )  # fmt: skip


def _target(session: Session, organisation: Organisation, fields: Fields) -> Target:
    inside: Site | DataPoint | User | None = None
    if fields.scope == "site":
        here = {site.id: site for site in registry.sites(session, organisation.id)}
        inside = here.get(whole_number(fields.site) or 0)
        if inside is None:
            raise _choose("site", t("credentials.choose_site"))
    elif fields.scope == "meter":
        if not fields.point:
            raise _choose("point", t("credentials.choose_point"))
        try:
            inside = data_points.find_data_point(session, organisation, fields.point)
        except KilowatchError as error:
            error.data["field"], error.remedy = "point", t("credentials.choose_point")
            raise
    elif fields.scope == "user":
        members = {user.email: user for user, _ in people.members(session, organisation.id)}
        inside = members.get(fields.user.casefold())
        if inside is None:
            raise _choose("user", t("credentials.choose_user"))
    return Target(organisation, inside)


def _choose(field: str, detail: str) -> KilowatchError:
    return KilowatchError("which_target", detail, data={"field": field})


def _reached(request: Request, credential: Credential) -> list[Any]:
    """Return the data points that a credential reaches, by name."""
    directory = rooms_of(request).registry.directory()
    mine = [p for p in directory.points.values() if p.organisation_id == credential.organisation_id]
    if credential.scope == "site":
        mine = [p for p in mine if p.site_id == credential.site_id]
    elif credential.scope == "meter":
        mine = [p for p in mine if p.id == credential.data_point_id]
    elif credential.scope == "user":
        record = directory.credential(credential.username)
        mine = [p for p in mine if record is not None and record.allowed(p)]
    return sorted(mine, key=lambda p: (p.name.casefold(), p.id))


def _last_packets(request: Request, credential: Credential, reached: list[Any]) -> dict[int, bool]:
    """Tell which of the first data points got their latest packet by this credential."""
    log = rooms_of(request).log
    heads = {point.id: log.head(point.series) for point in reached[:20]}
    return {
        number: head.entry.credential_id == credential.id
        for number, head in heads.items()
        if head is not None
    }


def _credential(session: Session, request: Request) -> Credential:
    return row_here(session, request, Credential, request.path_params["credential_id"])


def _state(credential: Credential) -> str:
    return "valid" if credential.revoked_at_ms is None else "revoked"


def _text(row: Listed) -> str:
    one = row.credential
    words = (one.username, one.name, row.target, row.organisation, one.scope, one.environment)
    return " ".join((*words, one.last_used_address)).casefold()


_ALL = "/admin/organizations/{organisation_id:number}/credentials"
_ONE = f"{_ALL}/{{credential_id:number}}"

DOORS: tuple[Door, ...] = (
    Door("/admin/credentials", listing, Access.ADMINISTER_SOMEWHERE),
    Door(f"{_ALL}/new", new, Access.ADMINISTER_ORGANISATION),
    Door(_ALL, create, Access.ADMINISTER_ORGANISATION, ("POST",)),
    Door(_ONE, show, Access.ADMINISTER_ORGANISATION),
    Door(f"{_ONE}/revoke", revoke, Access.ADMINISTER_ORGANISATION, ("POST",)),
)
