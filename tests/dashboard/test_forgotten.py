"""Links from mails: another password, an invitation; and that nobody learns who has an account."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from kilowatch.catalog import people, secrets
from kilowatch.catalog.tables import User
from kilowatch.notify.mail import Message
from tests.dashboard.house import PAGE, House, alive, post
from tests.dashboard.worlds import ADMIN, END_USER, PASSWORD, STRANGER, VIEWER

NEW = "quite another password"


def ask(house: House, email: str, client: TestClient | None = None) -> Any:
    """Ask for another password."""
    return post(client or house.browser(), "/forgotten", "/forgotten", email=email)


def body(answer: Any) -> str:
    """Return a page without what is different on each."""
    return re.sub(r'name="csrf" value="\w+"|value="[^"]*@[^"]*"', "", answer.text)


def test_who_forgot_a_password_gets_in_by_a_mailed_link(house: House) -> None:
    """The link sets another password once; every session ends; the owner is told."""
    before = house.log_in()
    assert ask(house, ADMIN).status_code == 200
    path, token = house.mailbox.link(ADMIN)
    assert path == "/new-password"
    client = house.browser()
    answer = post(client, path, path, token=token, password=NEW)
    assert answer.headers["location"] == "/login?changed"
    assert not alive(before)
    assert house.log_in(password=NEW)
    assert post(house.browser(), path, path, token=token, password=PASSWORD).status_code == 410
    assert house.mailbox.to(ADMIN)[-1] == "Your Kilowatch password was changed"


def test_the_answer_is_the_same_whether_there_is_an_account_or_not(house: House) -> None:
    """Status, text, headers: nothing tells an account from none; no mail to nobody."""
    there, nobody = ask(house, ADMIN), ask(house, "nobody@example.com")
    assert body(there) == body(nobody)
    assert there.status_code == nobody.status_code == 200
    assert set(there.headers) == set(nobody.headers)
    assert [mail.to for mail in house.mailbox.mails] == [ADMIN]


def test_the_answer_does_not_wait_for_the_mail_server(house: House) -> None:
    """A mail takes a server seconds; that must not tell who has an account.

    A sending that never ends holds nobody up: the whole page is out before it begins.
    """
    order: list[str] = []
    send = house.mailbox.send

    def noted(mail: Message) -> None:
        order.append("mail")
        send(mail)

    async def app(scope: Any, receive: Any, give: Any) -> None:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                order.append("answer")
            await give(message)

        await house.world.app(scope, receive, noting)

    house.mailbox.send = noted  # type: ignore[assignment, method-assign]
    client = TestClient(app, follow_redirects=False)
    page = client.get("/forgotten", headers=PAGE)
    order.clear()
    client.post("/forgotten", data={"csrf": csrf_of(page.text), "email": ADMIN})
    assert order == ["answer", "mail"]


def test_a_mail_server_that_is_away_tells_nothing_either(house: House) -> None:
    """The failure is in the log, not on a stranger's screen."""
    house.mailbox.broken = True
    assert body(ask(house, ADMIN)) == body(ask(house, "nobody@example.com"))


def test_logging_in_takes_as_long_for_nobody_as_for_somebody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown address costs the same hash as a wrong password: the clock tells nothing.

    Hashes are counted, not seconds, which a busy machine spends elsewhere.
    """
    hashed: list[str] = []

    class Counting:
        """Verifies as the real one does, and notes against which hash."""

        def verify(self, stored: str, password: str) -> bool:
            hashed.append(stored.rpartition("$")[0].rpartition("$")[0])
            return real.verify(stored, password)

    real = secrets._HASHER
    monkeypatch.setattr(secrets, "_HASHER", Counting())
    for email in (ADMIN, "nobody@example.com"):
        client = house.browser()
        client.get("/login")
        post(client, "/login", "/login", email=email, password="wrong")
    known, unknown = hashed  # each one hash
    assert known == unknown  # and of the same parameters


def test_asking_too_often_is_slowed_for_the_asker_and_silent_for_the_account(house: House) -> None:
    """A colleague's mailbox is not filled, and the asker is told only about themselves."""
    for _ in range(5):
        assert ask(house, VIEWER).status_code == 200
    assert len(house.mailbox.to(VIEWER)) == 3
    for number in range(5):
        ask(house, f"person{number}@example.com")
    slowed = ask(house, ADMIN)
    assert slowed.status_code == 429
    assert int(slowed.headers["retry-after"]) > 0
    assert not house.mailbox.to(ADMIN)


def test_a_reset_proves_the_owner_to_a_slowed_down_account(house: House) -> None:
    """While strangers guess at an account, its owner gets in by mail and is known from then on."""
    for number in range(60):
        client = TestClient(house.world.app, client=(f"198.51.100.{number}", 1))
        post(client, "/login", "/login", email=ADMIN, password="guess")
    owner = house.browser()
    assert post(owner, "/login", "/login", email=ADMIN, password=PASSWORD).status_code == 429
    ask(house, ADMIN)
    path, token = house.mailbox.link(ADMIN)
    post(owner, path, path, token=token, password=NEW)
    assert post(owner, "/login", "/login", email=ADMIN, password=NEW).status_code == 303


def test_fetching_a_link_changes_nothing(house: House) -> None:
    """A mail scanner that follows every link uses none of them up."""
    ask(house, ADMIN)
    path, token = house.mailbox.link(ADMIN)
    client = house.browser()
    for _ in range(3):
        assert client.get(f"{path}?token={token}", headers=PAGE).status_code == 200
    assert post(house.browser(), path, path, token=token, password=NEW).status_code == 303


