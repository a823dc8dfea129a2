"""Nobody sees or changes what is not theirs, on any route, whoever asks."""

from __future__ import annotations

import re
import urllib.parse

import pytest
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from kilowatch.dashboard.access import Access
from kilowatch.dashboard.app import DOORS
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, VIEWER, World

PAGE = {"accept": "text/html"}
ABOUT_A_POINT = (Access.READ_POINT, Access.EXPORT_POINT, Access.MANAGE_POINT)


def address(path: str, world: World, name: str = "main") -> str:
    """Fill a route's placeholders with what the first organisation owns."""
    point = world.point(name)
    path = path.replace("{point_id:number}", str(point.id))
    if path.startswith("/site"):
        path = path.replace("{number:number}", str(point.site_id))
    path = path.replace("{number:number}", str(point.organisation_id))
    path = path.replace("{organisation_id:number}", str(point.organisation_id))
    path = re.sub(r"\{\w+_id:number\}", "1", path)
    if path.startswith("/data/today"):
        return f"{path}?points={point.id}"
    if path == "/data/days":
        return f"{path}?point={point.id}&month=2026-11"
    return f"{path}?point={point.id}" if path.startswith("/data") else path


def test_every_route_has_a_decision(world: World) -> None:
    """A page that nobody decided about would be open to everybody: there is none."""
    decided = {(door.path, method) for door in DOORS for method in door.methods}
    for route in world.app.routes:
        if isinstance(route, Mount):
            assert route.path.startswith("/static/"), "only static files are for anyone"
            continue
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            assert (route.path, method) in decided


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.methods[0]} {door.path}")
def test_without_a_log_in_there_is_only_the_log_in(world: World, door: object) -> None:
    """A stranger on the street gets the log-in page and nothing else."""
    client = TestClient(world.app, follow_redirects=False)
    path, method = address(door.path, world), door.methods[0]  # type: ignore[attr-defined]
    answer = client.request(method, path, headers=PAGE)
    if door.access is Access.ANYONE:  # type: ignore[attr-defined]
        assert answer.status_code in (200, 403)
        assert "Main supply" not in answer.text
    elif method == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")
        assert client.get(path).status_code == 401, "a script is told, not sent to a page"
    else:
        assert answer.status_code in (303, 401)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.methods[0]} {door.path}")
def test_another_organisation_finds_nothing(world: World, logged: Logged, door: object) -> None:
    """The administrator of another company cannot even tell that our meter exists."""
    client = logged(STRANGER)
    access, method = door.access, door.methods[0]  # type: ignore[attr-defined]
    path = address(door.path, world)  # type: ignore[attr-defined]
    if path == "/live":
        return  # never ends; tests/dashboard/test_live.py looks into it
    answer = client.request(method, path, headers=PAGE)
    if method == "POST" and access is Access.MANAGE_POINT:
        token = form_token(client, "/admin/data-points/new")
        answer = client.post(path, data={"csrf": token, "name": "taken over"}, headers=PAGE)
    if access in ABOUT_A_POINT or path.startswith(("/site", "/organization")):
        assert answer.status_code == 404
    for secret in ("Main supply", "acme-main", "Office Dublin"):
        assert secret not in answer.text
    if path.startswith("/data/today"):
        assert answer.json() == {"points": {}}


def test_what_is_not_there_and_what_is_not_yours_look_the_same(
    world: World, logged: Logged
) -> None:
    """Otherwise numbers could be tried until one of them exists."""
    client = logged(STRANGER)
    ours = client.get(f"/data/series?point={world.point('main').id}")
    nobodys = client.get("/data/series?point=999999")
    nonsense = client.get("/data/series?point=abc")
    assert ours.json() == nobodys.json() == nonsense.json()


def test_a_tenant_sees_the_sites_that_were_granted(world: World, logged: Logged) -> None:
    """An end user of one shop sees that shop, in the tree too, and nothing of the office."""
    client = logged(END_USER)
    assert client.get(f"/breakdown/{world.point('chiller').id}", headers=PAGE).status_code == 200
    assert client.get(f"/breakdown/{world.point('main').id}", headers=PAGE).status_code == 404
    tree = client.get("/tree").text
    assert "Refrigeration" in tree
    assert "Main supply" not in tree
    assert client.get(f"/site/{world.sites['Office Dublin']}", headers=PAGE).status_code == 404


