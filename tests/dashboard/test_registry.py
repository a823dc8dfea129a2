"""The catalogue as pages see it follows changes that other programs make."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from kilowatch import catalog as catalogs
from kilowatch.catalog import people, registry, rights
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tables import DataPoint
from kilowatch.dashboard.registry import Registry
from tests.dashboard.worlds import ADMIN, World, build


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Build a world that these tests may change."""
    made = build(tmp_path_factory.mktemp("registry"), days=1)
    yield made
    made.writer.close()
    made.log.close()
    made.catalog.close()


def rename(world: World, name: str) -> None:
    """Give the main supply another name, as another program does: nobody tells the pages."""
    with world.catalog.change(catalogs.Actor("test")) as change:
        change.session.get_one(DataPoint, world.point("main").id).name = name


def administrator(session: Session) -> Person:
    """Return the administrator with the rights of this moment."""
    user = people.find_by_email(session, ADMIN)
    assert user is not None
    return rights.person(session, user)


def test_a_change_is_seen_in_time_by_pages_that_are_asked_all_the_time(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look within a quarter of a second of the last must not put the next one off."""
    now = [time.monotonic()]
    monkeypatch.setattr("kilowatch.dashboard.registry.time.monotonic", lambda: now[0])
    seen = Registry(own.catalog, "development")
    number = own.point("main").id
    seen.directory()
    rename(own, "Renamed by a colleague")
    names = []
    for _ in range(10):
        now[0] += 0.1
        names.append(seen.directory().points[number].name)
    assert names[0] != names[-1] == "Renamed by a colleague"
    assert names.index("Renamed by a colleague") <= 3, "within a quarter of a second"


def test_a_tree_is_as_new_as_the_rights_it_shows(own: World) -> None:
    """A role that was given a moment ago has its organisation in the tree."""
    seen = Registry(own.catalog, "development")
    seen.directory()
    with own.catalog.reading() as session:
        before = seen.tree(administrator(session))
    with own.catalog.change(catalogs.Actor("test")) as change:
        user = people.find_by_email(change.session, ADMIN)
        assert user is not None
        other = registry.find_organisation(change.session, "Elsewhere")
        people.set_role(change, user, other, "administrator")
    with own.catalog.reading() as session:
        after = seen.tree(administrator(session))
    assert {one.name for one in after} - {one.name for one in before} == {"Elsewhere"}


def test_rights_that_were_read_before_they_were_taken_leave_nothing_behind(own: World) -> None:
    """Who was being answered while a right went is answered by it once, and never again."""
    seen = Registry(own.catalog, "development")
    with own.catalog.reading() as session:
        before = administrator(session)
    with own.catalog.change(catalogs.Actor("test")) as change:
        user = people.find_by_email(change.session, ADMIN)
        assert user is not None
        acme = registry.find_organisation(change.session, "Acme")
        people.set_role(change, user, acme, "end user", whole=False)
    assert "Acme" in {one.name for one in seen.tree(before)}, "begun before, as a page is"
    with own.catalog.reading() as session:
        assert "Acme" not in {one.name for one in seen.tree(administrator(session))}
