"""Every page there is, found from the routes, in a real browser: barriers, width, shift, help.

A page that is added is looked at here by itself; one that cannot be opened, or that names a kind
of object nobody makes in ``access_world.py``, fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from playwright.sync_api import Error as BrowserError
from starlette.testclient import TestClient

from kilowatch.catalog import people, plans, registry
from kilowatch.dashboard.access import Door
from kilowatch.dashboard.app import DOORS
from tests.dashboard.access_world import ENDLESS, PEOPLE, QUERIES, Matrix, Side
from tests.dashboard.conftest import Watched, form_token
from tests.dashboard.fakes import Status
from tests.dashboard.insight_world import furnish
from tests.dashboard.test_pages_in_chromium import FITS, RULES
from tests.dashboard.test_sites_in_chromium import furnish as furnish_site
from tests.dashboard.walk import FOR_MACHINES, PAGE, PARAMETER, WalkedPage, pages
from tests.dashboard.worlds import ADMIN, PASSWORD, World, build, served
from tests.patience import PATIENCE_MS

pytestmark = pytest.mark.browser

PARTS_OF_THE_WALK = 8  # each within the time that one test may take on a busy machine
ROLE = "partner administrator"
"""Every door opens for them."""
WIDTHS = (2560, 768, 360)
SHIFT_MAX = 0.02
FURTHER = (
    "/breakdown/{server}", "/breakdown/{new}", "/breakdown/{one}", "/attributes/{new}",
    "/admin/data-points/{gas}", "/admin/data-points?q=nowhere", "/forecast?point={new}", "/waste",
    "/event/{hvac}/{weekend}", "/event/{main}/{voltage}", "/nowhere",
)  # fmt: skip
"""Pages in other states than that of the walk: late, empty, one packet, nothing found."""
SETTLED = """() => !document.querySelector('[aria-busy="true"], .htmx-request')"""
WIDER = """width => [...document.querySelectorAll('body *')].filter(
    one => one.getBoundingClientRect().right > width + 1
        && !one.closest('.side, .scroll, pre, [tabindex]')
).slice(0, 3).map(one => one.outerHTML.slice(0, 120))"""
OPENED = "() => document.querySelectorAll('main details').forEach(one => { one.open = true; })"
SHIFTED = """new PerformanceObserver(list => {
    window.shifted ??= [0, []];
    for (const entry of list.getEntries()) {
        if (entry.hadRecentInput) continue;
        window.shifted[0] += entry.value;
        window.shifted[1].push(...entry.sources.map(one => one.node?.outerHTML?.slice(0, 80)));
    }
}).observe({type: 'layout-shift', buffered: true});"""
"""Adds up what moved by itself; the measure is Chromium's, as in Core Web Vitals."""


@dataclass
class House:
    """The matrix of the access test with insights in it, served."""

    matrix: Matrix
    pages: list[WalkedPage] = field(default_factory=list)


