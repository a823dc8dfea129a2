"""The second factor: what a code opens, how often, and what is kept of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from kilowatch.catalog import devices, people, second_factor, sessions
from kilowatch.catalog.sessions import Begun
from kilowatch.catalog.tables import AuditEntry, User
from kilowatch.catalog.tables_people import PendingLogin, RecoveryCode, SecondFactor
from kilowatch.model.errors import KilowatchError
from tests.catalog.people_world import GOOD, KEY, World

MINUTE_MS = 60_000


def totp(folks: World, key: str, steps: int = 0) -> str:
    """Return what an authenticator shows now, or some half minutes away."""
    return pyotp.TOTP(key).at(folks.now[0] // 1000 + 30 * steps)


def set_up(folks: World, name: str = "ann") -> tuple[str, list[str]]:
    """Give a person an authenticator; returns its key and the recovery codes."""
    with folks.catalog.change(folks.actor(name)) as change:
        user = change.session.get(User, folks.users[name].id)
        assert user is not None
        key = second_factor.offer(change, KEY, user).key
        codes = second_factor.confirm(change, KEY, user.id, totp(folks, key))
    folks.wait(MINUTE_MS)
    return key, codes


def begin(folks: World, name: str = "ann", device: str = "") -> Begun:
    """Bring the password."""
    return sessions.authenticate(
        folks.catalog, KEY, email=f"{name}@example.com", password=GOOD, address="192.0.2.1",
        device=device,
    )  # fmt: skip


def bring(folks: World, token: str, code: str) -> Begun:
    """Bring the second factor."""
    return sessions.bring_second_factor(
        folks.catalog, KEY, token=token, code=code, address="192.0.2.1"
    )


def test_a_password_alone_opens_no_session(folks: World) -> None:
    """Who stole only the password sees nothing: what it opens is no session."""
    assert not begin(folks).owes_second_factor
    key, _ = set_up(folks)
    begun = begin(folks)
    assert begun.owes_second_factor
    assert not begun.device, "a half log-in does not make a browser known"
    assert sessions.look_up(folks.catalog, KEY, begun.token) is None
    done = bring(folks, begun.token, totp(folks, key))
    found = sessions.look_up(folks.catalog, KEY, done.token)
    assert found is not None
    assert found.person.email == "ann@example.com"


def test_a_code_counts_once(folks: World) -> None:
    """Whoever looks over a shoulder has nothing from the digits, even within their half minute."""
    key, _ = set_up(folks)
    code = totp(folks, key)
    bring(folks, begin(folks).token, code)
    with pytest.raises(KilowatchError) as refused:
        bring(folks, begin(folks).token, code)
    assert refused.value.code == "wrong_code"
    with pytest.raises(KilowatchError):
        bring(folks, begin(folks).token, totp(folks, key, -1))  # nor an earlier one
    bring(folks, begin(folks).token, totp(folks, key, +1))


def test_the_code_that_turned_it_on_is_used_up(folks: World) -> None:
    """The first code is a code like any other."""
    with folks.catalog.change(folks.actor("ann")) as change:
        user = change.session.get(User, folks.users["ann"].id)
        assert user is not None
        key = second_factor.offer(change, KEY, user).key
        second_factor.confirm(change, KEY, user.id, totp(folks, key))
    with pytest.raises(KilowatchError):
        bring(folks, begin(folks).token, totp(folks, key))


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_clock_may_be_half_a_minute_off(folks: World, steps: int, taken: bool) -> None:
    """Phones are never quite right; a minute is too much."""
    key, _ = set_up(folks)
    token = begin(folks).token
    if taken:
        assert bring(folks, token, totp(folks, key, steps)).token
    else:
        with pytest.raises(KilowatchError, match="not right"):
            bring(folks, token, totp(folks, key, steps))


def test_a_recovery_code_stands_in_once(folks: World) -> None:
    """Who lost the phone gets in, with each code of the list a single time, however it is typed."""
    _, codes = set_up(folks)
    assert len(set(codes)) == 10
    bring(folks, begin(folks).token, f" {codes[3].upper()} ")
    with pytest.raises(KilowatchError):
        bring(folks, begin(folks).token, codes[3])
    bring(folks, begin(folks).token, codes[4].replace("-", ""))
    with folks.catalog.reading() as session:
        assert second_factor.codes_left(session, folks.users["ann"].id) == 8


def test_new_recovery_codes_replace_the_old(folks: World) -> None:
    """A list that was photographed is worth nothing after its owner made another."""
    _, old = set_up(folks)
    with folks.catalog.change(folks.actor("ann")) as change:
        new = second_factor.renew_codes(change, folks.users["ann"].id)
    with pytest.raises(KilowatchError):
        bring(folks, begin(folks).token, old[0])
    bring(folks, begin(folks).token, new[0])


def test_another_persons_codes_open_nothing(folks: World) -> None:
    """A colleague's authenticator and recovery codes are a colleague's."""
    set_up(folks, "ann")
    vera_key, vera_codes = set_up(folks, "vera")
    token = begin(folks, "ann").token
    for code in (totp(folks, vera_key), vera_codes[0]):
        with pytest.raises(KilowatchError):
            bring(folks, token, code)


def test_guessing_codes_is_slowed_and_a_known_browser_is_not_shut_out(folks: World) -> None:
    """A thief who has the password gets five tries; the owner's own browser has its own five."""
    device = begin(folks).device
    key, _ = set_up(folks)
    token = begin(folks).token
    for _ in range(5):
        with pytest.raises(KilowatchError, match="not right"):
            bring(folks, token, "000000")
    with pytest.raises(KilowatchError) as slowed:
        bring(folks, begin(folks).token, totp(folks, key))
    assert slowed.value.code == "log_in_slowed"
    owner = begin(folks, device=device)
    assert bring(folks, owner.token, totp(folks, key)).token