def test_a_viewer_reads_but_takes_nothing_along_and_changes_nothing(
    world: World, logged: Logged
) -> None:
    """Roles mean something: a viewer's page has no CSV button, and its address refuses too."""
    client = logged(VIEWER)
    number = world.point("main").id
    page = client.get(f"/breakdown/{number}", headers=PAGE)
    assert page.status_code == 200
    assert "data-csv" not in page.text
    assert "/admin/data-points" not in page.text
    assert client.get(f"/data/series?point={number}").status_code == 200
    assert client.get(f"/data/series.csv?point={number}").status_code == 403
    assert client.get(f"/admin/data-points/{number}", headers=PAGE).status_code == 403
    assert client.get("/admin/data-points", headers=PAGE).status_code == 403


@pytest.mark.parametrize(
    "door", [d for d in DOORS if "POST" in d.methods], ids=lambda door: door.path
)
def test_a_form_of_another_site_changes_nothing(world: World, logged: Logged, door: object) -> None:
    """Somebody's page elsewhere cannot send forms in our name: the token is missing or foreign."""
    client = logged(ADMIN)
    path = address(door.path, world)  # type: ignore[attr-defined]
    assert client.post(path, data={"name": "x"}).status_code == 403
    foreign = logged(ADMIN)
    theirs = form_token(foreign, "/admin/data-points/new")
    assert client.post(path, data={"csrf": theirs, "name": "x"}).status_code == 403
    mine = form_token(client, "/admin/data-points/new")
    across = {"sec-fetch-site": "cross-site"}
    assert client.post(path, data={"csrf": mine}, headers=across).status_code == 403
    assert client.get("/", headers=PAGE).status_code == 303, "still logged in"


def test_every_answer_carries_the_protections(world: World, admin: TestClient) -> None:
    """No inline script, no framing, no guessing of types, nothing kept by a shared cache."""
    for path in ("/login", "/", "/nowhere", f"/breakdown/{world.point('main').id}"):
        headers = admin.get(path, headers=PAGE).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_pages_hold_no_inline_script_or_style(world: World, admin: TestClient) -> None:
    """What the policy forbids is not tried: data blocks are fine, they do not run."""
    number = world.point("main").id
    for path in (f"/breakdown/{number}", f"/attributes/{number}", f"/admin/data-points/{number}"):
        text = admin.get(path, headers=PAGE).text
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
        for tag in re.findall(r"<script[^>]*>", text):
            assert "src=" in tag or 'type="application/json"' in tag


def test_an_unknown_address_says_so_with_a_way_on(admin: TestClient) -> None:
    """One sentence and one next step, as a page for people and as JSON for programs."""
    page = admin.get("/nowhere", headers=PAGE)
    assert page.status_code == 404
    assert "Go to the first page" in page.text
    problem = admin.get("/nowhere")
    assert problem.headers["content-type"] == "application/problem+json"
    assert admin.request("DELETE", "/login").status_code == 405


ODD_NUMBERS = ("%C2%B2", "%D9%A3", "-1", "1_0", "x", "9" * 20, "9" * 5_000)


@pytest.mark.parametrize("odd", ODD_NUMBERS, ids=lambda odd: odd[:8])
def test_an_odd_number_in_an_address_is_no_fault_of_the_server(
    world: World, admin: TestClient, odd: str
) -> None:
    """A superscript two, or five thousand nines, is answered like any number that is not ours."""
    for path in (
        f"/live?point={odd}", f"/data/series?point={odd}", f"/breakdown/{odd}",
        f"/site/{odd}", f"/organization/{odd}", f"/admin/data-points/{odd}",
    ):  # fmt: skip
        assert admin.get(path, headers=PAGE).status_code == 404, path
    number = world.point("main").id
    assert admin.get(f"/data/today?points={number},{odd}").status_code == 200
    assert admin.get(f"/attributes/{number}/panels?kept={odd}").status_code == 200
    token = form_token(admin, "/admin/data-points/new")
    sent = {"csrf": token, "name": "Odd", "site": urllib.parse.unquote(odd)}
    assert admin.post("/admin/data-points", data=sent).status_code == 422


def test_a_token_in_foreign_letters_is_refused_like_any_wrong_one(
    world: World, admin: TestClient
) -> None:
    """A garbled form gets "no longer valid", in and before a session, not a server error."""
    assert admin.post("/admin/data-points", data={"csrf": "é²"}).status_code == 403
    visitor = TestClient(world.app)
    visitor.get("/login")
    assert visitor.post("/login", data={"csrf": "é²"}).status_code == 403
