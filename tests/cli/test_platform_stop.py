"""A platform that is asked to stop begins with what would take long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from kilowatch.cli import platform_process


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
