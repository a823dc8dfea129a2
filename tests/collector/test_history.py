"""History over HTTPS and over the control socket: validated, scoped and durable as ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kilowatch.client.history import HistoryDesk
from kilowatch.collector.history import BYTES_MAX
from kilowatch.log import LogReader
from kilowatch.log.records import BACKFILLED, KEPT
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from tests.collector.harness import PATH, Server, answers, packet

BACKFILL = PATH + "?backfill=1&reason=gateway%20was%20away"
EARLIER = "2026-03-01T12:00:00+00:00"
LATER = "2026-03-01T13:00:00+00:00"


@pytest.fixture
def desk(server: Server) -> HistoryDesk:
    """Return the desk of a server of its own."""
    return HistoryDesk(server.settings.control_socket)


@pytest.fixture
def reader(server: Server) -> Iterator[LogReader]:
    """Return a reader of that server's log."""
    one = LogReader(server.settings.log_path)
    yield one
    one.close()


def series_of(server: Server, stream: str = "oven") -> int:
    """Return the series that a stream's packets are kept under."""
    points = server.collector.reception.directory.points.values()
    return next(point.series for point in points if point.stream_id == stream)


@answers("a packet that is not after the latest one, pushed with `?backfill=1`")
def test_history_is_pushed_to_the_same_address(server: Server, reader: LogReader) -> None:
    """One word more in the address, and an older packet goes into history, with the reason."""
    assert server.push(packet(at=LATER, aP_1=1.0)).json == {"status": "accepted"}
    reply = server.push(packet(at=EARLIER, aP_1=2.0, typo=1), path=BACKFILL)
    assert reply.status == 200
    assert reply.json == {"status": "accepted", "backfilled": True, "ignored": ["typo"]}
    assert json.loads(server.latest("oven").body)["tsISO8601"] == LATER
    (run,) = reader.backfills(series_of(server))
    assert (run.source, run.reason, run.packets) == ("push", "gateway was away", 1)
    assert run.credential_id
    assert server.push(packet(at=EARLIER, aP_1=2.0)).json["status"] == "discarded"


def test_a_reason_is_plain_words(server: Server, reader: LogReader) -> None:
    """What a stranger's gateway gives as a reason can't take over an operator's terminal."""
    server.push(packet(at=LATER, aP_1=1.0))
    reason = "%1b%5b2JZ%C3%A4hler%0a%00%ff"
    server.push(packet(at=EARLIER, aP_1=1.0), path=f"{PATH}?backfill=1&reason={reason}")
    (run,) = reader.backfills(series_of(server))
    assert run.reason == "[2JZähler  \ufffd"


@answers("any other packet, pushed with `?backfill=1`")
def test_what_is_newer_is_an_ordinary_packet(server: Server) -> None:
    """A file may reach up to now; and every refusal is the same as without the word."""
    for at in (EARLIER, LATER):
        reply = server.push(packet(at=at, aP_1=1.0), path=BACKFILL)
        assert reply.json == {"status": "accepted"}
    again = server.push(packet(at=LATER, aP_1=1.0), path=BACKFILL)
    assert again.json == {"status": "duplicate"}
    refused = server.push(packet(at=EARLIER, aP_1="2"), path=BACKFILL)
    assert (refused.status, refused.code) == (400, "not_a_number")
    unknown = server.push(packet("nobody's", at=EARLIER, aP_1=2.0), path=BACKFILL)
    assert (unknown.status, unknown.code) == (404, "stream_unknown")
    assert server.push(packet(at=EARLIER, aP_1=2.0), by=None, path=BACKFILL).status == 401


@answers("`?backfill=` with anything but yes (1, true, yes, nothing) or no (0, false, no)")
def test_an_unclear_wish_is_refused(server: Server) -> None:
    """Nobody's history is changed by a mistyped address; other queries change nothing."""
    for query in ("backfill=perhaps", "backfill=1&backfill=1", "backfill=1&reason=" + "x" * 201):
        reply = server.push(packet(at=LATER, aP_1=1.0), path=f"{PATH}?{query}")
        assert (reply.status, reply.code) == (400, "bad_backfill"), query
    for query in ("backfill=0", "v=3", "reason=none", "", "&".join(["a=b"] * 500), "%ff&=&;"):
        assert server.push(packet(at=LATER, aP_1=1.0), path=f"{PATH}?{query}").status == 200
        reply = server.push(packet(at=EARLIER, aP_1=1.0), path=f"{PATH}?{query}")
        assert reply.json["status"] == "discarded", query


