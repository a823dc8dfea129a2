"""People: their passwords, log-ins, sessions, rights and what they see."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import argon2
import pytest
from sqlalchemy import select

from kilowatch import catalog
from kilowatch.catalog import (
    attempts,
    data_points,
    people,
    registry,
    rights,
    secrets,
    sessions,
)
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import ROLES, LoginSession, Role, User
from kilowatch.catalog.tree import tree
from kilowatch.model.errors import KilowatchError

GOOD = "correct horse battery staple"
HOUR_MS = 3_600_000
PAIR = attempts.keys("ann@example.com", "192.0.2.1")[:1]


class Watch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ms = 1_795_435_200_000

    def __call__(self) -> int:
        """Return the time [ms]."""
        return self.now_ms


@pytest.fixture
def watch() -> Watch:
    """Return the clock of the registry."""
    return Watch()


@pytest.fixture
def office(tmp_path: Path, watch: Watch, actor: catalog.Actor) -> catalog.Catalog:
    """Return a registry with one person, Ann, who administers Acme."""
    opened = catalog.open(tmp_path / "office.sqlite", clock=watch)
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        ann, _ = people.add_user(change, "Ann@Example.com", password=GOOD)
        people.set_role(change, ann, acme, "administrator")
    return opened


def log_in(
    office: catalog.Catalog, key: bytes, password: str = GOOD, address: str = "192.0.2.1"
) -> str:
    """Log Ann in."""
    return sessions.authenticate(
        office, key, email=" ANN@example.com", password=password, address=address
    ).token


@pytest.mark.usefixtures("the_real_cost_of_passwords")
def test_a_password_is_kept_as_argon2id_with_owasp_parameters() -> None:
    """Each guess at a stolen password costs 19 MiB and two passes."""
    stored = secrets.hash_password(GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert secrets.verify_password(stored, GOOD)
    assert not secrets.verify_password(stored, GOOD + " ")
    assert not secrets.verify_password(None, GOOD)
    assert not secrets.verify_password("not a hash", GOOD)


def test_an_old_hash_is_renewed_at_the_next_log_in(office: catalog.Catalog, key: bytes) -> None:
    """When the parameters are raised, nobody has to choose a new password."""
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(GOOD)
    with office.bookkeeping() as session:
        session.scalars(select(User)).one().password_hash = weak
    log_in(office, key)
    with office.reading() as session:
        stored = session.scalars(select(User)).one().password_hash
    assert stored is not None
    assert not secrets.outdated(stored)
    assert secrets.verify_password(stored, GOOD)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "ann@example.com", "x" * 257])
def test_a_password_that_is_easily_guessed_is_refused(password: str) -> None:
    """Length counts, and not being one's own address; no riddles about special characters."""
    with pytest.raises(KilowatchError) as refused:
        people.check_password(password, "ann@example.com")
    assert refused.value.code == "weak_password"


