"""The live view of requests: an integrator sees what went wrong, and what to change."""

import asyncio
import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from kilowatch.collector import refusals
from kilowatch.collector.answers import ACCEPTED
from kilowatch.collector.live import (
    RECENT_MAX,
    REFUSED_PER_ORGANISATION,
    Event,
    LiveView,
    Refused,
)
from kilowatch.collector.neighbours import Neighbours
from kilowatch.collector.remedies import NOW, corrected
from kilowatch.collector.throttle import FREE_FAILURES
from kilowatch.dashboard import CollectorEvents
from tests.collector.conftest import StartServer
from tests.collector.harness import PATH, Server, basic, packet

KEYS = {
    "at_ms", "organization_id", "series", "stream_id", "remote", "method", "path", "username",
    "status", "outcome", "code", "detail", "remedy", "bytes", "secure", "environment",
}  # fmt: skip


def control(server: Server) -> httpx.Client:
    """Return a client of the control socket."""
    transport = httpx.HTTPTransport(uds=str(server.settings.control_socket))
    return httpx.Client(transport=transport, base_url="http://collector", timeout=10)


def newest(server: Server, organization_id: int | None = None) -> dict[str, Any]:
    """Return the newest request as the platform sees it."""
    asked = {} if organization_id is None else {"organization_id": organization_id}
    with control(server) as client:
        requests = client.get("/recent", params=asked).json()["requests"]
    return dict(requests[0]) if requests else {}


def test_an_accepted_packet_is_told_with_its_circumstances(shared: Server) -> None:
    """Who, from where, to what, with which answer; and never a password."""
    shared.push(packet("load-0"))
    event = newest(shared)
    assert set(event) == KEYS
    assert event["outcome"] == event["code"] == "accepted"
    assert (event["status"], event["organization_id"]) == (200, 1)
    assert (event["stream_id"], event["remote"]) == ("load-0", "127.0.0.1")
    assert (event["method"], event["path"]) == ("POST", PATH)
    assert event["username"] == shared.registry["partner"][0]
    assert (event["secure"], event["environment"]) == (False, "development")
    assert abs(event["at_ms"] - time.time() * 1000) < 60_000
    assert shared.registry["partner"][1] not in json.dumps(event)


