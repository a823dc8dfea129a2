"""Groups, roles, plans and invitations: who gets what, from whom, and who is always left."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import (
    credentials,
    directory,
    giving,
    groups,
    invitations,
    people,
    plans,
    rights,
    sessions,
    tools,
)
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.invitations import Wishes
from kilowatch.catalog.tables import ROLES, AuditEntry, Membership, Organisation, Role, User
from kilowatch.catalog.tables_people import Group, GroupMember, Invitation, Plan
from kilowatch.catalog.tree import tree
from kilowatch.model.errors import KilowatchError
from tests.catalog.people_world import GOOD, KEY, World

HERE = "192.0.2.1"
T = TypeVar("T")


def row(change: catalog.Change, made: T) -> T:
    """Return a row in an open change."""
    found = change.session.get(type(made), made.id)  # type: ignore[attr-defined]
    assert found is not None
    return found


def shop_group(folks: World, *members: str) -> Group:
    """Make a group that opens the shop and the main meter."""
    with folks.catalog.change(folks.actor("ann")) as change:
        group = groups.add(change, folks.organisations["Acme"].id, "Shop staff")
        groups.add_place(change, group, row(change, folks.sites["Shop"]))
        groups.add_place(change, group, row(change, folks.points["main"]))
        for name in members:
            groups.add_member(change, group, row(change, folks.users[name]))
    return group


def reads(folks: World, name: str, point: str) -> bool:
    """Tell whether a person may read a data point."""
    one = folks.points[point]
    return rights.may(
        folks.person(name), "read", organisation_id=one.organisation_id, site_id=one.site_id,
        data_point_id=one.id,
    )  # fmt: skip


def test_a_group_opens_its_places_to_its_members(folks: World) -> None:
    """On pages, in the tree and for pushing: the same rights everywhere."""
    assert not reads(folks, "tom", "main")
    group = shop_group(folks, "tom")
    assert reads(folks, "tom", "main")
    assert reads(folks, "tom", "till")
    with folks.catalog.reading() as session:
        (acme,) = tree(session, folks.person("tom"))
    assert {site.name for site in acme.sites} == {"Office", "Shop"}
    with folks.catalog.change(folks.actor("ann")) as change:
        groups.remove_member(change, row(change, group), folks.users["tom"].id)
    assert not reads(folks, "tom", "main")
    assert reads(folks, "tom", "till"), "what was granted to Tom himself stays"


def test_a_group_opens_pushing_to_persons_and_to_their_credentials(folks: World) -> None:
    """A gateway with Tom's credential pushes what Tom may see, within one revision."""
    acme = folks.organisations["Acme"]
    with folks.catalog.change(folks.actor("ann")) as change:
        issued = credentials.issue(
            change, KEY, Target(row(change, acme), row(change, folks.users["tom"])),
            environment="development",
        )  # fmt: skip
    name = issued.credential.username
    before = directory.load(folks.catalog, "development")
    main = before.by_id(folks.points["main"].id)
    assert main is not None

    def may_push(username: str) -> bool:
        now = directory.load(folks.catalog, "development")
        record = now.credential(username)
        assert record is not None
        return record.allowed(main)

    assert not may_push(name)
    group = shop_group(folks, "tom")
    assert folks.catalog.revision() > before.revision, "the collector is told to load"
    assert may_push(name)
    assert may_push("tom@example.com")
    with folks.catalog.change(folks.actor("ann")) as change:
        groups.remove(change, row(change, group))
    assert not may_push(name)


def test_a_group_gives_nothing_to_who_has_no_role(folks: World) -> None:
    """Who left the organisation has left its groups."""
    group = shop_group(folks, "tom")
    acme = folks.organisations["Acme"]
    with folks.catalog.change(folks.actor("ann")) as change:
        people.remove_role(change, row(change, folks.users["tom"]), row(change, acme))
    assert not reads(folks, "tom", "till")
    with folks.catalog.change(folks.actor("ann")) as change:
        assert not change.session.scalars(select(GroupMember)).all()
        with pytest.raises(KilowatchError) as refused:
            groups.add_member(change, row(change, group), row(change, folks.users["sue"]))
    assert refused.value.code == "other_organisation"