def test_a_generated_password_is_readable_and_strong() -> None:
    """It can be read aloud, and has 97 bits: no default password exists anywhere."""
    made = {secrets.new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(len(word) == 23 and not set(word) & set("0o1ilu") for word in made)


def test_generated_secrets_have_at_least_160_bits_and_fit_in_an_address() -> None:
    """A gateway's password cannot be guessed, nor garbled by a shell or a URL."""
    secret = secrets.new_secret()
    assert len(secret) * 6 >= 160
    assert set(secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_digest_depends_on_the_servers_key_and_on_its_purpose(key: bytes) -> None:
    """The registry's file alone does not tell whether a guessed secret is right."""
    assert secrets.digest(key, "s") == secrets.digest(key, "s")
    others = {
        secrets.digest(key, "s"),
        secrets.digest(bytes(32), "s"),
        secrets.digest(key, "t"),
        secrets.digest(key, "s", "session"),
    }
    assert len(others) == 4


def test_the_servers_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    """A second start finds the first one's key; only the server's user can read it."""
    key = secrets.load_or_create_key(tmp_path / "data")
    assert secrets.load_or_create_key(tmp_path / "data") == key
    assert len(key) == 32
    file = tmp_path / "data" / "secret.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in file.parent.iterdir()] == ["secret.key"]
    file.write_bytes(b"torn")
    with pytest.raises(KilowatchError, match="4 bytes long"):
        secrets.load_or_create_key(tmp_path / "data")


def test_a_key_from_a_setting_is_checked_and_not_repeated(tmp_path: Path) -> None:
    """Where keys come from a vault, no file is made, and a slip does not end up in a log."""
    assert secrets.server_key(tmp_path, "ab" * 32) == b"\xab" * 32
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KilowatchError) as refused:
        secrets.server_key(tmp_path, "verysecret")
    assert "verysecret" not in str(refused.value)


def test_who_logs_in_is_known_until_logging_out(office: catalog.Catalog, key: bytes) -> None:
    """The browser's cookie stands for Ann, and for nobody once she has logged out."""
    token = log_in(office, key)
    logged_in = sessions.look_up(office, key, token)
    assert logged_in is not None
    assert logged_in.person.email == "ann@example.com"
    assert sessions.look_up(office, bytes(32), token) is None
    sessions.end(office, key, token)
    assert sessions.look_up(office, key, token) is None


def test_a_session_ends_when_nobody_uses_it(
    office: catalog.Catalog, key: bytes, watch: Watch
) -> None:
    """A forgotten browser is logged out after twelve hours; one in use stays."""
    used, forgotten = log_in(office, key), log_in(office, key)
    for _ in range(3):
        watch.now_ms += 11 * HOUR_MS
        assert sessions.look_up(office, key, used) is not None
    assert sessions.look_up(office, key, forgotten) is None


def test_a_session_ends_after_thirty_days_in_any_case(
    office: catalog.Catalog, key: bytes, watch: Watch
) -> None:
    """A stolen cookie is not worth anything for ever."""
    token = log_in(office, key)
    for _ in range(30 * 24 // 8):
        assert sessions.look_up(office, key, token) is not None
        watch.now_ms += 8 * HOUR_MS
    assert sessions.look_up(office, key, token) is None


def test_a_new_password_ends_every_session(
    office: catalog.Catalog, key: bytes, actor: catalog.Actor
) -> None:
    """Who changes a password because of a thief wants the thief out."""
    tokens = [log_in(office, key) for _ in range(2)]
    with office.reading() as session:
        assert len(sessions.of_person(session, 1, office.clock())) == 2
    with office.change(actor) as change:
        people.set_password(change, 1, "quite another one")
    assert [sessions.look_up(office, key, token) for token in tokens] == [None, None]
    with pytest.raises(KilowatchError):
        log_in(office, key)


def test_a_password_that_is_changed_meanwhile_does_not_log_in(
    office: catalog.Catalog,
    key: bytes,
    actor: catalog.Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hashing takes a moment; a password that is replaced in it no longer opens the door."""
    honest = secrets.verify_password

    def slow(stored: str | None, password: str) -> bool:
        right = honest(stored, password)
        with office.change(actor) as change:
            people.set_password(change, 1, "quite another one")
        return right

    monkeypatch.setattr(secrets, "verify_password", slow)
    with pytest.raises(KilowatchError, match="do not belong together"):
        log_in(office, key)


def test_the_token_itself_is_not_stored(office: catalog.Catalog, key: bytes) -> None:
    """Who reads the registry cannot become somebody who is logged in."""
    token = log_in(office, key)
    with office.reading() as session:
        row = session.scalars(select(LoginSession)).one()
    assert token.encode() not in row.token_digest
    assert row.token_digest == secrets.digest(key, token, "session")


@pytest.mark.parametrize("email", ["ann@example.com", "nobody@example.com"])
def test_a_failed_log_in_says_the_same_whatever_was_wrong(
    office: catalog.Catalog, key: bytes, email: str
) -> None:
    """Nobody finds out by trying who has an account."""
    with pytest.raises(KilowatchError) as refused:
        sessions.authenticate(office, key, email=email, password="wrong", address="192.0.2.9")
    assert refused.value.code == "log_in_failed"
    assert str(refused.value).startswith("E-mail address and password do not belong together.")


def test_somebody_who_mistypes_a_colleagues_password_does_not_keep_the_colleague_out(
    office: catalog.Catalog, key: bytes
) -> None:
    """The wait is for an account from one address; the owner logs in from another."""
    for _ in range(attempts.FREE_FAILURES["pair"] + 1):
        with pytest.raises(KilowatchError):
            log_in(office, key, "wrong", address="198.51.100.7")
    assert log_in(office, key, address="192.0.2.44")


def test_attempts_side_by_side_do_not_slip_past_the_bound_together(
    office: catalog.Catalog, key: bytes
) -> None:
    """Forty wrong passwords at once are no more guesses than forty one after the other."""

    def guess(_number: int) -> str:
        with pytest.raises(KilowatchError) as refused:
            log_in(office, key, "wrong")
        return refused.value.code

    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(guess, range(40)))
    assert codes["log_in_failed"] == attempts.FREE_FAILURES["pair"]


def test_guessing_is_slowed_down_and_forgiven(
    office: catalog.Catalog, key: bytes, watch: Watch
) -> None:
    """After five wrong tries even the right password waits; an hour later all is forgotten."""
    for _ in range(attempts.FREE_FAILURES["pair"]):
        with pytest.raises(KilowatchError, match="do not belong together"):
            log_in(office, key, "wrong")
    with pytest.raises(KilowatchError) as slowed:
        log_in(office, key)
    assert slowed.value.status == 429
    watch.now_ms += slowed.value.data["retry_after_s"] * 1000
    assert log_in(office, key)
    with pytest.raises(KilowatchError, match="do not belong together"):
        log_in(office, key, "wrong")


def test_the_wait_doubles_up_to_five_minutes(
    office: catalog.Catalog, key: bytes, watch: Watch
) -> None:
    """A machine that guesses day and night gets fewer than 300 tries a day."""
    waits = []
    for _ in range(16):
        with pytest.raises(KilowatchError):
            log_in(office, key, "wrong")
        with office.reading() as session:
            wait = attempts.wait_ms(session, PAIR, watch.now_ms)
        waits.append(wait)
        watch.now_ms += max(wait, 0)
    assert waits[:7] == [0, 0, 0, 0, 2_000, 4_000, 8_000]
    assert waits[-1] == 300_000


def test_one_address_that_tries_many_accounts_is_slowed_down_too(
    office: catalog.Catalog, key: bytes
) -> None:
    """Trying one password on a hundred accounts gets nowhere, and others still log in."""
    for number in range(attempts.FREE_FAILURES["address"]):
        with pytest.raises(KilowatchError, match="do not belong together"):
            sessions.authenticate(
                office, key, email=f"{number}@x.ie", password="x", address="198.51.100.1"
            )
    with pytest.raises(KilowatchError, match="Too many"):
        log_in(office, key, address="198.51.100.1")
    assert log_in(office, key, address="192.0.2.1")


READ, ANALYSE, MANAGE, ADMINISTER = "read", "export comment act", "manage", "administer"


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        ("administrator", f"{READ} {ANALYSE} {MANAGE} {ADMINISTER}"),
        ("partner administrator", f"{READ} {ANALYSE} {MANAGE} {ADMINISTER}"),
        ("manager", f"{READ} {ANALYSE} {MANAGE}"),
        ("analyst", f"{READ} {ANALYSE}"),
        ("viewer", READ),
        ("end user", READ),
    ],
)
def test_a_role_allows_its_actions_in_its_organisation_only(role: Role, actions: str) -> None:
    """A viewer reads, an analyst acts on findings, a manager sets things up; nobody next door."""
    whole = rights.Person(1, "a@b.ie", "A", {1: rights.Standing(role, whole=True)})
    part = rights.Person(
        2, "b@b.ie", "B", {1: rights.Standing(role, whole=False)}, frozenset({10}), frozenset({100})
    )
    every: tuple[rights.Action, ...] = ("read", "export", "comment", "act", "manage", "administer")
    for action in every:
        allowed = action in actions.split()
        assert rights.may(whole, action, organisation_id=1) is allowed
        assert rights.may(whole, action, organisation_id=1, site_id=99) is allowed
        assert not rights.may(whole, action, organisation_id=2)
        assert rights.may(part, action, organisation_id=1, site_id=10) is allowed
        assert rights.may(part, action, organisation_id=1, site_id=11, data_point_id=100) is allowed
        assert not rights.may(part, action, organisation_id=1)
        assert not rights.may(part, action, organisation_id=1, site_id=11, data_point_id=101)
        assert rights.may_anywhere(part, action) is allowed


def test_every_role_has_its_actions() -> None:
    """A new role without rights would lock people out without a word."""
    assert set(rights.ACTIONS_BY_ROLE) == set(ROLES)


def test_the_tree_shows_what_a_person_may_see_and_nothing_else(
    office: catalog.Catalog, actor: catalog.Actor
) -> None:
    """A tenant of one shop sees their own meter; the landlord sees the whole centre."""
    gas = Settings("single", "gas", 300)
    with office.change(actor) as change:
        acme = registry.find_organisation(change.session, "Acme")
        other = registry.add_organisation(change, "Other", country="IE")
        centre = registry.add_site(change, acme, "Centre", zone="Europe/Dublin")
        depot = registry.add_site(change, acme, "Depot", zone="Europe/Dublin")
        away = registry.add_site(change, other, "Away", zone="Europe/Dublin")
        supply = registry.add_meter(change, centre, "Supply")
        shop = registry.add_appliance(change, supply, "Shop 1")
        oven = data_points.register(change, centre, "Oven", gas, meter=supply, appliance=shop)
        data_points.register(change, centre, "All", gas, meter=supply)
        data_points.register(change, depot, "Depot", gas)
        data_points.register(change, away, "Away", gas)
        tenant, _ = people.add_user(change, "tenant@example.com")
        people.set_role(change, tenant, acme, "end user")
        people.grant(change, tenant, oven)
        keeper, _ = people.add_user(change, "keeper@example.com")
        people.set_role(change, keeper, acme, "manager", whole=False)
        people.grant(change, keeper, depot)
        stranger, _ = people.add_user(change, "stranger@example.com")
        ann = people.find_by_email(change.session, "ann@example.com")
        assert ann is not None
    assert outline(office, ann) == [
        "Acme", "Acme/Centre", "Acme/Centre/Supply", "Acme/Centre/Supply: All",
        "Acme/Centre/Supply/Shop 1: Oven", "Acme/Depot", "Acme/Depot/Depot",
        "Acme/Depot/Depot: Depot",
    ]  # fmt: skip
    assert outline(office, tenant) == [
        "Acme", "Acme/Centre", "Acme/Centre/Supply", "Acme/Centre/Supply/Shop 1: Oven",
    ]  # fmt: skip
    assert outline(office, keeper) == [
        "Acme", "Acme/Depot", "Acme/Depot/Depot", "Acme/Depot/Depot: Depot",
    ]  # fmt: skip
    assert outline(office, stranger) == []
    with office.change(actor) as change:
        people.remove_role(change, tenant, acme)
    assert outline(office, tenant) == []


def outline(office: catalog.Catalog, user: User) -> list[str]:
    """Write a person's tree as one path a line."""
    lines = []
    with office.reading() as session:
        nodes = tree(session, rights.person(session, user))
    for organisation in nodes:
        lines.append(organisation.name)
        for site in organisation.sites:
            lines.append(f"{organisation.name}/{site.name}")
            for meter in site.meters:
                place = f"{organisation.name}/{site.name}/{meter.name}"
                lines.append(place)
                lines += [f"{place}: {leaf.name}" for leaf in meter.points]
                for part in meter.appliances:
                    lines += [f"{place}/{part.name}: {leaf.name}" for leaf in part.points]
    return lines


def test_a_person_is_granted_only_what_belongs_to_their_organisation(
    office: catalog.Catalog, actor: catalog.Actor
) -> None:
    """A slip of an administrator does not open another organisation's site."""
    with office.change(actor) as change:
        other = registry.add_organisation(change, "Other", country="IE")
        away = registry.add_site(change, other, "Away", zone="Europe/Dublin")
        ann = people.find_by_email(change.session, "ann@example.com")
        assert ann is not None
        with pytest.raises(KilowatchError, match="no role in the organisation of Away"):
            people.grant(change, ann, away)


def test_an_address_has_one_account(office: catalog.Catalog, actor: catalog.Actor) -> None:
    """The same person in other letters is the same person."""
    with pytest.raises(KilowatchError, match="has an account already"), office.change(actor) as c:
        people.add_user(c, " ANN@EXAMPLE.COM")
    with pytest.raises(KilowatchError, match="not an e-mail address"), office.change(actor) as c:
        people.add_user(c, "ann at example")
