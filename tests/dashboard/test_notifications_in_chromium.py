"""The pages of notifications in a real browser: no barrier, narrow, by keyboard, live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from kilowatch.catalog import Actor, alerts
from kilowatch.catalog.alerts import Watched
from kilowatch.notify.sealing import Sealer
from tests.dashboard.conftest import Watched as Page
from tests.dashboard.test_notifications import go_silent
from tests.dashboard.test_pages_in_chromium import FITS, barriers
from tests.dashboard.worlds import KEY, World

pytestmark = pytest.mark.browser
OUTPUT = os.environ.get("KILOWATCH_TEST_OUTPUT")


@pytest.fixture(scope="module")
def told(live_world: World) -> World:
    """Add rules, channels, an alert that lasts, one that is over, and a history."""
    owner = live_world.point("main").organisation_id
    notifier = live_world.extra["notifier"]
    with live_world.catalog.change(Actor("test")) as change:
        sealed = Sealer(KEY).seal(owner, {"service": "webhook", "url": "http://127.0.0.1:1/x"})
        hook = alerts.add_channel(
            change, owner, "Our system", "webhook", "http://127.0.0.1:1/…", sealed
        )
        sealed = Sealer(KEY).seal(owner, {"service": "email", "to": "ops@acme.example"})
        mail = alerts.add_channel(
            change, owner, "Facility desk", "email", "ops@acme.example", sealed
        )
        office = Watched(site_id=live_world.sites["Office Dublin"])
        rule = alerts.add_rule(
            change, owner, "Office is silent", "offline", office, {"escalate_min": 30}
        )
        alerts.use_channels(change, rule, [mail.id], [hook.id])
        load = {"quantity": "aP", "limit": 60000.0, "unit": "W", "consecutive": 3}
        alerts.add_rule(change, owner, "Load too high", "threshold", Watched(), load)
        off = alerts.add_rule(
            change, owner, "Budget", "cumulated", Watched(),
            {"quantity": "pC", "limit": 1500.0, "price_per_kwh": 0.285, "currency": "€"},
        )  # fmt: skip
        alerts.enable_rule(change, off, enabled=False)
    go_silent(live_world, "gas")
    live_world.extra["feed"].end(live_world.point("gas").series, live_world.now[0])
    go_silent(live_world, "main", "hvac", "water")
    live_world.now[0] += 120_000
    go_silent(live_world, "outdoor")
    (channel, *_) = notifier.desk.channels(owner)
    notifier.desk.test_channel(channel, "A. Lee")
    notifier.courier.dispatch()
    live_world.extra["paths"] = [
        "/notifications", "/notifications/history", f"/organization/{owner}/rules",
        f"/organization/{owner}/rules/{rule.id}", f"/organization/{owner}/rules/new",
        f"/organization/{owner}/channels", f"/organization/{owner}/channels/new",
        f"/organization/{owner}/channels/{hook.id}",
    ]  # fmt: skip
    return live_world


@pytest.mark.parametrize("number", range(8))
def test_axe_finds_no_barrier_and_nothing_is_too_wide(
    told: World, watched: Page, axe_source: str, number: int
) -> None:
    """WCAG 2.2 AA in both themes, from the smallest phone to a wall screen."""
    page = watched.open(told.extra["paths"][number])
    page.wait_for_selector("html[data-live=on]")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        for details in page.locator("main details").all():
            details.evaluate("node => { node.open = true; }")
        assert not barriers(watched, axe_source)
        for width in (2560, 1440, 768, 390, 360):
            page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
            page.wait_for_function(FITS, arg=width)
            if OUTPUT and width in (1440, 390):
                name = f"notify-{number}-{width}-{theme}.png"
                page.screenshot(path=Path(OUTPUT) / name, full_page=True)


def test_the_bell_rings_while_a_page_is_open(told: World, watched: Page) -> None:
    """No reload: the count is there within a second or two of the alert, the list too."""
    page = watched.open("/notifications")
    page.wait_for_selector("html[data-live=on]")
    before = int(page.locator("[data-bell]").get_attribute("data-bell") or 0)
    told.now[0] += 3_600_000
    go_silent(told, "server")
    told.extra["notifier"].desk.announce()
    expect(page.locator("[data-bell]")).to_have_attribute("data-bell", str(before + 1))
    expect(page.get_by_role("heading", name="No data from Server room")).to_be_visible()


def test_an_alert_is_acknowledged_by_keyboard(told: World, watched: Page) -> None:
    """Tab to it, press Enter: somebody takes care."""
    page = watched.open("/notifications")
    before = int(page.locator("[data-bell]").get_attribute("data-bell") or 0)
    button = page.get_by_role("button", name="Acknowledge").first
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-bell]")).to_have_attribute("data-bell", str(before - 1))
    expect(page.get_by_text("A. Lee takes care since").first).to_be_visible()


def test_a_form_shows_what_its_choice_needs(told: World, watched: Page) -> None:
    """A rule about silence asks for no limit; an SMS asks for no web address."""
    page = watched.open(told.extra["paths"][4])
    expect(page.get_by_label("Limit")).to_have_count(2)
    expect(page.locator("#limit")).to_be_hidden()
    page.get_by_label("Kind").select_option("threshold")
    expect(page.locator("#limit")).to_be_visible()
    expect(page.locator("#wait")).to_be_hidden()
    page = watched.open(told.extra["paths"][6])
    expect(page.locator("#to")).to_be_visible()
    page.get_by_label("Delivers by").select_option("sms")
    expect(page.locator("#to")).to_be_hidden()
    expect(page.locator("#phone")).to_be_visible()


def test_removing_asks_first(told: World, watched: Page) -> None:
    """One press by mistake removes nothing."""
    page = watched.open(told.extra["paths"][2])
    count = page.locator("[data-rule]").count()
    asked, pressed = page.get_by_role("dialog"), page.get_by_role("button", name="Remove Budget")
    pressed.click()
    asked.get_by_role("button", name="Leave it as it is").click()
    expect(asked).to_be_hidden()
    page.reload()
    expect(page.locator("[data-rule]")).to_have_count(count)
    pressed.click()
    asked.get_by_role("button", name="Remove").click()
    expect(page.locator("[data-rule]")).to_have_count(count - 1)
