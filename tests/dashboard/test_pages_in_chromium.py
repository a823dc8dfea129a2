"""Every page in a real browser: no barrier that axe finds, by keyboard, narrow, in both themes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.conftest import Watched
from tests.dashboard.fakes import Last
from tests.dashboard.test_live import request
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Violations alone: what is in order, element by element, took six times as long to bring over.
AXE = """async tags => (await axe.run(document, {
    runOnly: {type: "tag", values: tags}, resultTypes: ["violations"],
})).violations"""
FITS = "width => document.documentElement.scrollWidth <= width"


def fill(path: str, world: World) -> str:
    """Put the numbers of this world into a path."""
    numbers = {name: point.id for name, point in world.points.items()}
    return path.format(site=world.sites["Office Dublin"], **numbers)


def barriers(watched: Watched, source: str) -> list[str]:
    """Return what axe finds on the page."""
    # As a string given to the debugger's own evaluation: the page's policy forbids injected tags.
    watched.page.evaluate(source)
    found = watched.page.evaluate(AXE, RULES)
    return [
        f"{one['id']}: {one['help']} at {node['target']} {node.get('failureSummary', '')}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_barrier_at_the_door(
    browser: Browser, live_world: World, axe_source: str, theme: str
) -> None:
    """The log-in page too, also after a wrong password."""
    context = browser.new_context(color_scheme="dark" if theme == "dark" else "light")
    watched = Watched(context.new_page(), live_world.url)
    page = watched.open("/login")
    assert not barriers(watched, axe_source)
    page.fill("#email", "nobody@example.com")
    page.fill("#password", "wrong")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    assert not barriers(watched, axe_source)
    context.close()


def test_everything_can_be_reached_by_keyboard(live_world: World, watched: Watched) -> None:
    """Skip link first; the tree by arrows; the calendar by arrows; the search by a slash."""
    page = watched.open(fill("/breakdown/{main}", live_world))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.locator("#tree a[aria-current]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#tree a:focus")).to_have_attribute("title", "Outdoor temperature")
    page.locator("#calendar button[value='2026-11-09']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("[data-period-label]")).to_have_text(re.compile("1 November 2026"))
    expect(page.locator("#calendar button[value='2026-11-01']")).to_be_focused()


def test_the_search_finds_by_name_and_by_stream_id(live_world: World, watched: Watched) -> None:
    """A part of a name, of a site or of an id is enough; nothing found says so."""
    page = watched.open(fill("/breakdown/{main}", live_world))
    page.fill("#search", "cork heat")
    expect(page.locator("#tree .leaf")).to_have_count(1)
    page.fill("#search", "acme-gas")
    expect(page.locator("#tree .leaf .name")).to_have_text("Gas boiler")
    page.fill("#search", "zzz")
    expect(page.locator("#tree")).to_contain_text("Nothing found")


def test_the_tree_shows_state_and_last_value_live(live_world: World, watched: Watched) -> None:
    """A value that arrives is in the tree within seconds; the state has words, not only colour."""
    page = watched.open("/")
    late = page.locator("#tree .leaf", has_text="Server room")
    expect(late.locator("[data-state-text]")).to_have_text("late")
    expect(
        page.locator("#tree .leaf", has_text="Bakery").locator("[data-state-text]")
    ).to_have_text("no data yet")
    page.wait_for_selector("html[data-live=on]")
    point = live_world.point("gas")
    live_world.view.lasts[point.series] = Last(live_world.now[0], 0, 77.0, "m3")
    live_world.view.announce(point.series)
    row = page.locator("#tree .leaf", has_text="Gas boiler")
    expect(row.locator(".last")).to_have_text("77 m³")


def test_freshness_ticks(live_world: World, watched: Watched) -> None:
    """The age of the last packet counts on by the server's clock, second by second."""
    page = watched.open(fill("/breakdown/{main}", live_world))
    text = page.locator(".bar .fresh [data-state-text]")
    expect(text).to_have_text(re.compile(r"fresh, \d"))


