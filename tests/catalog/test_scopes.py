"""Who may push where: every scope against every place, in both environments."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kilowatch import catalog
from kilowatch.catalog import credentials, data_points, going_live, people, registry
from kilowatch.catalog.credentials import Issued, Target
from kilowatch.catalog.directory import Directory, load
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Environment
from kilowatch.model.errors import KilowatchError

GAS = Settings("single", "gas", 300)
PLACES = ("main", "other on site", "elsewhere", "theirs")


@dataclass
class World:
    """Two organisations; the first has two sites and three data points."""

    opened: catalog.Catalog
    issued: dict[tuple[str, str], Issued] = field(default_factory=dict)
    password: str = ""

    def directory(self, environment: Environment) -> Directory:
        """Load what a server of that environment knows."""
        return load(self.opened, environment)


@pytest.fixture
def world(opened: catalog.Catalog, key: bytes, actor: catalog.Actor) -> World:
    """Make the two organisations with one credential for each scope and environment."""
    made = World(opened)
    with opened.change(actor) as change:
        ours = registry.add_organisation(change, "Ours", country="IE")
        theirs = registry.add_organisation(change, "Theirs", country="IE", live=True)
        site = registry.add_site(change, ours, "Dublin", zone="Europe/Dublin")
        cork = registry.add_site(change, ours, "Cork", zone="Europe/Dublin")
        away = registry.add_site(change, theirs, "Berlin", zone="Europe/Berlin")
        main = data_points.register(change, site, "Main", GAS, stream_id="main")
        data_points.register(change, site, "Other", GAS, stream_id="other on site")
        data_points.register(change, cork, "Cork", GAS, stream_id="elsewhere")
        data_points.register(change, away, "Berlin", GAS, stream_id="theirs")
        guest, made.password = people.add_user(change, "Guest@Example.com")
        people.set_role(change, guest, ours, "end user")
        people.set_role(change, guest, theirs, "end user")
        people.grant(change, guest, site)
        targets = {
            "meter": Target(ours, main),
            "site": Target(ours, site),
            "user": Target(ours, guest),
            "partner": Target(ours),
        }
        for scope, target in targets.items():
            made.issued[scope, "development"] = credentials.issue(
                change, key, target, environment="development"
            )
        live = going_live.go_live(change, key, ours)
        for issued in live.issued.values():
            made.issued[issued.credential.scope, "production"] = issued
    return made


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize(
    ("scope", "reaches"),
    [
        ("meter", {"main"}),
        ("site", {"main", "other on site"}),
        ("user", {"main", "other on site"}),
        ("partner", {"main", "other on site", "elsewhere"}),
    ],
)
def test_a_credential_reaches_its_scope_and_nothing_else(
    world: World, scope: str, reaches: set[str], environment: Environment
) -> None:
    """A gateway's password that leaks opens its own meter, site or organisation, no other.

    A stream outside the scope is known (403); one of another organisation is not (404).
    """
    directory = world.directory(environment)
    credential = directory.credential(world.issued[scope, environment].credential.username)
    assert credential is not None
    found = {place: directory.find(credential, place) for place in PLACES}
    assert {p for p, point in found.items() if point and credential.allowed(point)} == (reaches)
    assert found["elsewhere"] is not None
    assert found["theirs"] is None
    assert directory.stream(credential.organisation_id, "theirs") is None


@pytest.mark.parametrize("scope", ["meter", "site", "user", "partner"])
@pytest.mark.parametrize(
    ("issued_for", "server"),
    [("development", "production"), ("production", "development")],
)
def test_a_credential_is_unknown_in_the_other_environment(
    world: World, scope: str, issued_for: str, server: Environment
) -> None:
    """A test gateway cannot write into production by mistake; the live view can say why."""
    directory = world.directory(server)
    credential = world.issued[scope, issued_for].credential
    assert directory.credential(credential.username) is None
    known = directory.refused[credential.username]
    assert (known.organisation_id, known.reason) == (
        credential.organisation_id, "other_environment",
    )  # fmt: skip


def test_a_person_pushes_with_their_own_account_in_every_organisation_they_belong_to(
    world: World, key: bytes, actor: catalog.Actor
) -> None:
    """An integrator's own e-mail address works too, and sees only what was granted."""
    with world.opened.change(actor) as change:
        guest = people.find_by_email(change.session, "guest@example.com")
        theirs = registry.find_organisation(change.session, "Theirs")
        assert guest is not None
        point = data_points.find_data_point(change.session, theirs, "theirs")
        people.grant(change, guest, point)
        there = credentials.issue(change, key, Target(theirs, guest), environment="development")
    directory = world.directory("development")
    person = directory.credential("GUEST@example.com")
    assert person is not None
    assert person.id == -guest.id
    assert catalog.secrets.verify_password(person.password_hash, world.password)
    reached = {
        place
        for place in PLACES
        if (found := directory.find(person, place)) and person.allowed(found)
    }
    assert reached == {"main", "other on site", "theirs"}
    # A generated credential of the same person belongs to one organisation.
    own = directory.credential(world.issued["user", "development"].credential.username)
    other = directory.credential(there.credential.username)
    assert own is not None
    assert other is not None
    assert [place for place in PLACES if directory.find(own, place)] == list(PLACES[:3])
    assert [place for place in PLACES if directory.find(other, place)] == ["theirs"]


