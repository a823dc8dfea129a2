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
from kilowatch.catalog import bulk, bulk_apply, bulk_plan, data_points, registry, secrets, sheets
from kilowatch.catalog.settings_check import Settings
from tests.dashboard.access_world import Matrix
from tests.dashboard.estate_desk import PAGE, Desk, matrix, shown  # noqa: F401 - a fixture
from tests.dashboard.worlds import KEY, World, build


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


def sections(page: str) -> list[str]:
    """Return the sections of Administration that a page links to."""
    menu = re.search(r'<nav class="sections".*?</nav>', page, re.DOTALL)
    assert menu
    return re.findall(r'href="([^"]+)"', menu[0])


def test_each_role_sees_the_sections_that_it_has_business_with(
    matrix: Matrix,  # noqa: F811 - the fixture
) -> None:
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
