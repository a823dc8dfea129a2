"""Administration: an estate is set up, changed and taken down from its pages alone."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import (
    bulk,
    bulk_apply,
    bulk_plan,
    credentials,
    data_points,
    registry,
    secrets,
    sessions,
    sheets,
)
from kilowatch.catalog.credentials import Use
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, Credential, Organisation
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.mail import Message
from tests.dashboard.access_world import Matrix
from tests.dashboard.worlds import KEY, World, build

PAGE = {"accept": "text/html"}


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


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """Build two organisations with a person of each role."""
    folder = tmp_path_factory.mktemp("estate")
    made = build(folder, days=1)
    yield Matrix(made, folder)
    made.writer.close()
    made.log.close()
    made.catalog.close()


@pytest.fixture
def desk(matrix: Matrix) -> Iterator[Desk]:
    """Return Acme's administrator at their desk; everything is put back afterwards."""
    yield Desk(matrix, "administrator")
    matrix.restore()


@pytest.fixture
def partner(matrix: Matrix) -> Iterator[Desk]:
    """Return a partner administrator at their desk."""
    yield Desk(matrix, "partner administrator")
    matrix.restore()


class Desk:
    """Somebody with a browser."""

    def __init__(self, matrix: Matrix, role: str) -> None:
        self.matrix, self.world = matrix, matrix.world
        self.client: TestClient = matrix.client(role)
        self.csrf = matrix.form(self.client)["csrf"]
        self.acme = matrix.ours.numbers["organisation_id"]
        self.office = matrix.ours.numbers["site_id"]

    def get(self, path: str) -> str:
        """Return a page."""
        answer = self.client.get(path, headers=PAGE)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:500])
        return html.unescape(answer.text)

    def post(self, path: str, **fields: str) -> str:
        """Send a form that is right, and return the page that comes of it."""
        answer = self.client.post(path, data={"csrf": self.csrf, **fields}, headers=PAGE)
        if answer.status_code == 303:
            return self.get(answer.headers["location"])
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return html.unescape(answer.text)

    def refused(self, path: str, **fields: str) -> str:
        """Send a form that is wrong, and return the page that says why."""
        answer = self.client.post(path, data={"csrf": self.csrf, **fields}, headers=PAGE)
        assert answer.status_code in (409, 422), (path, answer.status_code)
        return html.unescape(answer.text)

    def upload(self, content: bytes, name: str = "points.csv") -> str:
        """Bring a file, and return the address of what it would do."""
        answer = self.client.post(
            f"/admin/organizations/{self.acme}/import",
            data={"csrf": self.csrf},
            files={"file": (name, content, "text/csv")},
            headers=PAGE,
        )
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def history(self, subject: str) -> list[AuditEntry]:
        """Return what the audit history has about a kind of thing."""
        with self.world.catalog.reading() as session:
            return list(
                session.query(AuditEntry).filter_by(subject=subject).order_by(AuditEntry.id)
            )


def shown(page: str, name: str) -> str:
    """Return what a page offers to copy."""
    found = re.search(rf'<pre id="{name}"[^>]*>([^<]*)</pre>', page)
    assert found, name
    return found[1]


def sections(page: str) -> list[str]:
    """Return the sections of Administration that a page links to."""
    menu = re.search(r'<nav class="sections".*?</nav>', page, re.DOTALL)
    assert menu
    return re.findall(r'href="([^"]+)"', menu[0])


def test_each_role_sees_the_sections_that_it_has_business_with(matrix: Matrix) -> None:
    """A manager does not read about credentials, and an administrator not about packages."""
    places = ["/admin/sites", "/admin/data-points"]
    assert sections(Desk(matrix, "manager").get("/admin")) == places
    more = ["/admin/organizations", *places, "/admin/credentials"]
    assert sections(Desk(matrix, "administrator").get("/admin")) == more
    everything = [*more, "/admin/startup-packages"]
    assert sections(Desk(matrix, "partner administrator").get("/admin")) == everything
    home = matrix.client("administrator").get("/organization/1", headers=PAGE).text
    assert 'href="/admin"' in home, "the way there is in the person's menu"
    viewer = matrix.client("viewer").get("/organization/1", headers=PAGE).text
    assert 'href="/admin"' not in viewer