def test_links_begin_with_our_own_address_whatever_the_request_says(house: House) -> None:
    """A forged Host header can't send our users' links to somebody else's server."""
    client = TestClient(house.world.app, base_url="http://evil.example", follow_redirects=False)
    ask(house, ADMIN, client)
    assert "evil.example" not in house.mailbox.mails[-1].text
    assert house.world.app.state.rooms.settings.public_url in house.mailbox.mails[-1].text


def test_the_second_factor_stays_after_a_reset(house: House) -> None:
    """Who reads a mailbox has one factor, not two."""
    from tests.dashboard.test_account import set_up_factor  # noqa: PLC0415 - its helper

    set_up_factor(house, house.log_in())
    ask(house, ADMIN)
    path, token = house.mailbox.link(ADMIN)
    client = house.browser()
    post(client, path, path, token=token, password=NEW)
    answer = post(client, "/login", "/login", email=ADMIN, password=NEW)
    assert answer.headers["location"] == "/login/code"
    assert not alive(client)


def invite(house: House, client: TestClient, email: str, **fields: Any) -> Any:
    """Invite somebody to Acme."""
    sent = {"email": email, "role": "viewer", "where": "whole", "plan": "", **fields}
    return post(client, "/organization/1/users", "/organization/1/users", **sent)


def test_an_invitation_is_mailed_and_taken_with_a_password(house: House) -> None:
    """From the mail to the first page: organisation, role, a password, log in."""
    admin = house.log_in()
    answer = invite(house, admin, "new@example.com", name="Nora")
    assert "on its way to new@example.com" in answer.text
    path, token = house.mailbox.link("new@example.com")
    assert token not in answer.text
    client = house.browser()
    shown = post(client, path, path, token=token)
    for word in ("Acme", "viewer", "new@example.com", "Nora"):
        assert word in shown.text
    weak = client.post(
        "/invitation/join",
        data={"csrf": csrf_of(shown.text), "token": token, "name": "Nora", "password": "short"},
    )
    assert weak.status_code == 400
    assert "12 to 256" in weak.text
    joined = client.post(
        "/invitation/join",
        data={"csrf": csrf_of(weak.text), "token": token, "name": "Nora", "password": NEW},
    )
    assert joined.headers["location"] == "/login?joined"
    nora = house.log_in("new@example.com", NEW)
    assert nora.get("/tree").text.count("Main supply")
    assert post(house.browser(), path, path, token=token).status_code == 410


def csrf_of(text: str) -> str:
    """Return the token of the form on a page."""
    found = re.search(r'name="csrf" value="(\w+)"', text)
    assert found
    return found[1]


def test_who_has_an_account_proves_it_and_keeps_the_password(house: House) -> None:
    """A stranger who finds the mail can't take the account over with it; guessing is slowed."""
    invite(house, house.log_in(), STRANGER)
    path, token = house.mailbox.link(STRANGER)
    client = house.browser()
    shown = post(client, path, path, token=token)
    assert "have an account already" in shown.text
    for _ in range(5):
        sent = {"csrf": csrf_of(shown.text), "token": token, "password": "a finder's password"}
        wrong = client.post("/invitation/join", data=sent)
        assert wrong.status_code == 401
    slowed = client.post("/invitation/join", data={**sent, "password": PASSWORD})
    assert slowed.status_code == 429
    house.world.now[0] += 600_000
    joined = client.post("/invitation/join", data={**sent, "password": PASSWORD})
    assert joined.status_code == 303
    page = house.log_in(STRANGER).get("/tree").text
    assert "Main supply" in page
    assert "Presse" in page


def test_without_a_mail_server_the_link_is_shown_once(house: House) -> None:
    """An administrator passes it on; it is on no page afterwards."""
    house.mailbox.configured = False
    admin = house.log_in()
    answer = invite(house, admin, "new@example.com")
    found = re.search(r"https?://[^\s<]+/invitation#([\w-]+)", answer.text)
    assert found
    assert found[1] not in admin.get("/organization/1/users", headers=PAGE).text
    shown = post(house.browser(), "/invitation", "/invitation", token=found[1])
    assert "Acme" in shown.text


def test_a_mail_that_fails_is_said_and_the_link_is_shown(house: House) -> None:
    """The invitation is not lost because the mail server is away."""
    house.mailbox.broken = True
    answer = invite(house, house.log_in(), "new@example.com")
    assert "could not be sent: The mail server is away." in answer.text
    assert "/invitation#" in answer.text


def test_an_invitation_is_sent_again_and_withdrawn_from_its_page(house: House) -> None:
    """The latest mail counts, and none after it was withdrawn."""
    admin = house.log_in()
    invite(house, admin, "new@example.com")
    path, first = house.mailbox.link("new@example.com")
    home = "/organization/1"
    post(admin, f"{home}/users", f"{home}/invitations/1/resend")
    _, second = house.mailbox.link("new@example.com")
    assert post(house.browser(), path, path, token=first).status_code == 410
    assert post(house.browser(), path, path, token=second).status_code == 200
    post(admin, f"{home}/users", f"{home}/invitations/1/withdraw")
    assert post(house.browser(), path, path, token=second).status_code == 410


def test_a_closed_account_can_do_none_of_this(house: House) -> None:
    """No mail, no log-in."""
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        tenant = people.find_by_email(change.session, END_USER)
        assert isinstance(tenant, User)
        people.disable(change, tenant.id)
    ask(house, END_USER)
    assert not house.mailbox.mails
    client = house.browser()
    assert post(client, "/login", "/login", email=END_USER, password=PASSWORD).status_code == 401
