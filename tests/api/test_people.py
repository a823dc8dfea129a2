"""Who sees whom: administrators their people, everybody themselves, and nobody a stranger."""

from __future__ import annotations

from typing import Any

import pytest

from kilowatch import catalog as catalogs
from kilowatch.catalog import groups
from kilowatch.catalog.tables import Site, User
from tests.api.api_world import CLOSED, OWING, PARTIAL, PLANNED, Served
from tests.api.test_isolation import NOBODY, same
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, VIEWER


def of_email(served: Served, email: str, who: str) -> Any:
    """Return the answer about an address."""
    return served.get(f"/users/show_by_email?email={email}", who)


def test_everybody_may_see_themselves(served: Served) -> None:
    """Whatever their role: who they are, where they belong, which sites they see."""
    for who, role in ((ADMIN, "administrator"), (VIEWER, "viewer"), (PARTIAL, "end user")):
        told = of_email(served, who.upper(), who).json()
        assert told["email"] == who
        assert [one["role"] for one in told["organizations"]] == [role]
        mine = served.get(f"/users/{told['id']}/associated_sites", who).json()
        assert mine == served.get("/sites", who).json()


def test_an_administrator_sees_the_people_of_the_organisation_and_what_they_have_there(
    served: Served,
) -> None:
    """Another organisation of theirs is none of the administrator's business."""
    told = of_email(served, OWING, ADMIN).json()
    assert [one["organization_name"] for one in told["organizations"]] == ["Acme"]
    both = served.get(f"/users/{told['id']}/associated_sites", ADMIN).json()
    assert [one["name"] for one in both] == ["Office Dublin", "Supermarket Cork"], "not the vault"
    assert of_email(served, CLOSED, ADMIN).json()["active"] is False
    users = served.world.extra["users"]
    sites = served.get(f"/users/{users[END_USER]}/associated_sites", ADMIN).json()
    assert [one["name"] for one in sites] == ["Supermarket Cork"]
    part = served.get(f"/users/{users[PARTIAL]}/associated_sites", ADMIN).json()
    assert [one["name"] for one in part] == ["Office Dublin"]


@pytest.mark.parametrize("who", [VIEWER, END_USER, PARTIAL, STRANGER, PLANNED])
def test_others_are_answered_as_if_they_were_not_there(served: Served, who: str) -> None:
    """Nobody finds out who has an account, by address or by number."""
    hidden, nothing = of_email(served, ADMIN, who), of_email(served, "nobody@example.com", who)
    assert hidden.status_code == 404
    assert same(hidden) == same(nothing)
    number = served.world.extra["users"][ADMIN]
    hidden = served.get(f"/users/{number}/associated_sites", who)
    assert same(hidden) == same(served.get(f"/users/{NOBODY}/associated_sites", who))


def test_who_sees_a_site_is_told_to_administrators_alone(served: Served) -> None:
    """With how much they see of it."""
    office, cork = (served.world.sites[name] for name in ("Office Dublin", "Supermarket Cork"))
    seen = served.get(f"/sites/{office}/associated_users", ADMIN).json()
    access = {one["email"]: one["access"] for one in seen}
    assert access == {
        ADMIN: "organization", VIEWER: "organization", PARTIAL: "meters", OWING: "organization",
        CLOSED: "organization", PLANNED: "organization",
    }  # fmt: skip
    assert [one["active"] for one in seen if one["email"] == CLOSED] == [False]
    there = served.get(f"/sites/{cork}/associated_users", ADMIN).json()
    assert {END_USER: "site"}.items() <= {one["email"]: one["access"] for one in there}.items()
    assert PARTIAL not in {one["email"] for one in there}
    for who in (VIEWER, PLANNED):
        assert served.get(f"/sites/{office}/associated_users", who).status_code == 403
    assert served.get(f"/sites/{office}/associated_users", STRANGER).status_code == 404


def test_a_group_opens_a_site_and_is_told_as_well(own: Served) -> None:
    """What a person sees by a group is what they see."""
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        office = change.session.get(Site, own.world.sites["Office Dublin"])
        tenant = change.session.get(User, own.world.extra["users"][END_USER])
        assert office is not None
        assert tenant is not None
        made = groups.add(change, office.organisation_id, "Tenants")
        groups.add_member(change, made, tenant)
        groups.add_place(change, made, office)
    told = own.get(f"/sites/{own.world.sites['Office Dublin']}/associated_users").json()
    assert {one["email"]: one["access"] for one in told}[END_USER] == "site"
