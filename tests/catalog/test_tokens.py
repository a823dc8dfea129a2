"""API tokens, and the links that are mailed: what they open, for whom, how long."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from kilowatch.catalog import accounts, mailed_links, people, sessions, tokens
from kilowatch.catalog.tables import AuditEntry, User
from kilowatch.catalog.tables_people import ApiToken, MailedLink
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from tests.catalog.people_world import GOOD, KEY, World

NEW = "quite another password"


def make(folks: World, name: str = "ann", *, read_only: bool = True, days: int = 30) -> tokens.Made:
    """Make a token."""
    with folks.catalog.change(folks.actor(name)) as change:
        return tokens.make(
            change, KEY, folks.users[name].id, "Spreadsheet", read_only=read_only, days=days
        )


def test_a_token_sees_what_its_person_sees_and_says_whether_it_may_change(folks: World) -> None:
    """A program acts as its owner, no further."""
    holder = tokens.look_up(folks.catalog, KEY, make(folks).text, "192.0.2.9")
    assert holder is not None
    assert holder.person == folks.person("ann")
    assert holder.read_only
    full = tokens.look_up(folks.catalog, KEY, make(folks, read_only=False).text)
    assert full is not None
    assert not full.read_only


def test_a_token_ends_when_it_expires_is_revoked_or_its_account_closes(folks: World) -> None:
    """Each of the three is enough, at once."""
    short = make(folks, days=1).text
    folks.wait(DAY_MS - 1)
    assert tokens.look_up(folks.catalog, KEY, short)
    folks.wait(1)
    assert tokens.look_up(folks.catalog, KEY, short) is None
    made = make(folks, "vera")
    with folks.catalog.change(folks.actor("vera")) as change:
        tokens.revoke(change, folks.users["vera"].id, made.row.id)
    assert tokens.look_up(folks.catalog, KEY, made.text) is None
    toms = make(folks, "tom").text
    with folks.catalog.change(folks.actor("ann")) as change:
        people.disable(change, folks.users["tom"].id)
    assert tokens.look_up(folks.catalog, KEY, toms) is None
    with folks.catalog.change(folks.actor("ann")) as change:
        user = change.session.get(User, folks.users["tom"].id)
        assert user is not None
        user.disabled_at_ms = None
    assert tokens.look_up(folks.catalog, KEY, toms) is None, "it does not come back by itself"


def test_nobody_revokes_anothers_token(folks: World) -> None:
    """Numbers can be tried; they open and close nothing of other people."""
    made = make(folks)
    with (
        pytest.raises(KilowatchError) as refused,
        folks.catalog.change(folks.actor("vera")) as change,
    ):
        tokens.revoke(change, folks.users["vera"].id, made.row.id)
    assert refused.value.status == 404
    assert tokens.look_up(folks.catalog, KEY, made.text)


@pytest.mark.parametrize("days", [0, -1, tokens.DAYS_MAX + 1])
def test_no_token_is_for_ever(folks: World, days: int) -> None:
    """A token that nobody thinks of any more ends some day."""
    with pytest.raises(KilowatchError) as refused:
        make(folks, days=days)
    assert refused.value.code == "invalid_expiry"


def test_a_token_is_stored_only_as_a_digest(folks: World) -> None:
    """Neither the table nor the history has it."""
    made = make(folks)
    assert made.text.startswith("kwt_")
    assert made.text not in repr(made)
    with folks.catalog.reading() as session:
        row = session.scalars(select(ApiToken)).one()
        assert row.token_digest != made.text.encode()
        told = " ".join(f"{e.after}" for e in session.scalars(select(AuditEntry)))
    assert made.text not in told
    assert "token_digest" not in told
    assert tokens.look_up(folks.catalog, bytes(32), made.text) is None


def test_last_use_is_kept_with_its_address(folks: World) -> None:
    """Its owner sees a token that somebody else uses."""
    made = make(folks)
    tokens.look_up(folks.catalog, KEY, made.text, "192.0.2.9")
    with folks.catalog.reading() as session:
        row = session.scalars(select(ApiToken)).one()
    assert (row.last_used_ms, row.last_address) == (folks.now[0], "192.0.2.9")


def test_a_token_does_not_go_round_a_second_factor_that_is_owed(folks: World) -> None:
    """An organisation that asks for a second factor asks programs' owners, too."""
    made = make(folks)
    with folks.catalog.change(folks.actor("ann")) as change:
        organisation = change.session.merge(folks.organisations["Acme"])
        organisation.second_factor_required = True
    assert tokens.look_up(folks.catalog, KEY, made.text) is None


def ask(folks: World, email: str = "ann@example.com", address: str = "192.0.2.1") -> str:
    """Ask for a new password; returns the link's token, or nothing."""
    return mailed_links.ask_for_password(folks.catalog, KEY, email, address)[1]


def use(folks: World, token: str, password: str = NEW) -> User:
    """Use a link."""
    return mailed_links.set_password(folks.catalog, KEY, token, password, "192.0.2.1")


def log_in(folks: World, password: str, name: str = "ann") -> str:
    """Log in."""
    return sessions.authenticate(
        folks.catalog, KEY, email=f"{name}@example.com", password=password, address="192.0.2.3"
    ).token


