"""What came too late, seen, put in, dismissed and decided from a shell, by the real program."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from kilowatch import catalog
from kilowatch.catalog.tables import AuditEntry
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until

pytestmark = pytest.mark.journey


def test_a_person_puts_in_dismisses_and_decides(server: Server) -> None:
    """Each step is answered when it is durable, changes the figure, and stands in the history."""
    package = startup_package(server.data)
    stream = package["streams"]["gas"]
    client = client_of(package, server.data)

    def push(minute: int, value: float) -> str:
        stamp = f"2026-03-02T10:{minute:02}:00+00:00"
        answer = client.push({"id": stream, "tsISO8601": stamp, "value": value})[1]
        return str(answer["status"])

    def story() -> dict[str, Any]:
        printed = kilowatch("history", "show", stream, "--json", data=server.data)
        found: dict[str, Any] = json.loads(printed)
        return found

    def amount(minute: int, wanted: float) -> None:
        def shown() -> bool:
            printed = kilowatch(
                "explain", stream, f"2026-03-02T10:{minute:02}", "--json", data=server.data
            )
            rows = json.loads(printed)["intervals"]
            return bool(rows) and rows[0]["amount"] == pytest.approx(wanted)

        until(shown, 60, f"that {wanted} are shown at 10:{minute:02}")

    assert [push(0, 100.0), push(10, 104.0), push(5, 101.0), push(5, 103.0), push(2, 0.0)] == [
        "accepted", "accepted", "discarded", "discarded", "discarded",
    ]  # fmt: skip
    kept = {json.loads(one["packet"])["value"]: one["id"] for one in story()["kept"]}
    assert kept.keys() == {101.0, 103.0, 0.0}
    said = kilowatch("history", "dismiss", stream, "--id", "999", data=server.data)
    assert "0 packets of" in said
    said = kilowatch("history", "dismiss", stream, "--id", str(kept[0.0]), data=server.data)
    assert "1 packet of" in said
    said = kilowatch("history", "backfill", stream, "--id", str(kept[101.0]),
                     "--reason", "the gateway was away", data=server.data)  # fmt: skip
    assert "1 packet was put into the history" in said
    amount(0, 1.0)
    amount(5, 3.0)
    kilowatch("history", "backfill", stream, data=server.data)
    until(lambda: story()["conflicts"], 30, "that the contradiction is found")
    (conflict,) = story()["conflicts"]
    assert (conflict["stored"], conflict["offered"]) == ({"value": 101.0}, {"value": 103.0})
    shown = kilowatch("history", "show", stream, data=server.data)
    assert "Contradicting what is stored: 1" in shown
    assert "stored value 101; offered value 103" in shown
    assert "the gateway was away" in shown
    amount(0, 1.0)
    kilowatch("history", "decide", stream, "--at", "2026-03-02T10:05", "--take", "offered",
              "--reason", "read on site", data=server.data)  # fmt: skip
    amount(0, 3.0)
    amount(5, 1.0)
    after = story()
    assert (after["kept"], after["conflicts"]) == ([], [])
    assert [(run["source"], run["reason"]) for run in after["runs"]] == [
        ("decision", "read on site"), ("kept", ""), ("kept", "the gateway was away"),
    ]  # fmt: skip
    assert (
        client.request("GET", f"/measurements/v2/unifiedjson/?stream={stream}")[1]["value"] == 104
    )
    opened = catalog.open(server.data / "catalog.sqlite")
    with opened.reading() as session:
        entries = session.query(AuditEntry).filter_by(subject="data_point").order_by(AuditEntry.id)
        noted = [
            (one.action, one.after.get("reason")) for one in entries if one.action != "created"
        ]
    opened.close()
    assert noted == [
        ("dismissed", ""), ("backfilled", "the gateway was away"), ("backfilled", ""),
        ("decided for the offered values", "read on site"),
    ]  # fmt: skip
    _the_sender_is_named(server, client, stream)
    _two_owners_of_one_stream(server, stream)


def _the_sender_is_named(server: Server, client: Client, stream: str) -> None:
    """Look that what a gateway backfills stands under its user name, which people know."""
    late = json.dumps({"id": stream, "tsISO8601": "2026-03-02T09:00:00+00:00", "value": 1.0})
    client.request("POST", "/measurements/v2/unifiedjson/?backfill=1", late.encode())
    shown = kilowatch("history", "show", stream, data=server.data)
    assert f"1 packet of 2026-03-02 09:00:00+00:00, push by {client.username}" in shown


def _two_owners_of_one_stream(server: Server, stream: str) -> None:
    """Look that the organisation's name is asked for, and taken."""
    startup_package(server.data, "Bcme")
    flags = ["--organization", "Bcme", "--name", "Same", "--stream-id", stream, "--unit", "m3"]
    kilowatch("data-point", "add", *flags, "--utility", "gas", data=server.data)
    for command in (("history", "show", stream), ("explain", stream, "2026-03-02T10:05")):
        done = subprocess.run(
            [sys.executable, "-m", "kilowatch", *command, "--data", str(server.data)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Name one with --organization: 'Acme', 'Bcme'." in " ".join(done.stderr.split())
        told = kilowatch(*command, "--organization", "acme", data=server.data)
        assert stream in told or "packet" in told
