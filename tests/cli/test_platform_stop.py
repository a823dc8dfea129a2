"""A platform that is asked to stop begins with what would take long."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from kilowatch.cli import listeners, platform_process


@pytest.mark.parametrize("fails", [False, True])
def test_insights_are_asked_to_end_before_pages_are_waited_for(fails: bool) -> None:
    """An export uses all of its listener's grace: what insights are at has to end meanwhile."""
    told: list[str] = []
    hub = SimpleNamespace(close=lambda: told.append("streams"))
    app: Any = SimpleNamespace(state=SimpleNamespace(rooms=SimpleNamespace(hub=hub)))
    following: Any = SimpleNamespace(end=lambda: told.append("insights"))

    async def run() -> None:
        stop = asyncio.Event()
        failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(
            platform_process._begin_to_stop(app, following, stop, failure)
        )
        for _ in range(5):
            await asyncio.sleep(0)
        assert told == []
        if fails:
            failure.set_exception(OSError("no disk"))
        else:
            stop.set()
        await waiting
        assert stop.is_set()
        if fails:
            assert failure.exception()

    asyncio.run(run())
    assert told == ["streams", "insights"]


def test_a_download_that_is_cut_off_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The program stops in the middle of an export: no stack, and what to do about it."""
    monkeypatch.setattr(listeners, "GRACE_S", 0)
    begun = asyncio.Event()

    async def endless(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        begun.set()
        await asyncio.Event().wait()

    async def stopped_within() -> None:
        taken, stop = listeners.take_port("127.0.0.1", 0, "--port"), asyncio.Event()
        serving = asyncio.create_task(
            listeners.serve_all([(listeners.listener(endless), taken)], stop)
        )
        _, writer = await asyncio.open_connection(*taken.getsockname())
        writer.write(b"GET /export HTTP/1.1\r\nhost: here\r\n\r\n")
        await begun.wait()
        stop.set()
        await serving
        cut_off = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*cut_off, return_exceptions=True)
        writer.close()

    with capture_logs() as told:
        asyncio.run(stopped_within())
    (line,) = [one for one in told if one["event"] == "answers cut off"]
    assert (line["answers"], line["reason"]) == (1, "the program stops")
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
