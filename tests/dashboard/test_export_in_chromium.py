"""Export in a real browser: chosen, seen, taken along in each format, fetched by a link."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import Watched
from tests.dashboard.test_pages_in_chromium import FITS, barriers
from tests.dashboard.worlds import PASSWORD, World

pytestmark = pytest.mark.browser

MARKS = {
    "CSV": b"start_local,start_utc,",
    "Excel": b"PK\x03\x04",
    "Parquet": b"PAR1",
    "Tableau": b"",
}


def take_along(page: Page) -> None:
    """Press the button of each format, and look into what comes."""
    for name, mark in MARKS.items():
        button = page.get_by_role("button", name=re.compile(f"^{name}"))
        if name == "Tableau" and button.is_disabled():
            expect(page.locator("#no-tableau")).to_contain_text("pip install")
            continue
        with page.expect_download() as taken:
            button.click()
        content = Path(taken.value.path()).read_bytes()
        assert content.startswith(mark), name
        assert len(content) > 2_000


def fetch_by_a_link(live_world: World, watched: Watched, axe_source: str) -> None:
    """Make a link of what is chosen, fetch it as Excel does, and revoke it."""
    page = watched.page
    page.get_by_label("Period").select_option("custom")
    page.get_by_label("Period").select_option("this_year")
    page.get_by_role("button", name="Make a refreshable link").click()
    page.get_by_label("What it is for").fill("Monthly report")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Make the link").click()
    token = page.locator("#link-token").inner_text().strip()
    path = "/export/link/" + page.locator("#link-address").inner_text().strip().rpartition("/")[2]
    assert not barriers(watched, axe_source)
    encoded = base64.b64encode(f"kilowatch:{token}".encode()).decode()
    with httpx.Client(base_url=live_world.url) as excel:
        assert excel.get(path).status_code == 401
        answer = excel.get(path, headers={"authorization": f"Basic {encoded}"})
        assert answer.text.startswith("start_local,start_utc,half_hour,")
        page.goto(f"{watched.url}/export/links")
        revoke = page.get_by_role("button", name="Revoke Monthly report")
        question = page.get_by_role("dialog", name="Revoke the link Monthly report?")
        revoke.click()
        expect(question).to_be_visible()
        assert not barriers(watched, axe_source)
        page.keyboard.press("Escape")
        expect(question).to_be_hidden()
        expect(revoke).to_be_focused()
        assert excel.get(path, headers={"authorization": f"Basic {encoded}"}).status_code == 200
        page.keyboard.press("Enter")
        expect(question.get_by_role("button", name="Leave it as it is")).to_be_focused()
        page.keyboard.press("Tab")
        expect(question.get_by_role("button", name="Revoke")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_text("The link is revoked.")).to_be_visible()
        over = excel.get(path, headers={"authorization": f"Basic {encoded}"})
        assert over.status_code == 401
        assert over.headers["www-authenticate"].startswith("Basic ")


def test_figures_are_chosen_taken_along_and_fetched_by_a_link(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """From Breakdown to Export, four files, a link for Excel, and its end; nobody is kept out."""
    main = live_world.point("main").id
    page = watched.open(f"/breakdown/{main}")
    page.get_by_role("link", name="Export", exact=True).first.click()
    expect(page.get_by_role("heading", name="Take it along")).to_be_visible()
    assert f"place=p{main}" in page.url
    page.get_by_label("Search data points and sites").fill("gas")
    page.get_by_label("Gas boiler").check()
    page.get_by_label("Period").select_option("last_7_days")
    page.get_by_label("Granularity").select_option("30m")
    page.get_by_label("Number of the half hour").check()
    page.get_by_label("Active power", exact=True).check()
    expect(page.locator("#preview")).to_contain_text("half_hour")
    expect(page.locator("#preview")).to_contain_text("aP")
    page.get_by_label("Value of single meters").check()
    expect(page.locator("#preview")).to_contain_text("acme-gas")
    expect(page.get_by_label("Active power", exact=True)).to_be_checked()
    page.wait_for_url(re.compile("half_hours"))
    seen = page.url
    page.reload()
    expect(page.locator("#preview")).to_contain_text("half_hour")
    assert page.url == seen, "a colleague who opens the address sees the same"
    expect(page.get_by_label("Gas boiler")).to_be_checked()
    take_along(page)
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert not barriers(watched, axe_source)
    for width in (1100, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS, arg=width)
    page.set_viewport_size({"width": 1440, "height": 900})

    fetch_by_a_link(live_world, watched, axe_source)
    assert live_world.app.state.rooms.exports.running == 0
