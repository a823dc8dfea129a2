"""From test to production: the same streams, new passwords, and a clean beginning if wanted."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import alerts, credentials, going_live, startup
from kilowatch.catalog.directory import load
from kilowatch.catalog.startup import StartupPackage, Wishes
from kilowatch.catalog.tables import AuditEntry
from kilowatch.model.errors import KilowatchError


@pytest.fixture
def package(opened: catalog.Catalog, key: bytes, actor: catalog.Actor) -> StartupPackage:
    """Return a startup package in the development environment."""
    with opened.change(actor) as change:
        return startup.make(change, key, "Acme", "ann@example.com", Wishes())


def test_a_startup_package_can_push_to_its_three_streams(
    opened: catalog.Catalog, key: bytes, package: StartupPackage
) -> None:
    """What an integrator is handed works for all of it at once."""
    directory = load(opened, "development")
    credential = directory.credential(package.issued.credential.username)
    assert credential is not None
    assert credential.secret_digest == catalog.secrets.digest(key, package.issued.secret)
    points = [directory.find(credential, p.stream_id) for p in package.streams.values()]
    assert [(p.kind, p.utility, p.unit, p.behaviour, p.interval_s) for p in points if p] == [
        ("electrical", "electricity", "Wh", "register", 300),
        ("single", "gas", "m3", "register", 300),
        ("single", "environmental", "°C", "gauge", 300),
    ]
    assert {p.zone for p in points if p} == {"Europe/Dublin"}


@pytest.mark.parametrize("leave_test_data", [False, True])
def test_going_live_keeps_the_stream_ids(
    opened: catalog.Catalog,
    key: bytes,
    actor: catalog.Actor,
    package: StartupPackage,
    leave_test_data: bool,
) -> None:
    """A gateway gets a new user name and password, and nothing else in it changes."""
    with opened.change(actor) as change:
        live = going_live.go_live(
            change, key, package.organisation, leave_test_data=leave_test_data
        )
    issued = live.issued[package.issued.credential.username]
    assert issued.credential.environment == "production"
    production, development = load(opened, "production"), load(opened, "development")
    new = production.credential(issued.credential.username)
    assert new is not None
    assert {p.stream_id for p in production.points.values()} == {
        p.stream_id for p in development.points.values()
    }
    shared = set(production.points) & set(development.points)
    assert shared == (set() if leave_test_data else {1, 2, 3})


def test_test_data_that_is_left_behind_stays_reachable(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, package: StartupPackage
) -> None:
    """Production begins empty, development goes on, and both know whose an old reading is."""
    with opened.change(actor) as change:
        going_live.go_live(change, key, package.organisation, leave_test_data=True)
    production, development = load(opened, "production"), load(opened, "development")
    assert list(production.points) == [4, 5, 6]
    assert list(development.points) == [1, 2, 3]
    old, new = production.by_series(1), production.by_series(4)
    assert old is not None
    assert new is not None
    assert (old.id, old.series, new.series) == (new.id, 1, 4)
    assert production.by_series(7) is None


def test_going_live_happens_once(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, package: StartupPackage
) -> None:
    """A second time would hand out a second set of passwords without anybody noticing."""
    with opened.change(actor) as change:
        going_live.go_live(change, key, package.organisation)
    before = load(opened, "production")
    with pytest.raises(KilowatchError, match="live already") as refused, opened.change(actor) as c:
        going_live.go_live(c, key, package.organisation)
    assert "credential add --environment production" in refused.value.remedy
    assert opened.revision() == before.revision


def test_a_revoked_credential_does_not_go_live(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, package: StartupPackage
) -> None:
    """A gateway that was shut out in the test does not come back in production."""
    with opened.change(actor) as change:
        credentials.revoke(change, package.issued.credential.username)
        live = going_live.go_live(change, key, package.organisation)
    assert live.issued == {}


def test_a_second_package_for_the_same_name_or_address_changes_nothing(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, package: StartupPackage
) -> None:
    """Nobody gets into an organisation by asking for a startup package in its name."""
    before = opened.revision()
    for name, email in (("  acme ", "bob@example.com"), ("Bcme", "ANN@example.com")):
        with pytest.raises(KilowatchError, match="already"), opened.change(actor) as change:
            startup.make(change, key, name, email, Wishes())
    assert opened.revision() == before
    assert len(load(opened, "development").points) == 3


def test_a_package_tells_what_sentinel_finds_on_the_bell(
    opened: catalog.Catalog, package: StartupPackage
) -> None:
    """Nobody has to know that there are rules to be told; a message goes to nobody unasked."""
    with opened.reading() as session:
        (rule,) = alerts.rules(session, package.organisation.id)
        assert (rule.name, rule.kind, rule.enabled) == (alerts.USUAL_NAME, "sentinel", True)
        assert not alerts.uses(session)
        made = select(AuditEntry).filter_by(subject="alert_rule", subject_id=rule.id)
        assert [one.action for one in session.scalars(made)] == ["created"]


def test_a_package_of_a_production_server_is_live_at_once(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor
) -> None:
    """Where there never was a test environment, the first credentials work in production."""
    with opened.change(actor) as change:
        made = startup.make(change, key, "Acme", "a@example.com", Wishes(environment="production"))
    assert load(opened, "production").credential(made.issued.credential.username) is not None
    assert load(opened, "production").credential("a@example.com") is not None
