"""Logging in: who is asked, what the browser keeps, and how guessing is slowed."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import ADMIN, PASSWORD, World

PAGE = {"accept": "text/html"}


def browser(world: World, base: str = "http://testserver") -> TestClient:
    """Return a browser that nobody has used yet."""
    return TestClient(world.app, base_url=base, follow_redirects=False)


def send(client: TestClient, email: str, password: str, wanted: str = "") -> object:
    """Fill in the form and send it."""
    data = {"csrf": form_token(client), "email": email, "password": password, "next": wanted}
    return client.post("/login", data=data)


def test_a_log_in_goes_where_one_wanted_to_go(world: World) -> None:
    """A link that a colleague sent opens after the log-in, not the first page."""
    client = browser(world)
    asked = client.get("/breakdown/1?period=week", headers=PAGE)
    assert asked.headers["location"] == "/login?next=%2Fbreakdown%2F1%3Fperiod%3Dweek"
    page = client.get(asked.headers["location"], headers=PAGE).text
    wanted = re.search(r'name="next" value="([^"]*)"', page)
    assert wanted
    answer = send(client, ADMIN, PASSWORD, wanted[1].replace("&amp;", "&"))
    assert answer.headers["location"] == "/breakdown/1?period=week"  # type: ignore[attr-defined]


def test_a_log_in_never_leads_to_another_site(world: World) -> None:
    """A prepared link cannot use our log-in to send people elsewhere."""
    for elsewhere in ("//evil.example", "https://evil.example", "/\\evil.example", "/\tevil"):
        answer = send(browser(world), ADMIN, PASSWORD, elsewhere)
        assert answer.headers["location"] == "/"  # type: ignore[attr-defined]


def test_the_session_cookie_is_out_of_reach_of_scripts(world: World) -> None:
    """HttpOnly and SameSite always; over https also Secure, with a name other hosts can't set."""
    answer = send(browser(world), ADMIN, PASSWORD)
    plain = [c for c in answer.headers.get_list("set-cookie") if c.startswith("kilowatch=")]  # type: ignore[attr-defined]
    assert "HttpOnly" in plain[0]
    assert "SameSite=lax" in plain[0]
    secure = send(browser(world, "https://testserver"), ADMIN, PASSWORD)
    found = [c for c in secure.headers.get_list("set-cookie") if "__Host-kilowatch=" in c]  # type: ignore[attr-defined]
    assert "Secure" in found[0]
    assert "Path=/" in found[0]
    assert "Domain" not in found[0]


def test_a_log_in_ends_the_session_that_was_there_before(world: World, logged: Logged) -> None:
    """A session that somebody planted in the browser is worth nothing after the log-in."""
    before = logged(ADMIN).cookies["kilowatch"]
    attacker = browser(world)
    attacker.cookies.set("kilowatch", before)
    client = browser(world)
    data = {"csrf": form_token(client), "email": ADMIN, "password": PASSWORD}
    client.cookies.set("kilowatch", before)
    answer = client.post("/login", data=data)
    assert answer.status_code == 303
    assert answer.cookies["kilowatch"] != before
    assert attacker.get("/", headers=PAGE).headers["location"] == "/login"


def test_logging_out_ends_the_session_everywhere(world: World, logged: Logged) -> None:
    """A stolen cookie is worth nothing once its owner has logged out."""
    client = logged(ADMIN)
    stolen = browser(world)
    stolen.cookies.set("kilowatch", client.cookies["kilowatch"])
    assert stolen.get("/tree").status_code == 200
    token = form_token(client, "/admin/data-points/new")
    assert client.post("/logout", data={"csrf": token}).status_code == 303
    assert stolen.get("/tree").status_code == 401


def test_a_wrong_password_and_an_unknown_address_are_told_alike(world: World) -> None:
    """Nobody finds out here who has an account."""
    texts = []
    for email in (ADMIN, "nobody@example.com"):
        answer = send(browser(world), email, "not the password")
        assert answer.status_code == 401  # type: ignore[attr-defined]
        texts.append(re.search(r'role="alert".*?<p>(.*?)</p>', answer.text, re.DOTALL)[1])  # type: ignore[attr-defined, index]
    assert texts[0] == texts[1]


def test_guessing_is_slowed_with_a_clear_message(world: World) -> None:
    """After five wrong passwords the form says how long to wait, and so does the header."""
    client = browser(world)
    for _ in range(6):
        answer = send(client, "guessed@example.com", "wrong")
    assert answer.status_code == 429  # type: ignore[attr-defined]
    assert re.search(r"Try again in \d+ s", answer.text)  # type: ignore[attr-defined]
    assert int(answer.headers["retry-after"]) > 0  # type: ignore[attr-defined]


def test_a_body_that_no_form_has_is_refused(world: World) -> None:
    """Somebody without an account cannot fill the memory through the log-in."""
    client = browser(world)
    huge = {"csrf": form_token(client), "email": ADMIN, "password": "x" * 100_000}
    assert client.post("/login", data=huge).status_code == 413


def test_a_log_in_form_of_another_browser_is_not_taken(world: World) -> None:
    """The form is bound to the browser that asked for it, before there is any session."""
    theirs = form_token(browser(world))
    client = browser(world)
    client.get("/login")
    answer = client.post("/login", data={"csrf": theirs, "email": ADMIN, "password": PASSWORD})
    assert answer.status_code == 403
    assert "send it again" in answer.text
