"""Refreshable links: what spreadsheets and BI tools send, and what they get.

The requests are those that the tools make: Power Query's user agent and its probes as recorded in
public code and in Microsoft's "Handling authentication" (an empty bearer token when a person
presses "Sign in", then Basic), its list of headers that a query may set (Accept, If-Modified-Since,
Range, …), Excel's older web queries (``Mozilla/4.0 (compatible; ms-office; MSOffice 16)``), and
plain HTTP clients as scripts for Tableau use them. See docs/use/export.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import people, registry
from kilowatch.dashboard.export_links import token_of
from kilowatch.exports.slots import Rate
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import ADMIN, PASSWORD, VIEWER, World, build

MASHUP = "Microsoft.Data.Mashup (https://go.microsoft.com/fwlink/?LinkID=304225)"
POWER_QUERY = {"user-agent": MASHUP, "accept-encoding": "gzip, deflate", "connection": "Keep-Alive"}
OLD_EXCEL = {"user-agent": "Mozilla/4.0 (compatible; ms-office; MSOffice 16)", "accept": "*/*"}
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Build a world that these tests may change."""
    made = build(tmp_path_factory.mktemp("links"), days=3)
    yield made
    made.writer.close()
    made.log.close()
    made.catalog.close()


def log_in(world: World, email: str = ADMIN) -> TestClient:
    """Return a person's browser."""
    client = TestClient(world.app, follow_redirects=False)
    sent = {"csrf": form_token(client), "email": email, "password": PASSWORD}
    assert client.post("/login", data=sent).status_code == 303
    return client


def make_link(client: TestClient, world: World, **fields: str) -> tuple[str, str]:
    """Make a link on the page, and return its path and its token."""
    query = f"place=p{world.point('main').id}&period=last_7_days&grain=day"
    page = client.get(f"/export/links?{query}", headers=PAGE).text
    form: dict[str, Any] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page):
        form.setdefault(name, []).append(value)
    form["csrf"] = form["csrf"][0]
    form |= {"name": "Monthly report", "format": "csv", "days": "30", "current_password": PASSWORD}
    answer = client.post("/export/links", data=form | fields)
    assert answer.status_code == 200, answer.text
    found = re.search(r"kwx_[\w-]{40,}", answer.text)
    number = re.search(r"/export/link/(\d+)", answer.text)
    assert found
    assert number
    return f"/export/link/{number[1]}", found[0]


def basic(token: str, user: str = "kilowatch") -> dict[str, str]:
    """Return a header as Excel sends it."""
    return {"authorization": f"Basic {base64.b64encode(f'{user}:{token}'.encode()).decode()}"}


def test_excel_is_asked_for_a_password_and_then_gets_the_file(own: World) -> None:
    """Power Query asks without anything, is told how, and comes again with Basic."""
    client = log_in(own)
    path, token = make_link(client, own)
    tool = TestClient(own.app, follow_redirects=False)
    for probe in (POWER_QUERY, POWER_QUERY | {"authorization": "Bearer"}, OLD_EXCEL):
        asked = tool.get(path, headers=probe)
        assert asked.status_code == 401
        assert (
            asked.headers["www-authenticate"] == 'Basic realm="Kilowatch export", charset="UTF-8"'
        )
        assert "<html" not in asked.text, "a log-in page would be taken for data"
    for probe in (POWER_QUERY, OLD_EXCEL):
        answer = tool.get(path, headers=probe | basic(token))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.text.startswith("start_local,start_utc,duration_s,organisation,")
        assert "2026-11-08T00:00:00+00:00" in answer.text
    assert tool.get(path, headers=basic("", user=token)).status_code == 200, "one field only"
    assert tool.get(path, headers={"authorization": f"Bearer {token}"}).status_code == 200
    listed = client.get("/export/links", headers=PAGE).text
    assert "Monthly report" in listed
    assert "(testclient)" in listed, "when and from where it was used last"
    assert token not in listed, "shown once"


