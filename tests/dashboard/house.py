"""A world that a test may change, with a mailbox, and forms sent as a browser sends them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from starlette.testclient import TestClient

from tests.dashboard.mailbox import Mailbox
from tests.dashboard.worlds import ADMIN, PASSWORD, World

PAGE = {"accept": "text/html"}
TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass
class House:
    """A world that a test may change, with a mailbox."""

    world: World
    mailbox: Mailbox

    def browser(self) -> TestClient:
        """Return a browser that nobody has used yet."""
        return TestClient(self.world.app, follow_redirects=False)

    def log_in(self, email: str = ADMIN, password: str = PASSWORD) -> TestClient:
        """Return a browser in which somebody is logged in."""
        client = self.browser()
        answer = post(client, "/login", "/login", email=email, password=password)
        assert answer.status_code == 303, answer.text
        return client


def post(client: TestClient, page: str, path: str, **fields: Any) -> Any:
    """Open a page and send one of its forms."""
    shown = client.get(page, headers=PAGE)
    found = TOKEN.search(shown.text)
    assert found, (shown.status_code, shown.headers.get("location"), shown.text[:400])
    return client.post(path, data={"csrf": found[1], **fields}, headers=PAGE)


def alive(client: TestClient) -> bool:
    """Tell whether a browser is logged in."""
    status: int = client.get("/account", headers=PAGE).status_code
    return status == 200
