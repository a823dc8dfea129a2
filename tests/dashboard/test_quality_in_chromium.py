"""The pages of Data quality in a real browser: no barrier, narrow, by keyboard, live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Watched
from tests.dashboard.fakes import Status
from tests.dashboard.quality_house import span, with_gaps
from tests.dashboard.test_pages_in_chromium import FITS, barriers
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser
OUTPUT = os.environ.get("KILOWATCH_TEST_OUTPUT")
PATHS = {
    "all": "/quality?year=2026&month=11&day=2026-11-08",
    "search": "/quality?year=2026&q=nothing+of+that+name",
    "main": "/quality/{main}?month=11",
    "day": "/quality/{main}?month=11&day=2026-11-08",
    "gas": "/quality/{gas}",
    "never": "/quality/{new}",
    "fill": "/quality/{main}/correct?kind=fill&from_ms={from_ms}&to_ms={to_ms}",
    "exchange": "/quality/{gas}/meter?kind=exchange&channel=value&last=9981&at_ms={from_ms}",
    "rules": "/quality/{main}/rules",
}


@pytest.fixture(scope="module")
def furnished(live_world: World) -> World:
    """Give the organisation gaps in every state, findings and corrections."""
    return with_gaps(live_world)


def address(world: World, path: str) -> str:
    """Return a path with the numbers of this world."""
    numbers = {name: point.id for name, point in world.points.items()}
    from_ms, to_ms = span(world, 1.25, 3)
    return path.format(**numbers, from_ms=from_ms, to_ms=to_ms)


@pytest.mark.parametrize("name", PATHS)
def test_axe_finds_no_barrier_and_nothing_is_too_wide(
    furnished: World, watched: Watched, axe_source: str, name: str
) -> None:
    """WCAG 2.2 AA in both themes, from the smallest phone to a wall screen."""
    page = watched.open(address(furnished, PATHS[name]))
    page.wait_for_selector("html[data-live=on]")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        page.set_viewport_size({"width": 1440, "height": 900})
        if OUTPUT:
            page.screenshot(path=Path(OUTPUT) / f"quality-{name}-1440-{theme}.png", full_page=True)
        for details in page.locator("main details").all():
            details.evaluate("node => { node.open = true; }")
        assert not barriers(watched, axe_source)
        for width in (2560, 1440, 768, 390, 360):
            page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
            page.wait_for_function(FITS, arg=width)
        for details in page.locator("main details").all():
            details.evaluate("node => { node.open = false; }")
        if OUTPUT:
            page.set_viewport_size({"width": 390, "height": 844})
            page.screenshot(path=Path(OUTPUT) / f"quality-{name}-390-{theme}.png", full_page=True)


def test_a_gap_is_filled_by_keyboard(furnished: World, watched: Watched, axe_source: str) -> None:
    """From the calendar to the day, to the gap, to the form, to the preview, to the history."""
    point = furnished.point("main")
    page = watched.open("/quality?year=2026")
    page.wait_for_selector("html[data-live=on]")
    day = page.get_by_role("link", name="8 November 2026: ")
    day.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gaps of 8 November 2026")).to_be_visible()
    page.locator("#day").get_by_role("link", name="Main supply").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{furnished.url}/quality/{point.id}?day=2026-11-08#gaps")
    page.locator("#gaps tbody").get_by_role("link", name="Fill").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#from")).to_have_value("2026-11-08T08:00")
    page.keyboard.press("Escape")
    page.locator("#comment").focus()
    page.keyboard.type("Router was replaced.")
    page.get_by_role("button", name="Show what it changes").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Fill")).to_be_visible()
    expect(page.locator("tr[data-day='2026-11-08']")).to_be_visible()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        assert not barriers(watched, axe_source)
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(FITS, arg=width)
            if OUTPUT:
                name = f"quality-preview-{width}-{theme}.png"
                page.screenshot(path=Path(OUTPUT) / name, full_page=True)
    page.get_by_role("button", name="Apply").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("Filled.")
    expect(page.locator("#history")).to_contain_text("Router was replaced.")


def test_the_page_follows_while_figures_are_computed(furnished: World, watched: Watched) -> None:
    """Progress is shown and goes by itself when it is done: nobody reloads."""
    point = furnished.point("chiller")
    furnished.view.statuses[point.series] = Status(point.series, recomputing=0.4)
    page = watched.open(f"/quality/{point.id}")
    expect(page.locator("[data-settling] progress")).to_have_attribute("value", "40")
    furnished.view.statuses[point.series] = Status(point.series, recomputing=0.8)
    expect(page.locator("[data-settling] progress")).to_have_attribute("value", "80")
    furnished.view.statuses[point.series] = Status(point.series)
    expect(page.locator("[data-settling]")).to_have_count(0)