def test_a_partner_adds_renames_and_removes_a_customer(partner: Desk) -> None:
    """From nothing to a site and back, and the history has every step."""
    page = partner.refused("/admin/organizations", name="acme", country="IE")
    assert "exists already" in page
    page = partner.post("/admin/organizations", name="Bakery", country="DE")
    assert "Added." in page
    number = re.search(r'action="/admin/organizations/(\d+)"', page)
    assert number
    here = f"/admin/organizations/{number[1]}"
    assert "Saved." in partner.post(here, name="Backhaus", country="AT")
    page = partner.post(f"{here}/sites", name="Laden", zone="Europe/Vienna", country="")
    assert "Austria (AT)" in page
    site = re.search(r'action="/admin/sites/(\d+)"', page)
    assert site
    assert "has 1 site" in partner.refused(f"{here}/remove")
    partner.post(f"/admin/sites/{site[1]}/remove")
    assert "was removed" in partner.post(f"{here}/remove")
    assert "Backhaus" not in partner.get("/admin/organizations")
    said = [(e.action, e.actor) for e in partner.history("organisation")][-3:]
    assert [action for action, _ in said] == ["created", "changed", "removed"]
    assert {actor for _, actor in said} == {"partner@example.com"}


def test_going_live_is_explained_confirmed_and_gives_each_credential_once(desk: Desk) -> None:
    """Nobody goes live by a slip, and the passwords cannot be had again."""
    here = f"/admin/organizations/{desk.acme}"
    page = desk.get(here)
    assert "(it has 2)" in page
    assert "Choose whether" in desk.refused(f"{here}/go-live", sure="yes")
    assert "Tick this" in desk.refused(f"{here}/go-live", test_data="leave")
    page = desk.post(f"{here}/go-live", test_data="leave", sure="yes")
    assert "They begin empty" in page
    directory = catalogs.directory.load(desk.world.catalog, "production")
    for number in ("1", "2"):
        record = directory.credential(shown(page, f"user-{number}"))
        assert record is not None
        assert record.secret_digest == secrets.digest(KEY, shown(page, f"secret-{number}"))
    assert directory.by_id(desk.world.point("main").id).series != desk.world.point("main").series  # type: ignore[union-attr]
    assert "live already" in desk.refused(f"{here}/go-live", test_data="keep", sure="yes")
    assert "Live since" in desk.get(here)


def test_another_time_zone_says_that_figures_are_computed_again(desk: Desk) -> None:
    """Whoever corrects the zone knows what follows, and the data points have the new one."""
    here = f"/admin/sites/{desk.office}"
    page = desk.get(here)
    assert "computed again" in page
    facts = {"name": "Office Dublin", "zone": "Europe/Paris", "country": "IE", "area_m2": "1 250,5"}
    page = desk.post(here, **facts, city="Dublin", contact_email="desk@acme.ie")
    assert "being computed again on its new clock" in page
    assert 'value="1250.5"' in page
    point = desk.world.app.state.rooms.registry.directory().by_id(desk.world.point("main").id)
    assert point.zone == "Europe/Paris"
    page = desk.refused(here, **facts | {"zone": "Dublin", "area_m2": "12 x"})
    assert "is not a number" in page
    page = desk.refused(here, **facts | {"zone": "dublin"})
    assert "Did you mean Europe/Dublin?" in page
    assert 'value="1 250,5"' in page, "nothing has to be typed again"


def test_meters_hang_below_what_feeds_them_and_never_in_a_ring(desk: Desk) -> None:
    """The list shows the tree; a wrong feeder is refused beside its field."""
    here = f"/admin/sites/{desk.office}/meters"
    assert "No meter of this site is named" in desk.refused(here, name="Lift", parent="Nothing")
    page = desk.post(here, name="Lift", parent="Main supply")
    lift = re.search(rf'action="{here}/(\d+)"', page)
    assert lift
    page = desk.get(here)
    assert re.search(rf'class="deep deep-1" href="{here}/{lift[1]}"', page)
    main = re.search(rf'href="{here}/(\d+)"><svg.*?</svg>Main supply<', page)
    assert main
    page = desk.refused(f"{here}/{main[1]}", name="Main supply", parent="Lift")
    assert re.search(r'id="parent-problem">Main supply cannot be fed by Lift', page)
    page = desk.post(f"{here}/{lift[1]}/appliances", appliance="Motor")
    motor = re.search(rf'action="{here}/{lift[1]}/appliances/(\d+)"', page)
    assert motor
    page = desk.post(f"{here}/{lift[1]}/appliances/{motor[1]}", appliance="Motor A")
    assert 'value="Motor A"' in page
    assert "has 1 data point" in desk.refused(f"{here}/{main[1]}/remove")
    assert "The meter was removed" in desk.post(f"{here}/{lift[1]}/remove")


def test_a_new_data_point_hangs_where_the_form_was_opened(desk: Desk) -> None:
    """“Data point” beside an appliance registers it there, and not on a meter of its own."""
    ours = desk.matrix.ours.numbers
    query = f"site={desk.office}&meter={ours['meter_id']}&appliance={ours['appliance_id']}"
    page = desk.get(f"/admin/data-points/new?{query}")
    assert "Ours meter \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Ours appliance" in page
    page = desk.post(
        "/admin/data-points", name="Channel", site=str(desk.office), meter=str(ours["meter_id"]),
        appliance=str(ours["appliance_id"]), kind="electrical", utility="electricity",
        interval="5m", stamp="start", clock="auto",
    )  # fmt: skip
    assert "Ours meter \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} Ours appliance" in page


