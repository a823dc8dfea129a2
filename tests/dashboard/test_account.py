"""The account's pages: what a person changes about themselves, and what that ends."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest
from starlette.testclient import TestClient

from kilowatch.catalog import sessions, tokens
from kilowatch.catalog.tables import Organisation, User
from tests.dashboard.house import PAGE, TOKEN, House, alive, post
from tests.dashboard.worlds import ADMIN, KEY, PASSWORD, STRANGER, VIEWER

NEW = "quite another password"


def change_password(client: TestClient, **fields: str) -> Any:
    """Send the form for another password."""
    sent = {"current_password": PASSWORD, "password": NEW, "password_again": NEW, **fields}
    return post(client, "/account/password", "/account/password", **sent)


def test_a_new_password_logs_every_other_browser_out(house: House) -> None:
    """Whoever else had the account is out; who changed it stays, under another token."""
    mine, other = house.log_in(), house.log_in()
    before = mine.cookies["kilowatch"]
    assert change_password(mine).status_code == 303
    assert alive(mine)
    assert not alive(other)
    assert mine.cookies["kilowatch"] != before, "the session has another token"
    assert sessions.look_up(house.world.catalog, KEY, before) is None
    assert house.log_in(password=NEW)
    assert "password was changed" in house.mailbox.to(ADMIN)[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"current_password": "wrong"}, "not your password"),
        ({"password_again": "something else entirely"}, "not the same"),
        ({"password": "short", "password_again": "short"}, "12 to 256"),
        ({"password": PASSWORD, "password_again": PASSWORD}, "the password that you have"),
    ],
)
def test_a_password_is_changed_only_by_who_knows_it(
    house: House, fields: dict[str, str], said: str
) -> None:
    """An unattended browser is not enough to take an account over."""
    mine, other = house.log_in(), house.log_in()
    answer = change_password(mine, **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert alive(mine)
    assert alive(other)
    assert house.log_in()


def test_guessing_the_password_within_a_session_is_slowed(house: House) -> None:
    """A thief at an unattended browser has five tries."""
    mine = house.log_in()
    for _ in range(5):
        change_password(mine, current_password="guess")
    answer = change_password(mine)
    assert answer.status_code == 422
    assert "Try again in" in answer.text


def test_sessions_are_listed_and_ended_one_by_one_or_all_others(house: House) -> None:
    """A person sees where they are logged in, and ends what they do not know."""
    mine = house.log_in()
    laptop = house.browser()
    laptop.headers["user-agent"] = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    assert post(laptop, "/login", "/login", email=ADMIN, password=PASSWORD).status_code == 303
    third = house.log_in()
    page = mine.get("/account/sessions", headers=PAGE).text
    assert "Firefox on Linux" in page
    assert "this browser" in page
    number = re.search(r'name="session" value="(\d+)"', page)
    assert number
    post(mine, "/account/sessions", "/account/sessions", session=number[1])
    assert [alive(laptop), alive(third)].count(False) == 1
    post(mine, "/account/sessions", "/account/sessions", which="others")
    assert [alive(mine), alive(laptop), alive(third)] == [True, False, False]


def test_nobody_ends_anothers_session(house: House) -> None:
    """A number that is tried ends nothing of other people."""
    mine, theirs = house.log_in(), house.log_in(VIEWER)
    found = sessions.look_up(house.world.catalog, KEY, theirs.cookies["kilowatch"])
    assert found is not None
    answer = post(mine, "/account/sessions", "/account/sessions", session=str(found.session_id))
    assert answer.status_code == 404
    assert alive(theirs)


def set_up_factor(house: House, client: TestClient) -> tuple[str, list[str]]:
    """Set a second factor up through its pages; returns key and recovery codes."""
    path = "/account/second-factor"
    answer = post(client, path, f"{path}/begin", current_password=PASSWORD)
    assert answer.status_code == 303, answer.text
    page = client.get(path, headers=PAGE).text
    found = re.search(r'id="key">([A-Z2-7 ]+)<', page)
    assert found
    key = found[1].replace(" ", "")
    answer = post(client, path, f"{path}/confirm", code=now_shown(house, key))
    assert answer.status_code == 200, answer.text
    house.world.now[0] += 60_000
    return key, re.findall(r"<li>([a-z0-9]{5}-[a-z0-9]{5})</li>", answer.text)


def now_shown(house: House, key: str) -> str:
    """Return what the authenticator shows."""
    return pyotp.TOTP(key).at(house.world.now[0] // 1000)


def test_a_second_factor_is_set_up_and_asked_for(house: House) -> None:
    """QR code, first code, recovery codes once; from then on the password alone opens nothing."""
    mine = house.log_in()
    key, codes = set_up_factor(house, mine)
    assert len(codes) == 10
    assert codes[0] not in mine.get("/account/second-factor", headers=PAGE).text
    assert key not in mine.get("/account/second-factor", headers=PAGE).text.replace(" ", "")
    client = house.browser()
    answer = post(client, "/login", "/login", email=ADMIN, password=PASSWORD, next="/account")
    assert answer.headers["location"] == "/login/code?next=%2Faccount"
    assert "kilowatch" not in client.cookies
    assert not alive(client)
    wrong = post(client, "/login/code", "/login/code", code="000000", next="/account")
    assert wrong.status_code == 401
    assert "not right" in wrong.text
    done = post(client, "/login/code", "/login/code", code=now_shown(house, key), next="/account")
    assert done.headers["location"] == "/account"
    assert alive(client)
    again = post(client, "/login/code", "/login/code", code=codes[0])
    assert again.status_code == 401, "the half log-in is used up"


def test_the_second_step_sends_nobody_elsewhere(house: House) -> None:
    """The second form's target is checked as the first one's is."""
    key, _ = set_up_factor(house, house.log_in())
    client = house.browser()
    post(client, "/login", "/login", email=ADMIN, password=PASSWORD)
    done = post(
        client, "/login/code", "/login/code", code=now_shown(house, key), next="//evil.example"
    )
    assert done.headers["location"] == "/"


def test_setting_up_needs_the_password_and_tells_the_owner(house: House) -> None:
    """An unattended browser can't lock its owner out with a factor of the thief's."""
    mine = house.log_in()
    path = "/account/second-factor"
    answer = post(mine, path, f"{path}/begin", current_password="wrong")
    assert answer.status_code == 422
    assert "not your password" in answer.text
    assert "<svg xmlns" not in answer.text
    set_up_factor(house, mine)
    assert house.mailbox.to(ADMIN) == ["Your Kilowatch account has a second factor"]
    assert post(mine, path, f"{path}/remove", current_password="wrong").status_code == 422
    assert post(mine, path, f"{path}/remove", current_password=PASSWORD).status_code == 303
    assert alive(house.log_in())


def test_the_qr_code_is_a_plain_picture_under_the_strict_policy(house: House) -> None:
    """No inline style, no script, and dark on light in both themes."""
    mine = house.log_in()
    path = "/account/second-factor"
    post(mine, path, f"{path}/begin", current_password=PASSWORD)
    page = mine.get(path, headers=PAGE).text
    drawn = re.search(r"<svg xmlns.*?</svg>", page, re.DOTALL)
    assert drawn
    assert not re.search(r"style=|<style|<script|onload", drawn[0])
    assert 'fill="#fff' in drawn[0]


def test_an_organisation_can_ask_for_a_second_factor(house: House) -> None:
    """Until it is set up a person sees their account and nothing else; then everything."""
    mine = house.log_in(VIEWER)
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        row = change.session.get(Organisation, 1)
        assert row is not None
        row.second_factor_required = True
    asked = mine.get("/", headers=PAGE)
    assert asked.headers["location"] == "/account/second-factor?needed"
    for path in ("/tree", "/live", "/account/tokens", f"/data/today?points={1}"):
        assert mine.get(path).status_code == 403, path
    number = house.world.point("main").id
    assert mine.get(f"/breakdown/{number}", headers=PAGE).status_code == 303
    assert "Set it up to go on" in mine.get("/account/second-factor", headers=PAGE).text
    set_up_factor(house, mine)
    assert mine.get(f"/breakdown/{number}", headers=PAGE).status_code == 200
    theirs = house.log_in(STRANGER).get("/", headers=PAGE)
    assert theirs.headers["location"] == "/start", "another organisation is asked for nothing"


def test_an_api_token_is_shown_once_and_works_until_revoked(house: House) -> None:
    """Its owner copies it now, or makes another."""
    mine = house.log_in()
    path = "/account/tokens"
    sent = {"name": "Spreadsheet", "access": "read", "days": "30"}
    assert post(mine, path, path, **sent, current_password="wrong").status_code == 422
    made = post(mine, path, path, **sent, current_password=PASSWORD)
    found = re.search(r"kwt_[\w-]+", made.text)
    assert found
    holder = tokens.look_up(house.world.catalog, KEY, found[0])
    assert holder is not None
    assert holder.read_only
    listed = mine.get(path, headers=PAGE).text
    assert "Spreadsheet" in listed
    assert "kwt_" not in listed
    assert 'data-confirm="Revoke the token Spreadsheet?' in listed, "one click asks first"
    theirs = house.log_in(VIEWER)
    revoke = {"token": str(holder.token_id)}
    assert post(theirs, path, f"{path}/revoke", **revoke).status_code == 404
    assert tokens.look_up(house.world.catalog, KEY, found[0])
    assert post(mine, path, f"{path}/revoke", **revoke).status_code == 303
    assert tokens.look_up(house.world.catalog, KEY, found[0]) is None


def test_how_one_reads_numbers_is_kept_and_used_by_every_page(house: House) -> None:
    """Chosen once, in every browser; the browser's own language counts until then."""
    mine = house.log_in()
    german = {**PAGE, "accept-language": "de-AT"}
    assert 'data-locale="de-AT"' in mine.get("/account", headers=german).text
    sent = {"name": "Ann Lee", "locale": "en-US", "temperature_unit": "F", "energy_unit": "kWh"}
    assert post(mine, "/account", "/account", **sent).status_code == 303
    for path in ("/account", f"/breakdown/{house.world.point('main').id}", "/site/1"):
        page = house.log_in().get(path, headers=german).text
        assert 'data-locale="en-US"' in page
        assert 'data-temperature="F"' in page
        assert 'data-energy="kWh"' in page
        assert "Ann Lee" in page
    for field, odd in (("locale", '"><script>'), ("temperature_unit", "K"), ("energy_unit", "J")):
        answer = post(mine, "/account", "/account", **{**sent, field: odd})
        assert answer.status_code == 422
        assert "<script>" not in answer.text


