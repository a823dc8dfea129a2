"""Administration: credentials and startup packages, shown once, mailed and revoked."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import credentials, secrets, sessions
from kilowatch.catalog.credentials import Use
from kilowatch.catalog.tables import Credential, Organisation
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message
from tests.dashboard.access_world import Matrix
from tests.dashboard.estate_desk import PAGE, Desk, matrix, shown  # noqa: F401 - a fixture
from tests.dashboard.worlds import KEY

PACKAGE = {
    "name": "Bakery", "email": "owner@bakery.ie", "zone": "Europe/Dublin", "country": "",
    "interval": "15m", "reading": "cum",
}  # fmt: skip


@pytest.fixture
def desk(matrix: Matrix) -> Iterator[Desk]:  # noqa: F811 - the fixture
    """Return Acme's administrator at their desk; everything is put back afterwards."""
    yield Desk(matrix, "administrator")
    matrix.restore()


@pytest.fixture
def partner(matrix: Matrix) -> Iterator[Desk]:  # noqa: F811 - the fixture
    """Return a partner administrator at their desk."""
    yield Desk(matrix, "partner administrator")
    matrix.restore()


class Letterbox:
    """A mail server that keeps what it is handed, or refuses."""

    configured = True

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.failure: KilowatchError | None = None

    def send(self, message: Message) -> None:
        """Keep a mail."""
        if self.failure is not None:
            raise self.failure
        self.messages.append(message)


def test_a_credential_is_shown_once_with_a_line_that_works(desk: Desk) -> None:
    """Copy, paste, and the first packet is there; afterwards nobody can see the password again."""
    all_of_it = f"/admin/organizations/{desk.acme}/credentials"
    page = desk.post(
        all_of_it, scope="site", site=str(desk.office), environment="development", name="Gateway B"
    )
    username, secret = shown(page, "username"), shown(page, "secret")
    assert secret in shown(page, "curl")
    assert f'"{username}:$PASSWORD"' in shown(page, "curl")
    record = catalogs.directory.load(desk.world.catalog, "development").credential(username)
    assert record is not None
    assert record.secret_digest == secrets.digest(KEY, secret)
    assert record.sites == {desk.office}
    for path in ("/admin/credentials", f"{all_of_it}/{record.id}"):
        assert secret not in desk.get(path)
    assert not [e for e in desk.history("credential") if secret in repr((e.before, e.after))]


def test_a_page_with_a_new_credential_that_is_reloaded_issues_no_second_one(desk: Desk) -> None:
    """A browser sends the form again: one credential stays one, and its password stays secret."""
    all_of_it = f"/admin/organizations/{desk.acme}/credentials"
    after = re.search(r'name="after" value="(\d+)"', desk.get(f"{all_of_it}/new"))
    assert after
    form = {"scope": "site", "site": str(desk.office), "environment": "development"}
    form |= {"name": "Gateway B", "after": after[1]}
    page = desk.post(all_of_it, **form)
    username, secret = shown(page, "username"), shown(page, "secret")
    again = desk.post(all_of_it, **form)
    assert username in again
    assert secret not in again
    assert "was issued a moment ago" in again
    assert len([e for e in desk.history("credential") if e.after.get("name") == "Gateway B"]) == 1
    other = desk.post(all_of_it, **(form | {"scope": "partner"}))
    assert shown(other, "username") != username


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scope": "site", "site": ""}, "site"),
        ({"scope": "site", "site": "3"}, "site"),
        ({"scope": "meter", "point": ""}, "point"),
        ({"scope": "meter", "point": "werk-presse"}, "point"),
        ({"scope": "user", "user": "stranger@example.org"}, "user"),
        ({"scope": "partner", "environment": "production"}, "environment"),
        ({"scope": "everything"}, "scope"),
    ],
)
def test_a_credential_reaches_nothing_outside_its_organisation(
    desk: Desk, fields: dict[str, str], field: str
) -> None:
    """Another company's site, meter or person is answered like one that does not exist."""
    sent = {"environment": "development", "name": "", **fields}
    page = desk.refused(f"/admin/organizations/{desk.acme}/credentials", **sent)
    assert f'id="{field}-problem"' in page


def test_revoking_says_what_stops_and_when_it_was_last_used_and_from_where(desk: Desk) -> None:
    """Before a gateway is cut off, its owner sees what it feeds and that it is still in use."""
    number = desk.world.credential.id
    at_ms = desk.world.now[0] - 60_000
    credentials.touch(desk.world.catalog, {number: Use(at_ms, "203.0.113.9")})
    desk.world.push("main", b'{"id":"acme-main","tsISO8601":"2026-11-09T14:20:00+00:00","aP_1":5}')
    listed = desk.get("/admin/credentials?q=203.0.113.9")
    assert "gateway A" in listed
    assert "2026-11-09 14:21 UTC" in listed
    here = f"/admin/organizations/{desk.acme}/credentials/{number}"
    page = desk.get(here)
    assert "from 203.0.113.9" in page
    assert "Latest packet came by it" in page
    assert "answered 401" in page
    page = desk.post(f"{here}/revoke")
    assert "Revoked." in page
    assert "Revoke it" not in page
    directory = catalogs.directory.load(desk.world.catalog, "development")
    assert directory.credential(desk.world.credential.username) is None
    assert "gateway A" not in desk.get("/admin/credentials?state=valid")


