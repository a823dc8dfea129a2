"""The pages of charts in a real browser: seen, clicked, by keyboard alone, on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from kilowatch import catalog as catalogs
from kilowatch.catalog import tables
from tests.dashboard.conftest import Watched
from tests.dashboard.test_pages_in_chromium import FITS, barriers
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser

WIDTHS = (1920, 1100, 768, 360)


def without_barriers(watched: Watched, axe_source: str) -> None:
    """WCAG 2.2 AA in both themes, and never wider than the window."""
    page = watched.page
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert not barriers(watched, axe_source)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITS, arg=width)
    page.set_viewport_size({"width": 1440, "height": 900})


def colour(page: Page, x: float, y: float) -> list[int]:
    """Return the colour that a person sees at a place of the heat map, from 0 to 1 in each way."""
    found: list[int] = page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector("#heat canvas");
          const ratio = canvas.width / canvas.clientWidth;
          const left = 48 + x * (canvas.clientWidth - 56), top = 8 + y * 432;
          const at = [Math.floor(left * ratio), Math.floor(top * ratio), 1, 1];
          const copy = new OffscreenCanvas(canvas.width, canvas.height);
          const pen = copy.getContext("2d", { willReadFrequently: true });
          pen.drawImage(canvas, 0, 0);
          return [...pen.getImageData(...at).data];
        }""",
        [x, y],
    )
    return found


