"""The dashboard as a person's browser and as a program see it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page


@dataclass(slots=True)
class Dashboard:
    """A logged-in session over HTTP.

    Attributes:
        url: Address of the dashboard.
        user: E-mail address.
        password: Of the account.
    """

    url: str
    user: str
    password: str
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60)
        page = self.client.get("/login").text
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token is not None, page
        form = {"csrf": token[1], "next": "/", "email": self.user, "password": self.password}
        answer = self.client.post("/login", data=form)
        assert answer.status_code == 200, answer.text
        assert "/login" not in str(answer.url), "the log-in was refused"

    def series(self, point: int, **query: str) -> dict[str, Any]:
        """Return what Breakdown draws."""
        answer = self.client.get("/data/series", params={"point": str(point), **query})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def column(self, point: int, channel: str, name: str, **query: str) -> dict[int, float]:
        """Return one column of one channel by start [ms], without what is unknown."""
        found = self.series(point, channels=channel, **query)
        if not found["channels"]:
            return {}
        (only,) = found["channels"]
        pairs = zip(only["start_ms"], only[name], strict=True)
        return {start: value for start, value in pairs if value is not None}


@dataclass(slots=True)
class Visit:
    """A person's browser window; script errors and policy violations are remembered.

    Attributes:
        context: The browser's profile.
        page: Its one tab.
        problems: What the browser complained about.
    """

    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)

    def close(self) -> None:
        """Close the window; a browser that complained fails the journey."""
        self.context.close()
        assert not self.problems, self.problems


def logged_in(browser: Browser, url: str, user: str, password: str, **options: Any) -> Visit:
    """Log in as a person does."""
    context = browser.new_context(locale="en-IE", **options)
    visit = Visit(context, context.new_page())
    page = visit.page
    page.on("pageerror", lambda error: visit.problems.append(str(error)))
    page.on(
        "console",
        lambda line: visit.problems.append(line.text) if line.type == "error" else None,
    )
    page.goto(f"{url}login")
    page.fill("#email", user)
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_url(re.compile(r"^(?!.*/login)"))
    return visit


def table_values(page: Page, url: str, point: int, channel: str, query: str) -> dict[int, float]:
    """Read the values of Breakdown's table by the start of their rows [ms]."""
    page.goto(f"{url}breakdown/{point}?{query}&view=table")
    page.wait_for_selector("#table table tbody tr")
    more = page.locator("#table > button")
    if more.count():
        more.click()
    cells = page.eval_on_selector_all(
        f'#table td[data-channel="{channel}"][data-key="value"]',
        "cells => cells.map(c => [c.parentElement.dataset.start, c.dataset.value])",
    )
    return {int(start): float(value) for start, value in cells if value != ""}


def counters(page: Page, url: str, point: int) -> dict[str, int]:
    """Read the counts of Attributes."""
    page.goto(f"{url}attributes/{point}")
    page.wait_for_selector("[data-outcome=accepted]")
    found = page.eval_on_selector_all(
        "data[data-outcome]", "all => all.map(one => [one.dataset.outcome, one.value])"
    )
    return {outcome: int(number) for outcome, number in found}
