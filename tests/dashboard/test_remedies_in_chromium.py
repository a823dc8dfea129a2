"""Acting on what arrived, in a real browser: no barrier, by keyboard, on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FilePayload, Page, expect

from kilowatch.catalog import meter_events, point_settings
from kilowatch.catalog.tables import DataPoint
from kilowatch.model.findings import Finding
from tests.dashboard.conftest import Watched
from tests.dashboard.fakes import Status
from tests.dashboard.test_attributes import packet
from tests.dashboard.test_backfilling import conflict
from tests.dashboard.test_pages_in_chromium import FITS, barriers
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser

PAGES = (
    "/attributes/{point}", "/admin/data-points/{point}", "/quality/{point}/meter?kind=exchange",
    "/admin/sites/{site}", "/organization/{acme}/import",
)  # fmt: skip


@pytest.fixture(scope="module")
def busy(live_world: World) -> World:
    """Fill a data point with everything that a person can act on."""
    world, point = live_world, live_world.point("main")
    for ago in (10, 40, 30):
        world.push("main", packet(world, "main", ago, aP_1=100.0 + ago))
    world.view.waiting[point.series] = [conflict(world, 40, 180.0, 1), conflict(world, 30, 1.0, 2)]
    remedy = {"setting": "interval_s", "value": 900}
    world.view.statuses[point.series] = Status(
        point.series,
        ignored={"aP1": 2},
        findings=(
            Finding("interval.longer", "Every 15 min.", data={"mark": "1", "remedy": remedy}),
            Finding("register.fell", "pC_1 fell.", 1, 25),
        ),
        recomputing=0.4,
    )  # fmt: skip
    world.view.dismissed[point.series] = (Finding("phases.idle", "Idle.", data={"mark": "2"}),)
    with world.catalog.change(world.catalog_actor()) as change:
        row = change.session.get_one(DataPoint, point.id)
        at_ms = world.now[0] - 5 * 86_400_000
        point_settings.change_from(change, row, {"ct_ratio": 40.0}, at_ms, comment="200/5 A")
        meter_events.exchange(change, row, at_ms, {"pC_1": (48211.5, 0.0)})
    return world


def nothing_in_the_way(watched: Watched, source: str) -> None:
    """Check the page that is open in both themes and on a small phone."""
    page = watched.page
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert not barriers(watched, source)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate(FITS, 360)
    page.set_viewport_size({"width": 1440, "height": 900})


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_barrier_and_a_phone_is_wide_enough(
    busy: World, watched: Watched, axe_source: str, path: str
) -> None:
    """WCAG 2.2 AA in both themes with everything there is to act on, and 360 px are enough."""
    point = busy.point("main")
    page = watched.open(path.format(point=point.id, site=point.site_id, acme=point.organisation_id))
    page.wait_for_load_state("load")
    if path.startswith("/attributes"):
        page.wait_for_selector("html[data-live=on]")
    nothing_in_the_way(watched, axe_source)


def test_packets_are_chosen_and_put_in_by_keyboard(busy: World, watched: Watched) -> None:
    """Tick one, say why, press the button: a new packet does not wipe what is being filled in."""
    point, page = busy.point("main"), watched.open(f"/attributes/{busy.point('main').id}")
    page.wait_for_selector("html[data-live=on]")
    box = page.locator("#kept input[name=kept]").first
    box.focus()
    page.keyboard.press("Space")
    page.locator("h1").click()  # the focus is elsewhere now
    busy.view.announce(point.series)
    page.wait_for_timeout(1500)
    expect(box).to_be_checked()
    page.locator("#kept input[name=reason]").fill("the gateway was away")
    page.get_by_role("button", name="Backfill selected").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("put into the history")
    assert busy.extra["past"].asked[-1][-1] == "the gateway was away"


def test_a_file_goes_in_by_keyboard_after_a_look(
    busy: World, watched: Watched, axe_source: str
) -> None:
    """Choose a file, name its data point, see what would happen, say why, put it in."""
    base = f"/organization/{busy.point('gas').organisation_id}/import"
    page = watched.open(base)
    rows = [f"{day:02}.10.2026 {hour:02}:00;{hour},5" for day in range(1, 9) for hour in range(24)]
    content = "\n".join(["Zeit;Zähler", *rows, "01.10.2026 00:00;7", "01.10.2026 01:00;x"])
    file = FilePayload(name="gas.csv", mimeType="text/csv", buffer=content.encode())
    page.set_input_files("#file", files=[file])
    press(page, "Go on to the columns")
    expect(page.locator("h1")).to_have_text("gas.csv")
    nothing_in_the_way(watched, axe_source)
    page.locator("#stream").fill("acme-gas")
    press(page, "See what would happen")
    expect(page.locator("[data-count=new]")).to_have_text("192")
    expect(page.locator("[data-count=conflicting]")).to_have_text("1")
    nothing_in_the_way(watched, axe_source)
    page.locator("main input[name=reason]").fill("read from paper")
    press(page, re.compile("Put 192 new readings in"))
    expect(page.locator(".notice.good")).to_contain_text("The file is in the history.")
    nothing_in_the_way(watched, axe_source)


def press(page: Page, name: str | re.Pattern[str]) -> None:
    """Press a button from the keyboard."""
    page.get_by_role("button", name=name).focus()
    page.keyboard.press("Enter")
