"""The dead man's ping, with a real receiver on this machine: an alarm when we fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx

from kilowatch.health import Check, Facts, Report
from kilowatch.health.deadman import DeadMan, DeadManSettings

FACTS = Facts({}, {}, maintenance=False, now_ms=0)
WELL = Report((Check("log", "ok", "Packets are durable."),), FACTS)
BROKEN = Report((Check("log", "failing", "The log can't be written."),), FACTS)


@dataclass
class Monitor:
    """An outside monitor: what it was asked for, and how it answers."""

    port: int = 0
    status: int = 200
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, or keep it waiting."""
        self.asked.append((await reader.readline()).decode().strip())
        if self.silent:
            await reader.read()
        writer.write(f"HTTP/1.1 {self.status} X\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()

    def url(self, path: str) -> str:
        """Return an address of the monitor."""
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def monitor() -> AsyncIterator[Monitor]:
    """Run a monitor on a free port."""
    made = Monitor()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def telling(report: Report) -> Callable[[], Awaitable[Report]]:
    """Return what looks and finds this."""

    async def look() -> Report:
        return report

    return look


async def turns(settings: DeadManSettings, *reports: Report) -> DeadMan:
    """Let so many turns pass."""
    waiting = list(reports)

    async def look() -> Report:
        return waiting.pop(0)

    deadman = DeadMan(settings, look, clock=lambda: 1_000.0)
    async with httpx.AsyncClient(timeout=settings.timeout_s, trust_env=False) as client:
        for _ in reports:
            await deadman.turn(client)
    return deadman


def test_it_pings_while_all_is_well_and_keeps_silent_while_it_is_not() -> None:
    """The monitor hears nothing exactly while packets would be lost: so it raises the alarm."""

    async def story() -> None:
        async with monitor() as there:
            settings = DeadManSettings(there.url("/ping/secret"))
            deadman = await turns(settings, WELL, BROKEN, BROKEN, WELL)
            assert there.asked == ["GET /ping/secret HTTP/1.1"] * 2
            told = deadman.told()
            assert (told["sent"], told["withheld"], told["failed"]) == (2, 2, 0)
            assert told["last_ms"] == 1_000_000
            assert "secret" not in str(told)

    asyncio.run(story())


def test_a_monitor_that_takes_bad_news_is_told_at_once() -> None:
    """Where there is an address for failure, nobody has to wait for the silence to be noticed."""

    async def story() -> None:
        async with monitor() as there:
            settings = DeadManSettings(there.url("/ping"), fail_url=there.url("/ping/fail"))
            await turns(settings, WELL, BROKEN)
            assert there.asked == ["GET /ping HTTP/1.1", "GET /ping/fail HTTP/1.1"]

    asyncio.run(story())


def test_a_start_is_no_alarm_unless_it_takes_too_long() -> None:
    """Each update would wake somebody; a start that never ends has to."""

    async def story() -> None:
        async with monitor() as there:
            now_s = 1_000.0
            settings = DeadManSettings(there.url("/ping"), fail_url=there.url("/ping/fail"))
            deadman = DeadMan(settings, telling(BROKEN), clock=lambda: now_s)
            async with httpx.AsyncClient(trust_env=False) as client:
                await deadman.turn(client)
                now_s += settings.patience_s - 1
                await deadman.turn(client)
                assert there.asked == []
                now_s += 1
                await deadman.turn(client)
            assert there.asked == ["GET /ping/fail HTTP/1.1"]
            assert deadman.told()["withheld"] == 1

    asyncio.run(story())


def test_a_monitor_that_is_away_or_refuses_is_a_fault_that_is_shown_and_forgotten() -> None:
    """The operator learns that the safety net has a hole; the platform goes on."""

    async def story() -> None:
        async with monitor() as there:
            settings = DeadManSettings(there.url("/ping"), timeout_s=0.2)
            there.status = 500
            deadman = await turns(settings, WELL)
            assert deadman.told()["fault"] == "it answered 500"
            there.silent = True
            deadman = await turns(settings, WELL)
            assert deadman.told()["fault"] == "it does not answer in time"
            there.silent, there.status = False, 200
            assert (await turns(settings, WELL)).told()["fault"] == ""
        gone = await turns(settings, WELL)
        assert gone.told()["failed"] == 1
        assert gone.told()["last_ms"] is None

    asyncio.run(story())


def test_it_goes_on_by_itself_whatever_a_turn_does() -> None:
    """A look that fails with a fault of ours must not end the pings for good."""

    async def story() -> None:
        async with monitor() as there:
            looks = 0

            async def look() -> Report:
                nonlocal looks
                looks += 1
                if looks == 2:
                    raise RuntimeError("a fault of ours")
                return WELL

            settings = replace(DeadManSettings(there.url("/ping")), interval_s=0.01)
            task = asyncio.create_task(DeadMan(settings, look).run())
            async with asyncio.timeout(10):
                while len(there.asked) < 3:  # noqa: ASYNC110 - the monitor tells nobody
                    await asyncio.sleep(0.01)
            task.cancel()
            assert looks >= 4

    asyncio.run(story())