def test_the_theme_can_be_chosen_and_is_remembered(live_world: World, watched: Watched) -> None:
    """What the system prefers, until somebody chooses; the graph follows at once."""
    page = watched.open(fill("/breakdown/{main}", live_world))
    drawn = page.locator("#chart").get_attribute("data-drawn")
    page.locator("#menu summary").click()
    page.locator(".menu").get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.wait_for_function(f"() => document.getElementById('chart').dataset.drawn > {drawn}")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_drawer_opens_and_closes_on_a_phone(live_world: World, watched: Watched) -> None:
    """The tree waits behind a button, takes the focus, and Escape gives it back."""
    watched.page.set_viewport_size({"width": 390, "height": 844})
    page = watched.open(fill("/breakdown/{main}", live_world))
    expect(page.locator("#tree")).to_be_hidden()
    page.locator("#opener").click()
    expect(page.locator("#tree")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#opener")).to_be_focused()
    expect(page.locator("#tree")).to_be_hidden()


def test_requests_appear_as_they_arrive_with_what_to_change(
    live_world: World, watched: Watched
) -> None:
    """A 401 and a 400 are there within a second, with the reason and a corrected line to copy."""
    page = watched.open(fill("/attributes/{gas}", live_world))
    page.wait_for_selector("html[data-live=on]")
    point = live_world.point("gas")
    live_world.requests.tell(
        request(
            live_world, series=None, stream_id=point.stream_id, status=401, outcome="refused",
            detail="The password is wrong.", remedy="Copy it again, without spaces.",
        )
    )  # fmt: skip
    first = page.locator("#requests .request").first
    expect(first).to_contain_text("401")
    expect(first.locator("[data-remedy]")).to_have_text("Copy it again, without spaces.")
    live_world.requests.tell(
        request(
            live_world, series=point.series, stream_id=point.stream_id, status=400,
            outcome="refused", detail="<img src=x onerror=alert(1)> is not JSON.",
            remedy="This would be accepted: curl -u kw:$PASSWORD http://localhost -d '{}'",
        )
    )  # fmt: skip
    expect(first).to_contain_text("400")
    expect(first.locator("pre")).to_have_text("curl -u kw:$PASSWORD http://localhost -d '{}'")
    expect(first).to_contain_text("<img src=x")


def test_a_copy_button_copies(live_world: World, watched: Watched) -> None:
    """The ready line goes to the clipboard whole."""
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = watched.open(fill("/breakdown/{new}", live_world))
    page.locator("#empty [data-copy], #single [data-copy]").locator("visible=true").first.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("curl http")


def test_numbers_follow_the_readers_language(browser: Browser, live_world: World) -> None:
    """A German reader sees a decimal comma, in server-made and in drawn numbers."""
    context = browser.new_context(locale="de-DE", viewport={"width": 1440, "height": 900})
    watched = Watched(context.new_page(), live_world.url)
    watched.log_in()
    page = watched.open(fill("/breakdown/{gas}", live_world))
    expect(page.locator("#tree .leaf", has_text="Outdoor").locator(".last")).to_have_text(
        re.compile(r"\d,\d+ °C")
    )
    expect(page.locator(".tile .figure").first).to_have_text(re.compile(r"\d+,\d"))
    context.close()


def test_a_form_that_is_wrong_puts_the_cursor_where_it_is_wrong(
    live_world: World, watched: Watched
) -> None:
    """The sentence stands beside the field, and the field is ready to be typed in."""
    page = watched.open("/admin/data-points/new")
    page.fill("#name", "Lift")
    page.fill("#interval", "often")
    page.get_by_role("button", name="Register").click()
    expect(page.locator("#interval-problem")).to_contain_text("is not an interval")
    expect(page.locator("#interval")).to_be_focused()
    expect(page.locator("#name")).to_have_value("Lift")
    page.fill("#interval", "5m")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("status")).to_contain_text("Registered")
    expect(page.locator("#curl")).to_contain_text("curl")
    watched.faults[:] = [fault for fault in watched.faults if "422" not in fault]
