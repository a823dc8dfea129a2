"""A month of ten meters, pushed through HTTPS with a crash in the middle, comes out unchanged."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.journeys.months import HOUR_MS, Meter, real_meters, simulated_meters
from tests.journeys.pages import Dashboard, counters, logged_in, table_values
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.stored import stored
from tests.journeys.waiting import until_stored

pytestmark = [pytest.mark.journey, pytest.mark.browser, pytest.mark.slow]

RELATIVE = 1e-6  # the sources are 32-bit floats
COUNTED_S = 1.5  # a crash may take the last second's count of duplicates, though no packet
TWICE = 0.03  # share of packets that are sent again
LATE = 0.02  # share of packets that are followed by an older one


@dataclass(slots=True)
class Delivery:
    """Pushes the packets of a meter one by one and counts what must stand in Attributes."""

    client: Client
    packets: list[dict[str, Any]]
    chance: random.Random
    expected: Counter[str] = field(default_factory=Counter)

    def push(self, first: int, end: int) -> None:
        """Push some packets, some of them twice, some with an older one after them."""
        for number in range(first, end):
            packet = self.packets[number]
            self._expect(packet, "accepted")
            if self.chance.random() < TWICE:
                self._expect(packet, "duplicate")
            if number and self.chance.random() < LATE:
                self._expect(self.packets[number - 1], "discarded")
        self.client.close()

    def _expect(self, packet: dict[str, Any], outcome: str) -> None:
        status, answer = self.client.push(packet)
        assert (status, answer["status"]) == (200, outcome), answer
        self.expected[outcome] += 1


def _push(deliveries: list[Delivery], share: Callable[[int], tuple[int, int]]) -> None:
    """Let all meters push at once, each its own in order."""
    with ThreadPoolExecutor(len(deliveries)) as pool:
        list(pool.map(lambda one: one.push(*share(len(one.packets))), deliveries))


@pytest.mark.timeout(900)
def test_a_month_of_real_meters_comes_out_as_it_went_in(
    server: Server, browser: Browser, shared_data: Path
) -> None:
    """Every hour of ten real meters is right in the store, the data and the browser."""
    _journey(server, browser, real_meters(shared_data))


@pytest.mark.timeout(900)
def test_a_month_of_simulated_buildings_comes_out_as_it_went_in(
    server: Server, browser: Browser
) -> None:
    """The same journey for those who have no real meter data beside the project."""
    _journey(server, browser, simulated_meters())


def _journey(server: Server, browser: Browser, meters: list[Meter]) -> None:
    package = startup_package(server.data)
    points = {meter.stream: _register(server.data, meter) for meter in meters}
    deliveries = [
        Delivery(client_of(package, server.data), [packet for _, packet in meter.packets()],
                 random.Random(number))
        for number, meter in enumerate(meters)
    ]  # fmt: skip
    _push(deliveries, lambda count: (0, count // 2))
    time.sleep(COUNTED_S)
    server.kill()
    server.start(tuple(server.addresses["ports"]))
    _push(deliveries, lambda count: (count // 2, count))
    until_stored(server.data)
    url, user, password = _account(server, package)
    pages = Dashboard(url, user, password)
    visit = logged_in(browser, url, user, password)
    page = visit.page
    for meter, delivery in zip(meters, deliveries, strict=True):
        point, channel, query = points[meter.stream], _channel(meter), _period(meter)
        _equal(meter, pages.column(point, channel, "amount", **query))
        _total_is_whole(meter, pages.series(point, channels=channel, **query))
        shown = "&".join(f"{key}={value}" for key, value in query.items())
        name = "pC" if channel == "pC" else "value"
        _equal(meter, table_values(page, url, point, channel, f"{shown}&show={name}"))
        expected = {"duplicate": 0, "discarded": 0, "refused": 0, **delivery.expected}
        assert counters(page, url, point) == expected, meter.stream
    visit.close()
    assert server.stop() == 0
    columns = stored(server.data)
    for meter in meters:
        _equal(meter, _stored_hours(columns, meter))
        count = sum(1 for _ in meter.packets())
        assert len(columns[f"{meter.stream}/at_ms"]) == count


def _register(data: Path, meter: Meter) -> int:
    kind = "electrical" if meter.how == "electrical-cum" else "single"
    unit = () if kind == "electrical" else ("--unit", meter.unit)
    printed = kilowatch(
        "data-point", "add", "--organization", "Acme", "--name", meter.stream,
        "--site", f"Site in {meter.zone}", "--timezone", meter.zone, "--country", "IE",
        "--stream-id", meter.stream, "--kind", kind, "--utility", meter.utility,
        "--interval", "1h", "--reading", meter.how.rpartition("-")[2], *unit, "--json", data=data,
    )  # fmt: skip
    return int(json.loads(printed)["id"])


def _account(server: Server, package: dict[str, Any]) -> tuple[str, str, str]:
    url = server.addresses["dashboard_http"]
    return url, package["dashboard_user"], package["dashboard_password"]


def _channel(meter: Meter) -> str:
    return "pC" if meter.how == "electrical-cum" else "value"


def _period(meter: Meter) -> dict[str, str]:
    """Days around the month, wide enough for every time zone."""
    start = datetime.fromtimestamp(meter.start_ms / 1000, UTC)
    end = start + timedelta(hours=len(meter.used) + 24)
    first = (start - timedelta(days=1)).date().isoformat()
    return {
        "period": "custom",
        "date": first,
        "until": end.date().isoformat(),
        "grain": "hour",
    }


def _equal(meter: Meter, found: dict[int, float]) -> None:
    expected = meter.hours()
    assert found.keys() == expected.keys(), meter.stream
    for start, amount in expected.items():
        assert found[start] == pytest.approx(amount, rel=RELATIVE, abs=RELATIVE), meter.stream


def _total_is_whole(meter: Meter, answer: dict[str, Any]) -> None:
    """Energy across holes of a register is known as a sum, and counted once."""
    (figures,) = answer["statistics"]
    assert figures["total"] == pytest.approx(meter.total, rel=RELATIVE)
    across = meter.total - sum(meter.hours().values())
    assert figures["unallocated"] == pytest.approx(across, rel=RELATIVE, abs=1e-3)


def _stored_hours(columns: dict[str, Any], meter: Meter) -> dict[int, float]:
    interval = {
        name: columns[f"{meter.stream}/interval/{name}"]
        for name in ("channel", "start_ms", "duration_ms", "amount")
    }
    rows = interval["channel"] == (24 if _channel(meter) == "pC" else 0)
    assert set(interval["duration_ms"][rows].tolist()) == {HOUR_MS}
    pairs = zip(interval["start_ms"][rows].tolist(), interval["amount"][rows].tolist(), strict=True)
    return {start: amount for start, amount in pairs if not math.isnan(amount)}
