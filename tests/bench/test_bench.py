from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilowatch import catalog
from kilowatch.bench import Load, load, prepare, reconcile
from kilowatch.bench.figures import percentile_ms
from kilowatch.bench.generator import EDGES_MS, Generator, Job
from kilowatch.bench.packets import Requests
from kilowatch.bench.streams import next_times
from kilowatch.catalog import directory, secrets
from kilowatch.client import Pusher, Target
from kilowatch.model.errors import KilowatchError

ROOT = Path(__file__).parents[2]
START_S = 1_790_000_000


def _fake_server_class() -> Any:
    path = ROOT / "tests" / "client" / "conftest.py"
    spec = importlib.util.spec_from_file_location("fake_push_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FakeServer


@pytest.fixture
def start() -> Iterator[Any]:
    """Return a function that runs a push server in a thread, with faults on request."""
    stops: list[Any] = []

    def begin(fault: Any = None) -> Any:
        server, ready = _fake_server_class()(fault), threading.Event()

        async def serve() -> None:
            stop = asyncio.Event()
            stops.append((asyncio.get_running_loop(), stop, threading.current_thread()))
            async with server.running():
                ready.set()
                await stop.wait()

        threading.Thread(target=lambda: asyncio.run(serve())).start()
        assert ready.wait(10)
        return server

    yield begin
    for loop, stop, thread in stops:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def _run(server: Any, *, mode: Any = "keep-alive", streams: int = 6, seconds: float = 0.4) -> Any:
    target = Target.parse(server.url, "u", "p")
    names = [(f"s{n}", START_S) for n in range(streams)]
    wanted = Load(mode=mode, connections=4, seconds=seconds, packets_max=5_000)
    return asyncio.run(load(target, names, wanted))


def _stored(server: Any) -> dict[str, int]:
    return {name: len(rows) for name, rows in server.stored.items()}


@pytest.mark.parametrize("mode", ["keep-alive", "new"])
def test_what_counts_as_acknowledged_is_what_the_server_has(start: Any, mode: str) -> None:
    """The bench's count is exact: no packet more, no packet less, and each stream in order."""
    server = start()
    figures = _run(server, mode=mode)
    assert figures.acknowledged > 50
    assert {name: n for name, n in figures.accepted.items() if n} == _stored(server)
    assert not server.discarded
    assert figures.done == figures.acknowledged + figures.other.total()
    assert 0 < figures.p50_ms <= figures.p99_ms


def test_a_new_connection_for_each_packet_really_is_one(start: Any) -> None:
    """As one client in use does: connect, be refused once, push, close."""
    challenges = 0

    def fault(number: int, _method: str) -> str:
        nonlocal challenges
        challenges += number % 2
        return "401" if number % 2 else ""

    server = start(fault)
    target = Target.parse(server.url, "u", "p")
    wanted = Load(mode="new", connections=1, seconds=0.3)
    figures = asyncio.run(load(target, [("s", START_S)], wanted))
    assert figures.acknowledged > 5
    assert server.connections == figures.acknowledged == challenges
    assert not figures.other


def test_packets_without_an_answer_are_neither_acknowledged_nor_forgotten(start: Any) -> None:
    """A cut connection leaves one packet in doubt; the comparison allows for it."""
    dice = np.random.default_rng(1)
    server = start(lambda _n, _m: ["", "drop", "drop after commit", "503"][dice.choice(4, p=[
        0.9, 0.03, 0.03, 0.04])])  # fmt: skip
    figures = _run(server)
    compared = reconcile(figures.accepted, {}, _stored(server))
    assert compared.lost == {}
    assert sum(figures.unanswered.values()) >= sum(compared.surplus.values()) > 0
    assert figures.other["503 fault_503"] > 0


def test_the_comparison_finds_every_lost_packet_and_its_stream() -> None:
    """One packet that was acknowledged and is not there is a failed bench."""
    compared = reconcile({"a": 10, "b": 5, "c": 0}, {"a": 100, "b": 1}, {"a": 110, "b": 5, "c": 2})
    assert (compared.acknowledged, compared.stored) == (15, 16)
    assert compared.lost == {"b": 1}
    assert compared.surplus == {"c": 2}


def test_packets_follow_each_other_by_a_second_over_midnight() -> None:
    """Prepared requests differ from each other in nothing but the time."""
    requests = Requests("s", 1_795_046_395, b"POST / HTTP/1.1\r\n")  # 23:59:55
    sent = [requests.next() for _ in range(10)]
    stamps = [json.loads(r.split(b"\r\n\r\n")[1])["tsISO8601"] for r in sent]
    times = [datetime.fromisoformat(stamp).timestamp() for stamp in stamps]
    assert times[0] == 1_795_046_395
    assert [b - a for a, b in pairwise(times)] == [1.0] * 9
    length = re.search(rb"Content-Length: (\d+)", sent[0])
    assert length is not None
    assert all(len(r.split(b"\r\n\r\n")[1]) == int(length[1]) for r in sent)


def test_percentiles_are_right_to_a_percent() -> None:
    """Latencies are kept in classes one percent apart, so that millions fit in a page."""
    values_ms = np.random.default_rng(2).lognormal(1.0, 0.8, 50_000)
    classes = np.bincount(np.searchsorted(EDGES_MS, values_ms), minlength=len(EDGES_MS) + 1)
    for share in (0.5, 0.99):
        assert percentile_ms(classes, share) == pytest.approx(
            np.quantile(values_ms, share), rel=0.012
        )


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Load(connections=20_000), "too_much"),
        (Load(seconds=3_600), "too_much"),
        (Load(connections=5), "too_few_streams"),
    ],
)
def test_a_bench_is_bounded(wanted: Load, code: str) -> None:
    """Nobody loads a machine for an hour by a typing error."""
    target = Target.parse("http://localhost:1", "u", "p")
    with pytest.raises(KilowatchError) as refused:
        asyncio.run(load(target, [("s", 0)], wanted))
    assert refused.value.code == code


