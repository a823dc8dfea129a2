"""The form for data points: plain words beside the field, and a stream that works at once."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import people
from kilowatch.catalog.tables import AuditEntry
from kilowatch.dashboard import admin as pages
from tests.dashboard.conftest import form_token
from tests.dashboard.worlds import World
from tests.journeys.waiting import until

PAGE = {"accept": "text/html"}
NEW = "/admin/data-points/new"


def form(client: TestClient, world: World, **changes: str) -> dict[str, str]:
    """Return the form filled in well, then changed."""
    return {
        "csrf": form_token(client, NEW), "name": "Roof solar",
        "site": str(world.sites["Office Dublin"]), "stream_id": "", "kind": "electrical",
        "utility": "electricity", "unit": "", "interval": "15m", "tolerance": "", "behaviour": "",
        "stamp": "start", "clock": "auto", "register_max": "", **changes,
    }  # fmt: skip


def test_a_new_data_point_is_ready_with_its_curl_line(world: World, admin: TestClient) -> None:
    """Registered, it is in the tree at once, and the page has the line for its first packet."""
    sent = form(admin, world, stream_id="acme-solar")
    answer = admin.post("/admin/data-points", data=sent)
    assert answer.status_code == 303
    page = admin.get(answer.headers["location"], headers=PAGE).text
    assert "Registered." in page
    assert "acme-solar" in page
    assert "curl " in page
    assert "Roof solar" in admin.get("/tree").text
    number = int(answer.headers["location"].split("/")[-1].split("?")[0])
    point = world.app.state.rooms.registry.directory().by_id(number)
    assert (point.interval_s, point.behaviour, point.zone) == (900, "register", "Europe/Dublin")


def test_packets_for_no_data_point_lead_to_registering_it(world: World, admin: TestClient) -> None:
    """A gateway that was set up before its data point pushes into 404, and somebody sees it."""
    owner, now_ms = world.point("main").organisation_id, int(time.time() * 1000)
    for number in range(3):
        body = b'{"id": "new-roof", "value": %d}' % number
        world.writer.refuse(
            None, owner, code="stream_unknown", detail="No stream has this id.", body=body,
            received_ms=now_ms + number,
        )  # fmt: skip
    world.writer.refuse(
        None, owner, code="invalid_json", detail="It is no JSON.", body=b"<roof>",
        received_ms=now_ms - 1,
    )  # fmt: skip
    until(lambda: len(world.log.kept_unknown(owner)) == 4, what="the packets to be kept")
    page = unescape(admin.get("/admin/data-points", headers=PAGE).text)
    section = page[page.index("Packets for no data point") :]
    rows = re.findall(r"<tr><th scope=.row.*?</tr>", section, re.DOTALL)
    assert ["new-roof" in row for row in rows] == [True, False]
    assert '<td class="num" data-label="Times">3</td>' in rows[0]
    assert '{"id": "new-roof", "value": 2}' in rows[0]
    assert "/new?" not in rows[1]
    (leads,) = re.findall(r'href="(/admin/data-points/new\?[^"]+)"', rows[0])
    assert 'value="new-roof"' in admin.get(leads, headers=PAGE).text
    sent = form(admin, world, name="New roof", stream_id="new-roof")
    assert admin.post("/admin/data-points", data=sent).status_code == 303
    page = admin.get("/admin/data-points", headers=PAGE).text
    assert "Registered by now" in page
    assert "stream_id=new-roof" not in page


def test_without_a_site_the_form_leads_to_the_first_one(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may add sites is not sent to an administrator, who it is itself."""
    monkeypatch.setattr(pages, "_sites", lambda _request: [])
    page = admin.get(NEW, headers=PAGE).text
    assert "No sites yet" in page
    number = world.point("main").organisation_id
    assert f'href="/admin/organizations/{number}/sites/new"' in page
    assert "An administrator of your organisation" not in page


def test_a_stream_id_is_made_when_none_is_given(world: World, admin: TestClient) -> None:
    """Nobody has to invent one."""
    answer = admin.post("/admin/data-points", data=form(admin, world, name="Unnamed"))
    page = admin.get(answer.headers["location"], headers=PAGE).text
    assert re.search(r"electricity-[a-z0-9]{10,}", page)


