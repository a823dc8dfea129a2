"""Admin, people: who belongs to an organisation, as what, and who is invited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import giving, invitations, people, plans, second_factor
from kilowatch.catalog.changes import Change
from kilowatch.catalog.invitations import Wishes
from kilowatch.catalog.rights import Person
from kilowatch.catalog.settings_check import one_of
from kilowatch.catalog.tables import ROLES, DataPoint, Grant, User
from kilowatch.catalog.tables_people import Group, GroupMember, Invitation
from kilowatch.dashboard import mails
from kilowatch.dashboard.access import Access, Door, asked_organisation
from kilowatch.dashboard.asking import actor_of, problems_of, text
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.people_shared import (
    first_of,
    member_of,
    organisation_id_of,
    people_page,
    places_of_form,
    plan_of,
    sites_of,
)
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.model.errors import KilowatchError


@dataclass(frozen=True, slots=True)
class Invited:
    """What became of an invitation: a mail, or a link to be passed on by hand.

    Attributes:
        email: Who.
        link: To be copied, where it could not be mailed; empty where it was.
        problem: Why it could not be mailed.
    """

    email: str
    link: str = ""
    problem: str = ""


async def first(request: Request) -> Response:
    """Go to the people of the first organisation that the person administers."""
    return await run_in_threadpool(first_of, request, "users")


async def listing(request: Request) -> Response:
    """Show the people and the open invitations."""
    return await run_in_threadpool(_listing, request)


async def invite(request: Request) -> Response:
    """Invite somebody."""
    return await run_in_threadpool(_invite, request, await request.form())


async def resend(request: Request) -> Response:
    """Send an invitation again; the earlier link is over."""
    return await run_in_threadpool(_resend, request)


async def withdraw(request: Request) -> Response:
    """Take an invitation back."""
    return await run_in_threadpool(_withdraw, request)


async def person(request: Request) -> Response:
    """Show a person's role, places, groups and account."""
    return await run_in_threadpool(_person, request)


async def set_role(request: Request) -> Response:
    """Change a person's role and plan."""
    return await run_in_threadpool(_act, request, await request.form(), "role")


async def add_places(request: Request) -> Response:
    """Let a person see more."""
    return await run_in_threadpool(_act, request, await request.form(), "add")


async def remove_place(request: Request) -> Response:
    """Let a person see less."""
    return await run_in_threadpool(_act, request, await request.form(), "take")


async def remove(request: Request) -> Response:
    """Take a person out of the organisation."""
    return await run_in_threadpool(_act, request, await request.form(), "remove")


async def account(request: Request) -> Response:
    """Close or open a person's account, or take a lost second factor away."""
    return await run_in_threadpool(_act, request, await request.form(), "account")


async def send_link(request: Request) -> Response:
    """Mail a person a link with which they choose another password."""
    return await run_in_threadpool(_send_link, request)


async def require_factor(request: Request) -> Response:
    """Ask everybody in the organisation for a second factor, or no longer."""
    return await run_in_threadpool(_require_factor, request, await request.form())


def _listing(
    request: Request,
    problems: dict[str, str] | None = None,
    fields: dict[str, Any] | None = None,
    invited: Invited | None = None,
) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.reading() as session:
        members = people.members(session, number)
        there = plans.plans(session, number)
        names = {plan.id: plan.name for plan in there}
        waiting = invitations.open_invitations(session, number)
        sites = sites_of(session, request)
    blank = {"email": "", "name": "", "role": "viewer", "where": "whole", "plan": "",
             "site": [], "streams": ""}  # fmt: skip
    context = {
        "members": [
            {"user": user, "membership": one, "plan": names.get(one.plan_id or 0, "")}
            for user, one in members
        ],
        "waiting": waiting,
        "now": rooms.registry.catalog.clock(),
        "problems": problems or {},
        "fields": {**blank, **(fields or {})},
        "invited": invited,
        "roles": ROLES,
        "plans": there,
        "sites": sites,
        "mails": rooms.mailer.configured,
    }
    return people_page(request, "users", context, status=422 if problems else 200)