Case = tuple[Callable[[Server], Any], str, str]
CASES: dict[str, Case] = {
    "wrong password": (
        lambda server: server.push(
            packet(),
            by=None,
            headers={"Authorization": basic(server.registry["meter"][0], "wrong")},
        ),
        "credentials_wrong",
        "Wrong password for user kw-",
    ),
    "other environment": (
        lambda server: server.push(packet(), by="production"),
        "credentials_wrong",
        "belongs to the production environment",
    ),
    "no credentials": (
        lambda server: server.push(packet(), by=None),
        "credentials_missing",
        "$PASSWORD",
    ),
    "nearly the right stream": (
        lambda server: server.push(packet("Oven")),
        "stream_unknown",
        "Did you mean 'oven'?",
    ),
    "a misspelt stream": (
        lambda server: server.push(packet("laod-17")),
        "stream_unknown",
        "Did you mean 'load-17'?",
    ),
    "number as text": (
        lambda server: server.push(packet("load-1", aP_1="12.5")),
        "not_a_number",
        '"aP_1": 12.5',
    ),
    "no offset": (
        lambda server: server.push(packet("load-1", "2024-06-01T12:00:00")),
        "missing_offset",
        "2024-06-01T12:00:00+00:00",
    ),
    "a time that is none": (
        lambda server: server.push(packet("load-1", "yesterday")),
        "invalid_timestamp",
        f'"tsISO8601": "\'{NOW}\'", "aP_1"',
    ),
    "a clock that is years ahead": (
        lambda server: server.push(packet("load-1", "2099-01-01T00:00:00Z")),
        "timestamp_in_future",
        f'"tsISO8601": "\'{NOW}\'", "aP_1"',
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_each_refusal_reaches_its_organisation_with_what_to_change(
    shared: Server, name: str
) -> None:
    """An integrator's first hour is won or lost here."""
    push, code, words = CASES[name]
    assert push(shared).code == code
    event = newest(shared, 1)
    assert (event["outcome"], event["code"]) == ("refused", code)
    assert words in event["remedy"], event["remedy"]
    assert event["detail"]


def test_a_401_belongs_to_the_user_name_else_to_the_stream_else_to_nobody(
    shared: Server,
) -> None:
    """A refusal is shown to whoever can mend it, and to nobody else."""
    wrong = {"Authorization": basic(shared.registry["brewery"][0], "wrong")}
    shared.push(packet("oven"), by=None, headers=wrong)
    assert newest(shared)["organization_id"] == 2
    unknown = {"Authorization": basic("someone", "wrong")}
    shared.push(packet("kettle"), by=None, headers=unknown)
    assert (newest(shared)["organization_id"], newest(shared)["stream_id"]) == (2, "kettle")
    shared.push(packet("neither"), by=None, headers=unknown)
    assert newest(shared)["organization_id"] is None


def test_one_organisation_never_sees_anothers_requests(shared: Server) -> None:
    """Not even another's streams as a suggestion."""
    shared.push(packet("kettle"), by="brewery")
    shared.push(packet("ketle"))
    with control(shared) as client:
        asked = {"organization_id": 1, "limit": 2000}
        events = client.get("/recent", params=asked).json()["requests"]
    assert {event["organization_id"] for event in events} == {1}
    assert "kettle'?" not in json.dumps(events)


def test_behind_a_proxy_the_client_is_told_from_the_proxy(start: StartServer) -> None:
    """The live view names the meter's address, and guesses count against the guesser's."""
    server = start(environment="production", trusted_proxies=("127.0.0.1", "10.0.0.0/8"))
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.0.0.2"}
    assert server.push(packet(), by="production", headers=headers).status == 200
    event = newest(server)
    assert (event["remote"], event["secure"]) == ("203.0.113.7", True)
    wrong = {**headers, "Authorization": basic("someone", "wrong")}
    for _ in range(FREE_FAILURES + 1):
        assert server.push(packet(), by=None, headers=wrong).status == 401
    throttle = server.collector.reception.throttle
    assert throttle.failed("203.0.113.7", 0.0) != 0
    assert throttle.failed("127.0.0.1", 0.0) == 0


def test_a_busy_tenant_does_not_push_anothers_refusals_out_of_view() -> None:
    """The last refusals of each organisation stay, whatever the others do."""
    view = LiveView("development", lambda: None, lambda _tls: "")  # type: ignore[arg-type, return-value]
    refused = Refused(refusals.credentials_wrong(), "kw-x", b"", 7)
    for number in range(60):
        view.add((number, ACCEPTED, "POST", PATH, "", True, 1, "kw-x", None, refused))
    for number in range(3 * RECENT_MAX):
        view.add((100 + number, ACCEPTED, "POST", PATH, "", True, 1, "", None, None))
    view.describe = lambda event: {"at_ms": event[0]}  # type: ignore[method-assign]
    assert len(view.recent) == RECENT_MAX
    seen = view.last(7, 1000)
    assert [event["at_ms"] for event in seen] == list(range(59, 59 - REFUSED_PER_ORGANISATION, -1))


def test_an_event_costs_less_than_a_microsecond() -> None:
    """The live view must not slow the packets down that it shows."""
    view = LiveView("development", lambda: None, lambda _tls: "")  # type: ignore[arg-type, return-value]
    best = float("inf")
    for _ in range(20):
        begun = time.perf_counter()
        for number in range(10_000):
            view.add((number, ACCEPTED, "POST", PATH, "", True, 1, "kw-x", None, None))
        best = min(best, (time.perf_counter() - begun) / 10_000)
    assert best < 1e-6


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("{“id”:“a”,“tsISO8601”:“2024-06-01T12:00Z”,“value”:1}", 1),
        ("{'id':'a','tsISO8601':'2024-06-01T12:00Z','value':1}", 1),
        ('{"id":"a","tsISO8601":"2024-06-01T12:00Z","value":1,}', 1),
        ('{"id":"a","tsISO8601":"2024-06-01T12:00Z","value":"1,5"}', 1.5),
        ('{"id":"a","tsISO8601":"2024-06-01 12:00","value":1}', 1),
        ('[{"id":"a","tsISO8601":"2024-06-01T12:00Z","value":1}]', 1),
    ],
)
def test_what_clients_get_wrong_most_is_mended_in_the_example(wrong: str, right: float) -> None:
    """The corrected packet can be pasted."""
    better = corrected(wrong.encode())
    assert better is not None
    assert json.loads(better)["value"] == right
    assert "12:00" in better


@pytest.mark.parametrize(
    "hopeless",
    ["", "nonsense", "[]", '{"id":"a"}', "{" * 50, '{"id":"a","z":' + "[" * 20_000, "[" * 60_000],
)
def test_what_cannot_be_mended_is_not_guessed(hopeless: str) -> None:
    """No example is better than a wrong one."""
    assert corrected(hopeless.encode()) is None


def test_a_packet_that_was_discarded_says_after_what(shared: Server) -> None:
    """It is answered 200, and stands in the live view with the packet that it came too late for."""
    shared.push(packet("load-2", "2024-06-01T12:00:00Z"))
    shared.push(packet("load-2", "2024-06-01T11:00:00Z"))
    event = newest(shared)
    assert (event["outcome"], event["status"]) == ("discarded", 200)
    assert "2024-06-01T12:00:00" in event["detail"]


