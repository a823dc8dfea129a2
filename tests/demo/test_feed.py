from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from kilowatch.demo import Progress, run
from kilowatch.demo.plan import STREAMS

STARTED = datetime(2026, 11, 20, 10, 30, 30, tzinfo=UTC).timestamp()
NAMES = [stream.stream_id for stream in STREAMS]


class Clock:
    """A clock that a test turns on by hand; it also runs."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """Return the time [s since 1970]."""
        return STARTED + self.ahead_s + asyncio.get_running_loop().time() - self.zero

    def start(self) -> None:
        """Begin to run at STARTED."""
        self.zero = asyncio.get_running_loop().time()


async def _run_until(server: Any, clock: Clock, enough: Any) -> list[Progress]:
    told: list[Progress] = []
    troubles: list[Any] = []
    stop = asyncio.Event()
    work = asyncio.create_task(
        run(server.url, "u", "p", NAMES, stop, started_ms=round(STARTED * 1000), now=clock,
            history_days=2, on_progress=told.append, on_trouble=lambda *what: troubles.append(what))
    )  # fmt: skip
    async with asyncio.timeout(60):
        while not enough(told):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    stop.set()
    await work
    assert all(pause_s > 0 for _, _, pause_s in troubles)  # 0: not stored
    return told


def _all_live(told: list[Progress]) -> bool:
    return {p.stream_id for p in told if p.live} == set(NAMES)


def _instants(server: Any, stream_id: str) -> list[float]:
    stored = server.stored[stream_id]
    return [datetime.fromisoformat(p["tsISO8601"]).timestamp() for p in stored]


def test_history_comes_first_then_live_and_a_second_run_goes_on(fake_server: Any) -> None:
    """Nothing is pushed twice, nothing out of order, and no hole is left between two runs."""

    async def go() -> None:
        clock = Clock()
        clock.start()
        async with fake_server().running() as server:
            told = await _run_until(server, clock, _all_live)
            assert told[-1].live
            first = {name: list(server.stored[name]) for name in NAMES}
            clock.ahead_s = 3 * 3600.0  # the machine was off for three hours
            await _run_until(server, clock, _all_live)
            assert not server.discarded
            assert server.outcomes["duplicate"] == 0
            for stream in STREAMS:
                stored = server.stored[stream.stream_id]
                assert stored[: len(first[stream.stream_id])] == first[stream.stream_id]
                if "outage" not in stream.stream_id:
                    steps = {round(b - a) for a, b in pairwise(_instants(server, stream.stream_id))}
                    assert max(steps) <= stream.interval_s
                    assert stream.interval_s in steps

    asyncio.run(go())


def test_the_offices_main_meter_is_complete_before_the_others_begin(fake_server: Any) -> None:
    """A newcomer sees a first chart while the rest is still on its way."""

    async def go() -> None:
        clock = Clock()
        clock.start()
        order: list[str] = []
        async with fake_server().running() as server:
            gate = server._gate

            def watch(packet: dict[str, Any], _path: str) -> dict[str, str]:
                order.append(packet["id"])
                answer: dict[str, str] = gate(packet)
                return answer

            server._gate = watch
            await _run_until(server, clock, _all_live)
        assert order[:193] == ["office-electricity"] * 193  # two days and this morning, 15 min
        assert set(order) == set(NAMES)

    asyncio.run(go())


def test_live_packets_come_every_ten_seconds(fake_server: Any) -> None:
    """After the history the main meters report as often as a good meter does."""

    async def go() -> None:
        clock = Clock()
        clock.start()
        async with fake_server().running() as server:

            def enough(told: list[Progress]) -> bool:
                if _all_live(told):
                    clock.ahead_s += 0.3  # let time fly
                return any(at > STARTED + 60 for at in _instants(server, "office-electricity"))

            await _run_until(server, clock, enough)
            live = [at for at in _instants(server, "office-electricity") if at > STARTED + 10]
            assert len(live) >= 4
            assert {round(b - a) for a, b in pairwise(live)} == {10}

    asyncio.run(go())


def test_a_server_that_breaks_off_costs_the_demo_nothing(fake_server: Any) -> None:
    """The simulator survives restarts of the platform like any good gateway."""
    dice = random.Random(4)

    async def go() -> None:
        clock = Clock()
        clock.start()
        server = fake_server(
            lambda _n, _m: (
                "" if dice.random() > 0.002 else dice.choice(["drop after commit", "drop"])
            )
        )
        async with server.running():
            await _run_until(server, clock, _all_live)
        for stream in STREAMS:
            steps = {round(b - a) for a, b in pairwise(_instants(server, stream.stream_id))}
            assert steps
            assert min(steps) > 0
            assert len(_instants(server, stream.stream_id)) > 2 * 86_400 / stream.interval_s * 0.99

    asyncio.run(go())