def test_a_group_holds_places_of_its_own_organisation_only(folks: World) -> None:
    """Nothing of one organisation is opened by another."""
    group = shop_group(folks)
    with folks.catalog.change(folks.actor("ann")) as change:
        with pytest.raises(KilowatchError) as refused:
            groups.add_place(change, row(change, group), row(change, folks.sites["Works"]))
        with pytest.raises(KilowatchError):
            groups.find(change.session, folks.organisations["Elsewhere"].id, group.id)
    assert refused.value.code == "other_organisation"


def test_a_name_is_taken_once_in_any_letter_case(folks: World) -> None:
    """Two groups called the same would be mixed up."""
    shop_group(folks)
    with folks.catalog.change(folks.actor("ann")) as change, pytest.raises(KilowatchError):
        groups.add(change, folks.organisations["Acme"].id, "shop  STAFF")


def set_role(
    folks: World, name: str, role: Role, giver: str = "ann", *, whole: bool = True,
    plan: str | None = None,
) -> None:  # fmt: skip
    """Give somebody a role in Acme."""
    who = folks.person(giver)
    with folks.catalog.change(folks.actor(giver)) as change:
        here = folks.organisations["Acme"].id
        found = {one.name: one for one in plans.plans(change.session, here)}
        giving.set_role(
            change, who, row(change, folks.users[name]), row(change, folks.organisations["Acme"]),
            role, whole=whole, plan=found[plan] if plan else None,
        )  # fmt: skip


def refused_with(code: str) -> pytest.RaisesExc[KilowatchError]:
    """Expect a refusal with this code."""
    return pytest.raises(KilowatchError, check=lambda error: error.code == code)


@pytest.mark.parametrize("role", [r for r in ROLES if "admin" not in r])
def test_only_administrators_give_roles(folks: World, role: Role) -> None:
    """A manager who could invite an administrator would be one."""
    set_role(folks, "vera", role)
    with refused_with("gives_too_much"):
        set_role(folks, "tom", "viewer", giver="vera")


def test_nobody_gives_in_an_organisation_that_is_not_theirs(folks: World) -> None:
    """Sue administers Elsewhere; in Acme she gives nothing."""
    with refused_with("gives_too_much"):
        set_role(folks, "tom", "viewer", giver="sue")


def test_an_administrator_of_a_part_gives_a_part(folks: World) -> None:
    """Who has one site gives that site, not the organisation and not another site."""
    set_role(folks, "vera", "administrator", whole=False)
    with folks.catalog.change(folks.actor("ann")) as change:
        people.grant(change, row(change, folks.users["vera"]), row(change, folks.sites["Shop"]))
    vera = folks.person("vera")
    acme = folks.organisations["Acme"].id
    giving.check_role(vera, acme, "viewer", whole=False)
    giving.check_places(vera, [folks.sites["Shop"], folks.points["till"]])
    with refused_with("gives_too_much"):
        giving.check_role(vera, acme, "viewer", whole=True)
    for place in (folks.sites["Office"], folks.points["main"], folks.sites["Works"]):
        with refused_with("gives_too_much"):
            giving.check_places(vera, [place])


def test_the_last_administrator_stays(folks: World) -> None:
    """An organisation that nobody administers could never be helped from its pages again."""
    acme, ann = folks.organisations["Acme"], folks.users["ann"]
    with refused_with("last_administrator"):
        set_role(folks, "ann", "manager")
    with refused_with("last_administrator"):
        set_role(folks, "ann", "administrator", whole=False)
    with refused_with("last_administrator"):
        set_role(folks, "ann", "administrator", plan="Standard")  # without the pages of Admin
    with refused_with("last_administrator"), folks.catalog.change(folks.actor("ann")) as change:
        giving.remove(change, row(change, ann), row(change, acme))
    assert folks.person("ann").standings[acme.id] == rights.Standing("administrator", whole=True)
    set_role(folks, "vera", "partner administrator")
    set_role(folks, "ann", "viewer")
    with refused_with("last_administrator"):
        set_role(folks, "vera", "viewer", giver="vera")