def test_a_bench_never_loads_another_machine() -> None:
    """The load generator is no weapon: it refuses every address but this machine's own."""
    target = Target.parse("https://192.0.2.1", "u", "p")
    with pytest.raises(KilowatchError, match="not this machine"):
        asyncio.run(load(target, [("s", 0)], Load(connections=1)))


def test_a_run_ends_after_its_packets_however_long_it_may_take(start: Any) -> None:
    """Bounded in count as well as in time."""
    server = start()
    job = Job("127.0.0.1", server.port, "keep-alive", "POST /p HTTP/1.1\r\n", "",
              [[("s", START_S)]], 30.0, 50)  # fmt: skip
    result = Generator(job).run()
    assert 50 <= sum(result["accepted"].values()) <= 51
    assert result["seconds"] < 10


def test_streams_of_the_bench_are_registered_apart_and_once(tmp_path: Path) -> None:
    """A bench fills no stream that a building uses, and can be run again."""
    opened = catalog.open(tmp_path / "catalog.sqlite")
    key = secrets.load_or_create_key(tmp_path)
    first = prepare(opened, key, 3)
    again = prepare(opened, key, 5)
    points = directory.load(opened, "development").points.values()
    assert sorted(point.stream_id for point in points) == sorted(again.streams)
    assert first.streams == again.streams[:3]
    mine = prepare(opened, key, 6, first.username)
    assert (mine.username, mine.password) == (first.username, None)
    assert len(directory.load(opened, "development").points) == 6
    with pytest.raises(KilowatchError, match="partner credential"):
        prepare(opened, key, 1, "nobody")


def test_a_second_bench_goes_on_after_the_first(start: Any) -> None:
    """Packets of a second run come after those of the first, or they would be discarded."""
    server = start()
    now_s = int(time.time())
    target = Target.parse(server.url, "u", "p")
    figures = asyncio.run(load(target, [("s", now_s - 86_400)], Load(connections=1, seconds=0.3)))

    async def ask() -> list[tuple[str, int]]:
        async with Pusher(target) as pusher:
            return await next_times(pusher, ["s", "new"])

    (_, s), (_, new) = asyncio.run(ask())
    assert s == now_s - 86_400 + figures.accepted["s"]
    assert abs(new - (now_s - 30 * 86_400)) < 60
