"""A building is replayed; a weekend stays on; somebody is told, and says that it was expected."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from kilowatch import catalog as catalogs
from kilowatch.catalog import alerts, data_points, registry, secrets
from kilowatch.catalog.settings_check import Settings
from kilowatch.model.insight import EventKind, InsightEvent
from kilowatch.model.public_holidays import public_holidays
from kilowatch.notify.sealing import Sealer
from kilowatch.pipeline.insight.columns import event_of
from kilowatch.pipeline.insight.reader import InsightReader
from tests.journeys.inboxes import Inbox, mail_settings, text_of
from tests.journeys.pages import logged_in
from tests.journeys.pushing import Client, client_of, startup_package
from tests.journeys.server import Server, kilowatch
from tests.journeys.waiting import until

pytestmark = [pytest.mark.journey, pytest.mark.browser, pytest.mark.slow]

DUBLIN = ZoneInfo("Europe/Dublin")
FIRST = datetime(2026, 1, 5, tzinfo=DUBLIN)  # a Monday
FRIDAY = datetime(2026, 4, 17, 18, tzinfo=DUBLIN)  # the ventilation is not switched off
NEXT = FRIDAY + timedelta(days=28)  # and once more, after weekends as they should be
LEFT_ON = {
    EventKind.WEEKEND, EventKind.AFTER_HOURS, EventKind.MISSED_SHUTDOWN, EventKind.NIGHT_LOAD,
    EventKind.LEVEL_SHIFT, EventKind.SPIKE,
}  # fmt: skip
HOUR = timedelta(hours=1)
PHONE: Any = {"width": 390, "height": 844}
CLEAR = 5 * HOUR  # when three hours have each ended three high ones, it is no chance any more


class Building:
    """An office whose hours are pushed one after the other, as fast as they are taken.

    Args:
        client: Who pushes.
        data: The server's data folder.
        stream: The stream's id.
        series: Key of its readings.
    """

    def __init__(self, client: Client, data: Path, stream: str, series: int) -> None:
        self._client, self._data = client, data
        self._stream, self._series = stream, series
        self._chance = np.random.default_rng(5)
        self.now = FIRST.astimezone(UTC)
        self._reader = InsightReader(data / "insights.sqlite")

    def reconnect(self, client: Client) -> None:
        """Push through another connection: the server was started again."""
        self._client = client

    def push_until(self, end: datetime) -> None:
        """Push every hour before an instant, and wait until all of them were looked at."""
        while self.now < end:
            packet = {
                "id": self._stream, "tsISO8601": self.now.isoformat(), "value": self._use(),
            }  # fmt: skip
            assert self._client.push(packet) == (200, {"status": "accepted"})
            self.now += HOUR
        complete_ms = round((self.now - HOUR).timestamp() * 1000)
        until(lambda: self._reached() >= complete_ms, 60, f"a look at {self.now}")

    def _use(self) -> float:
        local = self.now.astimezone(DUBLIN)
        holiday = local.date() in public_holidays("IE", "", local.year)
        working = local.weekday() < 5 and not holiday and 8 <= local.hour < 18
        stayed_on = any(start <= local < start + timedelta(hours=54) for start in (FRIDAY, NEXT))
        return (31.0 if working or stayed_on else 9.0) * (1 + 0.03 * self._chance.standard_normal())

    def _reached(self) -> int:
        rows = self._reader.rows("SELECT cursor_ms FROM stream WHERE series = ?", (self._series,))
        return int(rows[0][0]) if rows else 0

    def left_on(self, friday: datetime) -> list[InsightEvent]:
        """Return what was found about a weekend that stayed on."""
        rows = self._reader.rows(
            "SELECT id, series, kind, start_ms, end_ms, open, found_ms, amount, confidence,"
            " evidence, model, others FROM event WHERE cause = '' AND series = ?"
            " AND start_ms >= ? AND start_ms < ?",
            (
                self._series,
                round((friday - 2 * HOUR).timestamp() * 1000),
                round((friday + 54 * HOUR).timestamp() * 1000),
            ),
        )
        return [one for one in map(event_of, rows) if one.kind in LEFT_ON]

    def noticed(self) -> set[str]:
        """Return the findings that somebody is told of; decided with the hours, so none is late."""
        return {event_id for (event_id,) in self._reader.rows("SELECT event_id FROM notice")}

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def registered(data: Path, address: str) -> tuple[str, int]:
    """Register a meter of hourly energy, and a rule that mails what is found; returns the meter."""
    opened = catalogs.open(data / "catalog.sqlite")
    sealer = Sealer(secrets.server_key(data))
    with opened.change(catalogs.Actor("test")) as change:
        (acme,) = registry.organisations(change.session)
        site = registry.sites(change.session, acme.id)[0]
        hourly = Settings("single", "electricity", 3600, unit="kWh", behaviour="amount")
        point = data_points.register(change, site, "Ventilation", hourly)
        sealed = sealer.seal(acme.id, {"to": address})
        channel = alerts.add_channel(change, acme.id, "Facility", "email", address, sealed)
        rule = alerts.add_rule(change, acme.id, "Found", "sentinel", alerts.Watched(), {})
        alerts.use_channels(change, rule, [channel.id], [])
        found = point.stream_id, point.series
    opened.close()
    return found


@contextmanager
def on_a_phone(browser: Browser, package: dict[str, str]) -> Iterator[Page]:
    """Log in on a phone; the browser complains of nothing."""
    url = package["dashboard_url"]
    visit = logged_in(
        browser, url, package["dashboard_user"], package["dashboard_password"], viewport=PHONE,
        base_url=url,
    )  # fmt: skip
    yield visit.page
    visit.close()


def it_is_the_day_after(data: Path) -> None:
    """Let what was put off until tomorrow have been put off until a moment ago."""
    past_ms = round(time.time() * 1000) - 60_000
    for name, table, column, rows in (
        ("catalog.sqlite", "event_verdict", "until_ms", 1),
        ("notify.sqlite", "alert", "snoozed_ms", 2),  # the package's own rule looks at it, too
    ):
        with closing(sqlite3.connect(data / name)) as opened, opened:
            set_back = f"UPDATE {table} SET {column} = ? WHERE {column} IS NOT NULL"
            assert opened.execute(set_back, (past_ms,)).rowcount == rows


def put_off(
    browser: Browser, package: dict[str, str], server: Server, kept: Inbox, event_id: str,
    address: str,
) -> None:  # fmt: skip
    """Put a finding off on a phone; the day comes while the server is off, and a mail says so."""
    with on_a_phone(browser, package) as page:
        page.goto(address)
        button = page.locator("button[value=snoozed]")
        page.locator("details", has=button).locator("summary").click()
        button.click()
        expect(page.locator("main")).to_contain_text("Quiet until then.")
        page.goto("/")
        expect(page.locator(f"#event-{event_id}")).to_have_count(0)
    assert server.stop() == 0
    it_is_the_day_after(server.data)
    before = len(kept.mails)
    server.start(tuple(server.addresses["ports"]))
    reminder: EmailMessage = until(lambda: kept.mails[before:], 30, "the reminder")[0]
    assert reminder["Subject"].startswith("Reminder: Ventilation")
    assert address in text_of(reminder)
    with on_a_phone(browser, package) as page:
        page.goto("/")
        expect(page.locator(f"#event-{event_id}")).to_contain_text("Ventilation")
        page.goto("/notifications")
        expect(page.locator("main")).to_contain_text("Ventilation")
        expect(page.locator("main")).not_to_contain_text("takes care since")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_weekend_that_stayed_on_is_found_told_and_once_expected_told_no_more(
    make_server: Callable[..., Server], inbox: tuple[Inbox, int], browser: Browser,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Fifteen weeks are replayed through the push API; four weeks later it happens again.

    In between it is put off on a phone; the day comes while the server is off, and a mail says so.
    """
    kept, port = inbox
    pictures = Path(os.environ.get("KILOWATCH_TEST_OUTPUT") or tmp_path / "pictures")
    pictures.mkdir(parents=True, exist_ok=True)
    server = make_server()
    server.data.mkdir(parents=True)
    (server.data / "kilowatch.toml").write_text(mail_settings(port))
    server.start()
    package = startup_package(server.data)
    stream, series = registered(server.data, "facility@example.com")
    kilowatch("price", "set", "electricity", "0.22", "--label", "contract", data=server.data)
    building = Building(client_of(package, server.data), server.data, stream, series)

    building.push_until(FRIDAY)
    assert building.left_on(FRIDAY) == []
    before = len(kept.mails)
    while not (found := building.left_on(FRIDAY)):
        building.push_until(building.now + HOUR)  # one hour, and everything that follows of it
        assert building.now <= FRIDAY + CLEAR + HOUR, "nothing was found although it was clear"
    event = min(found, key=lambda one: one.found_ms)
    assert event.found_ms <= (FRIDAY + CLEAR).timestamp() * 1000
    mail = until(lambda: kept.mails[before:], 30, "the mail")[0]
    assert "Ventilation" in mail["Subject"]
    link = re.search(r"https?://\S+/event/\d+/(\w+)", text_of(mail))
    assert link, text_of(mail)
    assert link[1] == event.id
    assert event.id in building.noticed()

    building.push_until(FRIDAY + timedelta(hours=54))
    address = re.sub(r"^https?://[^/]+", "", link[0])
    put_off(browser, package, server, kept, event.id, address)
    building.reconnect(client_of(package, server.data))

    visit = logged_in(
        browser, package["dashboard_url"], package["dashboard_user"], package["dashboard_password"]
    )
    page = visit.page
    page.goto(f"{package['dashboard_url'].rstrip('/')}{address}")
    expect(page.locator("main")).to_contain_text("Ventilation")
    expect(page.locator("main")).to_contain_text("kWh")
    expect(page.locator("main")).to_contain_text("0.22 EUR/kWh (contract)")
    page.screenshot(path=str(pictures / "wasted-weekend.png"), full_page=True)
    page.locator("details", has=page.locator("button[value=expected]")).locator("summary").click()
    page.locator("input[name=lasts][value=weekly]").check()
    page.locator("button[value=expected]").click()
    expect(page.get_by_role("status")).to_be_visible()
    visit.close()

    building.push_until(NEXT)
    building.push_until(NEXT + timedelta(hours=60))
    again = building.left_on(NEXT)
    assert event.kind in {one.kind for one in again}, "the page shows it all the same"
    assert not building.noticed() & {one.id for one in again}
    building.close()
    assert server.stop() == 0
    assert "Traceback" not in server.output.read_text()
