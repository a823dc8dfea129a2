"""A transformer was exchanged: from the shell to every figure, in the running program."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until, until_stored

pytestmark = pytest.mark.journey


def _accepted(client: Client, packet: dict[str, Any]) -> bool:
    return client.push(packet)[0] == 200


def _explained(server: Server, time: str) -> dict[str, Any]:
    printed = kilowatch("explain", "main", time, "--json", data=server.data)
    story: dict[str, Any] = json.loads(printed)
    return story


def _amounts(server: Server, times: tuple[str, ...]) -> list[float | None]:
    found = []
    for time in times:
        rows = _explained(server, time)["intervals"]
        found.append(round(rows[0]["amount"], 6) if rows and rows[0]["amount"] else None)
    return found


def test_a_setting_that_changes_reaches_every_figure_and_goes_back(server: Server) -> None:
    """Set from a date on while the server runs, explained, killed, started, and undone."""
    package = startup_package(server.data)
    flags = ["--name", "Main", "--unit", "kWh", "--interval", "1h", "--stream-id", "main"]
    kilowatch("data-point", "add", *flags, data=server.data)
    client = client_of(package, server.data)
    for hour in range(12):
        packet = {"id": "main", "tsISO8601": f"2026-03-02T{hour:02d}:00:00Z", "value": 100.0 + hour}
        until(partial(_accepted, client, packet), what="the packet's acceptance")
    until_stored(server.data)
    hours = ("2026-03-02T05:30", "2026-03-02T06:30")
    assert _amounts(server, hours) == [1_000, 1_000]

    change = ["--multiplier", "40", "--from", "2026-03-02T06:00", "--comment", "new CT"]
    kilowatch("data-point", "set", "main", *change, data=server.data)
    until(lambda: _amounts(server, hours) == [1_000, 40_000], what="the recomputation")
    story = _explained(server, hours[1])
    assert story["factors"] == {"value": 40_000.0}
    assert story["settings"]["multiplier"] == 40.0
    assert "factor of value: 40000" in kilowatch("explain", "main", hours[1], data=server.data)

    exchange = ["--at", "2026-03-02T08:30", "--last", "108.75", "--first", "108.5"]
    kilowatch("data-point", "exchange", "main", *exchange, data=server.data)
    until(
        lambda: _amounts(server, ("2026-03-02T08:30",)) == [50_000],
        what="the exchange's recomputation",
    )
    server.kill()
    server.start()
    until_stored(server.data)
    assert _amounts(server, (*hours, "2026-03-02T08:30")) == [1_000, 40_000, 50_000]

    history = json.loads(kilowatch("data-point", "history", "main", "--json", data=server.data))
    for one in (*history["settings"], *history["events"]):
        kilowatch("data-point", "undo", "main", one["undo"], data=server.data)
    until(
        lambda: _amounts(server, (*hours, "2026-03-02T08:30")) == [1_000, 1_000, 1_000],
        what="the way back",
    )
    assert server.stop() == 0