def test_an_address_changes_by_a_link_to_the_new_one(house: House) -> None:
    """The old address is told; the log-in is the new one from then on."""
    mine = house.log_in()
    sent = {"email": "Lee@Example.com", "current_password": PASSWORD}
    assert post(mine, "/account", "/account/address", **sent).status_code == 303
    path, token = house.mailbox.link("lee@example.com")
    assert path == "/confirm-address"
    assert house.log_in(), "nothing has changed yet"
    answer = post(house.browser(), path, path, token=token)
    assert "lee@example.com" in answer.text
    assert house.log_in("lee@example.com")
    assert "another address" in house.mailbox.to(ADMIN)[-1]
    again = post(house.browser(), path, path, token=token)
    assert again.status_code == 410


def test_asking_for_an_address_that_somebody_has_looks_the_same(house: House) -> None:
    """The page does not tell who else has an account here; no mail goes out."""
    mine = house.log_in()
    free = post(
        mine, "/account", "/account/address", email="free@example.com", current_password=PASSWORD
    )
    taken = post(mine, "/account", "/account/address", email=VIEWER, current_password=PASSWORD)
    assert free.status_code == taken.status_code == 303
    assert free.headers["location"] == taken.headers["location"]
    assert house.mailbox.to("free@example.com")
    assert not house.mailbox.to(VIEWER)


