"""Nobody sees or changes what is not theirs, on any route, whoever asks."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator

import pytest
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import registry
from kilowatch.catalog.tables import ROLES
from kilowatch.dashboard.access import (
    ABOUT_A_POINT,
    ABOUT_A_SITE,
    NOWHERE_IN_PARTICULAR,
    Access,
    Door,
)
from kilowatch.dashboard.app import DOORS
from tests.dashboard.access_world import (
    ENDLESS,
    LEVELS,
    NAMED_IN_FORM,
    PARTLY,
    PEOPLE,
    WHO,
    Matrix,
    Side,
)
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, VIEWER, World, build

PAGE = {"accept": "text/html"}
REFUSALS = (401, 403, 404, 405)
IN_THE_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """Build two organisations with one of everything, and log in a person of each role."""
    folder = tmp_path_factory.mktemp("matrix")
    made = build(folder, days=1)
    yield Matrix(made, folder)
    made.writer.close()
    made.log.close()
    made.catalog.close()


def routes_of(routes: Iterable[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and method of every route, those of mounted applications too."""
    for route in routes:
        if isinstance(route, Mount):
            inside = list(route.routes)
            if not inside:
                assert route.path.startswith("/static/"), (
                    f"What is mounted at {route.path} shows no routes, so nobody can tell who may "
                    f"pass: mount an application with routes, or make them doors."
                )
            yield from routes_of(inside, before + route.path)
        else:
            assert isinstance(route, Route), route
            for method in (route.methods or set()) - {"HEAD"}:
                yield before + route.path, method


def test_every_route_has_a_decision(world: World) -> None:
    """A page that nobody decided about would be open to everybody: there is none."""
    decided = {(door.path, method) for door in DOORS for method in door.methods}
    undecided = set(routes_of(world.app.routes)) - decided
    assert not undecided, f"make a Door for each, with an Access: {sorted(undecided)}"


def test_every_access_has_a_decision_for_every_role() -> None:
    """A new kind of access does not pass unnoticed: its roles are written down by hand."""
    assert WHO.keys() == set(Access), "add the new Access to WHO in access_world.py"
    assert PEOPLE.keys() == set(ROLES), "add the new role to PEOPLE in access_world.py"


def expected(door: Door, role: str, side: str) -> str:
    """Return what a role gets at a door: ``yes``, ``refused`` (403) or ``hidden`` (404)."""
    named = door.path in NAMED_IN_FORM and "POST" in door.methods
    if named or (side == "mixed" and role in WHO[door.access]):
        return "hidden"
    if door.access in NOWHERE_IN_PARTICULAR or door.access is Access.ANYONE:
        if side == "theirs" and IN_THE_PATH.search(door.path):
            return "hidden"  # signed in is enough, but the handler shows only what is theirs
        if role == "end user" and IN_THE_PATH.search(door.path) and door.path not in PARTLY:
            return "hidden"
        return "yes" if role in WHO[door.access] else "refused"
    if side == "theirs" or role == "end user":  # who was granted the other site only
        return "hidden"
    return "yes" if role in WHO[door.access] else "refused"


def outcome(status: int) -> str:
    """Return what an answer means."""
    return {401: "refused", 403: "refused", 404: "hidden"}.get(
        status, f"no: {status}" if status >= 500 else "yes"
    )


