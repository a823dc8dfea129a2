"""The push server is a whole HTTP/1.1 server: raw bytes in, one right answer out."""

import json
import socket
import threading
import time

import pytest

from kilowatch.collector.exchange import Exchange
from kilowatch.collector.protocol import PushProtocol
from tests.collector.harness import PATH, Server, answers, packet, request


def push(server: Server, stream: str, at: str = "2024-06-01T12:00:00Z", **headers: str) -> bytes:
    """Return the bytes of one push."""
    body = json.dumps(packet(stream, at)).encode()
    return request(
        "POST", PATH, body, {"Authorization": server.authorization("partner"), **headers}
    )


def test_a_request_is_the_same_wherever_the_network_splits_it(shared: Server) -> None:
    """Split at every byte boundary: the packet arrives, once."""
    with shared.connect() as wire:
        for cut in range(1, len(push(shared, "load-0", "2024-06-01T00:00:00Z"))):
            at = f"2024-06-01T{cut // 60:02}:{cut % 60:02}:00Z"
            data = push(shared, "load-0", at)
            wire.send(data[:cut])
            if cut % 40 == 0:
                time.sleep(0.002)
            assert wire.ask(data[cut:]).json == {"status": "accepted"}, cut


def test_a_request_may_come_byte_by_byte(shared: Server) -> None:
    """A modem that sends single bytes is slow, not wrong."""
    with shared.connect() as wire:
        for byte in push(shared, "load-1"):
            wire.send(bytes([byte]))
        assert wire.reply().json == {"status": "accepted"}


def test_fifty_mixed_requests_in_one_write_are_answered_in_order(shared: Server) -> None:
    """Answers wait for commits, look-ups and pages, and still leave in the order asked."""
    headers = {"Authorization": shared.authorization("partner")}
    sent, expected = [], []
    for number in range(10):
        at = f"2024-06-01T12:{number:02}:00Z"
        sent += [
            push(shared, "load-2", at),
            push(shared, "load-2", at),
            request("GET", f"{PATH}?stream=load-2", headers=headers),
            request("GET", "/", headers=headers),
            push(shared, f"missing-{number}"),
        ]
        expected += [
            {"status": "accepted"},
            {"status": "duplicate"},
            packet("load-2", at),
            b"<!doctype html>",
            f"missing-{number}",
        ]
    with shared.connect() as wire:
        wire.send(b"".join(sent))
        for number, (data, wanted) in enumerate(zip(sent, expected, strict=True)):
            reply = wire.reply(data.split()[0].decode())
            if isinstance(wanted, bytes):
                assert reply.body.startswith(wanted), number
            elif isinstance(wanted, str):
                assert reply.json["stream_id"] == wanted, number
            else:
                assert reply.json == wanted, number


