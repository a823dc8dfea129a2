"""Who may do what where. Pure: a person as loaded at log-in, an action and a place.

A role says what may be done in an organisation; ``whole`` says whether in all of it or only on
the sites and data points that were granted. What a person may not see does not exist for them:
answer 404, not 403.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.tables import Grant, Membership, Role, User

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
    """A person's role in one organisation, and whether in all of it."""

    role: Role
    whole: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is logged in.

    Attributes:
        id: User number.
        email: Address of the account.
        name: What to call them.
        standings: By organisation number.
        sites: Sites that were granted.
        data_points: Data points that were granted one by one.
    """

    id: int
    email: str
    name: str
    standings: dict[int, Standing] = field(default_factory=dict)
    sites: frozenset[int] = frozenset()
    data_points: frozenset[int] = frozenset()


def person(session: Session, user: User) -> Person:
    """Load what decides about a person's rights."""
    memberships = session.scalars(select(Membership).where(Membership.user_id == user.id))
    grants = list(session.scalars(select(Grant).where(Grant.user_id == user.id)))
    return Person(
        id=user.id,
        email=user.email,
        name=user.name,
        standings={m.organisation_id: Standing(m.role, m.whole_organisation) for m in memberships},
        sites=frozenset(g.site_id for g in grants if g.site_id is not None),
        data_points=frozenset(g.data_point_id for g in grants if g.data_point_id is not None),
    )


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


def is_partner(who: Person) -> bool:
    """Tell whether a person sets up organisations for customers."""
    return any(standing.role == "partner administrator" for standing in who.standings.values())
