"""Whatever the bytes and however they are cut: right answers, in order, or none."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.config import Config

from kilowatch.collector import pages
from kilowatch.collector.protocol import PushProtocol
from tests.collector.harness import PATH, Server, packet, request

RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Za-z '-]+\r\n((?:[a-z-]+: [^\r\n]+\r\n)+)\r\n")


def statuses(written: bytes, *, heads: bool = False) -> list[int]:
    """Return the statuses of a run of answers, which must be nothing but whole answers.

    A HEAD's answer has a length and no body; ``heads`` says that there may be some.
    """
    found = []
    while written:
        match = ANSWER.match(written)
        assert match, written[:300]
        found.append(int(match[1]))
        length = re.search(rb"content-length: (\d+)", match[2])
        body = int(length[1]) if length else 0
        written = written[match.end() :]
        if not (heads and written.startswith(b"HTTP/1.1 ")):
            assert len(written) >= body or (heads and not written)
            written = written[body:]
    return found


class FakeTransport:
    """Keeps what is written; the protocol can't tell it from a socket."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False
        self.reading = True

    def get_extra_info(self, name: str) -> Any:
        """Answer as a TCP connection from this machine would."""
        return ("127.0.0.1", 4) if name in ("peername", "sockname") else None

    def write(self, data: bytes) -> None:
        """Take an answer; after the end there is none."""
        assert not self.closing
        assert data
        self.written += data

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return self.closing

    def close(self) -> None:
        """End."""
        self.closing = True

    abort = close

    def can_write_eof(self) -> bool:
        """As TCP."""
        return True

    def write_eof(self) -> None:
        """Half an end; the test does not look further."""

    def pause_reading(self) -> None:
        """Back-pressure."""
        self.reading = False

    def resume_reading(self) -> None:
        """Go on."""
        self.reading = True


def kinds(server: Server, number: int) -> list[tuple[bytes, str]]:
    """Return one request of each kind with what its answer must be."""
    headers = {"Authorization": server.authorization("partner")}
    at = f"2024-06-{1 + number // 1440 % 28:02}T{number // 60 % 24:02}:{number % 60:02}:00Z"
    body = json.dumps(packet("load-9", at)).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return [
        (request("POST", PATH, body, headers), "accepted|duplicate|discarded"),
        (request("POST", PATH, chunks, {**headers, "Transfer-Encoding": "chunked"}),
         "accepted|duplicate|discarded"),
        (request("POST", PATH, b"[]", headers), "not_one_packet"),
        (request("POST", PATH, body), "credentials_missing"),
        (request("GET", f"{PATH}?stream=quiet", headers=headers), "no_data_yet"),
        (request("GET", "/nowhere"), "path_unknown"),
        (request("DELETE", PATH), "method_not_allowed"),
    ]  # fmt: skip


@given(data=st.data())
@RELAXED
def test_any_sequence_in_any_pieces_is_answered_in_order(shared: Server, data: Any) -> None:
    """Pipelined, split, recognised or parsed: the same requests get the same answers."""
    number = data.draw(st.integers(0, 40_000))
    chosen = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=12))
    sent = [kinds(shared, number + place)[kind] for place, kind in enumerate(chosen)]
    stream = b"".join(bytes_ for bytes_, _ in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    with shared.connect() as wire:
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            wire.send(stream[begin:end])
        for bytes_, wanted in sent:
            reply = wire.reply(bytes_.split()[0].decode())
            said = reply.json.get("code") or reply.json["status"]
            assert said in wanted.split("|"), (said, wanted)


@pytest.fixture
def fed(shared: Server) -> Callable[[list[bytes]], FakeTransport]:
    """Return a function that gives bytes to a connection without a network."""
    config = Config(pages.application, lifespan="off", log_config=None)
    config.load()

    def feed(pieces: list[bytes]) -> FakeTransport:
        async def go() -> FakeTransport:
            reception = shared.collector.reception
            protocol = PushProtocol(
                config, shared.collector._state, {}, shared.loop, reception=reception
            )
            transport = FakeTransport()
            protocol.connection_made(transport)  # type: ignore[arg-type]
            for piece in pieces:
                if transport.closing:
                    break
                protocol.data_received(piece)
            ends = shared.loop.time() + 5
            while protocol.pending and not transport.closing:
                assert shared.loop.time() < ends
                await asyncio.sleep(0.002)
            protocol.connection_lost(None)
            return transport

        return asyncio.run_coroutine_threadsafe(go(), shared.loop).result(20)

    return feed


@given(noise=st.lists(st.binary(max_size=200), max_size=6))
@RELAXED
def test_noise_is_refused_once_and_breaks_nothing(fed: Any, noise: list[bytes]) -> None:
    """Random bytes get at most one answer, a 4xx, and the connection ends with it."""
    transport = fed(noise)
    found = statuses(transport.written)
    assert len(found) <= 1
    assert all(400 <= status < 500 for status in found), transport.written


@given(seed=st.integers(0, 2**32), flips=st.integers(1, 6))
@RELAXED
def test_a_damaged_request_never_becomes_a_fault_of_ours(
    shared: Server, fed: Any, seed: int, flips: int
) -> None:
    """Bytes changed, lost or doubled in a good stream: no 500, no answer that is not one."""
    rng = random.Random(seed)
    stream = bytearray(
        b"".join(rng.choice(kinds(shared, rng.randrange(40_000)))[0] for _ in range(4))
    )
    for _ in range(flips):
        place = rng.randrange(len(stream))
        damage = rng.randrange(3)
        if damage == 0:
            stream[place] = rng.randrange(256)
        elif damage == 1:
            del stream[place : place + rng.randrange(1, 9)]
        else:
            stream[place:place] = stream[place : place + rng.randrange(1, 9)]
    whole = bytes(stream)
    cut = rng.randrange(len(whole))
    transport = fed([whole[:cut], whole[cut:]])
    found = statuses(transport.written, heads=True)
    assert len(found) <= 6
    assert not {500, 503} & set(found), transport.written
