"""Attributes in a real browser: a request that comes while the list is fetched is told once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.dashboard.conftest import Watched
from tests.dashboard.test_live import request
from tests.dashboard.worlds import World

pytestmark = pytest.mark.browser


class Held:
    """Keeps the answers to the list of requests back, as a slow line would."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._open = False
        self.answers: list[tuple[Route, APIResponse]] = []
        page.route("**/data/requests?*", self._hold)

    def _hold(self, route: Route) -> None:
        if self._open:
            route.continue_()
            return
        answer = route.fetch()
        if self._open:  # let go while it was fetched: nobody would answer it any more
            route.fulfill(response=answer)
        else:
            self.answers.append((route, answer))

    def wait(self) -> None:
        """Wait until the page has asked."""
        while not self.answers:
            self._page.wait_for_timeout(20)

    def let_go(self) -> None:
        """Answer with what the list was when it was asked for."""
        self._open = True
        for route, answer in self.answers:
            route.fulfill(response=answer)


@pytest.fixture
def quiet(live_world: World) -> Iterator[World]:
    """Return the world with nothing in the list."""
    live_world.requests.past.clear()
    yield live_world
    live_world.requests.past.clear()


def told(world: World, detail: str) -> dict[str, Any]:
    """Return a refused request about the gas meter."""
    point = world.point("gas")
    return request(
        world, series=point.series, stream_id=point.stream_id, status=400, outcome="refused",
        detail=detail,
    )  # fmt: skip


def lines(page: Page, detail: str) -> Locator:
    """Return the lines of a request."""
    return page.locator("#requests .request", has_text=detail)


def settled(world: World, page: Page) -> None:
    """Wait until everything that was told before is on the page."""
    world.requests.tell(told(world, "The last one."))
    expect(lines(page, "The last one.")).to_have_count(1)


def test_a_request_that_the_fetched_list_is_too_old_for_stays(
    quiet: World, watched: Watched
) -> None:
    """The list was made, the request came, the list arrived: it does not wipe the request away."""
    held = Held(watched.page)
    page = watched.open(f"/attributes/{quiet.point('gas').id}")
    page.wait_for_selector("html[data-live=on]")
    held.wait()
    quiet.requests.tell(told(quiet, "Came in between."))
    expect(lines(page, "Came in between.")).to_have_count(1)
    held.let_go()
    settled(quiet, page)
    expect(lines(page, "Came in between.")).to_have_count(1)
    expect(page.locator("#requests .request")).to_have_count(2)


def test_a_request_that_is_in_the_list_and_then_told_stands_there_once(
    quiet: World, watched: Watched
) -> None:
    """The list has it already when its event comes: the event adds no second line."""
    held = Held(watched.page)
    one = told(quiet, "Already listed.")
    quiet.requests.past.insert(0, one)  # kept by the collector, its event still on the way
    page = watched.open(f"/attributes/{quiet.point('gas').id}")
    page.wait_for_selector("html[data-live=on]")
    held.wait()
    held.let_go()
    expect(lines(page, "Already listed.")).to_have_count(1)
    quiet.requests.past.remove(one)
    quiet.requests.tell(one)
    settled(quiet, page)
    expect(lines(page, "Already listed.")).to_have_count(1)
    again = told(quiet, "Already listed.")
    quiet.requests.tell(again)
    expect(lines(page, "Already listed.")).to_have_count(2)


def test_a_request_that_is_told_before_the_list_that_has_it_stands_there_once(
    quiet: World, watched: Watched
) -> None:
    """Event first, then a list that has it too: one line."""
    held = Held(watched.page)
    one = told(quiet, "In both.")
    quiet.requests.past.insert(0, one)
    page = watched.open(f"/attributes/{quiet.point('gas').id}")
    page.wait_for_selector("html[data-live=on]")
    held.wait()
    quiet.requests.past.remove(one)
    quiet.requests.tell(one)
    expect(lines(page, "In both.")).to_have_count(1)
    held.let_go()
    settled(quiet, page)
    expect(lines(page, "In both.")).to_have_count(1)


def test_an_answer_to_the_question_before_is_no_answer_to_this_one(
    quiet: World, watched: Watched
) -> None:
    """Who switched to all requests does not get the narrow list that was slower."""
    other = quiet.point("main")
    quiet.requests.tell(
        request(quiet, series=other.series, stream_id=other.stream_id, detail="Another stream.")
    )
    held = Held(watched.page)
    page = watched.open(f"/attributes/{quiet.point('gas').id}")
    page.wait_for_selector("html[data-live=on]")
    held.wait()
    narrow, held.answers = held.answers, []
    page.locator("#requests input[name=which][value=all]").check(force=True)
    held.wait()
    held.let_go()
    expect(lines(page, "Another stream.")).to_have_count(1)
    for route, answer in narrow:
        route.fulfill(response=answer)
    settled(quiet, page)
    expect(lines(page, "Another stream.")).to_have_count(1)