def test_the_heat_map_leads_to_the_day(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """Drawn, told beside the pointer, clicked; the same by keyboard; a table and a file."""
    main = live_world.point("main").id
    page = watched.open(f"/breakdown/{main}")
    page.get_by_role("link", name="Heat map").click()
    page.wait_for_selector("#heat[data-ready]")
    expect(page.locator("#facts")).to_contain_text("Highest cell")
    page.locator("#period").select_option("month")
    page.wait_for_selector("#heat[data-ready]")
    page.get_by_role("link", name="Previous period").click()
    page.wait_for_selector("#heat[data-ready]")
    expect(page.get_by_role("heading", name="October 2026")).to_be_visible()
    expect(page.locator("#heat-notes")).to_contain_text("an hour came twice")
    night, noon = colour(page, 13.5 / 31, 3.25 / 24), colour(page, 13.5 / 31, 13.25 / 24)
    assert sum(noon[:3]) < sum(night[:3]), "more is darker on a light page"
    first, second = colour(page, 24.5 / 31, 1.2 / 24), colour(page, 24.5 / 31, 1.8 / 24)
    assert first[3] == second[3] == 255, "both hours of the doubled one are drawn"
    keys = page.locator("#heat-keys")
    box = keys.bounding_box()
    assert box
    at = {"x": 48 + (box["width"] - 56) * 13.5 / 31, "y": 8 + 432 * 13.25 / 24}
    keys.hover(position={"x": at["x"], "y": at["y"]})
    expect(page.locator(".hover")).to_contain_text("Wed 14 Oct 2026")
    expect(page.locator(".hover")).to_contain_text("kW")
    without_barriers(watched, axe_source)
    keys.click(position={"x": at["x"], "y": at["y"]})
    page.wait_for_selector("#breakdown[data-ready]")
    expect(page.locator("[data-period-label]")).to_contain_text("14 October 2026")
    page.go_back()
    page.wait_for_selector("#heat[data-ready]")
    page.locator(".segments", has=page.locator("input[data-view=heat]")).get_by_text(
        "Table"
    ).click()
    rows = page.locator("#heat-table tbody tr")
    expect(rows).to_have_count(31)
    autumn = page.locator("#heat-table tbody tr", has_text="Sun 25 Oct 2026")
    expect(autumn.locator("td").nth(2)).to_have_text(re.compile(r"^[\d.]+ / [\d.]+$"))
    with page.expect_download() as file:
        page.get_by_role("link", name="CSV").click()
    assert file.value.suggested_filename == "main-supply-ap-2026-10-01-60min.csv"


def test_the_heat_map_by_keyboard_alone(live_world: World, watched: Watched) -> None:
    """Arrows go from cell to cell and say what is there; Enter opens the day."""
    page = watched.open(f"/heatmap/{live_world.point('main').id}?period=month&date=2026-11-01")
    page.wait_for_selector("#heat[data-ready]")
    page.locator("[data-export]").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#heat-keys")).to_be_focused()
    expect(page.locator("#heat-told")).to_contain_text("Mon 9 Nov 2026")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#heat-told")).to_contain_text("Sun 8 Nov 2026, 12:00 – 12:30")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#heat-told")).to_contain_text("12:30 – 13:00")
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    for _ in range(2):
        page.keyboard.press("ArrowUp")
    expect(page.locator("#heat-told")).to_contain_text("10:30 – 11:00, no data")
    page.keyboard.press("Enter")
    page.wait_for_selector("#breakdown[data-ready]")
    expect(page.locator("[data-period-label]")).to_contain_text("8 November 2026")


def test_the_heat_map_says_when_it_can_not_be_loaded(live_world: World, watched: Watched) -> None:
    """One sentence and a button; trying again draws it."""
    page = watched.page
    page.route("**/data/heatmap?*", lambda route: route.abort())
    watched.open(f"/heatmap/{live_world.point('gas').id}")
    expect(page.locator("#chart-failed")).to_contain_text("could not be loaded")
    page.unroute("**/data/heatmap?*")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#heat[data-ready]")
    expect(page.locator("#chart-failed")).to_be_hidden()
    watched.faults.clear()


def test_the_load_profile_leads_to_its_peaks(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """Four typical days, the curve, ten peak days; two months compared; a click opens a peak."""
    main = live_world.point("main").id
    page = watched.open(f"/heatmap/{main}")
    page.get_by_role("link", name="Load profile").click()
    page.wait_for_selector("#profile[data-ready]")
    expect(page.locator("#typical svg")).to_have_count(4)
    expect(page.locator("#typical h3")).to_have_text(
        ["Weekday", "Saturday", "Sunday", "Holiday or closed"]
    )
    expect(page.locator("#peaks tbody tr")).to_have_count(10)
    expect(page.locator("#compared")).to_be_hidden()
    page.locator("#typical svg").first.hover(position={"x": 300, "y": 100})
    expect(page.locator("#typical .hover").first).to_contain_text("Half of the days")
    page.locator("#period").select_option("month")
    page.wait_for_selector("#profile[data-ready]")
    page.locator("#against").select_option("before")
    page.wait_for_selector("#profile[data-ready]")
    expect(page.locator("#compared tbody tr", has_text="Near-base load")).to_contain_text("%")
    expect(page.locator("#other-name")).to_have_text("October 2026")
    assert "against=before" in page.url
    without_barriers(watched, axe_source)
    page.locator("label", has=page.locator("input[name=profile][value=table]")).click()
    expect(page.locator("#profile-table tbody tr").first).to_be_visible()
    page.locator("#peaks a").first.click()
    page.wait_for_selector("#breakdown[data-ready]")
    expect(page.locator("[data-period-label]")).to_contain_text("November 2026")


def test_the_energy_flow_leads_to_the_meters(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """From the navigation to a site's flow, its table and its file; a click opens a meter."""
    with live_world.catalog.change(catalogs.Actor("test")) as change:
        for name in ("hvac", "server"):
            row = change.session.get(tables.DataPoint, live_world.point(name).id)
            assert row is not None
            row.parent_id = live_world.point("main").id
    page = watched.open("/")
    page.get_by_role("link", name="Energy flow").click()
    page.wait_for_selector("#flow[data-ready]")
    page.locator("#place").select_option(label="Office Dublin")
    page.wait_for_selector("#flow[data-ready]")
    expect(page.locator("#flow .flow-node", has_text="Unmetered")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("Unmetered")
    without_barriers(watched, axe_source)
    page.locator("label", has=page.locator("input[name=flow][value=table]")).click()
    rows = page.locator("#flow-rows tbody tr")
    expect(rows.first).to_contain_text("Supply")
    figures = {
        row.locator("th .deep").inner_text(): float(
            row.locator("td.num").first.get_attribute("data-value") or 0
        )
        for row in rows.all()
    }
    parts = figures["HVAC"] + figures["Server room"] + figures["Unmetered"]
    assert parts == pytest.approx(figures["Main supply"])
    assert not barriers(watched, axe_source)
    page.locator("#utility").select_option(label="Gas")
    page.wait_for_selector("#flow[data-ready]")
    expect(page.locator("#flow")).to_contain_text("m³")
    page.locator("#flow a", has_text="Gas boiler").click()
    page.wait_for_selector("#breakdown[data-ready]")
    expect(page.locator("h1")).to_contain_text("Gas boiler")
    assert "period=month" in page.url


def test_compare_ranks_what_is_chosen(live_world: World, watched: Watched, axe_source: str) -> None:
    """Sites side by side; one out, a data point found and added; per square metre; a table."""
    page = watched.open("/")
    page.get_by_role("link", name="Compare").click()
    page.wait_for_selector("#compare[data-ready]")
    expect(page.locator("#ranking tbody tr")).to_have_count(2)
    expect(page.locator("#ranking tbody tr").first).to_contain_text("Office Dublin")
    expect(page.locator("#compare svg .bars")).to_have_count(2)
    page.get_by_role("link", name="Take Supermarket Cork out").click()
    expect(page.locator("#ranking tbody tr")).to_have_count(1)
    page.fill("#q", "cork refrig")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Supermarket Cork — Refrigeration").click()
    expect(page.locator("#ranking tbody tr", has_text="Refrigeration")).to_be_visible()
    page.locator("#per").select_option("area")
    page.wait_for_url(re.compile("per=area"))
    row = page.locator("#ranking tbody tr", has_text="Refrigeration")
    expect(row).to_contain_text("No floor area is set.")
    expect(row.get_by_role("link", name="Set it")).to_be_visible()
    without_barriers(watched, axe_source)
    page.locator("#per").select_option("total")
    page.wait_for_url(re.compile("per=total"))
    page.wait_for_selector("#compare[data-ready]")
    page.locator("label", has=page.locator("input[data-view=compare][value=lines]")).click()
    expect(page.locator("#compare svg .line.item")).to_have_count(2)
    page.locator("label", has=page.locator("input[data-view=compare][value=table]")).click()
    expect(page.locator("#compare-table tbody tr").first).to_be_visible()
    page.reload()
    page.wait_for_selector("#compare[data-ready]", state="attached")
    expect(page.locator("#compare-table tbody tr").first).to_be_visible()
    assert "items=" in page.url
    page.locator("#ranking").get_by_role("link", name="Refrigeration").click()
    page.wait_for_selector("#breakdown[data-ready]")


def test_a_change_per_degree_day_is_one_per_degree_day(watched: Watched) -> None:
    """In a mild week a building took 10 kWh less, and per degree day far more: it says that."""

    def divided(route: Route) -> None:
        answer = route.fetch()
        data = answer.json()
        data["items"][0] |= {
            "change": 19.0, "own_compared": 200_000.0, "other_compared": 210_000.0, "compared": 7,
            "own_by": 2.0, "other_by": 42.0, "per": 100_000.0, "per_unit": "K·d",
        }  # fmt: skip
        route.fulfill(response=answer, json=data)

    watched.page.route("**/data/compare?*", divided)
    page = watched.open("/compare?period=week&date=2026-10-26")
    page.wait_for_selector("#compare[data-ready]")
    row = page.locator("#ranking tbody tr").first
    expect(row).to_contain_text("+95 kWh/(K·d)")
    expect(row).not_to_contain_text("10 kWh")


def test_compare_sets_levels_side_by_side(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """Power by its mean, as lines that begin where it does; a difference is in kilowatts."""
    page = watched.open("/compare?period=week&date=2026-10-26")
    page.wait_for_selector("#compare[data-ready]")
    page.locator("#utility").select_option("electricity:W")
    page.wait_for_url(re.compile("electricity%3AW"))
    page.wait_for_selector("#compare[data-ready]")
    expect(page.locator("#per")).to_have_count(0)
    expect(page.locator("#compare-unit")).to_have_text("kW")
    row = page.locator("#ranking tbody tr", has_text="Main supply")
    expect(row.locator("[data-label=Mean]")).to_contain_text("kW")
    expect(row.locator("[data-label=Change]")).to_contain_text(re.compile("[+−±][0-9.]+ k?W"))
    known = page.locator("#ranking [data-label=Mean][data-value]").count()
    assert known > 1
    expect(page.locator("#compare svg .line.item")).to_have_count(known)
    without_barriers(watched, axe_source)
    page.locator("label", has=page.locator("input[data-view=compare][value=table]")).click()
    expect(page.locator("#compare-table tbody tr")).to_have_count(7)
    row.get_by_role("button", name="Where").click()
    expect(page.get_by_role("dialog")).to_contain_text("The mean of its values")