def test_kept_packets_are_put_in_or_dismissed(
    server: Server, desk: HistoryDesk, reader: LogReader
) -> None:
    """A person puts two discarded packets into history and dismisses the third."""
    series = series_of(server)
    server.push(packet(at=LATER, aP_1=1.0))
    for minute in (1, 2, 3):
        at = f"2026-03-01T12:0{minute}:00+00:00"
        assert server.push(packet(at=at, aP_1=1.0)).json["status"] == "discarded"
    first, second, third = sorted(reader.kept(series), key=lambda one: one.at_ms or 0)
    done = desk.put_in_kept(series, [first.id, 10**9], "ann@example.com", "clock was set")
    assert (done.backfilled, done.packets, done.last_seq) == (1, 1, 2)
    entry = reader.at(2)
    assert entry is not None
    assert entry.received_ms == first.received_ms, "when it came, which may tell its clock"
    assert entry.flags & (BACKFILLED | KEPT) == BACKFILLED | KEPT
    assert {one.id for one in reader.kept(series)} == {second.id, third.id}
    desk.dismiss(series, [second.id])
    assert [one.id for one in reader.kept(series)] == [third.id]
    assert desk.put_in_kept(series, None, "ann@example.com").backfilled == 1
    assert reader.kept(series) == []
    assert [(run.source, run.actor, run.reason) for run in reader.backfills(series)] == [
        ("kept", "ann@example.com", ""),
        ("kept", "ann@example.com", "clock was set"),
    ]
    entry = reader.at(2)
    assert entry is not None
    assert entry.credential_id == first.credential_id, "who had pushed it is still known"


def test_many_packets_are_put_in_some_at_a_time(
    server: Server, desk: HistoryDesk, reader: LogReader
) -> None:
    """Bounded requests: a file of 1,200 lines takes three, and is one line of history."""
    server.push(packet(at=LATER, aP_1=1.0))
    bodies = [
        (json.dumps(packet(at=f"2026-02-{1 + n // 48:02}T{n // 2 % 24:02}:{n % 2 * 30:02}:00Z",
                           aP_1=float(n))).encode(), Form.LOCAL)
        for n in range(1200)
    ]  # fmt: skip
    done = desk.put_in(series_of(server), bodies, "ann@example.com", "first year")
    assert (done.backfilled, done.accepted) == (1200, 0)
    (run,) = reader.backfills(series_of(server))
    assert (run.packets, run.source, run.credential_id) == (1200, "import", 0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"aP_1": "1"}, "not_a_number"),
        ({"value": 1.0}, "kind_mismatch"),
        ({"id": "another", "aP_1": 1.0}, "stream_unknown"),
    ],
)
def test_what_a_person_brings_is_validated_as_a_push_is(
    server: Server, desk: HistoryDesk, reader: LogReader, body: dict[str, Any], code: str
) -> None:
    """The number of the packet that is wrong is told, and nothing of its request is stored."""
    server.push(packet(at=LATER, aP_1=1.0))
    good = json.dumps(packet(at=EARLIER, aP_1=1.0)).encode()
    bad = json.dumps({"id": "oven", "tsISO8601": EARLIER} | body).encode()
    with pytest.raises(KilowatchError) as refusal:
        desk.put_in(series_of(server), [(good, Form.LOCAL), (bad, Form.LOCAL)], "ann")
    assert (refusal.value.code, refusal.value.data["number"]) == (code, 1)
    assert reader.last_seq() == 1


def test_a_request_that_is_too_large_or_unreadable_is_refused(
    server: Server, desk: HistoryDesk
) -> None:
    """The collector's memory is bounded whoever asks."""
    series = series_of(server)
    for asked, code in (
        ({"series": series, "packets": [{"body": "{}"}] * 1001}, "too_many_packets"),
        ({"series": series, "packets": [{"body": "x" * (5 << 20)}]}, "body_too_large"),
        ({"series": "oven"}, "bad_request"),
        ({"series": 10**6, "packets": []}, "stream_unknown"),
    ):
        with pytest.raises(KilowatchError) as refusal:
            desk._ask("/history/packets", asked)
        assert refusal.value.code == code
        if code == "body_too_large":  # its own limit, not that of a packet
            assert f"({BYTES_MAX / 1024:g} KiB)" in refusal.value.detail


def test_a_collector_that_is_away_is_named(tmp_path: Any) -> None:
    """The page says so, and the packets are still kept."""
    with pytest.raises(KilowatchError) as refusal:
        HistoryDesk(tmp_path / "none.sock").dismiss(1, None)
    assert refusal.value.code == "not_running"
