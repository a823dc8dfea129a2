"""Administration in a real browser: no barrier, by keyboard, on a phone, and files as files."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from kilowatch import catalog as catalogs
from kilowatch.catalog import handing_over, sheets
from kilowatch.catalog.startup import Wishes
from tests.dashboard.conftest import Watched
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import KEY, World

pytestmark = pytest.mark.browser


def fill(path: str, world: World) -> str:
    """Put the numbers of this world into a path."""
    point = world.point("main")
    nodes = world.app.state.rooms.registry.directory()
    assert nodes.by_id(point.id) is not None
    return path.format(
        acme=point.organisation_id, site=point.site_id, point=point.id, meter=1,
        credential=world.credential.id,
    )  # fmt: skip


def test_a_table_goes_in_by_keyboard_after_a_look(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """Choose a file, see what is wrong, choose the corrected one, apply: the tree has it."""
    page = watched.open(fill("/admin/organizations/{acme}/import", live_world))
    columns = ("stream_id", "name", "site", "interval")
    wrong = sheets.write(columns, [("lift", "Lift", "Office Dublin", "often")])
    right = sheets.write(columns, [("lift", "Lift", "Office Dublin", "5m")], ";")
    for content in (wrong, right):
        file = FilePayload(name="estate.csv", mimeType="text/csv", buffer=content)
        page.set_input_files("#file", files=[file])
        page.get_by_role("button", name="Look what it would do").focus()
        page.keyboard.press("Enter")
        if content is wrong:
            expect(page.get_by_role("status")).to_contain_text("Lines that are wrong: 1")
            assert not barriers(watched, axe_source)
            page.get_by_role("button", name="Choose another file").focus()
            page.keyboard.press("Enter")
            page.wait_for_selector("#file")
    expect(page.get_by_role("status")).to_contain_text("This adds 1")
    assert not barriers(watched, axe_source)
    page.get_by_role("button", name="Apply all of it").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Data points added: 1")
    expect(page.locator("#tree")).to_contain_text("Lift")


def test_the_token_of_a_link_never_reaches_an_address_or_a_log(
    live_world: World, browser: Browser, axe_source: str
) -> None:
    """It stands behind “#”, goes into the form, and the address in the browser forgets it."""
    with live_world.catalog.change(catalogs.Actor("test")) as change:
        handed = handing_over.hand_over(change, KEY, "Bakery", "owner@bakery.ie", Wishes())
    context = browser.new_context()
    watched = Watched(context.new_page(), live_world.url)
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url))
    page = watched.open(f"/startup#{handed.token}")
    expect(page.locator("#token")).to_be_hidden()
    assert page.url == f"{live_world.url}/startup"
    page.get_by_role("button", name="Open it").click()
    expect(page.locator("#username")).to_have_text(re.compile("kw-bakery-"))
    assert not barriers(watched, axe_source)
    assert not [url for url in asked if handed.token in url.partition("#")[0]]
    assert not watched.faults
    context.close()


def test_where_a_form_is_wrong_the_cursor_stands(live_world: World, watched: Watched) -> None:
    """The zone is marked, named to a screen reader, and ready to be typed in."""
    page = watched.open(fill("/admin/sites/{site}", live_world))
    page.fill("#zone", "Dublin")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#zone-problem")).to_contain_text("Did you mean Europe/Dublin?")
    expect(page.locator("#zone")).to_be_focused()
    watched.faults[:] = [fault for fault in watched.faults if "422" not in fault]