def logged_in(world: World, email: str) -> TestClient:
    """Return a client in which somebody is logged in."""
    client = TestClient(world.app, follow_redirects=True)
    sent = {"csrf": form_token(client), "email": email, "password": PASSWORD}
    assert client.post("/login", data=sent).status_code == 200
    return client


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Build an organisation with one of everything and with events, and serve it."""
    folder = tmp_path_factory.mktemp("house")
    world = build(folder, days=40)
    events = furnish(world)
    furnish_site(world)
    main = world.point("main")
    world.view.statuses[main.series] = Status(main.series, ignored={"aP1": 2})
    matrix = Matrix(world, folder)
    ours = matrix.ours
    shown = Side(ours.numbers | {"point_id": main.id}, ours.personal, [])

    def address_of(door: Door) -> str:
        """Pages are about a data point that has data; an event is where it was found."""
        return (ours if "event_id" in door.path else shown).address(door, PEOPLE[ROLE])

    stranger = TestClient(world.app, follow_redirects=False)
    found = list(pages(matrix.client(ROLE), stranger, address_of))
    names: dict[str, object] = {name: point.id for name, point in world.points.items()}
    names |= {name: event.id for name, event in events.items()}
    found += [WalkedPage(path, path.format(**names), path) for path in FURTHER]
    with served(world):
        yield House(matrix, found)
    world.writer.close()
    world.log.close()
    world.catalog.close()


def barriers(page: Page, tags: list[str] | None) -> list[str]:
    """Return what axe finds; with no tags, contrast alone, which is what a theme changes."""
    only = {"type": "rule", "values": ["color-contrast"]}
    found = page.evaluate(
        "only => axe.run(document, {runOnly: only, resultTypes: ['violations']})",
        {"type": "tag", "values": tags} if tags else only,
    )
    return [
        f"{one['id']}: {one['help']} at {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS_OF_THE_WALK))
def test_no_page_has_a_barrier_or_moves_or_is_too_wide(
    house: House, browser: Browser, axe_source: str, part: int
) -> None:
    """WCAG 2.2 AA on every page in both themes; nothing jumps; the smallest phone shows it all."""
    assert len(house.pages) > 60, "the walk finds the pages"
    url, wrong = house.matrix.world.url, list[str]()
    for signed_in in (True, False):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-IE")
        context.add_init_script(SHIFTED)
        context.set_default_timeout(PATIENCE_MS)
        watched = Watched(context.new_page(), url)
        if signed_in:
            watched.log_in(PEOPLE[ROLE])
        for one in house.pages[part::PARTS_OF_THE_WALK]:
            if one.signed_in is signed_in:
                found = _looked_at(watched, one, axe_source)
                wrong += [f"{one.address}: {fault}" for fault in found]
                faults = [fault for fault in watched.faults if one.path != "/nowhere"]
                wrong += [f"{one.address}: {fault}" for fault in faults]
                watched.faults.clear()
        context.close()
    assert not wrong, "\n".join(wrong)


def _looked_at(watched: Watched, one: WalkedPage, axe_source: str) -> list[str]:
    """Return everything that is wrong with a page."""
    page = watched.page
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(f"{watched.url}{one.address}")
    page.wait_for_function(SETTLED)
    total, moved = page.evaluate("window.shifted ?? [0, []]")
    wrong = [f"moved by {total:.3f}: {moved[:3]}"] if total > SHIFT_MAX else []
    if page.locator("h1").count() != 1:
        wrong.append(f"has {page.locator('h1').count()} first headings")
    page.evaluate(OPENED)
    page.evaluate(axe_source)
    wrong += barriers(page, RULES)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme=dark]", state="attached")
    wrong += [f"dark: {one}" for one in barriers(page, None)]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        try:
            page.wait_for_function(
                FITS, arg=width, timeout=20_000
            )  # a graph follows a moment later
        except BrowserError:
            wrong.append(f"is wider than {width} px: {page.evaluate(WIDER, width)}")
    return wrong


class Keys:
    """A person without a mouse: every step is a key, and every stop can be seen."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def to(self, selector: str, *, key: str = "Tab", most: int = 160) -> None:
        """Go on until something has the focus, and see that it shows.

        Raises:
            AssertionError: It cannot be reached, or nobody would see that it has the focus.
        """
        for _ in range(most):
            if self.page.evaluate("what => document.activeElement.matches(what)", selector):
                assert self.page.evaluate(FOCUS_SHOWS), f"{selector} has the focus unseen"
                return
            self.press(key)
        raise AssertionError(f"{selector} is not reached by {key}")


FOCUS_SHOWS = """() => {
    const shows = one => getComputedStyle(one).outlineStyle !== 'none';
    const here = document.activeElement;
    return shows(here) || [...(here.labels ?? [])].some(shows);
}"""


