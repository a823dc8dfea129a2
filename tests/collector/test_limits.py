"""Nobody can take more of the server than a request needs: size, time and number are bounded."""

import contextlib
import json
import socket
import time

import pytest

from tests.collector.conftest import StartServer
from tests.collector.harness import PATH, Server, answers, packet, request


def push(server: Server, stream: str, at: str = "2024-06-01T12:00:00Z", **headers: str) -> bytes:
    """Return the bytes of one push."""
    body = json.dumps(packet(stream, at)).encode()
    return request(
        "POST", PATH, body, {"Authorization": server.authorization("partner"), **headers}
    )


@answers("headers over 16 KiB or 100 fields", "431", "414")
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 8_100), 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * 17_000), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"X: y\r\n" * 101), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * 200_000, 431),
        (b"GET /" + b"a" * 200_000, 414),
    ],
)
def test_a_head_is_bounded(shared: Server, data: bytes, status: int) -> None:
    """Nobody fills our memory with headers, whole or endless."""
    with shared.connect() as wire:
        wire.send(data)
        assert wire.reply().status == status
        assert wire.closed()


def test_a_head_at_its_limits_is_served(shared: Server) -> None:
    """A single-sign-on cookie of 14 KiB is a nuisance, not an attack."""
    headers = {"Cookie": "a" * 14_000, **{f"X-{n}": "y" for n in range(90)}}
    assert shared.push(packet("load-12"), headers=headers).status == 200
    assert shared.push(packet("load-12"), path=f"{PATH}?{'a' * 7_900}").status == 200


@pytest.mark.parametrize("overhead", [b"2\r\n{}\r\n", b"1;" + b"e" * 300 + b"\r\n \r\n"])
def test_chunk_overhead_is_bounded(shared: Server, overhead: bytes) -> None:
    """Endless chunk extensions around a tiny body end at half a megabyte."""
    headers = {"Transfer-Encoding": "chunked", "Authorization": shared.authorization("partner")}
    with shared.connect() as wire:
        wire.send(request("POST", PATH, b"", headers))
        wire.send(overhead * (600_000 // len(overhead)))
        assert wire.reply().status == 413
        assert wire.closed()


def test_endless_trailers_are_bounded(shared: Server) -> None:
    """Headers after the body count as headers."""
    headers = {"Transfer-Encoding": "chunked", "Authorization": shared.authorization("partner")}
    with shared.connect() as wire:
        wire.send(request("POST", PATH, b"0\r\n" + b"T: x\r\n" * 200 + b"\r\n", headers))
        assert wire.reply().status == 431


@answers("a request that takes too long", "408")
@pytest.mark.parametrize(
    "sent", [b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: x\r\n"]
)
def test_a_slow_head_is_cut_off(start: StartServer, sent: bytes) -> None:
    """A slowloris that sends a header a second gets one answer and no socket."""
    server = start(head_timeout_s=0.5, body_timeout_s=0.5)
    with server.connect() as wire:
        wire.send(sent)
        begun = time.monotonic()
        reply = wire.reply()
        assert (reply.status, reply.code) == (408, "too_slow")
        assert wire.closed()
        assert 0.4 < time.monotonic() - begun < 6


def test_a_slow_body_is_cut_off_however_it_drips(start: StartServer) -> None:
    """The time counts from the head on: a byte now and then does not renew it."""
    server = start(body_timeout_s=1.0)
    with server.connect() as wire:
        wire.send(push(server, "oven")[:-50])
        wire.socket.settimeout(0.2)
        for _ in range(40):
            try:
                wire.send(b" ")
                if wire.socket.recv(12, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        wire.socket.settimeout(5)
        assert wire.reply().status == 408


def test_an_idle_connection_is_closed_without_a_word_after_its_time(start: StartServer) -> None:
    """A 408 on an idle connection would be taken for the answer to the next request."""
    server = start(idle_timeout_s=0.5)
    with server.connect() as fresh, server.connect() as used:
        assert used.ask(push(server, "oven")).status == 200
        assert fresh.closed()
        assert used.closed()


def test_a_client_that_reads_no_answers_is_not_read_any_more(start: StartServer) -> None:
    """Answers that nobody reads may not fill our memory."""
    server = start(write_timeout_s=1.0)
    headers = {"Authorization": server.authorization("partner")}
    server.push({**packet(), "x" * 60_000: None})
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", server.port))
        raw.settimeout(0.5)
        data = request("GET", f"{PATH}?stream=oven", headers=headers) * 5_000
        begun = time.monotonic()
        with contextlib.suppress(TimeoutError, ConnectionError):
            while time.monotonic() - begun < 20:
                raw.send(data)
        assert time.monotonic() - begun < 20
        time.sleep(3)
        assert server.collector.connections == 0


def test_too_many_connections_are_told_to_come_back(start: StartServer) -> None:
    """The bound is on connections, not on a crash."""
    server = start(connections_max=3)
    wires = [server.connect() for _ in range(3)]
    time.sleep(0.1)
    with server.connect() as one_more:
        reply = one_more.reply()
        assert (reply.status, reply.code) == (503, "overloaded")
        assert reply.headers["retry-after"]
    for wire in wires:
        assert wire.ask(push(server, "oven")).status == 200
        wire.__exit__()


def test_ten_thousand_bytes_of_noise_never_break_the_server(shared: Server) -> None:
    """After all of the above the server still takes packets."""
    with shared.connect() as wire:
        wire.send(bytes(range(256)) * 40)
        assert wire.reply().status == 400
    assert shared.push(packet("load-13")).status == 200
