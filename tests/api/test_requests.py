"""What every request has to keep to, and what is said to who does not."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest
import structlog.testing
from sqlalchemy import event, select

from kilowatch import catalog as catalogs
from kilowatch.api.app import DESCRIPTION, PREFIX, THREADS
from kilowatch.api.needs import FAILURES, REQUESTS
from kilowatch.catalog import data_points, registry
from kilowatch.catalog.rights import Person
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Organisation
from kilowatch.catalog.tables_people import ApiToken
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import MINUTE_MS
from tests.api.api_world import Served
from tests.dashboard.worlds import ADMIN, VIEWER


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/organizations", "/sites/1", "/users/1/grant_site_access", "/x"])
def test_what_would_change_something_is_told_that_writing_is_not_built(
    served: Served, method: str, path: str
) -> None:
    """405 with what is allowed, in a sentence: no client waits for something that never comes."""
    answer = served.client.request(method, f"{PREFIX}{path}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert "writing is not built yet" in answer.json()["detail"]


def test_head_tells_what_get_would(served: Served) -> None:
    """Length and type without the body."""
    head = {"authorization": served.texts[ADMIN], "accept-encoding": "identity"}
    got = served.client.get(f"{PREFIX}/meters", headers=head)
    told = served.client.head(f"{PREFIX}/meters", headers=head)
    assert told.status_code == 200
    assert told.headers == got.headers
    assert told.content == b""


def test_the_token_comes_bare_or_as_bearer_and_as_nothing_else(served: Served) -> None:
    """Clients in use send it bare; new ones after Bearer; neither is in the address."""
    text = served.texts[ADMIN]
    for good in (text, f"Bearer {text}", f"bearer  {text}", f" {text} "):
        assert served.get("/organizations", None, authorization=good).status_code == 200
    for bad in ("", "Bearer", "Bearer ", f"Basic {text}", f"Token {text}", f"Bearer {text} x"):
        answer = served.get("/organizations", None, authorization=bad)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing"), bad
    assert served.get(f"/organizations?token={text}", None).status_code == 401


@pytest.mark.parametrize(
    ("query", "code", "parameter"),
    [
        ("colour=red", "parameter_unknown", "colour"),
        ("organization_id=1&organization_id=1", "bad_parameter", "organization_id"),
        ("organization_id=", "bad_parameter", "organization_id"),
        ("organization_id=one", "bad_parameter", "organization_id"),
        ("organization_id=0", "bad_parameter", "organization_id"),
        ("organization_id=-1", "bad_parameter", "organization_id"),
        ("organization_id=%C2%B2", "bad_parameter", "organization_id"),
        ("organization_id=1e3", "bad_parameter", "organization_id"),
        ("organization_id=9999999999999999", "bad_parameter", "organization_id"),
        ("per_page=1001", "bad_parameter", "per_page"),
        ("page=0", "bad_parameter", "page"),
        ("per_page=%00", "bad_parameter", "per_page"),
    ],
)
def test_a_query_that_cannot_be_read_is_refused_by_the_name_of_what_is_wrong(
    served: Served, query: str, code: str, parameter: str
) -> None:
    """A typing error never answers something else than what was meant."""
    answer = served.get(f"/meters?{query}")
    assert answer.status_code == 400
    told = answer.json()
    assert (told["code"], told["parameter"]) == (code, parameter)
    assert told["remedy"]


@pytest.mark.parametrize(
    "number", ["0", "1000000000000000", "\u0661", "-1", "1.0", "1/", "%31x", "²"]
)
def test_a_number_that_is_none_finds_nothing(served: Served, number: str) -> None:
    """Nothing is guessed from what stands in an address."""
    assert served.get(f"/sites/{number}").status_code == 404


def test_wrong_tokens_of_an_address_are_slowed_and_good_ones_go_on(own: Served) -> None:
    """Thirty within ten minutes; a program beside the faulty one goes on working."""
    assert own.get("/organizations").status_code == 200
    for n in range(FAILURES):
        answer = own.get("/organizations", None, authorization=f"kwt_{n}")
        assert answer.status_code == 401
    slowed = own.get("/organizations", None, authorization="kwt_again")
    assert (slowed.status_code, slowed.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(slowed.headers["retry-after"]) <= 601
    assert own.get("/organizations").status_code == 200, "it worked a moment ago"
    assert own.get("/organizations", VIEWER).status_code == 429, "nobody knows it yet"
    own.world.now[0] += 10 * MINUTE_MS
    assert own.get("/organizations", VIEWER).status_code == 200


def test_a_token_that_asks_too_often_waits_and_others_do_not(own: Served) -> None:
    """Six hundred within a minute, of each token; here three, to be quicker."""
    assert own.rooms.limits.requests.most == REQUESTS
    own.rooms.limits.requests.most = 3
    other, _ = own.token(VIEWER)
    for _ in range(3):
        assert own.get("/organizations", VIEWER).status_code == 200
    answer = own.get("/organizations", VIEWER)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(answer.headers["retry-after"]) <= 61
    assert own.get("/organizations", None, authorization=other).status_code == 200
    own.world.now[0] += MINUTE_MS
    assert own.get("/organizations", VIEWER).status_code == 200


def test_when_and_from_where_a_token_was_used_is_noted(own: Served) -> None:
    """Its owner sees it on their page."""
    text, number = own.token(ADMIN)
    assert own.get("/organizations", None, authorization=text).status_code == 200
    with own.world.catalog.reading() as session:
        row = session.scalars(select(ApiToken).filter_by(id=number)).one()
        assert row.last_used_ms == own.world.now[0]
        assert row.last_address == "testclient"


def test_while_the_store_opens_a_client_is_told_to_come_again(
    own: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with a time: not an empty answer, which would be taken for no use."""

    def busy(*_args: object) -> None:
        raise KilowatchError("store_busy", "It opens.", status=503, retry_helps=True)

    monkeypatch.setattr(own.world.app.state.rooms.registry, "tree", busy)
    answer = own.get("/organizations")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["code"] == "store_busy"


