"""From a packet to the message, with the real program, and a power cut in between."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from kilowatch import catalog as catalogs
from kilowatch.catalog import alerts, registry, secrets
from kilowatch.catalog.alerts import Watched
from kilowatch.notify.rules import Terms
from kilowatch.notify.sealing import Sealer
from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server
from tests.journeys.waiting import until, until_stored
from tests.notify.receivers import Hook, webhook

pytestmark = pytest.mark.journey

OVER_50_KW = Terms(quantity="aP", limit=50_000.0, unit="W")


def watch(data: Path, hook: Hook) -> None:
    """Add a webhook and a rule, as the pages do."""
    opened = catalogs.open(data / "catalog.sqlite")
    sealer = Sealer(secrets.server_key(data))
    with opened.change(catalogs.Actor("test")) as change:
        (acme,) = registry.organisations(change.session)
        sealed = sealer.seal(acme.id, {"service": "webhook", "url": hook.url})
        channel = alerts.add_channel(change, acme.id, "Our system", "webhook", "hook", sealed)
        rule = alerts.add_rule(
            change, acme.id, "Load", "threshold", Watched(), OVER_50_KW.columns()
        )
        alerts.use_channels(change, rule, [channel.id], [])
    opened.close()


def deliveries(data: Path) -> list[tuple[str, int]]:
    """Return state and tries of each message."""
    connection = apsw.Connection(str(data / "notify.sqlite"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute("SELECT state, tries FROM delivery ORDER BY id"))
    finally:
        connection.close()


@pytest.mark.slow
def test_a_message_survives_a_power_cut_and_arrives_once(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    """The receiver is down, the platform is killed, both come back: one message, the same one."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "kilowatch.toml").write_text('alert_networks = ["127.0.0.0/8"]\n')
    server = make_server().start()
    package = startup_package(server.data)
    client = client_of(package, server.data)
    with webhook() as hook:
        watch(server.data, hook)
        hook.answers += [(503, {})] * 20
        now = datetime.now(UTC).replace(microsecond=0)
        for minutes in (10, 5, 0):
            at = now - timedelta(minutes=minutes)
            packet = {"id": package["streams"]["electricity"], "tsISO8601": at.isoformat()}
            assert client.push(packet | {"aP_1": 61_000.0})[0] == 200
        until(lambda: (server.data / "notify.sqlite").exists() and deliveries(server.data))
        until(lambda: deliveries(server.data)[0][1] >= 1, what="the first attempt")
        os.kill(server.pids()["platform"], signal.SIGKILL)
        hook.answers.clear()
        server.refresh(until_other="platform")
        until(lambda: hook.received, 60, "the message")
        until_stored(server.data)
        until(lambda: deliveries(server.data)[0][0] == "sent")
        assert len(hook.received) == 1
        (said,) = hook.received
        assert said["event"] == "opened"
        assert "61 kW" in said["title"]
        assert said["delivery"] == hook.headers[0]["idempotency-key"]
        assert len(deliveries(server.data)) == 1
    assert server.stop() == 0
    assert "Traceback" not in server.output.read_text()
