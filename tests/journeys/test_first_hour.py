"""An integrator's first hour: startup package, log-in, a push, and the graph that moves."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.pages import Visit, logged_in
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server
from tests.patience import PATIENCE_MS

pytestmark = [pytest.mark.journey, pytest.mark.browser]

VISIBLE_S = 1.0  # what is promised from the acknowledgement to the eye of a reader
SLACK_S = 29.0  # a machine that runs much beside this test is far slower than promised
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


def _pictures(tmp_path: Path) -> Path:
    """Where screenshots go: a folder that CI keeps, else the test's own."""
    folder = Path(os.environ.get("KILOWATCH_TEST_OUTPUT") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _zone() -> str:
    """Return a zone where the last hours are all of today, whatever time it is."""
    zones = ("Europe/Dublin", "Asia/Tokyo")
    return next(zone for zone in zones if 3 <= datetime.now(ZoneInfo(zone)).hour < 23)


def _packets(stream: str, count: int, zone: str) -> list[dict[str, Any]]:
    """Readings of a meter, five minutes apart, the last of them now."""
    now = datetime.now(ZoneInfo(zone)).replace(second=0, microsecond=0)
    first = now - timedelta(minutes=5 * (count - 1))
    return [
        {
            "id": stream,
            "tsISO8601": (first + timedelta(minutes=5 * number)).isoformat(timespec="milliseconds"),
            "aP_1": 900.0 + 100.0 * (number % 5),
            "aP_2": 700.0,
            "pC_1": 50_000.0 + 80.0 * number,
            "pC_2": 30_000.0 + 60.0 * number,
            "v_1": 231.5,
        }
        for number in range(count)
    ]


def _accepted(client: Client, packet: dict[str, Any]) -> None:
    assert client.push(packet) == (200, {"status": "accepted"})


def _data_point(visit: Visit, name: str) -> str:
    link = visit.page.get_by_role("link", name=name).first
    address = link.get_attribute("href")
    assert address is not None
    return address.rpartition("/")[2]


def test_a_first_packet_is_on_the_page_while_somebody_looks(
    server: Server, browser: Browser, tmp_path: Path
) -> None:
    """From the command to the moving graph, without one reload and without a fault."""
    pictures, zone = _pictures(tmp_path), _zone()
    package = startup_package(server.data, "Acme", "--timezone", zone)
    client = client_of(package, server.data)
    visit = logged_in(
        browser, package["dashboard_url"], package["dashboard_user"],
        package["dashboard_password"], viewport=SIZES["desktop"],
    )  # fmt: skip
    page = visit.page
    point = _data_point(visit, "Electricity")
    page.goto(f"{package['dashboard_url']}breakdown/{point}")
    expect(page.locator("#empty")).to_be_visible()
    expect(page.locator("#empty")).to_contain_text(package["streams"]["electricity"])
    page.screenshot(path=pictures / "empty.png")
    page.evaluate("window.sameDocument = true")

    first, *rest = _packets(package["streams"]["electricity"], 30, zone)
    _accepted(client, first)
    pushed = time.monotonic()
    expect(page.locator("#single")).to_be_visible(timeout=(VISIBLE_S + SLACK_S) * 1000)
    print(f"seen after {time.monotonic() - pushed:.2f} s")  # noqa: T201 - read by people
    page.screenshot(path=pictures / "single.png")

    for packet in rest:
        _accepted(client, packet)
    expect(page.locator("#chart canvas, #chart svg").first).to_be_visible()
    _total_becomes(visit, 29 * 140.0)
    assert page.evaluate("window.sameDocument"), "the page was loaded again"
    _take_pictures(visit, pictures, package["dashboard_url"], point)
    visit.close()


def _total_becomes(visit: Visit, energy_wh: float) -> None:
    """Wait until the page's data say what was pushed, by the page's own table."""
    page = visit.page
    page.locator("input[name=view][value=table]").check(force=True)
    page.wait_for_function(
        """wanted => {
            const cells = [...document.querySelectorAll('#table td[data-channel=pC]')]
                .filter(cell => cell.dataset.key === 'value' && cell.dataset.value !== '');
            const sum = cells.reduce((total, cell) => total + Number(cell.dataset.value), 0);
            return Math.abs(sum - wanted) < 1e-6;
        }""",
        arg=energy_wh,
        timeout=PATIENCE_MS,
    )


def _take_pictures(visit: Visit, pictures: Path, url: str, point: str) -> None:
    for place in ("breakdown", "attributes"):
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                visit.page.emulate_media(color_scheme=scheme)
                visit.page.set_viewport_size(viewport)  # type: ignore[arg-type]
                visit.page.goto(f"{url}{place}/{point}")
                visit.page.wait_for_timeout(700)
                visit.page.screenshot(path=pictures / f"{place}-{size}-{scheme}.png")
    assert len(list(pictures.glob("*.png"))) >= 10


def test_attributes_tells_a_newcomer_what_to_change(server: Server, browser: Browser) -> None:
    """A wrong password, a wrong stream and a broken packet are seen as they happen."""
    package = startup_package(server.data)
    client = client_of(package, server.data)
    stream = package["streams"]["gas"]
    visit = logged_in(
        browser, package["dashboard_url"], package["dashboard_user"],
        package["dashboard_password"], viewport=SIZES["desktop"],
    )  # fmt: skip
    page = visit.page
    point = _data_point(visit, "Gas")
    page.goto(f"{package['dashboard_url']}attributes/{point}")
    expect(page.locator("html")).to_have_attribute("data-live", "on")
    stranger = Client(client.url, client.username, "wrong", client.certificate)
    body = {"id": stream, "tsISO8601": "2026-03-02T10:00:00.000+00:00", "value": 5}
    assert stranger.push(body)[0] == 401
    assert client.push({**body, "tsISO8601": "2026-03-02T10:00:00"})[0] == 400
    assert client.push({**body, "value": "5"})[0] == 400
    assert client.push(body)[0] == 200
    requests = page.locator("#requests [data-list] > li")
    expect(requests).to_have_count(4)
    said = page.locator("#requests").inner_text()
    for status in ("401", "400", "200"):
        assert status in said
    assert "value" in said
    assert package["password"] not in page.content(), "a secret stands on the page"
    expect(page.locator("data[data-outcome=refused]")).to_have_attribute("value", "2")
    expect(page.locator("data[data-outcome=accepted]")).to_have_attribute("value", "1")
    visit.close()
