"""Live streams: told at once, told only what is yours, and gone when the server stops."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from kilowatch import catalog as catalogs
from kilowatch.catalog import people
from kilowatch.dashboard.live import STREAMS_MAX_PERSON, Hub, Listener
from tests.dashboard.conftest import form_token
from tests.dashboard.fakes import Last
from tests.dashboard.worlds import ADMIN, END_USER, PASSWORD, STRANGER, World, build, served


def cookie_of(world: World, email: str) -> str:
    """Log somebody in and return the session cookie."""
    with httpx.Client(base_url=world.url) as client:
        token = form_token(client)  # type: ignore[arg-type]
        client.post("/login", data={"csrf": token, "email": email, "password": PASSWORD})
        return client.cookies["kilowatch"]


class Listening:
    """A page's stream, read in a thread."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended = threading.Event()
        self.beats = 0

    def read(self, world: World, cookie: str, query: str) -> None:
        """Read events until the stream ends."""
        kind = ""
        address = f"{world.url}/live?{query}"
        with (
            httpx.Client(timeout=30, cookies={"kilowatch": cookie}) as client,
            client.stream("GET", address) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: "):
                    self.events.append((kind, json.loads(line[6:])))
                elif line.startswith(":"):
                    self.beats += 1
        self.ended.set()

    def wait(self, kind: str, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return the first event of a kind, waiting for it."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for found, body in self.events:
                if found == kind:
                    return body
            time.sleep(0.02)
        raise AssertionError(f"no {kind} within {timeout_s} s: {self.events}")


@contextmanager
def listening(world: World, email: str, query: str = "") -> Iterator[Listening]:
    """Open a page's stream; it ends with the test's server, or with its session."""
    heard = Listening()
    cookie = cookie_of(world, email)
    thread = threading.Thread(target=heard.read, args=(world, cookie, query), daemon=True)
    thread.start()
    heard.wait("hello")
    yield heard


def request(world: World, **changes: Any) -> dict[str, Any]:
    """Return a request's event, of our own main supply unless changed."""
    point = world.point("main")
    return {
        "at_ms": world.now[0], "organization_id": point.organisation_id, "series": point.series,
        "stream_id": point.stream_id, "remote": "192.0.2.1", "method": "POST",
        "path": "/measurements/v2/unifiedjson/", "username": "kw-acme", "status": 200,
        "outcome": "accepted", "code": "accepted", "detail": "", "remedy": "", "bytes": 90,
        "secure": True, "environment": "development", **changes,
    }  # fmt: skip


def test_a_new_value_reaches_the_page_within_a_second(live_world: World) -> None:
    """A packet's value is told to the page that shows its data point."""
    point = live_world.point("main")
    with listening(live_world, ADMIN, f"point={point.id}") as heard:
        live_world.view.lasts[point.series] = Last(live_world.now[0], 4, 12_345.0, "W")
        began = time.monotonic()
        live_world.view.announce(point.series)
        values = heard.wait("values")["values"]
        assert time.monotonic() - began < 1.0
        told = values[str(point.series)]
        assert len(values) == 1
        assert (told["at_ms"], told["value"], told["unit"]) == (live_world.now[0], 12_345.0, "W")
        assert told["came_ms"] == live_world.now[0], "as far as nobody listens for silences"


def test_nobody_hears_of_data_points_that_are_not_theirs(live_world: World) -> None:
    """A tenant and another company listen while the office's value changes: they hear nothing."""
    point = live_world.point("main")
    with (
        listening(live_world, END_USER, f"point={point.id}&requests=1") as tenant,
        listening(live_world, STRANGER, f"point={point.id}&requests=1") as stranger,
        listening(live_world, ADMIN, f"point={point.id}&requests=1") as owner,
    ):
        live_world.view.announce(point.series)
        live_world.requests.tell(request(live_world))
        live_world.requests.tell(request(live_world, series=None, status=401, outcome="refused"))
        owner.wait("values")
        owner.wait("request")
        time.sleep(0.5)
        assert [kind for kind, _ in owner.events].count("request") == 2
        for heard in (tenant, stranger):
            assert {kind for kind, _ in heard.events} == {"hello"}


def test_a_request_that_nobody_can_attribute_is_shown_to_nobody(live_world: World) -> None:
    """A guess with an unknown name may carry somebody's secret in place of a name."""
    with listening(live_world, ADMIN, "requests=1") as heard:
        live_world.requests.tell(request(live_world, organization_id=None, series=None))
        live_world.requests.tell(request(live_world, remote="last"))
        assert heard.wait("request")["remote"] == "last"


def test_a_page_that_asked_for_no_requests_gets_none(live_world: World) -> None:
    """Breakdown does not pay for the live view of Attributes."""
    point = live_world.point("main")
    with listening(live_world, ADMIN, f"point={point.id}") as heard:
        live_world.requests.tell(request(live_world))
        live_world.view.announce(point.series)
        heard.wait("values")
        assert "request" not in {kind for kind, _ in heard.events}


def test_a_stream_ends_with_its_session(live_world: World) -> None:
    """Who has logged out, or was logged out, hears nothing any more within a heartbeat or two."""
    with listening(live_world, END_USER) as heard:
        with live_world.catalog.change(catalogs.Actor("test")) as change:
            user = people.find_by_email(change.session, END_USER)
            assert user is not None
            people.end_sessions(change, user.id)
        assert heard.ended.wait(5)


def test_a_quiet_stream_says_that_it_lives(live_world: World) -> None:
    """Proxies close what is silent; a heartbeat keeps the stream open."""
    with listening(live_world, ADMIN) as heard:
        time.sleep(2.5)
        assert heard.beats >= 1


def test_streams_end_when_the_server_stops(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ctrl-C ends the server at once, however many pages are open."""
    world = build(tmp_path_factory.mktemp("stop"), days=1)
    began = 0.0
    with served(world), listening(world, ADMIN) as one, listening(world, ADMIN) as two:
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert one.ended.wait(1)
    assert two.ended.wait(1)
    world.writer.close()


def test_a_slow_page_gets_the_newest_state_not_a_queue(live_world: World) -> None:
    """Ten changes while a page does not read become one message."""
    hub = live_world.app.state.rooms.hub

    async def run() -> list[bytes]:
        quiet = Hub(live_world.view, live_world.requests, heartbeat_s=1, coalesce_s=0.01)
        listener = Listener(1, frozenset({1}), 1, None)
        stream = quiet.stream(listener, lambda found: {str(s): {} for s in found}, lambda _: True)
        said = [await anext(stream)]
        for _ in range(10):
            listener.changed.add(1)
            listener.wake.set()
        said.append(await anext(stream))
        quiet.close()
        quiet.closing = True
        listener.wake.set()
        return said + [more async for more in stream]

    said = asyncio.run(run())
    assert [line.split(b"\n")[0] for line in said] == [b"event: hello", b"event: values"]
    assert not hub.closing


def test_one_person_cannot_take_everybodys_live_updates(live_world: World) -> None:
    """Whoever opens twenty tabs waits for one to close; a colleague's page is live at once."""

    async def run() -> tuple[bool, bool, bool]:
        hub = Hub(live_world.view, live_world.requests, heartbeat_s=1, coalesce_s=0.01)
        streams = [
            hub.stream(Listener(7, frozenset(), None, None), lambda _: {}, lambda _: True)
            for _ in range(STREAMS_MAX_PERSON)
        ]
        for stream in streams[:-1]:
            await anext(stream)
        before = hub.full(7)
        await anext(streams[-1])
        return before, hub.full(7), hub.full(8)

    assert asyncio.run(run()) == (False, True, False)
