"""Who may do what where. Pure: a person as loaded at log-in, an action and a place.

A role says what may be done in an organisation; ``whole`` says whether in all of it or only on
the sites and data points that were granted. What a person may not see does not exist for them:
answer 404, not 403.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from kilowatch.catalog.tables import Grant, Membership, Organisation, Role, User
from kilowatch.catalog.tables_people import GroupMember, GroupPlace, Plan, SecondFactor

Action = Literal["read", "export", "comment", "act", "manage", "administer"]
"""``act``: on findings. ``manage``: sites, meters, data points and their settings.
``administer``: people, credentials, the organisation itself."""

READ: frozenset[Action] = frozenset({"read"})
ANALYSE: frozenset[Action] = READ | {"export", "comment", "act"}
MANAGE: frozenset[Action] = ANALYSE | {"manage"}
ALL: frozenset[Action] = MANAGE | {"administer"}

ACTIONS_BY_ROLE: dict[Role, frozenset[Action]] = {
    "administrator": ALL,
    "partner administrator": ALL,
    "manager": MANAGE,
    "analyst": ANALYSE,
    "viewer": READ,
    "end user": READ,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """A person's role in one organisation, whether in all of it, and with which tools.

    ``tools`` are those of the person's plan; None for every tool.
    """

    role: Role
    whole: bool
    tools: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a person reads numbers; an empty word stands for what is usual.

    Attributes:
        locale: Language and country of numbers and dates, such as ``de-AT``; else the browser's.
        temperature_unit: ``C`` or ``F``.
        energy_unit: ``kWh`` always, or the unit that fits.
    """

    locale: str = ""
    temperature_unit: str = ""
    energy_unit: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is logged in.

    Attributes:
        id: User number.
        email: Address of the account.
        name: What to call them.
        standings: By organisation number.
        sites: Sites that were granted, to the person or to a group of theirs.
        data_points: Data points that were granted one by one, likewise.
        reading: How they read numbers.
        owes_second_factor: Whether an organisation of theirs asks for a second factor, and they
            have none yet: until then they see nothing but their account.
    """

    id: int
    email: str
    name: str
    standings: dict[int, Standing] = field(default_factory=dict)
    sites: frozenset[int] = frozenset()
    data_points: frozenset[int] = frozenset()
    reading: Reading = Reading()
    owes_second_factor: bool = False


def person(session: Session, user: User) -> Person:
    """Load what decides about a person's rights."""
    standings: dict[int, Standing] = {}
    required = False
    memberships = (
        select(Membership, Plan.tools, Organisation.second_factor_required)
        .join(Organisation, Membership.organisation_id == Organisation.id)
        .outerjoin(Plan, Membership.plan_id == Plan.id)
        .where(Membership.user_id == user.id)
    )
    for membership, tools, asks in session.execute(memberships):
        standings[membership.organisation_id] = Standing(
            membership.role,
            membership.whole_organisation,
            None if tools is None else frozenset(tools.split()),
        )
        required = required or asks
    granted = [
        place
        for place in places_of(session, user.id)
        if place[0] in standings  # a group or a grant gives nothing to who has no role there
    ]
    return Person(
        id=user.id,
        email=user.email,
        name=user.name,
        standings=standings,
        sites=frozenset(site for _, site, _ in granted if site is not None),
        data_points=frozenset(point for _, _, point in granted if point is not None),
        reading=Reading(user.locale, user.temperature_unit, user.energy_unit),
        owes_second_factor=required and not _has_second_factor(session, user.id),
    )


def places_of(session: Session, user_id: int) -> list[tuple[int, int | None, int | None]]:
    """Return organisation, site and data point of each place that a person was given.

    One of site and data point is None. A place may come twice, from a grant and from groups.
    """
    grants = select(Grant.organisation_id, Grant.site_id, Grant.data_point_id).where(
        Grant.user_id == user_id
    )
    by_groups = (
        select(GroupPlace.organisation_id, GroupPlace.site_id, GroupPlace.data_point_id)
        .join(GroupMember, GroupMember.group_id == GroupPlace.group_id)
        .where(GroupMember.user_id == user_id)
    )
    rows = session.execute(union_all(grants, by_groups))
    return [(owner, site, point) for owner, site, point in rows]


def _has_second_factor(session: Session, user_id: int) -> bool:
    confirmed = select(SecondFactor.id).where(
        SecondFactor.user_id == user_id, SecondFactor.confirmed_at_ms.is_not(None)
    )
    return session.scalar(confirmed) is not None


def may(
    who: Person,
    action: Action,
    *,
    organisation_id: int,
    site_id: int | None = None,
    data_point_id: int | None = None,
) -> bool:
    """Tell whether a person may do something to an organisation, a site or a data point.

    Args:
        who: The person.
        action: What they want to do.
        organisation_id: Where; of the site or data point, too.
        site_id: The site, also that of the data point; None for the organisation as a whole.
        data_point_id: The data point, or None.
    """
    standing = who.standings.get(organisation_id)
    if standing is None or action not in ACTIONS_BY_ROLE[standing.role]:
        return False
    return standing.whole or site_id in who.sites or data_point_id in who.data_points


def may_anywhere(who: Person, action: Action) -> bool:
    """Tell whether a person may do something in any organisation, for showing a menu entry."""
    return any(action in ACTIONS_BY_ROLE[standing.role] for standing in who.standings.values())


def has_tool(who: Person, tool: str, organisation_id: int | None = None) -> bool:
    """Tell whether a person's plan has a tool: in one organisation, or in any of theirs."""
    standings = (
        who.standings.values()
        if organisation_id is None
        else [s for number, s in who.standings.items() if number == organisation_id]
    )
    return any(s.tools is None or tool in s.tools for s in standings)


def is_partner(who: Person) -> bool:
    """Tell whether a person sets up organisations for customers."""
    return any(standing.role == "partner administrator" for standing in who.standings.values())
