"""Who gets what: every address for everybody, and nothing of what is another's."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from kilowatch import catalog as catalogs
from kilowatch.api.app import PREFIX
from kilowatch.api.declaring import Resource
from kilowatch.api.resources import RESOURCES
from kilowatch.catalog import tokens
from kilowatch.catalog.tables import User
from kilowatch.model.lengths import DAY_MS
from tests.api.api_world import CLOSED, EXPIRED, OWING, PARTIAL, REVOKED, Served
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, VIEWER

NOBODY = 999_999
WITH_NUMBER = [one for one in RESOURCES if "{id}" in one.path]
LISTS = [one for one in RESOURCES if "{id}" not in one.path]


def named(resource: Resource) -> str:
    """Return what a case is called."""
    return resource.path


def theirs(served: Served, resource: Resource) -> int:
    """Return the number of something of Acme's that an address can be asked with."""
    numbers: dict[str, int] = {
        "organizations": served.world.point("main").organisation_id,
        "sites": served.world.sites["Office Dublin"],
        "meters": served.point("main"),
        "appliances": served.world.extra["lift"],
        "users": served.world.extra["users"][VIEWER],
    }
    return numbers.get(resource.path.split("/")[1], NOBODY)


def asked(served: Served, resource: Resource, number: int = 0) -> str:
    """Return an address with the parameters that it cannot do without."""
    path = resource.path.replace("{id}", str(number or theirs(served, resource)))
    needed = [one.name for one in resource.parameters if one.required]
    usual = {"email": VIEWER, "month": "11", "year": "2026", "from": "2026-11-08"}
    usual |= {"to": "2026-11-08"}
    return f"{path}?" + "&".join(f"{name}={usual[name]}" for name in needed)


def same(answer: Any) -> tuple[Any, ...]:
    """Return what a stranger could tell two answers apart by."""
    heads = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, answer.content, heads


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_an_administrator_gets_an_answer_everywhere(served: Served, resource: Resource) -> None:
    """Every address that is declared answers."""
    answer = served.get(asked(served, resource))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
@pytest.mark.parametrize("who", [None, CLOSED, OWING, EXPIRED, REVOKED])
def test_nothing_is_told_without_a_token_that_works(
    served: Served, resource: Resource, who: str | None
) -> None:
    """No token, of a closed account, of who owes a second factor, one that is over: 401."""
    answer = served.get(asked(served, resource), who)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="Kilowatch API"')
    told = answer.json()
    assert told["code"] == ("token_missing" if who is None else "token_wrong")
    assert told["type"] == f"urn:kilowatch:problem:{told['code']}"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_each_address_is_open_to_whom_it_was_decided(served: Served, resource: Resource) -> None:
    """A viewer reads what an administrator does, but people; who has one meter, that one."""
    people = resource.path == "/sites/{id}/associated_users"
    assert served.get(asked(served, resource), VIEWER).status_code == (403 if people else 200)
    open_to_all = {"/organizations/{id}", "/sites/{id}"}
    about_one = "{id}" in resource.path or "email" in resource.path
    hidden = about_one and resource.path not in open_to_all and not people
    expected = 404 if hidden else 403 if people else 200
    assert served.get(asked(served, resource), PARTIAL).status_code == expected
    if resource.path.startswith("/meters/"):
        own = asked(served, resource, served.point("hvac"))
        assert served.get(own, PARTIAL).status_code == 200


def test_a_token_ends_when_it_is_revoked_or_over(own: Served) -> None:
    """At once, and the answer is the same as to one that never was."""
    text, number = own.token(ADMIN)
    short, _ = own.token(ADMIN, days=1)
    head = {"authorization": text}
    assert own.get("/organizations", None, **head).status_code == 200
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        user = change.session.scalars(select(User).filter_by(email=ADMIN)).one()
        tokens.revoke(change, user.id, number)
    revoked = own.get("/organizations", None, **head)
    assert revoked.status_code == 401
    own.world.now[0] += DAY_MS
    over = own.get("/organizations", None, authorization=f"bearer {short}")
    never = own.get("/organizations", None, authorization="kwt_" + "x" * 43)
    assert same(over) == same(never) == same(revoked)
    assert 'error="invalid_token"' in over.headers["www-authenticate"]


@pytest.mark.parametrize("resource", WITH_NUMBER, ids=named)
def test_what_is_anothers_is_answered_as_what_is_not_there(
    served: Served, resource: Resource
) -> None:
    """A stranger learns neither that it is there nor what it is: not by a single byte."""
    hidden = served.get(asked(served, resource), STRANGER)
    nothing = served.get(asked(served, resource, NOBODY), STRANGER)
    assert hidden.status_code == 404
    assert same(hidden) == same(nothing)
    assert same(served.get("/nowhere", STRANGER))[:2] == same(hidden)[:2]


