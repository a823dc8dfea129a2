from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilowatch.client import Answer, Backoff, Outcome, Pusher, PushStopped, Target, Trust, push
from kilowatch.client.answers import judge
from kilowatch.client.connection import Response
from kilowatch.model.errors import KilowatchError

QUICK = Backoff(first_s=0.0, longest_s=0.0, blocked_s=0.01)


def _packet(stream: str, number: int) -> bytes:
    at = f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00.000+00:00"
    return json.dumps({"id": stream, "tsISO8601": at, "value": number}).encode()


def _values(server: Any, stream: str) -> list[int]:
    return [stored["value"] for stored in server.stored[stream]]


def _target(server: Any) -> Target:
    return Target.parse(server.url, "u", "p")


def test_each_stream_arrives_complete_and_in_order_over_few_connections(fake_server: Any) -> None:
    """Thirty meters share four connections, and none of them gets its readings mixed up."""

    async def run() -> None:
        async with (
            fake_server().running() as server,
            Pusher(_target(server), connections=4) as pusher,
        ):
            async with asyncio.TaskGroup() as group:
                for s in range(30):
                    group.create_task(
                        pusher.push_all(f"s{s}", [_packet(f"s{s}", n) for n in range(40)])
                    )
            assert all(_values(server, f"s{s}") == list(range(40)) for s in range(30))
            assert server.connections <= 4

    asyncio.run(run())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), window=st.sampled_from([1, 1, 4, 16]))
def test_nothing_is_lost_or_reordered_when_connections_break(
    fake_server: Any, seed: int, window: int
) -> None:
    """A gateway on a bad line: whatever is cut, every reading is there once, in order."""
    dice = random.Random(seed)

    def fault(_number: int, _method: str) -> str:
        faults = ["", "drop", "drop after commit", "commit some, then drop", "close"]
        return dice.choices(faults, [80, 5, 5, 5, 5])[0]

    async def run() -> None:
        async with (
            fake_server(fault).running() as server,
            Pusher(_target(server), connections=2, backoff=QUICK) as pusher,
        ):
            tallies = await asyncio.gather(
                *(
                    pusher.push_all(s, [_packet(s, n) for n in range(60)], window=window)
                    for s in ("a", "b", "c")
                )
            )
            for stream, tally in zip("abc", tallies, strict=True):
                assert _values(server, stream) == list(range(60))
                assert sum(tally.counts.values()) == 60
                assert set(tally.counts) <= {"accepted", "duplicate"}
            assert not server.discarded

    asyncio.run(run())


@pytest.mark.parametrize("status", ["500", "502", "503", "429", "408"])
def test_a_server_in_trouble_is_asked_again_until_it_can(fake_server: Any, status: str) -> None:
    """Maintenance or overload at the platform costs time, not readings."""

    async def run() -> None:
        troubles = []
        server = fake_server(lambda number, _: status if number % 3 else "")
        async with server.running():
            pusher = Pusher(
                _target(server), backoff=QUICK, on_trouble=lambda *what: troubles.append(what)
            )
            tally = await pusher.push_all("a", [_packet("a", n) for n in range(9)])
            pusher.close()
        assert _values(server, "a") == list(range(9))
        assert tally.counts == {"accepted": 9}
        assert len(troubles) == 18

    asyncio.run(run())


def test_a_bad_packet_is_set_aside_and_the_next_ones_go_on(fake_server: Any) -> None:
    """One reading with a broken number must not hold up a meter for ever."""

    async def run() -> None:
        server = fake_server(lambda number, _: "400" if number == 3 else "")
        async with server.running(), Pusher(_target(server)) as pusher:
            tally = await pusher.push_all("a", [_packet("a", n) for n in range(5)])
        assert _values(server, "a") == [0, 1, 3, 4]
        assert tally.counts == {"accepted": 4, "refused": 1}
        assert tally.refused[0][0] == _packet("a", 2)
        assert tally.refused[0][1].code == "fault_400"

    asyncio.run(run())


@pytest.mark.parametrize("status", ["401", "403", "404", "301"])
def test_a_wrong_credential_or_stream_stops_and_skips_nothing(
    fake_server: Any, status: str
) -> None:
    """When a person has to mend something, the readings wait; they are not thrown away."""

    async def run() -> None:
        server = fake_server(lambda number, _: status if number < 3 else "")
        async with server.running():
            async with Pusher(_target(server), backoff=QUICK) as pusher:
                with pytest.raises(PushStopped) as stopped:
                    await pusher.push("a", _packet("a", 0))
                assert stopped.value.remedy
            async with Pusher(_target(server), backoff=QUICK, patient=True) as pusher:
                assert (await pusher.push("a", _packet("a", 0))).outcome is Outcome.ACCEPTED
        assert _values(server, "a") == [0]

    asyncio.run(run())