@pytest.mark.parametrize("side", ["ours", "theirs", "mixed"])
@pytest.mark.parametrize("role", ROLES)
def test_every_role_at_every_door_gets_what_was_decided(
    matrix: Matrix, role: str, side: str
) -> None:
    """Every address and every form, asked by every role, at home and at another company.

    At home the answer is what the role allows; at another company it is "not there", nothing of
    theirs is shown, and not a row of theirs is changed, even by forms that name what they have.
    "Mixed" has our organisation in the address, and an object of theirs behind it.
    """
    email = PEOPLE[role]
    numbers: Side = getattr(matrix, side)
    wrong = []
    for door in DOORS:
        inner = set(IN_THE_PATH.findall(door.path)) - LEVELS
        if door.path in ENDLESS or (side == "mixed" and not inner):
            continue
        address = numbers.address(door, email)
        for method in door.methods:
            client = matrix.client(role)
            sent = matrix.form(client) if method == "POST" else None
            answer = client.request(method, address, data=sent, headers=PAGE)
            status = answer.status_code
            if door.access is Access.ANYONE and status == 403:
                status = 200  # its form is bound to a visitor, not to this session
            found, wanted = outcome(status), expected(door, role, side)
            if door.access is Access.OF_LINK:
                wanted = "refused"  # a session opens nothing there, whoever has it
            if found != wanted:
                wrong.append(f"{method} {address}: {status} ({found}), not {wanted}")
            shown = answer.text + answer.headers.get("location", "")
            seen = [secret for secret in matrix.theirs.secrets if secret in shown]
            if seen:
                wrong.append(f"{method} {address} shows {seen}")
            if method == "POST" and status not in REFUSALS:
                if not matrix.unharmed():
                    wrong.append(f"{method} {address} has changed what is theirs")
                matrix.restore()
    assert not wrong, "\n".join(wrong)


def test_the_matrix_would_notice(matrix: Matrix) -> None:
    """The test that guards everybody is guarded itself: it sees a change and a missing kind."""
    with matrix.world.catalog.change(catalogs.Actor("test")) as change:
        other = registry.find_organisation(change.session, "Elsewhere")
        other.country = "FR"
    assert not matrix.unharmed()
    matrix.restore()
    assert matrix.unharmed()
    new = Door("/organization/{organisation_id:number}/x/{gadget_id:number}", None, Access.ANYONE)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="add a function that makes one to KINDS"):
        matrix.ours.address(new, ADMIN)


def test_without_a_log_in_there_is_only_the_log_in(matrix: Matrix) -> None:
    """A stranger on the street gets the log-in page and nothing else, from every address."""
    client = TestClient(matrix.world.app, follow_redirects=False)
    for door in DOORS:
        path = matrix.ours.address(door, ADMIN)
        for method in door.methods:
            client.cookies.clear()
            answer = client.request(method, path, headers=PAGE)
            if door.access is Access.ANYONE:
                assert answer.status_code in (200, 303, 403), (method, path)
            elif door.access is Access.OF_LINK:
                assert answer.status_code == 401, path
            elif method == "GET":
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/login")
                assert client.get(path).status_code == 401, "a script is told, not sent to a page"
            else:
                assert answer.status_code in (303, 401), path
            assert not [one for one in matrix.ours.secrets[1:] if one in answer.text], path
    assert matrix.unharmed()


def test_an_end_user_passes_where_it_was_granted(matrix: Matrix) -> None:
    """The tenant of the shop reads the shop's points, and none of its forms."""
    world, client = matrix.world, matrix.client("end user")
    granted = world.sites["Supermarket Cork"]
    own = Side(
        matrix.ours.numbers | {"point_id": world.point("chiller").id, "site_id": granted}, {}, []
    )
    for door in DOORS:
        kinds = set(IN_THE_PATH.findall(door.path))
        about = door.access in ABOUT_A_POINT | ABOUT_A_SITE
        if door.methods != ("GET",) or not about or kinds - {"point_id", "site_id"}:
            continue
        status = client.get(own.address(door, END_USER), headers=PAGE).status_code
        reads = door.access in (Access.READ_POINT, Access.READ_SITE)
        assert outcome(status) == ("yes" if reads else "refused"), door.path


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


def test_a_form_of_another_site_changes_nothing(matrix: Matrix) -> None:
    """Somebody's page elsewhere cannot send forms in our name: the token is missing or foreign."""
    client, foreign = matrix.client("administrator"), matrix.client("manager")
    theirs, mine = matrix.form(foreign)["csrf"], matrix.form(client)["csrf"]
    across = {"sec-fetch-site": "cross-site"}
    for door in DOORS:
        if "POST" not in door.methods or door.access is Access.PARTNER:
            continue
        path = matrix.ours.address(door, ADMIN)
        assert client.post(path, data={"name": "x"}).status_code == 403, path
        assert client.post(path, data={"csrf": theirs, "name": "x"}).status_code == 403, path
        assert client.post(path, data={"csrf": mine}, headers=across).status_code == 403, path
    assert client.get("/", headers=PAGE).status_code == 200, "still logged in"


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