@pytest.mark.parametrize("resource", LISTS, ids=named)
def test_a_filter_by_what_is_anothers_is_answered_as_by_what_is_not_there(
    served: Served, resource: Resource
) -> None:
    """A filter is a question too."""
    world = served.world
    acme = {
        "organization_id": world.point("main").organisation_id,
        "site_id": world.sites["Office Dublin"],
        "meter_id": served.point("main"),
    }
    for name, number in acme.items():
        if name in {one.name for one in resource.parameters}:
            path = asked(served, resource)
            hidden = served.get(f"{path}&{name}={number}", STRANGER)
            nothing = served.get(f"{path}&{name}={NOBODY}", STRANGER)
            assert hidden.status_code == 404
            assert same(hidden) == same(nothing)


def test_each_token_sees_the_meters_of_its_owner_and_no_others(served: Served) -> None:
    """Whole organisation, one site, one data point, another organisation."""

    def names(path: str, who: str) -> list[str]:
        return [one["name"] for one in served.get(path, who).json()]

    office = ["Main supply", "HVAC", "Gas boiler", "Water", "Outdoor temperature", "Server room"]
    cork = ["Refrigeration", "Bakery ovens", "Heat pump"]
    for who in (ADMIN, VIEWER):
        assert names("/meters", who) == office + cork
        assert names("/appliances", who) == ["Lift energy"]
        assert names("/sites", who) == ["Office Dublin", "Supermarket Cork"]
    assert names("/meters", END_USER) == cork
    assert names("/sites", END_USER) == ["Supermarket Cork"]
    assert names("/meters", PARTIAL) == ["HVAC"]
    assert names("/appliances", PARTIAL) == []
    assert names("/sites", PARTIAL) == ["Office Dublin"], "where it is"
    assert names("/organizations", PARTIAL) == ["Acme"]
    assert names("/organizations", STRANGER) == ["Elsewhere"]
    assert names("/meters", STRANGER) == ["Presse"]


def test_who_sees_one_meter_learns_nothing_of_the_others(served: Served) -> None:
    """Neither by their numbers, nor as what feeds theirs, nor what a site keeps for its people."""
    for name in ("main", "gas", "chiller"):
        hidden = served.get(f"/meters/{served.point(name)}", PARTIAL)
        assert same(hidden) == same(served.get(f"/meters/{NOBODY}", PARTIAL))
    lift = served.world.extra["lift"]
    assert served.get(f"/appliances/{lift}", PARTIAL).status_code == 404
    one = served.get(f"/meters/{served.point('hvac')}", PARTIAL).json()
    assert one["parent_id"] is None
    office = served.world.sites["Office Dublin"]
    site = served.get(f"/sites/{office}", PARTIAL).json()
    assert (site["address"], site["contact_email"]) == (None, None)
    assert served.get(f"/sites/{office}/metadata", PARTIAL).status_code == 404
    assert served.get(f"/sites/{office}", VIEWER).json()["address"] == ""
    assert served.get(f"/sites/{office}", VIEWER).json()["contact_email"] is None
    assert served.get(f"/sites/{office}", ADMIN).json()["contact_email"] == ""


def test_a_meter_is_no_appliance_and_an_appliance_no_meter(served: Served) -> None:
    """One number is one thing: an address of the other kind does not have it."""
    lift, main = served.world.extra["lift"], served.point("main")
    assert served.get(f"/meters/{lift}").status_code == 404
    assert served.get(f"/appliances/{main}").status_code == 404
    told = served.get(f"/appliances/{lift}").json()
    assert (told["meter_id"], told["parent_id"]) == (main, main)


def test_a_session_opens_no_api_and_a_token_no_page(served: Served) -> None:
    """Two ways in, and neither is the other's."""
    from tests.dashboard.conftest import form_token  # noqa: PLC0415 - its fixtures are not ours
    from tests.dashboard.worlds import PASSWORD  # noqa: PLC0415

    client = served.client
    sent = {"csrf": form_token(client), "email": ADMIN, "password": PASSWORD}
    try:
        assert client.post("/login", data=sent).status_code == 303
        assert client.get("/account/tokens").status_code == 200, "the cookie works on pages"
        assert client.get(f"{PREFIX}/organizations").status_code == 401
    finally:
        client.cookies.clear()
    head = {"authorization": f"Bearer {served.texts[ADMIN]}"}
    assert client.get("/data/today", headers=head).status_code == 401
    assert client.get("/organization/1", headers=head).status_code == 401
