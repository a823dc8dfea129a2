"""From a wrong registration to a mail about silence and back, as an administrator lives it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.inboxes import Inbox, mail_settings, text_of
from tests.journeys.pages import Visit, logged_in
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server
from tests.journeys.waiting import until

pytestmark = [pytest.mark.journey, pytest.mark.browser, pytest.mark.slow]

EVERY_S = 4
TOLD_S = 10.0  # what is promised from the due time to the notification
SLACK_S = 15.0  # a machine that runs other tests beside this one is slower than promised
NAME = "Gas boiler"


class Meter:
    """Pushes a packet every four seconds, stamped exactly so, until it falls silent.

    Args:
        client: Who pushes.
        stream: The stream's id.
    """

    def __init__(self, client: Client, stream: str) -> None:
        self._client, self._stream = client, stream
        self._at = datetime.now(UTC).replace(microsecond=0)
        self._value = 1_000.0
        self._silent = threading.Event()
        self._thread: threading.Thread | None = None
        self.last = self._at

    def speak(self) -> None:
        """Begin to push."""
        self._silent.clear()
        self._at = max(self._at, datetime.now(UTC).replace(microsecond=0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fall_silent(self) -> None:
        """Stop, with the last packet acknowledged."""
        self._silent.set()
        assert self._thread is not None
        self._thread.join(30)

    def _run(self) -> None:
        while not self._silent.is_set():
            packet = {
                "id": self._stream, "tsISO8601": self._at.isoformat(), "value": self._value,
            }  # fmt: skip
            assert self._client.push(packet) == (200, {"status": "accepted"})
            self.last = self._at
            self._at += timedelta(seconds=EVERY_S)
            self._value += 0.5
            self._silent.wait(max(0.0, (self._at - datetime.now(UTC)).total_seconds()))


def register(page: Page, url: str, stream: str) -> str:
    """Register a data point in the form, for one second; returns its number."""
    page.goto(f"{url}admin/data-points/new")
    page.fill("#name", NAME)
    page.fill("#stream_id", stream)
    page.select_option("#kind", "single")
    page.select_option("#utility", "gas")
    page.fill("#interval", "1s")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("status")).to_be_visible()
    found = re.search(r"/data-points/(\d+)", page.url)
    assert found, page.url
    return found[1]


def set_up_mail(page: Page, url: str, address: str) -> None:
    """Add a channel, try it, and a rule that tells when anything falls silent."""
    page.goto(f"{url}notifications")
    page.get_by_role("link", name="Channels").click()
    page.get_by_role("link", name="New channel").first.click()
    page.fill("#name", "Facility team")
    page.select_option("#service", "email")
    page.fill("#to", address)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name=re.compile("^Test")).first.click()
    expect(page.get_by_role("status")).to_be_visible()
    page.get_by_role("link", name="Rules").first.click()
    page.get_by_role("link", name="New rule").first.click()
    page.fill("#name", "Whoever falls silent")
    page.select_option("#kind", "offline")
    page.get_by_label("Facility team").first.check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Whoever falls silent")


def test_a_wrong_interval_is_mended_and_a_silence_is_mailed(
    make_server: Callable[..., Server], inbox: tuple[Inbox, int], browser: Browser,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Registered for 1 s, pushed every 4 s: a hint, not alarms; then silence; then recovery."""
    kept, port = inbox
    pictures = Path(os.environ.get("KILOWATCH_TEST_OUTPUT") or tmp_path / "pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    server = make_server()
    server.data.mkdir(parents=True)
    (server.data / "kilowatch.toml").write_text(mail_settings(port))
    server.start()
    package = startup_package(server.data)
    client, url = client_of(package, server.data), package["dashboard_url"]
    visit = logged_in(
        browser, url, package["dashboard_user"], package["dashboard_password"],
        viewport={"width": 1440, "height": 900},
    )  # fmt: skip
    page = visit.page
    point = register(page, url, "boiler-1")
    set_up_mail(page, url, package["dashboard_user"])
    until(lambda: len(kept.mails) == 1, 30, "the test of the channel")

    meter = Meter(client, "boiler-1")
    meter.speak()
    page.goto(f"{url}attributes/{point}")
    remedy = page.get_by_role("button", name="Change the interval to 4 s")
    expect(remedy).to_be_visible(timeout=60_000)
    page.screenshot(path=pictures / "remedy.png")
    assert len(kept.mails) == 1, "the hint stands in place of alarms"
    remedy.click()
    expect(page.get_by_role("status").first).to_contain_text("4 s")
    expect(page.locator("[data-finding='interval.longer']")).to_have_count(0, timeout=30_000)

    meter.fall_silent()
    until(lambda: len(kept.mails) == 2, EVERY_S * 1.5 + TOLD_S + SLACK_S, "the mail about silence")
    assert NAME in str(kept.mails[1]["Subject"])
    assert "/breakdown/" in text_of(kept.mails[1]) or "/notifications" in text_of(kept.mails[1])
    _bell_says(visit, url, waiting=1, picture=pictures / "silent.png")

    meter.speak()
    until(lambda: len(kept.mails) == 3, TOLD_S + SLACK_S, "the mail about its return")
    assert NAME in str(kept.mails[2]["Subject"])
    _bell_says(visit, url, waiting=0, picture=pictures / "recovered.png")
    meter.fall_silent()
    visit.close()
    assert server.stop() == 0
    assert "Traceback" not in server.output.read_text()


def _bell_says(visit: Visit, url: str, *, waiting: int, picture: Path) -> None:
    """Look at the alerts and at the bell that every page has."""
    page = visit.page
    page.goto(f"{url}notifications")
    lasting = page.locator("section[aria-labelledby=lasting] li.alert")
    expect(lasting).to_have_count(waiting, timeout=15_000)
    if waiting:
        expect(lasting.first).to_contain_text(NAME)
    page.screenshot(path=picture)