def test_a_package_that_is_shown_has_what_the_command_prints(partner: Desk) -> None:
    """User name, password, three streams, examples and an account that logs in."""
    page = partner.post("/admin/startup-packages", **PACKAGE, handover="show")
    assert sessions.authenticate(
        partner.world.catalog, KEY, email="owner@bakery.ie", password=shown(page, "password"),
        address="",
    )  # fmt: skip
    secret = shown(page, "secret")
    assert shown(page, "example-electricity").count(secret) == 1
    assert shown(page, "stream-gas").startswith("gas-")
    assert "Bakery" in partner.get("/admin/organizations"), "the partner administers it"
    again = partner.refused("/admin/startup-packages", **PACKAGE, handover="show")
    assert "exists already" in again


def test_without_a_mail_server_it_says_so_and_the_link_is_copied(partner: Desk) -> None:
    """No silent nothing: the choice is off, with the reason, and the link works as well."""
    page = partner.get("/admin/startup-packages")
    assert "No mail server is set up" in page
    assert "No mail server" in partner.refused(
        "/admin/startup-packages", **PACKAGE, handover="mail"
    )
    page = partner.post("/admin/startup-packages", **PACKAGE, handover="link")
    link = shown(page, "link")
    assert re.fullmatch(r"http://testserver/startup#[\w-]{32}", link)
    assert "Waits to be opened" in partner.get("/admin/startup-packages")


@pytest.fixture
def letterbox(partner: Desk) -> Iterator[Letterbox]:
    """Give the platform a mail server."""
    rooms = partner.world.app.state.rooms
    box = Letterbox()
    before = rooms.mailer
    object.__setattr__(rooms, "mailer", box)  # frozen for the program, not for its test
    yield box
    object.__setattr__(rooms, "mailer", before)


def test_the_mail_has_everything_but_a_secret_and_its_link_opens_once(
    partner: Desk, letterbox: Letterbox
) -> None:
    """A customer goes from the mail to a password; whoever reads the mail later gets nothing."""
    page = partner.post("/admin/startup-packages", **PACKAGE, handover="mail")
    assert "Sent to owner@bakery.ie" in page
    (mail,) = letterbox.messages
    assert mail.to == "owner@bakery.ie"
    found = re.search(r"http://testserver(/startup)#([\w-]{32})", mail.text)
    assert found
    assert found[2] not in page, "the partner need not have it"
    with partner.world.catalog.reading() as session:
        acme = session.query(Organisation).filter_by(name="Bakery").one()
        assert not session.query(Credential).filter_by(organisation_id=acme.id).all()
    customer = TestClient(partner.world.app, follow_redirects=False)
    form = customer.get(found[1], headers=PAGE).text
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', form)
    assert csrf
    sent = {"csrf": csrf[1], "token": found[2]}
    assert TestClient(partner.world.app).post(found[1], data=sent).status_code == 403
    opened = customer.post(found[1], data=sent, headers=PAGE)
    assert opened.status_code == 200
    assert opened.headers["cache-control"] == "no-store"
    text = html.unescape(opened.text)
    for stream in ("electricity", "gas", "environmental"):
        assert shown(text, f"stream-{stream}") in mail.text
    assert shown(text, "secret") not in mail.text
    assert sessions.authenticate(
        partner.world.catalog, KEY, email="owner@bakery.ie", password=shown(text, "password"),
        address="",
    )  # fmt: skip
    again = customer.post(found[1], data=sent, headers=PAGE)
    assert again.status_code == 404
    assert "opens nothing" in again.text
    assert "Opened" in partner.get("/admin/startup-packages")


def test_a_mail_that_does_not_go_is_said_and_the_link_is_there(
    partner: Desk, letterbox: Letterbox
) -> None:
    """The package exists; it is passed on another way, or sent again."""
    letterbox.failure = KilowatchError("mail_failed", "The mail server is away.", status=502)
    page = partner.post("/admin/startup-packages", **PACKAGE, handover="mail")
    assert "the mail was not sent. The mail server is away." in page
    first = shown(page, "link")
    letterbox.failure = None
    renewal = re.search(r'action="(/admin/organizations/\d+/startup-packages/\d+/renew)"',
                        partner.get("/admin/startup-packages"))  # fmt: skip
    assert renewal
    assert "Sent to" in partner.post(renewal[1], handover="mail")
    assert first.partition("#")[2] not in letterbox.messages[0].text, "the old one is void"
