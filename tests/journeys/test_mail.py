"""The platform's own mail, from the settings file to an inbox and back into the dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from tests.journeys.inboxes import Inbox, mail_settings, text_of
from tests.journeys.pushing import startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until

pytestmark = pytest.mark.journey

CSRF = re.compile(r'name="csrf" value="(\w+)"')
PAGE = {"accept": "text/html"}
NEW = "quite another password"


def test_a_forgotten_password_is_mailed_and_set_anew(
    make_server: Callable[..., Server], inbox: tuple[Inbox, int]
) -> None:
    """Settings file, mail-test, "Forgot your password?", the mail, a new password, log in."""
    kept, port = inbox
    server = make_server()
    server.data.mkdir(parents=True)
    (server.data / "kilowatch.toml").write_text(mail_settings(port))
    package = startup_package(server.data)
    email = package["dashboard_user"]
    said = kilowatch("mail-test", email, data=server.data)
    assert "took a mail" in said
    assert kept.mails[0]["Subject"] == "Kilowatch can send mail"
    server.start()
    address = server.addresses["dashboard_http"].rstrip("/")
    with httpx.Client(base_url=address, headers=PAGE, trust_env=False) as browser:

        def send(path: str, **fields: str) -> httpx.Response:
            found = CSRF.search(browser.get(path).text)
            assert found
            return browser.post(path, data={"csrf": found[1], **fields})

        assert "on its way" in send("/forgotten", email=email).text
        until(lambda: len(kept.mails) == 2, what="the mail")
        assert kept.mails[1]["To"] == email
        link = re.search(r"(https?://\S+)/new-password#(\S+)", text_of(kept.mails[1]))
        assert link
        assert link[1] == address, "the link leads to where people look"
        done = send("/new-password", token=link[2], password=NEW)
        assert done.headers["location"] == "/login?changed"
        until(lambda: len(kept.mails) == 3, what="the mail that tells of the change")
        assert send("/login", email=email, password=NEW).status_code == 303
        assert browser.get("/account").status_code == 200
    log = server.output.read_text(errors="replace")
    assert link[2] not in log
    assert NEW not in log
    server.stop()
