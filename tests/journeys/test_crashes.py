"""Twenty kills under load: every packet that was acknowledged is stored, and stored once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch, wait_until_gone
from tests.journeys.stored import stored
from tests.journeys.waiting import until_stored

pytestmark = [pytest.mark.journey, pytest.mark.slow]

KILLS = 20
SEED = 20261123
STREAMS = 6
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Gateway(threading.Thread):
    """Pushes one stream's packets in order, each until it is acknowledged, as gateways do."""

    def __init__(self, client: Client, stream: str) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.stream = stream
        self.acknowledged: list[int] = []
        self.going = True

    def run(self) -> None:
        """Push until told to stop."""
        at, register = FIRST, 0.0
        while self.going:
            packet: dict[str, Any] = {
                "id": self.stream, "tsISO8601": at.isoformat(timespec="milliseconds"),
                "pC_1": register, "aP_1": 1200.0,
            }  # fmt: skip
            if self._acknowledged(packet):
                self.acknowledged.append(round(at.timestamp() * 1000))
                at, register = at + timedelta(minutes=5), register + 100.0
            else:
                time.sleep(0.05)

    def _acknowledged(self, packet: dict[str, Any]) -> bool:
        try:
            status, answer = self.client.push(packet)
        except Exception:  # noqa: BLE001 - the server is being killed: whatever broke, try again
            return False
        # A packet that was durable before the kill took its answer away is a duplicate now.
        return status == 200 and answer["status"] in ("accepted", "duplicate")


@pytest.mark.timeout(900)
def test_what_was_acknowledged_survives_twenty_kills(server: Server) -> None:
    """Kill -9 of any process at any moment loses no acknowledged packet and doubles none."""
    chance = random.Random(SEED)
    package = startup_package(server.data)
    streams = _register(server, STREAMS)
    gateways = [Gateway(client_of(package, server.data), stream) for stream in streams]
    for gateway in gateways:
        gateway.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 1.5))
        victims = chance.choice([("collector",), ("platform",), ("serve",), ("all",)])
        _kill(server, victims[0], chance)
    for gateway in gateways:
        gateway.going = False
    for gateway in gateways:
        gateway.join(60)
        assert not gateway.is_alive()
    until_stored(server.data)
    assert server.stop() == 0
    columns = stored(server.data)
    for gateway in gateways:
        at_ms = columns[f"{gateway.stream}/at_ms"]
        assert len(np.unique(at_ms)) == len(at_ms), "a packet is stored twice"
        missing = set(gateway.acknowledged) - set(at_ms.tolist())
        assert not missing, f"{len(missing)} acknowledged packets are not stored"
        assert len(gateway.acknowledged) > KILLS, "there was hardly any load"
        _energy_is_whole(columns, gateway.stream)


def _energy_is_whole(columns: dict[str, Any], stream: str) -> None:
    """Intervals survive too: energy over all of them is the register's last minus first."""
    readings = len(columns[f"{stream}/at_ms"])
    total = columns[f"{stream}/interval/channel"] == 24
    amounts = columns[f"{stream}/interval/amount"][total]
    held = np.nansum(amounts) + np.nansum(columns[f"{stream}/interval/unallocated"][total])
    assert held == pytest.approx(100.0 * (readings - 1), rel=1e-9)


def _register(server: Server, count: int) -> list[str]:
    streams = [f"crash-{number}" for number in range(count)]
    for stream in streams:
        kilowatch(
            "data-point", "add", "--organization", "Acme", "--name", stream,
            "--stream-id", stream, "--kind", "electrical", "--utility", "electricity",
            "--interval", "5m", "--reading", "cum", data=server.data,
        )  # fmt: skip
    return streams


def _kill(server: Server, victim: str, chance: random.Random) -> None:
    ports = tuple(server.addresses["ports"])
    if victim == "all":
        server.kill()
    else:
        with suppress(ProcessLookupError):
            os.kill(server.pids()[victim], signal.SIGKILL)
        if victim == "serve":
            assert server.process is not None
            server.process.wait()
            wait_until_gone(server.pids().values())
    if victim in ("all", "serve"):
        server.start(ports)
    else:
        server.refresh(until_other=victim)