def test_the_pause_honours_retry_after_and_grows_with_jitter() -> None:
    """A server that asks for half a minute gets it, and a fleet does not come back at once."""
    backoff = Backoff(first_s=1.0, longest_s=8.0)
    later = Answer(Outcome.LATER, 503)
    asked = judge(Response(503, {b"retry-after": b"30"}, b""))
    assert [backoff.pause_s(n, later, 0.5) for n in (1, 2, 3, 4, 5, 99)] == [0.5, 1, 2, 4, 4, 4]
    assert backoff.pause_s(1, later, 0.0) == 0.0
    assert asked.retry_after_s == 30.0
    assert 30.0 <= backoff.pause_s(1, asked, 0.9) <= 31.0
    assert judge(Response(503, {b"retry-after": b"999999"}, b"")).retry_after_s == 3600.0
    dated = judge(Response(503, {b"retry-after": b"Wed, 21 Oct 2015 07:28:00 GMT"}, b""))
    assert dated.retry_after_s == 0.0
    assert judge(Response(503, {b"retry-after": b"soon"}, b"")).retry_after_s is None


def test_a_silent_server_is_given_up_and_asked_again(fake_server: Any) -> None:
    """A connection that hangs is noticed, and the reading is pushed over a new one."""

    async def run() -> None:
        server = fake_server()
        hung = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not hung.is_set():
                hung.set()
                await reader.read()
                writer.close()
            else:
                await server._serve(reader, writer)

        listener = await asyncio.start_server(hang, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        async with Pusher(_target(server), timeout_s=0.2, backoff=QUICK) as pusher:
            answer = await pusher.push("a", _packet("a", 1))
        listener.close()
        assert answer.outcome is Outcome.ACCEPTED
        assert _values(server, "a") == [1]

    asyncio.run(run())


def test_the_latest_packet_of_a_stream_can_be_asked_for(fake_server: Any) -> None:
    """Whoever starts again can go on where the platform's knowledge ends."""

    async def run() -> None:
        async with fake_server().running() as server, Pusher(_target(server)) as pusher:
            assert await pusher.latest("a") is None
            await pusher.push("a", _packet("a", 7))
            latest = await pusher.latest("a")
            assert latest is not None
            assert json.loads(latest)["value"] == 7

    asyncio.run(run())


def test_a_script_pushes_with_one_call(fake_server: Any) -> None:
    """A person with a list of readings needs one line of Python."""

    async def run() -> None:
        async with fake_server().running() as server:
            packets = [json.loads(_packet(s, n)) for n in range(5) for s in ("a", "b")]
            tally = await asyncio.to_thread(push, server.url, "u", "p", packets)
        assert tally.counts == {"accepted": 10}
        assert _values(server, "a") == _values(server, "b") == list(range(5))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://h", "bad_address"),
        ("https://", "bad_address"),
        ("https://h:port", "bad_address"),
        ("https://u:secret@h", "secret_in_address"),
        ("http://gateway.example.org", "not_secure"),
    ],
)
def test_an_unsafe_or_unusable_address_is_refused_before_anything_is_sent(
    url: str, code: str
) -> None:
    """A password never leaves in clear text, and never stands in an address."""
    with pytest.raises(KilowatchError) as refused:
        Target.parse(url, "u", "p")
    assert refused.value.code == code
    assert "secret" not in str(refused.value) or code == "secret_in_address"


def test_any_form_of_the_address_leads_to_the_push_path() -> None:
    """People paste the server's address or the whole push address; both work."""
    for url in ("https://h:8443", "h:8443", "https://h:8443/measurements/v2/unifiedjson/"):
        parsed = Target.parse(url, "u", "p")
        assert (parsed.host, parsed.port, parsed.secure, parsed.prefix) == ("h", 8443, True, "")
    assert (
        Target.parse("https://h/energy/measurements/v2/unifiedjson", "u", "p").prefix == "/energy"
    )
    assert Target.parse("http://[::1]:8080", "u", "p").authority == "[::1]:8080"
    assert Target.parse("http://10.0.0.1", "u", "p", Trust(insecure=True)).port == 80
    assert (
        "p"
        not in repr(Target.parse("https://h", "u", "pq"))
        .replace("port", "")
        .replace("prefix", "")
        .split("username")[1]
        .split("trust")[0]
    )