def test_nothing_is_sent_while_nothing_has_changed(own: World) -> None:
    """HEAD tells type and version; If-None-Match is answered 304; Range with the whole file."""
    client = log_in(own)
    path, token = make_link(client, own)
    tool = TestClient(own.app, headers=POWER_QUERY | basic(token))
    head = tool.head(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == "text/csv; charset=utf-8"
    assert "content-length" not in head.headers, "0 would say that the file is empty"
    tag = head.headers["etag"]
    again = tool.get(path, headers={"if-none-match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert tool.get(path, headers={"if-none-match": f'"x", {tag}'}).status_code == 304
    whole = tool.get(path, headers={"range": "bytes=0-99"})
    assert whole.status_code == 200
    assert whole.headers["accept-ranges"] == "none"
    assert whole.headers["cache-control"] == "private, no-cache"
    own.view.packets[own.point("main").series] += 1
    changed = tool.get(path, headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_a_token_in_the_address_is_a_choice_of_its_own(own: World) -> None:
    """Only a link that was made for it takes the token there, and the page warns of it."""
    client = log_in(own)
    path, token = make_link(client, own)
    tool = TestClient(own.app)
    assert tool.get(f"{path}?token={token}").status_code == 401
    path, token = make_link(client, own, in_address="yes")
    assert tool.get(f"{path}?token={token}").status_code == 200
    assert "token in address" in client.get("/export/links", headers=PAGE).text


def test_a_link_ends_with_what_its_person_may(own: World) -> None:
    """Revoked, expired, another link's token, a lost role, a closed account: nothing is fetched."""
    client = log_in(own)
    path, token = make_link(client, own)
    _, other = make_link(client, own)
    tool = TestClient(own.app)
    assert tool.get(path, headers=basic(other)).status_code == 401
    assert tool.get("/export/link/99999", headers=basic(token)).status_code == 401
    csrf = form_token(client, "/export/links")
    number = path.rpartition("/")[2]
    assert client.post("/export/links/revoke", data={"csrf": csrf, "export_link": number}
                       ).status_code == 303  # fmt: skip
    assert tool.get(path, headers=basic(token)).status_code == 401
    told = client.get("/admin/history", headers=PAGE, follow_redirects=True).text
    assert "made the export link Monthly report" in told
    assert "revoked the export link Monthly report" in told
    path, token = make_link(client, own, days="7")
    own.now[0] += 8 * 86_400_000
    assert tool.get(path, headers=basic(token)).status_code == 401
    own.now[0] -= 8 * 86_400_000

    change_role(own, VIEWER, "analyst")
    colleague = log_in(own, VIEWER)
    path, token = make_link(colleague, own)
    assert tool.get(path, headers=basic(token)).status_code == 200
    change_role(own, VIEWER, "viewer")
    assert tool.get(path, headers=basic(token)).status_code == 403
    change_role(own, VIEWER, "analyst")
    assert tool.get(path, headers=basic(token)).status_code == 200
    with own.catalog.change(catalogs.Actor("test")) as change:
        user = people.find_by_email(change.session, VIEWER)
        assert user is not None
        user.disabled_at_ms = change.now_ms
    assert tool.get(path, headers=basic(token)).status_code == 401


def change_role(world: World, email: str, role: str) -> None:
    """Give somebody another role in Acme."""
    with world.catalog.change(catalogs.Actor("test")) as change:
        user = people.find_by_email(change.session, email)
        assert user is not None
        acme = registry.find_organisation(change.session, "Acme")
        people.set_role(change, user, acme, role)  # type: ignore[arg-type]


def test_a_link_reaches_one_organisation(own: World, logged: Logged) -> None:
    """Who belongs to two makes a link for each; one of both is refused, and says why."""
    with own.catalog.change(catalogs.Actor("test")) as change:
        user = people.find_by_email(change.session, ADMIN)
        assert user is not None
        other = registry.find_organisation(change.session, "Elsewhere")
        people.set_role(change, user, other, "administrator")
        number = other.id
    client = log_in(own)  # who has just been given a role has it at once
    both = {"csrf": form_token(client, "/export/links"), "name": "Both", "days": "7",
            "format": "csv", "current_password": PASSWORD,
            "place": [f"o{number}", f"p{own.point('main').id}"]}  # fmt: skip
    answer = client.post("/export/links", data=both)
    assert answer.status_code == 422
    assert "A link reaches one organisation" in answer.text
    wrong = client.post("/export/links", data=both | {"place": f"o{number}",
                                                      "current_password": "wrong"})  # fmt: skip
    assert wrong.status_code == 422
    assert "kwx_" not in wrong.text


def test_who_asks_too_often_waits(own: World) -> None:
    """A tool in a loop, and whoever guesses tokens, are told to wait and for how long."""
    client = log_in(own)
    path, token = make_link(client, own)
    tool, limits = TestClient(own.app), own.app.state.rooms.exports
    limits.fetches, limits.failures = Rate(2, 600.0), Rate(3, 600.0)
    answers = [tool.head(path, headers=basic(token)) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) == 601
    for _ in range(3):
        assert tool.get(path, headers=basic("kwx_guess")).status_code == 401
    assert tool.get(path, headers=basic(token)).status_code == 429
    limits.fetches, limits.failures = Rate(60, 600.0), Rate(30, 600.0)


def test_a_token_is_found_where_tools_put_it() -> None:
    """Password, user name, bearer, address; rubbish is no token."""
    encoded = base64.b64encode(b"kilowatch:kwx_a:b").decode()
    assert token_of({"authorization": f"Basic {encoded}"}, {}) == ("kwx_a:b", False)
    assert token_of({"authorization": "basic !!!"}, {"token": "kwx_b"}) == ("", False)
    assert token_of({"authorization": "Bearer"}, {}) == ("", False)
    assert token_of({}, {"token": "kwx_c"}) == ("kwx_c", True)
    assert token_of({}, {}) == ("", False)
