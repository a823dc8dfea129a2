"""A history that is computed again: every page that draws it says that figures may still change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from tests.dashboard.worlds import World

PAGE = {"accept": "text/html"}
SENTENCE = "The history is being computed again."


@pytest.fixture
def under_way(world: World) -> Iterator[int]:
    """Let the main supply's history be computed again, 43 % of it done; return its number."""
    point = world.point("main")
    world.view.statuses[point.series] = replace(world.view.status(point), recomputing=0.43)
    yield point.id
    del world.view.statuses[point.series]


def test_every_chart_says_that_its_figures_may_still_change(
    world: World, admin: TestClient, under_way: int
) -> None:
    """With how much is done and what to do; the breakdown of the site tells its script."""
    site = world.point("main").site_id
    pages = [
        f"/heatmap/{under_way}", f"/profile/{under_way}", f"/flow?place=s{site}",
        f"/compare?items=p{under_way}", f"/export/preview?place=s{site}&period=everything",
    ]  # fmt: skip
    for address in pages:
        text = admin.get(address, headers=PAGE).text
        assert f"<strong>{SENTENCE}" in text, address
        assert "43 % are done" in text, address
    level = admin.get(f"/breakdown/site/{site}/series?period=day").json()
    assert level["status"]["recomputing"] == pytest.approx(0.43)


def test_nothing_is_said_when_nothing_is_computed(world: World, admin: TestClient) -> None:
    """The same pages without it."""
    point = world.point("main")
    for address in (f"/heatmap/{point.id}", f"/export/preview?place=s{point.site_id}"):
        assert f"<strong>{SENTENCE}" not in admin.get(address, headers=PAGE).text
