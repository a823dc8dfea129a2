"""A newcomer's first hour, from an empty server to the first graph, without reading a manual."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.journeys.pages import Visit, logged_in
from tests.journeys.server import Server, kilowatch

pytestmark = [pytest.mark.journey, pytest.mark.browser]


def push(line: str, password: str) -> httpx.Response:
    """Do what a ``curl`` line says, as a shell would."""
    words = shlex.split(line.replace("$PASSWORD", password))
    assert words[0] == "curl"
    options = dict(itertools.pairwise(words))
    username, _, secret = (options.get("-u") or options["--user"]).partition(":")
    address = next(word for word in words if word.startswith("http"))
    body = options.get("-d") or options["--data"]
    return httpx.post(address, auth=(username, secret), content=body.encode())


def test_a_newcomer_comes_from_an_empty_server_to_the_first_graph(
    server: Server, browser: Browser
) -> None:
    """One command, then the dashboard leads: site, data point, password, packet, graph.

    The first packet is wrong. The page says why and has the line that would be accepted; that
    line, pushed as it stands, ticks the step off, and a second packet brings the graph.
    """
    url = server.addresses["dashboard_http"]
    assert "kilowatch account first" in httpx.get(f"{url}login").text
    printed = kilowatch(
        "account", "first", "new@example.com", "--organization", "Acme", data=server.data
    )
    password = re.search(r"Password\s+(\S+)", printed)
    assert password
    assert "kilowatch account first" not in httpx.get(f"{url}login").text
    visit = logged_in(browser, url, "new@example.com", password[1])
    page = visit.page
    expect(page).to_have_url(re.compile("/start$"))
    due = page.locator("#ticks [aria-current=step]")
    expect(due).to_contain_text("Site")
    page.get_by_role("button", name="Add the site").click()
    expect(page.locator("[data-field=site_name] .problem")).to_be_visible()
    page.get_by_label("Name of the site").fill("Office Dublin")
    page.get_by_role("button", name="Add the site").click()
    expect(due).to_contain_text("Data point")
    page.get_by_label("Name of the data point").fill("Main supply")
    page.get_by_role("button", name="Register the data point").click()
    expect(due).to_contain_text("Credential")
    page.get_by_role("button", name="Make a user name and password").click()
    expect(due).to_contain_text("First packet")
    expect(page.locator("html[data-live=on]")).to_be_attached()
    line = page.locator("#first-curl").inner_text()
    user = shlex.split(line)
    username, _, secret = user[user.index("-u") + 1].partition(":")
    stream = re.search(r'"id":"([^"]+)"', line)
    assert stream
    _packets(visit, server, stream[1], username, secret)
    page.get_by_role("link", name="See the graph").click()
    expect(page).to_have_url(re.compile("/breakdown/"))
    expect(page.locator("#chart canvas, #chart svg").first).to_be_visible()
    page.goto(url)
    expect(page).to_have_url(url)
    page.goto(f"{url}start")
    expect(page.locator("#ticks")).to_contain_text("6 of 6")
    assert secret not in page.content()
    visit.problems = [one for one in visit.problems if "422" not in one]
    visit.close()


def _packets(visit: Visit, server: Server, stream: str, username: str, secret: str) -> None:
    """Push a wrong packet, then the line that the page gives for it, then a second one."""
    page, address = visit.page, server.addresses["push_http"]
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)

    def packet(at: datetime, **values: Any) -> bytes:
        return json.dumps({"id": stream, "tsISO8601": at.isoformat(), **values}).encode()

    request = page.locator("#requests .request").first
    body = packet(first, aP_1=3600)
    assert httpx.post(address, auth=(username, "wrong"), content=body).status_code == 401
    expect(request).to_contain_text("Wrong password")
    wrong = packet(first, aP_1="3600", pC_1="5000")
    assert httpx.post(address, auth=(username, secret), content=wrong).status_code == 400
    expect(request).to_contain_text("400")
    corrected = request.locator("pre").inner_text()
    assert push(corrected, secret).json() == {"status": "accepted"}
    expect(page.locator("#ticks [aria-current=step]")).to_contain_text("First graph")
    expect(page.locator("#ticks")).to_contain_text("Push one more")
    second = packet(first + timedelta(minutes=5), aP_1=3600, pC_1=5300)
    assert httpx.post(address, auth=(username, secret), content=second).status_code == 200
    expect(page.locator("#ticks")).to_contain_text("6 of 6")