def _invite(request: Request, form: FormData) -> Response:
    rooms, who = rooms_of(request), visit_of(request).person
    catalog, key = rooms.registry.catalog, rooms.settings.server_key
    fields = {n: text(form, n) for n in ("email", "name", "role", "where", "plan", "streams")}
    whole = fields["where"] == "whole"
    try:
        with catalog.change(actor_of(request)) as change:
            session = change.session
            organisation = asked_organisation(request, session)
            wishes = Wishes(
                email=fields["email"],
                role=one_of("role", fields["role"], ROLES),
                name=fields["name"],
                whole=whole,
                places=() if whole else places_of_form(session, request, form),
                plan=plan_of(session, request, form),
            )
            row, token = invitations.invite(change, key, who, organisation, wishes)
    except KilowatchError as error:
        shown = {**fields, "site": [str(value) for value in form.getlist("site")]}
        return _listing(request, _beside(error), shown)
    return _listing(request, invited=_deliver(request, row, organisation.name, token))


def _resend(request: Request) -> Response:
    rooms = rooms_of(request)
    number, key = organisation_id_of(request), rooms.settings.server_key
    with rooms.registry.catalog.change(actor_of(request)) as change:
        row = invitations.find(change.session, number, request.path_params["invitation_id"])
        name = asked_organisation(request, change.session).name
        token = invitations.renew(change, key, row)
    return _listing(request, invited=_deliver(request, row, name, token))


def _deliver(request: Request, row: Invitation, organisation: str, token: str) -> Invited:
    """Mail an invitation; where that can't be done, its link is shown once for copying."""
    rooms, who = rooms_of(request), visit_of(request).person
    url = rooms.settings.public_url
    link = mails.invitation_link(url, token)
    if not rooms.mailer.configured:
        return Invited(row.email, link)
    mail = mails.invitation(url, row.email, token, organisation=organisation, by=who.name)
    try:
        rooms.mailer.send(mail)
    except KilowatchError as error:
        return Invited(row.email, link, error.detail)
    return Invited(row.email)


def _withdraw(request: Request) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        row = invitations.find(change.session, number, request.path_params["invitation_id"])
        invitations.withdraw(change, row)
    return RedirectResponse(f"/organization/{number}/users?said=withdrawn", status_code=303)


def _person(request: Request, problems: dict[str, str] | None = None) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.reading() as session:
        user, membership = member_of(session, request)
        here = {"user_id": user.id, "organisation_id": number}
        granted = session.scalars(select(Grant).filter_by(**here)).all()
        sites = sites_of(session, request)
        by_id = {site.id: site.name for site in sites}
        places = []
        for one in granted:
            point = session.get(DataPoint, one.data_point_id) if one.data_point_id else None
            name = point.name if point else by_id.get(one.site_id or 0, "")
            places.append({"grant": one, "name": name, "point": point})
        mine = select(Group).join(GroupMember, GroupMember.group_id == Group.id)
        mine = mine.where(GroupMember.user_id == user.id, Group.organisation_id == number)
        context = {
            "user": user,
            "membership": membership,
            "granted": sorted(places, key=lambda place: str(place["name"]).casefold()),
            "groups": list(session.scalars(mine.order_by(Group.name))),
            "plans": plans.plans(session, number),
            "sites": sites,
            "roles": ROLES,
            "factor": second_factor.confirmed(session, user.id) is not None,
            "mails": rooms.mailer.configured,
            "myself": user.id == visit_of(request).person.id,
            "problems": problems or {},
        }
    return people_page(
        request, "user", context, crumb=user.name, tab="users", status=422 if problems else 200
    )


