"""A stream that stops is found in real time by the real program, and only a stream that stops."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from kilowatch import catalog
from kilowatch.catalog import data_points, registry
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.model.silences import Silence
from kilowatch.pipeline.silences import Silences
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import status, until

pytestmark = pytest.mark.journey

FOUND_S_MAX = 10.0
STREAMS = 10_000


def _push(client: Client, stream: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    answer = client.push({"id": stream, "tsISO8601": now, "value": time.time() % 7})
    assert answer == (200, {"status": "accepted"})


def _register(server: Server, name: str, interval: str) -> str:
    kilowatch(
        "data-point", "add", "--organization", "Acme", "--name", name, "--stream-id", name,
        "--utility", "gas", "--unit", "kWh", "--reading", "avg", "--interval", interval,
        data=server.data,
    )  # fmt: skip
    return name


def _late(server: Server) -> list[str]:
    return sorted(point["stream_id"] for point in status(server.data).get("late", []))


def _feed(server: Server) -> list[Silence]:
    """Read the feed as whoever tells people does; the server has ended."""
    silences = Silences(server.data / "silences.sqlite", 0)
    found = [one for _, one in silences.changes(0, 100_000)]
    silences.close()
    return found


def test_a_stream_that_stops_is_found_within_ten_seconds_over_a_restart(
    server: Server, record_property: Callable[[str, object], None]
) -> None:
    """Two streams of two seconds; one stops, the platform is killed, the other goes on."""
    package = startup_package(server.data)
    client = client_of(package, server.data)
    stops, goes_on = (_register(server, name, "2s") for name in ("stops", "goes-on"))
    for _ in range(3):
        _push(client, stops)
        _push(client, goes_on)
        time.sleep(1.5)
    os.kill(server.pids()["platform"], signal.SIGKILL)
    due_s = time.time() - 1.5 + 3.0
    going = threading.Event()

    def go_on() -> None:
        with_own = client_of(package, server.data)
        while not going.wait(1.0):
            _push(with_own, goes_on)

    pushing = threading.Thread(target=go_on)
    pushing.start()
    try:
        until(lambda: _late(server) == ["stops"], 30.0, "the silence")
        _push(client, stops)
        until(lambda: _late(server) == [], 10.0, "the end of the silence")
        ended_s = time.time()
    finally:
        going.set()
        pushing.join()
    assert server.stop() == 0
    told = [one for one in _feed(server) if one.found_ms < ended_s * 1000]
    first, second = (one for one in told if one.series == told[0].series)
    assert first.ended_ms is None
    assert second.ended_ms is not None
    assert abs(first.due_ms / 1000 - due_s) < 1.0
    taken_s = (first.found_ms - first.due_ms) / 1000
    record_property("found_s", taken_s)
    assert 0 <= taken_s <= FOUND_S_MAX
    assert first.credential_id > 0


def test_nobody_is_silent_because_we_were_away(server: Server) -> None:
    """Maintenance, and a stop of the whole server, each of three intervals: no word in the feed."""
    package = startup_package(server.data)
    client = client_of(package, server.data)
    stream = _register(server, "patient", "2s")
    _push(client, stream)
    kilowatch("maintenance", "on", data=server.data)
    time.sleep(6.0)
    kilowatch("maintenance", "off", data=server.data)
    until(lambda: client.push({"id": stream})[0] == 400, 5.0, "the end of maintenance")
    _push(client, stream)
    assert server.stop() == 0
    time.sleep(6.0)
    server.start()
    client = client_of(package, server.data, server.addresses["push_https"])
    _push(client, stream)
    time.sleep(1.0)
    _push(client, stream)
    assert server.stop() == 0
    assert _feed(server) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_thousand_streams_that_are_due_at_once_are_found_within_ten_seconds(
    server: Server, record_property: Callable[[str, object], None]
) -> None:
    """All gateways lose their network, and the whole server is killed: the hardest moment.

    After the restart every stream has the same grace, so all of them are due in one instant.
    """
    package = startup_package(server.data)
    _register_many(server, STREAMS)
    time.sleep(3.0)
    crowd = [
        threading.Thread(target=_push_all, args=(client_of(package, server.data), first))
        for first in range(8)
    ]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    server.kill()
    server.start()
    until(lambda: len(_late(server)) == STREAMS, 120.0, "finding them all")
    assert server.stop() == 0
    last = {one.series: one for one in _feed(server)}
    assert len(last) == STREAMS
    late_s = [(one.found_ms - one.due_ms) / 1000 for one in last.values()]
    record_property("found_s", max(late_s))
    assert max(late_s) <= FOUND_S_MAX


def _register_many(server: Server, count: int) -> None:
    registered = catalog.open(server.data / "catalog.sqlite")
    settings = Settings("single", "gas", 60, unit="kWh", behaviour="amount", tolerance_s=5.0)
    with registered.change(catalog.Actor("test")) as change:
        organisation = change.session.query(Organisation).one()
        assert isinstance(organisation, Organisation)
        site: Site = registry.add_site(change, organisation, "Estate", zone="Europe/Dublin")
        meter = registry.add_meter(change, site, "All")
        for number in range(count):
            name = f"many-{number}"
            data_points.register(change, site, name, settings, stream_id=name, meter=meter)
    registered.close()


def _push_all(client: Client, first: int) -> None:
    for number in range(first, STREAMS, 8):
        _push(client, f"many-{number}")
