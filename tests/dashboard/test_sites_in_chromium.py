"""The pages of a site in a real browser: no barrier, hours painted by mouse and by keyboard."""

from __future__ import annotations

from datetime import date

import pytest
from playwright.sync_api import expect

from kilowatch.catalog import Actor, facts, prices, site_calendar
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.model.opening import week_of_text
from tests.dashboard.conftest import Watched
from tests.dashboard.test_estate_in_chromium import fill
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser


def furnish(world: World) -> Site:
    """Give the office prices, a factor, days and opening hours."""
    point = world.point("main")
    with world.catalog.change(Actor("test")) as change:
        site = change.session.get_one(Site, point.site_id)
        whole = change.session.get_one(Organisation, point.organisation_id)
        site_calendar.set_opening(change, site, week_of_text("Mon-Fri 07-19"), None)
        if prices.prices(change.session, whole.id):
            return site  # the world is shared by this file's tests
        prices.set_price(
            change, whole, PriceDraft("electricity", 0.264, "Contract", date(2026, 1, 1))
        )
        factor = CarbonDraft("electricity", 0.25, "Grid, rounded", "location-based")
        prices.set_carbon(change, whole, factor)
        own = PriceDraft("gas", 0.94, "Invoice of March", None, "m3")
        prices.set_price(change, whole, own, site=site)
        site_calendar.add_days(change, site, "Closure", date(2026, 12, 24), opened=False)
    return site


def opening(world: World, site: Site) -> str:
    """Return the opening hours of a site as they are stored."""
    with world.catalog.reading() as session:
        facts.read_site(session, site)
        return site_calendar.openings(session, site.id)[-1].hours


def test_opening_hours_are_painted_with_the_keyboard_alone(
    live_world: World, watched: Watched
) -> None:
    """One stop for Tab, arrows move, space toggles, Shift with an arrow paints on."""
    site = furnish(live_world)
    page = watched.open(fill("/admin/sites/{site}/calendar", live_world))
    boxes = page.locator(".week input")
    expect(page.locator(".week input[tabindex='0']")).to_have_count(1)
    first = page.get_by_label("Mon 7:00", exact=True)
    expect(first).to_be_checked()
    page.get_by_role("button", name="Never open").focus()
    page.keyboard.press("Tab")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Mon 6:00", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("ArrowUp")
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Mon 0:00", exact=True)).to_be_focused()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_label("Sun 0:00", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    assert boxes.count() == 168
    page.get_by_role("button", name="Save opening hours").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    assert opening(live_world, site) == "Mon 05-19, Tue-Fri 07-19, Sun 00-01"


def test_opening_hours_are_painted_with_a_mouse(live_world: World, watched: Watched) -> None:
    """A drag opens what it passes; from an open box it closes. A single click is one box."""
    site = furnish(live_world)
    page = watched.open(fill("/admin/sites/{site}/calendar", live_world))
    page.get_by_role("button", name="Never open").click()
    page.get_by_label("Sat 9:00", exact=True).scroll_into_view_if_needed()

    def drag(first: str, last: str) -> None:
        start = page.get_by_label(first, exact=True).bounding_box()
        end = page.get_by_label(last, exact=True).bounding_box()
        assert start is not None
        assert end is not None
        page.mouse.move(start["x"] + 8, start["y"] + 8)
        page.mouse.down()
        page.mouse.move(end["x"] + 8, end["y"] + 8, steps=20)
        page.mouse.up()

    drag("Sat 9:00", "Sat 12:00")
    drag("Sat 12:00", "Sat 12:00")
    page.get_by_label("Sun 11:00", exact=True).click()
    page.get_by_role("button", name="Save opening hours").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")
    assert opening(live_world, site) == "Sat 09-12, Sun 11-12"


def test_a_price_is_removed_after_a_question(live_world: World, watched: Watched) -> None:
    """One press by mistake removes nothing; the question names what would go."""
    site = furnish(live_world)
    with live_world.catalog.change(Actor("test")) as change:
        whole = change.session.get_one(Organisation, site.organisation_id)
        own = change.session.get_one(Site, site.id)
        draft = PriceDraft("water", 2.345, "Asked first", None, "m3")
        prices.set_price(change, whole, draft, site=own)
    page = watched.open(fill("/admin/sites/{site}/prices", live_world))
    rows, row = page.locator("[data-row]"), page.locator("[data-row]", has_text="Asked first")
    pressed = row.get_by_role("button", name="Remove 2.345")
    count = rows.count()
    asked = page.get_by_role("dialog", name="Remove Water, 2.345")
    pressed.click()
    expect(asked).to_contain_text("What was before it holds again.")
    page.keyboard.press("Escape")
    expect(asked).to_be_hidden()
    expect(pressed).to_be_focused()
    page.reload()
    expect(rows).to_have_count(count)
    pressed.click()
    asked.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status")).to_contain_text("Removed.")
    expect(rows).to_have_count(count - 1)
