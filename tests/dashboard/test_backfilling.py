"""Packets that came too late, contradict others or are refused: a person acts on Attributes."""

from __future__ import annotations

import json
import re
import time

import pytest
from starlette.testclient import TestClient

from kilowatch.catalog.tables import AuditEntry
from kilowatch.dashboard.stuck import corrected, stuck_on
from kilowatch.log.records import KeptPacket
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.pipeline.conflicts import Conflict
from tests.dashboard.conftest import Logged
from tests.dashboard.test_attributes import packet
from tests.dashboard.test_remedies import token
from tests.dashboard.worlds import VIEWER, World


@pytest.fixture(scope="module")
def late(world: World) -> World:
    """Push a packet that is accepted, and two that come after it but are older."""
    for ago in (10, 40, 30):
        world.push("main", packet(world, "main", ago, aP_1=100.0 + ago))
    return world


def panels(client: TestClient, world: World, name: str = "main") -> str:
    """Return what changes with each packet."""
    return str(client.get(f"/attributes/{world.point(name).id}/panels").text)


def kept_ids(world: World) -> list[int]:
    """Return the numbers of the kept packets of the main supply."""
    return [one.id for one in world.log.kept(world.point("main").series)]


def test_chosen_packets_are_put_in_with_the_reason(late: World, admin: TestClient) -> None:
    """One packet is ticked: it alone goes to the collector, with who and why, and is recorded."""
    point, past = late.point("main"), late.extra["past"]
    number = kept_ids(late)[0]
    assert f'name="kept" value="{number}"' in panels(admin, late)
    sent = {"csrf": token(admin, point.id), "kept": str(number), "which": "chosen",
            "reason": " the gateway \n was away "}  # fmt: skip
    answer = admin.post(f"/attributes/{point.id}/kept/backfill", data=sent)
    assert past.asked[-1] == (
        "kept", point.series, [number], "a.lee@example.com", "the gateway was away",
    )  # fmt: skip
    assert "1 packets were put into the history." in admin.get(answer.headers["location"]).text
    with late.catalog.reading() as session:
        entry = session.query(AuditEntry).order_by(AuditEntry.id.desc()).first()
        assert entry is not None
        assert (entry.action, entry.subject_id) == ("backfilled", point.id)
        assert entry.after == {"packets": 1, "reason": "the gateway was away"}


def test_all_packets_are_put_in_or_none_by_mistake(late: World, admin: TestClient) -> None:
    """All means all that were discarded; a click without a tick does nothing."""
    point, past = late.point("main"), late.extra["past"]
    path, form = f"/attributes/{point.id}/kept/backfill", {"csrf": token(admin, point.id)}
    before = len(past.asked)
    answer = admin.post(path, data=form | {"which": "chosen"})
    assert "nothing was done" in admin.get(answer.headers["location"]).text
    assert len(past.asked) == before
    admin.post(path, data=form | {"which": "all"})
    assert past.asked[-1][:3] == ("kept", point.series, None)


def test_packets_that_nobody_wants_are_dismissed(late: World, admin: TestClient) -> None:
    """Ticked packets are deleted where they are kept, and the history says who did it."""
    point, past = late.point("main"), late.extra["past"]
    numbers = kept_ids(late)
    form = {"csrf": token(admin, point.id), "kept": [str(one) for one in numbers]}
    answer = admin.post(f"/attributes/{point.id}/kept/dismiss", data=form)
    assert answer.status_code == 303
    assert past.asked[-1] == ("dismiss", point.series, numbers)