def test_a_pending_log_in_ends_by_itself_and_is_used_once(folks: World) -> None:
    """A page left open at the second step is worth nothing after five minutes."""
    key, codes = set_up(folks)
    token = begin(folks).token
    folks.wait(sessions.PENDING_MS)
    with pytest.raises(KilowatchError) as over:
        bring(folks, token, totp(folks, key))
    assert over.value.code == "log_in_over"
    token = begin(folks).token
    bring(folks, token, totp(folks, key))
    with pytest.raises(KilowatchError) as over:
        bring(folks, token, codes[0])
    assert over.value.code == "log_in_over"


def test_one_code_side_by_side_opens_one_session(folks: World) -> None:
    """Sending the same code many times at once wins nothing."""
    key, _ = set_up(folks)
    tokens = [begin(folks).token for _ in range(4)]
    code = totp(folks, key)

    def attempt(token: str) -> bool:
        try:
            bring(folks, token, code)
        except KilowatchError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, tokens)) == 1


def test_a_new_password_ends_pending_log_ins(folks: World) -> None:
    """A thief who stands at the second step when the owner changes the password is out."""
    key, _ = set_up(folks)
    token = begin(folks).token
    with folks.catalog.change(folks.actor("ann")) as change:
        people.set_password(change, folks.users["ann"].id, "another good long one")
    with pytest.raises(KilowatchError) as over:
        bring(folks, token, totp(folks, key))
    assert over.value.code == "log_in_over"


def test_neither_key_nor_codes_are_stored_as_they_are(folks: World) -> None:
    """Who steals the catalogue's file, but not the server's key, can make no code of it."""
    key, codes = set_up(folks)
    with folks.catalog.reading() as session:
        row = session.scalars(select(SecondFactor)).one()
        assert key.encode() not in row.encrypted_key
        hashes = [r.code_hash for r in session.scalars(select(RecoveryCode))]
        assert all(one.startswith("$argon2id$") for one in hashes)
        entries = session.scalars(select(AuditEntry)).all()
        told = " ".join(f"{e.before} {e.after}" for e in entries)
        assert key not in told
        assert not any(code in told for code in codes)
    with (
        pytest.raises(KilowatchError) as damaged,
        folks.catalog.change(folks.actor("ann")) as change,
    ):
        second_factor.check(change, bytes(32), folks.users["ann"].id, totp(folks, key))
    assert damaged.value.code == "key_damaged"


def test_an_encrypted_key_belongs_to_its_person(folks: World) -> None:
    """Copying one's own key into another's row in the file opens nothing."""
    key, _ = set_up(folks, "ann")
    set_up(folks, "vera")
    with folks.catalog.bookkeeping() as session:
        rows = {r.user_id: r for r in session.scalars(select(SecondFactor))}
        rows[folks.users["vera"].id].encrypted_key = rows[folks.users["ann"].id].encrypted_key
    with pytest.raises(KilowatchError) as damaged:
        bring(folks, begin(folks, "vera").token, totp(folks, key))
    assert damaged.value.code == "key_damaged"


def test_an_offer_that_was_never_confirmed_is_no_second_factor(folks: World) -> None:
    """Who looks at the QR code and leaves is not locked out."""
    with folks.catalog.change(folks.actor("ann")) as change:
        user = change.session.get(User, folks.users["ann"].id)
        assert user is not None
        second_factor.offer(change, KEY, user)
    assert not begin(folks).owes_second_factor


@given(code=st.text(max_size=30))
def test_no_text_is_taken_for_a_code(code: str) -> None:
    """Letters of other scripts and odd digits are wrong codes, never a fault of the server."""
    row = SecondFactor(user_id=1, encrypted_key=b"", last_step=0)
    digits = "".join(code.split())
    if not (len(digits) == 6 and digits.isascii() and digits.isdecimal()):
        assert second_factor._step_of(KEY, row, code, 0) is None


@given(cookie=st.text(max_size=80))
def test_a_device_cookie_that_we_did_not_give_is_none(cookie: str) -> None:
    """Nobody writes themselves a known browser."""
    assert devices.known(KEY, cookie, 1, 0) == ""


def test_a_device_cookie_belongs_to_one_person_and_ends(folks: World) -> None:
    """A browser that Vera used is not known to Ann's account, and after half a year to nobody's."""
    cookie = devices.new(KEY, 7, folks.now[0])
    assert devices.known(KEY, cookie, 7, folks.now[0])
    assert not devices.known(KEY, cookie, 8, folks.now[0])
    assert not devices.known(bytes(32), cookie, 7, folks.now[0])
    assert not devices.known(KEY, cookie, 7, folks.now[0] + devices.VALID_MS + 1000)
    forged = cookie.replace("7.", "8.", 1)
    assert not devices.known(KEY, forged, 8, folks.now[0])


def test_pending_log_ins_do_not_pile_up(folks: World) -> None:
    """The table of half log-ins stays small."""
    set_up(folks)
    begin(folks)
    folks.wait(sessions.PENDING_MS + 1)
    begin(folks)
    with folks.catalog.reading() as session:
        assert len(session.scalars(select(PendingLogin)).all()) == 1