@pytest.mark.parametrize(
    ("field", "changes", "says"),
    [
        ("name", {"name": ""}, "is missing"),
        ("interval", {"interval": "often"}, "is not an interval"),
        ("interval", {"interval": "5M"}, "minutes or months"),
        ("stream_id", {"stream_id": "acme-main"}, "belongs to another data point"),
        ("site", {"site": "999"}, "Choose the site"),
        ("unit", {"kind": "single", "utility": "gas", "unit": "gallon"}, "is not a unit"),
        ("behaviour", {"kind": "single", "utility": "temperature", "behaviour": "register"}, "°C"),
        ("register_max", {"register_max": "six digits"}, "is not a number"),
        ("tolerance", {"tolerance": "a bit"}, "is not an interval"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    world: World, admin: TestClient, field: str, changes: dict[str, str], says: str
) -> None:
    """The form comes back as it was filled in, with one sentence where it is wrong."""
    answer = admin.post("/admin/data-points", data=form(admin, world, **changes), headers=PAGE)
    assert answer.status_code == 422
    problem = re.search(rf'id="{field}-problem">([^<]*)', answer.text)
    assert problem, answer.text
    assert says in problem[1]
    if field != "name":
        assert 'value="Roof solar"' in answer.text, "nothing has to be typed again"
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text)


def test_a_site_of_another_company_cannot_be_chosen(world: World, admin: TestClient) -> None:
    """The number of a foreign site is answered like one that does not exist."""
    foreign = str(max(world.sites.values()) + 1)
    answer = admin.post("/admin/data-points", data=form(admin, world, site=foreign), headers=PAGE)
    assert answer.status_code == 422
    assert "Choose the site" in answer.text


def test_settings_are_changed_and_the_change_is_in_the_history(
    world: World, admin: TestClient
) -> None:
    """Name and interval change; who did it is in the audit history; the kind stays."""
    point = world.point("server")
    sent = form(admin, world, name="Server room A", interval="10m", kind="single")
    refused = admin.post(f"/admin/data-points/{point.id}", data=sent, headers=PAGE)
    assert refused.status_code == 422, "the shape of its packets stays what it is"
    sent["kind"] = "electrical"
    answer = admin.post(f"/admin/data-points/{point.id}", data=sent)
    assert answer.status_code == 303
    page = admin.get(f"/admin/data-points/{point.id}", headers=PAGE).text
    assert 'value="10 min"' in page
    assert "Server room A" in page
    with world.catalog.reading() as session:
        entry = (
            session.query(AuditEntry)
            .filter_by(subject="data_point", subject_id=point.id)
            .order_by(AuditEntry.id.desc())
            .first()
        )
        assert entry is not None
        assert entry.actor == "a.lee@example.com"
        assert entry.after["interval_s"] == 600


def test_the_list_shows_every_data_point_with_its_stream_id(
    world: World, admin: TestClient
) -> None:
    """What an integrator has to copy into a gateway stands in one table."""
    page = admin.get("/admin/data-points", headers=PAGE).text
    for short in ("main", "gas", "one"):
        assert f"acme-{short}" in page
    assert "werk-presse" not in page


def test_data_points_are_not_read_again_when_none_has_changed(world: World) -> None:
    """A new colleague does not cost every page a second of reading 100,000 data points."""
    registry = world.app.state.rooms.registry
    before = registry.directory(fresh=True)
    with world.catalog.change(catalogs.Actor("test")) as change:
        people.add_user(change, "new@colleague.ie", password="correct horse battery")
    after = registry.directory(fresh=True)
    assert after.revision != before.revision
    assert after.streams is before.streams


def test_a_tolerance_of_half_seconds_is_kept_when_the_form_is_sent_again(
    world: World, admin: TestClient
) -> None:
    """A 15-second meter may be 7.5 s late: saving its name does not change that."""
    sent = form(admin, world, name="Fast", interval="30s", tolerance="7.5s")
    page = admin.post("/admin/data-points", data=sent).headers["location"]
    number = int(page.split("/")[-1].split("?")[0])
    assert 'value="7.5s"' in admin.get(page, headers=PAGE).text
    assert admin.post(f"/admin/data-points/{number}", data=sent).status_code == 303
    assert world.app.state.rooms.registry.directory().by_id(number).tolerance_s == 7.5