def test_a_revoked_credential_is_gone_from_the_next_directory(
    world: World, actor: catalog.Actor
) -> None:
    """A stolen gateway is shut out at once: the revision steps, and the next look shows it."""
    username = world.issued["site", "development"].credential.username
    before = world.directory("development")
    with world.opened.change(actor) as change:
        credentials.revoke(change, username)
    assert world.opened.revision() > before.revision
    after = world.directory("development")
    assert before.credential(username) is not None
    assert after.credential(username) is None
    assert after.refused[username].reason == "revoked"


def test_a_closed_account_takes_its_credentials_with_it(world: World, actor: catalog.Actor) -> None:
    """Somebody who has left pushes neither by password nor by a credential made for them."""
    with world.opened.change(actor) as change:
        guest = people.find_by_email(change.session, "guest@example.com")
        assert guest is not None
        people.disable(change, guest.id)
    directory = world.directory("development")
    username = world.issued["user", "development"].credential.username
    assert directory.credential("guest@example.com") is None
    assert directory.credential(username) is None
    assert directory.refused["guest@example.com"].reason == "disabled"
    assert directory.refused[username].reason == "disabled"


def test_a_person_does_not_push_into_production_before_go_live(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor
) -> None:
    """The account that tests today writes to production only after the organisation is live."""
    with opened.change(actor) as change:
        organisation = registry.add_organisation(change, "New", country="IE")
        user, _ = people.add_user(change, "ann@example.com")
        people.set_role(change, user, organisation, "administrator")
    assert load(opened, "development").credential("ann@example.com") is not None
    production = load(opened, "production")
    assert production.credential("ann@example.com") is None
    assert production.refused["ann@example.com"].reason == "not_live"
    with opened.change(actor) as change:
        going_live.go_live(change, key, organisation)
    assert load(opened, "production").credential("ann@example.com") is not None


def test_production_credentials_come_with_go_live(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor
) -> None:
    """Nobody gets a production password for an organisation that is still testing."""
    with opened.change(actor) as change:
        organisation = registry.add_organisation(change, "New", country="IE")
    with (
        pytest.raises(KilowatchError, match="not live yet") as refused,
        opened.change(actor) as change,
    ):
        credentials.issue(change, key, Target(organisation), environment="production")
    assert "go-live New" in refused.value.remedy


def test_a_credential_cannot_be_issued_across_organisations(
    world: World, key: bytes, actor: catalog.Actor
) -> None:
    """A site of one organisation is never opened by another one's credential."""
    with world.opened.change(actor) as change:
        ours = registry.find_organisation(change.session, "Ours")
        theirs = registry.find_organisation(change.session, "Theirs")
        berlin = registry.find_site(change.session, theirs, "Berlin")
        with pytest.raises(KilowatchError, match="does not belong to Ours"):
            credentials.issue(change, key, Target(ours, berlin), environment="development")


def test_the_same_stream_id_may_exist_in_two_organisations(
    world: World, actor: catalog.Actor
) -> None:
    """Two customers whose gateways count from 1 do not see each other's readings."""
    with world.opened.change(actor) as change:
        theirs = registry.find_organisation(change.session, "Theirs")
        berlin = registry.find_site(change.session, theirs, "Berlin")
        copy = data_points.register(change, berlin, "Same id", GAS, stream_id="main")
    directory = world.directory("development")
    assert directory.organisations_with_stream("main") == (1, 2)
    assert directory.organisations_with_stream("nobody's") == ()
    ours = directory.stream(1, "main")
    assert ours is not None
    assert ours.id != copy.id
    assert directory.stream(2, "main") == directory.by_id(copy.id)
