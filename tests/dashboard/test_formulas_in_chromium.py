"""The editor of formulas in a real browser: written with the keyboard, seen while it is written."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from kilowatch.catalog import formula_use
from tests.dashboard.conftest import Watched
from tests.dashboard.test_pages_in_chromium import FITS, barriers
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser


def test_a_formula_is_written_with_the_keyboard_and_seen_at_once(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """A manager types a bracket, chooses, sees figures and mistakes, and has a data point."""
    page = watched.open("/admin/data-points")
    page.get_by_role("link", name="New formula").click()
    name, text, preview = (page.locator(one) for one in ("#name", "#formula", "#formula-preview"))
    expect(preview).to_contain_text("appears here")
    name.fill("Both circuits")
    page.locator("#site").select_option(label="Office Dublin")
    text.focus()
    page.keyboard.type("[main")
    first = page.locator("#formula-names button").first
    expect(first).to_contain_text("[Main supply].energy")
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(text).to_have_value("[Main supply].energy")
    page.keyboard.type(" + [Gas boiler]")
    expect(preview).to_contain_text("m3 can't be added to kWh.")
    expect(preview.locator("mark")).to_have_text("[Gas boiler]")
    assert not barriers(watched, axe_source)
    preview.get_by_role("button", name="Go there").click()
    expect(text).to_be_focused()
    page.keyboard.type("[HVAC].energy")
    expect(preview).to_contain_text("added up over hours and days, every 5 min")
    expect(preview.locator("svg path.result")).to_have_count(1)
    expect(preview.locator("tbody tr")).to_have_count(8)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert not barriers(watched, axe_source)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate(FITS, 360)
    page.get_by_role("button", name="Create the formula").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The formula is there.")
    expect(text).to_have_value("[Main supply].energy + [HVAC].energy")
    with live_world.catalog.reading() as session:
        owner = live_world.point("main").organisation_id
        ((kept,),) = formula_use.texts_of(session, owner).values()
    main, hvac = live_world.point("main").id, live_world.point("hvac").id
    assert kept == f"#{main}.energy + #{hvac}.energy"
    text.fill("2 * [Both circuits]")
    expect(preview).to_contain_text("computed from itself")