# The control socket


def test_the_control_socket_is_the_owners_alone(shared: Server) -> None:
    """Whoever may read it sees every organisation's requests."""
    assert shared.settings.control_socket.stat().st_mode & 0o777 == 0o600


def test_events_tell_commits_and_requests_as_they_happen(server: Server) -> None:
    """The platform is woken by a line, within a fraction of a second."""
    with control(server) as client, client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        assert json.loads(next(lines)) == {"committed": 0}
        server.push(packet())
        told: dict[str, Any] = {}
        while len(told) < 2:
            told |= json.loads(next(lines))
    assert told["committed"] == 1
    assert told["request"]["code"] == "accepted"


def test_whoever_waits_for_commits_only_has_no_request_described(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waking the pipeline costs the event loop a number, whatever is refused meanwhile."""
    described: list[int] = []
    monkeypatch.setattr(server.collector.reception.live, "describe", described.append)

    async def first_two() -> list[dict[str, Any]]:
        events = CollectorEvents(server.settings.control_socket).events(requests=False)
        found = [await anext(events)]
        await asyncio.to_thread(server.push, packet("nobody"))
        await asyncio.to_thread(server.push, packet())
        return [*found, await anext(events)]

    assert asyncio.run(first_two()) == [{"committed": 0}, {"committed": 1}]
    time.sleep(0.2)
    assert described == []


def test_a_misspelt_stream_among_thousands_is_found_in_two_milliseconds() -> None:
    """A gateway with a wrong id must not slow down everybody who sends right ones."""
    names = [f"building-{n // 100:02}/floor-{n // 10 % 10}/meter-{n:05}" for n in range(5_000)]
    points = {
        series: SimpleNamespace(stream_id=name, organisation_id=1 + (name == "other"))
        for series, name in enumerate([*names, "other"])
    }
    directory: Any = SimpleNamespace(revision=1, points=points)
    neighbours = Neighbours()
    assert neighbours.nearest("othr", 2, directory) == "other"
    assert neighbours.nearest("othr", 1, directory) is None
    neighbours.nearest("something", 1, directory)  # the first one sorts the names
    took = []
    for number in range(0, 5_000, 250):
        right = names[number]
        for wrong in (right.upper(), f" {right}", right[:-1], right + "0", "x" + right[1:]):
            begun = time.process_time()
            near = neighbours.nearest(wrong, 1, directory)
            took.append(time.process_time() - begun)
            assert near is not None
            assert sum(a != b for a, b in zip(near[:-2], right[:-2], strict=False)) <= 1
    assert sorted(took)[len(took) // 2] < 0.002
    points[0] = SimpleNamespace(stream_id="something", organisation_id=1)
    directory = SimpleNamespace(revision=2, points=points)
    assert neighbours.nearest("someting", 1, directory) == "something"


def test_events_are_few_however_many_packets_come(server: Server) -> None:
    """Ten thousand packets a second must not become ten thousand lines."""
    live = server.collector.reception.live
    before = live.total
    event: Event = (0, ACCEPTED, "POST", PATH, "", True, 1, "kw-x", None, None)

    def flood() -> None:
        for _ in range(5_000):
            live.add(event)

    server.on_loop(flood)
    assert len(list(live.since(before, 50))) == 50


def test_status_tells_what_an_operator_asks(server: Server) -> None:
    """Counts, queue, connections, disk and the log's health."""
    server.push(packet())
    with control(server) as client:
        said = client.get("/status").json()
    assert said["answers"]["accepted"] == 1
    assert said["in_flight"] == 0
    assert said["log"]["last_seq"] == 1
    assert said["log"]["fault"] == ""
    assert said["disk"]["free_bytes"] > 0
    assert said["directory"]["data_points"] > 40
    assert said["environment"] == "development"


def test_the_platforms_cursor_reaches_the_log(server: Server) -> None:
    """Only what the pipeline has stored may ever be removed."""
    server.push(packet())
    with control(server) as client:
        assert client.post("/cursor", json={"stored": 1}).json() == {"stored": 1}
        assert client.get("/status").json()["log"]["stored_seq"] == 1
        assert client.post("/cursor", content=b"nonsense").status_code == 400
        assert client.get("/recent?limit=x").status_code == 400


def test_an_open_event_stream_does_not_hold_up_a_stop(server: Server) -> None:
    """Ctrl-C works while the platform listens."""
    with control(server) as client, client.stream("GET", "/events") as stream:
        next(stream.iter_lines())
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 5
