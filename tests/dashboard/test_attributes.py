"""Attributes tells an integrator what arrived, what was made of it, and what to change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from datetime import datetime

import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard.curl import curl_line, example_packet
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.model.packet import Form
from kilowatch.wire import decode
from kilowatch.wire.likely import likely
from tests.dashboard.conftest import Logged
from tests.dashboard.fakes import Status, local
from tests.dashboard.test_live import request
from tests.dashboard.worlds import END_USER, VIEWER, World

PAGE = {"accept": "text/html"}
MINUTE_MS = 60_000


def packet(world: World, name: str, ago_min: int, **values: float) -> bytes:
    """Return a packet's body as a gateway sends it."""
    at = local(world.now[0] - ago_min * MINUTE_MS, "Europe/Dublin").isoformat(timespec="seconds")
    body = {"id": world.point(name).stream_id, "tsISO8601": at, **values}
    return json.dumps(body).encode()


@pytest.fixture(scope="module")
def pushed(world: World) -> World:
    """Push what a gateway pushes on its first day: good packets, repeats, old and broken ones."""
    point = world.point("main")
    first, second = (packet(world, "main", ago, aP_1=100.5 + ago) for ago in (20, 10))
    for body in (first, second, second, first):
        world.push("main", body)
    world.push("main", packet(world, "main", 30, aP_1=7.0))
    world.writer.refuse(
        point.series,
        point.organisation_id,
        code="not_a_number",
        detail="aP_1 is a text, not a number.",
        body=b'{"id":"acme-main","aP_1":"18,5"}',
        received_ms=int(time.time() * 1000),
        credential_id=world.credential.id,
    )
    end = time.monotonic() + 10
    while world.log.counters([point.series])[point.series].refused < 1:
        assert time.monotonic() < end
        time.sleep(0.05)
    return world


def panels(client: TestClient, world: World, query: str = "") -> str:
    """Return the panels of the main supply."""
    answer = client.get(f"/attributes/{world.point('main').id}/panels{query}")
    assert answer.status_code == 200
    text: str = answer.text
    return text


def test_each_outcome_is_counted(pushed: World, admin: TestClient) -> None:
    """Two accepted, one duplicate, two that came too late, one refused."""
    text = panels(admin, pushed)
    counts = {
        outcome: int(number)
        for number, outcome in re.findall(r'value="(\d+)" data-outcome="(\w+)"', text)
    }
    assert counts == {"accepted": 2, "duplicate": 1, "discarded": 2, "refused": 1}


def test_the_latest_packet_is_shown_as_it_came(pushed: World, admin: TestClient) -> None:
    """Pretty and raw, with its time, and by which credential."""
    text = panels(admin, pushed)
    assert "&#34;aP_1&#34;: 110.5" in text
    assert pushed.credential.username in text
    assert "gateway A" in text


def test_discarded_and_refused_packets_are_listed_with_reasons(
    pushed: World, admin: TestClient
) -> None:
    """Nothing is lost silently: the packet, why, and when."""
    text = panels(admin, pushed)
    assert len(re.findall(r'data-kept="discarded"', text)) == 2
    assert len(re.findall(r'data-kept="refused"', text)) == 1
    assert "Not after the latest packet" in text
    assert "aP_1 is a text, not a number." in text
    assert "18,5" in text


def test_a_packets_text_cannot_become_part_of_the_page(pushed: World, admin: TestClient) -> None:
    """Whatever a meter sends is shown, never run."""
    point = pushed.point("hvac")
    pushed.writer.refuse(
        point.series, point.organisation_id, code="x", detail="<b>bold</b>",
        body=b"<script>alert(1)</script>", received_ms=pushed.now[0], credential_id=0,
    )  # fmt: skip
    end = time.monotonic() + 10
    while not pushed.log.kept(point.series):
        assert time.monotonic() < end
        time.sleep(0.05)
    text = admin.get(f"/attributes/{point.id}", headers=PAGE).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<b>bold" not in text


def test_a_typo_is_named_with_what_was_likely_meant(world: World, admin: TestClient) -> None:
    """An unknown parameter loses data; the page says which, how often, and the right name."""
    point = world.point("chiller")
    world.view.statuses[point.series] = Status(point.series, ignored={"AP1": 12, "colour": 1})
    text = admin.get(f"/attributes/{point.id}/panels").text
    assert 'data-ignored="AP1"' in text
    assert "Did you mean aP_1?" in text
    assert "Check its spelling" in text


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("aP1", "aP_1"), ("AP_2", "aP_2"), ("v-12", "v_12"), ("values", "value"), ("pc1", "pC_1")],
)
def test_likely_names_are_found(typo: str, meant: str) -> None:
    """The mistakes that integrators make most lead to the right parameter."""
    assert likely(typo) == meant