def test_a_fault_of_ours_is_in_the_log_and_no_secret_with_it(
    own: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says that it failed; the log says why; neither has the token."""

    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(own.world.app.state.rooms.registry, "tree", broken)
    with structlog.testing.capture_logs() as lines:
        answer = own.get("/organizations")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_fault")
    assert [one["reason"] for one in lines] == ["ZeroDivisionError"]
    assert own.texts[ADMIN] not in repr(lines) + answer.text


def test_how_long_answers_take_is_counted_by_resource(own: Served) -> None:
    """An operator sees the API in the same metric as pages; invented addresses fill nothing."""
    own.get("/meters")
    own.get("/sites/1")
    own.client.get(DESCRIPTION)
    for n in range(3):
        own.get(f"/invented/{n}")
    assert sorted(own.times) == ["api_meters", "api_openapi", "api_site", "api_unknown"]


def test_answers_have_the_headers_of_pages_and_are_packed(served: Served) -> None:
    """A browser takes them for nothing else; a list of meters is a twelfth on the wire."""
    answer = served.get("/meters", ADMIN, **{"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_list_is_whole_unless_pages_are_asked_for(served: Served) -> None:
    """A client that knows of no pages loses nothing; one that does is led through all of them."""
    whole = served.get("/meters").json()
    assert [one["id"] for one in whole] == sorted(one["id"] for one in whole)
    path, seen = "/meters?per_page=4&site_id=", []
    office = served.world.sites["Office Dublin"]
    following = f"{PREFIX}{path}{office}"
    while following:
        answer = served.client.get(following, headers={"authorization": served.texts[ADMIN]})
        assert answer.headers["x-total-count"] == "6"
        seen += answer.json()
        links = {one["rel"]: one["url"] for one in answer.links.values()}
        assert {"first", "last"} <= set(links)
        following = links.get("next", "")
    assert seen == [one for one in whole if one["site_id"] == office]
    beyond = served.get("/meters?page=9")
    assert (beyond.status_code, beyond.json()) == (200, [])
    assert 'rel="next"' not in beyond.headers["link"]


def test_a_list_asks_the_catalogue_as_often_for_many_as_for_few(own: Served) -> None:
    """Ten thousand meters are listed with the statements of ten: nothing is asked one by one."""
    office = own.world.sites["Office Dublin"]
    paths = ["/meters", "/appliances", f"/meters/{own.point('main')}", "/sites"]
    paths += [f"/sites/{office}/metadata", f"/sites/{office}/associated_users"]
    few = {path: statements(own, path) for path in paths}
    with own.world.catalog.change(catalogs.Actor("test")) as change:
        owner = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        for n in range(10):
            site = registry.add_site(change, owner, f"Branch {n}", zone="Europe/Dublin")
            for k in range(2):
                settings = Settings("electrical", "electricity", 300)
                data_points.register(change, site, f"Supply {k}", settings)
    own.world.app.state.rooms.registry.directory(fresh=True)  # else it looks again in a while
    assert {path: statements(own, path) for path in paths} == few
    assert max(few.values()) <= 15


def statements(served: Served, address: str) -> int:
    """Return how many statements the catalogue is asked for an answer, the second time."""
    served.get(address)
    seen: list[str] = []

    def heard(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = served.world.catalog.engine
    event.listen(engine, "before_cursor_execute", heard)
    try:
        assert served.get(address).status_code == 200
    finally:
        event.remove(engine, "before_cursor_execute", heard)
    return len(seen)


def test_four_answers_are_made_at_a_time(own: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a program asks for at once, pages find threads and the store free."""
    registry, running, most = own.world.app.state.rooms.registry, [0], [0]
    known, lock = registry.tree, threading.Lock()

    def slow(who: Person) -> object:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02)
        with lock:
            running[0] -= 1
        return known(who)

    monkeypatch.setattr(registry, "tree", slow)
    answered: list[int] = []

    async def ask_all() -> None:
        transport = httpx.ASGITransport(own.client.app)
        headers = {"authorization": own.texts[ADMIN]}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            asked = (client.get(f"{PREFIX}/organizations", headers=headers) for _ in range(12))
            answered.extend(one.status_code for one in await asyncio.gather(*asked))

    asyncio.run(ask_all())
    assert answered == [200] * 12
    assert most[0] == THREADS
