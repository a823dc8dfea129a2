"""Fixtures of the dashboard's tests: an organisation with data, and people to look at it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState
from starlette.testclient import TestClient

from tests.dashboard.house import House
from tests.dashboard.mailbox import Mailbox
from tests.dashboard.worlds import ADMIN, PASSWORD, World, build, served
from tests.patience import PATIENCE_MS

Logged = Callable[[str], TestClient]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Build one organisation for the tests of a module."""
    made = build(tmp_path_factory.mktemp("world"))
    yield made
    made.writer.close()
    made.log.close()
    made.catalog.close()


@pytest.fixture(scope="module")
def logged(world: World) -> Logged:
    """Return a way to log somebody in; the client keeps the cookies."""

    def log_in(email: str) -> TestClient:
        client = TestClient(world.app, follow_redirects=False)
        answer = client.post(
            "/login", data={"csrf": form_token(client), "email": email, "password": PASSWORD}
        )
        assert answer.status_code == 303, answer.text
        return client

    return log_in


@pytest.fixture(scope="module")
def admin(logged: Logged) -> TestClient:
    """Return an administrator's client."""
    return logged(ADMIN)


def form_token(client: TestClient, path: str = "/login") -> str:
    """Return the CSRF token of a page's form."""
    page = client.get(path, headers={"accept": "text/html"})
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found, page.text[:500]
    return found[1]


@pytest.fixture(scope="module")
def live_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve an organisation on a real port, for a real browser."""
    made = build(tmp_path_factory.mktemp("live"))
    with served(made):
        yield made
    made.writer.close()
    made.log.close()
    made.catalog.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Build a world for one test, with a mail server."""
    mailbox = Mailbox()
    world = build(tmp_path, days=1, mailer=mailbox)
    yield House(world, mailbox)
    world.writer.close()
    world.log.close()
    world.catalog.close()


class Watched:
    """A browser page that remembers everything that should not have happened."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._heard)
        page.on("requestfailed", self._failed)

    def _heard(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind in ("error", "warning"):
            self.faults.append(f"{kind}: {text}")

    def _failed(self, request: object) -> None:
        failure = str(getattr(request, "failure", ""))
        if "ERR_ABORTED" not in failure:  # a page that is left drops its live stream
            self.faults.append(f"request: {getattr(request, 'url', '')} {failure}")

    def log_in(self, email: str = ADMIN) -> None:
        """Log in through the form."""
        self.page.goto(f"{self.url}/login")
        self.page.fill("#email", email)
        self.page.fill("#password", PASSWORD)
        self.page.click("button[type=submit]")
        self.page.wait_for_selector("#tree", state="attached")

    def open(self, path: str) -> Page:
        """Open a page; Breakdown is waited for until its figures are there."""
        self.page.goto(f"{self.url}{path}")
        if path.startswith("/breakdown"):
            self.page.wait_for_selector("#breakdown[data-ready]")
        return self.page


@pytest.fixture(scope="module")
def session(browser: Browser, live_world: World) -> StorageState:
    """Log in once for a module, through the form, and keep what the browser keeps."""
    context = browser.new_context()
    watching = Watched(context.new_page(), live_world.url)
    watching.log_in()
    assert not watching.faults, "\n".join(watching.faults)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def watched(browser: Browser, live_world: World, session: StorageState) -> Iterator[Watched]:
    """Return a page that is logged in; any console error or policy violation fails the test."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-IE", storage_state=session
    )
    context.set_default_timeout(PATIENCE_MS)
    watching = Watched(context.new_page(), live_world.url)
    yield watching
    watching.page.unroute_all(behavior="ignoreErrors")  # what it is in the middle of is not awaited
    context.close()
    assert not watching.faults, "\n".join(watching.faults)


AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def axe_source() -> str:
    """Return axe-core, which finds barriers; its absence is a failure, not a skip."""
    assert AXE.is_file(), f"axe-core is not in {AXE.parent}: run ./dev test, which fetches it"
    return AXE.read_text(encoding="utf-8")