def test_a_name_like_nothing_we_know_is_not_guessed() -> None:
    """A wrong guess would be worse than none."""
    assert likely("colour") == ""


def test_packets_finer_than_registered_are_not_called_as_registered(
    world: World, admin: TestClient, pushed: World
) -> None:
    """Ten seconds and fifteen minutes are not the same: the page says how one becomes the other."""
    point = pushed.point("main")
    world.view.statuses[point.series] = Status(point.series, observed_interval_s=10.0)
    text = panels(admin, pushed)
    assert "as registered" not in text
    assert "gathered into intervals of 5 min" in text
    world.view.statuses[point.series] = Status(point.series, observed_interval_s=299.0)
    assert "as registered" in panels(admin, pushed)


def test_which_requests_are_shown_is_in_the_address(world: World, admin: TestClient) -> None:
    """A link to everything that reaches the organisation opens it for a colleague too."""
    address = f"/attributes/{world.point('main').id}"
    assert 'value="all" checked' in admin.get(f"{address}?requests=all", headers=PAGE).text
    assert 'value="point" checked' in admin.get(address, headers=PAGE).text


def test_a_stream_that_never_sent_shows_what_to_do(world: World, admin: TestClient) -> None:
    """No packet yet: the page says so, and has the line that sends the first one."""
    text = admin.get(f"/attributes/{world.point('new').id}", headers=PAGE).text
    assert "No packet has arrived yet." in text
    assert "acme-new" in text
    assert "curl http://localhost:8080/measurements/v2/unifiedjson/" in text


def test_the_ready_line_repeats_what_the_meter_last_read(pushed: World, admin: TestClient) -> None:
    """Tried on a stream that runs, it does not make the register fall or the power jump."""
    now = pushed.now[0]
    found = example_packet(pushed.point("main"), now, '{"id":"x","pC_1":5e6,"aP1":3,"v_13":400}')
    assert found["id"] == "acme-main"
    assert (found["pC_1"], found["v_13"]) == (5e6, 400)
    assert "aP1" not in found
    for broken in ("[1]", "no JSON", "{}"):
        assert example_packet(pushed.point("main"), now, broken)["aP_1"] == 1250.0
    assert "110.5" in panels(admin, pushed)


def test_requests_of_others_are_not_listed(world: World, logged: Logged, admin: TestClient) -> None:
    """Refused requests without a stream are for those who manage the organisation."""
    world.requests.past.clear()
    world.requests.tell(request(world))
    world.requests.tell(request(world, series=None, stream_id=None, status=401))
    other = world.point("chiller")
    world.requests.tell(request(world, series=other.series, stream_id=other.stream_id))
    address = f"/data/requests?point={world.point('main').id}"
    assert [one["status"] for one in admin.get(address).json()["requests"]] == [401, 200]
    assert len(admin.get(f"{address}&all=1").json()["requests"]) == 3
    assert len(logged(VIEWER).get(f"{address}&all=1").json()["requests"]) == 2
    theirs = logged(END_USER).get(f"/data/requests?point={other.id}&all=1").json()["requests"]
    assert [one["series"] for one in theirs] == [other.series]


@pytest.mark.parametrize("name", ["main", "gas", "outdoor", "one"])
def test_the_ready_line_sends_a_packet_that_is_right(world: World, name: str) -> None:
    """What the page tells an integrator to send is accepted by the letter, whenever it is sent."""
    settings: DashboardSettings = world.app.state.rooms.settings
    line = curl_line(world.point(name), settings, world.now[0], "kw-acme")
    shell = "curl() { for one; do printf '%s\\n' \"$one\"; done; }\n" + line
    told = subprocess.run(
        ["sh", "-c", shell], env={**os.environ, "PASSWORD": "s3cret"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = told.stdout.splitlines()
    body = words[words.index("--data") + 1]
    now_ms = int(datetime.fromisoformat(json.loads(body)["tsISO8601"]).timestamp() * 1000)
    assert "$(date" in line, "a time that stood there would grow old"
    packet_ = decode(body.encode(), Form.LOCAL, now_ms)
    assert packet_.stream_id == world.point(name).stream_id
    assert packet_.ignored == ()
    assert packet_.single == (world.point(name).kind == "single")
    assert words[words.index("--user") + 1] == "kw-acme:s3cret"
    assert example_packet(world.point(name), world.now[0])["id"] == packet_.stream_id
