"""Account and people in a real browser: no barrier, no wide page, links from mails, units."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from kilowatch.catalog import accounts, groups, people, second_factor
from kilowatch.catalog.rights import Reading
from kilowatch.catalog.tables import Site, User
from tests.dashboard.conftest import Watched
from tests.dashboard.house import House
from tests.dashboard.mailbox import Mailbox
from tests.dashboard.test_pages_in_chromium import barriers
from tests.dashboard.worlds import ADMIN, KEY, PASSWORD, VIEWER, build, served
from tests.patience import PATIENCE_MS

pytestmark = pytest.mark.browser

HOME = "/organization/1"
NEW = "quite another password"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Serve a world with a group, an invitation and an authenticator that waits."""
    mailbox = Mailbox()
    world = build(tmp_path_factory.mktemp("people"), days=2, mailer=mailbox)
    with world.catalog.change(world.catalog_actor()) as change:
        group = groups.add(change, 1, "Shop managers")
        shop = change.session.get(Site, world.sites["Supermarket Cork"])
        viewer = people.find_by_email(change.session, VIEWER)
        admin = change.session.get(User, 1)
        assert shop is not None
        assert viewer is not None
        assert admin is not None
        groups.add_place(change, group, shop)
        groups.add_member(change, group, viewer)
        second_factor.offer(change, KEY, admin)
    with served(world):
        yield House(world, mailbox)
    world.writer.close()
    world.log.close()
    world.catalog.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return an empty browser."""
    made = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-IE")
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


def begin(context: BrowserContext, live: House, email: str | None = ADMIN) -> Watched:
    """Return a page in which somebody is logged in."""
    watched = Watched(context.new_page(), live.world.url)
    if email:
        watched.log_in(email)
    return watched


def faults(watched: Watched, expected: str = "") -> list[str]:
    """Return what went wrong, without an expected refusal."""
    return [one for one in watched.faults if not expected or expected not in one]


def test_axe_finds_no_barrier_where_something_is_wrong(
    context: BrowserContext, live: House, axe_source: str
) -> None:
    """A form with its problems is read out as well as one without."""
    watched = begin(context, live)
    page = watched.open(f"{HOME}/users")
    page.fill("#email", "nobody")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.locator("#email-problem")).to_contain_text("is not an e-mail address")
    assert not barriers(watched, axe_source)
    page = watched.open("/account/password")
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#current_password-problem")).to_be_visible()
    assert not barriers(watched, axe_source)
    assert not faults(watched, "422")


def test_an_invitation_from_mail_to_the_first_page(context: BrowserContext, live: House) -> None:
    """One click in a mail, a password, log in: the token is never in an address that is sent."""
    watched = begin(context, live)
    page = watched.open(f"{HOME}/users")
    page.fill("#email", "nora@example.com")
    page.get_by_role("button", name="Send the invitation").click()
    expect(page.get_by_role("status")).to_contain_text("on its way to nora@example.com")
    path, token = live.mailbox.link("nora@example.com")
    page.goto("about:blank")  # parts of a page that are still on their way would be refused
    context.clear_cookies()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{live.world.url}{path}#{token}")
    expect(page.get_by_text("You are invited to Acme as viewer.")).to_be_visible()
    page.fill("#name", "Nora")
    page.fill("#password", NEW)
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status")).to_contain_text("Welcome")
    assert not any(token in url for url in asked)
    page.fill("#email", "nora@example.com")
    page.fill("#password", NEW)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#tree")).to_contain_text("Main supply")
    assert not watched.faults


def test_a_mailed_link_fills_the_form_and_leaves_the_address(
    context: BrowserContext, live: House
) -> None:
    """Somebody who passes by the screen reads no token."""
    watched = begin(context, live, None)
    page = watched.open("/new-password#a-token-from-a-mail")
    expect(page.locator("#token")).to_have_value("a-token-from-a-mail")
    expect(page.locator("#token")).to_be_hidden()
    expect(page.locator("#password")).to_be_focused()
    assert page.url.endswith("/new-password")
    page = watched.open("/forgotten")
    watched.open("/new-password")
    expect(page.locator("#token")).to_be_visible()  # without a link it can be typed
    assert not watched.faults


def test_the_second_factor_by_keyboard(context: BrowserContext, live: House) -> None:
    """Password, Enter, six digits, Enter: no mouse, no script that runs from the page."""
    with live.world.catalog.change(live.world.catalog_actor()) as change:
        user, _ = people.add_user(change, "keys@example.com", password=PASSWORD)
        organisation = people.members(change.session, 1)[0][1].organisation_id
        assert organisation == 1
        key = second_factor.offer(change, KEY, user).key
        second_factor.confirm(
            change, KEY, user.id, pyotp.TOTP(key).at(live.world.now[0] // 1000 - 30)
        )
    watched = begin(context, live, None)
    page = watched.open("/login")
    expect(page.locator("#email")).to_be_focused()
    page.keyboard.type("keys@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#code")).to_be_focused()
    page.keyboard.type(pyotp.TOTP(key).at(live.world.now[0] // 1000))
    page.keyboard.press("Enter")
    page.wait_for_selector("#tree", state="attached")
    assert not watched.faults


def test_temperatures_and_energy_as_the_reader_wants_them(
    context: BrowserContext, live: House
) -> None:
    """°F in tree, tiles, table and hover texts alike; energy in kWh however large it is."""
    outdoor, main = live.world.point("outdoor"), live.world.point("main")
    watched = begin(context, live, VIEWER)
    page = watched.open(f"/breakdown/{outdoor.id}")
    mean = page.locator("#statistics td[data-value]").first
    celsius = float(mean.get_attribute("data-value") or "nan")
    viewer = people.find_by_email
    with live.world.catalog.change(live.world.catalog_actor()) as change:
        row = viewer(change.session, VIEWER)
        assert row is not None
        accounts.set_profile(change, row.id, "V. Iewer", Reading("en-US", "F", "kWh"))
    page = watched.open(f"/breakdown/{outdoor.id}")
    fahrenheit = float(mean.get_attribute("data-value") or "nan")
    assert fahrenheit == pytest.approx(celsius * 1.8 + 32)
    expect(mean).to_have_text(re.compile(r"^[\d.]+ °F"))
    expect(page.locator(".tile .unit").first).to_have_text(" °F")
    expect(page.locator("#tree .leaf", has_text="Outdoor").locator(".last")).to_have_text(
        re.compile(r"[\d.]+ °F")
    )
    assert "°C" not in page.locator("main").inner_text()
    page = watched.open(f"/breakdown/{outdoor.id}?view=table&grain=hour")
    expect(page.locator("#table thead")).to_contain_text("°F")
    page = watched.open(f"/breakdown/{main.id}?period=week")
    assert page.locator(".tile .unit").first.inner_text().strip() == "kWh"
    page = watched.open(f"/site/{outdoor.site_id}")
    card = page.locator(".card", has_text="Outdoor")
    expect(card.locator("[data-figure]")).to_contain_text("°F")
    assert not watched.faults


def test_times_stand_on_the_readers_own_clock(browser: Browser, live: House) -> None:
    """When a session was seen is told on the reader's clock, with UTC to hover over."""
    context = browser.new_context(locale="de-DE", timezone_id="Asia/Kolkata")
    watched = begin(context, live)
    page = watched.open("/account/sessions")
    seen = page.locator("time").first
    expect(seen).to_have_text(re.compile(r"09\.11\.2026, 19:52"))
    expect(seen).to_have_attribute("title", "2026-11-09 14:22 UTC")
    context.close()
    assert not watched.faults
