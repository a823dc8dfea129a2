"""What a load balancer and the platform ask the collector: does it take packets, how fast?"""

from __future__ import annotations

import functools
import time
from typing import Any

import pytest

from kilowatch.collector import server as servers
from kilowatch.log import LogWriter
from tests.collector.conftest import StartServer
from tests.collector.harness import Reply, Server, packet, request
from tests.collector.test_live import control
from tests.log.faults import FaultyDisk


def health(server: Server, method: str = "GET") -> Reply:
    """Ask as a load balancer does: without credentials."""
    with server.connect() as wire:
        return wire.ask(request(method, "/health", b"", {}), method)


def status(server: Server) -> dict[str, Any]:
    """Return what the collector says of itself."""
    with control(server) as client:
        return dict(client.get("/status").json())


def within(seconds: float, true: Any) -> None:
    """Wait for something, no longer than that."""
    ends_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_a_load_balancer_is_told_that_packets_are_taken(shared: Server) -> None:
    """No credential, no details: two words that say whether to send packets here."""
    reply = health(shared)
    assert (reply.status, reply.json) == (200, {"status": "ok"})
    assert reply.headers["content-type"] == "application/json"
    assert health(shared, "HEAD").status == 200
    assert health(shared, "POST").status == 405


def test_a_load_balancer_goes_elsewhere_while_packets_are_not_taken(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maintenance or a full disk: the next collector takes the packets, and it ends by itself."""
    faulty = FaultyDisk()
    monkeypatch.setattr(servers, "LogWriter", functools.partial(LogWriter, vfs=faulty.name))
    monkeypatch.setattr(servers, "PROBE_MS", 0)  # look each second, though nobody pushes
    server = start()
    assert health(server).status == 200
    faulty.disk.full = True
    within(10, lambda: health(server).status == 503)
    assert health(server).json == {"status": "failing"}
    faulty.disk.heal()
    within(10, lambda: health(server).status == 200)
    server.settings.maintenance_file.write_text("")
    within(5, lambda: health(server).status == 503)
    server.settings.maintenance_file.unlink()
    within(5, lambda: health(server).status == 200)


def test_each_durable_packet_is_in_the_histogram_once(start: StartServer) -> None:
    """Latency is read from it: a packet that is missing there would make us look fast."""
    server = start()
    for _ in range(3):
        server.push(packet("load-0"))
    server.push(packet("load-1"))
    server.push(packet(), by=None)  # refused before any commit
    said = status(server)
    assert sum(said["push_times"]["counts"]) == 4
    assert said["log"]["committed_packets"] == 2
    assert sum(said["log"]["commits"]["counts"]) >= 2
    assert 0 <= said["push_times"]["sum_s"] < 60
    assert said["process"]["resident_bytes"] > 2**20
