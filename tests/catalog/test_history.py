"""The history of an organisation, and taking changes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import select

from kilowatch.catalog import giving, groups, history, people, plans
from kilowatch.catalog.changes import Change
from kilowatch.catalog.history import Filter
from kilowatch.catalog.tables import AuditEntry, DataPoint, Grant, Membership, Site, User
from kilowatch.catalog.tables_people import GroupMember
from kilowatch.model.errors import KilowatchError
from tests.catalog.people_world import GOOD, World

T = TypeVar("T")


def do(folks: World, work: Callable[[Change], object], name: str = "ann") -> AuditEntry:
    """Make a change and return its last entry."""
    with folks.catalog.change(folks.actor(name)) as change:
        work(change)
    with folks.catalog.reading() as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    return entry


def undo(folks: World, entry: AuditEntry, name: str = "ann") -> AuditEntry:
    """Take a change back and return the entry of that."""
    who = folks.person(name)

    def work(change: Change) -> None:
        acme = folks.organisations["Acme"].id
        history.undo(change, who, history.find(change.session, acme, entry.id))

    return do(folks, work, name)


def get(folks: World, kind: type[T], number: int) -> T:
    """Read a row as it is now."""
    with folks.catalog.reading() as session:
        row = session.get(kind, number)
    assert row is not None
    return row


def set_interval(folks: World, seconds: int) -> Callable[[Change], None]:
    """Change the interval of the main meter."""

    def work(change: Change) -> None:
        point = change.session.get(DataPoint, folks.points["main"].id)
        assert point is not None
        point.interval_s = seconds

    return work


def test_a_setting_goes_back_to_what_it_was_and_the_history_says_so(folks: World) -> None:
    """An interval that was changed by mistake; figures are computed again as for any change."""
    entry = do(folks, set_interval(folks, 900))
    assert (entry.before, entry.after) == ({"interval_s": 300}, {"interval_s": 900})
    revision = folks.catalog.revision()
    taken_back = undo(folks, entry)
    assert get(folks, DataPoint, folks.points["main"].id).interval_s == 300
    assert (taken_back.undoes_id, taken_back.action) == (entry.id, "changed")
    assert taken_back.actor == "ann@example.com"
    assert folks.catalog.revision() > revision, "the pipeline is told"
    with folks.catalog.reading() as session:
        assert history.undone_by(session, [entry.id])[entry.id].id == taken_back.id


def test_what_was_changed_again_since_is_not_taken_back(folks: World) -> None:
    """Undo never throws away a later change."""
    entry = do(folks, set_interval(folks, 900))
    do(folks, set_interval(folks, 60))
    with pytest.raises(KilowatchError) as refused:
        undo(folks, entry)
    assert refused.value.code == "cannot_undo"
    assert get(folks, DataPoint, folks.points["main"].id).interval_s == 60


def test_a_setting_that_no_longer_fits_the_others_is_not_set_back(folks: World) -> None:
    """Undo refuses what a person could not set either, and changes nothing."""

    def to_gauge(change: Change) -> None:
        point = change.session.get(DataPoint, folks.points["main"].id)
        assert point is not None
        point.register_max = 1000.0

    entry = do(folks, to_gauge)

    def to_amount(change: Change) -> None:
        point = change.session.get(DataPoint, folks.points["main"].id)
        assert point is not None
        point.register_max = None

    cleared = do(folks, to_amount)

    def behaviour(change: Change) -> None:
        point = change.session.get(DataPoint, folks.points["main"].id)
        assert point is not None
        point.behaviour = "amount"

    do(folks, behaviour)
    with pytest.raises(KilowatchError):
        undo(folks, cleared)
    assert get(folks, DataPoint, folks.points["main"].id).register_max is None
    assert entry.after == {"register_max": 1000.0}


def test_access_that_was_taken_is_given_again_and_the_other_way_round(folks: World) -> None:
    """A site that Tom lost by mistake is his again; one that he got by mistake is not."""
    tom, shop = folks.users["tom"], folks.sites["Shop"]
    taken = do(folks, lambda change: people.withdraw(change, tom, shop))
    assert taken.action == "removed"
    given = undo(folks, taken)
    with folks.catalog.reading() as session:
        assert session.scalars(select(Grant).where(Grant.user_id == tom.id)).one()
    undo(folks, given)
    with folks.catalog.reading() as session:
        assert not session.scalars(select(Grant).where(Grant.user_id == tom.id)).all()


def test_access_is_not_given_back_to_who_has_left(folks: World) -> None:
    """Nothing comes back without the role that it hung on."""
    tom, shop, acme = folks.users["tom"], folks.sites["Shop"], folks.organisations["Acme"]
    taken = do(folks, lambda change: people.withdraw(change, tom, shop))
    do(folks, lambda change: people.remove_role(change, tom, acme))
    with pytest.raises(KilowatchError):
        undo(folks, taken)


def test_a_role_goes_back_within_the_rules_of_giving(folks: World) -> None:
    """Undoing is a change like any other: the last administrator stays, and nobody gives more."""
    ann, vera, acme = folks.users["ann"], folks.users["vera"], folks.organisations["Acme"]
    entry = do(folks, lambda change: people.set_role(change, vera, acme, "administrator"))
    demoted = do(folks, lambda change: people.set_role(change, ann, acme, "viewer"), "vera")
    with pytest.raises(KilowatchError) as refused:
        undo(folks, entry, "vera")
    assert refused.value.code == "last_administrator"
    with pytest.raises(KilowatchError) as refused:
        undo(folks, demoted, "ann")  # a viewer makes nobody an administrator
    assert refused.value.code == "gives_too_much"
    undo(folks, demoted, "vera")
    undo(folks, entry, "ann")
    with folks.catalog.reading() as session:
        role = select(Membership.role).where(Membership.user_id == vera.id)
        assert session.scalar(role) == "viewer"


def test_another_organisations_entries_are_not_there(folks: World) -> None:
    """Neither to read nor to take back."""

    def rename(change: Change) -> None:
        site = change.session.get(Site, folks.sites["Works"].id)
        assert site is not None
        site.city = "Cork"

    entry = do(folks, rename, "sue")
    with pytest.raises(KilowatchError) as refused:
        undo(folks, entry)
    assert refused.value.status == 404
    with folks.catalog.reading() as session:
        found = history.entries(session, folks.organisations["Acme"].id, Filter(), 500)
    assert entry.id not in {one.id for one in found}
    assert all(one.organisation_id in {None, folks.organisations["Acme"].id} for one in found)


def test_nothing_about_passwords_can_be_taken_back(folks: World) -> None:
    """A password that was changed stays changed: nobody knows the old one, and nobody may."""
    tom = folks.users["tom"]
    entry = do(folks, lambda change: people.set_password(change, tom.id, "a brand new password"))
    assert entry.after == {"password_hash": "replaced"}
    with pytest.raises(KilowatchError):
        undo(folks, entry)


def test_a_taken_name_is_no_fault_of_the_server(folks: World) -> None:
    """Somebody else has the old name by now: the undo is refused in words."""
    acme = folks.organisations["Acme"].id

    def rename(change: Change) -> None:
        site = change.session.get(Site, folks.sites["Shop"].id)
        assert site is not None
        site.name = "Store"

    def take_name(change: Change) -> None:
        site = change.session.get(Site, folks.sites["Office"].id)
        assert site is not None
        site.name = "Shop"

    entry = do(folks, rename)
    do(folks, take_name)
    with pytest.raises(KilowatchError) as refused:
        undo(folks, entry)
    assert refused.value.code == "site_exists"
    assert acme == get(folks, Site, folks.sites["Shop"].id).organisation_id


def test_members_of_groups_and_plans_go_back_too(folks: World) -> None:
    """What an administrator does every day can be taken back."""
    acme = folks.organisations["Acme"].id
    with folks.catalog.change(folks.actor("ann")) as change:
        group = groups.add(change, acme, "Staff")
        groups.add_place(change, group, change.session.get(Site, folks.sites["Shop"].id))  # type: ignore[arg-type]
        groups.add_member(change, group, change.session.get(User, folks.users["tom"].id))  # type: ignore[arg-type]
    left = do(folks, lambda change: groups.remove_member(change, group, folks.users["tom"].id))
    undo(folks, left)
    with folks.catalog.reading() as session:
        assert session.scalars(select(GroupMember)).one().user_id == folks.users["tom"].id

    def fewer(change: Change) -> None:
        plan = plans.plans(change.session, acme)[1]
        plans.alter(change, plan, plan.name, ["breakdown"])
        giving.still_administered(change.session, acme)

    undo(folks, do(folks, fewer))
    with folks.catalog.reading() as session:
        assert "forecast" in plans.plans(session, acme)[1].tools


def test_filters_find_by_person_subject_and_time_page_by_page(folks: World) -> None:
    """Among thousands of entries the one that matters is found."""
    acme = folks.organisations["Acme"].id
    for minutes in (60, 120, 180):
        folks.wait(60_000)
        do(folks, set_interval(folks, minutes))
    with folks.catalog.reading() as session:
        ann = folks.users["ann"].id
        mine = history.entries(session, acme, Filter(user_id=ann))
        assert [e.after["interval_s"] for e in mine] == [180, 120, 60]
        assert not history.entries(session, acme, Filter(user_id=ann, subject="site"))
        late = Filter(user_id=ann, from_ms=folks.now[0])
        assert [e.after["interval_s"] for e in history.entries(session, acme, late)] == [180]
        early = Filter(user_id=ann, until_ms=folks.now[0])
        assert len(history.entries(session, acme, early)) == 2
        first = history.entries(session, acme, Filter(), 2)
        second = history.entries(session, acme, Filter(before_id=first[-1].id), 2)
        assert [e.id for e in first + second] == sorted(
            (e.id for e in first + second), reverse=True
        )
    assert GOOD not in str([e.after for e in mine])