def test_a_closed_account_does_not_count_as_an_administrator(folks: World) -> None:
    """Two administrators, one of them closed: the other stays."""
    set_role(folks, "vera", "administrator")
    giver = folks.person("ann")
    with folks.catalog.change(folks.actor("ann")) as change:
        giving.disable(change, giver, row(change, folks.users["vera"]))
    with refused_with("last_administrator"):
        set_role(folks, "ann", "viewer")


def test_an_account_is_closed_by_who_administers_all_its_organisations(folks: World) -> None:
    """Ann also belongs to Elsewhere: an administrator of Acme alone can't take that from her."""
    set_role(folks, "vera", "administrator")
    giver = folks.person("vera")
    with refused_with("other_organisations"), folks.catalog.change(folks.actor("vera")) as change:
        giving.disable(change, giver, row(change, folks.users["ann"]))
    with folks.catalog.change(folks.actor("vera")) as change:
        giving.disable(change, giver, row(change, folks.users["tom"]))
        giving.enable(change, giver, row(change, folks.users["tom"]))
        with refused_with("other_organisations"):
            giving.take_second_factor(change, giver, row(change, folks.users["ann"]))


def test_a_new_organisation_has_plans_and_full_is_none_of_them(folks: World) -> None:
    """Full means every tool, also those that come later: it is the absence of a plan."""
    with folks.catalog.reading() as session:
        names = [p.name for p in plans.plans(session, folks.organisations["Acme"].id)]
    assert names == ["Data import", "Standard"]
    assert rights.has_tool(folks.person("ann"), "a tool of next year", 1)
    with refused_with("plan_exists"), folks.catalog.change(folks.actor("ann")) as change:
        plans.add(change, folks.organisations["Acme"].id, " full ", [])


def test_a_plan_says_which_tools_its_people_have(folks: World) -> None:
    """In the organisation that it is of; elsewhere another plan counts."""
    set_role(folks, "vera", "viewer", plan="Data import")
    vera, acme = folks.person("vera"), folks.organisations["Acme"].id
    assert rights.has_tool(vera, "import", acme)
    assert not rights.has_tool(vera, "breakdown", acme)
    assert not rights.has_tool(vera, "import", folks.organisations["Elsewhere"].id)


def test_nobody_gives_tools_that_they_have_not(folks: World) -> None:
    """An administrator without Import gives nobody Import, nor a new plan that has it."""
    set_role(folks, "vera", "administrator")
    with folks.catalog.change(folks.actor("ann")) as change:
        acme = folks.organisations["Acme"].id
        plans.add(change, acme, "Office", ["admin", "breakdown"])
    set_role(folks, "vera", "administrator", plan="Office")
    vera, acme = folks.person("vera"), folks.organisations["Acme"].id
    giving.check_tools(vera, acme, frozenset({"breakdown"}))
    for more in (frozenset({"import"}), None):
        with refused_with("gives_too_much"):
            giving.check_tools(vera, acme, more)
    with refused_with("gives_too_much"):
        set_role(folks, "tom", "viewer", giver="vera", plan="Data import")
    set_role(folks, "tom", "viewer", giver="ann", plan="Data import")
    set_role(folks, "tom", "analyst", giver="vera", plan="Data import")  # kept, not given


tools_or_all = st.one_of(st.none(), st.frozensets(st.sampled_from(tools.TOOLS)))


