"""The platform is watched from outside: health, metrics and the dead man's ping, as it fails."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.journeys.pushing import client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until, until_stored

pytestmark = pytest.mark.journey


@contextmanager
def monitor() -> Iterator[tuple[str, list[str]]]:
    """Run an outside monitor on this machine; yields its address and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def ready(server: Server) -> tuple[int, dict[str, Any]]:
    """Return what the readiness check says."""
    answer = httpx.get(f"{server.addresses['dashboard_http']}health/ready", timeout=20)
    return answer.status_code, answer.json()


def numbers(server: Server) -> dict[str, float]:
    """Return the metrics without a label or with one, as ``name`` or ``name.label``."""
    text = httpx.get(f"{server.addresses['dashboard_http']}metrics", timeout=20).text
    return {
        ".".join((sample.name.removeprefix("kilowatch_"), *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def _counted(found: dict[str, float]) -> bool:
    """Tell whether the metrics, which may be some moments old, are of after the first packet."""
    counted = found.get("push_answers_total.accepted"), found.get("log_committed_packets_total")
    return counted == (1, 1) and found["pipeline_lag_packets"] == 0


def test_a_server_that_fails_is_noticed_from_outside(make_server: Callable[..., Server]) -> None:
    """Well, it pings; its collector is stopped, and it says so, pings no more; then all is well.

    A stopped process (not an ended one, which the parent would start again) is the hard case:
    its socket takes questions and never answers.
    """
    with monitor() as (url, asked):
        server = make_server()
        server.data.mkdir()
        (server.data / "kilowatch.toml").write_text(
            f'deadman_url = "{url}/alive"\ndeadman_fail_url = "{url}/failing"\n'
            "deadman_interval_s = 5\n"
        )
        server.start()
        package = startup_package(server.data)
        packet = {"tsISO8601": "2026-03-02T10:00:00+00:00", "pC_1": 1000.0}
        client = client_of(package, server.data)
        assert client.push({"id": package["streams"]["electricity"], **packet})[0] == 200
        until_stored(server.data)
        until(lambda: ready(server)[0] == 200, what="being well after the start")
        code, said = ready(server)
        assert (code, said["status"]) == (200, "ok"), said
        until(lambda: _counted(numbers(server)), what="the packet in the metrics")
        found = numbers(server)
        assert found["push_answers_total.accepted"] == 1
        assert found["push_seconds_count"] == 1
        assert found["log_committed_packets_total"] == 1
        assert found["pipeline_lag_packets"] == 0
        assert found["streams.registered"] == 3
        assert found["streams.with_data"] == 1
        assert found["resident_memory_bytes.collector"] > 2**20
        assert found["resident_memory_bytes.platform"] > 2**20
        until(lambda: asked, what="the first ping")
        assert set(asked) == {"/alive"}

        collector = server.pids()["collector"]
        os.kill(collector, signal.SIGSTOP)
        try:
            until(lambda: "/failing" in asked, seconds=60, what="the ping that it fails")
            code, said = ready(server)
            assert code == 503
            assert said["checks"]["collector"]["state"] == "failing"
            assert numbers(server)["up.collector"] == 0
            alive = asked.count("/alive")
        finally:
            os.kill(collector, signal.SIGCONT)
        until(lambda: ready(server)[0] == 200, what="the recovery")
        until(lambda: asked.count("/alive") > alive, what="the next sign of life")


def test_after_a_power_cut_the_time_away_is_known(server: Server) -> None:
    """Whoever comes in the morning reads that the server was down, and that nobody stopped it."""
    until((server.data / "collector.up.json").exists)
    server.kill()
    server.start()
    said = kilowatch("status", "--json", data=server.data, check=False)
    runs = json.loads(said)["platform"]["runs"]
    for process in ("collector", "platform"):
        assert runs[process]["before_clean"] is False
        assert 0 <= runs[process]["away_s"] < 60
    assert server.stop() == 0
    server.start()
    said = kilowatch("status", "--json", data=server.data, check=False)
    runs = json.loads(said)["platform"]["runs"]
    assert all(runs[process]["before_clean"] for process in ("collector", "platform"))