@answers("pipelining")
def test_a_flood_of_pipelined_requests_is_read_only_as_it_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand packets in one write: all answered in order, and few held at a time."""
    enqueue, waiting = PushProtocol.enqueue, [0]

    def counting(self: PushProtocol, exchange: Exchange) -> None:
        enqueue(self, exchange)
        waiting.append(len(self.answering) + len(self.arrived))

    monkeypatch.setattr(PushProtocol, "enqueue", counting)
    count = 2_000
    data = b"".join(
        push(server, "oven", f"2024-06-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z")
        for n in range(count)
    )
    with server.connect(timeout=60) as wire:
        threading.Thread(target=wire.send, args=(data,)).start()
        for _ in range(count):
            assert wire.reply().json == {"status": "accepted"}
    slice_requests = server.settings.feed_bytes_max // 200
    assert 1 < max(waiting) <= server.settings.pipelined_max + slice_requests


@answers("chunked bodies")
def test_a_chunked_body_is_put_together(shared: Server) -> None:
    """With extensions and trailers, in chunks of one byte or many."""
    headers = {
        "Authorization": shared.authorization("partner"),
        "Transfer-Encoding": "chunked",
    }
    body = json.dumps(packet("load-3")).encode()
    for size in (1, 7, 1000):
        chunks = b"".join(
            b"%x;ext=1\r\n%s\r\n" % (len(body[i : i + size]), body[i : i + size])
            for i in range(0, len(body), size)
        )
        data = request("POST", PATH, chunks + b"0\r\nTrailer: x\r\nHost: y\r\n\r\n", headers)
        with shared.connect() as wire:
            assert wire.ask(data).status == 200
            assert wire.ask(data).json == {"status": "duplicate"}


@answers("`Expect: 100-continue`")
def test_a_client_that_asks_before_it_sends_is_told_to(shared: Server) -> None:
    """Curl asks so for larger bodies; so does .NET, always."""
    data = push(shared, "load-4", Expect="100-continue")
    head, body = data.split(b"\r\n\r\n")
    with shared.connect() as wire:
        assert wire.ask(head + b"\r\n\r\n").status == 100
        assert wire.ask(body).json == {"status": "accepted"}
        assert wire.ask(push(shared, "load-4", "2024-06-01T13:00Z")).status == 200


def test_100_continue_waits_for_the_answers_before_it(shared: Server) -> None:
    """An interim answer in the wrong place would be taken for another request's."""
    head, body = push(shared, "load-5", "2024-06-01T13:00Z", Expect="100-continue").split(
        b"\r\n\r\n"
    )
    with shared.connect() as wire:
        wire.send(push(shared, "load-5") + head + b"\r\n\r\n")
        assert wire.reply().json == {"status": "accepted"}
        assert wire.reply().status == 100
        assert wire.ask(body).json == {"status": "accepted"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", PATH, {}, 401),
        ("PUT", PATH, {}, 405),
        ("POST", PATH, {"Content-Length": "70000"}, 413),
    ],
)
def test_a_body_that_cannot_help_is_refused_before_it_is_sent(
    shared: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """On mobile data every byte costs: the refusal comes in place of 100 Continue."""
    sent = {"Content-Length": "100", "Expect": "100-continue", **headers}
    with shared.connect() as wire:
        reply = wire.ask(request(method, path, b"", sent))
        assert reply.status == status
        assert reply.headers["connection"] == "close"
        assert wire.closed()


def test_a_client_that_still_sends_gets_its_refusal_all_the_same(shared: Server) -> None:
    """Closing at once would reset the connection and take the 413 away from the client."""
    with shared.connect() as wire:
        wire.send(request("POST", PATH, b"", {"Content-Length": "1000000"}))
        wire.send(b"x" * 300_000)
        assert wire.reply().status == 413
        assert wire.closed()


def test_http_1_0_closes_unless_it_is_asked_to_stay(shared: Server) -> None:
    """Old loggers speak HTTP/1.0."""
    data = push(shared, "load-6").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with shared.connect() as wire:
        reply = wire.ask(data.replace(b"Host: localhost\r\n", b""))
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.closed()
    with shared.connect() as wire:
        kept = data.replace(b"\r\n", b"\r\nConnection: keep-alive\r\n", 1)
        for _ in range(3):
            reply = wire.ask(kept)
            assert (reply.status, reply.headers["connection"]) == (200, "keep-alive")


def test_connection_close_is_kept_and_what_follows_ignored(shared: Server) -> None:
    """The last request is the last one, whatever comes after it in the same write."""
    data = push(shared, "load-7", Connection="close")
    with shared.connect() as wire:
        wire.send(data + push(shared, "load-7", "2024-06-01T13:00Z"))
        reply = wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert wire.closed()
    assert shared.latest("load-7").json["tsISO8601"] == "2024-06-01T12:00:00Z"


def test_a_client_that_stops_sending_still_gets_its_answer(shared: Server) -> None:
    """`nc` and some embedded stacks close their half before they read."""
    with shared.connect() as wire:
        wire.send(push(shared, "load-8"))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.reply().json == {"status": "accepted"}
        assert wire.closed()


MALFORMED = {
    "not HTTP": b"hello\r\n\r\n",
    "binary": b"\x16\x03\x01\x02\x00\x01\x00",
    "bare line feeds": b"POST %s HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}",
    "one bare line feed": b"POST %s HTTP/1.1\r\nHost: x\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n",
    "list of lengths": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\n{}",
    "signed length": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
    "length and chunks": b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "unknown coding": b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "two codings": b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "coding in 1.0": b"POST %s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk with bare line feed": b"POST %s HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "folded header": b"POST %s HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "space before colon": b"POST %s HTTP/1.1\r\nHost : x\r\n\r\n",
    "nul in header": b"POST %s HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "no host": b"POST %s HTTP/1.1\r\n\r\n",
    "two hosts": b"POST %s HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two authorizations": b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n"
    b"Authorization: Basic YTpj\r\nContent-Length: 0\r\n\r\n",
    "HTTP/0.9": b"GET %s\r\n\r\n",
    "HTTP/2": b"GET %s HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "proxy request": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "raw bytes in the address": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
}


@answers(
    "`Content-Length` beside `Transfer-Encoding`, bare line feeds, "
    "and whatever else two servers could read differently"
)
@pytest.mark.parametrize("name", list(MALFORMED))
def test_what_two_servers_could_read_differently_is_refused_and_closed(
    shared: Server, name: str
) -> None:
    """A smuggled request would be answered with somebody else's authority."""
    data = MALFORMED[name].replace(b"%s", PATH.encode())
    with shared.connect() as wire:
        wire.send(data + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = wire.reply()
        assert (reply.status, reply.code) == (400, "malformed_request"), reply
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.headers["connection"] == "close"
        assert wire.closed()


def test_a_malformed_request_waits_for_the_answers_before_it(shared: Server) -> None:
    """What was asked well before is answered well."""
    with shared.connect() as wire:
        wire.send(push(shared, "load-9") + b"nonsense\r\n\r\n")
        assert wire.reply().json == {"status": "accepted"}
        assert wire.reply().status == 400
        assert wire.closed()


def test_an_unknown_method_is_told_which_ones_work(shared: Server) -> None:
    """A well-formed request line with a method that nobody knows is a 405, not noise."""
    with shared.connect() as wire:
        reply = wire.ask(b"FROB %s HTTP/1.1\r\nHost: x\r\n\r\n" % PATH.encode())
        assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("rest", [b"", b"{"])
def test_an_upgrade_is_ignored_and_the_body_read(shared: Server, rest: bytes) -> None:
    """Java's HTTP client asks every plain server for h2c, with a POST and its body."""
    data = push(
        shared,
        "load-10" if rest else "load-11",
        Connection="Upgrade, HTTP2-Settings",
        Upgrade="h2c",
    )
    with shared.connect() as wire:
        cut = data.index(b"\r\n\r\n") + 4 + len(rest)
        wire.send(data[:cut])
        assert wire.ask(data[cut:]).json == {"status": "accepted"}
        assert wire.ask(data).json == {"status": "duplicate"}
    with shared.connect() as wire:
        headers = {"Connection": "upgrade", "Upgrade": "websocket"}
        assert wire.ask(request("GET", "/", headers=headers), "GET").status == 200


def test_requests_of_one_connection_keep_their_order_while_one_waits(shared: Server) -> None:
    """A look-up of an unknown stream must not let the packets behind it overtake it."""
    with shared.connect() as wire:
        wire.send(push(shared, "unknown-stream") + push(shared, "load-14"))
        assert wire.reply().status == 404
        assert wire.reply().json == {"status": "accepted"}