@given(given_=tools_or_all, limit=tools_or_all, tool=st.sampled_from([*tools.TOOLS, "later"]))
def test_within_means_no_tool_more(given_: plans.Tools, limit: plans.Tools, tool: str) -> None:
    """What is within somebody's tools never holds a tool that they have not."""
    if plans.within(given_, limit) and plans.has(given_, tool):
        assert plans.has(limit, tool)
    assert plans.within(given_, given_)


def test_a_plan_in_use_is_not_removed(folks: World) -> None:
    """Nobody gets every tool because their plan was deleted."""
    set_role(folks, "vera", "viewer", plan="Data import")
    with folks.catalog.change(folks.actor("ann")) as change:
        acme = folks.organisations["Acme"].id
        used, unused = plans.plans(change.session, acme)
        with refused_with("plan_in_use"):
            plans.remove(change, used)
        plans.remove(change, unused)
        with refused_with("unknown_plan"):
            plans.find(change.session, folks.organisations["Elsewhere"].id, used.id)
        with refused_with("unknown_tool"):
            plans.alter(change, used, "x", ["world domination"])


def invite(
    folks: World, email: str = "new@example.com", giver: str = "ann", **wishes: object
) -> str:
    """Invite somebody to Acme; returns the link's token."""
    who = folks.person(giver)
    asked = replace(Wishes(email, "viewer"), **wishes)  # type: ignore[arg-type]
    with folks.catalog.change(folks.actor(giver)) as change:
        acme = row(change, folks.organisations["Acme"])
        return invitations.invite(change, KEY, who, acme, asked)[1]


def accept(folks: World, token: str, password: str | None = GOOD) -> User:
    """Take an invitation."""
    return invitations.accept(
        folks.catalog, KEY, token, name="Nora", password=password, address=HERE
    )


def test_an_invitation_makes_an_account_with_what_was_given(folks: World) -> None:
    """Nora chooses a password and sees the shop and nothing else."""
    token = invite(folks, " New@Example.com", role="analyst", whole=False,
                   places=(folks.sites["Shop"],))  # fmt: skip
    nora = accept(folks, token)
    folks.users["nora"] = nora
    assert (nora.email, nora.name) == ("new@example.com", "Nora")
    assert reads(folks, "nora", "till")
    assert not reads(folks, "nora", "main")
    assert sessions.authenticate(
        folks.catalog, KEY, email="new@example.com", password=GOOD, address=HERE
    ).token


def test_an_invitation_with_the_full_plan_changes_no_plan(folks: World) -> None:
    """The history does not say that a plan was changed from Full to Full, and offer to undo it."""
    accept(folks, invite(folks))
    with folks.catalog.reading() as session:
        plans = [
            entry
            for entry in session.scalars(select(AuditEntry))
            if entry.action == "changed" and "plan_id" in entry.after
        ]
    assert plans == []


def test_an_invitation_works_once_for_seven_days(folks: World) -> None:
    """A forwarded or an old mail opens nothing."""
    token = invite(folks)
    accept(folks, token)
    with refused_with("invitation_over"):
        accept(folks, token)
    late = invite(folks, "late@example.com")
    folks.wait(invitations.VALID_MS)
    with refused_with("invitation_over"):
        accept(folks, late)


def test_sending_again_and_withdrawing_end_the_earlier_link(folks: World) -> None:
    """Of several mails only the last opens; of a withdrawn one none."""
    first = invite(folks)
    with folks.catalog.change(folks.actor("ann")) as change:
        (waiting,) = invitations.open_invitations(change.session, folks.organisations["Acme"].id)
        second = invitations.renew(change, KEY, waiting)
    with refused_with("invitation_over"):
        accept(folks, first)
    third = invite(folks)  # invited once more: the earlier one is withdrawn
    with refused_with("invitation_over"):
        accept(folks, second)
    with folks.catalog.change(folks.actor("ann")) as change:
        (waiting,) = invitations.open_invitations(change.session, folks.organisations["Acme"].id)
        invitations.withdraw(change, waiting)
        with refused_with("unknown_invitation"):
            invitations.find(change.session, folks.organisations["Acme"].id, waiting.id)
    with refused_with("invitation_over"):
        accept(folks, third)