def test_while_the_collector_is_away_nothing_is_claimed(
    late: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collector that does not answer is told, with that nothing was done; no entry is made."""

    def away(*_: object) -> None:
        raise KilowatchError("not_running", "The collector does not answer.", status=503)

    monkeypatch.setattr(late.extra["past"], "put_in_kept", away)
    point = late.point("main")
    form = {"csrf": token(admin, point.id), "which": "all"}
    answer = admin.post(f"/attributes/{point.id}/kept/backfill", data=form)
    assert answer.status_code == 503
    assert "The collector does not answer." in answer.text


def conflict(world: World, minutes: int, offered: float, digest: int = 7) -> Conflict:
    """Return a packet that says otherwise than what is stored."""
    point = world.point("main")
    body = packet(world, "main", minutes, aP_1=offered, v_1=230.0)
    at_ms = world.now[0] - minutes * 60_000
    stored = {5: 100.0, 17: 230.0}
    return Conflict(point.series, at_ms, digest, 9, 0, Form.LOCAL, world.now[0], 0, body, stored, 3)


def test_a_contradiction_is_shown_side_by_side_and_decided(
    late: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored stands beside what is offered, only where they differ; one click decides."""
    point, past = late.point("main"), late.extra["past"]
    waiting = [conflict(late, 40, 180.0), conflict(late, 30, 190.0)]
    late.view.waiting[point.series] = waiting
    monkeypatch.setattr("kilowatch.dashboard.backfilling.SETTLED_S", 0.0)
    text = panels(admin, late)
    table = re.search(rf'data-conflict="{waiting[0].at_ms}".*?</table>', text, re.DOTALL)
    assert table
    assert re.findall(r'<td class="num">([^<]+)</td>', table[0]) == ["100", "180"]
    form = {"csrf": token(admin, point.id), "at": waiting[0].at_ms, "digest": 7}
    answer = admin.post(
        f"/attributes/{point.id}/conflict", data=form | {"take": "offered", "reason": "read it"}
    )
    assert "the offered values count from now on (1)" in admin.get(answer.headers["location"]).text
    source, series, packets, actor, reason = past.asked[-1]
    assert (source, series, actor, reason) == (
        "decision", point.series, "a.lee@example.com", "read it",
    )  # fmt: skip
    assert [json.loads(body)["aP_1"] for body, _ in packets] == [180.0]
    admin.post(f"/attributes/{point.id}/conflict", data=form | {"which": "all", "take": "stored"})
    assert [json.loads(body)["aP_1"] for body, _ in past.asked[-1][2]] == [100.0, 100.0]
    gone = admin.post(
        f"/attributes/{point.id}/conflict", data=form | {"digest": 8, "take": "stored"}
    )
    assert "conflict_gone" in gone.headers["location"]
    late.view.waiting.clear()


def test_two_offers_for_one_time_are_not_taken_blindly(
    late: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of two would count depends on their order: "take all" leaves them to a person."""
    point, past = late.point("main"), late.extra["past"]
    late.view.waiting[point.series] = [
        conflict(late, 40, 180.0, 1), conflict(late, 40, 181.0, 2), conflict(late, 30, 190.0, 3),
    ]  # fmt: skip
    monkeypatch.setattr("kilowatch.dashboard.backfilling.SETTLED_S", 0.0)
    form = {"csrf": token(admin, point.id), "which": "all", "take": "offered"}
    admin.post(f"/attributes/{point.id}/conflict", data=form)
    assert [json.loads(body)["aP_1"] for body, _ in past.asked[-1][2]] == [190.0]
    late.view.waiting.clear()


def test_a_viewer_sees_what_is_kept_but_cannot_act(late: World, logged: Logged) -> None:
    """Who may not change settings gets no boxes and no buttons, and is refused at the address."""
    client = logged(VIEWER)
    late.view.waiting[late.point("main").series] = [conflict(late, 40, 180.0)]
    text = panels(client, late)
    assert "data-kept" in text
    assert "data-conflict" in text
    assert not re.search(r'type="checkbox"|<form|name="take"', text)
    for path in ("kept/backfill", "kept/dismiss", "conflict"):
        address = f"/attributes/{late.point('main').id}/{path}"
        assert client.post(address, data={"csrf": "x"}).status_code == 403
    late.view.waiting.clear()


def test_a_sender_that_is_stuck_is_shown_with_the_packet_that_would_pass(
    late: World, admin: TestClient
) -> None:
    """A comma in a number holds everything up: the page has the corrected curl line."""
    point = late.point("hvac")
    at = json.loads(packet(late, "hvac", 5))["tsISO8601"]
    body = json.dumps({"id": point.stream_id, "tsISO8601": at, "aP_1": "18,5"}).encode()
    for _ in range(3):
        late.writer.refuse(
            point.series, point.organisation_id, code="not_a_number",
            detail="aP_1 is a text, not a number.", body=body,
            received_ms=int(time.time() * 1000), credential_id=late.credential.id,
        )  # fmt: skip
    end = time.monotonic() + 10
    while late.log.counters([point.series]).get(point.series) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    text = panels(admin, late, "hvac")
    assert "it has sent the same refused packet 3 times" in text
    stuck = re.search(r'id="stuck-curl"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert stuck
    assert "&#34;aP_1&#34;: 18.5" in stuck[1]
    assert "data-stuck" not in panels(admin, late)


def refused(body: bytes, **other: int) -> KeptPacket:
    """Return a refused packet."""
    facts = {"received_ms": 1_000, "last_received_ms": 9_000, "repeats": 5} | other
    return KeptPacket(
        1, "refused", "x", "y", None, 0, 0, None, facts["received_ms"], facts["last_received_ms"],
        facts["repeats"], 1, body, len(body),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ({"aP_1": "18.5"}, {"aP_1": 18.5}),
        ({"ap_1": 3, "v_1": None}, {"aP_1": 3}),
        ({"aP_1": "eighteen"}, None),
        ({"value": 3}, None),
    ],
)
def test_a_corrected_packet_would_be_accepted_or_is_not_shown(
    world: World, said: dict[str, object], right: dict[str, object] | None
) -> None:
    """Text becomes a number and a name the likely one; a value is never invented."""
    point = world.point("main")
    sent = {"id": "acme-main", "tsISO8601": "2026-11-09T10:00:00", **said}
    better = corrected(refused(json.dumps(sent).encode()), point, world.now[0])
    if right is None:
        assert not better
    else:
        wanted = {"id": "acme-main", "tsISO8601": "2026-11-09T10:00:00+00:00", **right}
        assert json.loads(better) == wanted


def test_who_got_on_is_not_stuck() -> None:
    """Two tries may be chance, and a sender whose next packet was accepted has moved on."""
    assert stuck_on([refused(b"{}", repeats=2)], None) is None
    assert stuck_on([refused(b"{}")], None) is not None
