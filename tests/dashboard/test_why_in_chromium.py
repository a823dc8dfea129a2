"""Where a number comes from, as a person asks it: on every page that has figures, one dialog."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Watched
from tests.dashboard.insight_world import furnish
from tests.dashboard.test_level import wire
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser
ASKED: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "/heatmap/{main}?period=month&date=2026-11-01", "#heat[data-ready]",
        "#facts .tile:nth-child(2) .why",
        ("The highest mean over a cell", "Main supply (acme-main)", "cells of 30 minutes"),
    ),
    (
        "/profile/{main}?period=month&date=2026-11-01", "#profile[data-ready]",
        "#facts .tile:nth-child(5) .why",
        ("Mean demand divided by peak demand", "Adds up from", "Peak demand", "15 minutes"),
    ),
    (
        "/breakdown/site/{site}?period=month&date=2026-11-01&worth=money",
        "#breakdown[data-ready]", "#statistics tbody tr:nth-child(3) .why",
        ("none of its submeters saw", "less its 2 submeters", "HVAC (acme-hvac)", "EUR/kWh"),
    ),
    (
        "/flow?place=s{site}", "#flow[data-ready]", "#facts .tile:last-child .why",
        ("none of its submeters saw", "Main supply", "−", "30 intervals of 1 day"),
    ),
    (
        "/compare?items=s{site}", "#compare[data-ready]", "#ranking .why",
        ("What its supplies counted", "EUR/kWh", "SEAI 2024", "days have data", "against"),
    ),
    (
        "/", "li.card:has([href='/site/{site}']) table.stands",
        "li.card:has([href='/site/{site}']) table.stands .why",
        ("What the supplies counted, hour by hour", "expected of the same hours", "Main supply"),
    ),
    (
        "/waste?place=s{site}", ".facts-row", ".facts-row .tile:nth-child(2) .why",
        ("more was used than was needed", "HVAC", "0.2187 EUR/kWh (contract 2026)"),
    ),
    (
        "/forecast?point={main}", ".facts-row", ".facts-row .why",
        ("the middle of the forecast", "measured so far", "still to come"),
    ),
)  # fmt: skip
"""Page, what it is ready by, the button, and what the dialog then says.

Of several cards that fill themselves, each asks for its own figures: whichever comes first is
not the one to ask.
"""


def test_each_number_says_where_it_comes_from(
    live_world: World, watched: Watched, axe_source: str
) -> None:
    """Opened with a click, read, closed with Escape, the focus back where it was."""
    furnish(live_world, 40)
    wire(live_world, priced=False)
    places = {"main": live_world.point("main").id, "site": live_world.sites["Office Dublin"]}
    for path, ready, selector, words in ASKED:
        page = watched.open(path.format(**places))
        page.locator(ready.format(**places)).first.wait_for()
        asked = page.locator(selector.format(**places)).first
        asked.wait_for()
        alone = "all => all.filter(one => !one.parentElement.matches('.tied')).length"
        assert page.locator("main .why").evaluate_all(alone) == 0, "it may begin a line"
        asked.click()
        box = page.locator("dialog.why-box")
        expect(box).to_be_visible()
        for word in words:
            expect(box, path).to_contain_text(word)
        if path.startswith("/compare"):
            for theme in ("dark", "light"):
                page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
                expect(page.locator("html")).to_have_attribute("data-theme", theme)
                assert not barriers(watched, axe_source)
        page.keyboard.press("Escape")
        expect(box).to_be_hidden()
        expect(asked).to_be_focused()