def test_a_new_data_point_names_its_meter_and_what_feeds_it(desk: Desk) -> None:
    """A meter and an appliance that are not there yet come with it; what is wrong is said."""
    sent = {
        "name": "Lift", "site": str(desk.office), "kind": "electrical", "utility": "electricity",
        "interval": "5m", "stamp": "start", "clock": "auto",
    }  # fmt: skip
    new = "/admin/data-points"
    page = desk.refused(new, **sent, appliance_name="Motor")
    assert re.search(r'id="meter_name-problem">Name the meter', page)
    page = desk.refused(new, **sent, parent="werk-presse")
    assert re.search(r'id="parent-problem">No data point has', page)
    page = desk.refused(new, **sent, parent="acme-new")
    assert re.search(r'id="parent-problem">This data point is on another site', page)
    page = desk.post(new, **sent, meter_name="lifts", appliance_name="Motor", parent="acme-main")
    assert re.search(r"</svg> lifts .{1,3} Motor", page)
    assert "Fed by Main supply" in page
    second = desk.post(new, **sent | {"name": "Light"}, meter_name="LIFTS")
    assert re.search(r"</svg> lifts<", second), "the same meter, however it is written"


def test_a_data_point_moves_to_another_meter_and_site(desk: Desk) -> None:
    """The page warns of another clock, offers meters by search, and shows the new place."""
    point, cork = desk.world.point("gas"), desk.world.sites["Supermarket Cork"]
    here = f"/admin/data-points/{point.id}/move"
    assert "Choose the meter" in desk.refused(here, place="999/", site=str(cork))
    theirs = desk.matrix.theirs.numbers["meter_id"]
    assert "Choose the meter" in desk.refused(here, place=f"{theirs}/", site=str(cork))
    page = desk.get(f"{here}?site={cork}&q=bakery")
    places = re.findall(r'name="place" value="(\d+/\d*)"', page)
    assert len(places) == 1
    assert "No data point has" in desk.refused(here, place=places[0], parent="werk-presse")
    page = desk.post(here, place=places[0], parent="acme-new")
    assert "Moved." in page
    assert "Bakery ovens" in page
    assert "Fed by Bakery ovens" in page
    assert desk.history("data_point")[-1].after["site_id"] == cork


def test_the_list_is_searched_filtered_sorted_and_paged(desk: Desk) -> None:
    """An administrator of many finds the one that is late in two clicks."""
    everything = desk.get("/admin/data-points")
    assert "10 in all" in everything
    late = desk.get("/admin/data-points?state=late")
    assert "Server room" in late
    assert "Main supply" not in re.sub(r'<nav class="tree".*?</nav>', "", late, flags=re.DOTALL)
    found = desk.get("/admin/data-points?q=cork+heat")
    assert "1 in all" in found
    assert "acme-one" in found
    rows = re.findall(
        r'<code class="cut"[^>]*>(acme-\w+)</code>', desk.get("/admin/data-points?sort=-stream_id")
    )
    assert rows == sorted(rows, reverse=True)
    assert "Nothing was found" in desk.get("/admin/data-points?q=nowhere")
    odd = desk.get("/admin/data-points?page=99&sort=plasma&site=x")
    assert "10 in all" in odd, "nonsense in an address does no harm"


def test_a_file_is_looked_at_line_by_line_before_anything_is_done(desk: Desk) -> None:
    """What is wrong has its line and column; then all of it is applied, and the file is gone."""
    before = desk.world.catalog.revision()
    wrong = desk.upload(b"stream_id,name,site,interval\na,A,Office Dublin,5m\nb,B,Office,often\n")
    page = desk.get(wrong)
    assert "Lines that are wrong: 1" in page
    assert re.search(r'<td class="num"[^>]*>3</td>', page)
    assert "<code>interval</code>" in page
    assert "There is no site named 'Office'" in page
    assert "Apply all of it" not in page
    assert "Lines that are wrong: 1" in desk.refused(wrong, digest="x")
    good = desk.upload(
        b"\xef\xbb\xbfstream_id;name;site\r\na;=A;Office Dublin\r\ngas2;G;Office Dublin\r\n"
    )
    page = desk.get(good)
    assert "This adds 2 and changes 0" in page
    assert desk.world.catalog.revision() == before, "looking changes nothing"
    digest = re.search(r'name="digest" value="(\w+)"', page)
    assert digest
    assert "Somebody has changed" in desk.refused(good, digest="0" * 32)
    done = desk.post(good, digest=digest[1])
    assert "Data points added: 2" in done
    assert desk.client.get(good, headers=PAGE).status_code == 404
    imported = [e for e in desk.history("data_point") if e.action == "applied a table"]
    assert imported[-1].after == {"file": "points.csv", "create": 2, "change": 0, "same": 0}
    assert desk.client.get(wrong, headers=PAGE).status_code == 404, "one file a person"