def test_a_month_s_work_is_done_with_the_keyboard_alone(house: House, browser: Browser) -> None:
    """Log in, find a data point, another period, the table, a file, an event acknowledged."""
    world = house.matrix.world
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-IE")
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page(), world.url)
    page, keys = watched.page, Keys(watched.page)
    page.goto(f"{world.url}/login")
    expect(page.locator("#email")).to_be_focused()
    page.keyboard.type(ADMIN)
    keys.press("Tab")
    page.keyboard.type(PASSWORD)
    keys.press("Enter")
    page.wait_for_selector("html[data-live=on]")
    keys.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("hvac")
    expect(page.locator("#tree .leaf")).to_have_count(1)
    keys.press("ArrowDown")
    keys.to("#tree .leaf a")
    keys.press("Enter")
    page.wait_for_selector("#breakdown[data-ready]")
    keys.to(".skip")
    keys.press("Enter")
    keys.to("input[name=period]")
    keys.press("ArrowRight")
    expect(page).to_have_url(re.compile("period=week"))
    keys.to("input[name=view]")
    keys.press("ArrowRight")
    expect(page.locator("#table table")).to_be_visible()
    keys.to("[data-csv]")
    with page.expect_download() as file:
        keys.press("Enter")
    assert file.value.suggested_filename.endswith(".csv")
    keys.to('a[href="/sentinel"]')
    keys.press("Enter")
    page.wait_for_url(re.compile("/sentinel"))
    keys.to(".event-head")
    title = page.locator(".event-head strong").first.inner_text()
    keys.press("Enter")
    page.wait_for_selector("#event[data-ready]")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    keys.to("#comment")
    page.keyboard.type("seen")
    keys.to("button[value=acknowledged]")
    keys.press("Enter")
    expect(page.locator(".story li").first).to_contain_text("seen")
    assert not watched.faults
    context.close()


PARTS = re.compile(r"^https?://[^/]+/(?!static|live)")


def test_what_cannot_be_loaded_says_so_in_its_place(house: House, browser: Browser) -> None:
    """Whatever fails after the frame, the page says it and has a way on; nothing loads for ever.

    Every page whose parts are fetched is opened with a server that answers them 500, and again
    with one that is out of reach. The message stands where the part would have been; the rest of
    the page stays.
    """
    world = house.matrix.world
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-IE")
    context.set_default_timeout(PATIENCE_MS)
    watched = Watched(context.new_page(), world.url)
    watched.log_in(PEOPLE[ROLE])
    page, wrong, asked = watched.page, list[str](), [0]

    def refuse(route: Route) -> None:
        if route.request.resource_type == "document":
            route.continue_()
            return
        asked[0] += 1
        if asked[0] % 2:
            route.fulfill(status=500, content_type="application/problem+json", body="{}")
        else:
            route.abort()

    page.route(PARTS, refuse)
    for one in house.pages:
        if not one.signed_in or one.path == "/nowhere":
            continue
        before = asked[0]
        page.goto(f"{world.url}{one.address}")
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(250)
        if asked[0] == before:
            continue  # the page came whole
        says = page.locator("main .notice.bad:visible, main [role=alert]:visible, #requests")
        try:
            page.wait_for_function(CALM, timeout=20_000)
            expect(says.first).to_be_visible(timeout=6_000)
        except (BrowserError, AssertionError):
            wrong.append(f"{one.address}: {page.locator('main').inner_text()[:300]!r}")
    context.close()
    assert asked[0] > 20, "something was asked for"
    assert not wrong, "\n".join(wrong)


CALM = """() => {
    const busy = [...document.querySelectorAll('main [aria-busy=true]')];
    const seen = one => one.checkVisibility?.() ?? one.offsetParent;
    return !busy.some(seen) && !/Loading …/.test(document.querySelector('main').innerText);
}"""


def test_an_empty_organisation_is_told_what_to_do_on_every_page(house: House) -> None:
    """Nothing is registered, nothing has come: no page breaks, and each offers a next step."""
    world = house.matrix.world
    with world.catalog.change(world.catalog_actor()) as change:
        empty = registry.add_organisation(change, "Hollow", country="IE")
        user, _ = people.add_user(change, "hollow@example.com", password=PASSWORD)
        people.set_role(change, user, empty, "partner administrator")
        number = empty.id
    client = logged_in(world, "hollow@example.com")
    wrong, seen = list[str](), 0
    for door in DOORS:
        kinds = set(PARAMETER.findall(door.path)) - {"organisation_id", "number"}
        if "GET" not in door.methods or kinds or door.path in {*ENDLESS, *FOR_MACHINES}:
            continue
        address = PARAMETER.sub(str(number), door.path)
        answer = client.get(address, headers=PAGE)
        if "{number" in door.path and answer.status_code == 404:
            continue  # a site of this number is somebody else's
        if answer.status_code >= 400 and "?" not in address and door.path in QUERIES:
            continue  # it has to be asked about a data point, and there is none
        if answer.status_code >= 400:
            wrong.append(f"{address}: {answer.status_code}")
        elif '<main class="content"' in answer.text:
            seen += 1
            main = answer.text.partition('<main class="content"')[2].partition("</main>")[0]
            if door.path != "/glossary" and not re.search(r"<(a|button) [^>]*", main):
                wrong.append(f"{address}: no next step")
    assert seen > 25
    assert not wrong, "\n".join(wrong)