def _act(request: Request, form: FormData, what: str) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    giver = visit_of(request).person
    home = f"/organization/{number}/users"
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            session = change.session
            user, _ = member_of(session, request)
            if what == "role":
                giving.set_role(
                    change, giver, user, asked_organisation(request, session),
                    one_of("role", text(form, "role"), ROLES),
                    whole=text(form, "where") == "whole", plan=plan_of(session, request, form),
                )  # fmt: skip
            elif what == "add":
                places = places_of_form(session, request, form)
                giving.check_places(giver, places)
                for place in places:
                    people.grant(change, user, place)
            elif what == "take":
                given = session.get(Grant, whole_number(text(form, "grant")) or 0)
                if given is not None and given.user_id == user.id:
                    _take(given, number, change)
            elif what == "remove":
                giving.remove(change, user, asked_organisation(request, session))
            else:
                _account(change, giver, user, text(form, "do"))
    except KilowatchError as error:
        return _person(request, _beside(error))
    rooms.registry.directory(fresh=True)
    if what == "remove":
        return RedirectResponse(f"{home}?said=removed", status_code=303)
    return RedirectResponse(f"{home}/{user.id}?said=saved", status_code=303)


def _send_link(request: Request) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    key, url = rooms.settings.server_key, rooms.settings.public_url
    try:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            user, _ = member_of(change.session, request)
            token = giving.password_link(change, key, visit_of(request).person, user)
        # Not before: a slow mail server must not hold the catalogue.
        rooms.mailer.send(mails.forgotten(url, user.email, token))
    except KilowatchError as error:
        return _person(request, _beside(error))
    home = f"/organization/{number}/users"
    return RedirectResponse(f"{home}/{user.id}?said=link", status_code=303)


def _take(given: Grant, organisation_id: int, change: Change) -> None:
    if given.organisation_id == organisation_id:
        change.session.delete(given)
        change.session.flush()


def _account(change: Change, giver: Person, user: User, do: str) -> None:
    if do == "disable":
        giving.disable(change, giver, user)
    elif do == "enable":
        giving.enable(change, giver, user)
    elif do == "factor":
        giving.take_second_factor(change, giver, user)


def _require_factor(request: Request, form: FormData) -> Response:
    rooms, number = rooms_of(request), organisation_id_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        organisation = asked_organisation(request, change.session)
        organisation.second_factor_required = text(form, "required") == "yes"
    return RedirectResponse(f"/organization/{number}/users?said=saved", status_code=303)


def _beside(error: KilowatchError) -> dict[str, str]:
    """Return where a refusal is shown; what is not about a field is said above the form."""
    if error.code in ("gives_too_much", "mail_failed", "mail_refused"):
        return {"": f"{error.detail} {error.remedy}"}
    return problems_of(error)


_ADMIN = Access.ADMINISTER_ORGANISATION
_HOME = "/organization/{organisation_id:number}"
_USER = _HOME + "/users/{user_id:number}"
_INVITATION = _HOME + "/invitations/{invitation_id:number}"

DOORS: tuple[Door, ...] = (
    Door("/admin/users", first, Access.ADMINISTER_SOMEWHERE, tool="admin"),
    Door(_HOME + "/users", listing, _ADMIN, tool="admin"),
    Door(_HOME + "/users", invite, _ADMIN, ("POST",), tool="admin"),
    Door(_HOME + "/second-factor", require_factor, _ADMIN, ("POST",), tool="admin"),
    Door(_INVITATION + "/resend", resend, _ADMIN, ("POST",), tool="admin"),
    Door(_INVITATION + "/withdraw", withdraw, _ADMIN, ("POST",), tool="admin"),
    Door(_USER, person, _ADMIN, tool="admin"),
    Door(_USER + "/role", set_role, _ADMIN, ("POST",), tool="admin"),
    Door(_USER + "/places", add_places, _ADMIN, ("POST",), tool="admin"),
    Door(_USER + "/places/remove", remove_place, _ADMIN, ("POST",), tool="admin"),
    Door(_USER + "/remove", remove, _ADMIN, ("POST",), tool="admin"),
    Door(_USER + "/password-link", send_link, _ADMIN, ("POST",), tool="admin"),
    Door(_USER + "/account", account, _ADMIN, ("POST",), tool="admin"),
)