def test_a_link_sets_another_password_once_and_ends_every_session(folks: World) -> None:
    """Who forgot their password gets in again, and whoever had it is out."""
    session = log_in(folks, GOOD)
    token = ask(folks, " Ann@Example.com")
    use(folks, token)
    assert sessions.look_up(folks.catalog, KEY, session) is None
    with pytest.raises(KilowatchError):
        log_in(folks, GOOD)
    log_in(folks, NEW)
    with pytest.raises(KilowatchError) as over:
        use(folks, token, "yet another password")
    assert over.value.code == "link_over"


@pytest.mark.parametrize(
    "password", ["ä 字 \U0001f600 correct horse", " spaces count too ", "x1 Yz9-?" * 32]
)
def test_a_long_password_of_any_letters_is_taken_exactly(folks: World, password: str) -> None:
    """No letters are forbidden, none cut off, none changed."""
    use(folks, ask(folks), password)
    log_in(folks, password)
    for other in (password[:-1], password.swapcase(), password + " "):
        with pytest.raises(KilowatchError):
            log_in(folks, other)


def test_a_link_lasts_half_an_hour_and_the_latest_one_counts(folks: World) -> None:
    """An old mail in a mailbox that somebody gets hold of later opens nothing."""
    first = ask(folks)
    second = ask(folks)
    with pytest.raises(KilowatchError):
        use(folks, first)
    folks.wait(mailed_links.VALID_MS)
    with pytest.raises(KilowatchError):
        use(folks, second)


def test_a_weak_password_does_not_use_the_link_up(folks: World) -> None:
    """Who chooses badly may choose again."""
    token = ask(folks)
    with pytest.raises(KilowatchError) as weak:
        use(folks, token, "short")
    assert weak.value.code == "weak_password"
    use(folks, token)


def test_there_is_no_link_for_nobody_and_for_closed_accounts(folks: World) -> None:
    """The asker is told nothing; nothing is made either."""
    with folks.catalog.change(folks.actor("ann")) as change:
        people.disable(change, folks.users["tom"].id)
    assert ask(folks, "nobody@example.com") == ""
    assert ask(folks, "tom@example.com") == ""


def test_a_closed_account_is_not_opened_by_a_link_from_before(folks: World) -> None:
    """Closing an account closes every way in."""
    token = ask(folks, "tom@example.com")
    with folks.catalog.change(folks.actor("ann")) as change:
        people.disable(change, folks.users["tom"].id)
    with pytest.raises(KilowatchError):
        use(folks, token)


def test_mails_are_limited_for_one_address_in_silence_and_for_one_asker_aloud(
    folks: World,
) -> None:
    """Nobody fills a colleague's mailbox; who sees no mail any more learns nothing from it."""
    given = [ask(folks, address=f"192.0.2.{n}") for n in range(6)]
    assert [bool(token) for token in given] == [True, True, True, False, False, False]
    for number in range(9):
        ask(folks, f"person{number}@example.com", "198.51.100.1")
    ask(folks, "person9@example.com", "198.51.100.1")
    with pytest.raises(KilowatchError) as slowed:
        ask(folks, "person10@example.com", "198.51.100.1")
    assert slowed.value.code == "mail_slowed"


def test_links_are_stored_as_digests_and_are_for_one_purpose(folks: World) -> None:
    """A link that proves an address sets no password."""
    with folks.catalog.change(folks.actor("ann")) as change:
        _, token = accounts.ask_for_address(
            change, KEY, folks.users["ann"].id, "ann.lee@example.com"
        )
    with pytest.raises(KilowatchError):
        use(folks, token)
    with folks.catalog.reading() as session:
        assert token.encode() not in session.scalars(select(MailedLink)).one().token_digest


def test_an_address_changes_when_the_new_one_is_confirmed(folks: World) -> None:
    """Until then the old one logs in; afterwards only the new one, and old reset links are over."""
    reset = ask(folks)
    with folks.catalog.change(folks.actor("ann")) as change:
        to, token = accounts.ask_for_address(change, KEY, folks.users["ann"].id, "Ann.Lee@x.ie")
    assert to == "ann.lee@x.ie"
    log_in(folks, GOOD)
    moved = mailed_links.confirm_address(folks.catalog, KEY, token, "192.0.2.1")
    assert moved == ("ann@example.com", "ann.lee@x.ie")
    with pytest.raises(KilowatchError):
        log_in(folks, GOOD)
    with pytest.raises(KilowatchError):
        use(folks, reset)
    with pytest.raises(KilowatchError) as over:
        mailed_links.confirm_address(folks.catalog, KEY, token, "192.0.2.1")
    assert over.value.code == "link_over"


def test_an_address_that_somebody_has_gets_no_link(folks: World) -> None:
    """The answer is the same, so that nobody finds out here who has an account."""
    with folks.catalog.change(folks.actor("ann")) as change:
        to, token = accounts.ask_for_address(change, KEY, folks.users["ann"].id, "vera@example.com")
    assert (to, token) == ("vera@example.com", "")


def test_an_address_taken_meanwhile_is_not_taken_twice(folks: World) -> None:
    """Between asking and confirming somebody else can have come."""
    with folks.catalog.change(folks.actor("ann")) as change:
        _, token = accounts.ask_for_address(change, KEY, folks.users["ann"].id, "new@example.com")
        people.add_user(change, "new@example.com", password=GOOD)
    with pytest.raises(KilowatchError) as refused:
        mailed_links.confirm_address(folks.catalog, KEY, token, "192.0.2.1")
    assert refused.value.code == "user_exists"