def test_who_lacks_a_tool_is_told_so_on_its_pages(house: House) -> None:
    """Forbidden is one sentence and one way on, as a page, for every tool that a plan may lack."""
    world = house.matrix.world
    with world.catalog.change(world.catalog_actor()) as change:
        acme = registry.find_organisation(change.session, "Acme")
        bare = plans.add(change, acme.id, "Nothing but home", [])
        user, _ = people.add_user(change, "bare@example.com", password=PASSWORD)
        people.set_role(change, user, acme, "partner administrator").plan_id = bare.id
    client, tools = logged_in(world, "bare@example.com"), set()
    for one in house.pages:
        door = next((door for door in DOORS if door.path == one.path), None)
        if door is not None and door.tool:
            tools.add(door.tool)
            answer = client.get(one.address, headers=PAGE)
            assert answer.status_code == 403, one.address
            assert "Your plan does not include this page." in answer.text
            assert "<a " in answer.text
    assert len(tools) > 8, "a plan may lack each of them"


LATE_PART = """site => {
  const part = document.createElement("div");
  part.setAttribute("hx-get", `/home/site/${site}`);
  part.setAttribute("hx-trigger", "intersect once");
  part.id = "later";
  document.querySelector("main").append(part);
  dispatchEvent(new Event("beforeprint"));
}"""
"""Adds a part that comes when it is seen, and begins to print before it is."""


def test_a_page_on_paper_has_its_content_and_says_what_it_is(
    house: House, browser: Browser
) -> None:
    """A4 without navigation, light whatever the screen is, with address and time at the foot."""
    world = house.matrix.world
    context = browser.new_context(locale="en-IE", color_scheme="dark")
    watched = Watched(context.new_page(), world.url)
    watched.log_in()
    page = watched.open(f"/breakdown/{world.point('main').id}?period=week")
    drawn = page.locator("#chart").get_attribute("data-drawn")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(
        "was => document.getElementById('chart').dataset.drawn > was", arg=int(drawn or 0)
    )
    page.emulate_media(media="print", forced_colors="none")
    page.set_viewport_size({"width": 703, "height": 1000})  # A4 less its margins, at 96 dpi
    for gone in (".side", ".bar", ".panel", ".button"):
        expect(page.locator(gone).first).to_be_hidden()
    for there in ("h1", "[data-period-label]", "#tiles", "#chart canvas", "#printed"):
        expect(page.locator(there).first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    expect(page.locator("#printed")).to_contain_text("period=week")
    assert page.evaluate(FITS, 703), page.evaluate(WIDER, 703)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(media="screen", forced_colors="active", reduced_motion="reduce")
    expect(page.locator("#tree [aria-current]")).to_be_visible()
    edge = "one => getComputedStyle(one).borderTopStyle"
    assert page.locator(".card").first.evaluate(edge) == "solid"
    slow = "one => getComputedStyle(one).transitionDuration"
    assert page.locator(".tree .twist .icon").first.evaluate(slow) in ("0s", "1e-05s", "0.00001s")
    page.set_viewport_size({"width": 1280, "height": 300})
    page = watched.open(f"/sentinel?place=s{world.sites['Office Dublin']}")
    page.locator("#multiples[data-ready]").wait_for(state="attached")
    circuits = page.locator("[data-circuit]").count()
    drawn_of = page.locator("[data-circuit] .plot[data-drawn]")
    assert drawn_of.count() < circuits, "what is far below waits until somebody comes to it"
    page.evaluate(LATE_PART, world.sites["Office Dublin"])
    assert drawn_of.count() == circuits, "paper has all of them, at once"
    assert page.locator("#later").count() == 0
    expect(page.locator("main table.stands")).to_be_attached()
    assert not watched.faults
    context.close()