def test_export_and_template_are_files_that_a_spreadsheet_opens(desk: Desk) -> None:
    """With a byte order mark, harmless, and taken back they change nothing."""
    answer = desk.client.get(f"/admin/organizations/{desk.acme}/data-points.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="acme-data-points.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbfstream_id,name,")
    assert "there is nothing to do" in desk.get(desk.upload(answer.content))
    answer = desk.client.get(
        f"/admin/organizations/{desk.acme}/data-points-template.csv?separator=semicolon"
    )
    assert bulk.read(answer.content).separator == ";"


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "Choose a file first"), (b"a;b\n1;2\n", "no column 'a'"), (b'name\n"x', "Line 2")],
)
def test_a_file_that_cannot_be_read_is_said_beside_the_field(
    desk: Desk, content: bytes, says: str
) -> None:
    """One sentence and one next step, and the page to try again."""
    answer = desk.client.post(
        f"/admin/organizations/{desk.acme}/import",
        data={"csrf": desk.csrf},
        files={"file": ("x.csv", content, "text/csv")} if content else None,
        headers=PAGE,
    )
    assert answer.status_code == 422
    problem = re.search(r'id="file-problem">([^<]*)', html.unescape(answer.text))
    assert problem
    assert says in problem[1]


def test_only_the_door_for_files_takes_a_large_body(desk: Desk) -> None:
    """A file of 10,000 lines passes there; everywhere else a large form is refused unread."""
    rows = [(f"s-{n}", f"Point {n}", "Office Dublin") for n in range(10_000)]
    content = sheets.write(("stream_id", "name", "site"), rows)
    assert len(content) > 65_536
    assert "This adds 10000" in desk.get(desk.upload(content))
    large = {"csrf": desk.csrf, "name": "x" * 70_000}
    assert desk.client.post("/admin/data-points", data=large).status_code == 413
    huge = b"x" * (sheets.BYTES_MAX + 100_000)
    answer = desk.client.post(
        f"/admin/organizations/{desk.acme}/import",
        data={"csrf": desk.csrf},
        files={"file": ("x.csv", huge, "text/csv")},
    )
    assert answer.status_code == 413
    assert "larger than" in answer.text
    assert "bring less" in answer.text


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


PACKAGE = {
    "name": "Bakery", "email": "owner@bakery.ie", "zone": "Europe/Dublin", "country": "",
    "interval": "15m", "reading": "cum",
}  # fmt: skip


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


def test_ten_thousand_data_points_are_listed_in_pages(tmp_path: Path) -> None:
    """List, tree and search stay quick: 50 rows a page, branches when they are opened."""
    world: World = build(tmp_path, days=1)
    with world.catalog.change(catalogs.Actor("test")) as change:
        acme = registry.find_organisation(change.session, "Acme")
        for number in range(20):
            registry.add_site(change, acme, f"Branch {number}", zone="Europe/Dublin")
        gas = Settings("single", "gas", 300)
        site = registry.find_site(change.session, acme, "Branch 1")
        data_points.register(change, site, "First", gas, stream_id="first")
    rows = [(f"s-{n}", f"Point {n}", f"Branch {n % 20}") for n in range(10_000)]
    sheet = bulk.read(sheets.write(("stream_id", "name", "site"), rows))
    with world.catalog.reading() as session:
        digest = bulk_plan.plan(session, acme.id, sheet, world.catalog.clock()).digest
    with world.catalog.change(catalogs.Actor("test")) as change:
        bulk_apply.apply(change, acme.id, sheet, digest)
    client = TestClient(world.app, follow_redirects=False)
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/login").text)
    assert token
    sent = {
        "csrf": token[1],
        "email": "a.lee@example.com",
        "password": "correct horse battery staple",
    }
    assert client.post("/login", data=sent).status_code == 303
    client.get("/admin/sites")  # reads the registry
    for path in ("/admin/data-points", "/admin/data-points?q=point+9&sort=-name&page=3",
                 "/admin/sites", "/tree?q=point+99", "/admin/data-points?state=never"):  # fmt: skip
        began_s = time.process_time()  # what it costs, however busy the machine is
        answer = client.get(path, headers=PAGE)
        took_s = time.process_time() - began_s
        assert took_s < 1.5, path  # about 0.1 s, and the first pages compile their templates
        assert answer.status_code == 200
        assert len(answer.content) < 400_000, (path, len(answer.content))
        assert answer.text.count("<tr>") <= 52
    world.writer.close()
    world.log.close()
    world.catalog.close()