def test_who_has_an_account_keeps_their_password(folks: World) -> None:
    """An invitation never sets the password of an account that exists."""
    token = invite(folks, "sue@example.com")
    with refused_with("account_exists"):
        accept(folks, token, "a password of the finder")
    accept(folks, token, None)
    assert folks.organisations["Acme"].id in folks.person("sue").standings
    fresh = invite(folks, "fresh@example.com")
    with refused_with("account_exists"):
        accept(folks, fresh, None)  # and nobody gets an account without one


def test_what_is_given_is_checked_when_it_is_taken(folks: World) -> None:
    """Letters of an administrator who was demoted meanwhile are void."""
    set_role(folks, "vera", "administrator")
    token = invite(folks, giver="vera", role="administrator")
    set_role(folks, "vera", "viewer")
    with refused_with("invitation_over"):
        accept(folks, token)
    with folks.catalog.reading() as session:
        assert people.find_by_email(session, "new@example.com") is None


def test_invitations_that_cannot_be_meant_are_refused(folks: World) -> None:
    """No places, no such role, somebody who is there already."""
    for code, email, wishes in (
        ("no_places", "a@example.com", {"whole": False}),
        ("invalid_role", "a@example.com", {"role": "owner"}),
        ("already_member", "vera@example.com", {}),
        ("invalid_email", "nobody", {}),
        ("gives_too_much", "a@example.com", {"whole": False, "places": (folks.sites["Works"],)}),
    ):
        with refused_with(code):
            invite(folks, email, **wishes)


def test_an_invitation_is_stored_without_its_token(folks: World) -> None:
    """Neither the table nor the history opens an account."""
    token = invite(folks)
    with folks.catalog.reading() as session:
        waiting = session.scalars(select(Invitation)).one()
        assert token.encode() not in waiting.token_digest
        assert session.scalars(select(Membership)).all()
        assert session.scalars(select(Plan)).all()
        assert session.scalars(select(Organisation)).all()


def test_a_thousand_machines_slow_an_account_down_but_not_its_owner(folks: World) -> None:
    """The owner's own browser has its own budget; a stranger's has not."""
    device = sessions.authenticate(
        folks.catalog, KEY, email="ann@example.com", password=GOOD, address=HERE
    ).device
    for number in range(60):
        with pytest.raises(KilowatchError):
            sessions.authenticate(
                folks.catalog, KEY, email="ann@example.com", password="guess",
                address=f"198.51.100.{number}",
            )  # fmt: skip
    stranger = {"email": "ann@example.com", "password": GOOD, "address": "203.0.113.5"}
    with refused_with("log_in_slowed"):
        sessions.authenticate(folks.catalog, KEY, **stranger)
    assert sessions.authenticate(folks.catalog, KEY, **stranger, device=device).token
    for cookie in (device.replace("1.", "2.", 1), device[:-1], ""):
        with refused_with("log_in_slowed"):
            sessions.authenticate(folks.catalog, KEY, **stranger, device=cookie)


def test_a_known_browser_that_guesses_is_slowed_too(folks: World) -> None:
    """Who steals a laptop has five tries, and none at a colleague's account."""
    device = sessions.authenticate(
        folks.catalog, KEY, email="ann@example.com", password=GOOD, address=HERE
    ).device
    for number in range(5):
        with refused_with("log_in_failed"):
            sessions.authenticate(
                folks.catalog, KEY, email="ann@example.com", password="guess",
                address=f"198.51.100.{number}", device=device,
            )  # fmt: skip
    with refused_with("log_in_slowed"):
        sessions.authenticate(
            folks.catalog, KEY, email="ann@example.com", password=GOOD, address=HERE,
            device=device,
        )  # fmt: skip
