from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from kilowatch.client import Backoff, Outbox, Pusher, Target, deliver
from kilowatch.model.errors import KilowatchError

QUICK = Backoff(first_s=0.0, longest_s=0.01, blocked_s=0.01)


def _packet(stream: str, number: int) -> bytes:
    at = f"2026-01-01T00:{number:02d}:00.000+00:00"
    return json.dumps({"id": stream, "tsISO8601": at, "value": number}).encode()


def test_packets_wait_on_disk_and_are_delivered_in_order_later(
    tmp_path: Path, fake_server: Any
) -> None:
    """A gateway that was switched off in the meantime delivers everything, in order."""
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path)
    for n in range(20):
        for stream in ("a", "b"):
            outbox.put(stream, _packet(stream, n))
    outbox.close()

    async def run() -> None:
        outbox = Outbox(path)
        server = fake_server(lambda number, _: "400" if number == 5 else "")
        stop = asyncio.Event()
        async with server.running():
            pusher = Pusher(Target.parse(server.url, "u", "p"), backoff=QUICK, patient=True)
            task = asyncio.create_task(deliver(outbox, pusher, stop))
            while outbox.waiting():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            outbox.put("a", _packet("a", 30))
            while outbox.waiting():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            stop.set()
            await task
            pusher.close()
        got = [p["value"] for s in ("a", "b") for p in server.stored[s]]
        assert len(got) == 40
        assert [p["value"] for p in server.stored["a"]][-1] == 30
        assert all(
            [p["value"] for p in server.stored[s]] == sorted(p["value"] for p in server.stored[s])
            for s in ("a", "b")
        )
        aside = outbox.set_aside()
        assert [(a.status, a.code) for a in aside] == [(400, "fault_400")]
        outbox.close()

    asyncio.run(run())


def test_a_packet_that_was_never_answered_stays_in_the_outbox(
    tmp_path: Path, fake_server: Any
) -> None:
    """Stopping in the middle loses nothing: what has no answer is pushed next time."""

    async def run() -> None:
        outbox = Outbox(tmp_path / "outbox.sqlite")
        outbox.put("a", _packet("a", 1))
        server = fake_server(lambda _number, _method: "drop")
        stop = asyncio.Event()
        async with server.running():
            pusher = Pusher(Target.parse(server.url, "u", "p"), backoff=QUICK)
            task = asyncio.create_task(deliver(outbox, pusher, stop))
            while server.requests < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            stop.set()
            await task
        assert outbox.waiting() == 1

    asyncio.run(run())


def test_a_full_outbox_refuses_the_new_and_keeps_the_old(tmp_path: Path) -> None:
    """A full disk is reported to the caller; readings that wait are not thrown away."""
    outbox = Outbox(tmp_path / "outbox.sqlite", packets_max=2)
    outbox.put("a", _packet("a", 1))
    outbox.put("a", _packet("a", 2))
    with pytest.raises(KilowatchError, match="2 packets wait"):
        outbox.put("a", _packet("a", 3))
    assert [w.body for w in outbox.oldest("a")] == [_packet("a", 1), _packet("a", 2)]