FORMS = (
    ("/account", {"name": "Eve"}),
    ("/account/address", {"email": "eve@example.com", "current_password": PASSWORD}),
    ("/account/password", {"current_password": PASSWORD, "password": NEW, "password_again": NEW}),
    ("/account/sessions", {"which": "others"}),
    ("/account/second-factor/begin", {"current_password": PASSWORD}),
    ("/account/second-factor/remove", {"current_password": PASSWORD}),
    ("/account/tokens", {"name": "x", "days": "30", "current_password": PASSWORD}),
)


@pytest.mark.parametrize(("path", "fields"), FORMS, ids=lambda value: str(value)[:32])
def test_another_site_can_send_none_of_these_forms(
    house: House, path: str, fields: dict[str, str]
) -> None:
    """Without the page's own token nothing changes, whatever else is right."""
    mine, other = house.log_in(), house.log_in()
    theirs = TOKEN.search(house.log_in(VIEWER).get("/account", headers=PAGE).text)
    assert theirs
    for csrf in ("", theirs[1]):
        assert mine.post(path, data={"csrf": csrf, **fields}, headers=PAGE).status_code == 403
    assert alive(other)
    assert house.log_in()
    with house.world.catalog.reading() as session:
        user = session.get(User, 1)
        assert user is not None
        assert (user.name, user.email) == ("A. Lee", ADMIN)
        assert not tokens.of_person(session, 1)
    assert not house.mailbox.mails
